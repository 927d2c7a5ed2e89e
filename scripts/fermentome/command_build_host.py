"""Build a host database: genome, mask and minimap2 index.

Host reads are removed by aligning all reads to the host. Where bacteria resemble the host their
reads would go as well; those regions can be masked, by a BED file or by what bacterial genomes
share with the host.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fermentome.databases.host_mask import (
    FASTA,
    HOST_DNA,
    INDEX,
    KMER,
    MASK,
    REPORT,
    SEARCH,
    STEP,
    Mask,
    MaskReport,
    find_mask,
    index_host,
    join_fasta,
    mask_fasta,
    masked_bases,
    memory_needed,
    minimap2_version,
    read_bed,
    sequence_lengths,
    write_bed,
    write_host_dna,
    write_report,
)
from fermentome.databases.manifest import Source, sha256_of, write_manifest
from fermentome.databases.taxonomic import SOURCES, digest_genomes, genomes_of, write_sources
from fermentome.errors import DatabaseError, FermentomeError

LEFT_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``fermentome db build host``."""
    parser.add_argument(
        "--fasta", required=True, type=Path, nargs="+", metavar="FILE",
        help="genome of the host, plain or gzip; further files are added to it, such as the HLA"
        " alleles that a single genome has only one or two of",
    )  # fmt: skip
    parser.add_argument(
        "--mask-with", type=Path, nargs="+", default=[], metavar="FILE|DIR",
        help="genomes, or folders of them, whose reads must not be taken for the host's: what of"
        " the host resembles them is masked",
    )  # fmt: skip
    parser.add_argument("--mask", type=Path, metavar="BED", help="regions to mask, in any case")
    parser.add_argument("--licence", default="", help="licence of the genome")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, metavar="N", help="default: all cores"
    )


def build(arguments: argparse.Namespace, folder: Path) -> None:
    """Write the finished database into an empty folder."""
    _check(arguments)
    genomes = _bacteria(arguments.mask_with)
    sources = [Source.of_file(path) for path in arguments.fasta]
    parameters: dict[str, Any] = {"preset": "sr"}
    report = MaskReport()
    with tempfile.TemporaryDirectory(prefix="fermentome-", dir=folder.parent) as name:
        work = Path(name)
        host = work / "host.fa"
        join_fasta(arguments.fasta, host)
        with _named(host, arguments.fasta):
            lengths = sequence_lengths(host)
        _say(f"{len(lengths)} sequences, {sum(lengths.values())} bases")
        mask: Mask = {}
        if arguments.mask:
            mask = read_bed(arguments.mask, lengths)
            sources.append(Source.of_file(arguments.mask))
        if genomes:
            mask, report = find_mask(host, genomes, work, arguments.threads, mask)
            _say_report(report)
            write_sources(folder / SOURCES, digest_genomes(genomes))
            write_host_dna(folder / HOST_DNA, report.host_dna)
            sources.append(
                Source(
                    SOURCES,
                    f"digests of {len(genomes)} genomes",
                    sha256=sha256_of(folder / SOURCES),
                )
            )
            parameters |= {"mask_kmer": KMER, "mask_step": STEP, "mask_search": " ".join(SEARCH)}
        mask_fasta(host, mask, folder / FASTA)
    write_bed(folder / MASK, mask)
    write_report(folder / REPORT, lengths, mask)
    index_host(folder / FASTA, folder / INDEX, arguments.threads)
    masked = masked_bases(mask)
    _say(f"{masked} bases masked")
    manifest = write_manifest(
        folder,
        name=arguments.name or "host",
        version=arguments.version or "1",
        kind="host",
        engine="minimap2",
        description=f"Host genome of {len(lengths)} sequences, {masked} bases of"
        f" {sum(lengths.values())} masked",
        licence=arguments.licence,
        sources=sources,
        tools={"minimap2": minimap2_version()},
        parameters={**parameters, "masked_bases": masked},
        memory_mb=memory_needed(folder / INDEX),
    )
    _say(f"takes {manifest.memory_mb} MB of memory")


@contextmanager
def _named(host: Path, files: list[Path]) -> Iterator[None]:
    """Let errors of the joined genome, which is gone in a moment, name the files of the user."""
    try:
        yield
    except FermentomeError as error:
        words = str(error).replace(str(host), " and ".join(map(str, files)))
        raise type(error)(words) from error


def _check(arguments: argparse.Namespace) -> None:
    for path in [*arguments.fasta, *([arguments.mask] if arguments.mask else [])]:
        if not path.is_file():
            raise DatabaseError(f"{path}: no such file")
    for path in arguments.mask_with:
        if not path.exists():
            raise DatabaseError(f"--mask-with {path}: no such file or folder")
    if arguments.threads < 1:
        raise DatabaseError(f"--threads {arguments.threads}: expected 1 or more")


def _bacteria(paths: list[Path]) -> dict[str, Path]:
    """Genomes of files and folders by name; nothing where none were given."""
    return genomes_of("--mask-with", paths) if paths else {}


def _say_report(report: MaskReport) -> None:
    _say(
        f"{report.shared} of {report.kmers} pieces of {len(report.by_genome)} genomes resemble the"
        f" host ({report.rounds} rounds)"
    )
    if report.left:
        _say(f"{report.left} pieces resemble it still: reads of them will be lost")
    for stretch in report.host_dna[:LEFT_SHOWN]:
        _say(
            f"not masked, because it is the host's: {stretch.genome}, {stretch.contig}"
            f" {stretch.start}-{stretch.end}"
        )
    if len(report.host_dna) > LEFT_SHOWN:
        _say(f"and {len(report.host_dna) - LEFT_SHOWN} more: see {HOST_DNA}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
