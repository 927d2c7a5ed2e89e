"""Proteins of genomes: read a genome or proteome from FASTA, and find the genes of a genome.

What a file holds is told by its letters, not by its name: nucleotides are given to pyrodigal
(Prodigal's algorithm, doi:10.1186/1471-2105-11-119, doi:10.21105/joss.04296), proteins are taken
as they are. A genome of which nothing can be made is a `CalledGenome` that says so; the other
genomes are made all the same.
"""

import contextlib
import gzip
import os
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import TextIOWrapper
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pyrodigal

from fermentome.errors import FermentomeError
from fermentome.lineage import genome_key, is_genome_file

NUCLEOTIDES, PROTEINS = "genome", "proteome"
OK, EMPTY, FAILED = "ok", "empty", "failed"
PROTEOME_SUFFIXES = (".faa", ".pep")

#: Prodigal's author asks for 100 kb to train on; shorter genomes take the ready-made models.
TRAINING_BASES = 100_000
#: A run of so many N is a gap between contigs of a scaffold: genes beside it are cut by it.
GAP = 10
#: Share of letters A, C, G, T, U and N from which a sequence is of nucleotides. Below: proteins,
#: in which these six make up about a third.
NUCLEOTIDE_SHARE = 0.9
#: Shorter sequences do not say what they are.
TELLING_LETTERS = 50

_GZIP = b"\x1f\x8b"
_GAP = re.compile(f"N{{{GAP},}}")
_STRANGE = re.compile(r"[^A-Z*.\-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class GenomeError(FermentomeError):
    """A file is not a genome or proteome that can be used."""


@dataclass(frozen=True, slots=True)
class GenomeFile:
    """A genome's name and its file."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Protein:
    """A protein and where its gene lies.

    Attributes
    ----------
    identifier
        Unique in a batch of genomes: what DIAMOND sees.
    name
        In the file, or of the contig with the number of the gene.
    contig
        Empty for proteomes, as is everything that follows.
    index
        Number of the gene on its contig, from 1.
    start, end
        Bases of the contig, from 1, both included.
    cut_start, cut_end
        Whether the contig, or a gap in it, cuts the start or the end of the protein off.
    """

    identifier: str
    name: str
    length: int
    contig: str = ""
    index: int = 0
    start: int = 0
    end: int = 0
    cut_start: bool = False
    cut_end: bool = False

    def header(self) -> str:
        """Line of a FASTA file that holds all of this; see `parse_header`."""
        cells = [self.identifier, self.name, self.length, self.contig, self.index, self.start,
                 self.end, int(self.cut_start), int(self.cut_end)]  # fmt: skip
        return ">" + "\t".join(map(str, cells))


def parse_header(line: str) -> Protein:
    """Protein of a line that `Protein.header` made.

    >>> parse_header(Protein("0_1", "c_1", 90, "c", 1, 1, 270, True).header()).cut_start
    True
    """
    identifier, name, length, contig, index, start, end, *cuts = line[1:].rstrip("\n").split("\t")
    cut_start, cut_end = (cut == "1" for cut in cuts)
    return Protein(
        identifier, name, int(length), contig, int(index), int(start), int(end), cut_start, cut_end
    )


@dataclass(frozen=True, slots=True)
class CalledGenome:
    """A genome and its proteins.

    Attributes
    ----------
    kind
        ``genome``, ``proteome``, or empty where the file could not be read.
    contigs, bases, proteins
        How many; 0 where the kind has none.
    status
        ``ok``; ``empty`` for a genome without a gene; ``failed`` for a file that cannot be used.
    reason
        Why the status is not ``ok``.
    """

    name: str
    kind: str
    contigs: int = 0
    bases: int = 0
    proteins: int = 0
    status: str = OK
    reason: str = ""


# --- files ----------------------------------------------------------------------------------------


def genome_name(path: Path) -> str:
    """Name of a genome: that of its file without extensions, control characters made visible.

    >>> genome_name(Path("db/GCF_000005845.2_genomic.fna.gz")), genome_name(Path("a.faa"))
    ('GCF_000005845.2', 'a')
    """
    name = path.name
    bare = name[:-3] if name.lower().endswith(".gz") else name
    if bare.lower().endswith(PROTEOME_SUFFIXES):
        name = bare[:-4]
    return visible(genome_key(name))


def visible(text: str) -> str:
    r"""Text with tabs, line breaks and other control characters spelled out.

    >>> visible("a\tb")
    'a\\tb'
    """
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def is_genome_or_proteome(name: str) -> bool:
    """Whether a file of a folder is a genome or a proteome by its name."""
    bare = name.lower().removesuffix(".gz")
    return is_genome_file(name) or bare.endswith(PROTEOME_SUFFIXES)


def list_genomes(paths: Iterable[str | os.PathLike[str]]) -> list[GenomeFile]:
    """Genomes of files and folders, sorted by name; a file that is named twice counts once.

    Parameters
    ----------
    paths
        Files with any name, and folders, of which FASTA files are taken by their names.

    Raises
    ------
    GenomeError
        If there is nothing at a path, or a folder holds no FASTA file.
    """
    files: dict[Path, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            found = [entry for entry in path.iterdir() if is_genome_or_proteome(entry.name)]
            if not found:
                raise GenomeError(
                    f"{path}: no genome in this folder; expected FASTA files named .fna, .fa,"
                    " .fasta, .ffn (nucleotides) or .faa (proteins), also with .gz"
                )
        elif path.exists():
            found = [path]
        else:
            raise GenomeError(f"{path}: no such file or folder; expected genomes in FASTA")
        files |= {entry.resolve(): entry for entry in found}
    genomes = [GenomeFile(genome_name(path), path) for path in files.values()]
    return sorted(genomes, key=lambda genome: (genome.name, str(genome.path)))


def shared_names(genomes: Sequence[GenomeFile]) -> dict[str, str]:
    """Names that several files have, each with these files and their folders."""
    files = defaultdict(list)
    for genome in genomes:
        folder = genome.path.resolve().parent.name
        files[genome.name].append(visible(f"{folder}/{genome.path.name}"))
    return {name: ", ".join(given) for name, given in files.items() if len(given) > 1}


# --- FASTA ----------------------------------------------------------------------------------------


def read_sequences(path: Path) -> tuple[str, list[tuple[str, str]]]:
    """Kind of a FASTA file, plain or gzip, and its sequences by name, in upper case.

    Raises
    ------
    GenomeError
        If the file is damaged, empty, not FASTA, or holds both nucleotides and proteins.
    """
    text = _read_text(path)
    if not text.strip():
        raise GenomeError(f"{visible(path.name)}: empty; expected a FASTA file")
    if not text.lstrip().startswith(">"):
        hint = "; reads belong into the workflow" if text.startswith("@") else ""
        raise GenomeError(
            f"{visible(path.name)}: starts with {text.lstrip()[:20]!r}, not with '>'; expected a"
            f" FASTA file{hint}"
        )
    records = [_record(entry, path) for entry in ("\n" + text.lstrip()).split("\n>")[1:]]
    records = [(name, sequence) for name, sequence in records if sequence]
    if not records:
        raise GenomeError(f"{visible(path.name)}: headers without any sequence")
    return _kind(records, path), records


def _read_text(path: Path) -> str:
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == _GZIP
        with gzip.open(path, "rb") if packed else open(path, "rb") as stream:
            data = stream.read()
        text = data.decode("utf-8")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise GenomeError(
            f"{visible(path.name)}: damaged gzip file ({error}); restore it from its source"
        ) from error
    except UnicodeDecodeError as error:
        raise GenomeError(f"{visible(path.name)}: not text; expected a FASTA file") from error
    except OSError as error:
        raise GenomeError(f"{visible(path.name)}: cannot be read ({error.strerror})") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _record(entry: str, path: Path) -> tuple[str, str]:
    header, _, lines = entry.partition("\n")
    name = visible(header.split(maxsplit=1)[0]) if header.strip() else "unnamed"
    sequence = "".join(lines.split()).upper()
    strange = _STRANGE.search(sequence)
    if strange:
        raise GenomeError(
            f"{visible(path.name)}, sequence {name!r}: holds {strange[0]!r}; expected letters of"
            " nucleotides or amino acids"
        )
    return name, sequence.replace("-", "").replace(".", "")


def _kind(records: Sequence[tuple[str, str]], path: Path) -> str:
    examples: dict[str, str] = {}
    weights: Counter[str] = Counter()
    for name, sequence in records:
        share = sum(map(sequence.count, "ACGTUN")) / len(sequence)
        kind = NUCLEOTIDES if share >= NUCLEOTIDE_SHARE else PROTEINS
        weights[kind] += len(sequence)
        if len(sequence) >= TELLING_LETTERS:
            examples.setdefault(kind, name)
    if len(examples) > 1:
        raise GenomeError(
            f"{visible(path.name)}: {examples[NUCLEOTIDES]!r} is of nucleotides,"
            f" {examples[PROTEINS]!r} of amino acids; give genome and proteome in two files"
        )
    return next(iter(examples), max(sorted(weights), key=weights.__getitem__))


# --- genes ----------------------------------------------------------------------------------------


def find_proteins(
    records: Sequence[tuple[str, str]], kind: str, prefix: str
) -> Iterator[tuple[Protein, str]]:
    """Proteins of a genome with their sequences.

    Genes are found on both strands with the genetic code 11. Genes that run over the edge of a
    contig, or into a gap of N, are kept as far as they are there.

    Parameters
    ----------
    records
        Name and sequence of contigs or proteins.
    prefix
        Of the identifiers.
    """
    if kind == PROTEINS:
        for number, (name, sequence) in enumerate(records, start=1):
            sequence = sequence.rstrip("*")
            if sequence:
                yield Protein(f"{prefix}_{number}", name, len(sequence)), sequence
        return
    contigs = [(name, sequence.replace("U", "T")) for name, sequence in records]
    finder = _finder(contigs)
    number = 0
    for contig, sequence in contigs:
        index = 0
        for offset, piece in _pieces(sequence):
            for gene in finder.find_genes(piece):
                residues = gene.translate().rstrip("*")
                cuts = (gene.partial_begin, gene.partial_end)
                number += 1
                index += 1
                yield (
                    Protein(
                        f"{prefix}_{number}",
                        f"{contig}_{index}",
                        len(residues),
                        contig,
                        index,
                        gene.begin + offset,
                        gene.end + offset,
                        *(cuts if gene.strand == 1 else cuts[::-1]),
                    ),
                    residues,
                )


def _pieces(sequence: str) -> Iterator[tuple[int, bytes]]:
    """Parts of a scaffold between its gaps, each with its offset."""
    begin = 0
    for gap in [*_GAP.finditer(sequence), None]:
        end = gap.start() if gap else len(sequence)
        if end > begin:
            yield begin, sequence[begin:end].encode()
        begin = gap.end() if gap else end


def _finder(contigs: Sequence[tuple[str, str]]) -> pyrodigal.GeneFinder:
    """Gene finder for a genome: trained on it where it is long enough."""
    pieces = [piece for _, sequence in contigs for _, piece in _pieces(sequence)]
    if sum(map(len, pieces)) < TRAINING_BASES:
        return pyrodigal.GeneFinder(meta=True)
    finder = pyrodigal.GeneFinder()
    finder.train(*pieces)
    return finder


def call_genome(genome: GenomeFile, prefix: str) -> tuple[CalledGenome, list[tuple[Protein, str]]]:
    """Proteins of one genome; none where its file cannot be used, and why."""
    try:
        kind, records = read_sequences(genome.path)
    except GenomeError as error:
        return CalledGenome(genome.name, "", status=FAILED, reason=visible(str(error))), []
    proteins = list(find_proteins(records, kind, prefix))
    called = CalledGenome(genome.name, kind, proteins=len(proteins))
    if kind == NUCLEOTIDES:
        bases = sum(len(sequence) for _, sequence in records)
        called = replace(called, contigs=len(records), bases=bases)
        if not proteins:
            called = replace(called, status=EMPTY, reason=f"no gene found in {bases} bases")
    elif not proteins:
        called = replace(called, status=EMPTY, reason="no protein")
    return called, proteins


def call_genomes(
    genomes: Sequence[GenomeFile],
    proteins_path: str | os.PathLike[str],
    threads: int = 1,
    refused: dict[str, str] | None = None,
) -> list[CalledGenome]:
    """Find the genes of a batch of genomes and write all proteins into one FASTA file.

    Parameters
    ----------
    genomes
        In the order in which they are written.
    proteins_path
        Gzip FASTA whose headers hold what `parse_header` reads. Identifiers begin with the
        genome's position in the batch.
    threads
        Genomes at work at the same time; the result does not depend on it.
    refused
        Why genomes of some names are not made at all.
    """

    def call(item: tuple[int, GenomeFile]) -> tuple[CalledGenome, list[tuple[Protein, str]]]:
        position, genome = item
        if refused and genome.name in refused:
            return CalledGenome(genome.name, "", status=FAILED, reason=refused[genome.name]), []
        return call_genome(genome, str(position))

    called = []
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(open(proteins_path, "wb"))
        packed = stack.enter_context(gzip.GzipFile("", "wb", 1, raw, mtime=0))
        out = stack.enter_context(TextIOWrapper(packed, encoding="utf-8"))
        # Threads: pyrodigal works outside Python's lock.
        pool = stack.enter_context(ThreadPool(threads))
        for genome, proteins in pool.imap(call, enumerate(genomes)):
            called.append(genome)
            for protein, residues in proteins:
                out.write(f"{protein.header()}\n{residues}\n")
    return called


def read_proteins(path: str | os.PathLike[str]) -> Iterator[Protein]:
    """Proteins of a file that `call_genomes` wrote, without their sequences."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(">"):
                yield parse_header(line)
