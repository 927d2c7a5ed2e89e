"""How often the interval of a route holds the truth, and how far the estimate is off.

    python benchmarks/intervals/measure.py

Counts are drawn, not reads: Poisson counts of the families of four typical routes around a true
number of copies, genes being covered unevenly by `variation`. What is measured is the combination
of families (`fermentome.estimate`) alone; simulated reads are in `benchmarks/accuracy`. Writes
`intervals.tsv` beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.catalogue import Step, load_catalogue  # noqa: E402
from fermentome.defaults import catalogue_files  # noqa: E402
from fermentome.estimate import Estimate, widened  # noqa: E402
from fermentome.normalise import counting_bounds, depth_bounds, genome_equivalents  # noqa: E402
from fermentome.scoring import pathway_estimate  # noqa: E402
from fermentome.tables import write_table  # noqa: E402

TRUTH = 0.2
"""Copies per genome of the route."""
OVERHANG = 100
"""Nucleotides by which the effective length exceeds the gene."""
SINGLE_COPY = [800.0] * 40
DEPTHS = (3, 10, 30, 100, 1000)
VARIATIONS = (0.0, 0.1)
REPEATS = 1000
# Copies of shared families relative to the route's own; 1 where they stand only beside it.
ROUTES: dict[str, dict[str, float]] = {
    "BUT_ACOA_BUT": {"thl": 1.6, "hbd": 1.2, "crt": 1.3, "bcd": 1.1},
    "BUT_ACOA_BUK": {},
    "PROP_SUCC_DEC": {"mut": 1.5},
    "BUT_GLUTARATE": {"bcd": 4.0, "but": 2.0},
}


def one_estimate(
    steps: Sequence[Step],
    copies: Mapping[str, float],
    lengths: Mapping[str, float],
    density: float,
    variation: float,
    rng: np.random.Generator,
) -> Estimate | None:
    """Estimate of a route from one draw of counts; None without genome equivalents."""

    def uneven(size: int) -> np.ndarray:
        return np.exp(rng.normal(-(variation**2) / 2, variation, size))

    single = rng.poisson(density * np.array(SINGLE_COPY) * uneven(len(SINGLE_COPY)))
    equivalents = genome_equivalents(single, SINGLE_COPY)
    if not equivalents.density > 0:
        return None
    families = {}
    for family, length in lengths.items():
        width = 3 * length + OVERHANG
        count = float(rng.poisson(density * width * TRUTH * copies.get(family, 1.0) * uneven(1)[0]))
        bounds = counting_bounds(count, equivalents.variation)
        unit = 1 / width / equivalents.density
        families[family] = Estimate(count, *bounds, width).scaled(unit)
    return widened(pathway_estimate(steps, families), *depth_bounds(equivalents))


def main() -> None:
    """Draw, estimate, count."""
    catalogue = load_catalogue(catalogue_files())
    rng = np.random.default_rng(20)
    rows = []
    for name, copies in ROUTES.items():
        steps = [step for step in catalogue.pathways[name].steps if step.required]
        lengths = {
            family: float(catalogue.families[family].length_aa or 400)
            for step in steps
            for group in step.alternatives
            for family in group
        }
        for variation in VARIATIONS:
            for depth in DEPTHS:
                # A gene of 400 amino acids of the route receives `depth` fragments.
                density = depth / (1200 + OVERHANG) / TRUTH
                drawn = [
                    one_estimate(steps, copies, lengths, density, variation, rng)
                    for _ in range(REPEATS)
                ]
                found = [estimate for estimate in drawn if estimate and estimate.value]
                errors = np.array([estimate.value / TRUTH - 1 for estimate in found])
                held = [estimate.low <= TRUTH <= estimate.high for estimate in found]
                rows.append(
                    {
                        "pathway": name,
                        "variation": variation,
                        "fragments_per_gene": depth,
                        "found": len(found) / REPEATS,
                        "interval_holds": float(np.mean(held)),
                        "mean_error": float(errors.mean()),
                        "median_absolute_error": float(np.median(np.abs(errors))),
                    }
                )
    write_table(Path(__file__).with_name("intervals.tsv"), list(rows[0]), rows)


if __name__ == "__main__":
    main()
