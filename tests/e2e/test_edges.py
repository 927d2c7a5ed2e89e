"""Samples at the edge: empty, shallow, all host, damaged, oddly named, in odd folders."""

import gzip
import json
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import biom
import dnaio
import numpy as np
import pyarrow.parquet
import pytest
from snakemake_runs import (
    ROOT,
    nothing_to_do,
    plan,
    read_sheet,
    snakemake,
    write_config,
    write_fastq,
    write_sheet,
)

from fermentome.simulate import Genome, ReadModel, read_genome, simulate_run
from fermentome.tables import read_table

EXAMPLE = ROOT / "example/data"
# Everything that a shell could take for its own, and letters of other alphabets.
ODD = 'it\'s "odd" $(touch x) `touch y`; & wörk 样本'
FAILED = {"truncated", "mispaired"}
EMPTY = {"nothing", "all_host"}
SHALLOW = {"ten_reads", "random"}
DEEP = {"001", "NA", "a.b-c", "a", "a.families", "no_scfa"}
SAMPLES = FAILED | EMPTY | SHALLOW | DEEP
STAGES = ["ingest", "trim", "host", "taxonomy", "function", "pathways", "databases"]
FRAGMENTS = 4_000


@dataclass(frozen=True)
class EdgeRun:
    """A run over all these samples, which ended with `code` and said `messages`."""

    folder: Path
    code: int
    messages: str

    def table(self, name):
        """Rows of a joined table."""
        return read_table(self.folder / f"results/tables/{name}.tsv")

    def wide(self, name):
        """Rows of a wide table; a name is a column."""
        return self.table(f"{name}.wide")

    def ledger(self, sample):
        """Rows of the ledger by stage."""
        rows = read_table(self.folder / "results/status.tsv")
        return {row["stage"]: row for row in rows if row["sample"] == sample}


def genome_without_scfa_genes():
    """The single-copy and filler genes of a mosaic, cut out of it."""
    name = "escherichia_mosaic"
    with dnaio.open(EXAMPLE / f"genomes/{name}.fna.gz") as records:
        (record,) = records
    kept = []
    for row in read_table(EXAMPLE / "truth/genes.tsv"):
        if row["genome"] == name and row["role"] in {"single_copy", "filler"}:
            kept.append(record.sequence[int(row["start"]) - 1 : int(row["end"])])
    assert len(kept) > 60
    codes = np.frombuffer("".join(kept).encode(), np.uint8)
    return Genome("kept", (np.searchsorted(np.frombuffer(b"ACGT", np.uint8), codes),), True)


def random_reads(count, seed=7):
    """Reads of no organism."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return ["".join(row) for row in rng.choice(list("ACGT"), size=(count, 150))]


def write_reads(reads):
    """Write the reads of all samples into a folder; returns the rows of the sheet."""
    reads.mkdir()
    model = ReadModel()
    anaerococcus = read_genome(EXAMPLE / "genomes/anaerococcus_mosaic.fna.gz", circular=True)
    host = read_genome(EXAMPLE / "host/host.fa.gz")

    def pair(name):
        return reads / f"{name} R1.fastq.gz", reads / f"{name} R2.fastq.gz"

    def community(name, seed, genome=anaerococcus, fragments=FRAGMENTS):
        simulate_run([genome], {genome.name: 1.0}, model, fragments, seed, *pair(name))

    for seed, name in enumerate(sorted(DEEP - {"no_scfa"}), start=1):
        community(name, seed)
    # Deeper: no route may hide below detection.
    community("no_scfa", 20, genome_without_scfa_genes(), 3 * FRAGMENTS)
    simulate_run(
        [anaerococcus], {anaerococcus.name: 1.0}, model, 1_000, 21, *pair("all_host"),
        host=host, host_share=1.0,
    )  # fmt: skip
    simulate_run([anaerococcus], {anaerococcus.name: 1.0}, model, 5, 22, *pair("ten_reads"))
    write_fastq(reads / "random.fastq.gz", random_reads(2_000))
    (reads / "nothing.fastq.gz").write_bytes(gzip.compress(b"", mtime=0))

    community("truncated", 23)
    path = pair("truncated")[1]
    path.write_bytes(path.read_bytes()[:-5_000])
    community("mispaired", 24)
    path = pair("mispaired")[1]
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    # The second mate of pair 100 is missing, so the mates after it are out of step.
    path.write_bytes(gzip.compress(b"".join(lines[: 4 * 99] + lines[4 * 100 :])))

    rows = []
    for name in sorted(SAMPLES):
        single = reads / f"{name}.fastq.gz"
        files = [single] if single.exists() else list(pair(name))
        columns = zip(("reads1", "reads2"), files, strict=False)
        rows.append({"sample": name} | {column: str(file) for column, file in columns})
    return rows


@pytest.fixture(scope="module")
def edges(tools, tmp_path_factory, workflow_copy):
    """All samples, run once, everything in folders with odd names."""
    folder = tmp_path_factory.mktemp("edges") / ODD
    folder.mkdir()
    shutil.copytree(EXAMPLE, folder / f"data {ODD}")
    rows = write_reads(folder / f"reads {ODD}")
    # Some paths absolute, some relative.
    for row in rows[::2]:
        for column in ("reads1", "reads2"):
            if column in row:
                row[column] = str(Path(row[column]).relative_to(folder))
    write_sheet(folder / "config/samples.tsv", rows)
    data = f"data {ODD}"
    write_config(
        folder,
        {
            "host": {"reference": f"{data}/host/host.fa.gz"},
            "taxonomy": {"genomes": f"{data}/genomes", "lineages": f"{data}/lineages.tsv"},
            "function": {"reference": f"{data}/reference"},
        },
    )
    done = snakemake(folder, snakefile=workflow_copy, check=False)
    return EdgeRun(folder, done.returncode, done.stdout + done.stderr)


# The run as a whole ------------------------------------------------------------------------------


def test_damaged_samples_make_the_exit_code_say_so(edges):
    assert edges.code == 1
    assert not (edges.folder / "results/outcome.txt").exists()


def test_nothing_but_the_verdict_fails(edges):
    failed = [line for line in edges.messages.splitlines() if line.startswith("Error in rule")]
    assert failed == ["Error in rule check_outcome:"]


def test_outcome_names_the_failed_samples_and_their_causes(edges):
    log = (edges.folder / "logs/check_outcome.log").read_text(encoding="utf-8")
    assert f"2 of {len(SAMPLES)} samples failed" in log
    assert "  truncated: ingest: " in log
    assert "  mispaired: ingest: " in log


def test_outcome_is_told_to_the_user_too(edges):
    """A user looks at the terminal first."""
    assert "truncated: ingest: " in edges.messages
    assert "mispaired: ingest: " in edges.messages


def test_every_table_and_figure_is_made_all_the_same(edges):
    results = edges.folder / "results"
    for name in ("taxa", "families", "pathways", "products", "reads"):
        assert (results / f"tables/{name}.tsv").stat().st_size
        assert (results / f"tables/{name}.parquet").stat().st_size
    for name in ("taxa", "pathways", "carriers", "reads"):
        assert (results / f"figures/{name}.png").stat().st_size > 5_000
        ElementTree.parse(results / f"figures/{name}.svg")


def test_odd_names_of_folders_ran_no_command(edges):
    assert [path for path in edges.folder.parent.rglob("*") if path.name in {"x", "y"}] == []


# The ledger --------------------------------------------------------------------------------------


def test_ledger_has_every_sample_and_stage(edges):
    rows = read_table(edges.folder / "results/status.tsv")
    assert [(row["sample"], row["stage"]) for row in rows] == [
        (sample, stage) for sample in sorted(SAMPLES) for stage in STAGES
    ]


def test_damage_is_named_with_file_and_record(edges):
    truncated = edges.ledger("truncated")["ingest"]
    assert truncated["status"] == "failed"
    assert "truncated R2.fastq.gz" in truncated["reason"]
    mispaired = edges.ledger("mispaired")["ingest"]
    assert mispaired["status"] == "failed"
    assert "mispaired R2.fastq.gz" in mispaired["reason"]
    assert "record 100" in mispaired["reason"]


@pytest.mark.parametrize("sample", sorted(FAILED))
def test_stages_after_a_failure_are_failed_without_counts(edges, sample):
    for stage, row in edges.ledger(sample).items():
        assert (row["status"], row["reads_out"]) == ("failed", "NA"), stage
        assert row["reason"], stage


@pytest.mark.parametrize("sample", sorted(EMPTY))
def test_empty_sample_is_empty_at_every_stage_from_the_first_without_reads(edges, sample):
    ledger = edges.ledger(sample)
    first = {"nothing": "ingest", "all_host": "host"}[sample]
    for stage in STAGES:
        expected = "ok" if STAGES.index(stage) < STAGES.index(first) else "empty"
        assert ledger[stage]["status"] == expected, stage


def test_sample_of_host_reads_says_how_many_were_removed(edges):
    row = edges.ledger("all_host")["host"]
    assert int(row["reads_in"]) > 1_500
    assert row["reads_out"] == "0"
    assert "no read is left" in row["reason"]


@pytest.mark.parametrize("sample", sorted(SHALLOW))
def test_shallow_sample_is_marked_as_shallow_not_as_empty(edges, sample):
    ledger = edges.ledger(sample)
    assert ledger["ingest"]["status"] == "ok"
    assert ledger["function"]["status"] == ledger["pathways"]["status"] == "low_depth"
    assert "too few" in ledger["function"]["reason"]


@pytest.mark.parametrize("sample", sorted(DEEP))
def test_sound_sample_goes_through(edges, sample):
    ledger = edges.ledger(sample)
    for stage in ("ingest", "trim", "host"):
        assert (ledger[stage]["status"], ledger[stage]["reason"]) == ("ok", ""), stage
    assert {row["status"] for row in ledger.values()} <= {"ok", "low_depth"}


def test_sample_without_scfa_genes_says_so(edges):
    row = edges.ledger("no_scfa")["pathways"]
    assert row["status"] == "ok"
    assert row["reason"] == "no pathway of the catalogue is present"


# Tables: zero, empty and failed are three different things ---------------------------------------


@pytest.mark.parametrize("name", ["taxa", "families", "pathways", "products"])
def test_empty_samples_have_no_row_and_an_empty_cell(edges, name):
    assert {row["sample"] for row in edges.table(name)} == SAMPLES - EMPTY
    for row in edges.wide(name):
        assert {row[sample] for sample in EMPTY} == {""}


@pytest.mark.parametrize("name", ["taxa", "families", "pathways", "products"])
def test_failed_samples_are_not_available(edges, name):
    value = "relative_abundance" if name == "taxa" else "copies_per_genome"
    rows = [row for row in edges.table(name) if row["sample"] in FAILED]
    assert {row["sample"] for row in rows} == FAILED
    assert {row[value] for row in rows} == {"NA"}
    for row in edges.wide(name):
        assert {row[sample] for sample in FAILED} == {"NA"}


def test_failed_and_empty_samples_in_the_table_of_reads(edges):
    rows = {row["sample"]: row for row in edges.table("reads")}
    assert rows.keys() == SAMPLES
    for sample in FAILED:
        assert (rows[sample]["status"], rows[sample]["clean_reads"]) == ("failed", "NA")
    for sample in EMPTY:
        assert (rows[sample]["status"], rows[sample]["clean_reads"]) == ("empty", "0")
    assert rows["nothing"]["raw_reads"] == "0"
    assert rows["all_host"]["raw_reads"] == "2000"
    assert rows["ten_reads"]["raw_reads"] == "10"


def test_absent_route_is_zero_in_a_deep_sample(edges):
    rows = {
        row["pathway"]: row
        for row in edges.table("pathways")
        if row["sample"] == "no_scfa" and row["taxon"] == "community"
    }
    row = rows["BUT_ACOA_BUT"]
    assert (row["call"], row["copies_per_genome"], row["ci_low"]) == ("absent", "0", "0")
    assert "present" not in {row["call"] for row in rows.values()}


@pytest.mark.parametrize("sample", sorted(SHALLOW))
def test_nothing_is_called_present_or_absent_in_a_shallow_sample(edges, sample):
    rows = [row for row in edges.table("pathways") if row["sample"] == sample]
    unserved = [row for row in rows if row["reason"].startswith("the reference holds no")]
    assert {row["call"] for row in unserved} == {"indeterminate"}
    assert {row["call"] for row in rows if row not in unserved} == {"below_detection"}
    assert {row["copies_per_genome"] for row in rows} == {"NA"}


def test_butyrate_route_is_found_under_every_name(edges):
    calls = {
        row["sample"]: row["call"]
        for row in edges.table("pathways")
        if row["pathway"] == "BUT_ACOA_BUT" and row["taxon"] == "community"
    }
    assert {calls[sample] for sample in DEEP - {"no_scfa"}} == {"present"}


def test_names_stay_text_in_every_format(edges):
    parquet = pyarrow.parquet.read_table(edges.folder / "results/tables/pathways.parquet")
    assert set(parquet["sample"].to_pylist()) == SAMPLES - EMPTY
    table = biom.load_table(str(edges.folder / "results/tables/families.biom"))
    assert set(table.ids()) >= DEEP
    assert set(table.ids()).isdisjoint(EMPTY | FAILED)
    columns = list(edges.wide("pathways")[0])
    assert columns == ["pathway", *sorted(SAMPLES)]


def test_sample_whose_name_ends_like_a_file_keeps_its_own_values(edges):
    """`a` and `a.families`: their files lie side by side and must not be mixed up."""
    for sample in ("a", "a.families"):
        rows = read_table(edges.folder / f"results/function/{sample}.families.tsv")
        assert {row["sample"] for row in rows} == {sample}
    raw = {sample: read_table(edges.folder / f"results/pathways/{sample}.tsv")
           for sample in ("a", "a.families")}  # fmt: skip
    values = {s: [row["copies_per_genome"] for row in rows] for s, rows in raw.items()}
    assert values["a"] != values["a.families"]


def test_taxa_and_unclassified_add_up_to_one_in_every_sample_with_reads(edges):
    for sample in DEEP | SHALLOW:
        shares = [float(row["relative_abundance"]) for row in edges.table("taxa")
                  if row["sample"] == sample]  # fmt: skip
        assert sum(shares) == pytest.approx(1, abs=1e-4), sample


def test_reads_of_no_organism_are_unclassified(edges):
    rows = [row for row in edges.table("taxa") if row["sample"] == "random"]
    assert [(row["taxon"], row["relative_abundance"]) for row in rows] == [("unclassified", "1")]


def test_report_of_every_run_can_be_read(edges):
    for path in edges.folder.glob("results/trim/*/*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    for path in edges.folder.glob("results/ingest/*/*.json"):
        report = json.loads(path.read_text(encoding="utf-8"))
        # Base names only: no folder of the user's.
        assert all("/" not in file["path_name"] for file in report["files"])


# Mending the sheet; last in the file, since the run is changed -----------------------------------


def test_run_ends_well_once_the_damaged_samples_are_taken_out(edges, workflow_copy):
    sheet = edges.folder / "config/samples.tsv"
    write_sheet(sheet, [row for row in read_sheet(sheet) if row["sample"] not in FAILED])
    planned = plan(edges.folder, snakefile=workflow_copy)
    assert planned.samples == set()
    snakemake(edges.folder, snakefile=workflow_copy)
    outcome = (edges.folder / "results/outcome.txt").read_text(encoding="utf-8")
    assert outcome.startswith(f"{len(SAMPLES - FAILED)} samples; stages: ")
    assert " empty" in outcome
    assert "failed" not in outcome
    assert {row["sample"] for row in edges.table("reads")} == SAMPLES - FAILED
    assert nothing_to_do(edges.folder, snakefile=workflow_copy)
