"""tools/benchmark.py inference, on a small picture."""

import argparse
import itertools
import json

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes

from tests.modeling.scenes import make_input


def test_all_are_timed_with_the_people_asked_for(
    run_benchmark, small_rivals, config_file, tmp_path, capsys
):
    output = tmp_path / "figures.json"
    options = ["--people", "1", "3", "--size", "96x64", "--repeats", "2", "--cpu-time"]
    arguments = [*options, "--config-file", config_file, "--json", str(output)]
    run_benchmark("inference", *arguments, "--threads", "1", "--profile")
    printed = capsys.readouterr().out
    assert "96x64, processor time" in printed and "Keypoint R-CNN" in printed
    figures = json.loads(output.read_text())
    assert [row["people"] for row in figures["rows"]] == [1, 3]
    for row in figures["rows"]:
        assert list(row["seconds"]) == ["ours", "plain", "Keypoint R-CNN", "crops"]
        assert row["times_ours"]["ours"] == {"median": 1.0, "quartiles": [1.0, 1.0]}
        shown = (row[key].values() for key in ("seconds", "times_ours", "times_fewest"))
        for times in itertools.chain(*shown):
            low, high = times["quartiles"]
            assert 0 < low <= times["median"] <= high
    assert "by module" in printed
    modules = [row["name"] for row in figures["profile"]["module"]]
    assert len(modules) == 5 and "backbone.bottom_up" in modules


def test_people_and_proposals_are_fixed_only_while_asked_for(benchmark, small_cfg):
    model = build_model(small_cfg).eval()
    picture = make_input(64, 96, 0)
    picture.pop("instances")
    people = Boxes(torch.tensor([[10.0, 5, 30, 60], [40.0, 5, 70, 50]]))
    seen = []
    hook = model.roi_heads.box_head.register_forward_hook(lambda m, x, y: seen.append(len(y)))
    with torch.no_grad():
        with benchmark("fixed_people").FixedPeople(model, people):
            found = model([dict(picture)])[0]["instances"]
        model([dict(picture)])
        hook.remove()
    assert torch.equal(found.pred_boxes.tensor, people.tensor)
    assert seen[0] == small_cfg.MODEL.RPN.POST_NMS_TOPK_TEST
    assert "_forward_box" not in vars(model.roi_heads)
    assert not model.proposal_generator._forward_hooks


def test_the_crop_route_gives_what_its_networks_say(benchmark, small_rivals):
    """A pose in the middle of each crop, at the depth that follows from the camera."""
    rivals, size = benchmark("rivals"), (96, 128)
    route = rivals.build_crop_route(5, "cpu", optimize=True)
    torch.nn.init.zeros_(route.pose_net.predictor.weight)
    torch.nn.init.zeros_(route.root_depth_net.depth.weight)
    torch.nn.init.zeros_(route.pose_net.predictor.bias)
    torch.nn.init.constant_(route.root_depth_net.depth.bias, 0.5)
    people = Boxes(torch.tensor([[10.0, 20, 30, 60], [60.0, 30, 110, 50]]))
    focal = 200.0
    picture = {
        "image": torch.zeros(3, *size, dtype=torch.uint8),
        "height": size[0],
        "width": size[1],
        "intrinsics": torch.tensor([focal, focal, 64.0, 48.0]),
    }
    with torch.inference_mode(), benchmark("fixed_people").FixedPeople(route.detector, people):
        (output,) = route([picture])
    poses = output["instances"].pred_keypoints_cam
    assert poses.shape == (2, 5, 3)
    # Depth of the root: gamma * f * 2000 mm / side of the square, 1.25 times the longer side.
    depths = 0.5 * focal * 2000 / torch.tensor([50.0, 62.5])
    torch.testing.assert_close(poses[..., 2], depths[:, None].expand(2, 5), rtol=1e-4, atol=0)
    pixels = poses[..., :2] / poses[..., 2:] * focal + torch.tensor([64.0, 48.0])
    centers = torch.tensor([[20.0, 40], [85.0, 40]])
    torch.testing.assert_close(pixels, centers[:, None].expand(2, 5, 2), rtol=0, atol=0.01)


@pytest.mark.parametrize("size", ["800", "1333x", "0x10", "axb"])
def test_a_size_that_is_none_is_refused(benchmark, size):
    with pytest.raises(argparse.ArgumentTypeError, match="found"):
        benchmark("inference").image_size(size)


def test_processor_time_of_several_threads_is_refused(run_benchmark):
    with pytest.raises(SystemExit, match="--threads 1"):
        run_benchmark("inference", "--cpu-time", "--threads", "2")
