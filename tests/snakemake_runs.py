"""Run Snakemake in a folder and read its plan: what the tests of the workflow share."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("fastp", "diamond", "minimap2", "samtools")
SHEET_COLUMNS = ("sample", "run", "reads1", "reads2", "subject", "timepoint", "group")

# "rule NAME:" or "localrule NAME:", then its indented lines.
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """One job of a plan."""

    rule: str
    sample: str = ""
    run: str = ""
    feature: str = ""
    batch: str = ""


@dataclass(frozen=True)
class Plan:
    """What a dry run would do, without the target rules."""

    jobs: tuple[Job, ...]
    text: str

    @property
    def rules(self):
        """Names of the rules that have a job."""
        return {job.rule for job in self.jobs}

    def of(self, rule):
        """Jobs of one rule."""
        return [job for job in self.jobs if job.rule == rule]

    @property
    def samples(self):
        """Samples that a job works on alone."""
        return {job.sample for job in self.jobs if job.sample}


def snakemake_command(*arguments: str, snakefile: Path, cores: int = 2) -> list[str]:
    """Command line; the Python of the tests runs the workflow too."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)]
    return [*command, "--cores", str(cores), *arguments]


def snakemake(
    folder: Path,
    *arguments: str,
    snakefile: Path = ROOT / "Snakefile",
    cores: int = 2,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in `folder`; its messages are in the assertion if it fails."""
    done = subprocess.run(
        snakemake_command(*arguments, snakefile=snakefile, cores=cores),
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done


def plan(folder: Path, *arguments: str, **options: Any) -> Plan:
    """Jobs that a run in `folder` would have."""
    done = snakemake(folder, "--dry-run", *arguments, **options)
    text = done.stdout + done.stderr
    jobs = []
    for rule, lines in JOB.findall(text):
        wildcards = re.search(r"^    wildcards: (.*)$", lines, re.MULTILINE)
        values = dict(re.findall(r"(\w+)=([^,\s]+)", wildcards[1])) if wildcards else {}
        if rule not in {"all", "default", "genomes"}:
            jobs.append(Job(rule, **values))
    assert jobs or "Nothing to be done" in text, text[-3000:]
    return Plan(tuple(jobs), text)


def nothing_to_do(folder: Path, *arguments: str, **options: Any) -> bool:
    """Whether everything is made."""
    return not plan(folder, *arguments, **options).jobs


def write_sheet(
    path: Path, rows: Iterable[Mapping[str, str]], metadata: Sequence[str] = ()
) -> None:
    """Write a sample sheet; cells that a row leaves out are empty."""
    columns = [*SHEET_COLUMNS, *metadata]
    lines = ["\t".join(columns)]
    lines += ["\t".join(row.get(column, "") for column in columns) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_sheet(path: Path) -> list[dict[str, str]]:
    """Rows of a sample sheet."""
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def write_config(folder: Path, config: Mapping[str, Any]) -> Path:
    """Write config/config.yaml below a folder (JSON is YAML)."""
    path = folder / "config/config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def copy_workflow(folder: Path) -> Path:
    """Copy what a run needs of the repository; returns the Snakefile."""
    ignore = shutil.ignore_patterns("__pycache__", "build_example.py")
    for name in ("workflow", "scripts", "envs", "config", "example"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy2(ROOT / "Snakefile", folder / "Snakefile")
    return folder / "Snakefile"


def copy_run(source: Path, target: Path) -> Path:
    """Copy the folder of a finished run with times and Snakemake's records."""
    shutil.copytree(source, target, symlinks=True)
    return target


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file below a folder by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_fastq(path: Path, sequences: Iterable[str], mate: int = 1, first: int = 1) -> Path:
    """Write reads of best quality; gzip by the name's ending."""
    text = "".join(
        f"@read{number} {mate}:N:0:A\n{sequence}\n+\n{'I' * len(sequence)}\n"
        for number, sequence in enumerate(sequences, start=first)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def write_project(
    folder: Path, config: Mapping[str, Any] | None = None, rows: Sequence[Mapping[str, str]] = ()
) -> Path:
    """Write a project that can be planned, not run: a sheet, its reads, and the references.

    The read files of `rows` are made where they are missing. Without rows there is one sample
    with pairs. `config` replaces whole sections of a configuration with host and taxonomy.
    """
    rows = rows or [{"sample": "s1", "reads1": "reads/s1_1.fq.gz", "reads2": "reads/s1_2.fq.gz"}]
    (folder / "reads").mkdir(parents=True, exist_ok=True)
    for row in rows:
        for column in ("reads1", "reads2"):
            if row.get(column):
                (folder / row[column]).touch()
    for name in ("proteins/manifest.yaml", "proteins/proteins.faa.gz", "proteins/proteins.tsv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "genomes").mkdir(exist_ok=True)
    for name in ("genomes/g.fna", "host.fa", "host.mmi", "ready.syldb", "lineages.tsv"):
        (folder / name).touch()
    whole = {
        "host": {"reference": "host.fa"},
        "taxonomy": {"genomes": "genomes", "lineages": "lineages.tsv"},
        "function": {"reference": "proteins"},
    }
    write_config(folder, whole | dict(config or {}))
    write_sheet(folder / "config/samples.tsv", rows)
    return folder
