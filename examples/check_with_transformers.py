#!/usr/bin/env python3
"""Checks models exported by rlhf against Hugging Face transformers: the same folder, the same numbers.

    pip install torch transformers safetensors
    cargo build --release
    python examples/check_with_transformers.py --policy runs/ppo-001/model --reward runs/reward-001/model --data held_out.jsonl

A policy is loaded as AutoModelForCausalLM and compared with `rlhf inspect --json` (log-probabilities, ranks, entropies, and
log-ratios with --against) and with `rlhf generate --greedy --json`. A reward model is loaded as
AutoModelForSequenceClassification and compared with `rlhf reward score` (raw scores; the normalised ones must be an increasing
affine map of them) and, when a policy is given too, with the score that `rlhf inspect --reward-model` prints.
Every weight must be found in the folder and none be left over. Everything is computed in f32 on the CPU.

--data takes JSONL rows {"prompt", "response"} or {"prompt", "chosen", "rejected"}; prompts may be lists of messages.
Exit status: 0 all agree, 1 a comparison failed, 2 the check could not be made.
"""
import argparse
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
DEFAULT_TEXTS = [
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "<|im_start|>user\nHow do I keep basil fresh for a week?<|im_end|>\n<|im_start|>assistant\nStand it in water.<|im_end|>\n",
    "fn main() {\n    println!(\"naïve café, 3.14159, 日本語\");\n}\n",
]


class CannotCheck(Exception):
    """The comparison could not be made; its text says why and what to do."""


class Report:
    """Prints one line per comparison and remembers whether one failed."""

    def __init__(self, tolerance):
        self.tolerance, self.failed, self.made = tolerance, 0, 0

    def line(self, good, what, detail):
        self.made += 1
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'}  {what:<52} {detail}", flush=True)

    def numbers(self, what, ours, theirs):
        """Compares two lists of equal length; NaN anywhere fails."""
        if len(ours) != len(theirs) or not ours:
            return self.line(False, what, f"{len(ours)} numbers from rlhf, {len(theirs)} from transformers")
        if not all(isinstance(x, (int, float)) for x in ours):
            return self.line(False, what, f"rlhf printed {next(x for x in ours if not isinstance(x, (int, float)))!r} for a number")
        gap = (torch.tensor(ours, dtype=torch.float64) - torch.tensor(theirs, dtype=torch.float64)).abs()
        worst = int(torch.nan_to_num(gap, nan=float("inf")).argmax())
        good = bool((gap <= self.tolerance).all())
        self.line(good, what, f"n {len(ours)}, largest difference {gap[worst]:.2e} (rlhf {ours[worst]:.6f}, transformers {theirs[worst]:.6f})")


def run(arguments):
    """Runs rlhf and returns what it printed on standard output."""
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, encoding="utf-8")
    except OSError as error:
        raise CannotCheck(f"{arguments[0]}: {error.strerror}; build it (`cargo build --release`) or name it with --rlhf") from error
    if done.returncode != 0:
        raise CannotCheck(f"`{shlex.join(arguments)}` exited {done.returncode}:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def parse(text, arguments):
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise CannotCheck(f"`{shlex.join(arguments)}` printed no JSON ({error}): {text[:200]!r}") from error


def run_json(arguments):
    return parse(run(arguments), arguments)


def load(kind, folder, report):
    """Loads a folder and fails the check when transformers had to invent or drop weights."""
    if not (pathlib.Path(folder) / "config.json").is_file():
        raise CannotCheck(f"{folder}: no config.json; give the exported model folder, for example runs/ppo-001/model")
    options = dict(dtype=torch.float32, output_loading_info=True)
    if kind is AutoModelForSequenceClassification:
        options["num_labels"] = 1
    model, info = kind.from_pretrained(folder, **options)
    wrong = {k: sorted(map(str, info[k])) for k in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[k]}
    parameters = sum(p.numel() for p in model.parameters())
    report.line(not wrong, f"transformers loads {folder}", str(wrong) if wrong else f"{type(model).__name__}, {parameters:,} parameters")
    return model.eval()


def load_tokenizer(folder):
    has = (pathlib.Path(folder) / "tokenizer.json").is_file()
    return AutoTokenizer.from_pretrained(folder) if has else None


@torch.no_grad()
def log_softmax(model, ids):
    """Log-probabilities of every next token, f64 `[tokens, vocabulary]`."""
    return model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)


def check_inspect(args, report, model, against, name, source):
    """Compares `rlhf inspect --json` for one text or list of ids, on the ids it printed."""
    command = [args.rlhf, "inspect", "--model", args.policy, *source, "--json"]
    command += ["--against", args.against] if against is not None else []
    tokens = run_json(command)["tokens"]
    ids = [t["id"] for t in tokens]
    if source[0] == "--ids":
        report.line(source[1] == ",".join(map(str, ids)), f"{name}: ids", f"{len(ids)} tokens")
    else:
        expected = load_tokenizer(args.policy)(source[1]).input_ids
        report.line(ids == expected, f"{name}: tokenizer", f"{len(ids)} tokens" if ids == expected else f"rlhf {ids[:12]}…, transformers {expected[:12]}…")
    if len(ids) < 2:
        raise CannotCheck(f"{name}: {len(ids)} token(s); a comparison needs at least two")
    report.line(tokens[0]["logprob"] is None, f"{name}: first log-probability is null", repr(tokens[0]["logprob"]))
    table, rest = log_softmax(model, ids)[:-1], tokens[1:]
    chosen = table.gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]
    report.numbers(f"{name}: log-probabilities", [t["logprob"] for t in rest], chosen.tolist())
    report.numbers(f"{name}: entropies", [t["entropy"] for t in rest], (-(table.exp() * table).sum(-1)).tolist())
    more = (table > chosen[:, None] + args.tolerance).sum(-1) + 1
    most = (table >= chosen[:, None] - args.tolerance).sum(-1)
    ranks = [t["rank"] for t in rest]
    good = all(low <= r <= high for low, r, high in zip(more.tolist(), ranks, most.tolist()))
    report.line(good, f"{name}: ranks (1 = most likely)", f"rlhf {ranks[:6]}…, transformers {more.tolist()[:6]}…")
    if against is not None:
        other = log_softmax(against, ids)[:-1].gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]
        report.numbers(f"{name}: log-ratios to {args.against}", [t["logratio"] for t in rest], (chosen - other).tolist())


def check_greedy(args, report, model, prompt):
    """Every greedy token must be the most likely one, or within the tolerance of it."""
    out = run_json([args.rlhf, "generate", "--model", args.policy, "--prompt", prompt, "--greedy", "--max-new-tokens", str(args.new_tokens), "--json"])
    sample, start = out["samples"][0], len(out["prompt_ids"])
    table = log_softmax(model, out["prompt_ids"] + sample["ids"])[start - 1:-1]
    chosen = table.gather(-1, torch.tensor(sample["ids"])[:, None])[:, 0]
    behind = (table.max(-1).values - chosen).max().item()
    report.line(behind <= args.tolerance, "greedy: every token is the most likely one", f"n {len(sample['ids'])}, at most {behind:.2e} nats behind; {sample['text'][:40]!r}")
    report.numbers("greedy: log-probabilities through the KV cache", sample["logprobs"], chosen.tolist())


def check_policy(args, report):
    model = load(AutoModelForCausalLM, args.policy, report)
    against = load(AutoModelForCausalLM, args.against, report) if args.against else None
    if args.ids:
        check_inspect(args, report, model, against, "ids", ["--ids", args.ids])
    if load_tokenizer(args.policy) is None:
        if not args.ids:
            raise CannotCheck(f"{args.policy}: no tokenizer.json; give token ids with --ids 1,2,3")
        return
    texts = args.text or ([] if args.ids else DEFAULT_TEXTS)
    for i, text in enumerate(texts, 1):
        check_inspect(args, report, model, against, f"text {i}", ["--text", text])
    check_greedy(args, report, model, (texts or DEFAULT_TEXTS)[0])


def read_rows(path, limit):
    """At most `limit` {"prompt", "response"} rows; a preference pair gives two."""
    rows = []
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        try:
            row = json.loads(line)
            responses = [row[k] for k in ("response", "chosen", "rejected") if k in row]
            rows += [dict(prompt=row["prompt"], response=r if isinstance(r, str) else r[-1]["content"]) for r in responses]
        except (json.JSONDecodeError, KeyError, TypeError, IndexError) as error:
            raise CannotCheck(f"{path}:{number}: not a row with a prompt and a response ({error!r})") from error
        if len(rows) >= limit:
            break
    if not rows:
        raise CannotCheck(f"{path}: no rows")
    return rows[:limit]


def token_ids(tokenizer, row):
    """Prompt and response tokenised apart and concatenated, then EOS: what the reward model reads."""
    if isinstance(row["prompt"], str):
        prompt = tokenizer(row["prompt"]).input_ids
    else:
        text = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        prompt = tokenizer(text, add_special_tokens=False).input_ids
    return prompt + tokenizer(row["response"], add_special_tokens=False).input_ids + [tokenizer.eos_token_id]


@torch.no_grad()
def raw_scores(model, batches, pad):
    """Scores of right-padded batches, read where transformers reads them: at the last id that is not `pad`."""
    scores = []
    for batch in batches:
        width = max(map(len, batch))
        ids = torch.tensor([x + [pad] * (width - len(x)) for x in batch])
        mask = torch.tensor([[1] * len(x) + [0] * (width - len(x)) for x in batch])
        scores += model(input_ids=ids, attention_mask=mask).logits[:, 0].tolist()
    return scores


def affine(raw, scores):
    """Gain and bias of the line through the rows with the lowest and the highest raw score."""
    low, high = min(range(len(raw)), key=raw.__getitem__), max(range(len(raw)), key=raw.__getitem__)
    if raw[high] - raw[low] < 1e-6:
        raise CannotCheck("every row has the same raw score; give --data with more varied rows")
    gain = (scores[high] - scores[low]) / (raw[high] - raw[low])
    return gain, scores[low] - gain * raw[low]


def check_reward(args, report):
    model, tokenizer = load(AutoModelForSequenceClassification, args.reward, report), load_tokenizer(args.reward)
    pad = model.config.pad_token_id
    if tokenizer is None:
        raise CannotCheck(f"{args.reward}: no tokenizer.json, and `rlhf reward score` reads text")
    rows = read_rows(args.data, args.rows)
    ids = [token_ids(tokenizer, row) for row in rows]
    kept = [i for i, x in enumerate(ids) if len(x) <= args.max_length]
    if len(kept) < 2:
        raise CannotCheck(f"{args.data}: {len(kept)} row(s) of at most {args.max_length} tokens; at least two are needed")
    rows, ids = [rows[i] for i in kept], [ids[i] for i in kept]
    good = pad is not None and not any(pad in x for x in ids)
    report.line(good, "pad_token_id occurs in no scored text", f"pad_token_id {pad}")
    if not good:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        command = [args.rlhf, "reward", "score", "--model", args.reward, "--data", str(path)]
        scored = [parse(line, command) for line in run(command).splitlines() if line.strip()]
    batches = [ids[i:i + 8] for i in range(0, len(ids), 8)]
    raw, ours = raw_scores(model, batches, pad), [row["raw_score"] for row in scored]
    report.numbers("reward: raw scores", ours, raw)
    alone = raw_scores(model, [[x] for x in ids], pad)
    report.numbers("reward: raw scores, one row at a time", ours, alone)
    if len(ours) != len(raw):
        return
    gain, bias = affine(raw, [row["score"] for row in scored])
    report.line(gain > 0, "reward: normalisation keeps the order", f"score = {gain:.6f} · raw {bias:+.6f}")
    report.numbers("reward: scores are an affine map of the raw ones", [row["score"] for row in scored], [gain * x + bias for x in raw])
    if args.policy and same_tokenizer(args.policy, args.reward):
        check_inspected_scores(args, report, model, tokenizer, rows[:3], (gain, bias))


def same_tokenizer(one, other):
    files = [pathlib.Path(folder) / "tokenizer.json" for folder in (one, other)]
    return all(f.is_file() for f in files) and files[0].read_bytes() == files[1].read_bytes()


def check_inspected_scores(args, report, model, tokenizer, rows, line):
    """`rlhf inspect --reward-model`: the score, raw or normalised, at the position it names (one past the text is EOS)."""
    for i, row in enumerate((r for r in rows if isinstance(r["prompt"], str)), 1):
        out = run_json([args.rlhf, "inspect", "--model", args.policy, "--text", row["prompt"] + row["response"], "--reward-model", args.reward, "--json"])
        ids, position = [t["id"] for t in out["tokens"]] + [tokenizer.eos_token_id], out["score_position"]
        if not isinstance(position, int) or not 0 <= position < len(ids):
            report.line(False, f"inspect {i}: score_position", f"{position!r} of {len(ids) - 1} tokens and EOS")
            continue
        raw = raw_scores(model, [[ids[:position + 1]]], model.config.pad_token_id)[0]
        nearest = min((raw, line[0] * raw + line[1]), key=lambda x: abs(x - out["score"]))
        report.numbers(f"inspect {i}: score at position {position} of {len(ids) - 1}", [out["score"]], [nearest])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rlhf", default="target/release/rlhf", help="the binary (default: %(default)s)")
    parser.add_argument("--policy", metavar="DIR", help="an exported policy")
    parser.add_argument("--against", metavar="DIR", help="also compare log-ratios to this model, for example the reference")
    parser.add_argument("--reward", metavar="DIR", help="an exported reward model; needs --data")
    parser.add_argument("--data", metavar="JSONL", help="rows for the reward model")
    parser.add_argument("--rows", type=int, default=32, help="responses to score (default: %(default)s)")
    parser.add_argument("--max-length", type=int, default=256, help="longer rows are left out, in tokens (default: %(default)s)")
    parser.add_argument("--text", action="append", help="a text to inspect, may be repeated (default: three built-in ones)")
    parser.add_argument("--ids", help="token ids to inspect, 1,2,3: for folders without a tokenizer")
    parser.add_argument("--new-tokens", type=int, default=24, help="greedy tokens to compare (default: %(default)s)")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="largest absolute difference (default: %(default)s)")
    args = parser.parse_args()
    if not (args.policy or args.reward):
        parser.error("nothing to check: give --policy DIR, --reward DIR or both")
    if args.reward and not args.data:
        parser.error("--reward needs --data FILE.jsonl, for example the held-out pairs it was evaluated on")
    return args


def main():
    args = arguments()
    report = Report(args.tolerance)
    try:
        if args.policy:
            check_policy(args, report)
        if args.reward:
            check_reward(args, report)
    except (CannotCheck, OSError, KeyError) as error:
        reason = f"rlhf's output has no {error}" if isinstance(error, KeyError) else error
        print(f"cannot check: {reason}", file=sys.stderr)
        return 2
    print(f"{report.made - report.failed} of {report.made} comparisons agree (tolerance {args.tolerance:g})")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
