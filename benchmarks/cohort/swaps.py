"""Plant swaps between people and count which are found, and who is flagged wrongly.

In HMP2 (where its data are at hand) and in simulated people, the names of pairs of samples of
different people are exchanged, or single samples are given to another person, and
`fermentome.cohort.swaps` is run as for any cohort. Only people with three samples or more lose
one.

Counted are

* ``recall``: share of the planted samples that are flagged at all;
* ``recall_pairs``: share flagged together with the very sample that they were exchanged with;
* ``named``: share for which the right person is named;
* ``false_pair``, ``false_elsewhere``: flagged samples per unswapped sample that could be checked.

Samples of HMP2 that were sequenced twice (names with and without ``_P``) are kept once: a twin
that stays behind would give a swapped sample away. HMP2 may hold swaps of its own, which count as
false flags here; the row with nothing planted says how many.

A simulated person has 40 species of a pool, common ones more often. Logarithms of abundance are
normal about those of the pool (SD 1.5), and those of a sample about the person's; each species is
missed in a sample with some chance. `KINDS` holds the figures.

Writes results/swaps.tsv.

    python benchmarks/cohort/swaps.py [--data DIR] [--repeats 10]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts")]

from fermentome.cohort.data import TAXA, Account, FeatureTable, Numbers  # noqa: E402
from fermentome.cohort.ordination import distances  # noqa: E402
from fermentome.cohort.reading import load_cohort  # noqa: E402
from fermentome.cohort.swaps import (  # noqa: E402
    ELSEWHERE,
    METRIC,
    PAIR,
    fit_people,
    flag,
    plant,
)
from fermentome.tables import Cell, write_table  # noqa: E402

HMP2 = "cohort/hmp2_longitudinal"
SEED = 2015
COLUMNS = (
    "cohort", "people", "samples", "planted_kind", "planted_samples", "repeats", "recall",
    "recall_pairs", "named", "false_pair", "false_elsewhere", "least_false", "most_false",
)  # fmt: skip
SIMULATED = ((4, 4), (10, 5), (30, 6), (100, 8))
KINDS = {
    "calm": (200, 1.3, 0.7, 0.1),
    "restless": (200, 1.3, 1.5, 0.3),
    "alike": (60, 0.6, 1.2, 0.2),
}
"""Species of the pool; SD between people; SD between samples of one; chance to miss a species."""
PAIRS, MOVED, NOTHING = "pairs", "moved", "nothing"


@dataclass(frozen=True)
class Labelled:
    name: str
    square: Numbers
    subjects: list[str]


def hmp2(data: Path) -> Labelled:
    folder = data / HMP2
    cohort = load_cohort(
        {TAXA: folder / "metaphlan_taxonomic_profiles.tsv.gz"}, folder / "metadata.tsv.gz",
        Account("swaps"),
    )  # fmt: skip
    subject = dict(zip(cohort.samples, cohort.metadata.column("subject").values, strict=True))
    table = cohort.tables[TAXA]
    once = {name.removesuffix("_P"): name for name in table.samples if subject[name]}
    square = distances(table.select(sorted(once.values())), METRIC)
    known = np.flatnonzero(~np.isnan(np.diagonal(square)))
    names = sorted(once.values())
    return Labelled("HMP2", square[np.ix_(known, known)],
                    [subject[names[i]] or "" for i in known])  # fmt: skip


def simulated(people: int, samples: int, noise: str, generator: np.random.Generator) -> Labelled:
    pool, between, scatter, loss = KINDS[noise]
    usual = generator.normal(0, 1.5, pool)
    rows, subjects = [], []
    for person in range(people):
        chosen = generator.choice(pool, 40, replace=False, p=np.exp(usual) / np.exp(usual).sum())
        level = usual[chosen] + generator.normal(0, between, 40)
        for _ in range(samples):
            values = np.exp(level + generator.normal(0, scatter, 40))
            row = np.zeros(pool)
            row[chosen] = np.where(generator.random(40) < loss, 0, values)
            rows.append(row / row.sum())
            subjects.append(f"person_{person:03d}")
    names = tuple(f"s{i:04d}" for i in range(len(rows)))
    features = tuple(f"t{i:03d}" for i in range(pool))
    table = FeatureTable(TAXA, names, features, np.array(rows), "relative abundance", True)
    return Labelled(f"simulated, {noise}", distances(table, METRIC), subjects)


def move(
    subjects: Sequence[str], number: int, generator: np.random.Generator
) -> tuple[list[str], dict[int, int]]:
    """Give single samples to other people."""
    names = list(subjects)
    people = sorted(set(names))
    moved: dict[int, int] = {}
    for i in generator.permutation(len(names)):
        if len(moved) == number:
            break
        if names.count(names[i]) > 2 and names.count(subjects[i]) > 2:
            names[i] = str(generator.choice([p for p in people if p != names[i]]))
            moved[int(i)] = -1
    return names, moved


def measure(
    cohort: Labelled, kind: str, number: int, generator: np.random.Generator
) -> dict[str, float]:
    names, planted = list(cohort.subjects), dict[int, int]()
    if kind == PAIRS:
        names, planted = plant(cohort.subjects, number, generator)
    elif kind == MOVED:
        names, planted = move(cohort.subjects, number, generator)
    fits = fit_people(cohort.square, names)
    if fits is None:
        return {"planted": len(planted), "recall": 0, "pairs": 0, "named": 0, "false_pair": 0,
                "false_elsewhere": 0}  # fmt: skip
    flags = flag(fits)
    rest = [i for i in np.flatnonzero(fits.checked) if i not in planted]
    caught = [i for i in planted if flags.verdict[i] in {PAIR, ELSEWHERE}]
    total = max(len(planted), 1)
    return {
        "planted": len(planted),
        "recall": len(caught) / total,
        "pairs": sum(flags.partner[i] == planted[i] >= 0 for i in planted) / total,
        "named": sum(fits.people[fits.best[i]] == cohort.subjects[i] for i in caught) / total,
        "false_pair": sum(flags.verdict[i] == PAIR for i in rest) / len(rest),
        "false_elsewhere": sum(flags.verdict[i] == ELSEWHERE for i in rest) / len(rest),
    }


def row_of(
    cohorts: Sequence[Labelled], kind: str, number: int, repeats: int, key: int
) -> dict[str, Cell]:
    found = [
        measure(cohorts[r % len(cohorts)], kind, number, np.random.default_rng([SEED, key, r]))
        for r in range(repeats)
    ]
    false = [one["false_pair"] + one["false_elsewhere"] for one in found]

    def mean(name: str) -> float:
        return float(np.mean([one[name] for one in found]))

    none = kind == NOTHING
    return {
        "cohort": cohorts[0].name, "people": len(set(cohorts[0].subjects)),
        "samples": len(cohorts[0].subjects), "planted_kind": kind,
        "planted_samples": int(found[0]["planted"]), "repeats": repeats,
        "recall": None if none else mean("recall"),
        "recall_pairs": mean("pairs") if kind == PAIRS else None,
        "named": None if none else mean("named"),
        "false_pair": mean("false_pair"), "false_elsewhere": mean("false_elsewhere"),
        "least_false": float(min(false)), "most_false": float(max(false)),
    }  # fmt: skip


def rows(data: Path, repeats: int) -> Iterator[dict[str, Cell]]:
    key = 0
    if (data / HMP2).is_dir():
        cohort = hmp2(data)
        yield row_of([cohort], NOTHING, 0, 1, key)
        for kind, number in ((PAIRS, 1), (PAIRS, 10), (PAIRS, 40), (MOVED, 10), (MOVED, 40)):
            key += 1
            yield row_of([cohort], kind, number, repeats, key)
    else:
        print(f"{data / HMP2} is not there: HMP2 is left out", file=sys.stderr)
    for noise in KINDS:
        for people, samples in SIMULATED:
            key = 1000 + 100 * list(KINDS).index(noise) + people
            cohorts = [
                simulated(people, samples, noise, np.random.default_rng([SEED, key, 7, r]))
                for r in range(repeats)
            ]
            few = max(1, people * samples // 100)
            for kind, number in ((NOTHING, 0), (PAIRS, few), (MOVED, few)):
                yield row_of(cohorts, kind, number, repeats, key)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--output", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_table(arguments.output / "swaps.tsv", COLUMNS, rows(arguments.data, arguments.repeats))


if __name__ == "__main__":
    main()
