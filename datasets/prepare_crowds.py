#!/usr/bin/env python3
"""Draw synthetic crowds: pictures of several people each, in the format of MuCo-3DHP.

Writes <root>/synthetic/crowd/{train,val,test}.json and the images; the ablation study trains and
tests on them (configs/synthetic/ablation_R_50_half_FPN.yaml).  They are further scenes of the
generator of prepare_synthetic.py, whose other scenes stay as they are: the people, clothes, motion
and places of "test" are in no training set, "val" are new scenes of the training's.  All are adults
of usual height: where children stand beside giants, one picture does not tell depth, whatever a
model learns (tools/size_ambiguity.py).  Run it again after an interruption: it goes on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prepare_synthetic import draw, make_parser
from synthetic.ground_truth import PersonTruth
from synthetic.pieces import Piece, stretches
from synthetic.scene import Scene, generate_scene
from synthetic.storage import write_joined_json, write_jpeg
from synthetic.write_muco import muco_image, muco_person, shown_people

# Further scenes of the generator's pools; see synthetic.scene.
SPLITS = {"train": "train/crowd", "val": "train/crowd_val", "test": "test/crowd"}
_IMAGES_PER_PIECE = 20
# Nobody can tell the pose of people of whom less shows; of 17 joints.
_LEAST_VISIBLE_JOINTS = 5


@dataclass(frozen=True)
class CrowdPlan:
    """Numbers of images, and of people in them: ``fewest`` to ``most``, equally often.

    Fewer people appear where there is no room.  ``statures``: their least and largest height,
    metres.  ``size``: width and height.
    """

    train: int
    val: int
    test: int
    fewest: int = 4
    most: int = 8
    statures: tuple[float, float] = (1.6, 1.9)
    size: tuple[int, int] = (640, 480)
    folder: str = "crowd"

    def pieces(self) -> list[Piece]:
        return [
            Piece(f"{split}_{first:06d}", number, first, last, last - first)
            for number, split in enumerate(SPLITS)
            for first, last in stretches(getattr(self, split), _IMAGES_PER_PIECE)
        ]

    def draw(self, folder: Path, piece: Piece, seed: int) -> dict[str, Any]:
        split = list(SPLITS)[piece.sequence]
        part: dict[str, Any] = {"split": split, "files": [], "images": [], "annotations": []}
        for index in range(piece.first, piece.last):
            count = self.fewest + index % (self.most - self.fewest + 1)
            scene = generate_scene(SPLITS[split], index, seed, self.size, count, self.statures)
            name = f"images/{split}/{index + 1:06d}.jpg"
            write_jpeg(folder / name, scene.image)
            part["files"].append(name)
            part["images"].append(muco_image(scene, index + 1, name))
            part["annotations"] += [
                muco_person(person, index + 1) for person in annotated_people(scene, split)
            ]
        return part

    def finish(self, folder: Path, parts: Callable[[], Iterable[dict[str, Any]]]) -> None:
        for split in SPLITS:
            write_joined_json(
                folder / f"{split}.json",
                lambda split=split: (part for part in parts() if part["split"] == split),
                ("images", "annotations"),
            )


def annotated_people(scene: Scene, split: str) -> list[PersonTruth]:
    """Everybody who shows in training; to be evaluated, those of whom several joints show."""
    people = shown_people(scene)
    if split == "train":
        return people
    return [person for person in people if person.visible.sum() >= _LEAST_VISIBLE_JOINTS]


SIZES = {"small": CrowdPlan(40, 10, 10), "full": CrowdPlan(2000, 150, 300)}


def main(arguments: list[str] | None = None) -> None:
    args = make_parser(__doc__, SIZES, default="full").parse_args(arguments)
    draw([SIZES[args.size]], args)


if __name__ == "__main__":
    main()
