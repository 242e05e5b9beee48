"""Draws synthetic scenes once it is told to, and reports its time and memory.

python -m benchmarks.scene_drawing FOLDER WIDTH HEIGHT PEOPLE, with datasets/ and tools/ on the
path: prints "ready" when the kernels are compiled.
Then reads a line "FIRST LAST", draws and writes these scenes, and prints their seconds, also of the
CPU, and the process's peak resident memory so far as JSON; and so on until the end of the input.
"""

import json
import re
import resource
import sys
import time
from pathlib import Path

import cv2
from synthetic.scene import generate_scene
from synthetic.storage import write_jpeg

_SPLIT = "train/benchmark"


def peak_mb() -> float:
    """Most resident memory that this process had."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:  # Linux, where the other figure also counts the process that started this one
        return int(found[1]) / 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # macOS counts bytes, others kB


def main() -> None:
    folder, size, people = Path(sys.argv[1]), tuple(map(int, sys.argv[2:4])), int(sys.argv[4])
    cv2.setNumThreads(1)
    generate_scene(_SPLIT, 0, size=size, count=people)
    print("ready", flush=True)
    for line in sys.stdin:
        first, last = map(int, line.split())
        start, cpu, shown = time.perf_counter(), time.process_time(), 0
        for index in range(first, last):
            scene = generate_scene(_SPLIT, index, size=size, count=people)
            write_jpeg(folder / f"{index % 100:06d}.jpg", scene.image)
            shown += len(scene.people)
        seconds = time.perf_counter() - start
        figures = {"seconds": seconds, "cpu_seconds": time.process_time() - cpu}
        figures |= {"peak_mb": peak_mb(), "people": shown}
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
