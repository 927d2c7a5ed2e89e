"""The reference genomes of the embedded example, by the workflow and by the command."""

import os
import subprocess
import sys

import pytest
from snakemake_runs import ROOT, nothing_to_do, snakemake, write_config, write_project

from fermentome.tables import read_table

EXAMPLE = ROOT / "example/data"
TABLES = {
    "genomes": "results/genomes/genomes.tsv",
    "families": "results/genomes/families.tsv",
    "pathways": "results/genomes/pathways.tsv",
    "products": "results/genomes/products.tsv",
    "phenotypes": "results/databases/phenotypes.tsv",
}


@pytest.fixture(scope="module")
def made(tools, tmp_path_factory, workflow_copy):
    """Folder of a run of the target ``genomes``."""
    folder = write_project(tmp_path_factory.mktemp("genomes"))
    taxonomy = {"genomes": str(EXAMPLE / "genomes"), "lineages": str(EXAMPLE / "lineages.tsv")}
    reference = {"reference": str(EXAMPLE / "reference")}
    write_config(folder, {"taxonomy": taxonomy, "function": reference})
    snakemake(folder, "genomes", snakefile=workflow_copy)
    return folder


def run_command(out, *arguments):
    """Run ``fermentome genomes`` with the example's reference."""
    command = [sys.executable, "-m", "fermentome", "genomes", "--reference", EXAMPLE / "reference",
               "--out", out, *arguments]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_command_and_workflow_make_the_same_tables(made, tmp_path):
    lineages = EXAMPLE / "lineages.tsv"
    done = run_command(tmp_path, "--lineages", lineages, "--threads", "1", EXAMPLE / "genomes")
    assert done.returncode == 0, done.stderr
    for table, path in TABLES.items():
        assert (tmp_path / f"{table}.tsv").read_bytes() == (made / path).read_bytes(), table


def test_finished_tables_are_not_made_again(made, workflow_copy):
    assert nothing_to_do(made, "genomes", snakefile=workflow_copy)


def test_intermediate_files_are_gone(made):
    assert not list((made / "results").rglob("*.faa.gz"))
    assert not list((made / "results").rglob("*.hits.tsv.gz"))


def test_phenotypes_carry_the_lineage_of_every_genome(made):
    rows = read_table(made / TABLES["phenotypes"])
    given = {row["genome"] for row in read_table(EXAMPLE / "lineages.tsv")}
    assert {row["genome"] for row in rows} == {name.removesuffix(".fna.gz") for name in given}
    assert all(row["lineage"].startswith("d__") for row in rows)


def test_wrong_reference_is_an_error_without_a_traceback(tmp_path):
    done = run_command(tmp_path / "out", "--reference", tmp_path, EXAMPLE / "genomes")
    assert done.returncode == 1
    assert "manifest.yaml" in done.stderr or "proteins.faa.gz" in done.stderr
    assert "Traceback" not in done.stderr
