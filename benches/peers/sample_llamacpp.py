"""Greedy sampling by llama.cpp (its server inside the xllamacpp wheel, without HTTP): prompts of 32 tokens, 64 new ones."""

import argparse
import json
import os
import threading

import xllamacpp

import workload


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", help="GGUF file")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1, help="runs that count, after one to warm up")
    parser.add_argument("--vocabulary", type=int, default=49_152, help="number of the model's tokens")
    workload.threads(parser)
    arguments = parser.parse_args()
    if not os.path.isfile(arguments.gguf):
        parser.error(f"{arguments.gguf} is missing; make it with prepare.py --converter")
    server = xllamacpp.Server(parameters(arguments))
    prompts = workload.prompts(arguments.vocabulary, arguments.batch)
    watch = workload.Watch()
    for _ in range(arguments.repeats + 1):
        watch.time(lambda: sample(server, prompts))
    watch.report(1, arguments.batch * workload.NEW_TOKENS)
    os._exit(0)  # the server's threads wait for requests


def parameters(arguments: argparse.Namespace) -> xllamacpp.CommonParams:
    made = xllamacpp.CommonParams()
    made.model.path = arguments.gguf
    made.n_parallel = arguments.batch
    made.n_ctx = arguments.batch * 160
    made.n_batch = made.n_ubatch = max(512, arguments.batch * workload.PROMPT_TOKENS)
    made.cpuparams.n_threads = made.cpuparams_batch.n_threads = arguments.threads
    made.n_gpu_layers = 0
    made.cont_batching = True
    made.kv_unified = False
    made.warmup = True
    return made


def sample(server: xllamacpp.Server, prompts: list[list[int]]) -> None:
    """All prompts together: a request each, all at once, one slot each."""
    answers: list[dict | None] = [None] * len(prompts)

    def ask(slot: int) -> None:
        request = {
            "prompt": prompts[slot], "n_predict": workload.NEW_TOKENS, "temperature": 0.0, "ignore_eos": True,
            "cache_prompt": False, "id_slot": slot,
        }  # fmt: skip
        answer = server.handle_completions(request)
        answers[slot] = json.loads(answer) if isinstance(answer, (str, bytes)) else answer

    asking = [threading.Thread(target=ask, args=(slot,)) for slot in range(len(prompts))]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    check(answers)


def check(answers: list[dict | None]) -> None:
    """Every answer has all its tokens."""
    for answer in answers:
        usage = (answer or {}).get("usage", {})
        counts = usage.get("prompt_tokens"), usage.get("completion_tokens")
        assert counts == (workload.PROMPT_TOKENS, workload.NEW_TOKENS), answer


if __name__ == "__main__":
    main()
