"""Greedy sampling by transformers' generate(): prompts of 32 tokens, 64 new ones, key-value cache, f32."""

import argparse
import time

import torch
from transformers import AutoModelForCausalLM

import workload


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1, help="runs that count, after one to warm up")
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--cache", default="dynamic", choices=["dynamic", "static"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    workload.threads(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dtype = getattr(torch, arguments.dtype)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=dtype, attn_implementation=arguments.attention)
    model.eval()
    model.generation_config.eos_token_id = None  # every answer as long as the others, at no cost per token
    ids = torch.tensor(workload.prompts(model.config.vocab_size, arguments.batch))
    cache = None if arguments.cache == "dynamic" else arguments.cache
    sample(model, ids, 8, cache)
    seconds = [timed(model, ids, cache) for _ in range(arguments.repeats)]
    workload.report(seconds, arguments.batch * workload.NEW_TOKENS)


def timed(model, ids: torch.Tensor, cache: str | None) -> float:
    started = time.perf_counter()
    answers = sample(model, ids, workload.NEW_TOKENS, cache)
    seconds = time.perf_counter() - started
    assert answers.shape == (ids.shape[0], workload.PROMPT_TOKENS + workload.NEW_TOKENS), answers.shape
    return seconds


def sample(model, ids: torch.Tensor, count: int, cache: str | None) -> torch.Tensor:
    with torch.inference_mode():
        return model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, use_cache=True,
            cache_implementation=cache, pad_token_id=0,
        )  # fmt: skip


if __name__ == "__main__":
    main()
