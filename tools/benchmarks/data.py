"""Loading of an index of MuCo's size, and the mapper beside Detectron2's own.

The index is a generated file in MuCo-3DHP's format.  At a quarter, half and all of the size,
fresh processes load it, from the file and from the cache, and serialise it for the workers.  The
mappers work on the same generated JPEGs with the same random augmentations, by turns.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.mappers import SIZES, compare_mappers
from benchmarks.muco_index import write_muco_index

_LOAD = Path(__file__).with_name("index_load.py")
_COLUMNS = (
    ("images", "images", "d"),
    ("people", "people", "d"),
    ("file_gb", "file GB", ".2f"),
    ("parse_s", "parse s", ".1f"),
    ("parse_cpu_s", "CPU s", ".1f"),
    ("cached_s", "cached s", ".1f"),
    ("filter_s", "filter s", ".1f"),
    ("serialise_s", "serial. s", ".1f"),
    ("total_s", "all s", ".1f"),
    ("parse_peak_gb", "peak GB", ".2f"),
    ("cached_peak_gb", "cached GB", ".2f"),
    ("detectron2_peak_gb", "D2 list GB", ".2f"),
    ("serialised_gb", "shared GB", ".2f"),
    ("worker_private_mb", "worker MB", ".0f"),
)
_LEGEND = """Loading MuCo's format in fresh processes, imports not counted.
  parse: the first time, the cache written.  cached: the second time.
  filter: what get_detection_dataset_dicts does after that.  serial.: serialise for the workers.
  all: parse, filter, serial.  peak, cached GB: resident memory of the process after these.
  D2 list: from the cache, with Detectron2's own serialisation.
  worker: what each of two workers has to itself once it has read a tenth of the records.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=400_000, help="of the index")
    parser.add_argument("--people", type=int, default=1_000_000, help="of the index")
    parser.add_argument(
        "--parts", nargs="+", choices=("index", "mapper"), default=("index", "mapper")
    )
    parser.add_argument("--rounds", type=int, default=10, help="of the mappers, over 8 images")
    parser.add_argument("--folder", help="for the generated files, deleted at the end")
    parser.add_argument("--json", "--output", dest="json", help="file for the figures")


def run(args: argparse.Namespace) -> None:
    result = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    if args.folder:
        Path(args.folder).mkdir(parents=True, exist_ok=True)
    if "index" in args.parts:
        result["index"] = measure_index(args.images, args.people, args.folder)
    if "mapper" in args.parts:
        result["mapper"] = measure_mappers(args.rounds, args.folder)
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
        print(f"\nWrote {args.json}")


def measure_index(num_images: int, num_people: int, folder: str | None) -> list[dict]:
    """Print a table, a row for each size; returns its rows."""
    print(_LEGEND, flush=True)
    print("".join(f"{title:>11}" for _, title, _ in _COLUMNS), flush=True)
    rows = []
    for share in (0.25, 0.5, 1.0):
        row = measure_size(int(num_images * share), int(num_people * share), folder)
        print("".join(f"{row[key]:>11{style}}" for key, _, style in _COLUMNS), flush=True)
        rows.append(row)
    time_growth, memory_growth = (
        (rows[2][key] - rows[1][key]) / (rows[2]["images"] - rows[1]["images"])
        for key in ("parse_s", "parse_peak_gb")
    )
    print(
        f"\n{sum(r['generate_s'] for r in rows):.0f} s to generate.  Before loading, a process "
        f"has {rows[2]['base_gb']:.2f} GB.\nFrom the half to all: {time_growth * 1e5:.1f} s and "
        f"{memory_growth * 1e5:.3f} GB a 100 000 images."
    )
    return rows


def measure_size(num_images: int, num_people: int, folder: str | None) -> dict[str, float]:
    """The figures of one size."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = os.path.join(temporary, "MuCo-3DHP.json")
        start = time.perf_counter()
        write_muco_index(path, num_images, num_people)
        row = {
            "images": num_images,
            "people": num_people,
            "generate_s": time.perf_counter() - start,
            "file_gb": os.path.getsize(path) / 1e9,
        }
        parsed, cached, detectron2 = (
            _load_in_fresh_process(path, temporary, serialisation)
            for serialisation in ("hmor_d2", "hmor_d2", "detectron2")
        )
    if parsed["images"] != num_images:
        raise RuntimeError(f"loaded {parsed['images']} images of {num_images}")
    return row | {
        "parse_s": parsed["load_s"],
        "parse_cpu_s": parsed["load_cpu_s"],
        "cached_s": cached["load_s"],
        "filter_s": parsed["filter_s"],
        "serialise_s": parsed["serialise_s"],
        "total_s": parsed["load_s"] + parsed["filter_s"] + parsed["serialise_s"],
        "parse_peak_gb": parsed["peak_gb"],
        "cached_peak_gb": cached["peak_gb"],
        "detectron2_peak_gb": detectron2["peak_gb"],
        "base_gb": parsed["base_gb"],
        "serialised_gb": parsed["serialised_gb"],
        "worker_private_mb": parsed["worker_private_mb"],
    }


def _load_in_fresh_process(path: str, cache: str, serialisation: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", str(_LOAD), path, serialisation]
    output = subprocess.run(
        command,
        env=os.environ | {"HMOR_D2_CACHE": cache},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return json.loads(output.splitlines()[-1])


def measure_mappers(rounds: int, folder: str | None) -> list[dict]:
    """Print a table, a row for each size of images; returns its rows."""
    print("\nTraining mappers, ms an image: 3 people, random resize (640 to 800) and flip.\n")
    titles = ("image", "HMORDatasetMapper", "DatasetMapper", "ratio")
    print("".join(f"{title:>20}" for title in titles))
    rows = []
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        for size in SIZES:
            ours, detectron2 = compare_mappers(temporary, size, rounds)
            row = {
                "image": "x".join(map(str, reversed(size))),
                "hmor_d2_ms": ours * 1e3,
                "detectron2_ms": detectron2 * 1e3,
                "ratio": ours / detectron2,
            }
            print(
                f"{row['image']:>20}{row['hmor_d2_ms']:>20.2f}{row['detectron2_ms']:>20.2f}"
                f"{row['ratio']:>20.3f}",
                flush=True,
            )
            rows.append(row)
    return rows
