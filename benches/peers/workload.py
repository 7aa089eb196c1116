"""The work that all scripts here and `rlhf bench` (src/round/bench/work.rs) do: the same made-up tokens, the same numbers of them."""

import argparse
import json
import os
import resource
import sys

PROMPT_TOKENS = 32
NEW_TOKENS = 64
PPO_ROWS = 8
PPO_EPOCHS = 4
LORA_RANK = 16
LORA_ALPHA = 32


def tokens(vocabulary: int, row: int, count: int) -> list[int]:
    """`count` made-up token ids that differ from row to row, as `tokens` in work.rs makes them."""
    return [(row * 7919 + at * 104_729 + 20) % vocabulary for at in range(count)]


def prompts(vocabulary: int, rows: int) -> list[list[int]]:
    """Prompts of `PROMPT_TOKENS` tokens."""
    return [tokens(vocabulary, row, PROMPT_TOKENS) for row in range(rows)]


def pairs(vocabulary: int, lengths: list[int]) -> list[dict[str, list[int]]]:
    """Winner and loser of every pair; `lengths` holds their tokens in turn."""
    answers = [tokens(vocabulary, row, count) for row, count in enumerate(lengths)]
    return [{"chosen_ids": w, "rejected_ids": l} for w, l in zip(answers[::2], answers[1::2])]


def threads(parser: argparse.ArgumentParser) -> None:
    """Adds `--threads`."""
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")


def lora(task: str, saved: list[str] | None = None):
    """Adapters as `rlhf` attaches them: all linear layers of the blocks."""
    from peft import LoraConfig

    return LoraConfig(
        r=LORA_RANK, lora_alpha=LORA_ALPHA, lora_dropout=0.0, target_modules="all-linear",
        modules_to_save=saved, task_type=task,
    )  # fmt: skip


def peak_bytes() -> int:
    """The most memory that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def report(seconds: list[float], tokens_done: int, **more: object) -> None:
    """Prints the result, one line of JSON: the median of `seconds` and the tokens of one run in a second."""
    ordered = sorted(seconds)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    line = {"seconds": median, "all": seconds, "tokens_per_second": tokens_done / median, "peak_bytes": peak_bytes()}
    print(json.dumps(line | more), flush=True)
