"""The analyses of a cohort from files to files, on a small made-up study."""

import dataclasses
import functools
import shutil
from types import SimpleNamespace

import pytest
from small_cohort import FEATURES, edit, reasons, statuses, write_study
from snakemake_runs import contents

from fermentome.cohort.data import ACCOUNT_COLUMNS, DONE, LEFT_OUT, Account
from fermentome.cohort.diversity_tables import TABLES as DIVERSITY_TABLES
from fermentome.cohort.model_report import MODEL_OUTPUTS
from fermentome.cohort.reference_cohort import Description
from fermentome.cohort.settings import ModelSettings, Settings
from fermentome.cohort.stages import (
    Inputs,
    associate_metabolites,
    collect_account,
    compare_groups,
    draw_alpha,
    draw_effects,
    draw_metabolites,
    draw_ordination,
    follow_people,
    inputs_of_run,
    make_reference_cohort,
    measure_diversity,
    place_percentiles,
    train_model,
)
from fermentome.errors import CohortError
from fermentome.tables import read_table, write_table

SETTINGS = Settings(
    covariates=("age",), batch=("sequencing_run",), reference_levels={"group": "control"},
    reference_group="group=control", permutations=99, rarefaction_depth=1_000_000,
)  # fmt: skip
PEOPLE_TABLES = (
    "people", "phases", "noise", "recovery", "recovery_summary", "responses", "trajectories",
    "swaps",
)  # fmt: skip


def inputs_of(folder, tables=FEATURES, metadata=True):
    """Inputs from the tables of a study, as the workflow gives them."""
    files = {name: folder / f"results/tables/{name}.tsv" for name in tables}
    files["metadata"] = folder / "results/tables/reads.tsv" if metadata else None
    return inputs_of_run(files | {"phenotypes": []}, tables)


def named(folder, names):
    return {name: folder / f"{name}.tsv" for name in names}


def compare(inputs, out, settings=SETTINGS):
    """Diversity, groups and people, each from files."""
    out.mkdir(parents=True, exist_ok=True)
    diversity = named(out, DIVERSITY_TABLES)
    account = out / "account_diversity.tsv"
    others = {"distances": out / "distances", "account": account}
    measure_diversity(inputs, settings, diversity | others)
    alpha = diversity["alpha"]
    groups = {"effects": out / "effects.tsv", "account": out / "account_groups.tsv"}
    compare_groups(inputs, settings, alpha, groups)
    people = named(out, PEOPLE_TABLES)
    follow_people(inputs, settings, alpha, people | {"account": out / "account_people.tsv"})
    parts = [out / f"account_{name}.tsv" for name in ("diversity", "groups", "people")]
    collect_account(parts, {}, out / "account.tsv")
    return out


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Study and a reference cohort; nothing may be written below it."""
    return write_study(tmp_path_factory.mktemp("study"), reference=24)


@pytest.fixture(scope="module")
def compared(study, tmp_path_factory):
    return compare(inputs_of(study), tmp_path_factory.mktemp("out") / "compared")


@pytest.fixture
def changed(study, tmp_path):
    """Copy of the study, to change."""
    shutil.copytree(study, tmp_path / "study")
    return tmp_path / "study"


def edit_metadata(folder, **cells):
    edit(folder / "results/tables/reads.tsv", lambda row: row | cells)


def keep_samples(folder, wanted):
    for name in ("reads", *FEATURES):
        path = folder / f"results/tables/{name}.tsv"
        edit(path, lambda row: row if wanted(row["sample"]) else None)


# Each stage --------------------------------------------------------------------------------------


def test_each_stage_writes_its_tables_and_an_account(compared):
    for name in (*DIVERSITY_TABLES, "effects", *PEOPLE_TABLES):
        assert read_table(compared / f"{name}.tsv"), name
    assert list((compared / "distances").glob("taxa_braycurtis.tsv.gz"))
    said = statuses(compared / "account.tsv")
    assert {analysis for analysis, _ in said} == {"reading", "diversity", "groups", "people"}
    assert said["reading", "taxa"] == DONE
    assert said["groups", "taxa"] == DONE


def test_what_was_read_is_said_once(compared):
    own = [r for r in read_table(compared / "account.tsv") if r["analysis"] == "reading"]
    assert len({tuple(row.values()) for row in own}) == len(own)


def test_planted_changes_are_found(compared):
    """Antibiotics took Clostridia, and with them butyrate."""
    rows = read_table(compared / "people.tsv")
    drug = [
        row
        for row in rows
        if row["measure"] == "product:butyrate" and row["event"] == "antibiotics"
    ]
    assert {row["subject"] for row in drug} == {"P01", "P02"}
    assert all(float(row["value"]) < float(row["baseline"]) for row in drug)


def test_effects_are_drawn_with_an_index_of_what_they_show(compared, tmp_path):
    shutil.copy2(compared / "effects.tsv", tmp_path / "effects.tsv")
    edit(tmp_path / "effects.tsv", lambda row: row if row["table"] == "products" else None)
    draw_effects(tmp_path / "effects.tsv", 0.05, tmp_path / "effects", tmp_path / "index.tsv")
    rows = read_table(tmp_path / "index.tsv")
    pairs = {(r["table"], r["term"]) for r in read_table(tmp_path / "effects.tsv")}
    assert len(pairs) >= 2
    assert {(row["table"], row["term"]) for row in rows} == pairs
    made = {path.name for path in (tmp_path / "effects").glob("*.png")}
    assert made == {row["file"] for row in rows}


def test_effects_of_no_column_are_drawn_as_none(compared, tmp_path):
    """A run without groups has a table of effects without rows."""
    empty = tmp_path / "effects.tsv"
    header = (compared / "effects.tsv").read_text(encoding="utf-8").splitlines()[0]
    empty.write_text(header + "\n", encoding="utf-8")
    draw_effects(empty, 0.05, tmp_path / "effects", tmp_path / "index.tsv")
    assert read_table(tmp_path / "index.tsv") == []
    assert list((tmp_path / "effects").iterdir()) == []


def test_figures_are_made_from_the_tables_alone(compared, tmp_path):
    tables = named(compared, DIVERSITY_TABLES)
    draw_alpha(tables, (tmp_path / "a.png", tmp_path / "a.svg"))
    draw_ordination(tables, (tmp_path / "o.png", tmp_path / "o.svg"))
    assert all((tmp_path / f"{name}.png").stat().st_size > 5000 for name in ("a", "o"))


def test_metabolites_are_associated_and_drawn(study, tmp_path):
    tables = named(tmp_path, ("associations", "points"))
    outputs = tables | {"account": tmp_path / "account.tsv"}
    associate_metabolites(inputs_of(study), SETTINGS, study / "metabolites.tsv", None, outputs)
    kinds = ("png", "svg", "exploratory_png", "exploratory_svg")
    figures = {kind: tmp_path / f"{kind}.{kind[-3:]}" for kind in kinds}
    draw_metabolites(tables, figures)
    assert all(path.stat().st_size > 1000 for path in figures.values())
    assert {analysis for analysis, _ in statuses(outputs["account"])} == {"metabolites"}


WORDS = Description("made-up", "1", "made-up people", "a simulation", "CC0", "drawn at random")


@pytest.fixture(scope="module")
def reference(study, tmp_path_factory):
    """Reference cohort of the other people of the study."""
    folder = tmp_path_factory.mktemp("reference")
    tables = {name: study / f"reference/tables/{name}.tsv" for name in FEATURES}
    inputs = Inputs(tables, study / "reference/tables/reads.tsv")
    outputs = {"alpha": folder / "alpha.tsv", "account": folder / "account.tsv"}
    measure_diversity(inputs, SETTINGS, outputs)
    processing = study / "reference/databases/processing.yaml"
    runs = [(inputs, outputs["alpha"], processing)]
    made = make_reference_cohort(runs, WORDS, folder / "reference", Account("reference"))
    assert made.people == 24
    return folder / "reference"


def place(study, compared, reference, processing, out):
    outputs = {**named(out, ("percentiles", "check", "account"))}
    alpha = compared / "alpha.tsv"
    place_percentiles(inputs_of(study), alpha, reference, processing, outputs)
    return outputs


def test_people_are_placed_in_a_reference_processed_alike(study, compared, reference, tmp_path):
    own = study / "results/databases/processing.yaml"
    outputs = place(study, compared, reference, own, tmp_path)
    rows = read_table(outputs["percentiles"])
    butyrate = [row for row in rows if row["measure"] == "product:butyrate"]
    assert {row["subject"] for row in butyrate} == {
        "P01", "P02", "P09", "P10", "P11", "P19", "P20", "P21"
    }  # fmt: skip
    assert statuses(outputs["account"])["reference", "product:butyrate"] == DONE


def test_people_processed_otherwise_are_not_placed_and_the_difference_is_named(
    study, compared, reference, tmp_path
):
    text = (study / "results/databases/processing.yaml").read_text(encoding="utf-8")
    other = tmp_path / "processing.yaml"
    other.write_text(text.replace("host: {reference: none}", "host: {reference: x}"), "utf-8")
    outputs = place(study, compared, reference, other, tmp_path)
    said = statuses(outputs["account"])
    assert set(said.values()) == {LEFT_OUT}
    assert "host" in reasons(outputs["account"])


def test_a_model_that_cannot_be_shown_is_left_out_with_its_reason(study, tmp_path):
    outputs = named(tmp_path, MODEL_OUTPUTS)
    others = {"card": tmp_path / "card.md", "account": tmp_path / "account.tsv"}
    train_model(inputs_of(study), SETTINGS, ModelSettings("group"), outputs | others)
    assert set(statuses(others["account"]).values()) == {LEFT_OUT}
    assert read_table(outputs["scores"]) == []
    assert others["card"].stat().st_size


def test_an_unknown_target_is_named(study, tmp_path):
    outputs = named(tmp_path, MODEL_OUTPUTS)
    others = {"card": tmp_path / "card.md", "account": tmp_path / "account.tsv"}
    train_model(inputs_of(study), SETTINGS, ModelSettings("gruop"), outputs | others)
    assert "gruop" in reasons(others["account"])


# Accounts ----------------------------------------------------------------------------------------


def test_accounts_are_joined_in_order_with_what_was_not_asked_for(tmp_path):
    rows = [dict.fromkeys(ACCOUNT_COLUMNS, name) for name in ("first", "second")]
    parts = [tmp_path / "b.tsv", tmp_path / "a.tsv"]
    for path, row in zip(parts, rows, strict=True):
        write_table(path, ACCOUNT_COLUMNS, [row])
    left_out = {"model": "model.target is not given"}
    collect_account(parts, left_out, tmp_path / "account.tsv")
    found = read_table(tmp_path / "account.tsv")
    assert found[:2] == rows
    assert found[2] == {
        "analysis": "model", "item": "all", "status": LEFT_OUT, "samples": "NA", "subjects": "NA",
        "reason": "model.target is not given",
    }  # fmt: skip
    assert len(found) == 3


# Same bytes --------------------------------------------------------------------------------------


def test_the_same_study_gives_the_same_bytes_whatever_the_order_of_its_rows(
    compared, changed, tmp_path
):
    for name in ("reads", *FEATURES):
        path = changed / f"results/tables/{name}.tsv"
        rows = read_table(path)
        # Samples the other way round; the rows of one sample as they were.
        names = sorted({row["sample"] for row in rows}, reverse=True)
        turned = [row for sample in names for row in rows if row["sample"] == sample]
        write_table(path, list(rows[0]), turned)
    again = compare(inputs_of(changed), tmp_path / "again")
    first, second = contents(compared), contents(again)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_tables_that_were_read_already_give_the_same_bytes(study, compared, tmp_path):
    again = compare(inputs_of(study).loaded(), tmp_path / "again")
    assert contents(again) == contents(compared)


# What is not there -------------------------------------------------------------------------------


def test_without_taxa_functions_are_compared_and_it_is_said(study, tmp_path):
    out = compare(inputs_of(study, FEATURES[1:]), tmp_path)
    said = statuses(out / "account.tsv")
    assert said["diversity", "alpha diversity"] == LEFT_OUT
    assert {row["table"] for row in read_table(out / "effects.tsv")} >= {"pathways", "products"}
    assert {row["table"] for row in read_table(out / "ordination.tsv")} >= {"pathways"}
    assert any(row["measure"] == "product:butyrate" for row in read_table(out / "people.tsv"))


def test_without_metadata_diversity_is_measured_and_the_rest_said(study, tmp_path):
    out = compare(inputs_of(study, metadata=False), tmp_path)
    assert read_table(out / "alpha.tsv")
    assert read_table(out / "effects.tsv") == []
    for analysis in ("groups", "people"):
        assert reasons(out / "account.tsv", analysis)


def test_one_sample_is_described(changed, tmp_path):
    keep_samples(changed, lambda sample: sample == "P01_d00")
    out = compare(inputs_of(changed), tmp_path / "out")
    alpha = {row["metric"]: row["value"] for row in read_table(out / "alpha.tsv")}
    assert float(alpha["shannon"]) > 0
    said = statuses(out / "account.tsv")
    assert said["diversity", "taxa braycurtis"] == LEFT_OUT
    assert reasons(out / "account.tsv", "groups")
    assert reasons(out / "account.tsv", "people")


def test_without_a_group_people_are_followed(changed, tmp_path):
    edit_metadata(changed, group="")
    settings = dataclasses.replace(SETTINGS, reference_levels={}, reference_group=None)
    out = compare(inputs_of(changed), tmp_path / "out", settings)
    assert {row["term"] for row in read_table(out / "effects.tsv")}.isdisjoint({"group"})
    assert "group" in reasons(out / "account.tsv", "groups")
    assert any(row["change"] == "down" for row in read_table(out / "people.tsv"))


def test_without_a_timepoint_groups_are_compared_and_nobody_changes(changed, tmp_path):
    edit_metadata(changed, timepoint="")
    out = compare(inputs_of(changed), tmp_path / "out")
    assert any(row["term"] == "group" for row in read_table(out / "effects.tsv"))
    assert not {"up", "down"} & {row["change"] for row in read_table(out / "people.tsv")}
    assert "timepoint" in reasons(out / "account.tsv", "people")


def test_a_failed_sample_is_not_known_and_not_zero(changed, tmp_path):
    failed = "P09_d07"
    for name in ("families", "pathways", "products"):
        cells = dict.fromkeys(("copies_per_genome", "ci_low", "ci_high"), "NA")
        edit(
            changed / f"results/tables/{name}.tsv",
            functools.partial(_with_cells, sample=failed, cells=cells),
        )
    edit(
        changed / "results/tables/taxa.tsv",
        lambda row: None if row["sample"] == failed else row,
    )
    out = compare(inputs_of(changed), tmp_path / "out")
    own = [row for row in read_table(out / "people.tsv") if row["sample"] == failed]
    assert {row["value"] for row in own} <= {"NA"}
    own = [row for row in read_table(out / "alpha.tsv") if row["sample"] == failed]
    assert {row["value"] for row in own} <= {"NA"}


def _with_cells(row, sample, cells):
    return row | cells if row["sample"] == sample else row


def test_a_table_that_is_none_is_named(tmp_path):
    (tmp_path / "taxa.tsv").write_text("sample,taxon\ns,x\n", encoding="utf-8")
    with pytest.raises(CohortError, match=r"taxa\.tsv"):
        Inputs({"taxa": tmp_path / "taxa.tsv"}).load()


# Hostile names -----------------------------------------------------------------------------------

HOSTILE = (
    "<script>alert(1)</script>", '"quo"ted\'', "\u202eabc", "\U0001f600\u200d\U0001f467",
    "x" * 10_000, "../../x", "$x^2_{", "a|b;c,d=e",
)  # fmt: skip


def test_hostile_cells_go_through_as_they_are_and_name_no_file(changed, tmp_path):
    names = {}

    def rename(row):
        subject = names.setdefault(row["subject"], f"{HOSTILE[len(names) % 8]}{row['subject']}")
        group = {"antibiotics": HOSTILE[0], "control": HOSTILE[2], "fibre": HOSTILE[6]}
        event = HOSTILE[5] if row["event"] else ""
        return row | {"subject": subject, "group": group[row["group"]], "event": event}

    edit(changed / "results/tables/reads.tsv", rename)
    settings = dataclasses.replace(SETTINGS, reference_levels={}, reference_group=None)
    out = compare(inputs_of(changed), tmp_path / "out", settings)
    assert {row["subject"] for row in read_table(out / "people.tsv")} == set(names.values())
    terms = {row["level"]: row["reference"] for row in read_table(out / "effects.tsv")}
    # The drug's group is of two people, too few to compare.
    assert terms[HOSTILE[2]] == HOSTILE[6]
    assert {path.name for path in tmp_path.iterdir()} == {"study", "out"}


def test_samples_that_are_all_the_same_are_not_different(changed, tmp_path):
    for name in FEATURES:
        path = changed / f"results/tables/{name}.tsv"
        rows = read_table(path)
        first = [row for row in rows if row["sample"] == rows[0]["sample"]]
        samples = sorted({row["sample"] for row in rows})
        write_table(path, list(rows[0]), [r | {"sample": s} for s in samples for r in first])
    out = compare(inputs_of(changed), tmp_path / "out")
    changes = {row["change"] for row in read_table(out / "people.tsv")}
    assert not {"up", "down"} & changes
    effects = SimpleNamespace(rows=read_table(out / "effects.tsv"))
    assert not [r for r in effects.rows if r["q"] != "NA" and float(r["q"]) <= 0.05]
