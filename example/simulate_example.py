"""Write the three samples of the embedded example, their sample sheet and their truth.

    python example/simulate_example.py --output demo

Below the output folder: `reads/`, `config/samples.tsv` (paths relative to the output folder) and
`truth/`. The reads are the same bytes every time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from fermentome.simulate import (  # noqa: E402  (the library lies beside this folder)
    NEXTERA,
    TRUSEQ,
    Genome,
    ReadModel,
    RunTruth,
    expected_copies,
    normalised,
    read_genome,
    simulate_run,
)


@dataclass(frozen=True)
class Design:
    """One sample: cells per genome, runs with their fragments, and what its library looks like."""

    sample: str
    subject: str
    timepoint: str
    group: str
    cells: Mapping[str, float]
    runs: tuple[str, ...]
    fragments_per_run: int
    paired: bool
    model: ReadModel
    host_share: float
    seed: int


DESIGNS = (
    Design(
        sample="community_a",
        subject="subject_1",
        timepoint="1",
        group="mixed",
        cells={
            "phocaeicola_mosaic": 0.26,
            "anaerococcus_mosaic": 0.22,
            "clostridioides_mosaic": 0.14,
            "scardovia_mosaic": 0.12,
            "clostridium_mosaic": 0.10,
            "salmonella_mosaic": 0.10,
            "escherichia_mosaic": 0.06,
        },
        runs=("L1", "L2"),
        fragments_per_run=17_500,
        paired=True,
        model=ReadModel(insert_mean=300, insert_sd=40, adapters=TRUSEQ),
        host_share=0.0,
        seed=101,
    ),
    Design(
        sample="community_b",
        subject="subject_1",
        timepoint="2",
        group="mixed",
        cells={
            "acidaminococcus_mosaic": 0.28,
            "phocaeicola_mosaic": 0.20,
            "anaerococcus_mosaic": 0.18,
            "escherichia_mosaic": 0.14,
            "scardovia_mosaic": 0.12,
            "clostridium_mosaic": 0.08,
        },
        runs=("1",),
        fragments_per_run=32_000,
        paired=True,
        # A quarter of a normal distribution lies 0.674 standard deviations below its mean, here
        # below the read length of 150: those fragments are read into the adapter.
        model=ReadModel(insert_mean=200, insert_sd=74, adapters=NEXTERA),
        host_share=0.20,
        seed=202,
    ),
    Design(
        sample="no_butyrate",
        subject="subject_2",
        timepoint="1",
        group="control",
        cells={
            "phocaeicola_mosaic": 0.32,
            "scardovia_mosaic": 0.26,
            "escherichia_mosaic": 0.16,
            "salmonella_mosaic": 0.14,
            "clostridium_mosaic": 0.12,
        },
        runs=("1",),
        fragments_per_run=50_000,
        paired=False,
        model=ReadModel(insert_mean=300, insert_sd=40, adapters=TRUSEQ),
        host_share=0.0,
        seed=303,
    ),
)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a TSV file as dictionaries."""
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    return [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a TSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(header), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_copies(path: Path) -> dict[str, dict[str, int]]:
    """Copies of every family in every genome."""
    copies: dict[str, dict[str, int]] = {}
    for row in read_rows(path):
        copies.setdefault(row["genome"], {})[row["family"]] = int(row["copies"])
    return copies


def names_of_reads(design: Design, run: str) -> tuple[str, str]:
    """Paths of the mates of a run below the output folder; the second is empty for single reads."""
    stem = f"reads/{design.sample}_{run}"
    return (
        (f"{stem}_R1.fastq.gz", f"{stem}_R2.fastq.gz")
        if design.paired
        else (
            f"{stem}.fastq.gz",
            "",
        )
    )


def simulate_sample(
    design: Design, genomes: Sequence[Genome], host: Genome, output: Path, depth: float
) -> RunTruth:
    """Write the runs of a sample and return what they hold together."""
    fragments = dict.fromkeys(design.cells, 0)
    host_fragments = 0
    for lane, run in enumerate(design.runs, start=1):
        reads1, reads2 = names_of_reads(design, run)
        truth = simulate_run(
            genomes,
            design.cells,
            design.model,
            round(design.fragments_per_run * depth),
            design.seed + lane,
            output / reads1,
            output / reads2 if reads2 else None,
            host=host,
            host_share=design.host_share,
            lane=lane,
        )
        host_fragments += truth.host_fragments
        for name, count in truth.fragments.items():
            fragments[name] += count
    return RunTruth(fragments, host_fragments)


def write_truth(
    folder: Path,
    truths: Mapping[str, RunTruth],
    copies: Mapping[str, Mapping[str, int]],
    lineages: Mapping[str, str],
) -> None:
    """Write what the samples hold: families, taxa, host, and fragments of each genome."""
    cells = {design.sample: normalised(design.cells) for design in DESIGNS}
    write_table(
        folder / "families.tsv",
        ("sample", "family", "copies_per_genome"),
        [
            (sample, family, f"{value:.6f}")
            for sample, shares in cells.items()
            for family, value in expected_copies(shares, copies).items()
        ],
    )
    write_table(
        folder / "taxa.tsv",
        ("sample", "species", "relative_abundance", "genome", "lineage"),
        [
            (sample, lineages[name].rsplit("s__", 1)[1], f"{share:.6f}", name, lineages[name])
            for sample, shares in cells.items()
            for name, share in shares.items()
        ],
    )
    write_table(
        folder / "host.tsv",
        ("sample", "fragments", "host_fragments", "host_fraction"),
        [
            (
                sample,
                truth.host_fragments + sum(truth.fragments.values()),
                truth.host_fragments,
                f"{truth.host_fraction:.6f}",
            )
            for sample, truth in truths.items()
        ],
    )
    write_table(
        folder / "genomes.tsv",
        ("sample", "genome", "fragments"),
        [
            (sample, name, count)
            for sample, truth in truths.items()
            for name, count in truth.fragments.items()
        ],
    )


def write_sheet(path: Path) -> None:
    """Write the sample sheet, one row per run."""
    rows = [
        (d.sample, run, *names_of_reads(d, run), d.subject, d.timepoint, d.group)
        for d in DESIGNS
        for run in d.runs
    ]
    header = ("sample", "run", "reads1", "reads2", "subject", "timepoint", "group")
    write_table(path, header, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and simulate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--depth", type=float, default=1.0, help="fragments as a multiple of the example's"
    )
    options = parser.parse_args(arguments)
    data = HERE / "data"
    lineages = {row["genome"]: row["lineage"] for row in read_rows(data / "lineages.tsv")}
    # The mosaics stand for circular chromosomes: no gene is thinner covered for lying at an end.
    genomes = [read_genome(data / "genomes" / f"{name}.fna.gz", circular=True) for name in lineages]
    host = read_genome(data / "host" / "host.fa.gz")
    truths = {
        design.sample: simulate_sample(design, genomes, host, options.output, options.depth)
        for design in DESIGNS
    }
    write_truth(
        options.output / "truth", truths, read_copies(data / "truth" / "genomes.tsv"), lineages
    )
    write_sheet(options.output / "config" / "samples.tsv")


if __name__ == "__main__":
    main()
