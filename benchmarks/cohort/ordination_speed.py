"""Time and memory of distances, ordination and tests on 2,000 samples of 5,000 taxa.

Communities are drawn: 400 people with 5 samples each, some 250 taxa in each sample, lineages of
seven ranks. Steps run one after the other in one process; memory is the peak so far. Writes
``results/ordination_speed.tsv`` beside this file.

Usage: ``taskset -c 0,1 .venv/bin/python benchmarks/cohort/ordination_speed.py [--samples 2000
--features 5000]``
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts")]

from fermentome.cohort.closeness import closeness  # noqa: E402
from fermentome.cohort.data import TAXA, Account, Cohort, FeatureTable, Metadata  # noqa: E402
from fermentome.cohort.diversity import alpha_of  # noqa: E402
from fermentome.cohort.ordination import METRICS, distances, principal_coordinates  # noqa: E402
from fermentome.cohort.permanova import levels_test  # noqa: E402
from fermentome.cohort.settings import Settings  # noqa: E402
from fermentome.tables import Cell, write_table  # noqa: E402

COLUMNS = ("step", "samples", "features", "cores", "seconds", "peak_gb_so_far")
OF_A_PERSON = 5
PERMUTATIONS = 999
T = TypeVar("T")


def drawn_table(samples: int, features: int) -> FeatureTable:
    """A table of taxa in which samples of one person are alike."""
    generator = np.random.default_rng(1)
    people = -(-samples // OF_A_PERSON)
    means = generator.normal(0, 2, features)
    carried = generator.random((people, features)) < 0.05
    own = np.exp(means + generator.normal(0, 1.5, (people, features))) * carried
    values = np.repeat(own, OF_A_PERSON, axis=0)[:samples]
    values = values * np.exp(generator.normal(0, 0.8, values.shape))
    names = tuple(f"taxon{i:05d}" for i in range(features))
    lineages = {
        name: f"d__B;p__{i % 20};c__{i % 60};o__{i % 180};f__{i % 540};g__{i % 1620};s__{i}"
        for i, name in enumerate(names)
    }
    shares = values / values.sum(axis=1, keepdims=True)
    reads = np.rint(shares * 1e6)
    own_samples = tuple(f"sample{i:05d}" for i in range(samples))
    return FeatureTable(
        TAXA, own_samples, names, shares, "relative abundance", True, lineages, counts=reads
    )


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--features", type=int, default=5000)
    parser.add_argument("--output", type=Path, default=HERE / "results/ordination_speed.tsv")
    arguments = parser.parse_args()
    rows: list[dict[str, Cell]] = []

    def timed(step: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        rows.append(
            {
                "step": step, "samples": arguments.samples, "features": arguments.features,
                "cores": len(os.sched_getaffinity(0)), "seconds": round(seconds, 1),
                "peak_gb_so_far": round(peak, 2),
            }
        )  # fmt: skip
        sys.stderr.write(f"{step}: {seconds:.1f} s, {peak:.2f} GB\n")
        return result

    table = timed("draw the table", lambda: drawn_table(arguments.samples, arguments.features))
    people = [f"p{i // OF_A_PERSON}" for i in range(len(table.samples))]
    groups = [f"g{(i // OF_A_PERSON) % 4}" for i in range(len(table.samples))]
    cohort = Cohort(Metadata(table.samples, {}), {TAXA: table})
    timed("alpha diversity", lambda: alpha_of(cohort, Settings(), Account("diversity")))
    for metric in METRICS[TAXA]:
        matrix = timed(f"{metric}: distances", lambda metric=metric: distances(table, metric))
        timed(
            f"{metric}: principal coordinates",
            lambda matrix=matrix: principal_coordinates(matrix, table.samples),
        )
        timed(
            f"{metric}: PERMANOVA and dispersion, 4 levels, {PERMUTATIONS} permutations",
            lambda matrix=matrix: levels_test(
                matrix, groups, people, PERMUTATIONS, np.random.default_rng(1)
            ),
        )
        timed(
            f"{metric}: closeness of samples of one person, {PERMUTATIONS} permutations",
            lambda matrix=matrix: closeness(
                matrix, people, None, PERMUTATIONS, np.random.default_rng(1)
            ),
        )
    arguments.output.parent.mkdir(exist_ok=True)
    write_table(arguments.output, COLUMNS, rows)


if __name__ == "__main__":
    main()
