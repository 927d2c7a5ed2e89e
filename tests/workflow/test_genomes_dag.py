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


def test_every_genome_is_in_one_batch_of_at_most_twenty_five(tmp_path):
    batches = genomes_of_jobs(plan(project(tmp_path, 101), "genomes").text)
    assert sorted(map(len, batches)) == [1, 25, 25, 25, 25]
    names = sorted(name for batch in batches for name in batch)
    assert names == [f"genomes/g{number:03d}.fna.gz" for number in range(101)]


def test_tables_of_all_batches_are_joined(tmp_path):
    planned = plan(project(tmp_path, 26), "genomes")
    assert {rule: len(planned.of(rule)) for rule in BATCH_RULES} == dict.fromkeys(BATCH_RULES, 2)
    assert len(planned.of("join_genomes")) == 1
    assert len(planned.of("index_proteins")) == 1


def test_reads_are_not_needed_for_the_genomes(tmp_path):
    planned = plan(project(tmp_path, 1), "genomes")
    assert planned.rules == BATCH_RULES | {"check_proteins", "index_proteins", "join_genomes"}
