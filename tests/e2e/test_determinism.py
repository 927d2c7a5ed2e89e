"""The same reads give the same bytes, whatever the order, the cores and the lanes."""

import gzip
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import dnaio
import pytest
from snakemake_runs import (
    contents,
    nothing_to_do,
    read_sheet,
    snakemake,
    snakemake_command,
    write_sheet,
)

from fermentome.tables import read_table


@pytest.fixture
def project(demo, simulated, tmp_path):
    """The example in another folder, not yet run."""
    folder = tmp_path / "another folder"
    shutil.copytree(simulated, folder)
    (folder / "config/config.yaml").write_text(demo.config, encoding="utf-8")
    return folder


def differing(first, second):
    """Files that only one of two results holds, or that differ."""
    names = first.keys() | second.keys()
    return sorted(name for name in names if first.get(name) != second.get(name))


def test_one_core_and_shuffled_rows_give_the_same_bytes(demo, project):
    sheet = project / "config/samples.tsv"
    rows = read_sheet(sheet)
    shuffled = [rows[index] for index in (3, 1, 2, 0)]
    assert shuffled != sorted(shuffled, key=lambda row: (row["sample"], row["run"]))
    write_sheet(sheet, shuffled)
    snakemake(project, snakefile=demo.snakefile, cores=1)
    found, expected = contents(project / "results"), contents(demo.results)
    assert len(expected) > 50
    assert differing(found, expected) == []


def test_lanes_are_merged_as_if_they_were_one_file(demo, project):
    """Pairs: two lanes against one file. Single reads: one file against two lanes."""
    sheet = project / "config/samples.tsv"
    rows = {(row["sample"], row["run"]): row for row in read_sheet(sheet)}
    merged = rows["community_a", "L1"] | {"run": "whole"}
    for mate in ("reads1", "reads2"):
        # Two gzip files one behind the other are a gzip file.
        lanes = [project / rows["community_a", lane][mate] for lane in ("L1", "L2")]
        merged[mate] = f"reads/whole_{mate}.fastq.gz"
        (project / merged[mate]).write_bytes(b"".join(lane.read_bytes() for lane in lanes))
    single = rows["no_butyrate", "1"]
    lines = gzip.decompress((project / single["reads1"]).read_bytes()).splitlines(keepends=True)
    middle = len(lines) // 8 * 4
    halves = []
    for run, part in (("x", lines[:middle]), ("y", lines[middle:])):
        halves.append(single | {"run": run, "reads1": f"reads/half_{run}.fastq.gz"})
        (project / halves[-1]["reads1"]).write_bytes(gzip.compress(b"".join(part)))
    write_sheet(sheet, [merged, rows["community_b", "1"], *halves])

    snakemake(project, snakefile=demo.snakefile)
    found, expected = contents(project / "results"), contents(demo.results)
    # Reports of single runs are named after the runs; everything else is of the sample.
    of_runs = re.compile(r"(?:ingest|trim)/(?:community_a|no_butyrate)/")
    names = [name for name in differing(found, expected) if not of_runs.match(name)]
    assert names == []
    assert not any(of_runs.match(name) for name in found.keys() & expected.keys())


# Interruption ------------------------------------------------------------------------------------


def start(folder, snakefile):
    """A run in a process group of its own, as a shell would start it."""
    with (folder / "messages.txt").open("ab") as messages:
        return subprocess.Popen(
            snakemake_command("--rerun-incomplete", snakefile=snakefile),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            start_new_session=True,
        )


def wait_for(path, process):
    """Wait until a run has begun to write a file."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, "the run ended before it could be interrupted"
        assert time.monotonic() < deadline, f"{path} was not made"
        time.sleep(0.02)


def test_interrupted_and_killed_run_ends_as_if_nothing_had_happened(demo, project):
    for path, sign in (
        (Path("results/ingest/community_b/1.status"), signal.SIGINT),
        (Path("results/trim/community_a/L1.fastp.json"), signal.SIGKILL),
    ):
        process = start(project, demo.snakefile)
        wait_for(project / path, process)
        os.killpg(process.pid, sign)
        assert process.wait(timeout=120) != 0
        assert not (project / "results/outcome.txt").exists()
        # What a killed run leaves; `make demo` does the same.
        snakemake(project, "--unlock", snakefile=demo.snakefile)
    snakemake(project, "--rerun-incomplete", snakefile=demo.snakefile)
    assert differing(contents(project / "results"), contents(demo.results)) == []
    assert nothing_to_do(project, snakefile=demo.snakefile)


def test_order_of_reads_changes_no_table(demo, project):
    """Reversed reads: counts and calls stay; what sylph and DIAMOND see is a set of reads."""
    sheet = project / "config/samples.tsv"
    rows = [row for row in read_sheet(sheet) if row["sample"] == "no_butyrate"]
    path = project / rows[0]["reads1"]
    with dnaio.open(path) as records:
        reads = list(records)
    with dnaio.open(path, mode="w") as out:
        for read in reversed(reads):
            out.write(read)
    write_sheet(sheet, rows)
    snakemake(project, snakefile=demo.snakefile)
    for name in ("taxonomy/no_butyrate.tsv", "function/no_butyrate.families.tsv",
                 "pathways/no_butyrate.tsv", "products/no_butyrate.tsv"):  # fmt: skip
        found = read_table(project / "results" / name)
        assert found == read_table(demo.results / name), name
