"""The reads of a sample on their way through the stages, and the status of each stage."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import dnaio

from fermentome.errors import ReadsError
from fermentome.tables import Cell, read_table, write_table

OK, EMPTY, LOW_DEPTH, FAILED = "ok", "empty", "low_depth", "failed"
UNDERSERVED = "underserved"

STATUS_COLUMNS = ("sample", "stage", "status", "reason", "reads_in", "reads_out")
DATABASES = "databases"
"""The last stage: how much the databases knew of the sample."""
STAGES = ("ingest", "trim", "host", "taxonomy", "function", "pathways", DATABASES)


@dataclass(frozen=True, slots=True)
class StageStatus:
    """How one stage ended for one sample.

    Attributes
    ----------
    status
        ``ok``, ``empty`` (nothing to work on), ``low_depth`` (results stand, but much is below
        detection), ``underserved`` (results stand, but the databases know too little of the
        sample) or ``failed``.
    reason
        Why it is not plainly ``ok``; empty otherwise.
    reads_in, reads_out
        Reads, the two mates of a pair counted singly; None where not known.
    """

    sample: str
    stage: str
    status: str
    reason: str
    reads_in: int | None
    reads_out: int | None


@dataclass(frozen=True, slots=True)
class RunFlow:
    """Reads of one run before and after trimming and host removal."""

    run: str
    layout: str
    status: str
    reason: str
    raw_reads: int
    trimmed_reads: int
    clean_fragments: int
    clean_bases: int

    @property
    def clean_reads(self) -> int:
        """Reads left at the end, mates counted singly."""
        return self.clean_fragments * (2 if self.layout == "paired" else 1)


@dataclass(frozen=True, slots=True)
class SampleFlow:
    """Reads of one sample, all runs together.

    Attributes
    ----------
    status
        ``failed`` if the reads of a run cannot be used, ``empty`` if no read is left, else
        ``ok``.
    """

    sample: str
    status: str
    reason: str
    raw_reads: int
    trimmed_reads: int
    clean_reads: int
    paired_fragments: int
    single_fragments: int
    clean_bases: int

    @property
    def read_length(self) -> float:
        """Mean length of the clean reads, nucleotides; 0 without reads."""
        return self.clean_bases / self.clean_reads if self.clean_reads else 0.0


def count_clean(path: str | os.PathLike[str], layout: str) -> tuple[int, int]:
    """Fragments and bases of a file of clean reads.

    Parameters
    ----------
    path
        FASTQ; pairs are interleaved.
    layout
        ``paired`` or ``single``.

    Raises
    ------
    ReadsError
        If the file of pairs holds an odd number of reads.
    """
    reads = bases = 0
    with dnaio.open(path) as records:
        for record in records:
            reads += 1
            bases += len(record.sequence)
    if layout == "single":
        return reads, bases
    if reads % 2:
        raise ReadsError(
            f"{Path(path).name}: {reads} reads, an even number was expected of interleaved pairs;"
            " the cleaning step did not finish: delete the file and run again"
        )
    return reads // 2, bases


def run_flow(
    report: Mapping[str, Any], fastp: Mapping[str, Any], clean: str | os.PathLike[str]
) -> RunFlow:
    """Counts of one run from its ingest report, its fastp report and its clean reads."""
    fragments, bases = count_clean(clean, report["layout"])
    trimmed = 0
    if report["status"] == OK:
        trimmed = int(fastp["summary"]["after_filtering"]["total_reads"])
    return RunFlow(
        run=report["run"],
        layout=report["layout"],
        status=report["status"],
        reason=report["reason"],
        raw_reads=int(report["reads"]),
        trimmed_reads=trimmed,
        clean_fragments=fragments,
        clean_bases=bases,
    )


def merge_runs(sample: str, runs: Sequence[RunFlow]) -> SampleFlow:
    """Add up the runs of a sample; one unusable run stops the sample."""
    failed = [run for run in runs if run.status == FAILED]
    clean = sum(run.clean_reads for run in runs)
    status, reason = OK, ""
    if failed:
        status = FAILED
        reason = "; ".join(f"run {run.run}: {run.reason}" for run in failed)
    elif not clean:
        status = EMPTY
    return SampleFlow(
        sample=sample,
        status=status,
        reason=reason,
        raw_reads=sum(run.raw_reads for run in runs),
        trimmed_reads=sum(run.trimmed_reads for run in runs),
        clean_reads=clean,
        paired_fragments=sum(r.clean_fragments for r in runs if r.layout == "paired"),
        single_fragments=sum(r.clean_fragments for r in runs if r.layout == "single"),
        clean_bases=sum(run.clean_bases for run in runs),
    )


def content_given_twice(reports: Iterable[Mapping[str, Any]]) -> str:
    """Why a sample cannot be used if two of its files hold the same reads; else empty.

    Parameters
    ----------
    reports
        Ingest reports of the runs of one sample.
    """
    seen: dict[str, tuple[str, str]] = {}
    for report in reports:
        for file in report["files"] if report["reads"] else ():
            run, name = seen.setdefault(file["sha256"], (report["run"], file["path_name"]))
            if run != report["run"]:
                return (
                    f"{name} of run {run} and {file['path_name']} of run {report['run']} have the"
                    " same content: a lane is given twice; remove one of the two rows"
                )
    return ""


def read_statuses(flow: SampleFlow, has_host: bool) -> list[StageStatus]:
    """Rows of the stages ``ingest``, ``trim`` and ``host``.

    Parameters
    ----------
    flow
        Counts of the sample.
    has_host
        Whether a host reference was configured.
    """
    sample = flow.sample
    if flow.status == FAILED:
        return [
            StageStatus(sample, "ingest", FAILED, flow.reason, None, None),
            not_run(sample, "trim"),
            not_run(sample, "host"),
        ]

    def row(stage: str, before: int, after: int, note: str) -> StageStatus:
        if before and after:
            return StageStatus(sample, stage, OK, note, before, after)
        reason = f"no read is left of {before}" if before else "no reads"
        return StageStatus(sample, stage, EMPTY, reason, before, after)

    note = "" if has_host else "no host reference configured: host reads, if any, are still in"
    return [
        row("ingest", flow.raw_reads, flow.raw_reads, ""),
        row("trim", flow.raw_reads, flow.trimmed_reads, ""),
        row("host", flow.trimmed_reads, flow.clean_reads, note),
    ]


def not_run(sample: str, stage: str) -> StageStatus:
    """Row of a stage that a failure before it kept from running."""
    return StageStatus(sample, stage, FAILED, "stopped by an earlier stage", None, None)


def write_statuses(path: str | os.PathLike[str], statuses: Iterable[StageStatus]) -> None:
    """Write status rows as a table."""
    write_table(path, STATUS_COLUMNS, (asdict(status) for status in statuses))


def write_flow(path: str | os.PathLike[str], flow: SampleFlow) -> None:
    """Write the counts of a sample as JSON."""
    Path(path).write_text(json.dumps(asdict(flow), indent=2) + "\n", encoding="utf-8")


def read_flow(path: str | os.PathLike[str]) -> SampleFlow:
    """Read what `write_flow` wrote."""
    return SampleFlow(**json.loads(Path(path).read_text(encoding="utf-8")))


def flow_row(flow: SampleFlow) -> dict[str, Cell]:
    """Row of the joined table of reads; counts of a failed sample are not available."""
    failed = flow.status == FAILED
    return {
        "sample": flow.sample,
        "status": flow.status,
        "raw_reads": None if failed else flow.raw_reads,
        "trimmed_reads": None if failed else flow.trimmed_reads,
        "host_reads": None if failed else flow.trimmed_reads - flow.clean_reads,
        "clean_reads": None if failed else flow.clean_reads,
        "clean_pairs": None if failed else flow.paired_fragments,
        "clean_single_reads": None if failed else flow.single_fragments,
        "clean_bases": None if failed else flow.clean_bases,
        "mean_clean_read_length": None if failed else flow.read_length,
    }


def read_status_rows(paths: Iterable[str | os.PathLike[str]]) -> list[dict[str, str]]:
    """Status rows of many files, sorted by sample and by the order of the stages."""
    rows = [row for path in paths for row in read_table(path, STATUS_COLUMNS)]
    rows.sort(key=lambda row: (row["sample"], STAGES.index(row["stage"])))
    return rows


def summarise_reads(
    sample: str,
    reports: Sequence[str | os.PathLike[str]],
    fastp: Sequence[str | os.PathLike[str]],
    clean: Sequence[str | os.PathLike[str]],
    has_host: bool,
    flow_path: str | os.PathLike[str],
    status_path: str | os.PathLike[str],
) -> None:
    """Count the reads of a sample at every stage, from files to files.

    Parameters
    ----------
    reports, fastp, clean
        Ingest report, fastp report and clean reads of each run, in the same order.
    has_host
        Whether a host reference was configured.
    flow_path, status_path
        JSON of counts and table of statuses to write.
    """
    described = [json.loads(Path(report).read_text(encoding="utf-8")) for report in reports]
    runs = [
        run_flow(report, json.loads(Path(trimming).read_text(encoding="utf-8")), reads)
        for report, trimming, reads in zip(described, fastp, clean, strict=True)
    ]
    flow = merge_runs(sample, runs)
    twice = content_given_twice(described)
    if twice and flow.status != FAILED:
        flow = replace(flow, status=FAILED, reason=twice)
    write_flow(flow_path, flow)
    write_statuses(status_path, read_statuses(flow, has_host))
