"""Detectors that find a given number of people, whatever their weights."""

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import Boxes, Instances

__all__ = ["FixedPeople", "random_boxes"]


class FixedPeople:
    """While entered, an R-CNN's proposals and detections are given ones, after its own work."""

    def __init__(self, model: GeneralizedRCNN, people: Boxes):
        """
        Args:
            model: of Detectron2's standard ROI heads; it gets one image at a time.
            people: boxes in pixels of the image that the model gets.
        """
        self.model = model
        self.people = people

    def __enter__(self) -> None:
        heads, generator = self.model.roi_heads, self.model.proposal_generator
        detect = heads._forward_box
        count = generator.post_nms_topk[False]

        def fixed_proposals(module, inputs, output):
            (found,), losses = output
            fixed = Instances(found.image_size)
            fixed.proposal_boxes = random_boxes(count, found.image_size).to(self.people.device)
            fixed.objectness_logits = torch.zeros(count, device=self.people.device)
            return [fixed], losses

        def fixed_detections(features, proposals):
            (found,) = detect(features, proposals)
            fixed = Instances(found.image_size)
            fixed.pred_boxes = self.people.clone()
            fixed.scores = torch.ones(len(self.people), device=self.people.device)
            fixed.pred_classes = torch.zeros_like(fixed.scores, dtype=torch.long)
            return [fixed]

        self._hook = generator.register_forward_hook(fixed_proposals)
        heads._forward_box = fixed_detections

    def __exit__(self, *error: object) -> None:
        self._hook.remove()
        del self.model.roi_heads._forward_box


def random_boxes(number: int, size: tuple[int, int]) -> Boxes:
    """Boxes of upright people inside a (height, width) image, the same at each call."""
    generator = torch.Generator().manual_seed(number)
    height, width = size
    tall = height * 0.9 * 0.1 ** torch.rand(number, generator=generator)
    wide = (tall * (0.3 + 0.4 * torch.rand(number, generator=generator))).clamp(max=width)
    left = (width - wide) * torch.rand(number, generator=generator)
    top = (height - tall) * torch.rand(number, generator=generator)
    return Boxes(torch.stack((left, top, left + wide, top + tall), dim=1))
