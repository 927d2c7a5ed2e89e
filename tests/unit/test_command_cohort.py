"""`fermentome cohort` as a user meets it."""

import shutil
from types import SimpleNamespace

import pytest
import yaml
from small_cohort import FEATURES, edit, reasons, statuses, write_study
from snakemake_runs import contents

from fermentome import command_cohort_run
from fermentome.cli import main
from fermentome.cohort.data import DONE, LEFT_OUT
from fermentome.command_cohort_run import OWN_FILES
from fermentome.errors import CohortError
from fermentome.tables import read_table

FASTEST = ("--permutations", "99")
WORDS = (
    "--name", "made-up", "--version", "1", "--description", "made-up people", "--source",
    "a simulation", "--licence", "CC0", "--selection", "drawn at random",
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Study and a reference cohort; nothing may be written below it."""
    return write_study(tmp_path_factory.mktemp("study"), reference=24)


@pytest.fixture
def cohort(capfd):
    """Run ``fermentome cohort ...``; gives exit code, output and errors."""

    def run(*arguments):
        code = main(["cohort", *map(str, arguments)])
        captured = capfd.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return run


@pytest.fixture
def settings(monkeypatch, tmp_path, study):
    """Settings, and those of the model, with which a command would start."""

    def seen(*arguments, config=None):
        found = {}

        def stop(inputs, settings, outputs):
            found["cohort"] = settings
            raise CohortError("enough")

        def stop_model(inputs, settings, model, outputs):
            found["model"] = model
            raise CohortError("enough")

        monkeypatch.setattr(command_cohort_run, "measure_diversity", stop)
        monkeypatch.setattr(command_cohort_run, "train_model", stop_model)
        given = ["--products", study / "results/tables/products.tsv"]
        if config is not None:
            (tmp_path / "c.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
            given += ["--config", tmp_path / "c.yaml"]
        words = ["cohort", "run", *given, *arguments, "--out", tmp_path / "out"]
        assert main([str(word) for word in words]) == 1
        return SimpleNamespace(**found)

    return seen


# Settings ----------------------------------------------------------------------------------------


def test_defaults_are_those_of_the_workflow(settings):
    found = settings().cohort
    assert (found.groups, found.permutations, found.fdr, found.seed) == (("group",), 999, 0.05, 1)


def test_the_configuration_goes_before_the_defaults(settings):
    config = {"cohort": {"groups": ["arm"], "permutations": 199, "reference_levels": ["arm=a"]}}
    found = settings(config=config).cohort
    assert (found.groups, found.permutations, found.fdr) == (("arm",), 199, 0.05)
    assert found.reference_levels == {"arm": "a"}


def test_options_go_before_the_configuration(settings):
    config = {"cohort": {"groups": ["arm"], "permutations": 199}, "model": {"target": "arm"}}
    found = settings(
        "--group", "diet", "--group", "sex", "--seed", "0", "--target", "diet", config=config
    )
    assert found.cohort.groups == ("diet", "sex")
    assert (found.cohort.permutations, found.cohort.seed) == (199, 0)
    assert found.model.target == "diet"
    assert found.model.folds == 5


def test_empty_sections_are_defaults(settings):
    assert settings(config={"cohort": None, "model": None}).cohort.groups == ("group",)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("cohort: {permutations: 20}", ["cohort.permutations", "99 or more"]),
        ("cohort: {grups: [a]}", ["grups", "groups"]),
        ("cohort: [group]", ["cohort"]),
        ("cohort: {groups: [a", ["c.yaml", "YAML"]),
        ("- cohort", ["c.yaml", "cohort and model"]),
    ],
)
def test_a_mistake_in_the_configuration_is_named(study, cohort, tmp_path, text, named):
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    done = cohort(
        "run", "--results", study / "results", "--config", tmp_path / "c.yaml", "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert done.code == 1
    assert [word for word in named if word not in done.err] == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--results", "nowhere"], ["nowhere", "no feature table", "--taxa"]),
        ([], ["no feature table", "--results"]),
        (["--taxa", "nowhere.tsv"], ["nowhere.tsv", "No such file"]),
        (["--products", "products.tsv", "--metadata", "no.tsv"], ["no.tsv", "No such file"]),
        (["--products", "products.tsv", "--rank", "kind"], ["kind", "genus"]),
        (["--products", "products.tsv", "--unit", "copies"], ["--unit", "'copies'"]),
        (["--products", "products.tsv", "--unit", "product=x"], ["--unit product=x", "products"]),
        (["--taxa", "products.tsv"], ["products.tsv", "given as taxa"]),
    ],
)
def test_a_mistake_on_the_command_line_is_named(
    study, cohort, tmp_path, monkeypatch, arguments, named
):
    monkeypatch.chdir(study / "results/tables")
    done = cohort("run", *arguments, "--out", tmp_path / "out")
    assert done.code == 1
    assert [word for word in named if word not in done.err] == []
    assert not (tmp_path / "out").exists()


# Runs --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(study, tmp_path_factory):
    """A whole run: reference cohort, then everything but a model, without per-person figures."""
    folder = tmp_path_factory.mktemp("made")
    before = contents(study)
    tables = ["--results", study / "reference", "--rarefaction-depth", 1_000_000]
    words = ["cohort", "reference", *tables, *WORDS, "--out", folder / "reference"]
    assert main([str(word) for word in words]) == 0
    words = [
        "cohort", "run", "--results", study / "results", "--config", study / "cohort.yaml",
        "--metabolites", study / "metabolites.tsv", "--reference-cohort", folder / "reference",
        *FASTEST, "--out", folder / "out",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_cohort_run, "plot_timelines", lambda *arguments: None)
        patch.setattr(command_cohort_run, "draw_effects", lambda *arguments: None)
        assert main([str(word) for word in words]) == 0
    assert contents(study) == before
    assert {path.name for path in folder.iterdir()} == {"reference", "out"}
    return folder / "out"


def test_a_run_makes_every_table_and_figure_but_those_not_asked_for(made):
    missing = {name for name in OWN_FILES if not (made / name).is_file()}
    skipped = {"people_figures.tsv", "effect_figures.tsv"}
    assert {name for name in missing if "model" not in name} == skipped
    said = statuses(made / "account.tsv")
    assert said["model", "all"] == LEFT_OUT
    assert said["reference", "product:butyrate"] == DONE


def test_every_file_of_a_run_is_known_to_the_next_one(made):
    """It would be left lying there as if the next one had made it."""
    patterns = [path for name in command_cohort_run.OWN_NUMBERED for path in made.glob(name)]
    known = {made / name for name in OWN_FILES} | set(patterns)
    assert {path for path in made.rglob("*") if path.is_file()} - known == set()


def test_what_an_earlier_run_left_is_taken_away_and_other_files_are_not(study, cohort, tmp_path):
    out = tmp_path / "out"
    for name in ("percentiles.tsv", "figures/people/person_099.png", "account.tsv", "mine.tsv",
                 "figures/mine.png"):  # fmt: skip
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("earlier", encoding="utf-8")
    done = cohort("run", "--products", study / "results/tables/products.tsv", "--out", out)
    assert done.code == 0
    assert "earlier" not in (out / "account.tsv").read_text(encoding="utf-8")
    assert not (out / "percentiles.tsv").exists()
    assert not (out / "figures/people/person_099.png").exists()
    assert (out / "mine.tsv").is_file()
    assert (out / "figures/mine.png").is_file()


def test_an_input_is_never_overwritten(study, cohort, tmp_path):
    """The sheet of the example has the name of a table that is made."""
    sheet = tmp_path / "metabolites.tsv"
    shutil.copy2(study / "metabolites.tsv", sheet)
    before = sheet.read_bytes()
    done = cohort("run", "--results", study / "results", "--metabolites", sheet, "--out", tmp_path)
    assert done.code == 1
    assert "metabolites.tsv: is an input and would be overwritten" in done.err
    assert "--out" in done.err
    assert contents(tmp_path) == {"metabolites.tsv": before}


def test_a_folder_that_cannot_be_written_is_named(study, cohort, tmp_path):
    (tmp_path / "file").touch()
    done = cohort(
        "run", "--products", study / "results/tables/products.tsv", "--out", tmp_path / "file/out"
    )
    assert done.code == 1
    assert "file/out" in done.err
    assert "Not a directory" in done.err
    assert "Traceback" not in done.err


def products_alone(study, *more):
    return ("run", "--products", study / "results/tables/products.tsv",
            "--metadata", study / "results/tables/reads.tsv", "--reference-level", "group=control",
            *FASTEST, *more)  # fmt: skip


def test_one_analysis_that_fails_stops_no_other_and_is_in_the_account(study, cohort, tmp_path):
    out = tmp_path / "out"
    done = cohort(*products_alone(study, "--metabolites", tmp_path / "no.tsv", "--out", out))
    assert done.code == 1
    assert "no.tsv" in done.err
    said = statuses(out / "account.tsv")
    assert said["metabolites", "all"] == LEFT_OUT
    assert said["groups", "products"] == DONE
    assert "no.tsv" in reasons(out / "account.tsv", "metabolites")


def test_a_fault_in_one_analysis_is_told_whole_and_stops_no_other(
    study, cohort, tmp_path, monkeypatch
):
    def fault(*arguments):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(command_cohort_run, "compare_groups", fault)
    out = tmp_path / "out"
    done = cohort(*products_alone(study, "--out", out))
    assert done.code == 1
    assert "Traceback" in done.err
    assert "ZeroDivisionError: by nothing" in reasons(out / "account.tsv", "groups")
    assert read_table(out / "people.tsv")


def test_without_diversity_what_needs_it_is_left_out_and_nothing_old_is_used(
    study, cohort, tmp_path, monkeypatch
):
    def fail(*arguments):
        raise CohortError("x.tsv: no")

    monkeypatch.setattr(command_cohort_run, "measure_diversity", fail)
    out = tmp_path / "out"
    out.mkdir()
    (out / "alpha.tsv").write_text("sample\tmetric\tvalue\n", encoding="utf-8")
    sheet = study / "metabolites.tsv"
    done = cohort(*products_alone(study, "--metabolites", sheet, "--out", out))
    assert done.code == 1
    assert not (out / "alpha.tsv").exists()
    said = statuses(out / "account.tsv")
    for analysis in ("diversity", "groups", "people"):
        assert said[analysis, "all"] == LEFT_OUT
    assert said["reading", "products"] == DONE
    assert read_table(out / "metabolites.tsv")


def test_a_figure_that_fails_leaves_its_table(study, cohort, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device", "people.png")

    monkeypatch.setattr(command_cohort_run, "plot_people", fail)
    out = tmp_path / "out"
    done = cohort(*products_alone(study, "--out", out))
    assert done.code == 1
    assert "No space left" in reasons(out / "account.tsv", "people")
    assert read_table(out / "people.tsv")


def test_the_account_names_no_folder_of_the_user(study, cohort, tmp_path):
    table = tmp_path / "in/products.tsv"
    table.parent.mkdir()
    shutil.copy2(study / "results/tables/products.tsv", table)
    sheet = tmp_path / "in/sheet.tsv"
    shutil.copy2(study / "results/tables/reads.tsv", sheet)
    edit(sheet, lambda row: row | {"timepoint": "once upon a time"})
    done = cohort("run", "--products", table, "--metadata", sheet, "--group", "gruop",
                  "--out", tmp_path / "out")  # fmt: skip
    assert done.code == 0
    text = (tmp_path / "out/account.tsv").read_text(encoding="utf-8")
    assert "sheet.tsv" in text
    assert str(tmp_path) not in text


# Reference cohorts -------------------------------------------------------------------------------


def test_a_reference_needs_to_know_what_reads_went_through(study, cohort, tmp_path):
    done = cohort(
        "reference", "--products", study / "reference/tables/products.tsv", *WORDS, "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert done.code == 1
    assert "--processing" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (["--where", "group"], ["--where", "group=control"]),
        (["--where", "gruop=reference"], ["gruop"]),
        (["--stratum", "age=a,b"], ["--stratum", "age=18,40,65"]),
    ],
)
def test_a_mistake_in_the_choice_of_people_is_named(study, cohort, tmp_path, option, named):
    source = ["--processing", study / "reference/databases/processing.yaml"]
    tables = [f"--{name}={study / 'reference/tables'}/{name}.tsv" for name in FEATURES[3:]]
    tables += ["--metadata", study / "reference/tables/reads.tsv"]
    done = cohort("reference", *tables, *source, *WORDS, *option, "--out", tmp_path / "out")
    assert done.code == 1
    assert [word for word in named if word not in done.err] == []
