"""Build a kraken2 database from a folder of genomes and a table of their lineages.

Beside the index it makes what the workflow takes from a database: genome sizes, Bracken's table for
each read length, the minimizers of each clade, the lineages.
"""

import argparse
import sys
from pathlib import Path

from fermentome.databases.kraken2_build import BuildOptions, build_kraken2
from fermentome.databases.manifest import Source, sha256_of
from fermentome.databases.taxonomic import genomes_of
from fermentome.errors import DatabaseError
from fermentome.lineage import read_lineages

DEFAULTS = BuildOptions()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``fermentome db build kraken2``."""
    parser.add_argument(
        "--genomes", required=True, type=Path, metavar="DIR",
        help="folder of genomes in FASTA, plain or gzip; one file is one genome",
    )  # fmt: skip
    parser.add_argument(
        "--lineages", required=True, type=Path, metavar="TSV",
        help="columns genome and lineage, or genome and seven ranks",
    )  # fmt: skip
    parser.add_argument(
        "--phenotypes", type=Path, metavar="TSV",
        help="phenotypes.tsv of `fermentome genomes`, for organism evidence",
    )  # fmt: skip
    parser.add_argument(
        "--read-lengths", type=int, nargs="+", metavar="N", default=list(DEFAULTS.read_lengths),
        help="lengths for which reads of higher ranks can be shared out (default: 100 150)",
    )  # fmt: skip
    parser.add_argument(
        "--confidence", type=float, default=DEFAULTS.confidence,
        help="taxonomy.confidence of the runs that will use it (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--no-masking", action="store_true", help="do not mask regions of low complexity"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--licence", default="", help="licence of the genomes")


def build(arguments: argparse.Namespace, folder: Path) -> None:
    """Write the finished database into an empty folder.

    Raises
    ------
    DatabaseError
        If an option is out of range.
    """
    _check(arguments)
    genomes = genomes_of("--genomes", [arguments.genomes])
    lineages = read_lineages(arguments.lineages)
    species = len({lineages[name] for name in genomes if name in lineages})
    print(f"{len(genomes)} genomes of {species} species; one thread indexes", file=sys.stderr)
    options = BuildOptions(
        threads=arguments.threads,
        mask=not arguments.no_masking,
        read_lengths=tuple(sorted({*arguments.read_lengths})),
        confidence=arguments.confidence,
    )
    manifest = build_kraken2(
        genomes,
        lineages,
        folder,
        name=arguments.name or "kraken2",
        version=arguments.version or "1",
        description=f"Kraken2 database of {len(genomes)} genomes of {species} species",
        licence=arguments.licence,
        options=options,
        sources=[
            Source(path.name, sha256=sha256_of(path), size=path.stat().st_size)
            for path in (arguments.lineages, arguments.phenotypes)
            if path is not None
        ],
        phenotypes=arguments.phenotypes,
        table=str(arguments.lineages),
    )
    print(f"takes {manifest.memory_mb} MB of memory", file=sys.stderr)


def _check(arguments: argparse.Namespace) -> None:
    for option, number in (
        ("--threads", arguments.threads),
        ("--read-lengths", min(arguments.read_lengths)),
    ):
        if number < 1:
            raise DatabaseError(f"{option} {number}: expected 1 or more")
    if not 0 <= arguments.confidence <= 1:
        raise DatabaseError(
            f"--confidence {arguments.confidence}: expected a number from 0 to 1, the share of"
            " k-mers that a call needs"
        )
