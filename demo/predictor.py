"""From one picture to absolute poses: Detectron2's DefaultPredictor with a camera."""

import logging
from collections.abc import Sequence

import detectron2.data.transforms as T
import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.structures import Instances

from hmor_d2.checkpoint import HMORCheckpointer
from hmor_d2.skeleton import get_skeleton
from hmor_d2.structures import PinholeCameras

logger = logging.getLogger("hmor_d2.demo")


class PosePredictor:
    """Builds the model of a config, loads its weights, and runs it on single pictures.

    Attributes:
        skeleton: the joints of the results.
        default_fov_deg: field of view on the larger side that is assumed without intrinsics.
    """

    def __init__(self, cfg: CfgNode):
        self.model = build_model(cfg).eval()
        if not cfg.MODEL.WEIGHTS:
            logger.warning("MODEL.WEIGHTS is empty: the model is not trained")
        HMORCheckpointer(self.model).load(cfg.MODEL.WEIGHTS)
        self.skeleton = get_skeleton(cfg.MODEL.HMOR.SKELETON)
        self.default_fov_deg = cfg.INPUT.DEFAULT_FOV_DEG
        self.resize = T.ResizeShortestEdge([cfg.INPUT.MIN_SIZE_TEST] * 2, cfg.INPUT.MAX_SIZE_TEST)
        self.input_format = cfg.INPUT.FORMAT
        if self.input_format not in ("BGR", "RGB"):
            raise ValueError(f"INPUT.FORMAT is '{self.input_format}', expected BGR or RGB")

    def assumed_intrinsics(self, height: int, width: int) -> list[float]:
        """[fx, fy, cx, cy] in pixels that the model assumes for a picture without intrinsics."""
        cameras = PinholeCameras.from_fov([(height, width)], self.default_fov_deg)
        return cameras.tensor[0].tolist()

    @torch.no_grad()
    def __call__(
        self, image_bgr: np.ndarray, intrinsics: Sequence[float] | None = None
    ) -> Instances:
        """Estimate everyone's pose.

        Args:
            image_bgr: (H, W, 3) uint8.
            intrinsics: (fx, fy, cx, cy) in pixels of this picture, continuous coordinates; the
                model assumes a field of view where None.

        Returns:
            Instances on the CPU, highest score first: pred_boxes and pred_keypoints in pixels
            of this picture, scores, pred_keypoints_cam (N, J, 3) and pred_root_depth (N) in mm.
        """
        height, width = image_bgr.shape[:2]
        transform = self.resize.get_transform(image_bgr)
        image = transform.apply_image(image_bgr)
        if self.input_format == "RGB":
            image = image[:, :, ::-1]
        image = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))
        inputs = {"image": image, "height": height, "width": width}
        if intrinsics is not None:
            camera = PinholeCameras(torch.tensor([list(intrinsics)], dtype=torch.float64))
            camera, _ = camera.transformed(transform.apply_coords)
            inputs["intrinsics"] = camera.tensor[0].float()
        people = self.model([inputs])[0]["instances"].to("cpu")
        return people[people.scores.argsort(descending=True)]
