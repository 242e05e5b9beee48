"""How many images and people the published datasets have, with the source of each number."""

from dataclasses import dataclass

__all__ = ["PUBLISHED_COUNTS", "PublishedCounts"]


@dataclass(frozen=True)
class PublishedCounts:
    """Counts of a whole dataset; None where no source gives one.

    Attributes:
        source: where the numbers are from.
        images: dataset dicts.
        people: people, crowds apart.
        people_2d: those with at least one labelled 2D joint.
        people_3d: those with at least one valid 3D joint.
        images_2d: images with at least one person with a labelled 2D joint.
    """

    source: str
    images: int | None = None
    people: int | None = None
    people_2d: int | None = None
    people_3d: int | None = None
    images_2d: int | None = None


_COCO = (
    "logs of HRNet's training (images, people); Ultralytics' COCO-Pose page (images with people)"
)

# By registered name.  MuCo-3DHP is called 400 000 images, which is no exact number; 3DPW and
# Human3.6M are counted differently by every protocol: they are left out.
PUBLISHED_COUNTS: dict[str, PublishedCounts] = {
    "coco_person_keypoints_2017_train": PublishedCounts(
        _COCO, images=118_287, people_2d=149_813, images_2d=56_599
    ),
    "coco_person_keypoints_2017_val": PublishedCounts(
        _COCO, images=5_000, people_2d=6_352, images_2d=2_346
    ),
    "mupots_test": PublishedCounts(
        "isValidFrame in annot.mat of the official test set", images=8_370, people_3d=20_760
    ),
    "panoptic_test": PublishedCounts(
        "protocol of Zanfir et al. (2018): 2400 images of each of four activities", images=9_600
    ),
}
