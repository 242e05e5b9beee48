"""Speed and memory of drawing synthetic scenes, and how they grow with the number of images.

Scenes are drawn and written as JPEG by 1 process and by several; compiling and the start of the
processes are not counted.  Then one process draws more and more scenes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

_ROOT = Path(__file__).parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=96, help="for each number of workers")
    parser.add_argument("--people", type=int, default=4, help="asked for in each image")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="beside 1")
    parser.add_argument("--json", "--output", dest="json", help="file for the figures")


def run(args: argparse.Namespace) -> None:
    if args.images < 8 or args.workers < 1:
        raise SystemExit(
            f"found --images {args.images}, --workers {args.workers}, expected at least 8 and 1"
        )
    with tempfile.TemporaryDirectory() as folder:
        speed = [measure_speed(args, workers, folder) for workers in sorted({1, args.workers})]
        growth = measure_growth(args, folder)
    if args.json:
        figures = {"cores": os.cpu_count(), "speed": speed, "growth": growth}
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")
        print(f"\nWrote {args.json}")


def measure_speed(args: argparse.Namespace, workers: int, folder: str) -> dict[str, float]:
    """Draw ``args.images`` scenes, shared by some processes; print and return the figures."""
    bounds = [args.images * k // workers for k in range(workers + 1)]
    with ExitStack() as stack:
        drawers = [stack.enter_context(Drawer(args, folder)) for _ in range(workers)]
        for drawer in drawers:
            drawer.wait_until_ready()
        start = time.perf_counter()
        for drawer, first, last in zip(drawers, bounds, bounds[1:], strict=False):
            drawer.begin(first, last)
        found = [drawer.result() for drawer in drawers]
        seconds = time.perf_counter() - start
    row = {
        "workers": workers,
        "images_per_second": args.images / seconds,
        "people_per_image": sum(r["people"] for r in found) / args.images,
        "cpu_ms_per_image": 1e3 * sum(r["cpu_seconds"] for r in found) / args.images,
        "peak_mb": max(r["peak_mb"] for r in found),
    }
    print(
        f"{args.width}x{args.height}, {workers} worker{'s' * (workers > 1)}: "
        f"{row['images_per_second']:.1f} images/s, {row['people_per_image']:.1f} people each, "
        f"{row['cpu_ms_per_image']:.0f} ms of CPU an image, "
        f"peak {row['peak_mb']:.0f} MB a worker",
        flush=True,
    )
    return row


def measure_growth(args: argparse.Namespace, folder: str) -> list[dict[str, float]]:
    """One process draws a quarter of the images, another quarter, half; returns rows of totals."""
    print(f"\nOne worker\n{'images':>8}{'seconds':>10}{'CPU ms an image':>17}{'peak MB':>9}")
    rows, seconds, cpu = [], 0.0, 0.0
    with Drawer(args, folder) as drawer:
        drawer.wait_until_ready()
        done = 0
        for share in (4, 2, 1):
            count = args.images // share
            drawer.begin(done, count)
            found = drawer.result()
            seconds, cpu, done = seconds + found["seconds"], cpu + found["cpu_seconds"], count
            row = {"images": count, "seconds": seconds, "cpu_seconds": cpu}
            row["peak_mb"] = found["peak_mb"]
            print(
                f"{count:>8}{seconds:>10.1f}{1e3 * cpu / count:>17.0f}{row['peak_mb']:>9.0f}",
                flush=True,
            )
            rows.append(row)
    return rows


class Drawer:
    """A process of ``scene_drawing.py``, which knows nothing of this one."""

    def __init__(self, args: argparse.Namespace, folder: str):
        # As a module: a script's own folder comes first, where this file hides the generator.
        folders = (str(_ROOT / "datasets"), str(_ROOT / "tools"), os.environ.get("PYTHONPATH"))
        path = os.pathsep.join(filter(None, folders))
        numbers = map(str, (args.width, args.height, args.people))
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.scene_drawing", folder, *numbers],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Drawer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def wait_until_ready(self) -> None:
        self._read()

    def begin(self, first: int, last: int) -> None:
        self._process.stdin.write(f"{first} {last}\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, float]:
        return json.loads(self._read())

    def _read(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a process that draws scenes ended early; see its message above")
        return line
