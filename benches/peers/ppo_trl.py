"""PPO iterations by TRL 1.12's PPOTrainer: 8 prompts of 32 tokens, 64 new ones, 4 epochs, one minibatch, f32.

Four models, as the trainer wants them: policy, reference, reward and value. With `--peft` the policy gets LoRA through the trainer's
`peft_config` and is its own reference, and with `--peft-critic` the value model gets LoRA too, which the trainer leaves to its caller.
"""

import argparse
import sys
import tempfile

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

import workload

try:
    import trl.experimental.ppo.ppo_trainer as ppo_trainer
    from trl.experimental.ppo import PPOConfig, PPOTrainer
except ImportError as error:
    sys.exit(f"TRL 1.12 is needed, the last that has PPO; put it on PYTHONPATH (compare.py: --trl112 FOLDER): {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder")
    parser.add_argument("--peft", action="store_true", help="LoRA of rank 16 on all linear layers of the policy")
    parser.add_argument("--peft-critic", action="store_true", help="the same for the value model")
    parser.add_argument("--warm-up", type=int, default=0, help="iterations that don't count")
    parser.add_argument("--repeats", type=int, default=1, help="iterations that count")
    workload.threads(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    watch = watched()
    with tempfile.TemporaryDirectory() as folder:
        trainer(arguments, folder).train()
    watch.stop()
    assert len(watch.clock) == arguments.warm_up + arguments.repeats, watch.clock
    watch.report(arguments.warm_up, workload.PPO_ROWS * workload.NEW_TOKENS)


def watched() -> workload.Watch:
    """Times the iterations of the trainer: each begins with its rollout."""
    watch = workload.Watch()
    generate = ppo_trainer.batch_generation

    def batch_generation(*positional: object, **named: object):
        if watch.started != (0.0, 0.0):
            watch.stop()
        watch.start()
        rows, logits = generate(*positional, **named)
        assert rows.shape == (workload.PPO_ROWS, workload.PROMPT_TOKENS + workload.NEW_TOKENS), rows.shape
        return rows, logits

    ppo_trainer.batch_generation = batch_generation
    return watch


def trainer(arguments: argparse.Namespace, folder: str) -> PPOTrainer:
    policy = language_model(arguments.model)
    value, reward = scalar_model(arguments.model), scalar_model(arguments.model)
    if arguments.peft_critic:
        from peft import get_peft_model

        value = get_peft_model(value, workload.lora("SEQ_CLS", ["score"]))
    tokenizer = AutoTokenizer.from_pretrained(arguments.model, padding_side="left")
    rows = workload.prompts(policy.config.vocab_size, workload.PPO_ROWS)
    pad(tokenizer, rows)
    data = Dataset.from_dict({"input_ids": rows})
    return PPOTrainer(
        args=config(arguments, folder), processing_class=tokenizer, model=policy, reward_model=reward, value_model=value,
        ref_model=None if arguments.peft else language_model(arguments.model), train_dataset=data, eval_dataset=data,
        peft_config=workload.lora("CAUSAL_LM") if arguments.peft else None,
    )  # fmt: skip


def language_model(folder: str) -> AutoModelForCausalLM:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def scalar_model(folder: str) -> AutoModelForSequenceClassification:
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)


def pad(tokenizer: PreTrainedTokenizerBase, rows: list[list[int]]) -> None:
    """Makes padding a special token that is neither the end of a text nor in the prompts: TRL reads an answer's end from it."""
    used = {token for row in rows for token in row} | {tokenizer.eos_token_id}
    tokenizer.pad_token_id = max(token for token in tokenizer.added_tokens_decoder if token not in used)


def config(arguments: argparse.Namespace, folder: str) -> PPOConfig:
    iterations = arguments.warm_up + arguments.repeats
    return PPOConfig(
        output_dir=folder, per_device_train_batch_size=workload.PPO_ROWS, gradient_accumulation_steps=1, num_mini_batches=1,
        num_ppo_epochs=workload.PPO_EPOCHS, total_episodes=workload.PPO_ROWS * iterations, response_length=workload.NEW_TOKENS,
        local_rollout_forward_batch_size=workload.PPO_ROWS, learning_rate=3e-6, kl_coef=0.05, temperature=0.7, stop_token=None,
        missing_eos_penalty=None, bf16=False, gradient_checkpointing=False, use_cpu=True, report_to=[], num_sample_generations=0,
        save_strategy="no", logging_steps=1000, disable_tqdm=True, seed=0,
    )  # fmt: skip


if __name__ == "__main__":
    main()
