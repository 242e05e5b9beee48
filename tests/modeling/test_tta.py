import torch
from detectron2.structures import Boxes, Instances

from hmor_d2.modeling import HMORRCNNWithTTA
from hmor_d2.modeling.test_time_augmentation import HMORDatasetMapperTTA
from hmor_d2.skeleton import get_skeleton
from hmor_d2.structures import PinholeCameras
from tests.modeling.scenes import make_input

MUCO17 = get_skeleton("muco17")


class Oracle(torch.nn.Module):
    """Stands for a model that is right in every version of the image.

    It knows people in the original image, and answers with their poses as that version shows
    them: resized, and mirrored where the image is.
    """

    def __init__(self, poses, original_camera, original_size, boxes, noise=0.0):
        super().__init__()
        self.poses, self.camera, self.size = poses, original_camera, original_size
        self.boxes, self.noise = boxes, noise
        self.skeleton, self.default_fov_deg = MUCO17, 55.0

    def inference(self, inputs, detected=None, do_postprocess=True):
        results = []
        for i, x in enumerate(inputs):
            height, width = x["image"].shape[1:]
            mirrored = bool(x["image"][0, 0, 0] < x["image"][0, 0, -1])
            poses = self.poses
            if mirrored:
                poses = poses[:, MUCO17.flip_indices.copy()] * torch.tensor([-1.0, 1.0, 1.0])
            poses = poses + (self.noise if mirrored else -self.noise)
            scale = torch.tensor([width / self.size[1], height / self.size[0]]).repeat(2)
            camera = self.camera.tensor[0] * scale
            if mirrored:
                camera = camera * torch.tensor([1, 1, -1, 1]) + torch.tensor([0, 0, width, 0])
            if "intrinsics" in x:
                torch.testing.assert_close(x["intrinsics"], camera, rtol=1e-5, atol=1e-3)
            n = len(poses)
            out = Instances((height, width))
            boxes = self.boxes * scale
            if mirrored:
                boxes = torch.stack(
                    (width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]), dim=1
                )
            if detected is not None:
                torch.testing.assert_close(detected[i].pred_boxes.tensor.float(), boxes)
            out.pred_boxes = Boxes(boxes)
            out.scores, out.pred_classes = torch.full((n,), 0.9), torch.zeros(n).long()
            cameras = PinholeCameras(camera.expand(n, 4))
            pixels = cameras.project(poses)
            out.pred_keypoints = torch.cat((pixels, torch.full((n, 17, 1), 0.5)), dim=2)
            out.pred_keypoints_cam = poses
            out.pred_root_depth = poses[:, 14, 2]
            results.append(out)
        return results


def tta_on(oracle, cfg, x):
    model = HMORRCNNWithTTA.__new__(HMORRCNNWithTTA)
    torch.nn.Module.__init__(model)
    model.cfg, model.model, model.batch_size = cfg, oracle, 3
    model.tta_mapper = HMORDatasetMapperTTA([96, 128], 400, True)
    oracle.roi_heads = torch.nn.Module()
    oracle.roi_heads.pose_on = True
    return model([x])[0]["instances"]


def scene(principal_point=(90.0, 70.0)):
    x = make_input(128, 160, 2, seed=3)
    gradient = torch.linspace(255, 0, 160).expand(3, 128, 160)
    poses = x["instances"].gt_poses.tensor
    camera = PinholeCameras(torch.tensor([[150.0, 155.0, *principal_point]]))
    boxes = torch.tensor([[10.0, 10.0, 60.0, 110.0], [80.0, 20.0, 150.0, 120.0]])
    inputs = {"image": gradient.to(torch.uint8), "height": 128, "width": 160}
    return inputs, poses, camera, boxes


def test_a_perfect_model_stays_perfect(small_cfg):
    """Principal point off the middle: any mistake in cx, or in the joints' swap, would show."""
    x, poses, camera, boxes = scene()
    x["intrinsics"] = camera.tensor[0]
    found = tta_on(Oracle(poses, camera, (128, 160), boxes), small_cfg, x)
    order = found.pred_boxes.tensor[:, 0].argsort()
    torch.testing.assert_close(found.pred_keypoints_cam[order], poses, rtol=1e-4, atol=0.2)
    torch.testing.assert_close(found.pred_root_depth[order], poses[:, 14, 2], rtol=1e-5, atol=0.01)
    torch.testing.assert_close(found.pred_boxes.tensor[order].float(), boxes, rtol=0, atol=1e-2)
    assert set(found.get_fields()) >= {"scores", "pred_classes", "pred_keypoints"}


def test_resized_input_and_assumed_camera(small_cfg):
    x, poses, _, boxes = scene()
    camera = PinholeCameras.from_fov([(256, 320)], 55.0)
    x.update(height=256, width=320)
    found = tta_on(Oracle(poses, camera, (256, 320), boxes * 2), small_cfg, x)
    order = found.pred_boxes.tensor[:, 0].argsort()
    torch.testing.assert_close(found.pred_keypoints_cam[order], poses, rtol=1e-4, atol=0.2)


def test_opposite_errors_cancel_in_the_mean(small_cfg):
    x, poses, camera, boxes = scene()
    x["intrinsics"] = camera.tensor[0]
    noise = torch.tensor([0.0, 0.0, 40.0])
    found = tta_on(Oracle(poses, camera, (128, 160), boxes, noise), small_cfg, x)
    order = found.pred_boxes.tensor[:, 0].argsort()
    torch.testing.assert_close(
        found.pred_keypoints_cam[order][..., 2], poses[..., 2], rtol=1e-5, atol=0.01
    )


def test_real_model_of_its_mirrored_image(small_cfg, small_model):
    """TTA of an image and of its mirror image give mirrored people."""
    small_model.eval()
    small_cfg.TEST.AUG.MIN_SIZES = (128,)
    small_cfg.TEST.DETECTIONS_PER_IMAGE = 5
    model = HMORRCNNWithTTA(small_cfg, small_model)
    x = make_input(128, 160, 0)
    y = {**x, "image": x["image"].flip(-1), "intrinsics": x["intrinsics"].clone()}
    with torch.no_grad():
        a, b = (model([i])[0]["instances"] for i in (x, y))
    assert len(a) == len(b) > 0
    mirrored = b.pred_keypoints_cam[:, MUCO17.flip_indices.copy()] * torch.tensor([-1.0, 1, 1])
    torch.testing.assert_close(a.pred_keypoints_cam, mirrored, rtol=1e-2, atol=20.0)
