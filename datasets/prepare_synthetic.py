#!/usr/bin/env python3
"""Draw synthetic scenes with exact 3D poses and write them in the formats of real datasets.

Writes <root>/synthetic/{muco,coco,panoptic,mupots}; configs/synthetic/datasets.yaml registers them.
"small" takes about a minute, "full" (10 450 training images and the test sets) about 20 minutes
on two cores.  Run it again after an interruption: it goes on.  The same seed gives the same files,
whatever the number of workers.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

try:
    from synthetic.pieces import Plan
    from synthetic.produce import OtherContentError, produce
    from synthetic.write_coco import COCOPlan
    from synthetic.write_muco import MuCoPlan
    from synthetic.write_mupots import MuPoTSPlan
    from synthetic.write_panoptic import PanopticPlan
except ModuleNotFoundError as error:
    if error.name != "numba":
        raise
    raise SystemExit("error: the synthetic scenes need numba: pip install numba") from error

# All sizes have the same sequences and cameras, so that one config fits.
SIZES: dict[str, tuple[Plan, ...]] = {
    "small": (MuCoPlan(120), COCOPlan(60), PanopticPlan(2), MuPoTSPlan(3)),
    "full": (MuCoPlan(6000), COCOPlan(4000), PanopticPlan(25), MuPoTSPlan(50)),
}
FORMATS = tuple(plan.folder for plan in SIZES["full"])


def number_of_workers(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a positive number")
    return int(text)


def seed_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number, not negative")
    return int(text)


@contextmanager
def progress_bar(name: str, images: int) -> Iterator[Callable[[int], Any]]:
    with tqdm(total=images, desc=name, unit="image") as bar:
        yield bar.update


def make_parser(description: str, sizes: Iterable[str], default: str) -> argparse.ArgumentParser:
    """A parser of what :func:`draw` needs, and of ``size``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default_root = os.environ.get("DETECTRON2_DATASETS", "datasets")
    parser.add_argument("--root", type=Path, default=Path(default_root), help="datasets' folder")
    parser.add_argument("--size", choices=sizes, default=default)
    parser.add_argument("--workers", type=number_of_workers, default=os.cpu_count() or 1,
                        metavar="N", help="processes; as many as cores by default")  # fmt: skip
    parser.add_argument("--seed", type=seed_number, default=0, metavar="S")
    parser.add_argument("--overwrite", action="store_true",
                        help="replace data that were made with other settings")  # fmt: skip
    return parser


def draw(plans: list[Plan], args: argparse.Namespace) -> None:
    """Draw what the plans say; ends the program, with a message, where that cannot be."""
    root = args.root.expanduser() / "synthetic"
    try:
        produce(plans, root, args.seed, args.workers, progress_bar, args.overwrite)
    except OtherContentError as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__doc__, SIZES, default="small")
    parser.add_argument("--only", nargs="+", choices=FORMATS, default=FORMATS, metavar="FORMAT",
                        help=f"some of {', '.join(FORMATS)}; all by default")  # fmt: skip
    args = parser.parse_args(arguments)
    draw([plan for plan in SIZES[args.size] if plan.folder in args.only], args)


if __name__ == "__main__":
    main()
