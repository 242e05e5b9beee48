"""What options make of the model: --precise, --score-threshold."""

import numpy as np
import torch
from detectron2.config import get_cfg
from detectron2.layers import FrozenBatchNorm2d

from hmor_d2 import add_hmor_config
from tests.demo import program  # noqa: F401  makes the demo's scripts importable

import demo  # isort: skip
import options  # isort: skip
import predictor  # isort: skip


def has_batch_norms(model):
    return any(isinstance(module, FrozenBatchNorm2d) for module in model.modules())


def test_both_find_the_same_people(config_file):
    cfg = get_cfg()
    add_hmor_config(cfg)
    cfg.merge_from_file(str(config_file))
    torch.manual_seed(0)
    precise = predictor.PosePredictor(cfg, precise=True)
    torch.manual_seed(0)
    fast = predictor.PosePredictor(cfg)
    assert has_batch_norms(precise.model) and not has_batch_norms(fast.model)
    picture = np.random.default_rng(0).integers(0, 256, (128, 160, 3), dtype=np.uint8)
    (expected,), (found,) = (predict([picture]) for predict in (precise, fast))
    assert len(found) == len(expected) > 0
    torch.testing.assert_close(
        found.pred_boxes.tensor, expected.pred_boxes.tensor, rtol=0, atol=0.05
    )
    difference = found.pred_keypoints_cam - expected.pred_keypoints_cam
    assert difference.norm(dim=2).mean() < 2.0  # bfloat16, on some processors


def test_the_option_reaches_the_predictor(config_file, tmp_path):
    command = ["--config-file", str(config_file), "--input", "none", "--output", str(tmp_path)]
    for option, expected in (([], False), (["--precise"], True)):
        program_options = options.parse_args("", [*command, *option])
        assert has_batch_norms(demo.Demo(program_options).predictor.model) == expected


def test_poses_are_computed_only_of_people_who_are_shown(config_file, tmp_path):
    command = ["--config-file", str(config_file), "--input", "none", "--output", str(tmp_path)]
    program_options = options.parse_args("", [*command, "--score-threshold", "0"])
    everybody = demo.Demo(program_options).predictor
    picture = np.random.default_rng(0).integers(0, 256, (128, 160, 3), dtype=np.uint8)
    (people,) = everybody([picture])
    scores = people.scores.sort(descending=True).values
    between = str(float(scores[:2].mean()))
    program_options = options.parse_args("", [*command, "--score-threshold", between])
    chosen = demo.Demo(program_options).predictor
    chosen.model.load_state_dict(everybody.model.state_dict())
    seen = []
    chosen.model.roi_heads.pose_head.register_forward_pre_hook(
        lambda module, inputs: seen.append(len(inputs[0]))
    )
    (found,) = chosen([picture])
    assert seen == [1] and len(people) > 1
    torch.testing.assert_close(found.scores, scores[:1])
