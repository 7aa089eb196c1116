"""Greedy sampling by transformers' generate(): prompts of 32 tokens, 64 new ones, key-value cache, f32 or bf16."""

import argparse

import torch
from transformers import AutoModelForCausalLM

import workload


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1, help="runs that count, after one to warm up")
    workload.attention(parser)
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
    watch = workload.Watch()
    watch.time(lambda: sample(model, ids, 8, cache))
    for _ in range(arguments.repeats):
        watch.time(lambda: sample(model, ids, workload.NEW_TOKENS, cache))
    watch.report(1, arguments.batch * workload.NEW_TOKENS)


def sample(model, ids: torch.Tensor, count: int, cache: str | None) -> None:
    with torch.inference_mode():
        answers = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, use_cache=True,
            cache_implementation=cache, pad_token_id=0,
        )  # fmt: skip
    assert answers.shape == (ids.shape[0], workload.PROMPT_TOKENS + count), answers.shape


if __name__ == "__main__":
    main()
