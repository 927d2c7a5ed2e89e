"""What ``fermentome cohort run`` and ``fermentome cohort reference`` do."""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from fermentome.cohort.data import DONE, FAMILIES, PATHWAYS, PRODUCTS, TAXA, Account, Entry
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
    write_account,
)
from fermentome.cohort.timeline_figures import plot_people, plot_timelines
from fermentome.configuration import REFERENCE_COHORT_FILES, check_schema, defaults_of
from fermentome.defaults import WORKFLOW
from fermentome.errors import CohortError, FermentomeError

SCHEMA = WORKFLOW / "schemas/config.schema.yaml"
PEOPLE_TABLES = (
    "people", "phases", "noise", "recovery", "recovery_summary", "responses", "trajectories",
    "swaps",
)  # fmt: skip
FIGURES = (
    "alpha", "ordination", "people", "responses", "percentiles", "metabolites",
    "metabolites_exploratory", "model", "model_importance",
)  # fmt: skip
NEEDS_DIVERSITY = "diversity ended with an error, and its table alpha is needed"
ANALYSES = ("diversity", "groups", "people", "reference", "metabolites", "model")
OWN_FILES = (
    *(f"{name}.tsv" for name in (*DIVERSITY_TABLES, *PEOPLE_TABLES)),
    *(f"{name}.tsv" for name in ("effects", "effect_figures", "people_figures", "percentiles")),
    *(f"{name}.tsv" for name in ("reference_check", "metabolites", "metabolite_points")),
    *(f"model/{name}.tsv" for name in MODEL_OUTPUTS), "model/model_card.md", "account.tsv",
    *(f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "svg")),
)  # fmt: skip
"""What a run writes below its folder, beside `OWN_NUMBERED`."""
OWN_NUMBERED = (
    "distances/*_*.tsv.gz", "figures/effects/effects_*.png", "figures/effects/effects_*.svg",
    "figures/people/person_*.png", "figures/people/person_*.svg",
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
    units = dict(_pair(text, "--unit") for text in arguments.unit)
    for name in units:
        if name not in tables:
            raise CohortError(
                f"--unit {name}={units[name]}: there is no such table; given are"
                f" {', '.join(tables)}"
            )
    return Inputs(
        tables,
        arguments.metadata or _existing(results, "tables/reads.tsv"),
        arguments.phenotypes or _existing(results, "databases/phenotypes.tsv"),
        arguments.rank,
        arguments.reads or (arguments.metadata and _existing(results, "tables/reads.tsv")),
        units or None,
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
    target = {"target": arguments.target} if arguments.target else {}
    for name, own in (("cohort", given), ("model", target)):
        section = config.get(name) or {}
        # Anything else is for the check below to refuse.
        config[name] = {**section, **own} if isinstance(section, dict) else section
    check_schema(config, SCHEMA)
    return (
        {**defaults_of("cohort", SCHEMA), **config["cohort"]},
        {**defaults_of("model", SCHEMA), **config["model"]},
    )


# Analyses ----------------------------------------------------------------------------------------


class _Steps:
    """Analyses one after the other; an error of one is told and does not stop the others.

    Parameters
    ----------
    folder
        For the accounts until they are joined.
    reading
        What was said of the tables when they were read.
    """

    def __init__(self, folder: Path, reading: Sequence[Entry]) -> None:
        self.failed = 0
        self.accounts = {name: Path(folder, f"{name}.tsv") for name in ANALYSES}
        self._folder = folder
        self._reading = reading
        self._figures: dict[str, Path] = {}

    def take(self, name: str, action: Callable[[], None]) -> bool:
        """Run an analysis, and tell how long it took; returns whether it ended well."""
        started = time.monotonic()
        error = self._run(name, action)
        if error is None:
            print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            return True
        self.leave_out(name, "all", f"it ended with an error: {error}")
        return False

    def draw(self, name: str, action: Callable[[], object]) -> None:
        """Draw the figures of an analysis; its tables stand without them."""
        error = self._run(f"figures of {name}", action)
        if error is not None:
            account = Account(name)
            account.left_out("figures", f"drawing them ended with an error: {error}")
            self._figures[name] = Path(self._folder, f"{name}_figures.tsv")
            write_account([account], self._figures[name])

    def leave_out(self, name: str, item: str, reason: str) -> None:
        """Account of an analysis that was not made."""
        account = Account(name)
        account.left_out(item, reason)
        reading = Account("reading", list(self._reading) if name == "diversity" else [])
        write_account([reading, account], self.accounts[name])

    def parts(self) -> list[Path]:
        """The accounts that there are."""
        paths = [(self.accounts[name], self._figures.get(name)) for name in ANALYSES]
        return [path for pair in paths for path in pair if path is not None and path.is_file()]

    def _run(self, name: str, action: Callable[[], object]) -> str | None:
        """Message of the error with which something ended, if it did."""
        try:
            action()
        except FermentomeError as error:
            message = str(error)
        except OSError as error:
            message = _in_words(error)
        except Exception as error:
            # A fault of this program. Hours of other analyses are not to be lost by it.
            traceback.print_exc()
            message = f"{type(error).__name__}: {error}; this is a fault of fermentome, report it"
        else:
            return None
        self.failed += 1
        print(f"fermentome cohort: {name}: {message}", file=sys.stderr, flush=True)
        return " ".join(message.split())


def _in_words(error: OSError) -> str:
    return (
        f"{error.filename or 'a file'}: {error.strerror or error}; look at the path, the rights of"
        " its folder and the room on the disk"
    )


@contextmanager
def _files() -> Iterator[None]:
    """Turn errors of the file system into messages."""
    try:
        yield
    except OSError as error:
        raise CohortError(_in_words(error)) from error


def _refuse_inputs_among(outputs: Sequence[Path], given: Sequence[object]) -> None:
    """Nobody's data are overwritten, as by ``--metabolites here/metabolites.tsv --out here``."""
    own = {path.resolve() for path in outputs}
    for path in given:
        if isinstance(path, str | Path) and Path(path).resolve() in own:
            raise CohortError(
                f"{path}: is an input and would be overwritten, since --out writes a file of this"
                " name there; choose another folder for --out"
            )


def _prepare(out: Path, given: Sequence[object]) -> None:
    """Make the folder; what an earlier run left in it would be taken for results of this one."""
    with _files():
        earlier = [out / name for name in OWN_FILES]
        earlier += [path for pattern in OWN_NUMBERED for path in out.glob(pattern)]
        _refuse_inputs_among(earlier, given)
        (out / "figures").mkdir(parents=True, exist_ok=True)
        for path in earlier:
            path.unlink(missing_ok=True)


def analyse(arguments: argparse.Namespace) -> int:
    """Make all that can be made of the given tables, with figures; see `command_cohort`."""
    cohort, model = _configuration(arguments)
    out: Path = arguments.out
    with _files():
        inputs = _inputs(arguments).loaded()
    settings, model_settings = settings_of(cohort), model_settings_of(model)
    processing = arguments.processing or _existing(arguments.results, "databases/processing.yaml")
    given = (
        *inputs.tables.values(), inputs.metadata, inputs.phenotypes, inputs.reads, processing,
        arguments.config, cohort["metabolites"],
    )  # fmt: skip
    _prepare(out, given)
    left_out: dict[str, str] = {}
    with _files(), tempfile.TemporaryDirectory() as folder:
        steps = _Steps(Path(folder), inputs.reading)
        compared = _compare(steps, inputs, settings, out)
        if not cohort["reference_cohort"]:
            left_out["reference"] = "no reference cohort is given"
        elif not processing:
            left_out["reference"] = (
                "it is not known what the reads went through; give --processing, or --results of a"
                " run that has databases/processing.yaml"
            )
        elif compared:
            _place(steps, inputs, cohort["reference_cohort"], processing, out)
        else:
            steps.leave_out("reference", "all", NEEDS_DIVERSITY)
        if cohort["metabolites"]:
            _associate(steps, inputs, settings, cohort, out)
        else:
            left_out["metabolites"] = "no measured metabolites are given"
        if model_settings.target:
            _model(steps, inputs, settings, model_settings, out)
        else:
            left_out["model"] = "no target is given"
        collect_account(steps.parts(), left_out, out / "account.tsv")
    print(f"{out}: account.tsv says what was made and what was left out", file=sys.stderr)
    return 1 if steps.failed else 0


def _named(out: Path, names: Sequence[str]) -> Files:
    return {name: out / f"{name}.tsv" for name in names}


def _drawn(out: Path, name: str) -> tuple[Path, Path]:
    return out / f"figures/{name}.png", out / f"figures/{name}.svg"


def _compare(steps: _Steps, inputs: Inputs, settings: Settings, out: Path) -> bool:
    """Diversity, groups and people, with their figures; returns whether there is diversity."""
    diversity = _named(out, list(DIVERSITY_TABLES))
    outputs = {
        **diversity, "distances": out / "distances", "account": steps.accounts["diversity"]
    }  # fmt: skip
    if not steps.take("diversity", lambda: measure_diversity(inputs, settings, outputs)):
        for name in ("groups", "people"):
            steps.leave_out(name, "all", NEEDS_DIVERSITY)
        return False

    def draw_diversity() -> None:
        draw_alpha(diversity, _drawn(out, "alpha"))
        draw_ordination(diversity, _drawn(out, "ordination"))

    steps.draw("diversity", draw_diversity)
    alpha = diversity["alpha"]
    effects = {"effects": out / "effects.tsv", "account": steps.accounts["groups"]}
    if steps.take("groups", lambda: compare_groups(inputs, settings, alpha, effects)):
        folder, index = out / "figures/effects", out / "effect_figures.tsv"
        steps.draw("groups", lambda: draw_effects(effects["effects"], settings.fdr, folder, index))
    people = _named(out, PEOPLE_TABLES)
    followed = {**people, "account": steps.accounts["people"]}

    def draw_people() -> None:
        plot_people(people, _drawn(out, "people"))
        plot_responses(people["responses"], _drawn(out, "responses"))
        plot_timelines(people, out / "figures/people", out / "people_figures.tsv")

    if steps.take("people", lambda: follow_people(inputs, settings, alpha, followed)):
        steps.draw("people", draw_people)
    return True


def _place(steps: _Steps, inputs: Inputs, reference: str, processing: Path, out: Path) -> None:
    outputs = {
        "percentiles": out / "percentiles.tsv", "check": out / "reference_check.tsv",
        "account": steps.accounts["reference"],
    }  # fmt: skip
    alpha = out / "alpha.tsv"
    if steps.take(
        "reference", lambda: place_percentiles(inputs, alpha, reference, processing, outputs)
    ):
        drawn = _drawn(out, "percentiles")
        steps.draw("reference", lambda: plot_percentiles(outputs["percentiles"], drawn))


def _associate(
    steps: _Steps, inputs: Inputs, settings: Settings, cohort: Mapping[str, Any], out: Path
) -> None:
    tables = {"associations": out / "metabolites.tsv", "points": out / "metabolite_points.tsv"}
    outputs = {**tables, "account": steps.accounts["metabolites"]}
    sheet, unit = cohort["metabolites"], cohort["metabolite_unit"]
    if steps.take(
        "metabolites", lambda: associate_metabolites(inputs, settings, sheet, unit, outputs)
    ):
        named, others = _drawn(out, "metabolites"), _drawn(out, "metabolites_exploratory")
        files = ("png", "svg", "exploratory_png", "exploratory_svg")
        figures = dict(zip(files, (*named, *others), strict=True))
        steps.draw("metabolites", lambda: draw_metabolites(tables, figures))


def _model(
    steps: _Steps, inputs: Inputs, settings: Settings, model: ModelSettings, out: Path
) -> None:
    folder = out / "model"
    folder.mkdir(exist_ok=True)
    tables = _named(folder, list(MODEL_OUTPUTS))
    outputs = {**tables, "card": folder / "model_card.md", "account": steps.accounts["model"]}
    if steps.take("model", lambda: train_model(inputs, settings, model, outputs)):
        drawn, importance = _drawn(out, "model"), _drawn(out, "model_importance")
        files = ("png", "svg", "importance_png", "importance_svg")
        figures = dict(zip(files, (*drawn, *importance), strict=True))
        steps.draw("model", lambda: draw_model(tables, figures))


# Reference cohorts -------------------------------------------------------------------------------


def make_reference(arguments: argparse.Namespace) -> int:
    """Make a reference cohort; see `command_cohort`."""
    processing = arguments.processing or _existing(arguments.results, "databases/processing.yaml")
    if not processing:
        raise CohortError(
            "it is not known what the reads of this cohort went through, so nobody could be placed"
            " in it; give --processing, or --results of a run that has databases/processing.yaml"
        )
    with _files():
        inputs = _inputs(arguments).loaded()
    _refuse_inputs_among(
        [arguments.out / name for name in REFERENCE_COHORT_FILES],
        (*inputs.tables.values(), inputs.metadata, inputs.phenotypes, inputs.reads, processing),
    )
    description = Description(
        arguments.name, arguments.version, arguments.description, arguments.source,
        arguments.licence, arguments.selection,
    )  # fmt: skip
    account = Account("reference")
    with _files(), tempfile.TemporaryDirectory() as folder:
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
        if row["status"] == DONE:
            continue
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
