"""What this machine can do: matrix products, convolutions, memory bandwidth.

The floor of a network's time is its operations over these rates, and the bytes it must move over
the bandwidth (docs/performance.md).  A multiply-add counts as two operations; each rate is the best
of the repeats, as it stands for what is possible.  Convolutions are those of the R50-FPN model at
1333x800 that most of its operations are in, in channels_last memory, without gradients.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

from benchmarks.inference import count
from hmor_d2.modeling import has_bfloat16_units

# A slow case, as bfloat16 where the processor has no units for it, is not repeated beyond this.
_ENOUGH_S = 1.5
_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# name: (channels in, out, kernel, height, width)
_CONVOLUTIONS = {
    "3x3, 256 channels, 200x336 (p2)": (256, 256, 3, 200, 336),
    "3x3, 256 channels, 50x84 (res4)": (256, 256, 3, 50, 84),
    "1x1, 256 to 64, 200x336 (res2)": (256, 64, 1, 200, 336),
    "1x1, 1024 to 256, 50x84 (res4)": (1024, 256, 1, 50, 84),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=count, default=2048, help="rows and columns of the matrices")
    parser.add_argument("--megabytes", type=count, default=256, help="of the array that is copied")
    parser.add_argument("--scale", type=float, default=1.0, help="of the images' height and width")
    parser.add_argument("--repeats", type=count, default=5)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=count, default=torch.get_num_threads(), help="on the CPU")
    parser.add_argument("--json", help="file for the figures")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    where = f"{args.threads} threads, {platform.processor() or platform.machine()}"
    if args.device != "cpu":
        where = torch.cuda.get_device_name(torch.device(args.device))
    units = {"bfloat16_units": has_bfloat16_units()} if args.device == "cpu" else {}
    print(f"{where}, torch {torch.__version__}, best of {args.repeats}")
    with torch.inference_mode():
        figures = {"device": where, "torch": torch.__version__, **units} | {
            "gflops": {name: rates(dtype, args) for name, dtype in _TYPES.items()},
            "gigabytes_per_second": bandwidth(args),
        }
    print(f"\n{'GFLOP/s':<36}" + "".join(f"{name:>12}" for name in _TYPES))
    for row in figures["gflops"]["float32"]:
        values = (figures["gflops"][name][row] for name in _TYPES)
        print(f"{row:<36}" + "".join(f"{value:>12.1f}" for value in values))
    print(f"\n{'GB/s':<36}")
    for row, value in figures["gigabytes_per_second"].items():
        print(f"{row:<36}{value:>12.1f}")
    if args.device == "cpu":
        chosen = "in part in bfloat16" if figures["bfloat16_units"] else "in float32 alone"
        print(f"\noptimize_for_inference lets this processor compute {chosen}.")
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")
        print(f"\nWrote {args.json}")


def rates(dtype: torch.dtype, args: argparse.Namespace) -> dict[str, float]:
    """Operations a second, in 1e9, of a matrix product and of each convolution."""
    a, b = (torch.randn(args.size, args.size, device=args.device).to(dtype) for _ in range(2))
    seconds = fastest(lambda: a @ b, args)
    found = {f"matrices of {args.size} x {args.size}": 2 * args.size**3 / seconds / 1e9}
    for name, (channels, out, kernel, height, width) in _CONVOLUTIONS.items():
        height, width = max(int(height * args.scale), 1), max(int(width * args.scale), 1)
        x = torch.randn(1, channels, height, width, device=args.device)
        weight = torch.randn(out, channels, kernel, kernel, device=args.device)
        x, weight = (t.to(dtype).to(memory_format=torch.channels_last) for t in (x, weight))
        seconds = fastest(lambda x=x, w=weight, k=kernel: F.conv2d(x, w, padding=k // 2), args)
        found[name] = 2 * x.numel() * out * kernel**2 / seconds / 1e9
    return found


def bandwidth(args: argparse.Namespace) -> dict[str, float]:
    """Bytes a second, in 1e9, read and written."""
    source = torch.ones(args.megabytes * 2**18, device=args.device)
    target = torch.empty_like(source)
    size = source.numel() * source.element_size() / 1e9
    return {
        "read (sum)": size / fastest(source.sum, args),
        "read and write (copy)": 2 * size / fastest(lambda: target.copy_(source), args),
    }


def fastest(action: Callable[[], object], args: argparse.Namespace) -> float:
    """Seconds of the fastest of the repeats, after one to warm up; fewer if they take seconds."""
    times = []
    while len(times) < 2 or (len(times) <= args.repeats and sum(times) < _ENOUGH_S):
        start = time.perf_counter()
        action()
        if args.device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])
