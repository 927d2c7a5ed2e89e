"""Check the reference of the host before reads are trusted to it.

minimap2 takes a truncated or an empty file for a small genome and reports success. For a filter
that keeps human reads out of results that is the worst way to fail.
"""

import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from fermentome.errors import ReferenceFolderError
from fermentome.tables import write_table

HOST_COLUMNS = ("file", "sequences", "bases")
INDEX_MAGIC = b"MMI\2"
NUCLEOTIDES = b"ACGTUNacgtun"
LEAST_NUCLEOTIDES = 0.9
"""Share of A, C, G, T and N in a genome; the rest are rare codes of ambiguity. A protein has
about 0.4."""
BLOCK = 1 << 20


def read_blocks(path: Path) -> Iterator[bytes]:
    """Content of a plain or gzip-compressed file, a megabyte at a time.

    Raises
    ------
    ReferenceFolderError
        If the compressed file is cut off or damaged.
    """
    open_bytes = gzip.open if path.suffix == ".gz" else open
    try:
        with open_bytes(path, "rb") as handle:
            while block := handle.read(BLOCK):
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ReferenceFolderError(
            f"{path}: the host reference is cut off or damaged ({error}); fetch it again, or host"
            " reads would stay in"
        ) from error


def measure_fasta(path: Path) -> tuple[int, int]:
    """Number of sequences and of bases of a nucleotide FASTA file.

    Raises
    ------
    ReferenceFolderError
        If the file is not FASTA, holds no sequence, or holds something else than nucleotides.
    """
    sequences = bases = nucleotides = 0
    in_header = at_start = False
    first = True
    for block in read_blocks(path):
        if first and not block.startswith(b">"):
            raise ReferenceFolderError(
                f"{path}: the host reference begins with {block[:1]!r}, '>' of a FASTA file or a"
                " minimap2 index (.mmi) was expected"
            )
        for number, line in enumerate(block.split(b"\n")):
            starts = number > 0 or first or at_start
            if starts:
                in_header = line.startswith(b">")
                sequences += in_header
            if not in_header:
                letters = line.strip()
                bases += len(letters)
                nucleotides += len(letters) - len(letters.translate(None, NUCLEOTIDES))
        at_start = block.endswith(b"\n")
        first = False
    if not sequences or not bases:
        raise ReferenceFolderError(
            f"{path}: the host reference holds no sequence; host reads would stay in"
        )
    if nucleotides < LEAST_NUCLEOTIDES * bases:
        raise ReferenceFolderError(
            f"{path}: {nucleotides / bases:.0%} of the letters are A, C, G, T or N, at least"
            f" {LEAST_NUCLEOTIDES:.0%} were expected of a genome; is it a protein file?"
        )
    return sequences, bases


def measure_index(path: Path) -> int:
    """Number of sequences in a minimap2 index.

    Raises
    ------
    ReferenceFolderError
        If the file is no index, or an empty one.
    """
    with path.open("rb") as handle:
        header = handle.read(24)
    if len(header) < 24 or not header.startswith(INDEX_MAGIC):
        raise ReferenceFolderError(
            f"{path}: not a minimap2 index; make one with `minimap2 -x sr -I 1000G -d`, or give"
            " the FASTA file"
        )
    sequences: int = struct.unpack("<5I", header[4:])[3]
    if not sequences:
        raise ReferenceFolderError(f"{path}: the index holds no sequence")
    return sequences


def check_host(path: str | os.PathLike[str], table_path: str | os.PathLike[str]) -> None:
    """Check the host reference and write its size.

    Parameters
    ----------
    path
        FASTA file, plain or gzip, or minimap2 index.
    table_path
        Table to write; the bases of an index are not counted.

    Raises
    ------
    ReferenceFolderError
        If reads could not be told from the host's with this file.
    """
    path = Path(path)
    bases: int | None = None
    if path.suffix == ".mmi":
        sequences = measure_index(path)
    else:
        sequences, bases = measure_fasta(path)
    write_table(
        table_path, HOST_COLUMNS, [{"file": path.name, "sequences": sequences, "bases": bases}]
    )
