"""Reference genomes are worked on in batches; nothing is run."""

import re

from snakemake_runs import plan, write_project

BATCH_RULES = {"call_genes", "search_genes", "score_genomes"}


def genomes_of_jobs(text):
    """Genomes of each job of call_genes, as a dry run shows them."""
    lines = re.findall(r"rule call_genes:\n    input: (.*)\n", text)
    return [[word for word in line.split(", ") if word.startswith("genomes/")] for line in lines]


def project(folder, count):
    write_project(folder)
    (folder / "genomes/g.fna").unlink()
    for number in range(count):
        (folder / f"genomes/g{number:03d}.fna.gz").touch()
    return folder


def test_every_genome_is_in_one_batch(tmp_path):
    batches = genomes_of_jobs(plan(project(tmp_path, 101), "genomes").text)
    assert len(batches) > 2
    names = sorted(name for batch in batches for name in batch)
    assert names == [f"genomes/g{number:03d}.fna.gz" for number in range(101)]


def test_one_genome_more_leaves_the_other_batches_as_they_are(tmp_path):
    folder = project(tmp_path, 101)
    before = plan(folder, "genomes")
    (folder / "genomes/g050b.fna.gz").touch()
    after = plan(folder, "genomes")
    changed = [
        batch for batch in genomes_of_jobs(after.text) if batch not in genomes_of_jobs(before.text)
    ]
    assert len(changed) == 1
    assert {job.batch for job in after.of("call_genes")} == {
        job.batch for job in before.of("call_genes")
    }


def test_size_of_batches_is_configured(tmp_path):
    taxonomy = {"genomes": "genomes", "lineages": "lineages.tsv", "genomes_per_batch": 1}
    folder = project(tmp_path, 5)
    write_project(folder, {"taxonomy": taxonomy})
    (folder / "genomes/g.fna").unlink()
    assert len(plan(folder, "genomes").of("call_genes")) == 5


def test_tables_of_all_batches_are_joined(tmp_path):
    planned = plan(project(tmp_path, 101), "genomes")
    batches = {job.batch for job in planned.of("call_genes")}
    assert len(batches) > 2
    for rule in BATCH_RULES:
        assert {job.batch for job in planned.of(rule)} == batches
    assert len(planned.of("join_genomes")) == 1
    assert len(planned.of("index_proteins")) == 1


def test_reads_are_not_needed_for_the_genomes(tmp_path):
    planned = plan(project(tmp_path, 1), "genomes")
    assert planned.rules == BATCH_RULES | {"check_proteins", "index_proteins", "join_genomes"}
