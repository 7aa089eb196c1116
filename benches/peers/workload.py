"""The work that all scripts here and `rlhf bench` (src/round/bench/work.rs) do: the same made-up tokens, the same numbers of them."""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable

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


def attention(parser: argparse.ArgumentParser) -> None:
    """Adds `--attention`, of transformers' implementations."""
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"], help="default: sdpa, as is transformers'")


def lora(task: str, saved: list[str] | None = None):
    """Adapters as `rlhf` attaches them: all linear layers of the blocks."""
    from peft import LoraConfig

    return LoraConfig(
        r=LORA_RANK, lora_alpha=LORA_ALPHA, lora_dropout=0.0, target_modules="all-linear",
        modules_to_save=saved, task_type=task,
    )  # fmt: skip


class Watch:
    """Seconds of runs: by the clock, and of all cores together, which tells whether something else was using them."""

    def __init__(self) -> None:
        self.clock: list[float] = []
        self.cores: list[float] = []
        self.started = (0.0, 0.0)

    def start(self) -> None:
        self.started = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        clock, cores = self.started
        self.clock.append(time.perf_counter() - clock)
        self.cores.append(time.process_time() - cores)

    def time(self, work: Callable[[], None]) -> None:
        self.start()
        work()
        self.stop()

    def report(self, warm_up: int, tokens_done: int) -> None:
        """Prints the result, one line of JSON: the median of the runs after `warm_up`, and the tokens of one run in a second."""
        counted = self.clock[warm_up:]
        seconds = statistics.median(counted)
        line = {
            "seconds": seconds, "tokens_per_second": tokens_done / seconds, "peak_bytes": peak_bytes(), "all": counted,
            "warm_up": self.clock[:warm_up], "core_seconds": self.cores,
        }  # fmt: skip
        print(json.dumps(line), flush=True)


def peak_bytes() -> int:
    """The most memory that this process has held (Linux counts in kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
