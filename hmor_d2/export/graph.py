"""The whole model as one function from tensors to tensors, which PyTorch can trace."""

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
from detectron2.layers import ROIAlign
from detectron2.structures import Boxes
from torch import Tensor, nn
from torch.onnx.operators import shape_as_tensor

from ..modeling.channels_last_roi_align import ChannelsLastROIAlign
from ..modeling.inference import fold_norms
from ..modeling.meta_arch import HMORRCNN
from ..modeling.roi_heads import HMORROIHeads
from ..modeling.winograd import WinogradConv2d
from ..structures import PinholeCameras

__all__ = ["INPUTS", "OUTPUTS", "PoseGraph", "example_inputs", "prepare_for_export"]

INPUTS = ("image", "intrinsics")
OUTPUTS = ("boxes", "scores", "keypoints", "keypoints_cam", "root_depth")


def prepare_for_export(model: nn.Module) -> "PoseGraph":
    """A copy of a trained model, on the CPU, in the form that is exported.

    Batch norms are folded into convolutions, and RoIAlign is torchvision's, which ONNX knows.

    Args:
        model: HMORRCNN with HMORROIHeads, in evaluation mode, as it was trained.
    Raises:
        ValueError: for other models, in training mode, and after ``optimize_for_inference``, whose
            layers for CPUs hold for the size of the traced image alone.
    """
    if not isinstance(model, HMORRCNN):
        raise ValueError(f"the model is of type {type(model).__name__}, expected HMORRCNN")
    if not isinstance(model.roi_heads, HMORROIHeads):
        found = type(model.roi_heads).__name__
        raise ValueError(f"the model's ROI heads are {found}, expected HMORROIHeads")
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() first")
    if any(isinstance(module, WinogradConv2d) for module in model.modules()):
        raise ValueError("optimize_for_inference changed the model; export it as it was before")
    model = copy.deepcopy(model).cpu().requires_grad_(False)
    fold_norms(model)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, ChannelsLastROIAlign):
                setattr(parent, name, _plain_roi_align(child))
    return PoseGraph(model.to(memory_format=torch.contiguous_format)).eval()


def _plain_roi_align(layer: ChannelsLastROIAlign) -> ROIAlign:
    return ROIAlign(layer.output_size, layer.spatial_scale, layer.sampling_ratio, layer.aligned)


@contextmanager
def _lengths_as_tensors() -> Iterator[None]:
    """Let Detectron2's heads count boxes within a trace, where ``len`` gives a constant.

    As ``detectron2.export.torchscript_patch``, which cannot be imported in v0.6 without Caffe2.
    """
    with ExitStack() as stack:
        for name in ("fast_rcnn", "mask_head", "keypoint_head"):
            target = f"detectron2.modeling.roi_heads.{name}.len"
            stack.enter_context(mock.patch(target, lambda items: items.__len__(), create=True))
        yield


class PoseGraph(nn.Module):
    """One image and its camera to the people in it, without Python objects in between.

    The same steps as ``HMORRCNN.inference`` for one image, before its postprocessing.  While
    PyTorch traces it, sizes of images and numbers of people must stay tensors: what is made of
    their Python numbers, e.g. by ``Tensor.split``, would hold for the traced image alone.
    """

    def __init__(self, model: HMORRCNN):
        """
        Args:
            model: changed here; :func:`prepare_for_export` takes a copy.
        """
        super().__init__()
        self.model = model
        # A tensor of the file, so that it can differ from that of the trace.
        predictor = model.roi_heads.box_predictor
        threshold = torch.tensor(float(predictor.test_score_thresh))
        del predictor.test_score_thresh
        predictor.register_buffer("test_score_thresh", threshold)
        # Runtimes stumble over layers without any input: where nobody is found, the heads get this.
        self.register_buffer("stand_in", torch.tensor([[0.0, 0.0, 32.0, 32.0]]))

    @property
    def num_joints(self) -> int:
        return self.model.skeleton.num_joints

    def forward(self, image: Tensor, intrinsics: Tensor) -> tuple[Tensor, ...]:
        """Find people and their absolute poses.

        Args:
            image: (3, H, W) values from 0 to 255, channels in the order of INPUT.FORMAT, resized
                for the model; padding to a multiple of the backbone's stride is done here.
            intrinsics: (4,) fx, fy, cx, cy in continuous pixels of ``image``.

        Returns:
            of N people, highest score first: boxes (N, 4) XYXY and scores (N,); keypoints
            (N, J, 3) of x, y and score; boxes and keypoints in pixels of ``image``; poses
            (N, J, 3) and root depths (N,) in mm in the camera frame.  See ``OUTPUTS``.
        """
        model = self.model
        images = model.preprocess_image([{"image": image.float()}])
        features = model.backbone(images.tensor)
        depth_map = model.depth_map_head(features)
        with _lengths_as_tensors():
            proposals, _ = model.proposal_generator(images, features, None)
            (people,) = model.roi_heads._forward_box(features, proposals)
        boxes = people.pred_boxes.tensor
        count = shape_as_tensor(boxes)[0]
        heads_boxes = torch.cat((boxes, self.stand_in))[: count.clamp(min=1)]
        poses = model.roi_heads.predict_poses(
            features,
            [Boxes(heads_boxes)],
            torch.zeros_like(heads_boxes[:, 0], dtype=torch.long),
            PinholeCameras(intrinsics.unsqueeze(0)),
            depth_map,
        )
        return boxes, people.scores, *(values[:count] for values in poses)

    @property
    def score_threshold(self) -> Tensor:
        """() that people's scores must exceed."""
        return self.model.roi_heads.box_predictor.test_score_thresh

    @contextmanager
    def finding_anybody(self) -> Iterator[None]:
        """Let every box be a person: a trace without people would not hold for others."""
        threshold = self.score_threshold.clone()
        self.score_threshold.fill_(-1.0)
        try:
            yield
        finally:
            self.score_threshold.copy_(threshold)


def example_inputs(size: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
    """Inputs to trace with: noise, the same at every call, before a camera of some 55 degrees.

    Args:
        size: height and width in pixels; None: any will do.
    """
    height, width = size or (256, 320)
    noise = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    return 255 * noise, PinholeCameras.from_fov([(height, width)], 55.0).tensor[0]
