#!/usr/bin/env python3
"""Generate toy figures in MuCo-3DHP's format, so that training and the demo run without downloads.

Writes <root>/toy/{train,test}.json, as Moon et al. package MuCo-3DHP, their pictures under
<root>/toy/images, and <root>/toy/demo/*.jpg, pictures without annotations.  It shows that the whole
way runs; numbers measured on it say nothing about real people.
"""

import argparse
import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from hmor_d2.data.toy_scenes import ToyScene, make_toy_scene

# The order is part of the seed: adding a split at the end changes no picture.
SPLITS = ("train", "test", "demo")


def muco_records(scene: ToyScene, image_id: int, file_name: str, first_person_id: int):
    """The image record and the annotations of a scene, as in MuCo-3DHP.json (pixels by index).

    Returns:
        a dict (id, file_name, width, height, f, c) and a list of dicts (id, image_id, bbox XYWH,
        keypoints_img (21, 2), keypoints_cam (21, 3) in mm, keypoints_vis (21,)).
    """
    height, width = scene.image.shape[:2]
    image = {
        "id": image_id,
        "file_name": file_name,
        "width": width,
        "height": height,
        "f": scene.focal.tolist(),
        "c": scene.principal_point.tolist(),
    }
    people = [
        {
            "id": first_person_id + i,
            "image_id": image_id,
            "bbox": scene.boxes[i].tolist(),
            "keypoints_img": scene.keypoints_img[i].round(4).tolist(),
            "keypoints_cam": scene.keypoints_cam[i].round(3).tolist(),
            "keypoints_vis": scene.keypoints_vis[i].astype(int).tolist(),
        }
        for i in range(len(scene.boxes))
    ]
    return image, people


def write_split(folder: Path, split: str, count: int, seed: int, size: tuple[int, int]) -> None:
    """Write ``count`` pictures of a split and, except for "demo", its JSON file.

    Raises:
        OSError: if a picture cannot be written.
    """
    pictures = folder / ("demo" if split == "demo" else "images")
    pictures.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in tqdm(range(count), desc=f"toy {split}", unit="image"):
        scene = make_toy_scene(np.random.default_rng([seed, SPLITS.index(split), i]), size)
        path = pictures / f"{split}_{i:06d}.jpg"
        if not cv2.imwrite(str(path), scene.image, [cv2.IMWRITE_JPEG_QUALITY, 92]):
            raise OSError(f"cannot write {path}")
        file_name = path.relative_to(folder).as_posix()
        image, people = muco_records(scene, i, file_name, len(annotations))
        images.append(image)
        annotations.extend(people)
    if split != "demo":
        # Written aside and renamed, so that an interrupted run leaves no half file.
        target = folder / f"{split}.json"
        partial = target.with_suffix(".json.part")
        partial.write_text(json.dumps({"images": images, "annotations": annotations}))
        os.replace(partial, target)


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) of WIDTHxHEIGHT, each at least 64 pixels."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or min(map(int, match.groups())) < 64:
        raise argparse.ArgumentTypeError(f"found '{text}', expected e.g. 320x256, at least 64x64")
    return int(match[1]), int(match[2])


def whole_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number, not negative")
    return int(text)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default_root = os.environ.get("DETECTRON2_DATASETS", "datasets")
    parser.add_argument("--root", type=Path, default=Path(default_root), help="datasets' folder")
    parser.add_argument("--train-images", type=whole_number, default=200, metavar="N")
    parser.add_argument("--test-images", type=whole_number, default=40, metavar="N")
    parser.add_argument("--demo-images", type=whole_number, default=6, metavar="N")
    parser.add_argument("--seed", type=whole_number, default=0)
    parser.add_argument("--size", type=parse_size, default=(320, 256), metavar="WIDTHxHEIGHT")
    args = parser.parse_args(arguments)
    for split in SPLITS:
        count_of_split = getattr(args, f"{split}_images")
        write_split(args.root / "toy", split, count_of_split, args.seed, args.size)


if __name__ == "__main__":
    main()
