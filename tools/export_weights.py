#!/usr/bin/env python
"""Make a file of weights for others, without optimiser and in half precision, of a checkpoint.

  python tools/export_weights.py output/model_final.pth hmor_d2/model_zoo/NAME.pth

Detectron2 and hmor_d2 load it into a model in single precision; PyTorch reads it with
torch.load(..., weights_only=True).  Averaged weights (MODEL.EMA_DECAY) are taken where the
checkpoint has them.  Matrices and kernels become half, others stay as they are: biases, and the
weights and running statistics of norms, which are 1% of the values and may be of any size.  So
does a matrix of which half precision would change a row by more than it rounds a number: rows of
tiny or huge values.  Equal weights make equal files.
"""

import argparse
import hashlib
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from hmor_d2.checkpoint import CheckpointError, averaged_weights
from hmor_d2.checkpoint_files import read_checkpoint

# Half precision has 11 significant bits: the largest relative change of a number in its range.
ROUNDING = 2.0**-11


class HalfWeights(NamedTuple):
    """Weights to be saved.

    Attributes:
        tensors: by name, in half precision, or as they were.
        differences: of those in half, the largest relative change of a row.
        kept: names of those with rows that half precision would change more, and that change.
    """

    tensors: dict[str, torch.Tensor]
    differences: dict[str, float]
    kept: dict[str, float]


def read_weights(path: Path, trained: bool = False) -> tuple[dict[str, Any], bool]:
    """The weights in a checkpoint, and whether they are averaged ones.

    Args:
        path: what DetectionCheckpointer or train_net.py saved, or a state dict.
        trained: take the trained weights even where there are averaged ones.
    Raises:
        OSError: where the file cannot be opened.
        CheckpointError: where it is no checkpoint, or is more than data.
    """
    checkpoint = read_checkpoint(path)
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(f"{path}: found {type(checkpoint).__name__}, expected a dict")
    averaged = None if trained else averaged_weights(checkpoint)
    weights = checkpoint.get("model", checkpoint) if averaged is None else averaged
    if not isinstance(weights, Mapping) or not weights:
        raise CheckpointError(f"{path}: found no weights, expected a dict of tensors by names")
    for name, value in weights.items():
        if not isinstance(value, torch.Tensor):
            found = type(value).__name__
            raise CheckpointError(f"{path}: '{name}' is of type {found}, expected a tensor")
    return dict(weights), averaged is not None


def to_half(weights: Mapping[str, torch.Tensor]) -> HalfWeights:
    """Weights as they are saved: what half precision can hold in it, the rest in single.

    Tensors of whole numbers are not changed.
    Raises:
        ValueError: for a NaN or an infinite number, with the tensor's name.
    """
    result = HalfWeights({}, {}, {})
    for name, value in weights.items():
        # Copies: a view would be saved with all that it is a view of.
        value = value.detach().clone(memory_format=torch.contiguous_format)
        if value.is_floating_point():
            wrong = int((~value.isfinite()).sum())
            if wrong:
                raise ValueError(
                    f"'{name}' has {wrong} of {value.numel()} values that are NaN or infinite"
                )
            value = value.float()
            if value.ndim >= 2 and value.numel():
                half = value.half()
                difference = _largest_change(value, half)
                if difference <= ROUNDING:
                    result.differences[name] = difference
                    value = half
                else:
                    result.kept[name] = difference
        result.tensors[name] = value
    return result


def _largest_change(value: torch.Tensor, half: torch.Tensor) -> float:
    """Largest length of a row's change (along the first axis), as a share of the row's length."""
    rows = value.flatten(1).double()
    change = (half.flatten(1).double() - rows).norm(dim=1)
    return float((change / rows.norm(dim=1)).where(change > 0, 0.0).max())


def export_weights(checkpoint: Path, output: Path, trained: bool = False) -> list[str]:
    """Write the file; returns lines that describe it.

    Raises:
        OSError: where a file cannot be read or written.
        CheckpointError: see ``read_weights``.
        ValueError: see ``to_half``.
    """
    weights, averaged = read_weights(checkpoint, trained)
    half = to_half(weights)
    # Files saved by their paths hold their names, which would be in the SHA-256.
    buffer = io.BytesIO()
    torch.save({"model": half.tensors, "__author__": "hmor_d2"}, buffer)
    content = buffer.getvalue()
    output.write_bytes(content)
    lines = [
        f"{output}: the {'averaged' if averaged else 'trained'} weights of {checkpoint}",
        f"size      {len(content)} bytes ({len(content) / 1e6:.2f} MB)",
        f"SHA-256   {hashlib.sha256(content).hexdigest()}",
        f"tensors   {len(half.tensors)}, of which {len(half.differences)} in half precision",
    ]
    if half.differences:
        name, largest = max(half.differences.items(), key=lambda item: item[1])
        lines.append(f"largest relative difference of a row   {largest:.2e} ({name})")
    lines += [f"in single: {name} (half: {change:.2e})" for name, change in half.kept.items()]
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="checkpoint of a training")
    parser.add_argument("output", type=Path, help="the file to write, *.pth")
    parser.add_argument("--trained", action="store_true", help="take no averaged weights")
    args = parser.parse_args(arguments)
    if args.output.suffix != ".pth":
        parser.error(f"{args.output}: expected a name that ends in .pth, as checkpoints' do")
    if args.output.resolve() == args.checkpoint.resolve():
        parser.error("the output would overwrite the checkpoint")
    try:
        print(*export_weights(args.checkpoint, args.output, args.trained), sep="\n")
    except (OSError, ValueError) as error:  # CheckpointError is a ValueError
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
