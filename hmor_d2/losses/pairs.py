"""Unordered pairs of padded items, all of them or a sample, without a Python loop.  Torch alone.

Pair p of n items joins item ``p % n`` to the one ``p // n + 1`` places further round the circle.
Taking p = 0 ... n(n-1)/2 - 1 visits every unordered pair exactly once.  Whole turns of the circle
are strided views of the items, so all pairs cost about half of an n x n matrix and no indexing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ItemPairs"]


@dataclass(frozen=True)
class ItemPairs:
    """The pairs of M items in each of B images, laid out as (K, M') slots.

    Attributes:
        weight: (B, K, M') non-negative.  For any function f of a pair, the sum over slots of
            weight * f is the sum of f over all pairs of valid items: exactly, or in expectation
            where the pairs are sampled.  Slots without a pair of valid items weigh 0.
        count: (B,) exact number of pairs of valid items.
        index: None where all pairs are taken, else (2, B, M') the sampled pairs' items.
    """

    weight: Tensor
    count: Tensor
    index: Tensor | None = None

    @classmethod
    def of(
        cls,
        valid: Tensor,
        dtype: torch.dtype,
        max_pairs: int = 0,
        generator: torch.Generator | None = None,
    ) -> "ItemPairs":
        """Pair the valid items of each image.

        Args:
            valid: (B, M) bool, M >= 2.
            dtype: of ``weight`` and ``count``.
            max_pairs: 0 takes all M(M-1)/2 pairs.  Otherwise, where there are more than this, each
                image gets this many slots: all of its pairs of valid items if they fit, else a
                stratified random sample, one pair from each ``max_pairs``-th part of them.
            generator: source of the sample; torch's default one where None.
        """
        n = valid.sum(1)
        count = (n * (n - 1)).div(2, rounding_mode="floor")
        num_items = valid.shape[1]
        if max_pairs and num_items * (num_items - 1) // 2 > max_pairs:
            weight, index = _sample(valid, n, count, max_pairs, generator)
        else:
            weight, index = _all(valid), None
        return cls(weight.to(dtype), count.to(dtype), index)

    def ends(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """The items (B, V, M) at both ends of each slot, to be broadcast to (B, V, K, M')."""
        if self.index is None:
            return _around(items)
        shape = (*items.shape[:2], -1)
        first, second = (items.gather(2, end.unsqueeze(1).expand(shape)) for end in self.index)
        return first.unsqueeze(2), second.unsqueeze(2)


def _around(items: Tensor) -> tuple[Tensor, Tensor]:
    """Items (..., M) as (..., 1, M) and, 1 ... M // 2 places further round, (..., M // 2, M)."""
    num_items = items.shape[-1]
    unrolled = torch.cat([items, items[..., : num_items // 2]], dim=-1)
    return items.unsqueeze(-2), unrolled[..., 1:].unfold(-1, num_items, 1)


def _all(valid: Tensor) -> Tensor:
    first, second = _around(valid)
    turns, num_items = second.shape[-2:]
    slot = torch.arange(turns * num_items, device=valid.device).view(turns, num_items)
    # With even M the last turn, to the opposite item, meets each of its pairs twice.
    return first & second & (slot < num_items * (num_items - 1) // 2)


def _sample(
    valid: Tensor, n: Tensor, count: Tensor, slots: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Weights (B, 1, slots) and items (2, B, slots) of sampled pairs.

    A slot takes pair x // slots, x = slot * count + r, r uniform in 0 ... count - 1.  The slots'
    ranges of x are disjoint and make up 0 ... slots * count - 1, where each pair has exactly
    ``slots`` integers, of probability 1 / count each.  A pair is thus expected slots / count
    times, whence its weight count / slots: the weighted sum is unbiased, and stays so when divided
    by the exact count.  (Sampling the padded pairs and averaging over those that happen to be
    valid would not be: the number drawn and the sum of their errors vary together.)
    """
    # torch.compile traces no generator, not even one that is None.
    source = {"device": valid.device}
    if generator is not None:
        source = {"device": generator.device, "generator": generator}
    # 62 random bits, far more than any count: the remainder is uniform for all that matters.
    draw = torch.randint(2**62, (valid.shape[0], slots), **source)
    slot = torch.arange(slots, device=valid.device)
    n, count = n.clamp(min=1).unsqueeze(1), count.unsqueeze(1)
    draw = draw.to(valid.device).remainder(count.clamp(min=1))
    fits = count <= slots
    pair = torch.where(fits, slot, (slot * count + draw).div(slots, rounding_mode="floor"))
    first = pair.remainder(n)
    second = (first + 1 + pair.div(n, rounding_mode="floor")).remainder(n)
    valid_first = valid.byte().argsort(dim=1, descending=True, stable=True)
    index = torch.stack([valid_first.gather(1, first), valid_first.gather(1, second)])
    weight = torch.where(fits, slot < count, count / slots)
    return weight.unsqueeze(1), index
