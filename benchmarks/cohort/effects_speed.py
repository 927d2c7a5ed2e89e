"""Time and memory of the effects of groups and covariates on 2,000 samples of 5,000 taxa.

200 people with 10 samples each, or 2,000 with one; two groups, three covariates of which two vary
within people, a batch of four runs, and depth. Writes ``results/effects_speed.tsv`` beside this
file. Each case runs in a process of its own.

Usage: ``taskset -c 0,1 .venv/bin/python benchmarks/cohort/effects_speed.py [--samples 2000
--features 5000]``
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts")]

from fermentome.cohort.data import (  # noqa: E402
    TAXA,
    Account,
    Cohort,
    Column,
    FeatureTable,
    Metadata,
    Numbers,
)
from fermentome.cohort.effects import write_effects  # noqa: E402
from fermentome.cohort.settings import Settings  # noqa: E402
from fermentome.tables import read_table, write_table  # noqa: E402

COLUMNS = ("samples", "subjects", "features", "tests", "cores", "seconds", "peak_gb")
MEASURED = HERE / "results" / "effects_speed.tsv"


def numeric(name: str, values: Numbers) -> Column:
    return Column(name, tuple(f"{value:.6g}" for value in values), values)


def drawn(samples: int, features: int, persons: int) -> Cohort:
    draw = np.random.default_rng(1)
    subject = np.sort(np.arange(samples) % persons)
    level = draw.normal(-3, 2, features)
    logs = level + draw.normal(0, 1, (persons, features))[subject]
    logs += draw.normal(0, 1, (samples, features))
    values = np.where(logs > -1.5, 2.0**logs, 0.0)
    values /= values.sum(axis=1, keepdims=True)
    names = tuple(f"s{number:05d}" for number in range(samples))
    group = np.where(draw.random(persons) < 0.5, "case", "control")[subject]
    run = draw.integers(0, 4, samples)
    columns = [
        Column("subject", tuple(f"p{number}" for number in subject), None),
        Column("group", tuple(str(value) for value in group), None),
        Column("run", tuple(f"run{number}" for number in run), None),
        numeric("age", draw.normal(50, 12, persons)[subject]),
        numeric("fibre", draw.normal(20, 5, samples)),
        numeric("activity", draw.normal(0, 1, samples)),
        numeric("clean_reads", draw.lognormal(16, 0.5, samples)),
    ]
    table = FeatureTable(
        TAXA, names, tuple(f"t{number:05d}" for number in range(features)), values,
        "relative abundance", True,
    )  # fmt: skip
    return Cohort(Metadata(names, {column.name: column for column in columns}), {TAXA: table})


def measure(samples: int, features: int, persons: int) -> None:
    cohort = drawn(samples, features, persons)
    settings = Settings(covariates=("age", "fibre", "activity"), batch=("run",))
    output = HERE / "results" / f".effects_{os.getpid()}.tsv"
    start = time.monotonic()
    try:
        effects = write_effects(cohort, settings, Account("effects"), {"effects": output})
    finally:
        output.unlink(missing_ok=True)
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    tests = sum(row["p"] == row["p"] for row in effects.rows)
    cells = (
        samples, persons, features, tests, len(os.sched_getaffinity(0)), round(seconds, 1),
        round(peak, 2),
    )  # fmt: skip
    print("\t".join(str(cell) for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--features", type=int, default=5000)
    parser.add_argument("--persons", type=int, help="measure one case and print it")
    options = parser.parse_args()
    if options.persons:
        measure(options.samples, options.features, options.persons)
        return
    rows = []
    for persons in (options.samples // 10, options.samples):
        command = [
            sys.executable, __file__, "--samples", str(options.samples),
            "--features", str(options.features), "--persons", str(persons),
        ]  # fmt: skip
        line = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append(dict(zip(COLUMNS, line.split(), strict=True)))
    MEASURED.parent.mkdir(exist_ok=True)
    write_table(MEASURED, COLUMNS, rows)
    for row in read_table(MEASURED):
        print(row)


if __name__ == "__main__":
    main()
