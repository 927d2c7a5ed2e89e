"""The analyses of a cohort from files to files, one function per job.

Each writes its tables and an ``account`` of what it made and left out. The workflow and
`fermentome cohort` call the same functions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fermentome.cohort.data import ACCOUNT_COLUMNS, Account, Cohort, Entry
from fermentome.cohort.diversity_figures import plot_alpha, plot_ordination
from fermentome.cohort.diversity_tables import write_diversity
from fermentome.cohort.effect_figures import plot_effects
from fermentome.cohort.effects import with_diversity, write_effects
from fermentome.cohort.measures import Measure, measures_of
from fermentome.cohort.metabolite_figures import plot_exploratory, plot_metabolites
from fermentome.cohort.metabolites import write_metabolites
from fermentome.cohort.model import write_model
from fermentome.cohort.model_figures import plot_model, plot_model_importance
from fermentome.cohort.people import changes_of_people, write_people
from fermentome.cohort.percentiles import write_percentiles
from fermentome.cohort.processing import (
    Processing,
    processing_of_run,
    read_processing,
    write_processing,
)
from fermentome.cohort.reading import load_cohort
from fermentome.cohort.recovery import recovery_of_people, write_recovery
from fermentome.cohort.reference_cohort import (
    Contribution,
    Description,
    ReferenceCohort,
    make_reference,
    read_reference,
    write_reference,
)
from fermentome.cohort.responses import write_responses
from fermentome.cohort.settings import ModelSettings, Settings
from fermentome.cohort.swaps import write_swaps
from fermentome.cohort.timepoints import timeline_of
from fermentome.cohort.trajectories import write_trajectories
from fermentome.tables import Cell, read_table, write_table

AnyPath = str | os.PathLike[str]
Outputs = Mapping[str, AnyPath]
ACCOUNT = "account"
EFFECT_FIGURE_COLUMNS = ("file", "table", "term")


@dataclass(frozen=True, slots=True)
class Inputs:
    """Files of a cohort, see `fermentome.cohort.reading.load_cohort`.

    Attributes
    ----------
    tables
        Feature tables by name.
    metadata
        Table of the samples; ``None`` if there is none.
    phenotypes
        Routes of genomes, for the potential by organisms.
    rank
        Rank of the taxa.
    reads
        Counts of reads beside metadata that lack them.
    units
        Unit of other tools' tables by name.
    cohort, reading
        What was read, and what was said of it, once `loaded`.
    """

    tables: Mapping[str, AnyPath]
    metadata: AnyPath | None = None
    phenotypes: AnyPath | None = None
    rank: str = "species"
    reads: AnyPath | None = None
    units: Mapping[str, str] | None = None
    cohort: Cohort | None = None
    reading: tuple[Entry, ...] = ()

    def loaded(self) -> Inputs:
        """The same, read already: for several analyses in one process."""
        account = Account("reading")
        return replace(self, cohort=self.load(account), reading=tuple(account.entries))

    def load(self, account: Account | None = None) -> Cohort:
        """Read everything; what was read and dropped is said where an account is given."""
        if self.cohort is not None:
            if account is not None:
                account.entries.extend(self.reading)
            return self.cohort
        return load_cohort(
            self.tables, self.metadata, Account("reading") if account is None else account,
            phenotypes=self.phenotypes, rank=self.rank, reads=self.reads, units=self.units,
        )  # fmt: skip


def inputs_of_run(files: Mapping[str, Any], tables: Sequence[str]) -> Inputs:
    """Inputs of a run of the workflow.

    Parameters
    ----------
    files
        Its files by name; ``phenotypes`` may be empty.
    tables
        Names of the feature tables among them.
    """
    return Inputs(
        {name: files[name] for name in tables}, files["metadata"], files.get("phenotypes") or None
    )


def record_processing(
    config: Mapping[str, Any],
    names: Mapping[str, str],
    catalogue: Sequence[str],
    files: Mapping[str, Any],
    output: AnyPath,
) -> None:
    """Write what the reads of a run go through, see `processing_of_run`.

    Parameters
    ----------
    config, names
        See `processing_of_run`.
    catalogue
        Names of the files of the catalogue among `files`.
    files
        ``adapters``, ``used``, ``phenotypes``, which may be empty, and the catalogue.
    """
    facts = processing_of_run(
        config, names, {name: files[name] for name in catalogue}, files["adapters"],
        files.get("phenotypes") or None, used=files["used"],
    )  # fmt: skip
    write_processing(facts, output)


def write_account(accounts: Sequence[Account], path: AnyPath) -> None:
    """Write what was made and left out, in the order of the accounts."""
    write_table(path, ACCOUNT_COLUMNS, [row for account in accounts for row in account.rows()])


def measure_diversity(inputs: Inputs, settings: Settings, outputs: Outputs) -> None:
    """Write alpha and beta diversity, ordinations and tests; also what was read.

    Parameters
    ----------
    outputs
        Paths by name of `fermentome.cohort.diversity_tables.TABLES`, ``distances`` and ``account``.
    """
    reading, account = Account("reading"), Account("diversity")
    write_diversity(inputs.load(reading), settings, account, outputs)
    write_account([reading, account], outputs[ACCOUNT])


def compare_groups(inputs: Inputs, settings: Settings, alpha: AnyPath, outputs: Outputs) -> None:
    """Write differences between groups and along covariates to ``effects``."""
    account = Account("groups")
    write_effects(with_diversity(inputs.load(), read_table(alpha)), settings, account, outputs)
    write_account([account], outputs[ACCOUNT])


def follow_people(inputs: Inputs, settings: Settings, alpha: AnyPath, outputs: Outputs) -> None:
    """Write how each person changed since their own baseline.

    Parameters
    ----------
    outputs
        ``people``, ``phases``, ``noise``, ``recovery``, ``recovery_summary``, ``responses``,
        ``trajectories``, ``swaps`` and ``account``.
    """
    account = Account("people")
    cohort = inputs.load()
    timeline = timeline_of(cohort.metadata, account)
    measures = _measures(cohort, alpha)
    people = changes_of_people(measures, cohort.metadata, timeline, settings, account)
    write_people(people, outputs)
    recovery = recovery_of_people(people, account)
    write_recovery(
        recovery, {"recovery": outputs["recovery"], "summary": outputs["recovery_summary"]}
    )
    write_responses(people, account, outputs)
    write_trajectories(cohort, people.visits, settings, account, outputs)
    write_swaps(cohort, settings, account, outputs)
    write_account([account], outputs[ACCOUNT])


def place_percentiles(
    inputs: Inputs, alpha: AnyPath, reference: AnyPath, processing: AnyPath, outputs: Outputs
) -> None:
    """Write percentiles within a reference cohort to ``percentiles``, and the ``check`` of both."""
    account = Account("reference")
    cohort = inputs.load()
    write_percentiles(
        _measures(cohort, alpha), cohort.metadata, read_reference(reference),
        _processing(processing, alpha), account, outputs,
    )  # fmt: skip
    write_account([account], outputs[ACCOUNT])


def associate_metabolites(
    inputs: Inputs, settings: Settings, sheet: AnyPath, unit: str | None, outputs: Outputs
) -> None:
    """Write associations of potential with measured metabolites to ``associations``, ``points``."""
    account = Account("metabolites")
    cohort = inputs.load()
    write_metabolites(
        cohort, sheet, settings, account, outputs, unit=unit, phenotypes=inputs.phenotypes
    )
    write_account([account], outputs[ACCOUNT])


def train_model(inputs: Inputs, settings: Settings, model: ModelSettings, outputs: Outputs) -> None:
    """Write the tables and the card of a predictive model."""
    account = Account("model")
    write_model(inputs.load(), settings, model, account, outputs)
    write_account([account], outputs[ACCOUNT])


def make_reference_cohort(
    runs: Sequence[tuple[Inputs, AnyPath, AnyPath]],
    description: Description,
    folder: AnyPath,
    account: Account,
    *,
    where: Mapping[str, str] | None = None,
    strata: Mapping[str, Sequence[float]] | None = None,
) -> ReferenceCohort:
    """Make a reference cohort of the people of one or more runs.

    Parameters
    ----------
    runs
        Inputs, table of alpha diversity and processing of each run.
    description
        What its maker says of it.
    folder
        To write.
    where, strata
        See `fermentome.cohort.reference_cohort.make_reference`.
    """
    contributions = []
    for inputs, alpha, processing in runs:
        cohort = inputs.load()
        facts = _processing(processing, alpha)
        contributions.append(Contribution(_measures(cohort, alpha), cohort.metadata, facts))
    reference = make_reference(description, contributions, account, where=where, strata=strata)
    return write_reference(reference, folder)


def collect_account(parts: Sequence[AnyPath], left_out: Mapping[str, str], output: AnyPath) -> None:
    """Join the accounts of all analyses.

    Parameters
    ----------
    parts
        Accounts, in the order of the analyses.
    left_out
        Reason by analysis for those that were not asked for.
    """
    rows = [row for part in parts for row in read_table(part, ACCOUNT_COLUMNS)]
    rest = []
    for analysis, reason in left_out.items():
        account = Account(analysis)
        account.left_out("all", reason)
        rest += [
            {key: "NA" if value is None else str(value) for key, value in row.items()}
            for row in account.rows()
        ]
    write_table(output, ACCOUNT_COLUMNS, [*rows, *rest])


def draw_effects(effects: AnyPath, fdr: float, folder: AnyPath, index: AnyPath) -> None:
    """Draw the effects of each column on each table.

    Parameters
    ----------
    effects
        Table of effects.
    fdr
        q up to which an effect is called.
    folder
        For ``effects_01.png`` and ``.svg``, numbered: names of columns need not be names of files.
    index
        Table of `EFFECT_FIGURE_COLUMNS`: which figure shows what.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    pairs = dict.fromkeys((row["table"], row["term"]) for row in read_table(effects))
    rows: list[dict[str, Cell]] = []
    for number, (table, term) in enumerate(pairs, start=1):
        name = f"effects_{number:02d}"
        outputs = [Path(folder, f"{name}.{kind}") for kind in ("png", "svg")]
        plot_effects(effects, outputs, table=table, term=term, fdr=fdr)
        rows.append({"file": f"{name}.png", "table": table, "term": term})
    write_table(index, EFFECT_FIGURE_COLUMNS, rows)


def draw_ordination(tables: Mapping[str, AnyPath], outputs: Sequence[AnyPath]) -> None:
    """Draw the ordinations from the tables ``ordination``, ``axes``, ``permanova``, ``terms``."""
    ordination, axes, permanova, terms = (
        read_table(tables[name]) for name in ("ordination", "axes", "permanova", "terms")
    )
    plot_ordination(ordination, axes, permanova, terms, outputs)


def draw_alpha(tables: Mapping[str, AnyPath], outputs: Sequence[AnyPath]) -> None:
    """Draw alpha diversity from the tables ``alpha`` and ``terms``."""
    plot_alpha(read_table(tables["alpha"]), read_table(tables["terms"]), outputs)


def draw_metabolites(tables: Mapping[str, AnyPath], outputs: Outputs) -> None:
    """Draw ``png``, ``svg`` of named pairs; ``exploratory_png``, ``exploratory_svg`` of others."""
    plot_metabolites(tables["associations"], tables["points"], (outputs["png"], outputs["svg"]))
    exploratory = (outputs["exploratory_png"], outputs["exploratory_svg"])
    plot_exploratory(tables["associations"], exploratory)


def draw_model(tables: Mapping[str, AnyPath], outputs: Outputs) -> None:
    """Draw ``png``, ``svg`` of the scores and ``importance_png``, ``importance_svg``."""
    plot_model(tables, (outputs["png"], outputs["svg"]))
    plot_model_importance(tables, (outputs["importance_png"], outputs["importance_svg"]))


def _measures(cohort: Cohort, alpha: AnyPath) -> list[Measure]:
    return measures_of(cohort, read_table(alpha))


def _processing(path: AnyPath, alpha: AnyPath) -> Processing:
    """What reads went through, with the depth to which richness was standardised."""
    return read_processing(path).with_depth(read_table(alpha))
