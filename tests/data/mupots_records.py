"""Dataset dicts of MuPoTS-3D as they should be, and their comparison."""

import numpy as np
from detectron2.structures import BoxMode

from hmor_d2.skeleton import get_skeleton
from tests.data.same_images import people_of_same_images
from tests.data.writers_mupots import INTRINSICS

MUCO17 = get_skeleton("muco17")


def assert_same(found: list[dict], expected: list[dict], ignored: frozenset = frozenset()) -> None:
    """Equal dataset dicts; coordinates to 1e-9 px, as half a pixel is added and taken away."""
    for mine, theirs in people_of_same_images(found, expected, ignored):
        assert len(mine) == len(theirs)
        for p, q in zip(mine, theirs, strict=True):
            assert p.keys() - ignored == q.keys() - ignored
            for field in p.keys() - ignored:
                np.testing.assert_allclose(p[field], q[field], rtol=0, atol=1e-9, err_msg=field)


def keypoints_of(record: dict) -> np.ndarray:
    return np.reshape([p["keypoints"] for p in record["annotations"]], (-1, 17, 3))


def expected_records(root: str, name: str, arrays: dict, size: tuple[int, int]) -> list[dict]:
    """Dataset dicts of a sequence, person by person; the box by its corners."""
    fx, fy, cx, cy = INTRINSICS
    records = []
    for i, valid in enumerate(arrays["valid"]):
        people = []
        for p in np.flatnonzero(valid):
            points = arrays["annot2"][i, p] + 0.5
            counted = np.delete(points, MUCO17.index("spine"), axis=0)
            (x0, y0), (x1, y1) = counted.min(axis=0), counted.max(axis=0)
            flags = [1.0 if hidden else 2.0 for hidden in arrays["occluded"][i, p]]
            people.append(
                {
                    "bbox": [
                        x0 - 0.1 * (x1 - x0),
                        y0 - 0.1 * (y1 - y0),
                        1.2 * (x1 - x0),
                        1.2 * (y1 - y0),
                    ],
                    "bbox_mode": BoxMode.XYWH_ABS,
                    "category_id": 0,
                    "iscrowd": 0,
                    "keypoints": [v for j in range(17) for v in (*points[j], flags[j])],
                    "keypoints_cam": arrays["annot3"][i, p].astype(np.float32),
                    "keypoints_cam_valid": np.ones(17, bool),
                    "person_id": p,
                }
            )
        records.append(
            {
                "file_name": f"{root}/{name}/img_{i:06d}.jpg",
                "image_id": f"{name}/img_{i:06d}",
                "width": size[0],
                "height": size[1],
                "intrinsics": [fx, fy, cx + 0.5, cy + 0.5],
                "joint_set": "muco17",
                "sequence": name,
                "frame": i,
                "annotations": people,
            }
        )
    return records


TREE = ["TS5", "TS6", "TS20"]
