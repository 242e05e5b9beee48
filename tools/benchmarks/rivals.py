"""Other ways from a picture to the poses in it, with random weights: their speed is compared."""

import cv2
import numpy as np
import torch
from detectron2 import model_zoo
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torchvision.models import resnet50

from hmor_d2.modeling import optimize_for_inference
from hmor_d2.modeling.soft_argmax import soft_argmax_3d
from hmor_d2.structures import PinholeCameras

__all__ = ["CropRoute", "build_crop_route", "build_keypoint_rcnn"]

CROP = 256  # pixels of a person's crop, wide and high
DEPTH_BINS = 64
DEPTH_RANGE_MM = 1000.0


def build_keypoint_rcnn(device: str, optimize: bool) -> nn.Module:
    """Detectron2's Keypoint R-CNN R50-FPN: 2D joints alone."""
    model = _stock_model("COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x.yaml", device, optimize)
    # Random heatmaps overflow in Detectron2's softmax; flat ones take as long.
    nn.init.zeros_(model.roi_heads.keypoint_head.score_lowres.weight)
    return model


def build_crop_route(num_joints: int, device: str, optimize: bool) -> "CropRoute":
    """Faster R-CNN R50-FPN, and the two networks that see crops, see CropRoute.

    Args:
        num_joints: of the pose network.
        device: where all run.
        optimize: fold batch norms and use channels_last memory, as optimize_for_inference does.
    """
    detector = _stock_model("COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml", device, optimize)
    networks = [net.to(device).eval() for net in (RootDepthNet(), PoseNet(num_joints))]
    if optimize:
        networks = [fuse(net).to(memory_format=torch.channels_last) for net in networks]
    return CropRoute(detector, *networks).eval()


def _stock_model(name: str, device: str, optimize: bool) -> nn.Module:
    cfg = _stock_config(name)
    cfg.MODEL.DEVICE = device
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 1  # people alone, as the others
    model = build_model(cfg).eval()
    return optimize_for_inference(model) if optimize else model


def _stock_config(name: str) -> CfgNode:
    return model_zoo.get_config(name)


class ResNetTrunk(nn.Sequential):
    """torchvision's ResNet-50 down to its last feature map, 2048 channels at stride 32."""

    def __init__(self):
        super().__init__(*list(resnet50().children())[:-2])


class RootDepthNet(nn.Module):
    """RootNet of 3DMPPE (Moon et al. 2019): crops to gamma, which corrects a depth by area.

    Its second branch, for the root's place in the picture, is left out: PoseNet tells it too.
    """

    def __init__(self):
        super().__init__()
        self.trunk = ResNetTrunk()
        self.depth = nn.Conv2d(2048, 1, kernel_size=1)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, 256, 256) normalised crops to (N,) factors."""
        pooled = self.trunk(crops).mean(dim=(2, 3), keepdim=True)
        return self.depth(pooled).flatten()


class PoseNet(nn.Module):
    """PoseNet of 3DMPPE: three deconvolutions and 3D heatmaps of 64 x 64 x 64 bins."""

    def __init__(self, num_joints: int):
        super().__init__()
        self.num_joints = num_joints
        self.trunk = ResNetTrunk()
        layers = []
        for channels in (2048, 256, 256):
            deconv = nn.ConvTranspose2d(channels, 256, 4, stride=2, padding=1, bias=False)
            layers += [deconv, nn.BatchNorm2d(256), nn.ReLU(inplace=True)]
        self.deconvs = nn.Sequential(*layers)
        self.predictor = nn.Conv2d(256, num_joints * DEPTH_BINS, kernel_size=1)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, 256, 256) normalised crops to (N, J * 64, 64, 64) logits of heatmaps."""
        return self.predictor(self.deconvs(self.trunk(crops)))


class CropRoute(nn.Module):
    """Detects people, then estimates root depths and poses from a crop a person (3DMPPE).

    All crops of a picture go through each network at once, and the picture is cropped as 3DMPPE
    does it: a square of 1.25 times the box, by OpenCV's warp.
    """

    def __init__(self, detector: nn.Module, root_depth_net: nn.Module, pose_net: nn.Module):
        super().__init__()
        self.detector = detector
        self.root_depth_net = root_depth_net
        self.pose_net = pose_net
        self.num_joints = pose_net.predictor.out_channels // DEPTH_BINS
        self.register_buffer("mean", torch.tensor([103.53, 116.28, 123.675])[:, None, None])
        self.register_buffer("std", torch.tensor([57.375, 57.12, 58.395])[:, None, None])

    def forward(self, batched_inputs: list[dict]) -> list[dict]:
        """One picture as Detectron2's dict with intrinsics, to Instances with absolute poses."""
        (picture,) = batched_inputs
        (output,) = self.detector(batched_inputs)
        people = output["instances"]
        squares = _squares(people.pred_boxes.tensor)
        crops = self._crop(picture["image"], squares)
        logits = self.pose_net(crops).unflatten(1, (self.num_joints, DEPTH_BINS))
        places = soft_argmax_3d(logits).coordinates
        camera = PinholeCameras(picture["intrinsics"][None].to(squares))
        size = squares[:, 2:] - squares[:, :2]
        focal_area = camera.mean_focal**2 * 2000.0**2
        depth = self.root_depth_net(crops) * (focal_area / size.prod(dim=1)).sqrt()
        depth = depth[:, None] + DEPTH_RANGE_MM * places[..., 2]
        pixels = squares[:, None, :2] + places[..., :2] * size[:, None]
        cameras = camera[torch.zeros(len(people), dtype=torch.long, device=squares.device)]
        people.pred_keypoints_cam = cameras.unproject(pixels, depth.clamp(min=1.0))
        return [output]

    def _crop(self, image: Tensor, squares: Tensor) -> Tensor:
        picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        crops = np.empty((len(squares), CROP, CROP, 3), np.uint8)
        for crop, (left, top, right, _) in zip(crops, squares.tolist(), strict=True):
            scale = CROP / (right - left)
            matrix = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])
            cv2.warpAffine(picture, matrix, (CROP, CROP), dst=crop, flags=cv2.INTER_LINEAR)
        # Pixels side by side, as they are, is channels_last memory.
        values = torch.from_numpy(crops).to(self.mean.device).permute(0, 3, 1, 2)
        return (values - self.mean) / self.std


def _squares(boxes: Tensor) -> Tensor:
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = 1.25 / 2 * (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True)
    return torch.cat((centers - half, centers + half), dim=1)
