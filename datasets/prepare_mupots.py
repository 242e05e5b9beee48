#!/usr/bin/env python3
"""Turn MuPoTS-3D's MATLAB annotations into one JSON file, as Moon et al. package them for 3DMPPE.

Reads annot.mat and occlusion.mat of each sequence, fits the sequence's camera to them, and writes
MuPoTS-3D.json.  Images are not read and need not be there.  Running it again writes the same file.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hmor_d2.atomic_file import write_atomically
from hmor_d2.data.dataset_error import DatasetError
from hmor_d2.data.datasets.mupots import mupots_boxes
from hmor_d2.data.datasets.mupots_annotations import (
    MUPOTS_IMAGE_SIZES,
    MUPOTS_SEQUENCES,
    MuPoTSSequence,
    read_mupots_sequence,
)
from hmor_d2.data.datasets.mupots_intrinsics import fit_mupots_intrinsics


def image_records(sequence: MuPoTSSequence, first_id: int) -> list[dict[str, Any]]:
    """Entries of ``images``: id, file_name, width, height, intrinsic [fx, fy, cx, cy] by index."""
    width, height = MUPOTS_IMAGE_SIZES[sequence.name]
    intrinsic = list(fit_mupots_intrinsics(sequence))
    return [
        {
            "id": first_id + frame,
            "file_name": f"{sequence.name}/img_{frame:06d}.jpg",
            "width": width,
            "height": height,
            "intrinsic": intrinsic,
        }
        for frame in range(len(sequence.valid))
    ]


def person_records(
    sequence: MuPoTSSequence, first_image_id: int, first_id: int
) -> list[dict[str, Any]]:
    """Entries of ``annotations``, every person of every frame.

    Each has id, image_id, is_valid, bbox (XYWH, continuous pixels), keypoints_img (17, 2) by index,
    keypoints_cam (17, 3) in mm, keypoints_vis (17,); all zero for people with is_valid 0.
    """
    num_frames, num_people = sequence.valid.shape
    count = num_frames * num_people
    valid = sequence.valid.reshape(count)
    pixels = sequence.annot2.reshape(count, -1, 2)
    boxes = mupots_boxes(pixels + 0.5) * valid[:, None]
    visible = valid[:, None] & ~sequence.occluded.reshape(count, -1)
    columns = {
        "id": np.arange(first_id, first_id + count),
        "image_id": np.repeat(np.arange(first_image_id, first_image_id + num_frames), num_people),
        "is_valid": valid.astype(int),
        "bbox": boxes,
        "keypoints_img": pixels,
        "keypoints_cam": sequence.annot3.reshape(count, -1, 3),
        "keypoints_vis": visible.astype(int),
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")).expanduser() / "mupots"
    parser.add_argument(
        "--root", type=Path, default=folder / "MultiPersonTestSet", help="folder of TS1 ... TS20"
    )
    parser.add_argument(
        "--output", type=Path, default=folder / "MuPoTS-3D.json", help="file to write"
    )
    parser.add_argument(
        "--sequences",
        nargs="+",
        default=MUPOTS_SEQUENCES,
        choices=MUPOTS_SEQUENCES,
        metavar="TS",
        help="those to write; all 20 by default",
    )
    args = parser.parse_args(arguments)
    images, annotations = [], []
    for name in tqdm(args.sequences, desc="MuPoTS-3D", unit="sequence"):
        try:
            sequence = read_mupots_sequence(str(args.root / name))
            new_images = image_records(sequence, len(images))
        except DatasetError as error:
            raise SystemExit(f"error: {error}") from error
        annotations += person_records(sequence, len(images), len(annotations))
        images += new_images
    args.output.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"images": images, "annotations": annotations}).encode()
    write_atomically(str(args.output), lambda file: file.write(content))
    valid = sum(person["is_valid"] for person in annotations)
    print(f"{args.output}: {len(images)} images, {valid} of {len(annotations)} people valid")


if __name__ == "__main__":
    main()
