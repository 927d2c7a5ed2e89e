"""Quantities with a 95 % interval, and how those of families combine into that of a route.

Counting noise makes the minimum of several equal quantities too small, and bounds taken all at
once too wide. So each part of a minimum is allowed about one standard error, and the intervals of
means combine by the method of variance estimates recovery (Zou & Donner 2008,
doi:10.1002/sim.3095) on the logarithm: half-widths add up in quadrature, each weighted by what
its quantity contributes. Every value here grows, or stays, when one of its parts grows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Estimate:
    """A quantity with its interval.

    Attributes
    ----------
    value, low, high
        In one unit, not negative; ``low <= value <= high``.
    weight
        What the quantity weighs among its like: the effective length of a family, for counts.
    """

    value: float
    low: float
    high: float
    weight: float = 1.0

    @classmethod
    def exact(cls, value: float) -> "Estimate":
        """A quantity without error, such as genes counted in a genome."""
        return cls(value, value, value)

    @property
    def allowance(self) -> float:
        """The value and about one standard error: halfway, by ratio, to the upper bound."""
        return math.sqrt(self.value * self.high)

    def scaled(self, factor: float) -> "Estimate":
        """The same quantity in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor, self.weight)


def scarcest(parts: Sequence[Estimate]) -> Estimate:
    """Quantity of a whole of which all `parts` are needed in equal number.

    The parts together estimate it, but it is at most the allowance of the scarcest. Exact parts
    give their minimum, and a part that was not seen gives zero.
    """
    if any(part.value == 0 for part in parts):
        value = 0.0
    else:
        weight = sum(part.weight for part in parts)
        pooled = sum(part.value * part.weight for part in parts) / weight
        value = min(pooled, *(part.allowance for part in parts))
    return Estimate(
        value,
        min(part.low for part in parts),
        max(value, _least_high(parts)),
        min(part.weight for part in parts),
    )


def _least_high(parts: Sequence[Estimate]) -> float:
    """Upper bound of a minimum: the least of the bounds at the level of all parts together.

    Any of k parts may be the one whose bound fails, so each has 1/k of the error (Bonferroni).
    """
    wider = _NORMAL.inv_cdf(1 - 0.025 / len(parts)) / _NORMAL.inv_cdf(0.975)
    return min(
        part.value * (part.high / part.value) ** wider if part.value else part.high
        for part in parts
    )


def most_abundant(choices: Sequence[Estimate]) -> Estimate:
    """Quantity of the most abundant of several alternatives."""
    best = max(choices, key=lambda choice: choice.value)
    return Estimate(
        best.value,
        max(choice.low for choice in choices),
        max(choice.high for choice in choices),
        best.weight,
    )


def harmonic_mean(parts: Sequence[Estimate]) -> Estimate:
    """Harmonic mean of quantities above zero."""
    inverse = [1 / part.value for part in parts]
    value = len(parts) / sum(inverse)
    return _with_half_widths(value, parts, [one / sum(inverse) for one in inverse])


def capped(quantity: Estimate, cap: Estimate) -> Estimate:
    """A quantity that is at most the allowance of `cap`."""
    value = min(quantity.value, cap.allowance)
    return Estimate(
        value,
        min(quantity.low, cap.low),
        max(value, _least_high([quantity, cap])),
        quantity.weight,
    )


def widened(quantity: Estimate, low: float, high: float) -> Estimate:
    """A quantity divided by another one whose bounds are `low` and `high` times its value."""
    if quantity.value == 0:
        return Estimate(0.0, 0.0, quantity.high / low, quantity.weight)
    below, above = _half_widths(quantity)
    return Estimate(
        quantity.value,
        quantity.value * math.exp(-math.hypot(below, math.log(high))),
        quantity.value * math.exp(math.hypot(above, math.log(low))),
        quantity.weight,
    )


def _half_widths(quantity: Estimate) -> tuple[float, float]:
    below = math.log(quantity.value / quantity.low) if quantity.low else math.inf
    return below, math.log(quantity.high / quantity.value)


def _with_half_widths(value: float, parts: Sequence[Estimate], shares: Sequence[float]) -> Estimate:
    widths = [_half_widths(part) for part in parts]
    below = math.hypot(*(share * width[0] for share, width in zip(shares, widths, strict=True)))
    above = math.hypot(*(share * width[1] for share, width in zip(shares, widths, strict=True)))
    return Estimate(value, value * math.exp(-below), value * math.exp(above))
