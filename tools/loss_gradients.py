#!/usr/bin/env python3
"""How strongly each loss moves each part of the model, and whether with or against the others.

Prints, averaged over training batches, every loss's value, the norm of its gradient in each part of
the model, and there the cosine between it and the gradient of all other losses together.  It tells
which weight a loss has, whatever its value: a loss of little value may have a strong gradient.

    python tools/loss_gradients.py --config-file CONFIG --opts MODEL.WEIGHTS FILE
"""

import argparse
from collections.abc import Iterable, Sequence

import torch
from detectron2.modeling import build_model
from detectron2.utils.env import seed_all_rng
from detectron2.utils.events import EventStorage
from tabulate import tabulate
from torch import nn

from hmor_d2.checkpoint import HMORCheckpointer
from hmor_d2.config_file import read_config
from hmor_d2.data import HMORDatasetMapper, build_hmor_train_loader, register_custom_datasets

__all__ = ["PARTS", "loss_gradients"]

# Names of modules by the part that they are.
PARTS = {
    "ResNet-FPN": ("backbone.",),
    "depth map": ("depth_map_head.",),
    "PoseHead": ("roi_heads.pose_head.",),
    "DepthHead": ("roi_heads.depth_head.",),
}


def loss_gradients(
    model: nn.Module, batches: Iterable[list[dict]]
) -> dict[str, dict[str, float | dict[str, tuple[float, float]]]]:
    """Compare losses by their gradients; the model's weights stay as they are.

    Args:
        model: in training mode; gives a dict of losses.
        batches: what it is called with.

    Returns:
        by loss ``value`` and ``parts``: by part the norm of its gradient, and the cosine with the
        sum of the other losses' gradients (NaN where either is 0); means over the batches.
    """
    parameters = {
        part: [p for n, p in model.named_parameters() if p.requires_grad and n.startswith(names)]
        for part, names in PARTS.items()
    }
    parameters = {part: found for part, found in parameters.items() if found}
    rows: dict[str, list[tuple[float, dict[str, tuple[float, float]]]]] = {}
    with EventStorage():
        for batch in batches:
            losses = model(batch)
            gradients = {
                name: {part: _gradient(loss, found) for part, found in parameters.items()}
                for name, loss in losses.items()
            }
            total = {part: sum(g[part] for g in gradients.values()) for part in parameters}
            for name, by_part in gradients.items():
                compared = {
                    part: (float(g.norm()), _cosine(g, total[part] - g))
                    for part, g in by_part.items()
                }
                rows.setdefault(name, []).append((float(losses[name].detach()), compared))
    return {
        name: {
            "value": _mean([value for value, _ in found]),
            "parts": {
                part: tuple(_mean([c[part][k] for _, c in found]) for k in (0, 1))
                for part in parameters
            },
        }
        for name, found in rows.items()
    }


def _gradient(loss: torch.Tensor, parameters: Sequence[nn.Parameter]) -> torch.Tensor:
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    zeros = (
        torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)
    )
    return torch.cat([g.flatten() for g in zeros])


def _cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    norms = float(a.norm() * b.norm())
    return float(a @ b) / norms if norms > 0 else float("nan")


def _mean(values: Sequence[float]) -> float:
    return float(torch.tensor(values).nanmean())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--opts", nargs="+", default=[], help="KEY VALUE pairs of the config")
    args = parser.parse_args(arguments)
    cfg = read_config(args.config_file, args.opts)
    register_custom_datasets(cfg.DATASETS.CUSTOM)
    seed_all_rng(cfg.SEED if cfg.SEED >= 0 else None)
    model = build_model(cfg).train()
    HMORCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    loader = iter(build_hmor_train_loader(cfg, HMORDatasetMapper(cfg, is_train=True)))
    results = loss_gradients(model, (next(loader) for _ in range(args.batches)))
    parts = list(next(iter(results.values()))["parts"])
    rows = [
        [name, found["value"], *(_cell(*found["parts"][part]) for part in parts)]
        for name, found in results.items()
    ]
    print(f"Means of {args.batches} batches: value; norm of the gradient (cosine with the others')")
    print(tabulate(rows, headers=["loss", "value", *parts], floatfmt=".4f"))


def _cell(norm: float, cosine: float) -> str:
    return f"{norm:.3f} ({cosine:+.2f})" if norm > 0 else "-"


if __name__ == "__main__":
    main()
