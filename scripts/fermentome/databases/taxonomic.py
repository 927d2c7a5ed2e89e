"""Build taxonomic databases for sylph: sketches, lineages, phenotypes.

A database is a folder with ``taxonomy.syldb``, ``lineages.tsv`` (exactly the genomes of the
sketches) and, where the routes of its genomes are known, ``phenotypes.tsv``. It is made from a
folder of genomes, or from a ready sketch file and tables that somebody else, or many jobs of a
cluster, have made.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pysylph

from fermentome.batches import stable_batches
from fermentome.catalogue import CatalogueFiles, load_catalogue
from fermentome.databases.manifest import sha256_of
from fermentome.errors import DatabaseError, LineageError
from fermentome.genes import FAILED, GenomeFile
from fermentome.genome_search import BATCH, SEARCH, GenomeSearcher, diamond_version, index_proteins
from fermentome.genomes import PHENOTYPE_COLUMNS, members_of
from fermentome.lineage import (
    Lineage,
    find_lineage,
    format_lineage,
    is_genome_file,
    parse_lineage,
    sketch_key,
)
from fermentome.reference import read_reference
from fermentome.tables import read_table, write_table
from fermentome.taxonomy import list_genomes

__all__ = [
    "DATABASE",
    "LINEAGES",
    "PHENOTYPES",
    "SOURCES",
    "GenomeDigest",
    "PhenotypeBuild",
    "Sketches",
    "build_phenotypes",
    "catalogue_digests",
    "digest_genomes",
    "genomes_of",
    "join_phenotypes",
    "lineages_of",
    "read_sketches",
    "write_lineages",
    "write_sources",
]

DATABASE, LINEAGES, PHENOTYPES = "taxonomy.syldb", "lineages.tsv", "phenotypes.tsv"
SOURCES = "sources.tsv"
"""Digest of every genome file. One file, because a manifest with thousands of them is slow."""

Progress = Callable[[int, int], None]
"""Told how many genomes of how many are done."""


# --- sketches and lineages ------------------------------------------------------------------------


@dataclass(frozen=True)
class Sketches:
    """What a sylph database holds.

    Attributes
    ----------
    genomes
        Names, in their order.
    subsampling, kmer
        One of `subsampling` k-mers of length `kmer` was kept.
    """

    genomes: tuple[str, ...]
    subsampling: int
    kmer: int


def read_sketches(path: Path) -> Sketches:
    """Look through a sylph database, one sketch at a time.

    Raises
    ------
    DatabaseError
        If it cannot be read, is empty, or holds a genome twice.
    """
    names: dict[str, None] = {}
    kinds = set()
    try:
        for sketch in pysylph.DatabaseFile(os.fspath(path)):
            name = sketch_key(sketch.name)
            if name in names:
                raise DatabaseError(
                    f"{path}: genome {name!r} stands twice; sketch again with unique file names"
                )
            names[name] = None
            kinds.add((sketch.c, sketch.k))
    except (DatabaseError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # of a damaged file pysylph panics, which is no Exception
        raise DatabaseError(
            f"{path}: not a sylph database that this version reads ({error}); give a .syldb made"
            " by sylph 0.6 or later"
        ) from error
    if not names:
        raise DatabaseError(f"{path}: the database holds no genome")
    if len(kinds) > 1:
        raise DatabaseError(
            f"{path}: its sketches differ in subsampling and k ({sorted(kinds)}); sketch all"
            " genomes alike"
        )
    subsampling, kmer = kinds.pop()
    return Sketches(tuple(names), subsampling, kmer)


def lineages_of(
    genomes: Iterable[str], lineages: Mapping[str, Lineage], table: Path
) -> dict[str, Lineage]:
    """Lineages of exactly the genomes of a database, sorted by genome.

    Parameters
    ----------
    lineages
        Rows of `table`; a genome is looked up by its name, then by its assembly accession.

    Raises
    ------
    LineageError
        If a genome has none.
    """
    names = sorted(genomes)
    found = {name: find_lineage(name, lineages) for name in names}
    missing = [name for name, lineage in found.items() if lineage is None]
    if missing:
        raise LineageError(
            f"{table}: {len(missing)} of {len(names)} genomes have no row, the first is"
            f" {missing[0]!r}; the table has {len(lineages)}, the first is"
            f" {next(iter(lineages))!r}. Hint: names are those of the files without their endings;"
            " an assembly is also found by its accession with version, such as GCF_000005845.2"
        )
    return {name: lineage for name, lineage in found.items() if lineage is not None}


def write_lineages(path: Path, lineages: Mapping[str, Lineage]) -> None:
    """Write a lineage table in our own form."""
    write_table(
        path,
        ("genome", "lineage"),
        ({"genome": name, "lineage": format_lineage(lineages[name])} for name in sorted(lineages)),
    )


# --- genome files ---------------------------------------------------------------------------------


class GenomeDigest(NamedTuple):
    """A genome file: its name without folder, its bytes and their SHA-256."""

    file: str
    size: int
    sha256: str


def genomes_of(option: str, paths: Sequence[Path]) -> dict[str, Path]:
    """Genome files by name of an option that takes files and folders.

    Raises
    ------
    DatabaseError
        If one is not there, or they hold no genome.
    ReferenceFolderError
        If a genome is empty or stands twice.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DatabaseError(f"{option} {path}: no such file or folder")
        files += path.iterdir() if path.is_dir() else [path]
    if not any(is_genome_file(path.name) for path in files):
        raise DatabaseError(
            f"{option} {' '.join(map(str, paths))}: no genome found; files named *.fna, *.ffn,"
            " *.fasta or *.fa, plain or .gz, were expected"
        )
    return list_genomes(files)


def digest_genomes(genomes: Mapping[str, Path]) -> dict[str, GenomeDigest]:
    """Digest of each genome file."""
    return {
        name: GenomeDigest(path.name, path.stat().st_size, sha256_of(path))
        for name, path in genomes.items()
    }


def write_sources(path: Path, digests: Mapping[str, GenomeDigest]) -> None:
    """Write the digests of the genome files, sorted by genome."""
    write_table(
        path,
        ("genome", *GenomeDigest._fields),
        ({"genome": name, **digests[name]._asdict()} for name in sorted(digests)),
    )


# --- phenotypes of genomes ------------------------------------------------------------------------


@dataclass(frozen=True)
class PhenotypeBuild:
    """What became of the phenotypes of genomes.

    Attributes
    ----------
    genomes
        How many have calls.
    failed
        Why genomes could not be used, by genome.
    batches, resumed
        Batches of genomes, and how many of them were finished before.
    """

    genomes: int
    failed: Mapping[str, str]
    batches: int
    resumed: int


def build_phenotypes(
    genomes: Mapping[str, Path],
    digests: Mapping[str, GenomeDigest],
    lineages: Mapping[str, Lineage],
    reference: Path,
    catalogue_files: CatalogueFiles,
    work: Path,
    target: Path,
    threads: int,
    progress: Progress = lambda done, total: None,
) -> PhenotypeBuild:
    """Call the routes of genomes, a batch at a time, and write the table of phenotypes.

    A finished batch is kept in `work` under the digest of all that it was made from. Who runs the
    build again with the same folder goes on behind the batches that are finished.

    Parameters
    ----------
    genomes, digests, lineages
        File, digest and lineage of each genome.
    reference
        Folder of the protein reference.
    work
        Folder of the batches; made if it is not there.
    target
        Table to write.
    progress
        Called after each batch.

    Returns
    -------
    PhenotypeBuild
        Counts; genomes that could not be used have no row.
    """
    catalogue = load_catalogue(catalogue_files)
    proteins = read_reference(reference, [*catalogue.families, *catalogue.single_copy])
    work.mkdir(parents=True, exist_ok=True)
    setting = _setting(reference, catalogue_files)
    index = work / f"{_digest(setting)}.dmnd"
    searcher = GenomeSearcher(index, members_of(proteins), lineages, catalogue, threads)
    batches = stable_batches(sorted(genomes), BATCH)
    folders, resumed, done = [], 0, 0
    for names in batches.values():
        inputs = [(name, digests[name].sha256, format_lineage(lineages[name])) for name in names]
        folder = work / _digest([setting, inputs])
        if folder.is_dir():
            resumed += 1
        else:
            if not index.is_file():
                _index(proteins.fasta, index, threads)
            _run_batch(searcher, [GenomeFile(name, genomes[name]) for name in names], folder)
        folders.append(folder)
        done += len(names)
        progress(done, len(genomes))
    parts = [folder / PHENOTYPES for folder in folders]
    counts = join_phenotypes(parts, target, lineages)
    rows = (row for folder in folders for row in read_table(folder / "genomes.tsv"))
    failed = {row["genome"]: row["reason"] for row in rows if row["status"] == FAILED}
    return PhenotypeBuild(counts.genomes, failed, len(batches), resumed)


def catalogue_digests(files: CatalogueFiles) -> dict[str, str]:
    """SHA-256 of each file of the catalogue, by file name."""
    paths = map(Path, (files.families, files.pathways, files.single_copy))
    return {path.name: sha256_of(path) for path in paths}


def _setting(reference: Path, catalogue_files: CatalogueFiles) -> dict[str, str]:
    """All that every batch depends on, beside its genomes."""
    proteins = reference / "proteins.faa.gz", reference / "proteins.tsv"
    return {
        **{path.name: sha256_of(path) for path in proteins},
        **catalogue_digests(catalogue_files),
        "search": " ".join(SEARCH),
        "pyrodigal": version("pyrodigal"),
        "diamond": diamond_version(),
    }


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _index(fasta: Path, index: Path, threads: int) -> None:
    # DIAMOND adds the ending where it is missing: an interrupted build must not leave an index.
    fresh = index.with_name(f"new-{index.name}")
    index_proteins(fasta, fresh, threads)
    fresh.replace(index)


def _run_batch(searcher: GenomeSearcher, genomes: Sequence[GenomeFile], folder: Path) -> None:
    fresh = folder.with_name(f"new-{folder.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    searcher.run(genomes, fresh)
    fresh.rename(folder)


# --- tables of phenotypes -------------------------------------------------------------------------


class _Rows(NamedTuple):
    """Where the rows of a genome stand: file, first byte, number of bytes."""

    path: Path
    start: int
    length: int


@dataclass(frozen=True)
class PhenotypeCounts:
    """Genomes of joined phenotypes.

    Attributes
    ----------
    genomes
        Of the database, with calls.
    left_out
        With calls, but not in the database.
    """

    genomes: int
    left_out: int


def join_phenotypes(
    parts: Sequence[Path], target: Path, lineages: Mapping[str, Lineage]
) -> PhenotypeCounts:
    """Join tables of phenotypes for the genomes of a database, sorted by genome.

    What is held in memory is where the rows of each genome stand, not the rows: 100,000 genomes are
    millions of rows.

    Parameters
    ----------
    parts
        Tables of genome mode, each with the rows of a genome in one piece.
    lineages
        Lineages of the genomes of the database.

    Raises
    ------
    DatabaseError
        If a table is not one of phenotypes, two have the same genome, or a lineage differs from
        that of the database, which would tie the phenotypes to another species.
    """
    header = "\t".join(PHENOTYPE_COLUMNS) + "\n"
    places: dict[str, _Rows] = {}
    left_out = 0
    for part in parts:
        for genome, rows in _find_genomes(part, header, lineages):
            if genome not in lineages:
                left_out += 1
            elif genome in places:
                raise DatabaseError(
                    f"{part}: genome {genome!r} stands in {places[genome].path} too, or twice;"
                    " give its rows once"
                )
            else:
                places[genome] = rows
    with target.open("wb") as out:
        out.write(header.encode())
        for path, group in groupby(sorted(places), key=lambda genome: places[genome].path):
            with path.open("rb") as table:
                for genome in group:
                    table.seek(places[genome].start)
                    out.write(table.read(places[genome].length))
    return PhenotypeCounts(len(places), left_out)


def _find_genomes(
    path: Path, header: str, lineages: Mapping[str, Lineage]
) -> Iterator[tuple[str, _Rows]]:
    """Genomes of a table of phenotypes, in their order, and where their rows stand."""
    try:
        table = path.open("rb")
    except OSError as error:
        raise DatabaseError(
            f"{path}: cannot be read ({error.strerror}); expected a table of phenotypes"
        ) from error
    with table:
        first = table.readline()
        if first != header.encode():
            raise DatabaseError(
                f"{path}, header: {first[:120]!r}; expected {header!r}, as `fermentome genomes`"
                " writes phenotypes.tsv"
            )
        start = position = len(first)
        current: str | None = None
        for number, line in enumerate(table, start=2):
            genome, lineage, *rest = line.decode("utf-8", "replace").rstrip("\n").split("\t")
            if len(rest) != len(PHENOTYPE_COLUMNS) - 2 or not line.endswith(b"\n"):
                raise DatabaseError(
                    f"{path}, line {number}: {len(rest) + 2} cells, {len(PHENOTYPE_COLUMNS)} and a"
                    " line break expected; the table is cut off or damaged: make it again"
                )
            if genome != current:
                if current is not None:
                    yield current, _Rows(path, start, position - start)
                current, start = genome, position
                _check_lineage(path, number, genome, lineage, lineages)
            position += len(line)
        if current is not None:
            yield current, _Rows(path, start, position - start)


def _check_lineage(
    path: Path, number: int, genome: str, text: str, lineages: Mapping[str, Lineage]
) -> None:
    if genome in lineages and parse_lineage(text) != lineages[genome]:
        raise DatabaseError(
            f"{path}, line {number}: the lineage of genome {genome!r} is {text!r}, the database"
            f" says {format_lineage(lineages[genome])!r}; make the phenotypes with the lineage"
            " table of the database (`fermentome genomes --lineages`)"
        )
