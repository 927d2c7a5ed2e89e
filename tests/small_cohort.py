"""Tables of a small made-up study, as those of a run: what the tests of the cohort stage share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from snakemake_runs import ROOT

from fermentome.cohort.data import Column, Metadata
from fermentome.tables import read_table, write_table

FEATURES = ("taxa", "families", "pathways", "products")
# Two or three people of each group of the example, before, on and after what they took.
PEOPLE = (1, 2, 9, 10, 11, 19, 20, 21)
DAYS = (0, 7, 14, 21, 35)


def _example():
    """The program that writes the example cohort, which is no package."""
    name = "simulate_cohort"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / f"example/{name}.py")
        # A dataclass of the module looks its own module up.
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def write_study(
    folder: Path, people: Sequence[int] = PEOPLE, days: Sequence[int] = DAYS, reference: int = 0
) -> Path:
    """Write `results`, `metabolites.tsv` and `cohort.yaml` of a part of the example cohort.

    `reference` people more are written to `reference`, processed alike.
    """
    example = _example()
    generator = np.random.default_rng(example.SEED)
    draws = [
        draw
        for draw in example.draw_study(generator)
        if int(draw.subject[1:]) in people and draw.day in days
    ]
    folder.mkdir(parents=True, exist_ok=True)
    example.write_results(folder / "results", draws, generator)
    example.write_processing(folder / "results")
    example.write_metabolites(folder / "metabolites.tsv", draws, generator)
    (folder / "cohort.yaml").write_text(example.CONFIGURATION, encoding="utf-8")
    if reference:
        others = example.draw_reference(generator)[:reference]
        example.write_results(folder / "reference", others, generator)
        example.write_processing(folder / "reference")
    return folder


def edit(path: Path, change: Callable[[dict[str, str]], dict[str, str] | None]) -> None:
    """Change the rows of a table; those of which `change` makes ``None`` are taken out."""
    rows = read_table(path)
    changed = [row for row in map(change, rows) if row is not None]
    write_table(path, list(changed[0] if changed else rows[0]), changed)


def statuses(path: Path) -> dict[tuple[str, str], str]:
    """Status by analysis and item of an account."""
    return {(row["analysis"], row["item"]): row["status"] for row in read_table(path)}


def reasons(path: Path, analysis: str | None = None) -> str:
    """Lines of an account on what was not done, or not done whole."""
    return "\n".join(
        f"{row['analysis']}: {row['item']}: {row['reason']}"
        for row in read_table(path)
        if row["status"] != "done" and analysis in (None, row["analysis"])
    )


def column(name: str, values: Sequence[object]) -> Column:
    """Column of metadata, with numbers where every cell is one."""
    try:
        numbers = np.array([np.nan if value is None else float(value) for value in values])
    except ValueError:
        numbers = None
    return Column(name, tuple(values), numbers)


def metadata(samples: Sequence[str], **columns: Sequence[object]) -> Metadata:
    """Metadata of columns by name."""
    made = {name: column(name, values) for name, values in columns.items()}
    return Metadata(tuple(samples), made, "m.tsv")
