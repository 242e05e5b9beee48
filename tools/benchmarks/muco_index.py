"""Writes an annotation file in MuCo-3DHP's format, of any size, for benchmarks."""

import json

import numpy as np

from hmor_d2.skeleton import get_skeleton

# Distinct people; their text is written again and again, at the speed of the disk.
_DISTINCT = 4000
_INTRINSICS = (1497.693, 1497.103, 1024.704, 1051.394)
_SIZE = 2048
_BATCH = 2000


def write_muco_index(path: str, num_images: int, num_people: int, seed: int = 0) -> None:
    """Write ``num_people`` people in ``num_images`` images, spread evenly, one in the first ones.

    Numbers have all the digits that ``json.dump`` gives a float64, as in the real file.
    """
    rng = np.random.default_rng(seed)
    people = [_person(rng) for _ in range(_DISTINCT)]
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"images": [')
        _write_batches(file, num_images, _image)
        file.write('], "annotations": [')

        def annotation(i: int) -> str:
            image = i * num_images // num_people
            return f'{{"id": {i}, "image_id": {image}, {people[i % _DISTINCT]}}}'

        _write_batches(file, num_people, annotation)
        file.write("]}")


def _write_batches(file, count: int, text) -> None:
    for start in range(0, count, _BATCH):
        batch = map(text, range(start, min(start + _BATCH, count)))
        file.write((", " if start else "") + ", ".join(batch))


def _image(i: int) -> str:
    fx, fy, cx, cy = _INTRINSICS
    folder = "augmented_set" if i % 2 else "unaugmented_set"
    return (
        f'{{"id": {i}, "file_name": "{folder}/{1 + i // 10000}/{i:06d}.jpg", "width": {_SIZE}, '
        f'"height": {_SIZE}, "f": [{fx}, {fy}], "c": [{cx}, {cy}]}}'
    )


def _person(rng: np.random.Generator) -> str:
    """The fields of a person, without ids and braces."""
    joints = rng.uniform((-1500, -500, 2500), (1500, 500, 6000))
    joints = joints + rng.normal(0, 300, (get_skeleton("muco21").num_joints, 3))
    fx, fy, cx, cy = _INTRINSICS
    pixels = joints[:, :2] / joints[:, 2:] * (fx, fy) + (cx, cy)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    fields = {
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "keypoints_img": pixels.tolist(),
        "keypoints_cam": joints.tolist(),
        "keypoints_vis": rng.integers(0, 2, len(joints)).tolist(),
    }
    return json.dumps(fields)[1:-1]
