"""Mask a host genome where bacteria resemble it, so that their reads are not taken for the host's.

As Hostile does (Constantinides et al. 2023, doi:10.1093/bioinformatics/btad728;
https://github.com/bede/hostile, ``hostile mask``), the bacterial genomes are cut into 150-mers in
steps of 10, these are aligned to the host with all their secondary alignments (minimap2 -N 10000
-p 0.0001), and what they align to is hidden with N. Three things are done otherwise:

- the preset is ``sr``, that of the reads: it takes pieces from about 25 bases, which Hostile's
  preset for long reads leaves unmasked;
- what aligned is aligned again to the masked host, until nothing aligns any more. Repeats move from
  one place to the next (so did JGI for the genomes of its RQCFilter,
  https://ref-db.edgebioinformatics.org/NMDC/RQCFilterData/commonMicrobes/readme.txt);
- what is the host's own in a genome is not masked. Thousands of assemblies hold human DNA, nearly
  always as small contigs (doi:10.1101/gr.245373.118, doi:10.1371/journal.pone.0162424), and masking
  it would let human reads through. A contig of which half resembles the host is left out, and so
  are stretches of a few hundred bases that are the same, as JGI did
  (https://jgi.doe.gov/data-and-tools/software-tools/bbtools/bb-tools-user-guide/bbmask-guide).
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from fermentome.errors import DatabaseError
from fermentome.genes import GenomeError, read_sequences
from fermentome.host import measure_fasta, read_blocks
from fermentome.tables import write_table

__all__ = [
    "HostDna",
    "Mask",
    "MaskReport",
    "find_mask",
    "index_host",
    "join_fasta",
    "mask_fasta",
    "masked_bases",
    "memory_needed",
    "minimap2_version",
    "read_bed",
    "sequence_lengths",
    "write_bed",
    "write_host_dna",
    "write_report",
]

FASTA, INDEX, MASK = "host.fa.gz", "host.mmi", "mask.bed"
REPORT, HOST_DNA = "mask.tsv", "host_dna.tsv"
KMER, STEP = 150, 10
PRESET = "sr"
#: Flags of the search; -c because without it positions are those of seeds, not of alignments.
SEARCH = ("-c", "-x", PRESET, "-N", "10000", "-p", "0.0001")
#: One part, whatever the size of the genome: samtools cannot read the output of several.
ONE_PART = ("-I", "1000G")
MOST_ROUNDS = 20
#: A 150-mer that aligns over this share of its bases with this identity is the host's sequence.
HOST_COVER, HOST_IDENTITY = 0.95, 0.98
#: Such 150-mers one after the other over so many bases are host DNA in an assembly: conserved
#: genes are far less alike over such a stretch.
HOST_STRETCH = 500
#: A contig of which this share aligns is host DNA, of a repeat that the host genome has only in
#: like copies; or the same letter over and over, which is nobody's.
HOST_CONTIG = 0.5
LINE = 60
BLOCK = 1 << 20
MEGABYTE = 1_000_000
#: minimap2 2.24 holds the index and a batch of 50 million bases of reads for each thread.
BASE_MEMORY, MEMORY_PER_BYTE = 1000, 1.1

Interval = tuple[int, int]
Mask = Mapping[str, Sequence[Interval]]
"""Intervals by sequence: from 0, the end not included; sorted, apart from each other."""


# --- masks ----------------------------------------------------------------------------------------


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Join intervals that overlap or touch.

    >>> merge([(5, 9), (0, 3), (3, 4), (8, 12)])
    [(0, 4), (5, 12)]
    """
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def join_masks(masks: Iterable[Mask]) -> dict[str, list[Interval]]:
    """Mask of all that any of several masks hides, sorted by sequence."""
    intervals: dict[str, list[Interval]] = defaultdict(list)
    for mask in masks:
        for name, parts in mask.items():
            intervals[name] += parts
    return {name: merge(intervals[name]) for name in sorted(intervals)}


def masked_bases(mask: Mask) -> int:
    """Number of bases that a mask hides."""
    return sum(end - start for parts in mask.values() for start, end in parts)


def read_bed(path: Path, lengths: Mapping[str, int]) -> dict[str, list[Interval]]:
    """Read a mask.

    Parameters
    ----------
    lengths
        Bases of each sequence of the host.

    Raises
    ------
    DatabaseError
        If a line is not of a BED file, or an interval is not within a sequence of the host.
    """
    intervals: dict[str, list[Interval]] = defaultdict(list)
    for number, line in enumerate(_read_text(path), start=1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        name, *cells = line.rstrip("\r\n").split("\t")
        if len(cells) < 2 or not (cells[0].isdecimal() and cells[1].isdecimal()):
            raise DatabaseError(
                f"{path}, line {number}: {line.strip()[:80]!r}; expected sequence, start and end"
                " of a BED file, separated by tabs"
            )
        start, end = int(cells[0]), int(cells[1])
        if name not in lengths or not start < end <= lengths[name]:
            raise DatabaseError(
                f"{path}, line {number}: {name}:{start}-{end} is not within a sequence of the"
                f" host, where {name!r} has {lengths.get(name, 0)} bases; give the mask of this"
                " very genome"
            )
        intervals[name].append((start, end))
    return {name: merge(parts) for name, parts in sorted(intervals.items())}


def _read_text(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as lines:
            yield from lines
    except (OSError, UnicodeDecodeError) as error:
        raise DatabaseError(f"{path}: cannot be read ({error}); expected a BED file") from error


def write_bed(path: Path, mask: Mask) -> None:
    """Write a mask."""
    with path.open("w", encoding="utf-8", newline="") as out:
        for name in sorted(mask):
            for start, end in mask[name]:
                out.write(f"{name}\t{start}\t{end}\n")


def write_report(path: Path, lengths: Mapping[str, int], mask: Mask) -> None:
    """Write the bases and the masked bases of each sequence, in their order."""
    write_table(
        path,
        ("sequence", "bases", "masked", "regions"),
        (
            {
                "sequence": name,
                "bases": bases,
                "masked": sum(end - start for start, end in mask.get(name, ())),
                "regions": len(mask.get(name, ())),
            }
            for name, bases in lengths.items()
        ),
    )


# --- FASTA ----------------------------------------------------------------------------------------


def read_fasta(path: Path) -> Iterator[tuple[str, bytearray]]:
    """Headers (without ``>``) and sequences of a file, plain or gzip, one sequence at a time."""
    header: str | None = None
    sequence = bytearray()
    rest = b""
    for block in read_blocks(path):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            header, sequence, done = _take(line, header, sequence)
            if done:
                yield done
    header, sequence, done = _take(rest, header, sequence)
    if done:
        yield done
    if header is not None:
        yield header, sequence


def _take(
    line: bytes, header: str | None, sequence: bytearray
) -> tuple[str | None, bytearray, tuple[str, bytearray] | None]:
    if line.startswith(b">"):
        done = None if header is None else (header, sequence)
        return line[1:].decode("utf-8", "replace").strip(), bytearray(), done
    sequence += line.strip()
    return header, sequence, None


def name_of(header: str) -> str:
    """Name of a sequence: the first word of its header."""
    return header.split(maxsplit=1)[0] if header else ""


def sequence_lengths(path: Path) -> dict[str, int]:
    """Bases of each sequence of a host genome.

    Raises
    ------
    DatabaseError
        If a name stands twice or is empty.
    ReferenceFolderError
        If the file is damaged, or not a genome.
    """
    measure_fasta(path)
    lengths: dict[str, int] = {}
    for header, sequence in read_fasta(path):
        name = name_of(header)
        if not name or name in lengths:
            raise DatabaseError(
                f"{path}: sequence {name!r} stands twice or has no name; names must be unique"
            )
        lengths[name] = len(sequence)
    return lengths


def join_fasta(paths: Sequence[Path], target: Path) -> None:
    """Write the genomes of several files, plain or gzip, into one plain file."""
    with target.open("wb") as out:
        for path in paths:
            last = b""
            for block in read_blocks(path):
                if not last and not block.startswith(b">"):
                    raise DatabaseError(
                        f"{path}: begins with {block[:1]!r}, '>' of a FASTA file was expected"
                    )
                out.write(block)
                last = block[-1:]
            if not last:
                raise DatabaseError(f"{path}: is empty; a genome in FASTA was expected")
            if last != b"\n":
                out.write(b"\n")


def mask_fasta(source: Path, mask: Mask, target: Path) -> None:
    """Write a genome with N in place of what is masked, all else as it was.

    Parameters
    ----------
    target
        Compressed if it ends with ``.gz``, with the same bytes wherever and whenever.
    """
    with ExitStack() as stack:
        plain = stack.enter_context(target.open("wb"))
        write: Callable[[bytes], object] = plain.write
        if target.suffix == ".gz":
            packed = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=plain, mtime=0)
            write = stack.enter_context(packed).write
        for header, sequence in read_fasta(source):
            for start, end in mask.get(name_of(header), ()):
                sequence[start:end] = b"N" * (end - start)
            write(f">{header}\n".encode())
            for start in range(0, len(sequence), LINE * 1000):
                part = sequence[start : start + LINE * 1000]
                lines = (part[n : n + LINE] for n in range(0, len(part), LINE))
                write(b"\n".join(lines) + b"\n")


# --- what bacteria share with the host ------------------------------------------------------------


class Kmer(NamedTuple):
    """A piece of a bacterial genome: genome and contig by number, first base, sequence."""

    genome: int
    contig: int
    start: int
    sequence: str

    @property
    def end(self) -> int:
        """Base behind the last one."""
        return self.start + len(self.sequence)

    def record(self) -> str:
        """FASTA record whose name says all of this; see `parse`."""
        return f">{self.genome}:{self.contig}:{self.start}:{self.sequence}\n{self.sequence}\n"

    @staticmethod
    def parse(name: str) -> Kmer:
        """Piece of the name of a record.

        >>> Kmer.parse("0:2:10:ACGT")
        Kmer(genome=0, contig=2, start=10, sequence='ACGT')
        """
        genome, contig, start, sequence = name.split(":")
        return Kmer(int(genome), int(contig), int(start), sequence)


Place = tuple[int, int]
"""Numbers of a genome and of its contig."""


class Contig(NamedTuple):
    """A contig: its name and its bases."""

    name: str
    length: int


@dataclass(frozen=True)
class HostDna:
    """A stretch of a bacterial assembly that is the host's sequence."""

    genome: str
    contig: str
    start: int
    end: int


@dataclass
class MaskReport:
    """What the search for shared sequence found.

    Attributes
    ----------
    kmers, shared
        Pieces of the genomes, and those of them that aligned to the host.
    by_genome
        Shared pieces by genome.
    rounds
        Times that pieces were aligned.
    left
        Pieces that still align after the last round.
    host_dna
        Stretches that were not masked because they are the host's own.
    """

    kmers: int = 0
    shared: int = 0
    by_genome: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    left: int = 0
    host_dna: list[HostDna] = field(default_factory=list)


def write_host_dna(path: Path, stretches: Iterable[HostDna]) -> None:
    """Write the stretches of bacterial assemblies that are the host's; from 0, end not included."""
    columns = ("genome", "contig", "start", "end")
    write_table(path, columns, map(asdict, stretches))


class Alignment(NamedTuple):
    """A piece of a genome on the host.

    Attributes
    ----------
    contig_start, contig_end
        What of the contig aligns.
    target, start, end
        Where on the host.
    like_host
        Whether the whole piece is the host's sequence.
    """

    kmer: Kmer
    contig_start: int
    contig_end: int
    target: str
    start: int
    end: int
    like_host: bool


def find_mask(
    host: Path, genomes: Mapping[str, Path], work: Path, threads: int, given: Mask | None = None
) -> tuple[dict[str, list[Interval]], MaskReport]:
    """Find what to mask in a host genome.

    Parameters
    ----------
    host
        FASTA file, plain or gzip.
    genomes
        FASTA files of bacterial genomes by name.
    work
        Folder for the masked genome of each round.
    given
        Mask that is there already, and part of the result.

    Returns
    -------
    dict, MaskReport
        The mask, which does not depend on `threads`, and what was found.
    """
    report = MaskReport(by_genome=dict.fromkeys(genomes, 0))
    mask = join_masks([given or {}])
    masked = host
    if mask:
        masked = work / "masked.fa"
        mask_fasta(host, mask, masked)
    contigs: dict[Place, Contig] = {}
    pieces = _find_shared(masked, genomes, contigs, threads, report)
    while pieces and report.rounds < MOST_ROUNDS:
        report.rounds += 1
        # Held are the regions and not the alignments: a repeat has thousands of these.
        regions: dict[str, set[Interval]] = defaultdict(set)
        left = set()
        for alignment in _align(masked, pieces, threads):
            left.add(alignment.kmer)
            regions[alignment.target].add((alignment.start, alignment.end))
        pieces = sorted(left)
        if pieces:
            mask = join_masks([mask, {name: sorted(parts) for name, parts in regions.items()}])
            masked = work / "masked.fa"
            mask_fasta(host, mask, masked)
    report.left = len(pieces)
    return mask, report


def _find_shared(
    host: Path,
    genomes: Mapping[str, Path],
    contigs: dict[Place, Contig],
    threads: int,
    report: MaskReport,
) -> list[Kmer]:
    """Pieces of the genomes that align to the host and are not the host's own."""
    names = list(genomes)
    shared: dict[Place, set[Kmer]] = defaultdict(set)
    aligned: dict[Place, set[Interval]] = defaultdict(set)
    like: dict[Place, set[Interval]] = defaultdict(set)
    for alignment in _align(host, _cut(genomes, contigs, report), threads):
        kmer, place = alignment.kmer, alignment.kmer[:2]
        shared[place].add(kmer)
        aligned[place].add((alignment.contig_start, alignment.contig_end))
        if alignment.like_host:
            like[place].add((kmer.start, kmer.end))
    report.rounds = 1
    left: set[Kmer] = set()
    for place in sorted(shared):
        contig, kmers = contigs[place], shared[place]
        report.shared += len(kmers)
        report.by_genome[names[place[0]]] += len(kmers)
        for start, end in _host_stretches(contig, aligned[place], like[place]):
            report.host_dna.append(HostDna(names[place[0]], contig.name, start, end))
            # Pieces across the border of the stretch are in part the host's.
            kmers = {kmer for kmer in kmers if kmer.end <= start or end <= kmer.start}
        left |= kmers
    return sorted(left)


def _host_stretches(
    contig: Contig, aligned: Iterable[Interval], like: Iterable[Interval]
) -> list[Interval]:
    """Stretches of a contig that are host DNA."""
    if sum(end - start for start, end in merge(aligned)) >= HOST_CONTIG * contig.length:
        return [(0, contig.length)]
    return [(start, end) for start, end in merge(like) if end - start >= HOST_STRETCH]


def _cut(
    genomes: Mapping[str, Path], contigs: dict[Place, Contig], report: MaskReport
) -> Iterator[Kmer]:
    """Pieces of all genomes, with those at the end of each contig; short contigs are one piece."""
    for number, path in enumerate(genomes.values()):
        try:
            _, records = read_sequences(path)
        except GenomeError as error:
            raise DatabaseError(f"{path}: {error}") from error
        for index, (name, sequence) in enumerate(records):
            last = max(len(sequence) - KMER, 0)
            contigs[number, index] = Contig(name, len(sequence))
            for start in sorted({*range(0, last + 1, STEP), last}):
                report.kmers += 1
                yield Kmer(number, index, start, sequence[start : start + KMER])


# --- minimap2 -------------------------------------------------------------------------------------


def _align(host: Path, pieces: Iterable[Kmer], threads: int) -> Iterator[Alignment]:
    """Alignments of pieces of genomes to the host, written and read at the same time."""
    command = [_minimap2(), *SEARCH, *ONE_PART, "-t", str(threads), os.fspath(host), "-"]
    failure: list[BaseException] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        stdin = process.stdin

        def feed() -> None:
            try:
                with stdin:
                    for piece in pieces:
                        stdin.write(piece.record())
            except BrokenPipeError:
                pass  # minimap2 ended; its exit code says why
            except BaseException as error:
                failure.append(error)

        messages: list[str] = []
        writer = threading.Thread(target=feed, daemon=True)
        reader = threading.Thread(target=lambda: messages.extend(process.stderr or ()), daemon=True)
        writer.start()
        reader.start()
        for line in process.stdout:
            yield _parse_alignment(line)
        writer.join()
        reader.join()
        code = process.wait()
    if failure:
        raise failure[0]
    if code:
        raise _failed(code, messages)


def _parse_alignment(line: str) -> Alignment:
    """Alignment of a line of minimap2's PAF."""
    cells = line.split("\t", 12)
    kmer = Kmer.parse(cells[0])
    first, last, start, end, matches, aligned = (int(cells[n]) for n in (2, 3, 7, 8, 9, 10))
    whole = last - first >= HOST_COVER * KMER
    return Alignment(
        kmer,
        kmer.start + first,
        kmer.start + last,
        cells[5],
        start,
        end,
        whole and matches >= HOST_IDENTITY * aligned,
    )


def index_host(fasta: Path, index: Path, threads: int) -> None:
    """Index a host genome for short reads, in one part."""
    command = [_minimap2(), "-x", PRESET, *ONE_PART, "-t", str(threads), "-d", os.fspath(index),
               os.fspath(fasta)]  # fmt: skip
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise _failed(done.returncode, done.stderr.splitlines())


def minimap2_version() -> str:
    """Version of minimap2, such as ``2.24-r1122``."""
    done = subprocess.run([_minimap2(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _minimap2() -> str:
    program = shutil.which("minimap2")
    if program is None:
        raise DatabaseError(
            "minimap2 is not on PATH; `make setup` finds or installs it, or install minimap2 2.24"
        )
    return program


def _failed(code: int, messages: Sequence[str]) -> DatabaseError:
    last = messages[-1].strip() if messages else "no message"
    hint = "; it ran out of memory" if code in (-9, 137) else ""
    return DatabaseError(f"minimap2 ended with {code}: {last}{hint}")


def memory_needed(index: Path) -> int:
    """Megabytes that the removal of host reads takes with an index; see `MEMORY_PER_BYTE`."""
    return round(BASE_MEMORY + MEMORY_PER_BYTE * index.stat().st_size / MEGABYTE)
