"""The embedded example with kraken2 in place of sylph: the same checks hold for both engines.

The database is built here from the example's genomes. Beside two samples of the example there are
some at the edge: of both layouts, of a few reads, empty, damaged.
"""

import argparse
import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path

import dnaio
import pytest
from snakemake_runs import (
    ROOT,
    read_sheet,
    snakemake,
    write_config,
    write_fastq,
    write_project,
    write_sheet,
)

from fermentome import command_build_kraken2
from fermentome.databases.manifest import read_manifest
from fermentome.flow import read_flow
from fermentome.kraken2 import Kraken2Rule, profile_with_kraken2
from fermentome.simulate import ReadModel, read_genome, simulate_run
from fermentome.tables import parse_number, read_table

EXAMPLE = ROOT / "example/data"
EXAMPLE_SAMPLES = ["community_b", "no_butyrate"]
DAMAGED, EMPTY, MIXED, SHALLOW = "damaged", "empty", "mixed", "shallow"
NUMBERS = ("relative_abundance", "sequence_abundance", "reads", "coverage")

if shutil.which("kraken2") is None:
    pytest.skip("kraken2 is not on PATH", allow_module_level=True)


@dataclass(frozen=True)
class Run:
    """A finished run and its engine."""

    engine: str
    folder: Path

    @property
    def results(self):
        return self.folder / "results"

    def taxa(self, sample):
        """Rows of a sample in the joined table, with numbers."""
        rows = [r for r in read_table(self.results / "tables/taxa.tsv") if r["sample"] == sample]
        return [row | {name: parse_number(row[name]) for name in NUMBERS} for row in rows]

    def clean_reads(self, sample):
        (row,) = [r for r in read_table(self.results / "tables/reads.tsv")
                  if r["sample"] == sample]  # fmt: skip
        return int(row["clean_reads"])

    def status(self, sample):
        (row,) = read_table(self.results / f"status/taxonomy/{sample}.tsv")
        return row


def build(folder, *options, genomes=EXAMPLE / "genomes"):
    """Build a database of genomes of the example as `fermentome db build kraken2` does."""
    parser = argparse.ArgumentParser()
    command_build_kraken2.add_arguments(parser)
    arguments = parser.parse_args(
        ["--genomes", str(genomes), "--lineages", str(EXAMPLE / "lineages.tsv"), *options]
    )  # fmt: skip
    folder.mkdir()
    command_build_kraken2.build(
        argparse.Namespace(**vars(arguments), name="k2", version="1"), folder
    )
    return folder


@pytest.fixture(scope="module")
def database(tools, demo, tmp_path_factory):
    """Kraken2 database with the phenotypes that the run with sylph made."""
    phenotypes = demo.results / "databases/phenotypes.tsv"
    return build(tmp_path_factory.mktemp("k2") / "db", "--phenotypes", str(phenotypes))


@pytest.fixture(scope="module")
def with_kraken2(demo, database, simulated, workflow_copy, tmp_path_factory):
    """The run with kraken2."""
    folder = tmp_path_factory.mktemp("kraken2") / "run"
    (folder / "config").mkdir(parents=True)
    shutil.copytree(simulated / "reads", folder / "reads")
    rows = [r for r in read_sheet(simulated / "config/samples.tsv")
            if r["sample"] in EXAMPLE_SAMPLES]  # fmt: skip
    genome = read_genome(EXAMPLE / "genomes/anaerococcus_mosaic.fna.gz", circular=True)
    reads = folder / "reads"
    for name, pairs in ((MIXED, 400), (SHALLOW, 30), (DAMAGED, 400)):
        mates = reads / f"{name}_1.fastq.gz", reads / f"{name}_2.fastq.gz"
        simulate_run([genome], {genome.name: 1.0}, ReadModel(), pairs, pairs, *mates)
        rows.append({"sample": name, "reads1": f"reads/{name}_1.fastq.gz",
                     "reads2": f"reads/{name}_2.fastq.gz"})  # fmt: skip
    with gzip.open(reads / f"{MIXED}_1.fastq.gz", "rt") as lines:
        sequences = [line.strip() for line in list(lines)[1::4]]
    # Other reads than those of the pairs: the same would be a lane that is given twice.
    write_fastq(reads / "alone.fastq.gz", [sequence[::-1] for sequence in sequences[:50]])
    write_fastq(reads / "more.fastq.gz", [sequence[:100] for sequence in sequences])
    for run, file in (("2", "alone"), ("3", "more")):
        rows.append({"sample": MIXED, "run": run, "reads1": f"reads/{file}.fastq.gz"})
    damaged = reads / f"{DAMAGED}_2.fastq.gz"
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    (reads / "empty.fastq.gz").write_bytes(gzip.compress(b"", mtime=0))
    rows.append({"sample": EMPTY, "reads1": "reads/empty.fastq.gz"})
    write_sheet(folder / "config/samples.tsv", rows)
    write_config(
        folder,
        {
            "host": {"reference": str(EXAMPLE / "host/host.fa.gz")},
            "taxonomy": {"classifier": "kraken2", "database": str(database)},
            "function": {"reference": str(EXAMPLE / "reference")},
        },
    )
    # What the tests look at; figures would take as long again.
    tables = [f"results/tables/{name}.tsv" for name in ("taxa", "pathways", "reads")]
    snakemake(folder, *tables, snakefile=workflow_copy)
    return Run("kraken2", folder)


@pytest.fixture(params=["sylph", "kraken2"])
def run(request, demo):
    """The example's run with either engine."""
    if request.param == "sylph":
        return Run("sylph", demo.folder)
    return request.getfixturevalue("with_kraken2")


# Both engines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", EXAMPLE_SAMPLES)
def test_species_are_those_that_were_put_in(run, demo, sample):
    true = {row["species"]: float(row["relative_abundance"])
            for row in read_table(demo.folder / "truth/taxa.tsv")
            if row["sample"] == sample}  # fmt: skip
    found = {row["taxon"]: row["relative_abundance"] for row in run.taxa(sample)}
    unclassified = found.pop("unclassified")
    assert found.keys() == true.keys()
    distance = sum(abs(found[name] - true[name]) for name in true) + unclassified
    assert distance / 2 < 0.05


@pytest.mark.parametrize("sample", EXAMPLE_SAMPLES)
def test_shares_add_up_to_one_and_reads_to_all_reads(run, sample):
    rows = run.taxa(sample)
    for share in ("relative_abundance", "sequence_abundance"):
        assert sum(row[share] for row in rows) == pytest.approx(1, abs=1e-4)
    assert sum(row["reads"] for row in rows) == run.clean_reads(sample)
    for row in rows:
        assert row["reads"] == pytest.approx(
            row["sequence_abundance"] * run.clean_reads(sample), abs=1.1
        )


@pytest.mark.parametrize("sample", EXAMPLE_SAMPLES)
def test_depth_is_bases_by_genome_size(run, sample):
    (reads,) = [row for row in read_table(run.results / "tables/reads.tsv")
                if row["sample"] == sample]  # fmt: skip
    for row in run.taxa(sample)[:-1]:
        bases = row["sequence_abundance"] * int(reads["clean_bases"])
        # The mosaics have 150,375 to 151,475 bases.
        assert row["coverage"] == pytest.approx(bases / 151_000, rel=0.15)


def test_columns_are_the_same_and_every_lineage_is_whole(run, demo):
    rows = read_table(run.results / "tables/taxa.tsv")
    assert list(rows[0]) == list(read_table(demo.results / "tables/taxa.tsv")[0])
    known = {row["lineage"].replace("_", " ") for row in read_table(EXAMPLE / "lineages.tsv")}
    lineages = {row["lineage"].replace("_", " ") for row in rows if row["taxon"] != "unclassified"}
    assert lineages - {""} <= known


@pytest.mark.parametrize("sample", EXAMPLE_SAMPLES)
def test_deep_sample_is_ok(run, sample):
    row = run.status(sample)
    assert (row["status"], row["reason"]) == ("ok", "")
    assert 0.99 < int(row["reads_out"]) / int(row["reads_in"]) <= 1


def test_organisms_carry_the_routes(run, demo):
    """Names of the profile are those of the phenotypes, or nothing would be known of any."""

    def organisms(folder):
        rows = read_table(folder / "results/tables/pathways.tsv")
        return {(r["sample"], r["pathway"]): parse_number(r["organism_copies"]) for r in rows
                if r["taxon"] == "community" and r["sample"] in EXAMPLE_SAMPLES}  # fmt: skip

    found, expected = organisms(run.folder), organisms(demo.folder)
    assert found.keys() == expected.keys()
    assert sum(copies > 0.05 for copies in expected.values()) > 5
    for key, copies in expected.items():
        assert found[key] == pytest.approx(copies, abs=0.05), key


# kraken2 -----------------------------------------------------------------------------------------


def test_engine_states_no_identity_and_names_its_database(with_kraken2):
    rows = read_table(with_kraken2.results / "tables/taxa.tsv")
    assert {row["ani"] for row in rows} == {"NA"}
    assert {row["database"] for row in rows} == {"k2@1"}


def test_pairs_and_single_reads_of_a_sample_are_counted_together(with_kraken2):
    rows = with_kraken2.taxa(MIXED)
    assert rows[0]["taxon"] == "Anaerococcus prevotii"
    assert sum(row["reads"] for row in rows) == with_kraken2.clean_reads(MIXED)
    # The 50 reversed reads, which are no DNA of any organism, and a few with errors.
    assert 40 <= rows[-1]["reads"] <= 60


def test_sample_of_few_reads_is_shallow(with_kraken2):
    row = with_kraken2.status(SHALLOW)
    assert row["status"] == "low_depth"
    assert "too few reads" in row["reason"]
    assert sum(r["relative_abundance"] for r in with_kraken2.taxa(SHALLOW)) == pytest.approx(1)


def test_empty_sample_has_no_row_and_damaged_one_is_not_available(with_kraken2):
    assert with_kraken2.taxa(EMPTY) == []
    assert with_kraken2.status(EMPTY)["status"] == "empty"
    (row,) = [r for r in read_table(with_kraken2.results / "tables/taxa.tsv")
              if r["sample"] == DAMAGED]  # fmt: skip
    assert {row[name] for name in NUMBERS} == {"NA"}
    assert with_kraken2.status(DAMAGED)["status"] == "failed"


def test_nothing_of_the_classification_is_kept(with_kraken2):
    assert list((with_kraken2.results / "kraken2").glob("*")) == []


def test_database_is_the_same_for_any_number_of_threads(database, tmp_path):
    other = build(tmp_path / "db", "--threads", "2")
    files = set(read_manifest(other).files)
    assert files == set(read_manifest(database).files) - {"phenotypes.tsv"}
    assert {"hash.k2d", "opts.k2d", "taxo.k2d", "genome_sizes.tsv", "inspect.txt"} <= files
    for name in files:
        assert (other / name).read_bytes() == (database / name).read_bytes(), name


def test_database_beyond_the_memory_is_refused_with_numbers(database, workflow_copy, tmp_path):
    big = tmp_path / "big"
    shutil.copytree(database, big)
    with (big / "hash.k2d").open("r+b") as handle:
        handle.truncate(4 * 10**12)
    write_project(tmp_path)
    write_fastq(tmp_path / "reads/s1_1.fq.gz", ["ACGT" * 25] * 9, mate=1)
    write_fastq(tmp_path / "reads/s1_2.fq.gz", ["TTGA" * 25] * 9, mate=2)
    write_config(
        tmp_path,
        {
            "taxonomy": {"classifier": "kraken2", "database": "big"},
            "function": {"reference": str(EXAMPLE / "reference")},
        },
    )
    target = "results/kraken2/s1.counts.tsv"
    done = snakemake(tmp_path, target, snakefile=workflow_copy, check=False)
    said = done.stdout + done.stderr
    assert done.returncode
    assert "classify_reads: hash.k2d of the kraken2 database has 4000.0 GB" in said
    assert "taxonomy.memory_mapping" in said
    assert "4000.0 GB" in (tmp_path / "logs/classify_reads/s1.log").read_text(encoding="utf-8")


def sequence_of(name):
    with dnaio.open(EXAMPLE / f"genomes/{name}.fna.gz") as records:
        (record,) = records
    return record.sequence


def test_contaminated_genome_is_not_taken_for_its_species(tools, workflow_copy, tmp_path):
    """5 kb of another genome in one of the database, and a sample of that other organism."""
    genomes = tmp_path / "genomes"
    genomes.mkdir()
    contaminated = sequence_of("anaerococcus_mosaic") + sequence_of("escherichia_mosaic")[:5000]
    (genomes / "anaerococcus_mosaic.fna").write_text(f">c\n{contaminated}\n")
    database = build(tmp_path / "db", genomes=genomes)
    write_project(tmp_path / "run")
    other = read_genome(EXAMPLE / "genomes/escherichia_mosaic.fna.gz", circular=True)
    mates = [tmp_path / f"run/reads/s1_{mate}.fq.gz" for mate in (1, 2)]
    simulate_run([other], {other.name: 1.0}, ReadModel(), 6000, 3, *mates)
    write_config(
        tmp_path / "run",
        {
            "taxonomy": {"classifier": "kraken2", "database": str(database)},
            "function": {"reference": str(EXAMPLE / "reference")},
        },
    )
    table = "results/taxonomy/s1.tsv"
    snakemake(tmp_path / "run", "--notemp", table, snakefile=workflow_copy)
    results = tmp_path / "run/results"
    assert [row["taxon"] for row in read_table(tmp_path / "run" / table)] == ["unclassified"]
    unguarded = profile_with_kraken2(
        read_flow(results / "reads/s1.json"),
        results / "kraken2/s1.counts.tsv",
        results / "kraken2/s1.minimizers.tsv",
        database / "taxo.k2d",
        [database / "inspect.txt", database / "genome_sizes.tsv"],
        Kraken2Rule(minimum_reads=10, minimum_evenness=0.0),
    )
    assert unguarded.species[0].taxon == "Anaerococcus prevotii"
    assert unguarded.species[0].sequence_abundance > 0.02
