"""PPO iterations by TRL 1.12's PPOTrainer: 8 prompts of 32 tokens, 64 new ones, 4 epochs, one minibatch.

Four models, as the trainer wants them: policy, reference, reward and value. With `--peft` the policy gets LoRA through the trainer's
`peft_config` and is its own reference, and with `--peft-critic` the value model gets LoRA too, which the trainer leaves to its caller.

f32, or bf16 in one of the ways that TRL's users have (`--bf16`):
  flag      PPOConfig(bf16=True) and nothing else: PPOTrainer makes its Accelerator without it, so all stays f32
  autocast  what `accelerate launch --mixed_precision bf16` does: updates under autocast, rollouts in f32
  frozen    autocast, and the models that are not trained loaded in bf16
  weights   all models loaded in bf16, as TRL's example script does with --dtype bfloat16
  both      weights and autocast
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial

import torch
from datasets import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

import workload

try:
    import trl.experimental.ppo.ppo_trainer as ppo_trainer
    from trl.experimental.ppo import PPOConfig, PPOTrainer
except ImportError as error:
    sys.exit(f"TRL 1.12 is needed, the last that has PPO; put it on PYTHONPATH (compare.py: --trl112 FOLDER): {error}")

WAYS = ["flag", "autocast", "frozen", "weights", "both"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder")
    parser.add_argument("--peft", action="store_true", help="LoRA of rank 16 on all linear layers of the policy")
    parser.add_argument("--peft-critic", action="store_true", help="the same for the value model")
    parser.add_argument("--bf16", choices=WAYS, help="see above; f32 without it")
    workload.attention(parser)
    parser.add_argument("--warm-up", type=int, default=0, help="iterations that don't count")
    parser.add_argument("--repeats", type=int, default=1, help="iterations that count")
    workload.threads(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.bf16 in ("autocast", "frozen", "both"):
        os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16"  # as accelerate's launcher hands it on; PPOTrainer has no other way to it
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
    trained, frozen = loaders(arguments)
    policy = trained(AutoModelForCausalLM)
    value, reward = (load(AutoModelForSequenceClassification, num_labels=1) for load in (trained, frozen))
    if arguments.peft_critic:
        from peft import get_peft_model

        value = get_peft_model(value, workload.lora("SEQ_CLS", ["score"]))
    tokenizer = AutoTokenizer.from_pretrained(arguments.model, padding_side="left")
    rows = workload.prompts(policy.config.vocab_size, workload.PPO_ROWS)
    pad(tokenizer, rows)
    data = Dataset.from_dict({"input_ids": rows})
    return PPOTrainer(
        args=config(arguments, folder), processing_class=tokenizer, model=policy, reward_model=reward, value_model=value,
        ref_model=None if arguments.peft else frozen(AutoModelForCausalLM), train_dataset=data, eval_dataset=data,
        peft_config=workload.lora("CAUSAL_LM") if arguments.peft else None,
    )  # fmt: skip


def loaders(arguments: argparse.Namespace) -> tuple[Callable[..., PreTrainedModel], Callable[..., PreTrainedModel]]:
    """Of the models that are trained, and of those that are not: they differ in the type of the weights."""

    def load(dtype: torch.dtype, kind: type, **options: object) -> PreTrainedModel:
        return kind.from_pretrained(arguments.model, dtype=dtype, attn_implementation=arguments.attention, **options)

    trained = torch.bfloat16 if arguments.bf16 in ("weights", "both") else torch.float32
    return partial(load, trained), partial(load, torch.bfloat16 if arguments.bf16 == "frozen" else trained)


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
        missing_eos_penalty=None, bf16=arguments.bf16 is not None, gradient_checkpointing=False, use_cpu=True, report_to=[],
        num_sample_generations=0, save_strategy="no", logging_steps=1000, disable_tqdm=True, seed=0,
    )  # fmt: skip


if __name__ == "__main__":
    main()
