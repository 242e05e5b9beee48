"""How the HMOR losses run: precision under autocast, compilation, operations, memory."""

import argparse
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hmor_d2.losses.hmor import hmor_losses, hmor_losses_batched
from hmor_d2.skeleton import get_skeleton
from tests.losses.hmor_scenes import make_normals, make_scene, padded, tensors

SKELETON = get_skeleton("muco17")


def test_pairs_are_computed_in_float32_under_autocast():
    pred, gt, valid = tensors(make_scene(1, 4, invalid=0.2), torch.float32)
    normals = torch.as_tensor(make_normals(2, 3))
    half = pred.bfloat16().requires_grad_()
    expected = hmor_losses(half.float(), gt, valid, SKELETON, normals)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = hmor_losses(half, gt, valid, SKELETON, normals)
        assert torch.mm(pred[0], pred[0].T).dtype == torch.bfloat16  # it is on again
    for key, loss in losses.items():
        assert loss.dtype == torch.float32
        assert torch.equal(loss, expected[key])
    sum(losses.values()).backward()
    assert half.grad.dtype == torch.bfloat16 and half.grad.isfinite().all()


@pytest.mark.skipif(
    torch.__version__ < (2, 5), reason="torch.compile of PyTorch 2.1 cannot trace promote_types"
)
@pytest.mark.parametrize("max_pairs", [0, 100])
def test_compiles_without_a_graph_break(max_pairs):
    pred, gt, valid = padded([make_scene(s, n) for s, n in ((1, 3), (2, 2))], torch.float32, 0.0)
    normals = torch.as_tensor(np.stack([make_normals(i, 2) for i in (3, 4)]))
    compiled = torch.compile(hmor_losses_batched, fullgraph=True, backend="aot_eager")
    pred.requires_grad_()
    results = []
    for function in (compiled, hmor_losses_batched):
        torch.manual_seed(0)
        losses, figures = function(pred, gt, valid, SKELETON, normals, max_pairs=max_pairs)
        (gradient,) = torch.autograd.grad(sum(losses.values()), pred)
        results.append([*losses.values(), *figures.values(), gradient])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-9)
    zeros, _ = compiled(
        gt.clone().requires_grad_(), gt, valid, SKELETON, normals, max_pairs=max_pairs
    )
    assert all(loss.item() == 0 for loss in zeros.values())


class CountOperations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("max_pairs", [0, 5])
def test_number_of_operations_does_not_depend_on_images_people_or_views(max_pairs):
    def count(images, people, views):
        scene = padded([make_scene(i, people) for i in range(images)], torch.float32)
        normals = torch.as_tensor(make_normals(0, views)).expand(images, views, 3)
        scene[0].requires_grad_()
        with CountOperations() as operations:
            losses, _ = hmor_losses_batched(*scene, SKELETON, normals, max_pairs=max_pairs)
            sum(losses.values()).backward()
        return operations.count

    # A dimension of 1 saves operations; from 2 on the number is one and the same.
    sizes = ((2, 4, 2), (2, 5, 2), (2, 4, 9), (7, 4, 2), (3, 10, 4))
    counts = {count(*size) for size in sizes}
    assert len(counts) == 1
    assert 50 < counts.pop() < 700


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    from benchmarks import hmor

    return hmor


def test_memory_grows_with_pairs_and_views_only(benchmark):
    def peak(people, views):
        scene = benchmark.make_batch(8, people, views, SKELETON, "cpu")
        step = benchmark.Step(lambda pred: benchmark.batched_losses(pred, *scene[1:], SKELETON))
        return benchmark.peak_memory(step, scene[0])

    reference = peak(8, 9)
    assert 5 < reference < 30
    assert peak(8, 18) < 2.1 * reference
    assert peak(16, 9) < 4.3 * reference


def test_the_benchmark_compares_equal_losses(benchmark, capsys):
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    threads = str(torch.get_num_threads())
    arguments = ["--images", "2", "--people", "3", "--views", "2", "--rounds", "1"]
    benchmark.run(parser.parse_args([*arguments, "--threads", threads]))
    output = capsys.readouterr().out
    assert "loop over pairs" in output and "x faster" in output and " MB" in output


def test_the_losses_work_alone(monkeypatch):
    """The folder of losses as a package of its own: torch is all that it imports."""
    import hmor_d2.losses

    path = hmor_d2.losses.__file__
    spec = importlib.util.spec_from_file_location(
        "losses_alone", path, submodule_search_locations=[str(Path(path).parent)]
    )
    alone = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "losses_alone", alone)
    spec.loader.exec_module(alone)
    scene = tensors(make_scene(1, 3))
    normals = alone.sample_view_normals(2, dtype=torch.float64)
    losses = alone.hmor_losses(*scene, SimpleNamespace(parts=SKELETON.parts), normals)
    assert losses == hmor_losses(*scene, SKELETON, normals)
