"""What the databases did not serve: shares counted by hand, and limits."""

import json
import math
import re
from pathlib import Path

import pytest
from small_catalogue import make_catalogue, make_pathway, make_step

from fermentome.catalogue import CatalogueFiles
from fermentome.databases.registry import load_registry
from fermentome.errors import RunFailedError
from fermentome.evidence import FamilyEvidence, SampleEvidence
from fermentome.flow import SampleFlow, StageStatus, write_flow, write_statuses
from fermentome.joining import check_outcome, join_unserved
from fermentome.normalise import GenomeEquivalents, Library
from fermentome.quantify import no_lineage_share
from fermentome.tables import read_table, write_table
from fermentome.unserved import (
    UNSERVED_COLUMNS,
    Databases,
    Limits,
    ProfileRow,
    check_limits,
    database_status,
    exceeded,
    lacking_of_reference,
    lowest_share,
    measure_sample,
    name_databases,
    over_limits,
    phenotypes_known,
    placed_fragments,
    read_unserved,
    served_by_taxonomy,
)

ROOT = Path(__file__).parents[2]
SHIPPED = CatalogueFiles.in_folders(ROOT / "workflow/resources", ROOT / "workflow/schemas")
FAECALI, SEGATELLA, ROSEBURIA = "F. prausnitzii", "S. copri", "R. hominis"
PROFILE = [
    ProfileRow(FAECALI, 0.3, 0.25),
    ProfileRow(SEGATELLA, 0.2, 0.3),
    ProfileRow(ROSEBURIA, 0.1, 0.15),
    ProfileRow("unclassified", 0.4, 0.3),
]
LIMITS = Limits(0.5, 0.1, 0.75, 0.1, None)
OFF = Limits(None, None, None, None, None)
NAMES = Databases("toy@1", "proteins@2")


def unserved_row(**values):
    """A row that is within all limits, with some other cells."""
    row = {
        "sample": "a", "unclassified_share": 0.1, "no_phenotype_share": 0.0,
        "classified_share": 0.9, "species_total": 10, "species_missing_phenotype": 0,
        "species_open_phenotype": 0, "target_fragments": 200, "no_lineage_fragments": 40,
        "ambiguous_fragments": 0, "mean_clean_read_length": 150, "unserved_routes": "",
    }  # fmt: skip
    row |= values
    return {column: str(row.get(column, "NA")) for column in UNSERVED_COLUMNS}


def flow(sample="a", status="ok", clean=1000):
    return SampleFlow(sample, status, "", clean, clean, clean, clean // 2, 0, 150 * clean)


# Taxonomic database and phenotypes ---------------------------------------------------------------


def test_shares_of_a_profile_are_those_of_its_rows():
    served = served_by_taxonomy(PROFILE, {FAECALI: True, SEGATELLA: False})
    assert served.unclassified_share == pytest.approx(0.3)
    assert served.classified_share == pytest.approx(0.7)
    assert served.unclassified_cell_share == pytest.approx(0.4)
    assert served.species_total == 3
    # Roseburia has no row, Segatella only open ones.
    assert (served.species_missing_phenotype, served.species_open_phenotype) == (1, 1)
    assert served.missing_phenotype_cell_share == pytest.approx(0.1)
    assert served.missing_phenotype_read_share == pytest.approx(0.15)
    assert served.open_phenotype_cell_share == pytest.approx(0.2)
    assert served.open_phenotype_read_share == pytest.approx(0.3)
    assert served.no_phenotype_share == pytest.approx(0.1 + 0.2)


def test_without_profile_nothing_is_known_of_species():
    served = served_by_taxonomy(None, {FAECALI: True})
    assert math.isnan(served.unclassified_share)
    assert math.isnan(served.no_phenotype_share)


def test_without_phenotypes_their_lack_is_not_known_rather_than_total():
    served = served_by_taxonomy(PROFILE, None)
    assert served.unclassified_share == pytest.approx(0.3)
    assert math.isnan(served.no_phenotype_share)
    assert math.isnan(served.species_missing_phenotype)


def test_profile_without_a_species_is_all_unclassified():
    served = served_by_taxonomy([ProfileRow("unclassified", 1.0, 1.0)], {})
    assert (served.unclassified_share, served.classified_share) == (1, 0)
    assert (served.species_total, served.no_phenotype_share) == (0, 0)


def lineage(species):
    return f"d__Bacteria;p__;c__;o__;f__;g__;s__{species}"


def test_one_route_that_is_called_makes_a_phenotype_known():
    rows = [
        {"lineage": lineage("A"), "call": "indeterminate"},
        {"lineage": lineage("A"), "call": "absent"},
        {"lineage": lineage("B"), "call": "indeterminate"},
        {"lineage": lineage("B"), "call": "below_detection"},
        {"lineage": lineage("C"), "call": "present"},
        {"lineage": "", "call": "present"},
    ]
    assert phenotypes_known(rows, {"A", "B", "D"}) == {"A": True, "B": False}


# Fragments ---------------------------------------------------------------------------------------


def family_row(family, taxon, fragments):
    return {"family": family, "taxon": taxon, "fragments": str(fragments)}


def test_fragments_without_genus_are_counted_in_target_families_only():
    rows = [
        family_row("but", "community", 30),
        family_row("but", "Faecalibacterium", 20),
        family_row("but", "unassigned", 10),
        family_row("thl", "community", 10),
        family_row("thl", "unassigned", 6),
        family_row("decoy_x", "community", 500),
        family_row("decoy_x", "unassigned", 500),
        family_row("COG1", "unassigned", 70),
    ]
    ties = {
        frozenset({"but", "thl"}): 6,
        frozenset({"but", "COG1"}): 4,
        frozenset({"COG1", "COG2"}): 9,
    }
    placed = placed_fragments(rows, ties, {"but", "thl"})
    assert (placed.target_fragments, placed.no_lineage_fragments) == (40, 16)
    assert placed.no_lineage_share == pytest.approx(16 / 40)
    assert placed.ambiguous_fragments == 10
    assert placed.ambiguous_share == pytest.approx(10 / 50)


def test_share_of_no_fragment_is_not_zero():
    placed = placed_fragments([family_row("but", "community", 0)], {}, {"but"})
    assert placed.target_fragments == 0
    assert math.isnan(placed.no_lineage_share)
    assert math.isnan(placed.ambiguous_share)


def test_share_without_genus_of_a_route_is_that_of_its_markers():
    def rows(whole, unnamed):
        found = {"community": whole, "Roseburia": whole - unnamed}
        found |= {"unassigned": unnamed} if unnamed else {}
        return {
            taxon: FamilyEvidence(fragments, 3, 900.0, 0.1, 0.1, 0.1)
            for taxon, fragments in found.items()
        }

    evidence = SampleEvidence(
        {"but": rows(30, 10), "buk": rows(10, 0), "thl": rows(50, 50)},
        GenomeEquivalents(0.01, 100, 10_000, 5, 5, 0.1, 0.1, 1.0, 0.01),
        Library(1000, 0, 150, 100),
    )
    route = make_pathway("R", (make_step("last", ("but",)),), (("but",), ("buk", "ptb")))
    assert no_lineage_share(route, 40, evidence) == pytest.approx(10 / 40)
    assert math.isnan(no_lineage_share(route, 0, evidence))


def test_routes_without_a_complete_set_of_markers_are_named():
    step = make_step("last", ("but",))
    routes = [
        make_pathway("WHOLE", (step,), (("but",), ("ptb", "buk"))),
        make_pathway("HALF", (step,), (("ptb", "buk"),)),
        make_pathway("NONE", (step,), (("left",),)),
    ]
    lacking = lacking_of_reference(make_catalogue(routes), {"but", "buk", "COG0"})
    assert lacking.unserved_routes == ("HALF", "NONE")
    # Eight targets, of which two are held; one decoy.
    assert (lacking.empty_targets, lacking.empty_decoys) == (6, 1)


def test_bound_of_a_share_is_that_of_a_table():
    """Clopper-Pearson, one-sided 95 %: 0.05 ** (1 / n) where all n are; 0.606 for 9 of 10."""
    assert lowest_share(29, 29) == pytest.approx(0.05 ** (1 / 29))
    assert lowest_share(9, 10) == pytest.approx(0.6058, abs=1e-4)
    assert lowest_share(0, 10) == 0


# Limits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "below", "above"),
    [
        ("unclassified", {"unclassified_share": 0.5}, {"unclassified_share": 0.501}),
        ("no_phenotype", {"no_phenotype_share": 0.1}, {"no_phenotype_share": 0.11}),
        ("no_lineage", {"no_lineage_fragments": 150}, {"no_lineage_fragments": 170}),
        ("ambiguous", {"ambiguous_fragments": 22}, {"ambiguous_fragments": 40}),
    ],
)
def test_limit_is_exceeded_above_it_and_not_at_it(limit, below, above):
    assert over_limits(unserved_row(**below), LIMITS) == frozenset()
    assert over_limits(unserved_row(**above), LIMITS) == {limit}
    assert over_limits(unserved_row(**above), OFF) == frozenset()


def test_few_fragments_exceed_no_limit_by_chance():
    """Of five fragments that name no genus the share is 1, but at least 0.55 only."""
    few = unserved_row(target_fragments=5, no_lineage_fragments=5)
    many = unserved_row(target_fragments=29, no_lineage_fragments=29)
    assert over_limits(few, LIMITS) == frozenset()
    assert over_limits(many, LIMITS) == {"no_lineage"}


def test_reads_too_short_to_name_a_genus_are_no_fault_of_the_reference():
    row = {"no_lineage_fragments": 200}
    assert over_limits(unserved_row(**row, mean_clean_read_length=90), LIMITS) == {"no_lineage"}
    assert over_limits(unserved_row(**row, mean_clean_read_length=89.5), LIMITS) == frozenset()


def test_what_is_not_known_exceeds_no_limit():
    strict = Limits(0.0, 0.0, 0.0, 0.0, 0)
    row = dict.fromkeys(UNSERVED_COLUMNS, "NA") | {"sample": "a"}
    assert over_limits(row, strict) == frozenset()


def test_unserved_routes_have_a_limit_only_where_one_is_set():
    row = unserved_row(unserved_routes="SRB,BUT_LYS")
    assert over_limits(row, LIMITS) == frozenset()
    assert over_limits(row, Limits(None, None, None, None, 2)) == frozenset()
    assert over_limits(row, Limits(None, None, None, None, 1)) == {"unserved_routes"}


def test_reason_names_number_limit_database_and_mend():
    (reason,) = exceeded(unserved_row(unclassified_share=0.642), LIMITS, NAMES, shallow=False)
    assert reason == (
        "0.642 of the reads are unclassified with toy@1 (limits.unclassified: 0.5): use a database"
        " of this habitat, `fermentome db fetch uhgg` (human gut) or `fermentome db fetch gtdb`"
        " (any)."
    )
    row = unserved_row(no_lineage_fragments=170)
    (reason,) = exceeded(row, LIMITS, NAMES, shallow=False)
    assert "170 of 200 fragments" in reason
    assert "limits.no_lineage: 0.75" in reason
    assert "proteins@2" in reason
    assert "`fermentome db fetch scfa`" in reason
    row = unserved_row(
        no_phenotype_share=0.2, species_missing_phenotype=2, species_open_phenotype=1
    )
    (reason,) = exceeded(row, LIMITS, NAMES, shallow=False)
    assert "0.2 of the cells are of 3 species without phenotype, of 10 in all" in reason


def test_reason_says_that_depth_may_be_to_blame():
    row = unserved_row(unclassified_share=1.0)
    (reason,) = exceeded(row, LIMITS, NAMES, shallow=True)
    assert "sequence deeper first" in reason
    (reason,) = exceeded(row, LIMITS, NAMES, shallow=False)
    assert "deeper" not in reason


def test_databases_that_reasons_tell_to_fetch_are_known():
    row = unserved_row(
        unclassified_share=1, no_phenotype_share=1, no_lineage_fragments=200,
        ambiguous_fragments=200, unserved_routes="SRB",
    )  # fmt: skip
    reasons = exceeded(row, Limits(0.5, 0.1, 0.75, 0.1, 0), NAMES, shallow=False)
    assert len(reasons) == 5
    names = set(re.findall(r"`fermentome db fetch (\w+)`", " ".join(reasons)))
    assert names == {"uhgg", "gtdb", "scfa"}
    registry = load_registry()
    assert all(registry.find(name).name == name for name in names)


def test_databases_are_named_with_their_version():
    used = [
        {"key": "function.reference", "database": "scfa", "version": "2025_01"},
        {"key": "taxonomy.database", "database": "ready.syldb", "version": "NA"},
    ]
    assert name_databases(used) == Databases("ready.syldb", "scfa@2025_01")
    assert name_databases([]).taxonomy == "the genomes of taxonomy.genomes"


@pytest.mark.parametrize(("on_exceed", "expected"), [("mark", "underserved"), ("fail", "failed")])
def test_sample_above_a_limit_is_marked_or_fails(on_exceed, expected):
    limits = Limits(0.5, None, None, None, None, on_exceed)
    over, within = unserved_row(unclassified_share=0.6, classified_share=0.4), unserved_row()
    status = database_status(flow(), over, limits, NAMES, shallow=False)
    assert (status.status, status.stage) == (expected, "databases")
    assert (status.reads_in, status.reads_out) == (1000, 400)
    status = database_status(flow(), within, limits, NAMES, shallow=False)
    assert (status.status, status.reason, status.reads_out) == ("ok", "", 900)


def test_status_without_profile_does_not_say_that_no_read_was_classified():
    row = unserved_row(classified_share="NA", unclassified_share="NA")
    status = database_status(flow(), row, LIMITS, NAMES, shallow=False)
    assert (status.status, status.reads_out) == ("ok", None)


# Files -------------------------------------------------------------------------------------------


class Sample:
    """Files of a sample as earlier stages write them."""

    def __init__(self, folder, name="a", status="ok"):
        self.folder, self.name = folder, name
        self.flow = folder / f"{name}.json"
        write_flow(self.flow, flow(name, status, 0 if status == "empty" else 1000))
        self.write("taxa", ("taxon", "relative_abundance", "sequence_abundance"), [
            (row.taxon, row.cells, row.reads) for row in PROFILE
        ])  # fmt: skip
        self.write("phenotypes", ("genome", "lineage", "call"), [
            ("g1", lineage(FAECALI), "present"), ("g2", lineage(SEGATELLA), "indeterminate"),
        ])  # fmt: skip
        self.write("families", ("family", "taxon", "fragments"), [
            ("but", "community", 30), ("but", "Roseburia", 20), ("but", "unassigned", 10),
        ])  # fmt: skip
        self.write("ambiguous", ("families", "fragments"), [("but|4hbt", 3)])
        self.write("reference", ("family", "proteins"), [("but", 7), ("buk", 0)])
        depth = {"reads_with_hits": 50} if status == "ok" else {}
        (folder / f"{name}.depth.json").write_text(json.dumps(depth), encoding="utf-8")

    def path(self, kind):
        return self.folder / f"{self.name}.{kind}.tsv"

    def write(self, kind, columns, rows):
        write_table(self.path(kind), columns, (dict(zip(columns, r, strict=True)) for r in rows))

    def measure(self, profile=True):
        out = self.path("unserved")
        measure_sample(
            self.flow,
            self.path("taxa") if profile else None,
            self.path("phenotypes") if profile else None,
            self.path("families"), self.path("ambiguous"), self.folder / f"{self.name}.depth.json",
            self.path("reference"), SHIPPED, out,
        )  # fmt: skip
        return read_table(out)


def test_measured_sample_has_one_row(tmp_path):
    (row,) = Sample(tmp_path).measure()
    assert list(row) == list(UNSERVED_COLUMNS)
    assert (row["unclassified_share"], row["no_phenotype_share"]) == ("0.3", "0.3")
    assert (row["no_lineage_share"], row["ambiguous_share"]) == ("0.333333", "0.0909091")
    assert (row["hit_share"], row["mean_clean_read_length"]) == ("0.05", "150")
    assert "BUT_ACOA_BUT" not in row["unserved_routes"].split(",")
    assert "BUT_ACOA_BUK" in row["unserved_routes"].split(",")


def test_failed_sample_is_not_available_and_empty_one_has_no_row(tmp_path):
    (row,) = Sample(tmp_path, "f", "failed").measure()
    assert set(row.values()) == {"f", "NA"}
    empty = Sample(tmp_path, "e", "empty")
    assert empty.measure() == []
    assert set(read_unserved(empty.path("unserved")).values()) == {"NA"}


def test_sample_without_profile_has_no_number_for_species(tmp_path):
    (row,) = Sample(tmp_path).measure(profile=False)
    assert {row[column] for column in ("unclassified_share", "species_total")} == {"NA"}
    assert row["no_lineage_share"] == "0.333333"


def test_limits_mark_samples_and_the_run_succeeds(tmp_path):
    samples = [
        Sample(tmp_path, "b"),
        Sample(tmp_path, "e", "empty"),
        Sample(tmp_path, "f", "failed"),
    ]
    for sample in samples:
        sample.measure()
    tables = [sample.path("unserved") for sample in samples]
    join_unserved(tables, tmp_path / "u.tsv", tmp_path / "u.parquet")
    write_statuses(tmp_path / "t.tsv", [StageStatus("b", "taxonomy", "low_depth", "", 1, 1)])
    write_table(tmp_path / "used.tsv", ("key", "database", "version"), [])

    def ledger(limits):
        check_limits(
            tmp_path / "u.tsv", [sample.flow for sample in samples], [tmp_path / "t.tsv"],
            tmp_path / "used.tsv", limits, tmp_path / "s.tsv",
        )  # fmt: skip
        return {row["sample"]: row for row in read_table(tmp_path / "s.tsv")}

    rows = ledger(LIMITS)
    assert {name: row["status"] for name, row in rows.items()} == {
        "b": "underserved", "e": "empty", "f": "failed",
    }  # fmt: skip
    assert "limits.no_phenotype: 0.1" in rows["b"]["reason"]
    assert rows["f"]["reason"] == "stopped by an earlier stage"
    assert ledger(OFF)["b"]["status"] == "ok"


@pytest.mark.parametrize("on_exceed", ["mark", "fail"])
def test_only_a_run_that_is_told_to_fails_for_its_databases(tmp_path, on_exceed):
    limits = Limits(0.5, None, None, None, None, on_exceed)
    row = unserved_row(unclassified_share=0.9)
    write_statuses(tmp_path / "s.tsv", [database_status(flow(), row, limits, NAMES, False)])
    if on_exceed == "fail":
        with pytest.raises(RunFailedError, match=r"a: databases: 0\.9 of the reads are"):
            check_outcome(tmp_path / "s.tsv", tmp_path / "o.txt")
    else:
        check_outcome(tmp_path / "s.tsv", tmp_path / "o.txt")
        assert (tmp_path / "o.txt").read_text() == "1 samples; stages: 1 underserved\n"
