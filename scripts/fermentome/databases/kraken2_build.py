"""Build the folder of a kraken2 database from genomes and their lineages.

The bytes depend on the genomes, the lineages and the versions of the tools only. kraken2-build
2.1.2 gives another hash table for every number of threads, ``--fast-build`` or not (measured with 1
to 4), so it runs with one; and it writes memory that nothing was written to into ``opts.k2d``,
which is set to zero here.
"""

from __future__ import annotations

import errno
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import dnaio

from fermentome.databases.manifest import Manifest, Source, sha256_of, write_manifest
from fermentome.databases.memory import reckon_memory
from fermentome.databases.store import copy_file
from fermentome.databases.taxonomic import (
    LINEAGES,
    PHENOTYPES,
    SOURCES,
    digest_genomes,
    write_lineages,
    write_sources,
)
from fermentome.errors import DatabaseError, LineageError
from fermentome.kraken2 import GENOME_SIZES, INSPECTION, ROOT
from fermentome.lineage import RANKS, deepest_rank
from fermentome.tables import write_table
from fermentome.taxonomy import read_contigs

UNNAMED = "s__"
"""Name of the species of a genome whose lineage names none. Readers take it for an empty name."""
OPTIONS_PADDING = (range(33, 40), range(60, 64))
"""Bytes between the fields of `IndexOptions` in kraken2's src/kraken2_data.h: four numbers of 8
bytes, a truth value, a number of 8 bytes, three of 4."""
WINDOWS_PER_READ = 3
"""Reads that start within the length of one. Bracken takes every start; a third of a read apart
the shares differ by less than their noise in a sample."""

Path_ = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class BuildOptions:
    """How a database is built.

    Attributes
    ----------
    threads
        For everything but the hash table.
    mask
        Whether dustmasker masks regions of low complexity, as in the official databases.
    read_lengths
        Lengths for which Bracken's table is made.
    confidence, hit_groups
        With what the reads of these tables are classified: as those of the samples will be.
    """

    threads: int = 1
    mask: bool = True
    read_lengths: tuple[int, ...] = (100, 150)
    confidence: float = 0.1
    hit_groups: int = 2


# The tree ------------------------------------------------------------------------------------


def path_of(lineage: Sequence[str]) -> Path_:
    """Named ranks of a lineage from the top, with a species at the end in any case."""
    path = tuple((rank, name) for rank, name in enumerate(lineage[:-1]) if name)
    return (*path, (len(RANKS) - 1, lineage[-1] or UNNAMED))


def number_taxa(lineages: Iterable[Sequence[str]]) -> dict[Path_, int]:
    """Taxid of every node of the tree; the same lineages give the same numbers."""
    paths = {path_of(lineage) for lineage in lineages}
    nodes = {path[:end] for path in paths for end in range(1, len(path) + 1)}
    return {(): ROOT} | {path: ROOT + n for n, path in enumerate(sorted(nodes), start=1)}


def write_tree(folder: Path, taxa: Mapping[Path_, int]) -> None:
    """Write ``nodes.dmp`` and ``names.dmp``, the columns that kraken2-build reads."""
    folder.mkdir(parents=True, exist_ok=True)
    # kraken2 has a code for superkingdom and none for domain.
    ranks = ("superkingdom", *RANKS[1:])
    nodes, names = [], []
    for path, taxid in sorted(taxa.items(), key=lambda item: item[1]):
        parent = taxa[path[:-1]] if path else ROOT
        rank, name = (ranks[path[-1][0]], path[-1][1]) if path else ("no rank", "root")
        nodes.append(f"{taxid}\t|\t{parent}\t|\t{rank}\t|\n")
        names.append(f"{taxid}\t|\t{name}\t|\t\t|\tscientific name\t|\n")
    (folder / "nodes.dmp").write_text("".join(nodes), encoding="utf-8")
    (folder / "names.dmp").write_text("".join(names), encoding="utf-8")


# The genomes ---------------------------------------------------------------------------------


def write_library(
    path: Path, genomes: Mapping[str, Path], taxids: Mapping[str, int]
) -> dict[str, int]:
    """Write all genomes into one FASTA file with their taxids; returns their bases.

    One file, since kraken2-build reads several in the order of the file system.
    """
    sizes = {}
    with path.open("w", encoding="ascii") as out:
        for number, name in enumerate(sorted(genomes), start=1):
            contigs = read_contigs(genomes[name])
            sizes[name] = sum(map(len, contigs))
            for part, contig in enumerate(contigs, start=1):
                # Small letters would be taken for masked.
                header = f">kraken:taxid|{taxids[name]}|{number}_{part}"
                out.write(f"{header}\n{contig.upper()}\n")
    return sizes


def size_rows(
    sizes: Mapping[str, int],
    taxids: Mapping[str, int],
    lineages: Mapping[str, tuple[str, ...]],
) -> Iterator[dict[str, str | int | float]]:
    """Mean size of the genomes of each species."""
    members: dict[int, list[str]] = defaultdict(list)
    for name in sorted(sizes):
        members[taxids[name]].append(name)
    for taxid, names in sorted(members.items()):
        lineage = lineages[names[0]]
        yield {
            "taxid": taxid,
            "species": lineage[deepest_rank(lineage)],
            "genome_size": round(statistics.fmean(sizes[name] for name in names)),
            "genomes": len(names),
        }


# Tools ---------------------------------------------------------------------------------------


def run_tool(*command: str, log: Path, output: Path | None = None) -> None:
    """Run a tool; its messages go to `log`.

    Raises
    ------
    DatabaseError
        If it is not there or fails, with the end of what it said.
    """
    find_tool(command[0])
    with log.open("ab") as messages, (output or log).open("wb" if output else "ab") as out:
        done = subprocess.run(command, stdout=out, stderr=messages, check=False)
    if done.returncode:
        raise DatabaseError(
            f"{command[0]} ended with code {done.returncode}: {_tail(log)} Hint: often there was"
            " not enough memory or space on the disk; what was begun is deleted, build again."
        )


def find_tool(name: str) -> str:
    """Path of a tool.

    Raises
    ------
    DatabaseError
        If there is none.
    """
    path = shutil.which(name)
    if path is None:
        hint = (
            " or give --no-masking" if name == "dustmasker" else ", or run it where the tools are"
        )
        package = "ncbi-blast+ (conda: blast)" if name == "dustmasker" else "kraken2"
        raise DatabaseError(f"{name} is not on PATH. Hint: install {package}{hint}.")
    return path


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-3:]) + "."


def tool_versions(mask: bool) -> dict[str, str]:
    """Versions of the tools that make the files."""
    commands = {"kraken2": ("kraken2", "--version")}
    if mask:
        commands["dustmasker"] = ("dustmasker", "-version-full")
    versions = {}
    for name, command in commands.items():
        find_tool(name)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        # "Kraken version 2.1.2", and "dustmasker: 1.0.0" before the package of BLAST.
        words = done.stdout.split("\n")[0].replace(":", " ").split()
        versions[name] = words[-1] if words else "unknown"
    return versions


# Bracken's table -----------------------------------------------------------------------------


def cut_windows(sequence: str, length: int) -> Iterator[str]:
    """Reads of a sequence, a third of their length apart."""
    for start in range(0, len(sequence) - length + 1, max(1, length // WINDOWS_PER_READ)):
        yield sequence[start : start + length]


def classify_windows(
    database: Path, library: Path, length: int, options: BuildOptions, log: Path
) -> Counter[tuple[int, int]]:
    """Number of reads by the taxid of their genome and the taxid that kraken2 gives them to."""
    command = [
        "kraken2", "--db", str(database), "--threads", str(options.threads),
        "--confidence", str(options.confidence),
        "--minimum-hit-groups", str(options.hit_groups), "/dev/stdin",
    ]  # fmt: skip
    counts: Counter[tuple[int, int]] = Counter()
    with (
        log.open("ab") as messages,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        # In a thread of its own: kraken2 answers while it is still being asked.
        failure: list[BaseException] = []
        feeder = threading.Thread(
            target=_feed, args=(process.stdin, library, length, failure), daemon=True
        )
        feeder.start()
        for line in process.stdout:
            _, genome, taxid, _ = line.split("\t", 3)
            counts[int(genome), int(taxid)] += 1
        feeder.join()
    if failure:
        raise failure[0]
    if process.returncode:
        raise DatabaseError(
            f"kraken2 ended with code {process.returncode} on its own genomes: {_tail(log)}"
            " Hint: often there was not enough memory; build again."
        )
    return counts


def _feed(stream: IO[str], library: Path, length: int, failure: list[BaseException]) -> None:
    try:
        # Closed whatever happens: kraken2 would wait for more without end.
        with stream, dnaio.open(library, fileformat="fasta") as records:
            for record in records:
                taxid = record.name.split("|")[1]
                for window in cut_windows(record.sequence, length):
                    stream.write(f">{taxid}\n{window}\n")
    except BrokenPipeError:
        pass  # kraken2 ended early, which its exit code says
    except BaseException as error:
        failure.append(error)


def write_distribution(path: Path, counts: Mapping[tuple[int, int], int], length: int) -> None:
    """Write Bracken's table; windows count for all starts that they stand for."""
    step = max(1, length // WINDOWS_PER_READ)
    totals: Counter[int] = Counter()
    by_taxon: dict[int, dict[int, int]] = defaultdict(dict)
    for (genome, taxid), number in sorted(counts.items()):
        totals[genome] += number * step
        by_taxon[taxid][genome] = number * step
    with path.open("w", encoding="ascii") as out:
        out.write("mapped_taxid\tgenome_taxids:kmers_mapped:total_genome_kmers\n")
        for taxid, genomes in sorted(by_taxon.items()):
            entries = (f"{g}:{mapped}:{totals[g]}" for g, mapped in genomes.items())
            out.write(f"{taxid}\t{' '.join(entries)}\n")


# The folder ----------------------------------------------------------------------------------


def work_folder(folder: Path) -> AbstractContextManager[str]:
    """A folder to work in: within the database's, unless kraken2-build would cut its path.

    kraken2-build 2.1.2 is of shell scripts that do not quote their paths.

    Raises
    ------
    DatabaseError
        If the folder for temporary files has such a path too.
    """
    if not _CUT.search(str(folder.absolute())):
        return tempfile.TemporaryDirectory(prefix=".build-", dir=folder)
    if _CUT.search(tempfile.gettempdir()):
        raise DatabaseError(
            f"{folder.absolute()}: kraken2-build cannot work in a folder whose path has a blank or"
            f" one of * ? [ in it, and that for temporary files, {tempfile.gettempdir()!r}, has one"
            " too; set TMPDIR to a folder without"
        )
    return tempfile.TemporaryDirectory(prefix="fermentome-kraken2-")


_CUT = re.compile(r"[\s*?\[\\]")


def _move(source: Path, target: Path) -> None:
    """Move a file, to another file system too."""
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_file(source, target)


def clear_padding(options: Path) -> None:
    """Set the bytes of ``opts.k2d`` to zero that kraken2-build leaves as they were in memory."""
    data = bytearray(options.read_bytes())
    for span in OPTIONS_PADDING:
        for position in span:
            if position < len(data):
                data[position] = 0
    options.write_bytes(data)


def build_kraken2(
    genomes: Mapping[str, Path],
    lineages: Mapping[str, tuple[str, ...]],
    folder: Path,
    *,
    name: str,
    version: str,
    description: str,
    licence: str,
    options: BuildOptions,
    sources: Sequence[Source] = (),
    phenotypes: Path | None = None,
    table: str = "the lineage table",
) -> Manifest:
    """Build a database into an empty folder.

    Parameters
    ----------
    genomes
        FASTA file by genome name.
    lineages
        Lineage by genome name; one without species counts as a species of its own, without name.
    sources
        What it is made from besides the genomes.
    phenotypes
        Table of the routes of each genome, copied into the folder.
    table
        What the lineages were read from, for messages.

    Raises
    ------
    LineageError
        If a genome has no lineage.
    DatabaseError
        If a tool is missing or fails.
    ReferenceFolderError
        If a genome cannot be read.
    """
    missing = sorted(genomes.keys() - lineages.keys())
    if missing:
        raise LineageError(
            f"{table}: {len(missing)} of {len(genomes)} genomes have no row, the first is"
            f" {missing[0]!r} ({genomes[missing[0]].name})"
        )
    tools = tool_versions(options.mask)
    own = {genome: lineages[genome] for genome in sorted(genomes)}
    taxa = number_taxa(own.values())
    taxids = {genome: taxa[path_of(lineage)] for genome, lineage in own.items()}
    with work_folder(folder) as place:
        work, log = Path(place) / "db", Path(place) / "log"
        write_tree(work / "taxonomy", taxa)
        library = Path(place) / "library.fna"
        sizes = write_library(library, genomes, taxids)
        masking = () if options.mask else ("--no-masking",)
        database = ("--db", str(work))
        run_tool("kraken2-build", "--add-to-library", str(library), *database, *masking, log=log)
        run_tool("kraken2-build", "--build", *database, "--threads", "1", log=log)
        clear_padding(work / "opts.k2d")
        run_tool("kraken2-inspect", *database, log=log, output=folder / INSPECTION)
        for length in options.read_lengths:
            counts = classify_windows(work, library, length, options, log)
            write_distribution(folder / f"database{length}mers.kmer_distrib", counts, length)
        for file in ("hash.k2d", "opts.k2d", "taxo.k2d"):
            _move(work / file, folder / file)
    write_table(
        folder / GENOME_SIZES,
        ("taxid", "species", "genome_size", "genomes"),
        size_rows(sizes, taxids, own),
    )
    write_lineages(folder / LINEAGES, own)
    write_sources(folder / SOURCES, digest_genomes(genomes))
    if phenotypes is not None:
        copy_file(phenotypes, folder / PHENOTYPES)
    return write_manifest(
        folder,
        name=name,
        version=version,
        kind="taxonomy",
        engine="kraken2",
        description=description,
        licence=licence,
        sources=[
            Source(
                SOURCES, f"digests of {len(genomes)} genomes", sha256=sha256_of(folder / SOURCES)
            ),
            *sources,
        ],
        tools=tools,
        parameters={
            "kmer": 35,
            "minimizer": 31,
            "masked": options.mask,
            "read_lengths": list(options.read_lengths),
            "confidence": options.confidence,
            "minimum_hit_groups": options.hit_groups,
        },
        memory_mb=reckon_memory("kraken2", {"hash.k2d": (folder / "hash.k2d").stat().st_size}),
    )
