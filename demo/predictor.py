"""From pictures to absolute poses: Detectron2's DefaultPredictor with cameras and batches."""

import logging
from collections.abc import Sequence

import detectron2.data.transforms as T
import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.structures import Instances

from hmor_d2.checkpoint import HMORCheckpointer
from hmor_d2.modeling import optimize_for_inference
from hmor_d2.skeleton import get_skeleton
from hmor_d2.structures import PinholeCameras

logger = logging.getLogger("hmor_d2.demo")


class PosePredictor:
    """Builds the model of a config, loads its weights, and runs it on batches of pictures.

    Attributes:
        skeleton: the joints of the results.
        default_fov_deg: field of view on the larger side that is assumed without intrinsics.
    """

    def __init__(self, cfg: CfgNode, precise: bool = False):
        """
        Args:
            cfg: of the model and its weights.
            precise: do not let hmor_d2.modeling.optimize_for_inference change the model, as it
                does on a CPU.
        """
        self.model = build_model(cfg).eval()
        if not cfg.MODEL.WEIGHTS:
            logger.warning("MODEL.WEIGHTS is empty: the model is not trained")
        HMORCheckpointer(self.model).load(cfg.MODEL.WEIGHTS)
        if cfg.MODEL.DEVICE == "cpu" and not precise:
            optimize_for_inference(self.model, inplace=True)
        self.skeleton = get_skeleton(cfg.MODEL.HMOR.SKELETON)
        self.default_fov_deg = cfg.INPUT.DEFAULT_FOV_DEG
        self.resize = T.ResizeShortestEdge([cfg.INPUT.MIN_SIZE_TEST] * 2, cfg.INPUT.MAX_SIZE_TEST)
        self.input_format = cfg.INPUT.FORMAT
        if self.input_format not in ("BGR", "RGB"):
            raise ValueError(f"INPUT.FORMAT is '{self.input_format}', expected BGR or RGB")

    @torch.inference_mode()
    def __call__(
        self,
        images_bgr: Sequence[np.ndarray],
        intrinsics: Sequence[Sequence[float] | None] | None = None,
    ) -> list[Instances]:
        """Estimate the pose of everyone in a batch.

        Args:
            images_bgr: B pictures (H, W, 3) uint8, of equal or differing sizes: the model pads
                them to the largest.  B may be 0.
            intrinsics: for each picture (fx, fy, cx, cy) in its own pixels, continuous
                coordinates, or None; the model assumes a field of view where None.

        Returns:
            B Instances on the CPU, highest score first: pred_boxes and pred_keypoints in pixels
            of the picture, scores, pred_keypoints_cam (N, J, 3) and pred_root_depth (N) in mm.

        Raises:
            ValueError: if there are not as many cameras as pictures.
        """
        if intrinsics is None:
            intrinsics = [None] * len(images_bgr)
        inputs = [
            self._model_input(image, camera)
            for image, camera in zip(images_bgr, intrinsics, strict=True)
        ]
        if not inputs:
            return []
        found = [output["instances"].to("cpu") for output in self.model(inputs)]
        return [people[people.scores.argsort(descending=True)] for people in found]

    def _model_input(self, image_bgr: np.ndarray, intrinsics: Sequence[float] | None) -> dict:
        height, width = image_bgr.shape[:2]
        transform = self.resize.get_transform(image_bgr)
        image = transform.apply_image(image_bgr)
        if self.input_format == "RGB":
            image = image[:, :, ::-1]
        image = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))
        model_input = {"image": image, "height": height, "width": width}
        if intrinsics is not None:
            camera = PinholeCameras(torch.tensor([list(intrinsics)], dtype=torch.float64))
            camera, _ = camera.transformed(transform.apply_coords)
            model_input["intrinsics"] = camera.tensor[0].float()
        return model_input
