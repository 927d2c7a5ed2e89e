"""What ``fermentome cohort run`` and ``fermentome cohort reference`` do."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fermentome.cohort.data import FAMILIES, PATHWAYS, PRODUCTS, TAXA, Account
from fermentome.cohort.diversity_tables import TABLES as DIVERSITY_TABLES
from fermentome.cohort.model_report import MODEL_OUTPUTS
from fermentome.cohort.percentile_figures import plot_percentiles
from fermentome.cohort.reference_cohort import Description
from fermentome.cohort.response_figures import plot_responses
from fermentome.cohort.settings import (
    ModelSettings,
    Settings,
    model_settings_of,
    settings_of,
)
from fermentome.cohort.stages import (
    Inputs,
    associate_metabolites,
    collect_account,
    compare_groups,
    draw_alpha,
    draw_effects,
    draw_metabolites,
    draw_model,
    draw_ordination,
    follow_people,
    make_reference_cohort,
    measure_diversity,
    place_percentiles,
    train_model,
)
from fermentome.cohort.timeline_figures import plot_people, plot_timelines
from fermentome.configuration import check_schema, defaults_of
from fermentome.defaults import WORKFLOW
from fermentome.errors import CohortError, FermentomeError

SCHEMA = WORKFLOW / "schemas/config.schema.yaml"
PEOPLE_TABLES = (
    "people", "phases", "noise", "recovery", "recovery_summary", "responses", "trajectories",
    "swaps",
)  # fmt: skip
Files = dict[str, Path]


# Inputs and settings -----------------------------------------------------------------------------


def _inputs(arguments: argparse.Namespace) -> Inputs:
    results: Path | None = arguments.results
    tables: Files = {}
    for name in (TAXA, FAMILIES, PATHWAYS, PRODUCTS):
        given: Path | None = getattr(arguments, name)
        own = results / f"tables/{name}.tsv" if results else None
        if given or (own and own.is_file()):
            tables[name] = given or own  # type: ignore[assignment]
    if not tables:
        raise CohortError(
            f"{results or 'the command line'}: no feature table; give --results of a run, or one of"
            " --taxa, --families, --pathways, --products"
        )
    return Inputs(
        tables,
        arguments.metadata or _existing(results, "tables/reads.tsv"),
        arguments.phenotypes or _existing(results, "databases/phenotypes.tsv"),
        arguments.rank,
        arguments.reads or (arguments.metadata and _existing(results, "tables/reads.tsv")),
        dict(_pair(text, "--unit") for text in arguments.unit) or None,
    )


def _existing(results: Path | None, name: str) -> Path | None:
    path = results / name if results else None
    return path if path and path.is_file() else None


def _pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise CohortError(f"{option} {text!r}: expected a name and a value, as group=control")
    return name, value


def _configuration(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sections `cohort` and `model`: defaults, then the file, then the options."""
    config: Any = {}
    if arguments.config:
        try:
            config = yaml.safe_load(arguments.config.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise CohortError(f"{arguments.config}: cannot be read as YAML: {error}") from error
        if not isinstance(config, dict):
            raise CohortError(f"{arguments.config}: expected the sections cohort and model")
    options = {
        "groups": arguments.group, "covariates": arguments.covariate, "batch": arguments.batch,
        "reference_levels": arguments.reference_level,
        "reference_group": arguments.reference_group, "baseline": arguments.baseline,
        "permutations": arguments.permutations, "seed": arguments.seed,
        "metabolites": arguments.metabolites, "metabolite_unit": arguments.metabolite_unit,
        "reference_cohort": arguments.reference_cohort,
        "rarefaction_depth": arguments.rarefaction_depth,
    }  # fmt: skip
    given = {key: value for key, value in options.items() if value is not None}
    config["cohort"] = {**(config.get("cohort") or {}), **given}
    target = {"target": arguments.target} if arguments.target else {}
    config["model"] = {**(config.get("model") or {}), **target}
    check_schema(config, SCHEMA)
    return (
        {**defaults_of("cohort", SCHEMA), **config["cohort"]},
        {**defaults_of("model", SCHEMA), **config["model"]},
    )


# Analyses ----------------------------------------------------------------------------------------


class _Steps:
    """Analyses one after the other; an error of one is told and does not stop the others."""

    def __init__(self) -> None:
        self.failed = 0

    def take(self, name: str, action: Callable[[], None]) -> bool:
        """Run one, and tell how long it took; returns whether it ended well."""
        started = time.monotonic()
        try:
            action()
        except FermentomeError as error:
            self.failed += 1
            print(f"fermentome cohort: {name}: {error}", file=sys.stderr)
            return False
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        return True


def analyse(arguments: argparse.Namespace) -> int:
    """Make all that can be made of the given tables, with figures; see `command_cohort`."""
    cohort, model = _configuration(arguments)
    out: Path = arguments.out
    figures = out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    inputs = _inputs(arguments).loaded()
    settings, model_settings = settings_of(cohort), model_settings_of(model)
    processing = arguments.processing or _existing(arguments.results, "databases/processing.yaml")
    steps = _Steps()
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            name: Path(folder, f"{name}.tsv")
            for name in ("diversity", "groups", "people", "reference", "metabolites", "model")
        }
        _compare(steps, inputs, settings, out, parts)
        alpha = out / "alpha.tsv"
        if not cohort["reference_cohort"]:
            left_out["reference"] = "no reference cohort is given"
        elif not processing:
            left_out["reference"] = (
                "it is not known what the reads went through; give --processing, or --results of a"
                " run that has databases/processing.yaml"
            )
        elif alpha.is_file():
            _place(steps, inputs, cohort["reference_cohort"], processing, out, parts["reference"])
        if cohort["metabolites"]:
            _associate(steps, inputs, settings, cohort, out, parts["metabolites"])
        else:
            left_out["metabolites"] = "no measured metabolites are given"
        if model_settings.target:
            _model(steps, inputs, settings, model_settings, out, parts["model"])
        else:
            left_out["model"] = "no target is given"
        made = [path for path in parts.values() if path.is_file()]
        collect_account(made, left_out, out / "account.tsv")
    print(f"{out}: account.tsv says what was made and what was left out", file=sys.stderr)
    return 1 if steps.failed else 0


def _named(out: Path, names: Sequence[str]) -> Files:
    return {name: out / f"{name}.tsv" for name in names}


def _drawn(out: Path, name: str) -> tuple[Path, Path]:
    return out / f"figures/{name}.png", out / f"figures/{name}.svg"


def _compare(
    steps: _Steps, inputs: Inputs, settings: Settings, out: Path, parts: Mapping[str, Path]
) -> None:
    """Diversity, groups and people, with their figures."""
    diversity = _named(out, list(DIVERSITY_TABLES))
    outputs = {**diversity, "distances": out / "distances", "account": parts["diversity"]}
    if not steps.take("diversity", lambda: measure_diversity(inputs, settings, outputs)):
        return
    draw_alpha(diversity, _drawn(out, "alpha"))
    draw_ordination(diversity, _drawn(out, "ordination"))
    alpha = diversity["alpha"]
    effects = {"effects": out / "effects.tsv", "account": parts["groups"]}
    if steps.take("groups", lambda: compare_groups(inputs, settings, alpha, effects)):
        draw_effects(
            effects["effects"], settings.fdr, out / "figures/effects", out / "effect_figures.tsv"
        )
    people = _named(out, PEOPLE_TABLES)
    followed = {**people, "account": parts["people"]}
    if steps.take("people", lambda: follow_people(inputs, settings, alpha, followed)):
        plot_people(people, _drawn(out, "people"))
        plot_responses(people["responses"], _drawn(out, "responses"))
        plot_timelines(people, out / "figures/people", out / "people_figures.tsv")


def _place(
    steps: _Steps, inputs: Inputs, reference: str, processing: Path, out: Path, account: Path
) -> None:
    outputs = {
        "percentiles": out / "percentiles.tsv", "check": out / "reference_check.tsv",
        "account": account,
    }  # fmt: skip
    alpha = out / "alpha.tsv"
    if steps.take(
        "reference", lambda: place_percentiles(inputs, alpha, reference, processing, outputs)
    ):
        plot_percentiles(outputs["percentiles"], _drawn(out, "percentiles"))


def _associate(
    steps: _Steps, inputs: Inputs, settings: Settings, cohort: Mapping[str, Any], out: Path,
    account: Path,
) -> None:  # fmt: skip
    tables = {"associations": out / "metabolites.tsv", "points": out / "metabolite_points.tsv"}
    sheet, unit = cohort["metabolites"], cohort["metabolite_unit"]
    if steps.take(
        "metabolites",
        lambda: associate_metabolites(
            inputs, settings, sheet, unit, {**tables, "account": account}
        ),
    ):
        named, others = _drawn(out, "metabolites"), _drawn(out, "metabolites_exploratory")
        files = ("png", "svg", "exploratory_png", "exploratory_svg")
        draw_metabolites(tables, dict(zip(files, (*named, *others), strict=True)))


def _model(
    steps: _Steps,
    inputs: Inputs,
    settings: Settings,
    model: ModelSettings,
    out: Path,
    account: Path,
) -> None:
    folder = out / "model"
    folder.mkdir(exist_ok=True)
    tables = _named(folder, list(MODEL_OUTPUTS))
    outputs = {**tables, "card": folder / "model_card.md", "account": account}
    if steps.take("model", lambda: train_model(inputs, settings, model, outputs)):
        drawn, importance = _drawn(out, "model"), _drawn(out, "model_importance")
        files = ("png", "svg", "importance_png", "importance_svg")
        draw_model(tables, dict(zip(files, (*drawn, *importance), strict=True)))


# Reference cohorts -------------------------------------------------------------------------------


def make_reference(arguments: argparse.Namespace) -> int:
    """Make a reference cohort; see `command_cohort`."""
    processing = arguments.processing or _existing(arguments.results, "databases/processing.yaml")
    if not processing:
        raise CohortError(
            "it is not known what the reads of this cohort went through, so nobody could be placed"
            " in it; give --processing, or --results of a run that has databases/processing.yaml"
        )
    inputs = _inputs(arguments).loaded()
    description = Description(
        arguments.name, arguments.version, arguments.description, arguments.source,
        arguments.licence, arguments.selection,
    )  # fmt: skip
    account = Account("reference")
    with tempfile.TemporaryDirectory() as folder:
        outputs = {"alpha": Path(folder, "alpha.tsv"), "account": Path(folder, "account.tsv")}
        # Nothing is tested here, so few permutations do.
        settings = Settings(
            groups=(), permutations=99, rarefaction_depth=arguments.rarefaction_depth
        )
        measure_diversity(inputs, settings, outputs)
        made = make_reference_cohort(
            [(inputs, outputs["alpha"], processing)], description, arguments.out, account,
            where=dict(_pair(text, "--where") for text in arguments.where),
            strata=dict(_stratum(text) for text in arguments.stratum),
        )  # fmt: skip
    for row in account.rows():
        print(f"{row['item']}: {row['status']} {row['reason']}".rstrip(), file=sys.stderr)
    print(f"{made.label}: {made.people} people, id {made.id}")
    return 0


def _stratum(text: str) -> tuple[str, tuple[float, ...]]:
    name, _, edges = text.partition("=")
    try:
        return name, tuple(float(edge) for edge in edges.split(",") if edge)
    except ValueError:
        raise CohortError(
            f"--stratum {text!r}: expected a column, or a column with edges, as age=18,40,65"
        ) from None
