#!/usr/bin/env python3
"""Runs rlhf and its peers in turn on this machine and prints how they compare. Needs nothing but Python; the peers have their own.

Every measurement is a process of its own. A round runs all of them once, ours and then its peers, row by row; rounds are repeated, and
medians over the rounds count. README.md beside this file says what is needed and how the work is kept the same.
"""

import argparse
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Winner and loser in turn: pairs of at most 128 tokens, 139.5 on average, as people's comparisons have.
PAIR_LENGTHS = "83,56,107,82,71,43,67,49"
LIMIT_SECONDS = 900.0
MET, MISSED, FAILED = 0, 1, 2


@dataclass(frozen=True)
class Program:
    """One thing to measure: a command that prints a JSON object."""

    key: str
    label: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    ours: bool = False


@dataclass(frozen=True)
class Bar:
    """What a row has to reach. `least` is how many times faster than `peer`; without one, the bar is on memory."""

    peer: str
    least: float
    limit_share: float | None = None  # of the machine's limit; reaching the smaller of both is enough


@dataclass(frozen=True)
class Row:
    """One line of issue 4's table."""

    key: str
    title: str
    unit: str
    ours: str
    bars: list[Bar]
    most_bytes: float | None = None


@dataclass
class Result:
    """What one process told, and what the system told of it."""

    seconds: float
    tokens_per_second: float
    share: float | None
    peak_bytes: int
    wall: float


@dataclass
class Failure:
    """Why there is no result."""

    reason: str


ROWS = [
    Row("sample1-f32", "sampling, batch 1, f32", "tok/s", "ours-f32-1", [Bar("llama-f32-1", 1.1)]),
    Row("sample1-bf16", "sampling, batch 1, bf16", "tok/s", "ours-bf16-1", [Bar("llama-f16-1", 1.1)]),
    Row("sample8-bf16", "sampling, batch 8, bf16", "tok/s", "ours-bf16-8", [Bar("llama-f16-8", 2.5)]),
    Row("sample8-f32", "sampling, batch 8, f32", "tok/s", "ours-f32-8", [Bar("transformers-8", 4.0)]),
    Row("sample32", "sampling, batch 32, f32", "tok/s", "ours-f32-32", [Bar("transformers-32", 4.0, 0.75)]),
    Row("sample64", "sampling, batch 64, f32", "tok/s", "ours-f32-64", [Bar("transformers-64", 4.0, 0.75)]),
    # Weights that bf16 holds, as released models have, multiplied in f32 on both sides.
    Row("sample32-bf16", "sampling, batch 32, bf16 weights", "tok/s", "ours-bf16-32", [Bar("transformers-32", 4.0, 0.75)]),
    Row("sample64-bf16", "sampling, batch 64, bf16 weights", "tok/s", "ours-bf16-64", [Bar("transformers-64", 4.0, 0.75)]),
    Row("reward-lora", "reward step, 4 pairs, LoRA", "s", "ours-reward-lora", [Bar("trl-reward-lora", 2.0)]),
    Row("reward-full", "reward step, 4 pairs, full", "s", "ours-reward-full", [Bar("trl-reward-full", 1.0)]),
    Row(
        "ppo-lora", "PPO iteration, LoRA", "s", "ours-ppo-lora",
        [Bar("trl-ppo-full", 4.0), Bar("trl-ppo-peft", 3.0)], 1.6e9,
    ),  # fmt: skip
    Row(
        "ppo-lora-upper", "PPO iteration, LoRA, upper half", "s", "ours-ppo-upper",
        [Bar("trl-ppo-full", 4.0), Bar("trl-ppo-peft", 3.0)], 1.6e9,
    ),  # fmt: skip
    Row("ppo-full", "PPO iteration, full", "s", "ours-ppo-full", [Bar("trl-ppo-full", 1.0)], 6.5e9),
    # Products in bf16 on both sides, with the bars of the rows in f32.
    Row("sample8-products", "sampling, batch 8, bf16 products", "tok/s", "ours-products-8", [Bar("transformers-bf16-8", 4.0)]),
    Row("sample32-products", "sampling, batch 32, bf16 products", "tok/s", "ours-products-32", [Bar("transformers-bf16-32", 4.0)]),
    Row("sample64-products", "sampling, batch 64, bf16 products", "tok/s", "ours-products-64", [Bar("transformers-bf16-64", 4.0)]),
    Row("reward-lora-bf16", "reward step, LoRA, bf16", "s", "ours-reward-lora-bf16", [Bar("trl-reward-lora-bf16", 2.0)]),
    Row("reward-full-bf16", "reward step, full, bf16", "s", "ours-reward-full-bf16", [Bar("trl-reward-full-bf16", 1.0)]),
    Row(
        "ppo-lora-bf16", "PPO iteration, LoRA, bf16", "s", "ours-ppo-lora-bf16",
        [Bar("trl-ppo-full-bf16", 4.0), Bar("trl-ppo-peft-bf16", 3.0)], 1.6e9,
    ),  # fmt: skip
    Row(
        "ppo-full-bf16", "PPO iteration, full, bf16", "s", "ours-ppo-full-bf16",
        [Bar("trl-ppo-full-autocast", 1.0), Bar("trl-ppo-full-bf16", 1.0)], 6.5e9,
    ),  # fmt: skip
]


def main() -> int:
    arguments = parse()
    rows = [row for row in ROWS if row.key in arguments.rows]
    use_cores(arguments.threads)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    plan = schedule(rows, programs(arguments))
    about = surroundings(arguments)
    print("\n".join(about), flush=True)
    results: dict[str, list[Result]] = {program.key: [] for program in plan}
    failures: dict[str, Failure] = {}
    try:
        measure(plan, arguments.repeats, results, failures)
    except KeyboardInterrupt:
        print("\nstopped; what there is so far:", flush=True)
    labels = {program.key: program.label for program in plan}
    lines = [line for row in rows for line in compare(row, results)]
    print(table(lines, labels))
    for key, failure in failures.items():
        print(f"{key} failed: {failure.reason}")
    if arguments.json:
        save(arguments, about, lines, results, failures)
    return verdict(lines)


def stop(*_: object) -> None:
    """Ends what is running and leads to the table, also where a shell in the background has these signals ignored."""
    raise KeyboardInterrupt


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="folder that prepare.py made: f32/, bf16/, f32.gguf, f16.gguf")
    parser.add_argument("--rlhf", type=Path, default=HERE.parents[1] / "target/release/rlhf", help="our program (release build)")
    parser.add_argument("--python", default=sys.executable, help="Python that has the peers")
    parser.add_argument("--trl112", type=Path, default=HERE / "trl112", help="folder with TRL 1.12.0")
    keys = [row.key for row in ROWS]
    parser.add_argument("--rows", default=",".join(keys), help="of: %(default)s")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--warm-up", type=int, default=0, help="PPO iterations, ours and TRL's, that don't count, before one that does")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    arguments = parser.parse_args()
    arguments.rows = arguments.rows.split(",")
    if unknown := [key for key in arguments.rows if key not in keys]:
        parser.error(f"--rows: no row is called {unknown[0]}; there are {', '.join(keys)}")
    if arguments.repeats < 1 or arguments.warm_up < 0 or not 1 <= arguments.threads <= len(os.sched_getaffinity(0)):
        parser.error("--repeats must be at least 1, --warm-up at least 0, --threads between 1 and the number of cores")
    if not (arguments.models / "f32" / "config.json").is_file():
        parser.error(f"{arguments.models}/f32 is no model folder; make it with prepare.py")
    if not arguments.rlhf.is_file():
        parser.error(f"{arguments.rlhf} is missing; make it with cargo build --release, or name it with --rlhf")
    return arguments


def use_cores(count: int) -> None:
    """Binds this process, and so all that it starts, to `count` cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def programs(arguments: argparse.Namespace) -> dict[str, Program]:
    """All that can be measured, by key."""
    models = arguments.models
    f32, bf16 = str(models / "f32"), str(models / "bf16")
    config = json.loads((models / "f32" / "config.json").read_text())
    vocabulary, half = str(config["vocab_size"]), str(config["num_hidden_layers"] // 2)
    made: list[Program] = []

    def ours(key: str, label: str, model: str, *options: str) -> None:
        command = [str(arguments.rlhf), "bench", "--device", "cpu", "--model", model, *options, "--quiet", "--json"]
        made.append(Program(key, label, command, ours=True))

    def peer(key: str, label: str, script: str, *options: str, path: Path | None = None) -> None:
        command = [arguments.python, str(HERE / script), *options, "--threads", str(arguments.threads)]
        made.append(Program(key, label, command, {"PYTHONPATH": str(path)} if path else {}))

    eager = ["--attention", "eager"]  # faster than sdpa in bf16, and not in f32
    for batch, repeats in ((1, "2"), (8, "1"), (32, "1"), (64, "1")):
        runs = ["--batch", str(batch), "--repeats", repeats]
        ours(f"ours-f32-{batch}", "rlhf f32", f32, "--what", "sampling", "--greedy", *runs)
        peer(f"transformers-{batch}", "transformers f32", "sample_transformers.py", f32, *runs)
        if batch > 1:
            ours(f"ours-products-{batch}", "rlhf bf16 products", bf16, "--what", "sampling", "--greedy", "--bf16", *runs)
            in_bf16 = ["--dtype", "bfloat16", *eager]
            peer(f"transformers-bf16-{batch}", "transformers bf16", "sample_transformers.py", bf16, *in_bf16, *runs)
        ours(f"ours-bf16-{batch}", "rlhf bf16", bf16, "--what", "sampling", "--greedy", *runs)
        if batch > 8:
            continue
        for kind in ("f32", "f16"):
            gguf = str(models / f"{kind}.gguf")
            peer(f"llama-{kind}-{batch}", f"llama.cpp {kind}", "sample_llamacpp.py", gguf, *runs, "--vocabulary", vocabulary)
    pairs = ["--pair-lengths", PAIR_LENGTHS, "--repeats", "1"]
    ours("ours-reward-lora", "rlhf LoRA", f32, "--what", "reward", *pairs)
    ours("ours-reward-full", "rlhf full", f32, "--what", "reward", "--full", "--no-lora", *pairs)
    peer("trl-reward-lora", "TRL 1.16 + PEFT", "reward_trl.py", f32, "--peft", *pairs)
    peer("trl-reward-full", "TRL 1.16", "reward_trl.py", f32, *pairs)
    ours("ours-reward-lora-bf16", "rlhf LoRA bf16", f32, "--what", "reward", "--bf16", *pairs)
    ours("ours-reward-full-bf16", "rlhf full bf16", f32, "--what", "reward", "--full", "--no-lora", "--bf16", *pairs)
    autocast = ["--bf16", "autocast", *eager]
    peer("trl-reward-lora-bf16", "TRL 1.16 + PEFT bf16", "reward_trl.py", f32, "--peft", *autocast, *pairs)
    peer("trl-reward-full-bf16", "TRL 1.16 bf16", "reward_trl.py", f32, *autocast, *pairs)
    once = ["--warm-up", str(arguments.warm_up), "--repeats", "1"]
    ours("ours-ppo-lora", "rlhf LoRA", f32, "--what", "ppo", *once)
    ours("ours-ppo-upper", f"rlhf LoRA, last {half} layers", f32, "--what", "ppo", "--lora-num-layers", half, *once)
    ours("ours-ppo-full", "rlhf full", f32, "--what", "ppo", "--full", "--no-lora", *once)
    trl112 = arguments.trl112.resolve()
    peer("trl-ppo-peft", "TRL 1.12 + PEFT", "ppo_trl.py", f32, "--peft", "--peft-critic", *once, path=trl112)
    peer("trl-ppo-full", "TRL 1.12", "ppo_trl.py", f32, *once, path=trl112)
    ours("ours-ppo-lora-bf16", "rlhf LoRA bf16", bf16, "--what", "ppo", "--bf16", *once)
    ours("ours-ppo-full-bf16", "rlhf full bf16", bf16, "--what", "ppo", "--full", "--no-lora", "--bf16", *once)
    in_peft = ["--peft", "--peft-critic", "--bf16", "both"]
    peer("trl-ppo-peft-bf16", "TRL 1.12 + PEFT bf16", "ppo_trl.py", bf16, *in_peft, *eager, *once, path=trl112)
    peer("trl-ppo-full-bf16", "TRL 1.12 bf16 weights", "ppo_trl.py", bf16, "--bf16", "weights", *eager, *once, path=trl112)
    peer("trl-ppo-full-autocast", "TRL 1.12 autocast", "ppo_trl.py", bf16, "--bf16", "frozen", *eager, *once, path=trl112)
    return {program.key: program for program in made}


def schedule(rows: list[Row], known: dict[str, Program]) -> list[Program]:
    """What a round runs, in order: ours, then its peers, row by row; what two rows share once."""
    keys = [key for row in rows for key in (row.ours, *(bar.peer for bar in row.bars))]
    return [known[key] for key in dict.fromkeys(keys)]


def measure(plan: list[Program], rounds: int, results: dict[str, list[Result]], failures: dict[str, Failure]) -> None:
    """Fills `results`; a program that fails is left out of later rounds."""
    total, done, started = len(plan) * rounds, 0, time.monotonic()
    for turn in range(1, rounds + 1):
        for program in plan:
            done += 1
            if program.key in failures:
                continue
            head = f"[{done}/{total}] round {turn}/{rounds}  {program.key:<21}"
            if sys.stdout.isatty():
                print(f"{head}  ...", end="\r", flush=True)
            result = run(program)
            if isinstance(result, Failure):
                failures[program.key] = result
                print(f"{head}  FAILED: {result.reason}", flush=True)
                continue
            results[program.key].append(result)
            left = remaining(plan, rounds, turn, program, results)
            print(f"{head}  {shown(result)}  {left}", flush=True)
    print(f"measured in {clock(time.monotonic() - started)}", flush=True)


def shown(result: Result) -> str:
    return (
        f"{result.seconds:8.3f} s  {result.tokens_per_second:8.1f} tok/s  {result.peak_bytes / 1e6:6.0f} MB"
        f"  took {result.wall:5.1f} s"
    )


def remaining(plan: list[Program], rounds: int, turn: int, now: Program, results: dict[str, list[Result]]) -> str:
    """How long the rest takes; unknown before every program has run once."""
    if turn == 1 and now is not plan[-1]:
        return ""
    walls = {key: statistics.mean(r.wall for r in found) for key, found in results.items() if found}
    rest = [program.key for program in plan[plan.index(now) + 1 :]]
    left = sum(walls.get(key, 0.0) for key in rest) + (rounds - turn) * sum(walls.values())
    return f"about {clock(left)} left"


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def run(program: Program) -> Result | Failure:
    """Runs it to its end and reads its last line, or its whole output, as JSON."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.monotonic()
        try:
            process = subprocess.Popen(
                program.command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment(program)
            )
        except OSError as error:
            return Failure(str(error))
        status, peak = wait(process)
        wall = time.monotonic() - started
        out.seek(0), err.seek(0)
        if status != 0:
            return Failure(reason(status, err.read()))
        return read(out.read(), peak, wall, program.ours)


def environment(program: Program) -> dict[str, str]:
    """Offline, on the CPU, as many threads as cores."""
    threads = str(len(os.sched_getaffinity(0)))
    fixed = {
        "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    return os.environ | fixed | program.environment


def wait(process: subprocess.Popen) -> tuple[int, int]:
    """Its exit status and the most memory it held, bytes; it is stopped when it takes too long or when we are."""
    timer = threading.Timer(LIMIT_SECONDS, process.kill)
    timer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except KeyboardInterrupt:
        process.kill()
        os.wait4(process.pid, 0)
        raise
    finally:
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024  # Linux counts in kilobytes


def reason(status: int, errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()] or ["it said nothing"]
    named = [line for line in lines if re.search(r"error\w*:", line, re.IGNORECASE)]
    last = (named or lines)[-1][:300]
    if status < 0:
        name = signal.Signals(-status).name
        return f"ended by {name} (out of memory, or over {LIMIT_SECONDS:.0f} s?); last words: {last}"
    return f"exit code {status}: {last}"


def read(output: str, peak: int, wall: float, ours: bool) -> Result | Failure:
    try:
        if ours:
            (found,) = json.loads(output)["figures"]
        else:
            found = json.loads(output.strip().splitlines()[-1])
        return Result(found["seconds"], found["tokens_per_second"], found.get("share"), peak, wall)
    except (ValueError, KeyError, IndexError) as error:
        return Failure(f"printed no result ({error!r})")


@dataclass
class Line:
    """A line of the table: ours beside one peer, or ours beside a limit."""

    row: str
    title: str
    unit: str
    ours: list[float]
    peer: str | None
    theirs: list[float]
    ratio: float | None
    bar: str
    met: bool | None
    note: str = ""


def compare(row: Row, results: dict[str, list[Result]]) -> list[Line]:
    """The row's lines: one for every peer, and one for memory where that has a bar."""
    ours = results[row.ours]
    lines = [beside(row, bar, ours, results[bar.peer]) for bar in row.bars]
    if row.most_bytes:
        held = [result.peak_bytes / 1e9 for result in ours]
        first = row.bars[0].peer
        theirs = [result.peak_bytes / 1e9 for result in results[first]]
        met = statistics.median(held) <= row.most_bytes / 1e9 if held else None
        bar = f"<= {row.most_bytes / 1e9:.1f} GB"
        lines.append(Line(row.key, f"{row.title}: peak memory", "GB", held, first, theirs, ratio(theirs, held), bar, met))
    return lines


def beside(row: Row, bar: Bar, ours: list[Result], theirs: list[Result]) -> Line:
    pick: Callable[[Result], float] = (lambda r: r.seconds) if row.unit == "s" else (lambda r: r.tokens_per_second)
    our, their = [pick(r) for r in ours], [pick(r) for r in theirs]
    faster = ratio(their, our) if row.unit == "s" else ratio(our, their)
    met: bool | None = None if faster is None else faster >= bar.least
    note, text = "", f">= {bar.least:g}x"
    shares = [r.share for r in ours if r.share is not None]
    if bar.limit_share:
        text += f" or {bar.limit_share:.0%} of limit"
        if shares:
            note = f"{statistics.median(shares):.0%} of limit"
            met = True if statistics.median(shares) >= bar.limit_share else met
    return Line(row.key, row.title, row.unit, our, bar.peer, their, faster, text, met, note)


def ratio(more: list[float], less: list[float]) -> float | None:
    return statistics.median(more) / statistics.median(less) if more and less else None


def table(lines: list[Line], labels: dict[str, str]) -> str:
    head = ["", "ours", "quartiles", "peer", "theirs", "quartiles", "ratio", "bar", "", ""]
    body = [cells(line, labels) for line in lines]
    widths = [max(len(row[column]) for row in [head, *body]) for column in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *body]]
    return "\n" + "\n".join(text)


def cells(line: Line, labels: dict[str, str]) -> list[str]:
    met = {True: "met", False: "MISSED", None: "not measured"}[line.met]
    times = "" if line.ratio is None else f"{line.ratio:.2f}x"
    peer = labels.get(line.peer or "", "")
    ours, theirs = middle(line.ours, line.unit), middle(line.theirs, line.unit)
    return [line.title, ours, quartiles(line.ours), peer, theirs, quartiles(line.theirs), times, line.bar, met, line.note]


def middle(values: list[float], unit: str) -> str:
    return f"{number(statistics.median(values))} {unit}" if values else "-"


def quartiles(values: list[float]) -> str:
    if len(values) < 2:
        return ""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{number(low)}-{number(high)}"


def number(value: float) -> str:
    return f"{value:.1f}" if value >= 20 else f"{value:.2f}"


def surroundings(arguments: argparse.Namespace) -> list[str]:
    """The machine and the versions, a line each; what is missing says so."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    load = os.getloadavg()[0]
    busy = "; BUSY: wait until it is below 0.5, or the figures are off" if load >= 0.5 else ""
    return [
        f"machine: {names[0] if names else platform.machine()}, {arguments.threads} threads, load {load:.2f}{busy}",
        f"ours: {said([str(arguments.rlhf), '--version'])}, {arguments.rlhf}",
        f"peers: {said([arguments.python, '-c', VERSIONS])}",
    ]


VERSIONS = """
from importlib.metadata import PackageNotFoundError, version
def found(name):
    try: return version(name)
    except PackageNotFoundError: return "missing"
print(*(f"{name} {found(name)}" for name in ("torch", "transformers", "trl", "peft", "xllamacpp")), sep=", ")
"""


def said(command: list[str]) -> str:
    """Its output, or why there is none."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        return str(error)


def save(
    arguments: argparse.Namespace, about: list[str], lines: list[Line], results: dict[str, list[Result]], failures: dict[str, Failure]
) -> None:
    content = {
        "about": about,
        "repeats": arguments.repeats,
        "threads": arguments.threads,
        "models": str(arguments.models),
        "lines": [vars(line) for line in lines],
        "results": {key: [vars(result) for result in found] for key, found in results.items()},
        "failures": {key: failure.reason for key, failure in failures.items()},
    }
    arguments.json.write_text(json.dumps(content, indent=2) + "\n")


def verdict(lines: list[Line]) -> int:
    """0: every bar met; 1: one missed; 2: one not measured."""
    if any(line.met is None for line in lines):
        return FAILED
    return MET if all(line.met for line in lines) else MISSED


if __name__ == "__main__":
    sys.exit(main())
