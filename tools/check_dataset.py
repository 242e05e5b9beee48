#!/usr/bin/env python
"""Check a dataset on disk: images, counts, boxes, cameras, 2D against 3D, lengths of bodies.

Prints a table.  Exit code: 0 if every check is ok, 1 if one fails, 2 if the dataset cannot be
used at all (the message says why).
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from detectron2.config import get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog
from tqdm import tqdm

from hmor_d2 import add_hmor_config
from hmor_d2.atomic_file import write_atomically
from hmor_d2.config_file import merge_config_file
from hmor_d2.data import DatasetError, register_custom_datasets
from hmor_d2.data.checks import (
    PUBLISHED_COUNTS,
    Check,
    check_annotations,
    check_images_present,
    check_images_readable,
    format_checks,
)


def number_of_images(text: str) -> int | None:
    """A positive number, or None for "all"."""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a positive number or 'all'")
    return int(text)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME", help="a registered dataset")
    parser.add_argument("--config-file", metavar="FILE", help="registers its DATASETS.CUSTOM first")
    parser.add_argument("--images", type=number_of_images, default=200, metavar="N|all",
                        help="images to read, spread over the dataset (200)")  # fmt: skip
    parser.add_argument("--annotations-only", action="store_true", help="images need not be there")
    parser.add_argument("--max-median-px", type=float, default=0.1, metavar="PX",
                        help="between 2D joints and projections of 3D joints (0.1)")  # fmt: skip
    parser.add_argument("--max-worst-px", type=float, default=1.0, metavar="PX", help="(1)")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1), metavar="N",
                        help="threads that read images")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument("--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE")
    args = parser.parse_args(arguments)
    if args.workers < 1:
        parser.error(f"--workers: found {args.workers}, expected at least 1")
    return args


def write_report(path: Path, report: dict) -> None:
    """Write JSON aside and rename it, so that no half file is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(report, indent=1).encode()
    write_atomically(str(path), lambda file: file.write(content))


def check_dataset(args: argparse.Namespace) -> tuple[list[Check], dict]:
    """The rows, and the reprojection by joint.

    Raises:
        ValueError, OSError: DatasetError and others, for a dataset that cannot be used.
    """
    cfg = get_cfg()
    add_hmor_config(cfg)
    if args.config_file:
        merge_config_file(cfg, args.config_file)
    cfg.merge_from_list(args.opts)
    register_custom_datasets(cfg.DATASETS.CUSTOM)
    if args.name not in DatasetCatalog:
        known = [
            name for name in DatasetCatalog.list() if MetadataCatalog.get(name).get("joint_set")
        ]
        raise DatasetError(f"found no dataset '{args.name}', expected one of {known}")
    joint_set = MetadataCatalog.get(args.name).get("joint_set") or cfg.INPUT.DEFAULT_JOINT_SET
    records = DatasetCatalog.get(args.name)
    if not records:
        raise DatasetError(f"dataset '{args.name}' has no images")

    report = check_annotations(
        records,
        published=PUBLISHED_COUNTS.get(args.name),
        default_joint_set=joint_set,
        max_median_px=args.max_median_px,
        max_worst_px=args.max_worst_px,
        progress=lambda iterable: tqdm(iterable, desc="annotations", unit="image"),
    )
    if args.annotations_only:
        reason = "--annotations-only"
        checks = [Check(n, reason, "", "skip") for n in ("images present", "images readable")]
    else:
        pool = {"workers": args.workers, "progress": tqdm}
        checks = [
            check_images_present(records, **pool),
            check_images_readable(records, sample=args.images, **pool),
        ]
    return [*checks, *report.checks], report.reprojection


def main(arguments: list[str] | None = None) -> int:
    args = parse_arguments(arguments)
    try:
        checks, reprojection = check_dataset(args)
    # Also a loader's ValueError for arguments of an entry, and a file that may not be read.
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    failed = [check.name for check in checks if check.status == "FAIL"]
    print(format_checks(checks))
    if reprojection:
        print("\njoint: median, worst reprojection in pixels")
        for name, found in reprojection.items():
            print(f"  {name}: {found['median_px']:.3g}, {found['worst_px']:.3g}")
    print(f"\n{args.name}: " + (f"{len(failed)} checks fail: {failed}" if failed else "ok"))
    if args.output:
        content = {
            "dataset": args.name,
            "ok": not failed,
            "checks": [asdict(check) for check in checks],
            "reprojection": reprojection,
        }
        write_report(args.output, content)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
