"""What was found in a picture or a frame, and how it is written as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cameras import Camera
from detectron2.structures import Instances

from hmor_d2.skeleton import Skeleton
from hmor_d2.visualization import draw_poses

__all__ = ["People", "describe_camera", "describe_people"]

FRAME = (
    "keypoints_cam and root_depth: camera frame, origin at the camera's centre, X right, Y down, "
    "Z forward along the optical axis. keypoints (x, y, score) and bbox (x1, y1, x2, y2): "
    "continuous pixels of the image, the top left pixel's centre at (0.5, 0.5)."
)


@dataclass(frozen=True)
class People:
    """N people of one picture, highest score first.

    Attributes:
        boxes: (N, 4) XYXY pixels.
        keypoints: (N, J, 3) x, y in pixels, and a score.
        poses: (N, J, 3) mm in the camera frame.
        scores: (N,) in [0, 1].
        root_depth: (N,) mm.
        ids: (N,) who they are in a video, from 1; None in a picture.
    """

    boxes: np.ndarray
    keypoints: np.ndarray
    poses: np.ndarray
    scores: np.ndarray
    root_depth: np.ndarray
    ids: np.ndarray | None = None

    @classmethod
    def from_instances(cls, people: Instances, score_threshold: float) -> "People":
        """Those of PosePredictor whose score is not below a threshold."""
        people = people[people.scores >= score_threshold]
        return cls(
            boxes=people.pred_boxes.tensor.numpy(),
            keypoints=people.pred_keypoints.numpy(),
            poses=people.pred_keypoints_cam.numpy(),
            scores=people.scores.numpy(),
            root_depth=people.pred_root_depth.numpy(),
        )

    def __len__(self) -> int:
        return len(self.scores)

    def smoothed(self, keypoints: np.ndarray, poses: np.ndarray, root_index: int) -> "People":
        """With other joints; the root depth changes as the root joint's Z does."""
        change = poses[:, root_index, 2] - self.poses[:, root_index, 2]
        return replace(self, keypoints=keypoints, poses=poses, root_depth=self.root_depth + change)

    def drawn_on(self, image_bgr: np.ndarray, skeleton: Skeleton) -> np.ndarray:
        """A copy of the picture with 2D poses, scores and depths, (H, W, 3) BGR."""
        return draw_poses(
            image_bgr,
            self.boxes,
            self.keypoints,
            skeleton,
            scores=self.scores,
            root_depth=self.root_depth,
            indices=None if self.ids is None else self.ids.tolist(),
        )


def describe_camera(
    kind: str, source: Path | str, size: Sequence[int], camera: Camera, skeleton: Skeleton
) -> dict[str, Any]:
    """What JSON says of a picture or video as a whole.

    Args:
        kind: "image" or "video", the field that names ``source``.
        size: (height, width) in pixels.
    """
    return {
        kind: str(source),
        "width": size[1],
        "height": size[0],
        "intrinsics": [round(float(value), 4) for value in camera.intrinsics],
        "intrinsics_source": camera.source,
        "units": "mm",
        "frame": FRAME,
        "joint_names": list(skeleton.joint_names),
    }


def describe_people(people: People) -> list[dict[str, Any]]:
    """One dict a person: id in a video, score, bbox, keypoints, keypoints_cam, root_depth."""

    def rounded(values: np.ndarray, digits: int) -> list:
        return np.round(values.astype(np.float64), digits).tolist()

    fields = {
        "score": rounded(people.scores, 4),
        "bbox": rounded(people.boxes, 2),
        "keypoints": rounded(people.keypoints, 3),
        "keypoints_cam": rounded(people.poses, 1),
        "root_depth": rounded(people.root_depth, 1),
    }
    if people.ids is not None:
        fields = {"id": people.ids.tolist(), **fields}
    return [dict(zip(fields, person, strict=True)) for person in zip(*fields.values(), strict=True)]
