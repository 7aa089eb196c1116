"""Makes what compare.py measures out of one model folder: the weights as f32 and as bf16, and llama.cpp's files of them.

rlhf keeps in bf16 whatever bf16 holds exactly. A model released in bf16 would thus run in bf16 in the rows that compare f32 with f32;
such weights are moved by about one part in ten thousand in the f32 folder. Speed doesn't depend on the values.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model folder: config.json, tokenizer.json, model.safetensors")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--converter", type=Path, help="convert_hf_to_gguf.py of llama.cpp's source; without it, no GGUF files")
    arguments = parser.parse_args()
    if not (arguments.model / "config.json").is_file():
        parser.error(f"{arguments.model} is no model folder: config.json is missing")
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model.to(torch.bfloat16).save_pretrained(arguments.out / "bf16")
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    if moved := move_off_bf16(model):
        print(f"moved {moved} matrices by about 1e-4 of their values, since bf16 held them exactly")
    model.save_pretrained(arguments.out / "f32")
    for kind in ("f32", "bf16"):
        tokenizer.save_pretrained(arguments.out / kind)
    if arguments.converter:
        convert(arguments.converter, arguments.out)
    print(f"made {arguments.out}: {', '.join(sorted(path.name for path in arguments.out.iterdir()))}")


def move_off_bf16(model: torch.nn.Module) -> int:
    """Gives every matrix that bf16 holds exactly values that it doesn't; how many there were."""
    generator = torch.Generator().manual_seed(0)
    exact = [weight for weight in model.parameters() if weight.dim() == 2 and torch.equal(weight, weight.bfloat16().float())]
    with torch.no_grad():
        for weight in exact:
            weight.mul_(1 + 1e-4 * torch.rand(weight.shape, generator=generator))
    return len(exact)


def convert(converter: Path, out: Path) -> None:
    for kind in ("f32", "f16"):
        file = out / f"{kind}.gguf"
        subprocess.run([sys.executable, converter, out / "f32", "--outtype", kind, "--outfile", file], check=True)


if __name__ == "__main__":
    main()
