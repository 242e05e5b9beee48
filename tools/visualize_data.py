#!/usr/bin/env python
"""Draw what the dataset mapper hands to the model, to check a dataset by eye.

Each picture shows the mapped image with boxes and 2D joints (lines) and the projection of the 3D
joints through the mapped intrinsics (crosses, which belong on the joints), the 3D poses from
beside the camera, from above, and along random virtual view normals.  The distance between the two
kinds of joints is printed.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import build_augmentation
from detectron2.utils.env import seed_all_rng
from tqdm import tqdm

from hmor_d2.config_file import read_config
from hmor_d2.data import DatasetError, HMORDatasetMapper, register_custom_datasets
from hmor_d2.losses.views import sample_view_normals
from hmor_d2.skeleton import Skeleton, get_skeleton
from hmor_d2.structures import PinholeCameras
from hmor_d2.visualization import (
    draw_poses,
    draw_scene,
    draw_virtual_view,
    person_colour,
)

HEIGHT = 640  # of the pictures, pixels


def draw_sample(
    sample: dict,
    skeleton: Skeleton,
    image_format: str,
    default_fov_deg: float,
    normals: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one mapped sample.

    Args:
        sample: the mapper's result in training: image (3, H, W), instances and, where known,
            intrinsics.
        skeleton: the model's joints.
        image_format: "BGR" or "RGB", of the sample's image.
        default_fov_deg: for the view of pictures without intrinsics.
        normals: (V, 3) unit view normals to draw the poses along.

    Returns:
        (HEIGHT, W, 3) uint8 RGB, and (K,) distances in pixels between joints known in 2D and
        the projections of those known in 3D; none without intrinsics.
    """
    image = sample["image"].permute(1, 2, 0).numpy()
    image = np.ascontiguousarray(image[..., ::-1] if image_format == "RGB" else image)
    size = image.shape[:2]
    people = sample["instances"]
    keypoints, poses = people.gt_keypoints.tensor.numpy(), people.gt_poses
    valid = poses.valid.numpy()
    camera = PinholeCameras.from_fov([size], default_fov_deg)
    has_camera = sample.get("intrinsics") is not None
    if has_camera:
        camera = PinholeCameras(torch.as_tensor(sample["intrinsics"]).reshape(1, 4))

    # A joint whose depth is not known must not be divided by; it is not drawn either.
    points = torch.where(poses.valid[..., None], poses.tensor, torch.ones(3))
    projected = camera.project(points[None])[0].numpy()
    both = valid & (keypoints[..., 2] > 0)
    errors = np.linalg.norm(projected - keypoints[..., :2], axis=-1)[both]

    zoom = HEIGHT / size[0]
    width = max(1, round(size[1] * zoom))
    photo = cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_LINEAR)
    scaled = np.concatenate([keypoints[..., :2] * zoom, keypoints[..., 2:]], axis=-1)
    depth = None
    if skeleton.root_index is not None and valid[:, skeleton.root_index].all():
        depth = poses.tensor[:, skeleton.root_index, 2].numpy()
    boxes = people.gt_boxes.tensor.numpy() * zoom
    photo = draw_poses(photo, boxes, scaled, skeleton, root_depth=depth)
    if has_camera:
        for i, j in np.argwhere(valid):
            draw_cross(photo, projected[i, j] * zoom, person_colour(i)[::-1])
    view = {"intrinsics": camera.tensor[0].tolist(), "image_size": size, "image": image}
    scene = draw_scene(poses.tensor.numpy(), skeleton, valid=valid, height_px=HEIGHT, **view)
    views = [
        draw_virtual_view(poses.tensor.numpy(), skeleton, normal, valid=valid, size_px=HEIGHT)
        for normal in normals
    ]
    return np.hstack([photo[..., ::-1], scene, *views]), errors if has_camera else errors[:0]


def draw_cross(image: np.ndarray, pixel: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Draw a small rimmed cross at a continuous pixel, in place."""
    if not (np.abs(pixel) < 1e5).all():
        return
    place = tuple(int(value) for value in np.floor(pixel))
    for shade, size, thickness in (((255, 255, 255), 15, 4), (colour, 13, 2)):
        cv2.drawMarker(image, place, shade, cv2.MARKER_TILTED_CROSS, size, thickness)


def build_mapper(cfg: CfgNode, train: bool) -> HMORDatasetMapper:
    """The training mapper, with the augmentations of training or of test."""
    if train:
        return HMORDatasetMapper(cfg, is_train=True)
    augmentations = build_augmentation(cfg, is_train=False)
    return HMORDatasetMapper(cfg, is_train=True, augmentations=augmentations)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="registered name")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--num", type=int, default=8, help="pictures, spread over the dataset")
    parser.add_argument("--train", action="store_true", help="with the augmentations of training")
    parser.add_argument("--seed", type=int, default=0, help="of augmentations and views")
    parser.add_argument("--views", type=int, default=2, help="virtual views to draw")
    parser.add_argument("--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE")
    args = parser.parse_args(arguments)
    cfg = read_config(args.config_file, args.opts)
    try:
        register_custom_datasets(cfg.DATASETS.CUSTOM)
    except DatasetError as error:
        parser.error(f"--config-file: {error}")
    if args.dataset not in DatasetCatalog:
        known = [n for n in DatasetCatalog.list() if MetadataCatalog.get(n).get("joint_set")]
        parser.error(f"--dataset: found '{args.dataset}', expected one of {known}")
    try:
        records = DatasetCatalog.get(args.dataset)
    except DatasetError as error:
        parser.error(f"--dataset: {error}")
    if not records:
        parser.error(f"--dataset: '{args.dataset}' has no images")
    if args.num < 1 or args.views < 0:
        parser.error(f"found --num {args.num} --views {args.views}, expected at least 1 and 0")

    seed_all_rng(args.seed)
    mapper = build_mapper(cfg, args.train)
    skeleton = get_skeleton(cfg.MODEL.HMOR.SKELETON)
    args.output.mkdir(parents=True, exist_ok=True)
    chosen = np.unique(np.linspace(0, len(records) - 1, args.num).round().astype(int))
    generator = torch.Generator().manual_seed(args.seed)
    distances = []
    for index in tqdm(chosen, unit="image"):
        sample = mapper(records[index])
        normals = sample_view_normals(args.views, generator).numpy()
        picture, errors = draw_sample(
            sample, skeleton, cfg.INPUT.FORMAT, cfg.INPUT.DEFAULT_FOV_DEG, normals
        )
        distances.append(errors)
        path = args.output / f"{args.dataset}_{index:06d}.png"
        if not cv2.imwrite(str(path), picture[..., ::-1]):
            raise OSError(f"cannot write {path}")
    distances = np.concatenate(distances)
    if len(distances):
        print(
            f"{len(distances)} joints known in 2D and in 3D: the projection is off by "
            f"{np.median(distances):.2f} pixels (median), {distances.max():.2f} (largest)"
        )
    else:
        print("no joint is known both in 2D and, with intrinsics, in 3D")
    print(f"{len(chosen)} pictures: {args.output}")


if __name__ == "__main__":
    main()
