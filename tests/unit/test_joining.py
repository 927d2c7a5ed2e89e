import json

import biom
import pyarrow.parquet
import pytest

from fermentome.errors import RunFailedError
from fermentome.flow import SampleFlow, StageStatus, write_flow, write_statuses
from fermentome.joining import (
    PATHWAYS,
    TAXA,
    check_outcome,
    collect_status,
    join_feature,
    join_reads,
    widen,
)
from fermentome.tables import read_table, write_table


def pathway(sample, name, value, taxon="community"):
    return {"sample": sample, "pathway": name, "taxon": taxon, "copies_per_genome": value}


ROWS = [
    pathway("a", "P1", "0.5"),
    pathway("a", "P1", "0.2", "Genus"),
    pathway("a", "P2", "0"),
    pathway("f", "P1", "NA"),
    pathway("f", "P2", "NA"),
]


def test_wide_table_tells_zero_empty_and_failed_apart():
    wide = widen(ROWS, PATHWAYS, ["a", "e", "f"])
    assert wide == [
        {"pathway": "P1", "a": "0.5", "e": "", "f": "NA"},
        {"pathway": "P2", "a": "0", "e": "", "f": "NA"},
    ]


def test_species_that_a_sample_lacks_is_zero_there():
    rows = [
        {"sample": "a", "taxon": "One", "relative_abundance": "1"},
        {"sample": "b", "taxon": "Two", "relative_abundance": "1"},
        {"sample": "f", "taxon": "unclassified", "relative_abundance": "NA"},
    ]
    wide = {row["taxon"]: row for row in widen(rows, TAXA, ["a", "b", "f"])}
    assert wide["One"] == {"taxon": "One", "a": "1", "b": "0", "f": "NA"}


@pytest.fixture
def joined(tmp_path):
    columns = ["sample", "pathway", "taxon", "copies_per_genome"]
    tables = []
    for sample in "aef":
        path = tmp_path / f"{sample}.tsv"
        write_table(path, columns, [row for row in ROWS if row["sample"] == sample])
        tables.append(path)
    outputs = {kind: tmp_path / f"out.{kind}" for kind in ("long", "wide", "parquet", "biom")}
    join_feature("pathways", ["a", "e", "f"], tables, outputs)
    return outputs


def test_long_table_holds_all_rows(joined):
    assert read_table(joined["long"]) == ROWS


def test_parquet_has_numbers_and_nulls(joined):
    table = pyarrow.parquet.read_table(joined["parquet"]).to_pydict()
    assert table["copies_per_genome"] == [0.5, 0.2, 0.0, None, None]
    assert table["sample"] == ["a", "a", "a", "f", "f"]


def test_biom_loads_and_leaves_out_samples_without_numbers(joined):
    table = biom.load_table(str(joined["biom"]))
    assert list(table.ids()) == ["a"]
    assert table.get_value_by_ids("P1", "a") == 0.5


def test_biom_leaves_out_a_feature_that_no_sample_can_show(tmp_path):
    columns = ["sample", "pathway", "taxon", "copies_per_genome"]
    tables = []
    for sample in "ab":
        rows = [pathway(sample, "P1", "0.5"), pathway(sample, "P2", "NA")]
        write_table(tmp_path / f"{sample}.tsv", columns, rows)
        tables.append(tmp_path / f"{sample}.tsv")
    outputs = {kind: tmp_path / f"out.{kind}" for kind in ("long", "wide", "parquet", "biom")}
    join_feature("pathways", ["a", "b"], tables, outputs)
    table = biom.load_table(str(outputs["biom"]))
    assert (list(table.ids()), list(table.ids("observation"))) == (["a", "b"], ["P1"])


def test_one_species_name_in_two_lineages_is_added_up():
    rows = [
        {"sample": "a", "taxon": "uncultured", "relative_abundance": "0.5"},
        {"sample": "a", "taxon": "uncultured", "relative_abundance": "0.3"},
    ]
    assert widen(rows, TAXA, ["a"]) == [{"taxon": "uncultured", "a": "0.8"}]


def test_biom_of_no_feature_at_all_loads(tmp_path):
    path = tmp_path / "a.tsv"
    write_table(path, ["sample", "pathway", "taxon", "copies_per_genome"], [])
    outputs = {kind: tmp_path / f"out.{kind}" for kind in ("long", "wide", "parquet", "biom")}
    join_feature("pathways", ["a"], [path], outputs)
    assert outputs["wide"].read_text() == "pathway\ta\n"
    assert outputs["biom"].is_file()


def test_same_tables_give_the_same_bytes(joined, tmp_path):
    before = {kind: path.read_bytes() for kind, path in joined.items()}
    tables = [tmp_path / f"{sample}.tsv" for sample in "aef"]
    join_feature("pathways", ["a", "e", "f"], tables, joined)
    assert {kind: path.read_bytes() for kind, path in joined.items()} == before


def test_reads_carry_the_metadata_of_the_sheet(tmp_path):
    write_flow(tmp_path / "f.json", SampleFlow("001", "ok", "", 10, 8, 6, 3, 0, 600))
    attributes = {"001": {"subject": "NA", "age": "40", "coverage": "much"}}
    join_reads([tmp_path / "f.json"], attributes, tmp_path / "t.tsv", tmp_path / "t.parquet")
    (row,) = read_table(tmp_path / "t.tsv")
    assert (row["sample"], row["subject"], row["age"], row["host_reads"]) == (
        "001",
        "NA",
        "40",
        "2",
    )
    assert row["mean_clean_read_length"] == "100"


def status(sample, stage, word, reason=""):
    return StageStatus(sample, stage, word, reason, None, None)


def test_samples_that_share_a_file_are_named_in_the_ledger(tmp_path):
    for sample, digest in (("a", "11"), ("b", "11"), ("c", "22")):
        write_statuses(tmp_path / f"{sample}.tsv", [status(sample, "ingest", "ok")])
        report = {"sample": sample, "reads": 8, "files": [{"sha256": digest}]}
        (tmp_path / f"{sample}.json").write_text(json.dumps(report))
    collect_status(
        [tmp_path / f"{sample}.tsv" for sample in "abc"],
        [tmp_path / f"{sample}.json" for sample in "abc"],
        tmp_path / "s.tsv",
    )
    reasons = [row["reason"] for row in read_table(tmp_path / "s.tsv")]
    assert reasons == ["same reads as sample b", "same reads as sample a", ""]


def test_failed_sample_ends_the_run_with_its_first_cause(tmp_path):
    write_statuses(
        tmp_path / "s.tsv",
        [
            status("a", "ingest", "ok"),
            status("b", "ingest", "failed", "record 3 is cut off"),
            status("b", "trim", "failed", "stopped by an earlier stage"),
        ],
    )
    with pytest.raises(RunFailedError, match=r"1 of 2 samples failed[\s\S]*b: ingest: record 3"):
        check_outcome(tmp_path / "s.tsv", tmp_path / "o.txt")
    assert not (tmp_path / "o.txt").exists()


def test_empty_and_shallow_samples_are_no_failure(tmp_path):
    write_statuses(
        tmp_path / "s.tsv", [status("a", "ingest", "empty"), status("b", "ingest", "ok")]
    )
    check_outcome(tmp_path / "s.tsv", tmp_path / "o.txt")
    assert (tmp_path / "o.txt").read_text() == "2 samples; stages: 1 empty, 1 ok\n"
