"""The example cohort: its tables, and the report of what the analysis found of what was planted."""

import argparse
import importlib.util
import math
import re
import runpy
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from fermentome import command_cohort, command_cohort_run
from fermentome.cohort.data import Account
from fermentome.cohort.reading import load_cohort
from fermentome.tables import parse_number, read_table, write_table

ROOT = Path(__file__).resolve().parents[2]
SIMULATE = ROOT / "example/simulate_cohort.py"
REPORT = ROOT / "example/report_cohort.py"
TABLES = ("taxa", "families", "pathways", "products")
DRAWINGS = (
    "draw_alpha", "draw_ordination", "draw_effects", "plot_people", "plot_responses",
    "plot_timelines", "plot_percentiles", "draw_metabolites",
)  # fmt: skip


def simulate(folder):
    subprocess.run([sys.executable, SIMULATE, "--output", folder], check=True)
    return folder


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


simulation = load("simulate_cohort", SIMULATE)
report = load("report_cohort", REPORT)
demo = load("demo_of_setup", ROOT / "scripts/setup/demo.py")


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Folder as the simulation writes it; nobody writes into it."""
    return simulate(tmp_path_factory.mktemp("cohort") / "study")


@pytest.fixture(scope="module")
def cohort(study):
    tables = {name: study / f"results/tables/{name}.tsv" for name in TABLES}
    return load_cohort(tables, study / "results/tables/reads.tsv", Account("reading"))


@pytest.fixture(scope="module")
def analysed(study, tmp_path_factory):
    """The folder with the analysis, made by the commands of `make demo`; figures are not drawn."""
    folder = tmp_path_factory.mktemp("analysed") / "cohort"
    shutil.copytree(study, folder)
    parser = argparse.ArgumentParser()
    command_cohort.add_arguments(parser)
    commands = [c for c in demo.cohort_commands(folder) if Path(c[0]).name == "fermentome"]
    assert len(commands) == 2
    with pytest.MonkeyPatch.context() as patch:
        for name in DRAWINGS:
            patch.setattr(command_cohort_run, name, lambda *_, **__: None)
        for _, name, *words in commands:
            assert name == "cohort"
            assert command_cohort.run(parser.parse_args(words)) == 0
    return folder


# Tables ------------------------------------------------------------------------------------------


def test_simulation_writes_the_same_bytes_every_time(study, tmp_path):
    again = files_of(simulate(tmp_path / "again"))
    assert again == files_of(study)
    assert len(again) == 15


def test_files_name_no_folder_and_are_plain_ascii_tables(study):
    for name, data in files_of(study).items():
        text = data.decode("ascii")
        assert str(study) not in text
        assert str(ROOT) not in text
        if name.endswith(".tsv"):
            lines = text.split("\n")
            assert lines[-1] == ""
            assert len({line.count("\t") for line in lines[:-1]}) == 1, name
            assert not re.search(r'["\r\\]|^[=+@]', text, re.MULTILINE), name


def test_tables_load_as_a_cohort(cohort):
    assert len(cohort.metadata.samples) == 256
    people = defaultdict(set)
    columns = (cohort.metadata.column(name).values for name in ("group", "subject"))
    for group, subject in zip(*columns, strict=True):
        people[group].add(subject)
    assert {group: len(names) for group, names in people.items()} == simulation.GROUPS


def log_potential(study):
    """log2 of the butyrate potential in the tables, by person and day; replicates averaged."""
    values = defaultdict(list)
    for row in read_table(study / "results/tables/products.tsv"):
        if row["product"] == "butyrate" and parse_number(row["copies_per_genome"]) > 0:
            subject, day = row["sample"].split("_")[:2]
            values[subject, int(day[1:])].append(math.log2(parse_number(row["copies_per_genome"])))
    return {key: statistics.fmean(own) for key, own in values.items()}


@pytest.mark.parametrize(
    ("group", "days", "low", "high"),
    [("antibiotics", (14, 21), -3.0, -1.2), ("fibre", (14, 21, 28, 35), 0.1, 1.2),
     ("control", (14, 21), -0.4, 0.4)],
)  # fmt: skip
def test_tables_hold_the_planted_change(study, group, days, low, high):
    values = log_potential(study)
    groups = {r["subject"]: r["group"] for r in read_table(study / "truth/products.tsv")}
    changes = []
    for subject in (name for name, own in groups.items() if own == group):
        during = [values[subject, day] for day in days if (subject, day) in values]
        before = [values[subject, day] for day in (0, 7) if (subject, day) in values]
        if during and before:
            changes.append(statistics.fmean(during) - statistics.fmean(before))
    assert len(changes) >= 7
    assert low < statistics.fmean(changes) < high


def test_truth_holds_the_planted_effects_and_not_the_noise(study):
    """Between day 0 and 14 the run is the same, so nothing changes in a control."""
    truth = defaultdict(dict)
    for row in read_table(study / "truth/products.tsv"):
        if row["product"] == "butyrate":
            key = row["subject"], int(row["day"])
            truth[row["group"]][key] = parse_number(row["copies_per_genome"])
    for (subject, day), value in truth["control"].items():
        if day == 14:
            assert value == truth["control"][subject, 0]
    for group, sign in (("antibiotics", -1), ("fibre", 1)):
        steps = [v - truth[group][who, 0] for (who, day), v in truth[group].items() if day == 14]
        assert all(sign * step > 0 for step in steps)
        assert len(steps) == simulation.GROUPS[group]


def test_material_of_the_swapped_samples_is_exchanged(study):
    species = defaultdict(set)
    for row in read_table(study / "results/tables/taxa.tsv"):
        species[row["sample"]].add(row["taxon"])

    def alike(one, other):
        return len(species[one] & species[other]) / len(species[one] | species[other])

    first, second = simulation.SWAPPED
    assert (first, second) == ("P12_d49", "P25_d49")
    assert alike(first, "P25_d35") > alike(first, "P12_d35")
    assert alike(second, "P12_d35") > alike(second, "P25_d35")


# The report --------------------------------------------------------------------------------------


def test_report_finds_what_must_be_found(analysed):
    findings = report.findings_of(analysed)
    assert [f.fact for f in findings if f.must and not f.right] == []
    assert len({f.fact for f in findings}) == len(findings)


def run_report(monkeypatch, folder):
    monkeypatch.setattr(sys, "argv", [str(REPORT), str(folder)])
    runpy.run_path(str(REPORT), run_name="__main__")


def test_report_prints_and_writes_every_fact(analysed, monkeypatch, capsys):
    run_report(monkeypatch, analysed)
    printed = capsys.readouterr().out
    rows = read_table(analysed / "recovery.tsv")
    assert [row["fact"] for row in rows] == [f.fact for f in report.findings_of(analysed)]
    assert all(row["fact"] in printed and row["found"] in printed for row in rows)
    assert "MISSED" not in printed
    assert f"{analysed}/recovery.tsv" in printed


def invert_butyrate(row):
    if row["measure"] == "product:butyrate":
        for name in ("net_difference", "net_low", "net_high"):
            row[name] = str(-parse_number(row[name]))


def nobody_falls(row):
    row["called_down"] = "0"


def fibre_lowers(row):
    if row["event"] == "fibre":
        row["called_down"] = "1"


def no_carrier_falls(row):
    if row["measure"].startswith("carrier:"):
        row["net_q"] = "1"


def never_back(row):
    row |= {"returned": "0", "median_time": "NA"}


def one_more_swap(row):
    if row["sample"] == "P01_d00":
        row["verdict"] = "sample"


def no_swap(row):
    row |= {"verdict": "not_flagged", "partner": "NA"}


def no_batch(row):
    row["p"] = "0.5"


def butyrate_within_null(row):
    if row["metabolite"] == "butyrate":
        row["finding"] = "within_null"


def propionate_beyond_null(row):
    if row["metabolite"] == "propionate":
        row["finding"] = "beyond_null"


def controls_change(row):
    if row["change"] == "no":
        row["change"] = "up"


def age_does_all(row):
    row["q"] = "0.01"


def everybody_on_top(row):
    row["percentile"] = "97"


@pytest.mark.parametrize(
    ("table", "change", "fact"),
    [
        ("responses", invert_butyrate, "antibiotics: potential for butyrate"),
        ("responses", invert_butyrate, "fibre: potential for butyrate"),
        ("responses", invert_butyrate, "intervals of these changes"),
        ("responses", nobody_falls, "antibiotics: people whose butyrate is called down"),
        ("responses", fibre_lowers, "fibre: people whose butyrate is called up"),
        ("responses", no_carrier_falls, "antibiotics: genera"),
        ("recovery_summary", never_back, "antibiotics: days until"),
        ("swaps", one_more_swap, "samples exchanged"),
        ("swaps", no_swap, "samples exchanged"),
        ("permanova", no_batch, "second sequencing run: species differ"),
        ("metabolites", butyrate_within_null, "measured butyrate follows its potential between"),
        ("metabolites", propionate_beyond_null, "measured propionate follows nothing: named"),
        ("metabolites", propionate_beyond_null, "measured propionate follows nothing: all"),
        ("people", controls_change, "controls: changes called"),
        ("effects", age_does_all, "age, which does nothing"),
        ("percentiles", everybody_on_top, "percentiles at baseline, butyrate"),
    ],
)
def test_a_tampered_result_is_missed_and_fails(
    analysed, tmp_path, monkeypatch, capsys, table, change, fact
):
    folder = tmp_path / "cohort"
    shutil.copytree(analysed, folder, ignore=shutil.ignore_patterns("distances", "reference*"))
    path = folder / f"analysis/{table}.tsv"
    rows = read_table(path)
    for row in rows:
        change(row)
    write_table(path, list(rows[0]), rows)
    with pytest.raises(SystemExit, match=r"^\d+ planted facts were missed$"):
        run_report(monkeypatch, folder)
    printed = capsys.readouterr().out.splitlines()
    assert any(line.startswith(fact) and line.endswith("MISSED") for line in printed)


# `make demo` -------------------------------------------------------------------------------------


def test_demo_simulates_analyses_and_reports_in_its_own_folder():
    commands = demo.cohort_commands(Path("demo/cohort"))
    assert [Path(c[0]).name if c[1] == "cohort" else c[1] for c in commands] == [
        "example/simulate_cohort.py", "fermentome", "fermentome", "example/report_cohort.py",
    ]  # fmt: skip
    assert Path(commands[1][0]).parent == Path(sys.executable).parent
    written = [c[c.index("--out") + 1] for c in commands if "--out" in c]
    assert written == ["demo/cohort/made-up", "demo/cohort/analysis"]


def test_reference_and_study_of_the_demo_are_rarefied_alike():
    """Else the percentiles of richness would be refused."""
    _, reference, _, _ = demo.cohort_commands(Path("demo/cohort"))
    depth = reference[reference.index("--rarefaction-depth") + 1]
    assert f"rarefaction_depth: {depth}\n" in simulation.CONFIGURATION


def test_demo_ends_with_the_exit_code_of_a_failed_step(monkeypatch, tmp_path, capsys):
    failing = [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setattr(demo, "cohort_commands", lambda _: [failing, ["never-run"]])
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    (tmp_path / "demo/cohort").mkdir(parents=True)
    (tmp_path / "demo/cohort/old.tsv").touch()
    with pytest.raises(SystemExit) as ended:
        demo.run_cohort(Path("demo/cohort"))
    assert ended.value.code == 3
    assert "failed with exit code 3" in capsys.readouterr().err
    assert not (tmp_path / "demo/cohort/old.tsv").exists()
