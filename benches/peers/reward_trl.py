"""A reward model's update by TRL's RewardTrainer: all pairs in one batch; with LoRA or all weights.

f32, or bf16 in one of the ways that TRL's users have (`--bf16`):
  autocast  RewardConfig(bf16=True), which is TRL's default: weights in f32, forward and backward under autocast
  weights   the model loaded in bf16, without autocast
  both      the model loaded in bf16, under autocast
"""

import argparse
import tempfile

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback
from trl import RewardConfig, RewardTrainer

import workload


class Clock(TrainerCallback):
    """Seconds of every update: forward, backward, clipping and optimiser."""

    def __init__(self) -> None:
        self.watch = workload.Watch()

    def on_step_begin(self, *_: object, **__: object) -> None:
        self.watch.start()

    def on_step_end(self, *_: object, **__: object) -> None:
        self.watch.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder")
    parser.add_argument("--peft", action="store_true", help="LoRA of rank 16 on all linear layers")
    parser.add_argument("--bf16", choices=["autocast", "weights", "both"], help="see above; f32 without it")
    workload.attention(parser)
    parser.add_argument("--pair-lengths", default="128,128,128,128,128,128,128,128", help="as of rlhf bench")
    parser.add_argument("--repeats", type=int, default=1, help="updates that count, after one to warm up")
    workload.threads(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lengths = [int(length) for length in arguments.pair_lengths.split(",")]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer(arguments, lengths, clock, folder).train()
    assert len(clock.watch.clock) == arguments.repeats + 1, clock.watch.clock
    clock.watch.report(1, sum(lengths))


def trainer(arguments: argparse.Namespace, lengths: list[int], clock: Clock, folder: str) -> RewardTrainer:
    dtype = torch.bfloat16 if arguments.bf16 in ("weights", "both") else torch.float32
    model = AutoModelForSequenceClassification.from_pretrained(
        arguments.model, num_labels=1, dtype=dtype, attn_implementation=arguments.attention
    )  # fmt: skip
    rows = workload.pairs(model.config.vocab_size, lengths)
    config = RewardConfig(
        output_dir=folder, per_device_train_batch_size=len(rows), max_steps=arguments.repeats + 1, max_length=max(lengths),
        learning_rate=1e-4 if arguments.peft else 1e-5, use_cpu=True, bf16=arguments.bf16 in ("autocast", "both"),
        gradient_checkpointing=False, save_strategy="no", report_to=[], logging_steps=1000, disable_tqdm=True,
    )  # fmt: skip
    return RewardTrainer(
        model=model, args=config, train_dataset=Dataset.from_list(rows), callbacks=[clock],
        processing_class=AutoTokenizer.from_pretrained(arguments.model),
        peft_config=workload.lora("SEQ_CLS", ["score"]) if arguments.peft else None,
    )  # fmt: skip


if __name__ == "__main__":
    main()
