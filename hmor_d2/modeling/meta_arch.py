"""The integrated model: a Generalized R-CNN with a global depth map and known cameras."""

import logging
from contextlib import nullcontext

import torch
from detectron2.config import configurable
from detectron2.modeling import META_ARCH_REGISTRY, GeneralizedRCNN, build_backbone
from detectron2.modeling.proposal_generator import build_proposal_generator
from detectron2.modeling.roi_heads import build_roi_heads
from detectron2.structures import ImageList, Instances
from detectron2.utils.events import get_event_storage
from detectron2.utils.logger import log_first_n
from torch import nn

from ..skeleton import Skeleton, get_skeleton
from ..structures import PinholeCameras
from .channels_last_roi_align import use_channels_last_roi_align
from .depth_map_head import build_depth_map_head
from .people import image_index_of

__all__ = ["HMORRCNN"]


@META_ARCH_REGISTRY.register()
class HMORRCNN(GeneralizedRCNN):
    """ResNet-FPN, RPN, depth map, and ROI heads that estimate absolute poses.

    Inputs are Detectron2's, with one more key a dict: ``intrinsics``, a (4,) tensor
    (fx, fy, cx, cy) in pixels of ``image``, that is after resizing.  Without it, a field of view
    of INPUT.DEFAULT_FOV_DEG on the larger side is assumed.  Training needs ``gt_keypoints`` and
    ``gt_poses`` in the instances, as HMORDatasetMapper gives them.
    """

    @configurable
    def __init__(
        self,
        *,
        depth_map_head: nn.Module,
        skeleton: Skeleton,
        default_fov_deg: float,
        cpu_bfloat16: bool = False,
        channels_last: bool = False,
        **kwargs,
    ):
        """
        Args:
            depth_map_head: see DEPTH_MAP_HEAD_REGISTRY.
            skeleton: the model's joints; its name is saved in checkpoints.
            default_fov_deg: field of view where an image has no intrinsics, degrees.
            cpu_bfloat16: on a CPU, run in bfloat16 autocast.
            channels_last: keep weights and features in channels_last memory.
            kwargs: see GeneralizedRCNN.
        Raises:
            ValueError: for a skeleton without a root joint.
        """
        super().__init__(**kwargs)
        if skeleton.root_index is None:
            raise ValueError(f"skeleton '{skeleton.name}' has no root joint to estimate depths of")
        self.depth_map_head = depth_map_head
        self.skeleton = skeleton
        self.default_fov_deg = default_fov_deg
        self.cpu_bfloat16 = cpu_bfloat16
        if cpu_bfloat16:
            for module in (self.proposal_generator.rpn_head, self.roi_heads.box_predictor):
                module.register_forward_hook(_in_float32)
        if channels_last:
            self.to(memory_format=torch.channels_last)
            use_channels_last_roi_align(self)
        self.register_buffer("skeleton_name", _encode(skeleton.name))

    @classmethod
    def from_config(cls, cfg):
        backbone = build_backbone(cfg)
        shape = backbone.output_shape()
        depth_map_head = build_depth_map_head(cfg, shape)
        return {
            "backbone": backbone,
            "proposal_generator": build_proposal_generator(cfg, shape),
            "roi_heads": build_roi_heads(cfg, shape),
            "depth_map_head": depth_map_head,
            "skeleton": get_skeleton(cfg.MODEL.HMOR.SKELETON),
            "default_fov_deg": cfg.INPUT.DEFAULT_FOV_DEG,
            "cpu_bfloat16": cfg.MODEL.CPU_BFLOAT16,
            "channels_last": cfg.MODEL.CHANNELS_LAST,
            "input_format": cfg.INPUT.FORMAT,
            "vis_period": cfg.VIS_PERIOD,
            "pixel_mean": cfg.MODEL.PIXEL_MEAN,
            "pixel_std": cfg.MODEL.PIXEL_STD,
        }

    def forward(self, batched_inputs: list[dict]) -> dict[str, torch.Tensor] | list[dict]:
        """As GeneralizedRCNN.forward: losses in training, detections at test."""
        if not self.training:
            return self.inference(batched_inputs)
        with self._autocast():
            return self._losses(batched_inputs)

    def _autocast(self):
        # On other devices this leaves Detectron2's own mixed precision alone.
        enabled = self.cpu_bfloat16 and self.device.type == "cpu"
        return torch.autocast("cpu", torch.bfloat16) if enabled else nullcontext()

    def _losses(self, batched_inputs: list[dict]) -> dict[str, torch.Tensor]:
        images = self.preprocess_image(batched_inputs)
        cameras = self.batch_cameras(batched_inputs, images)
        targets = [x["instances"].to(self.device) for x in batched_inputs]
        features = self.backbone(images.tensor)
        depth_map = self.depth_map_head(features)
        losses = self._depth_map_losses(depth_map, targets, cameras)
        proposals, proposal_losses = self.proposal_generator(images, features, targets)
        losses.update(proposal_losses)
        _, detector_losses = self.roi_heads(
            images, features, proposals, targets, cameras=cameras, depth_map=depth_map
        )
        losses.update(detector_losses)
        if self.vis_period > 0 and get_event_storage().iter % self.vis_period == 0:
            self.visualize_training(batched_inputs, proposals)
        return losses

    def inference(
        self,
        batched_inputs: list[dict],
        detected_instances: list[Instances] | None = None,
        do_postprocess: bool = True,
    ) -> list[dict] | list[Instances]:
        """As GeneralizedRCNN.inference.

        Returns:
            per image {"instances": Instances} with pred_boxes, scores, pred_classes,
            pred_keypoints (N, J, 3: x, y, score), pred_keypoints_cam (N, J, 3 mm in the camera
            frame) and pred_root_depth (N, mm); the raw Instances without postprocessing.
        """
        assert not self.training
        images = self.preprocess_image(batched_inputs)
        with self._autocast():
            results = self._detect(batched_inputs, images, detected_instances)
        for instances in results:
            if instances.has("scores"):
                instances.scores = instances.scores.float()  # bfloat16 has no numpy type
        if do_postprocess:
            return GeneralizedRCNN._postprocess(results, batched_inputs, images.image_sizes)
        return results

    def _detect(self, batched_inputs, images, detected_instances) -> list[Instances]:
        features = self.backbone(images.tensor)
        known = {
            "cameras": self.batch_cameras(batched_inputs, images),
            "depth_map": self.depth_map_head(features),
        }
        if detected_instances is None:
            proposals, _ = self.proposal_generator(images, features, None)
            return self.roi_heads(images, features, proposals, None, **known)[0]
        detected_instances = [x.to(self.device) for x in detected_instances]
        return self.roi_heads.forward_with_given_boxes(features, detected_instances, **known)

    def batch_cameras(self, batched_inputs: list[dict], images: ImageList) -> PinholeCameras:
        """Cameras of a batch: the given intrinsics, or the assumed ones where there are none.

        Raises:
            ValueError: for intrinsics that are not 4 finite numbers with positive focal lengths.
        """
        cameras = PinholeCameras.from_fov(images.image_sizes, self.default_fov_deg).tensor
        known = [x.get("intrinsics") is not None for x in batched_inputs]
        for i, x in enumerate(batched_inputs):
            if known[i]:
                given = torch.as_tensor(x["intrinsics"], dtype=cameras.dtype).cpu()
                if given.shape != (4,) or not given.isfinite().all() or given[:2].min() <= 0:
                    raise ValueError(
                        f"image {x.get('file_name', i)}: field 'intrinsics': found {given}, "
                        "expected 4 finite numbers fx, fy, cx, cy in pixels, fx and fy positive"
                    )
                cameras[i] = given
        if not self.training and not all(known):
            log_first_n(
                logging.WARNING,
                f"No intrinsics given: a field of view of {self.default_fov_deg:g} degrees on the "
                "larger side is assumed, so absolute depths are approximate.",
                name="hmor_d2",
            )
        return PinholeCameras(cameras).to(self.device)

    def _depth_map_losses(self, depth_map, targets, cameras):
        root = self.skeleton.root_index
        boxes = torch.cat([t.gt_boxes.tensor for t in targets])
        image_index = image_index_of([len(t) for t in targets], boxes.device)
        roots = torch.cat([t.gt_keypoints.tensor[:, root] for t in targets])
        poses = torch.cat([t.gt_poses.tensor[:, root] for t in targets])
        valid = torch.cat([t.gt_poses.valid[:, root] for t in targets]) & (roots[:, 2] > 0)
        # The map is read inside boxes: a root outside (truncated people) is moved to its border.
        pixels = torch.minimum(torch.maximum(roots[:, :2], boxes[:, :2]), boxes[:, 2:])
        depths = poses[:, 2] / cameras.mean_focal[image_index]  # eq. 12
        return self.depth_map_head.losses(
            depth_map, pixels[valid], depths[valid], image_index[valid]
        )

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        saved = state_dict.get(prefix + "skeleton_name")
        if saved is not None and not torch.equal(saved.cpu(), self.skeleton_name.cpu()):
            raise ValueError(
                f"the checkpoint was trained with skeleton '{_decode(saved)}', the config has "
                f"MODEL.HMOR.SKELETON '{self.skeleton.name}'"
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _in_float32(module: nn.Module, inputs: tuple, outputs: tuple) -> tuple:
    """Scores and deltas, tensors or lists, as nms needs them; older torchvision converts none."""
    return tuple(
        x.float() if isinstance(x, torch.Tensor) else [level.float() for level in x]
        for x in outputs
    )


def _encode(name: str) -> torch.Tensor:
    """A name as 32 bytes, so that it can live in a state dict of tensors."""
    return torch.tensor(list(name.encode().ljust(32, b"\0")), dtype=torch.uint8)


def _decode(encoded: torch.Tensor) -> str:
    return bytes(encoded.tolist()).rstrip(b"\0").decode(errors="replace")
