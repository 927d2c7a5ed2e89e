"""Build a taxonomic database for sylph, of genomes or of a ready sketch file.

Of genomes: a folder of FASTA files is sketched; with a protein reference the routes of each genome
are called as well, so that samples have organism evidence. Of a ready .syldb file: its lineages
and the phenotypes that a cluster has made are put beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fermentome.databases.manifest import Manifest, Source, read_manifest, sha256_of, write_manifest
from fermentome.databases.memory import reckon_memory
from fermentome.databases.store import Store, copy_file
from fermentome.databases.taxdump import read_taxid_lineages
from fermentome.databases.taxonomic import (
    DATABASE,
    LINEAGES,
    PHENOTYPES,
    SOURCES,
    PhenotypeBuild,
    build_phenotypes,
    catalogue_digests,
    digest_genomes,
    genomes_of,
    join_phenotypes,
    lineages_of,
    read_sketches,
    write_lineages,
    write_sources,
)
from fermentome.defaults import catalogue_files
from fermentome.errors import DatabaseError
from fermentome.genome_search import diamond_version
from fermentome.lineage import Lineage, read_lineages
from fermentome.taxonomy import build_database

SUBSAMPLING = 50
"""That of the workflow; the official databases have 200, and take a quarter of the memory."""
SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``fermentome db build taxonomy``."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--genomes", type=Path, metavar="DIR",
        help="folder of genomes in FASTA, plain or gzip; one file is one genome",
    )  # fmt: skip
    source.add_argument(
        "--database", type=Path, metavar="FILE", help="ready sylph database (.syldb)"
    )
    parser.add_argument(
        "--lineages", required=True, type=Path, metavar="FILE",
        help="lineages of the genomes: our own table, one of GTDB, GTDB-Tk, sylph-tax or MGnify,"
        " or NCBI taxids; plain or gzip",
    )  # fmt: skip
    parser.add_argument(
        "--taxdump", type=Path, metavar="DIR",
        help="unpacked NCBI taxdump (nodes.dmp, names.dmp, merged.dmp), for a table of taxids",
    )  # fmt: skip
    parser.add_argument(
        "--subsampling", type=int, metavar="N",
        help=f"keep one k-mer of N (default: {SUBSAMPLING}; the official databases: 200)",
    )  # fmt: skip
    parser.add_argument(
        "--reference", metavar="DIR|NAME",
        help="protein reference, to call the routes of the genomes with",
    )  # fmt: skip
    parser.add_argument(
        "--phenotypes", type=Path, nargs="+", default=[], metavar="TSV",
        help="phenotypes.tsv of genome mode, in one or more parts, instead of --reference",
    )  # fmt: skip
    parser.add_argument(
        "--catalogue", metavar="DIR", help="families.yaml, pathways.yaml, single_copy.yaml"
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR",
        help="keep finished batches of genomes here: the same command goes on where it was"
        " interrupted; delete the folder in the end",
    )  # fmt: skip
    parser.add_argument("--licence", default="", help="licence of the genomes or the database")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, metavar="N", help="default: all cores"
    )


def build(arguments: argparse.Namespace, folder: Path) -> None:
    """Write the finished database into an empty folder."""
    _check(arguments)
    taxids = partial(read_taxid_lineages, arguments.taxdump) if arguments.taxdump else None
    table = read_lineages(arguments.lineages, taxids)
    if arguments.genomes:
        _build_of_genomes(arguments, table, folder)
    else:
        _build_of_sketches(arguments, table, folder)


def _check(arguments: argparse.Namespace) -> None:
    for option, path in (
        ("--genomes", arguments.genomes),
        ("--taxdump", arguments.taxdump),
    ):
        if path and not path.is_dir():
            raise DatabaseError(f"{option} {path}: no such folder")
    for option, path in (("--database", arguments.database), ("--lineages", arguments.lineages)):
        if path and not path.is_file():
            raise DatabaseError(f"{option} {path}: no such file")
    for option, number in (
        ("--threads", arguments.threads),
        ("--subsampling", arguments.subsampling),
    ):
        if number is not None and number < 1:
            raise DatabaseError(f"{option} {number}: expected 1 or more")
    if arguments.reference and arguments.phenotypes:
        raise DatabaseError("--reference calls the phenotypes that --phenotypes gives; give one")
    if arguments.database and (arguments.reference or arguments.subsampling):
        raise DatabaseError(
            "--reference and --subsampling need genomes, and a .syldb holds none; give --genomes,"
            " or make the phenotypes elsewhere and give --phenotypes"
        )


def _build_of_genomes(
    arguments: argparse.Namespace, table: dict[str, Lineage], folder: Path
) -> None:
    genomes = genomes_of("--genomes", [arguments.genomes])
    lineages = lineages_of(genomes, table, arguments.lineages)
    _say(f"{len(genomes)} genomes of {len(set(lineages.values()))} taxa")
    subsampling = arguments.subsampling or SUBSAMPLING
    build_database(genomes, lineages, subsampling, folder / DATABASE)
    write_lineages(folder / LINEAGES, lineages)
    digests = digest_genomes(genomes)
    write_sources(folder / SOURCES, digests)
    sources = [
        Source(SOURCES, f"digests of {len(genomes)} genomes", sha256=sha256_of(folder / SOURCES))
    ]
    tools = {"pysylph": version("pysylph")}
    parameters: dict[str, Any] = {}
    if arguments.reference:
        reference = _reference_folder(arguments.reference, arguments)
        catalogue = catalogue_files(arguments.catalogue)
        with _progress(len(genomes)) as tell, _work_folder(arguments.work) as work:
            made = build_phenotypes(
                genomes, digests, lineages, reference, catalogue, work,
                folder / PHENOTYPES, arguments.threads, tell,
            )  # fmt: skip
        _report(made, len(genomes))
        manifest = read_manifest(reference)
        sources.append(_source_of(manifest))
        tools |= {"pyrodigal": version("pyrodigal"), "diamond": diamond_version()}
        parameters["genomes_with_phenotype"] = made.genomes
        parameters["catalogue"] = catalogue_digests(catalogue)
    elif arguments.phenotypes:
        parameters["genomes_with_phenotype"] = _join(arguments.phenotypes, folder, lineages)
        sources += map(Source.of_file, arguments.phenotypes)
    _write(arguments, folder, lineages, sources, tools, parameters)


def _build_of_sketches(
    arguments: argparse.Namespace, table: dict[str, Lineage], folder: Path
) -> None:
    sketches = read_sketches(arguments.database)
    lineages = lineages_of(sketches.genomes, table, arguments.lineages)
    _say(f"{len(lineages)} genomes of {len(set(lineages.values()))} taxa")
    write_lineages(folder / LINEAGES, lineages)
    parameters: dict[str, Any] = {}
    sources = [Source.of_file(arguments.database)]
    if arguments.phenotypes:
        parameters["genomes_with_phenotype"] = _join(arguments.phenotypes, folder, lineages)
        sources += map(Source.of_file, arguments.phenotypes)
    copy_file(arguments.database, folder / DATABASE)
    _write(arguments, folder, lineages, sources, {}, parameters)


def _join(parts: list[Path], folder: Path, lineages: dict[str, Lineage]) -> int:
    counts = join_phenotypes(parts, folder / PHENOTYPES, lineages)
    _say(f"{counts.genomes} of {len(lineages)} genomes have phenotypes")
    if counts.left_out:
        _say(f"{counts.left_out} other genomes of the phenotypes are not in the database")
    if not counts.genomes:
        raise DatabaseError(
            f"{', '.join(map(str, parts))}: no genome of the database is in the phenotypes;"
            " genomes are named by their files, without endings"
        )
    return counts.genomes


def _write(
    arguments: argparse.Namespace,
    folder: Path,
    lineages: dict[str, Lineage],
    sources: list[Source],
    tools: dict[str, str],
    parameters: dict[str, Any],
) -> None:
    sketches = read_sketches(folder / DATABASE)
    taxa = len(set(lineages.values()))
    sources.insert(1, Source.of_file(arguments.lineages))
    manifest = write_manifest(
        folder,
        name=arguments.name or "taxonomy",
        version=arguments.version or "1",
        kind="taxonomy",
        engine="sylph",
        description=f"Sylph database of {len(lineages)} genomes of {taxa} taxa",
        licence=arguments.licence,
        sources=sources,
        tools=tools,
        parameters={
            "genomes": len(lineages),
            "subsampling": sketches.subsampling,
            "kmer": sketches.kmer,
            **parameters,
        },
        memory_mb=reckon_memory("sylph", {DATABASE: (folder / DATABASE).stat().st_size}),
    )
    _say(f"takes {manifest.memory_mb} MB of memory")


def _reference_folder(reference: str, arguments: argparse.Namespace) -> Path:
    path = Path(reference)
    return path if path.is_dir() else Store(getattr(arguments, "store", None)).path_of(reference)


def _source_of(manifest: Manifest) -> Source:
    return Source(manifest.reference, f"id {manifest.id}", licence=manifest.licence)


@contextmanager
def _work_folder(given: Path | None) -> Iterator[Path]:
    """The user's folder, which stays, or one that is removed."""
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="fermentome-") as folder:
        yield Path(folder)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int, int], None]]:
    """Bar on standard error, if that is a terminal."""
    with tqdm(total=total, unit="genome", desc="phenotypes", disable=None) as bar:

        def tell(done: int, _: int) -> None:
            bar.update(done - bar.n)

        yield tell


def _report(made: PhenotypeBuild, total: int) -> None:
    again = f", {made.resumed} of them finished before" if made.resumed else ""
    _say(f"{made.genomes} of {total} genomes have phenotypes ({made.batches} batches{again})")
    for genome in sorted(made.failed)[:SHOWN]:
        _say(f"failed: {genome}: {made.failed[genome]}")
    if len(made.failed) > SHOWN:
        _say(f"and {len(made.failed) - SHOWN} more")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
