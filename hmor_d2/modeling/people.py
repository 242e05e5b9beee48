"""The people of a batch that train the pose and depth heads, as flat tensors over RoIs."""

from dataclasses import dataclass

import torch
from detectron2.structures import Boxes, Instances
from detectron2.structures.boxes import matched_pairwise_iou
from detectron2.utils import comm

from ..losses import total_over_processes
from ..structures import Poses3D

__all__ = ["TrainingPeople", "best_per_person", "image_index_of", "sample_training_people"]


@dataclass
class TrainingPeople:
    """N sampled RoIs of a batch with the ground truth of the person that each contains.

    Attributes:
        boxes: (N, 4) XYXY proposals in pixels of the resized images.
        box_counts: RoIs of each image, in order.
        image_index: (N,) image of each RoI.
        person_index: (N,) index of the person among its image's ground truth.
        people_per_image: the largest number of annotated people in an image of the batch.
        iou: (N,) IoU of the proposal with the person's box.
        pixels: (N, J, 2) ground-truth joints in pixels.
        visible: (N, J) bool, joints whose place in the image is known.
        poses: ground-truth poses in the camera frame; without valid joints for 2D data.
    """

    boxes: torch.Tensor
    box_counts: list[int]
    image_index: torch.Tensor
    person_index: torch.Tensor
    people_per_image: int
    iou: torch.Tensor
    pixels: torch.Tensor
    visible: torch.Tensor
    poses: Poses3D

    def __len__(self) -> int:
        return self.boxes.shape[0]

    def box_list(self) -> list[Boxes]:
        """The RoIs image by image, as Detectron2's poolers take them."""
        return [Boxes(boxes) for boxes in self.boxes.split(self.box_counts)]


def image_index_of(counts: list[int], device: torch.device) -> torch.Tensor:
    """(N,) image of each item of a batch laid flat, from the number of items of each image."""
    repeats = torch.tensor(counts, device=device)
    return torch.arange(len(counts), device=device).repeat_interleave(repeats)


def best_per_person(
    iou: torch.Tensor, image_index: torch.Tensor, person_index: torch.Tensor, shape: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The RoI that overlaps each annotated person most; the first of equals.

    Args:
        iou: (N,) overlap of each RoI with its person.
        image_index, person_index: (N,) whose RoI it is.
        shape: (B, P), images and people an image at most.

    Returns:
        (B, P) indices into the RoIs, 0 where there is none, and (B, P) bool, there is one.
    """
    count = iou.shape[0]
    order = iou.argsort(descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(count, device=iou.device))
    slot = image_index * shape[1] + person_index
    best = torch.full((shape[0] * shape[1],), count, device=iou.device)
    best = best.scatter_reduce(0, slot, rank, "amin").reshape(shape)
    found = best < count
    return order[torch.where(found, best, 0)], found


def sample_training_people(
    proposals: list[Instances],
    people_counts: list[int],
    num_classes: int,
    batch_size_per_image: int,
    num_joints: int,
) -> TrainingPeople:
    """Choose the foreground proposals that train the pose and depth heads.

    Args:
        proposals: B sampled proposals with ground truth, as ``label_and_sample_proposals`` of
            the ROI heads gives them: proposal_boxes, gt_classes and, in images with people,
            gt_boxes, gt_keypoints, gt_poses, gt_person_index.
        people_counts: annotated people of each image.
        num_classes: label of the background.
        batch_size_per_image: proposals an image at most, the best of each person that has an
            annotated joint always among them; 0 for all.
        num_joints: J, needed where the batch shows nobody.

    Returns:
        the people that have annotated joints, 0 RoIs where no proposal of this process is of one:
        the heads pass these on, so that every parameter takes part in the step and batch norms
        that synchronise between processes meet.  Such norms need something: where no process has
        any, the first one gets one RoI, the whole of its first image, in which nothing is valid.
    """
    chosen = [
        _choose(p, count, num_classes, batch_size_per_image) if count > 0 else None
        for p, count in zip(proposals, people_counts, strict=True)
    ]
    counts = [0 if p is None else len(p) for p in chosen]
    device = proposals[0].proposal_boxes.device
    total, _ = total_over_processes(torch.tensor(sum(counts), device=device))
    if sum(counts) == 0:
        return _nobody(proposals, num_joints, int(total == 0 and comm.get_rank() == 0))
    people = [p for p in chosen if p is not None and len(p) > 0]
    boxes = Boxes.cat([p.proposal_boxes for p in people])
    keypoints = torch.cat([p.gt_keypoints.tensor for p in people])
    return TrainingPeople(
        boxes=boxes.tensor,
        box_counts=counts,
        image_index=image_index_of(counts, device),
        person_index=torch.cat([p.gt_person_index for p in people]),
        people_per_image=max(people_counts),
        iou=matched_pairwise_iou(boxes, Boxes.cat([p.gt_boxes for p in people])),
        pixels=keypoints[..., :2],
        visible=keypoints[..., 2] > 0,
        poses=Poses3D.cat([p.gt_poses for p in people]),
    )


def _choose(proposals: Instances, people_count: int, num_classes: int, limit: int) -> Instances:
    labels = proposals.gt_classes
    # People without joints teach these heads nothing: in COCO two of five have a box alone.
    annotated = (proposals.gt_keypoints.tensor[..., 2] > 0) | proposals.gt_poses.valid
    proposals = proposals[(labels >= 0) & (labels != num_classes) & annotated.any(dim=1)]
    if limit <= 0 or len(proposals) <= limit:
        return proposals
    people = proposals.gt_person_index
    iou = matched_pairwise_iou(proposals.proposal_boxes, proposals.gt_boxes)
    best, found = best_per_person(iou, torch.zeros_like(people), people, (1, people_count))
    priority = torch.rand(len(proposals), device=iou.device)
    priority[best[found]] = 2.0
    return proposals[priority.topk(max(limit, int(found.sum()))).indices]


def _nobody(proposals: list[Instances], num_joints: int, count: int) -> TrainingPeople:
    """``count`` RoIs, 0 or 1, the whole first image, without a person."""
    height, width = proposals[0].image_size
    like = proposals[0].proposal_boxes.tensor
    zeros = like.new_zeros(count, dtype=torch.long)
    visible = torch.zeros(count, num_joints, dtype=torch.bool, device=like.device)
    return TrainingPeople(
        boxes=like.new_tensor([[0, 0, width, height]])[:count],
        box_counts=[count] + [0] * (len(proposals) - 1),
        image_index=zeros,
        person_index=zeros,
        people_per_image=count,
        iou=like.new_zeros(count),
        pixels=like.new_zeros(count, num_joints, 2),
        visible=visible,
        poses=Poses3D(like.new_zeros(count, num_joints, 3), visible),
    )
