"""Simulate Illumina reads from genomes whose content is known, with the truth that follows from it.

Fragments are drawn from genomes in proportion to cells times genome length, as in a sequencing
library. Base errors are substitutions; insertions, GC bias and duplicates are not modelled.
Everything random comes from one seed: the same seed gives the same bytes.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from fermentome.errors import FermentomeError

__all__ = [
    "NEXTERA",
    "TRUSEQ",
    "Adapters",
    "Genome",
    "ReadModel",
    "RunTruth",
    "SimulationError",
    "expected_copies",
    "fragment_counts",
    "normalised",
    "read_genome",
    "simulate_run",
]

Codes = npt.NDArray[np.uint8]

#: Fragments that are held in memory at once.
CHUNK = 4096
#: Quality values of instruments that report three bins.
QUALITY_BINS = (11, 25, 37)
#: Spread of the reported quality around the one that the error rate implies, and how much lower a
#: wrong base is reported; both only shape the quality lines.
QUALITY_SPREAD = 4.0
QUALITY_DROP_OF_ERRORS = 12.0
PHRED_OFFSET = 33
TILES = 96
READS_PER_TILE = 4000

_BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
_NO_SIGNAL = 2  # two-colour instruments call G where a fragment and its adapter have ended
_INVALID = 255
_CODE_OF = np.full(256, _INVALID, dtype=np.uint8)
for _code, _base in enumerate(b"ACGT"):
    _CODE_OF[_base] = _code
    _CODE_OF[ord(chr(_base).lower())] = _code


class SimulationError(FermentomeError):
    """A genome or a setting cannot be simulated."""


@dataclass(frozen=True)
class Adapters:
    """What is read after the end of a fragment, in the first and in the second mate."""

    read1: str
    read2: str


TRUSEQ = Adapters("AGATCGGAAGAGCACACGTCTGAACTCCAGTCA", "AGATCGGAAGAGCGTCGTGTAGGGAAAGAGTGT")
NEXTERA = Adapters("CTGTCTCTTATACACATCT", "CTGTCTCTTATACACATCT")


@dataclass(frozen=True)
class Genome:
    """A genome as numbers.

    Parameters
    ----------
    name
        How the truth calls it; never written to the reads.
    contigs
        One array per contig, 0 to 3 for A, C, G, T.
    circular
        Fragments may run over the end of a contig into its start.
    """

    name: str
    contigs: tuple[Codes, ...]
    circular: bool = False

    @property
    def length(self) -> int:
        """Bases of all contigs."""
        return sum(len(contig) for contig in self.contigs)


@dataclass(frozen=True)
class ReadModel:
    """How reads look.

    Parameters
    ----------
    read_length
        Bases of every read.
    insert_mean, insert_sd
        Length of the fragments (normal distribution), in bases.
    insert_min
        Shorter draws are raised to this length.
    error_first, error_last
        Chance of a wrong base at the first and the last position; it rises linearly between them,
        so that the mean is their mean.
    adapters
        Read where a fragment is shorter than the read.
    """

    read_length: int = 150
    insert_mean: float = 300.0
    insert_sd: float = 40.0
    insert_min: int = 35
    error_first: float = 0.001
    error_last: float = 0.006
    adapters: Adapters = TRUSEQ

    def __post_init__(self) -> None:
        """Refuse values that no library can have."""
        if self.read_length < 1:
            raise SimulationError(f"read_length is {self.read_length}, expected 1 or more")
        if not 1 <= self.insert_min <= self.insert_mean or self.insert_sd < 0:
            raise SimulationError(
                f"insert_min {self.insert_min}, insert_mean {self.insert_mean}, insert_sd "
                f"{self.insert_sd}: expected 1 <= insert_min <= insert_mean and insert_sd >= 0"
            )
        for rate in (self.error_first, self.error_last):
            if not 0 <= rate < 1:
                raise SimulationError(f"error rate {rate}: expected at least 0 and below 1")

    def error_rates(self) -> npt.NDArray[np.float64]:
        """Chance of a wrong base at each position of a read."""
        return np.linspace(self.error_first, self.error_last, self.read_length)


@dataclass(frozen=True)
class RunTruth:
    """What a simulated run holds.

    Parameters
    ----------
    fragments
        Fragments of each genome, host not included.
    host_fragments
        Fragments of the host.
    """

    fragments: Mapping[str, int]
    host_fragments: int

    @property
    def host_fraction(self) -> float:
        """Share of the fragments that are the host's; 0 of no fragment."""
        total = self.host_fragments + sum(self.fragments.values())
        return self.host_fragments / total if total else 0.0


@dataclass(frozen=True)
class _Fragments:
    """Fragments of one chunk: contig start, length, strand (True: reversed), source, contig."""

    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    reversed_: npt.NDArray[np.bool_]


def read_genome(path: str | Path, *, circular: bool = False) -> Genome:
    """Read a FASTA file, gzip or plain, as a genome named after the file.

    Parameters
    ----------
    path
        FASTA of A, C, G and T.
    circular
        Whether fragments may run over contig ends.

    Raises
    ------
    SimulationError
        If a record is empty, holds another letter, or there is none.
    """
    path = Path(path)
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    records = content.split(b">")[1:]
    contigs = []
    for record in records:
        header, _, body = record.partition(b"\n")
        codes = _CODE_OF[np.frombuffer(body.translate(None, b"\r\n"), dtype=np.uint8)]
        if not len(codes) or (codes == _INVALID).any():
            raise SimulationError(
                f"{path}, record {header.decode('ascii', 'replace')!r}: empty or with letters "
                "other than A, C, G, T; the simulator needs plain bases"
            )
        contigs.append(codes)
    if not contigs:
        raise SimulationError(f"{path}: no FASTA record")
    name = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return Genome(name, tuple(contigs), circular)


def normalised(abundance: Mapping[str, float]) -> dict[str, float]:
    """Abundances divided by their sum.

    Raises
    ------
    SimulationError
        If one is negative or all are zero.

    >>> normalised({"a": 3.0, "b": 1.0})
    {'a': 0.75, 'b': 0.25}
    """
    total = sum(abundance.values())
    negative = [name for name, value in abundance.items() if value < 0]
    if negative or total <= 0:
        raise SimulationError(
            f"abundances {dict(abundance)}: expected none negative and at least one above zero"
        )
    return {name: value / total for name, value in abundance.items()}


def fragment_counts(weights: Mapping[str, float], fragments: int) -> dict[str, int]:
    """Whole fragments shared out in proportion to weights, the largest remainders rounded up.

    Equal remainders go to the name that sorts first.

    >>> fragment_counts({"a": 0.5, "b": 0.3, "c": 0.2}, 9)
    {'a': 4, 'b': 3, 'c': 2}
    """
    exact = {name: share * fragments for name, share in normalised(weights).items()}
    counts = {name: int(value) for name, value in exact.items()}
    left = fragments - sum(counts.values())
    order = sorted(exact, key=lambda name: (counts[name] - exact[name], name))
    for name in order[:left]:
        counts[name] += 1
    return counts


def expected_copies(
    abundance: Mapping[str, float], copies: Mapping[str, Mapping[str, int]]
) -> dict[str, float]:
    r"""Copies of every family per genome equivalent of a community.

    .. math:: c_f = \frac{\sum_i a_i n_{if}}{\sum_i a_i}

    with the abundance of cells :math:`a_i` and the copies :math:`n_{if}` in genome `i`.

    Parameters
    ----------
    abundance
        Cells of each genome, in any unit.
    copies
        Per genome the copies of each family; a family that a genome does not name has none.

    Returns
    -------
    dict
        Family to copies per genome equivalent, families sorted.
    """
    shares = normalised(abundance)
    missing = [name for name in shares if name not in copies]
    if missing:
        raise SimulationError(f"genome {missing[0]!r} has an abundance but no family copies")
    families = sorted({family for counts in copies.values() for family in counts})
    return {
        family: sum(share * copies[name].get(family, 0) for name, share in shares.items())
        for family in families
    }


def simulate_run(
    genomes: Sequence[Genome],
    abundance: Mapping[str, float],
    model: ReadModel,
    fragments: int,
    seed: int,
    reads1: Path,
    reads2: Path | None = None,
    *,
    host: Genome | None = None,
    host_share: float = 0.0,
    lane: int = 1,
) -> RunTruth:
    """Write the reads of one run and return what is in it.

    Parameters
    ----------
    genomes
        Genomes of the community.
    abundance
        Cells of each genome by name, in any unit; a genome without one is left out.
    model
        How reads look.
    fragments
        Fragments to write, host included.
    seed
        Seed of everything random.
    reads1, reads2
        Gzip FASTQ to write; without the second, reads are single.
    host, host_share
        Genome of the host, and the share of the fragments that it gives.
    lane
        Lane number in the read names.

    Returns
    -------
    RunTruth
        Fragments of each genome and of the host. They are shared out exactly in proportion to
        cells times length; only their order and place are random.

    Raises
    ------
    SimulationError
        If an abundance names no genome, or host reads are asked for without a host.
    """
    known = {genome.name: genome for genome in genomes}
    unknown = sorted(set(abundance) - set(known))
    if unknown:
        raise SimulationError(
            f"abundance of {unknown[0]!r}: no such genome; known are {', '.join(sorted(known))}"
        )
    if not 0 <= host_share <= 1 or (host_share > 0 and host is None):
        raise SimulationError(
            f"host_share is {host_share} with host {host and host.name!r}; expected 0 to 1, and a "
            "host where it is above 0"
        )
    host_fragments = round(host_share * fragments)
    weights = {name: cells * known[name].length for name, cells in abundance.items()}
    counts = fragment_counts(weights, fragments - host_fragments)
    sources = [known[name] for name in counts]
    amounts = list(counts.values())
    if host is not None:
        sources.append(host)
        amounts.append(host_fragments)
    rng = np.random.Generator(np.random.PCG64(seed))
    paths = [reads1] if reads2 is None else [reads1, reads2]
    _write_reads(paths, _chunks(sources, amounts, model, len(paths), rng), lane)
    return RunTruth(counts, host_fragments)


def _chunks(
    sources: Sequence[Genome],
    amounts: Sequence[int],
    model: ReadModel,
    mates: int,
    rng: np.random.Generator,
) -> Iterator[list[tuple[Codes, Codes]]]:
    """Bases and qualities of each mate, chunk after chunk, sources mixed at random.

    Without replacement from what is left, so that the totals are exact and every chunk is a fair
    sample of the run.
    """
    left = np.asarray(amounts, dtype=np.int64)
    while left.sum():
        take = rng.multivariate_hypergeometric(left, min(CHUNK, int(left.sum())))
        left = left - take
        parts = [
            _reads_of(source, int(amount), model, mates, rng)
            for source, amount in zip(sources, take, strict=True)
            if amount
        ]
        order = rng.permutation(int(take.sum()))
        chunk = []
        for mate in range(mates):
            bases = np.concatenate([part[mate] for part in parts])[order]
            chunk.append(_with_errors(bases, model, rng))
        yield chunk


def _reads_of(
    genome: Genome, amount: int, model: ReadModel, mates: int, rng: np.random.Generator
) -> list[Codes]:
    """Error-free reads of fragments of one genome, mate by mate."""
    lengths = np.array([len(contig) for contig in genome.contigs], dtype=np.int64)
    contig_of = rng.choice(len(lengths), size=amount, p=lengths / lengths.sum())
    reads = [np.empty((amount, model.read_length), dtype=np.uint8) for _ in range(mates)]
    for number, contig in enumerate(genome.contigs):
        rows = np.flatnonzero(contig_of == number)
        if not len(rows):
            continue
        fragments = _draw_fragments(len(contig), len(rows), genome.circular, model, rng)
        adapters = (model.adapters.read1, model.adapters.read2)
        for mate in range(mates):
            reads[mate][rows] = _mate(contig, fragments, mate, adapters[mate], model.read_length)
    return reads


def _draw_fragments(
    contig_length: int, amount: int, circular: bool, model: ReadModel, rng: np.random.Generator
) -> _Fragments:
    """Places of fragments on one contig; none is longer than the contig."""
    drawn = np.rint(rng.normal(model.insert_mean, model.insert_sd, amount)).astype(np.int64)
    lengths = np.minimum(np.maximum(drawn, model.insert_min), contig_length)
    last = np.full(amount, contig_length) if circular else contig_length - lengths + 1
    return _Fragments(rng.integers(0, last), lengths, rng.random(amount) < 0.5)


def _mate(contig: Codes, fragments: _Fragments, mate: int, adapter: str, read_length: int) -> Codes:
    """Read one end of every fragment, then the adapter, then no signal."""
    offset = np.arange(read_length)[None, :]
    lengths = fragments.lengths[:, None]
    backwards = (fragments.reversed_ ^ (mate == 1))[:, None]
    starts = fragments.starts[:, None]
    position = np.where(backwards, starts + lengths - 1 - offset, starts + offset)
    bases = contig[position % len(contig)]
    bases = np.where(backwards, 3 - bases, bases)
    tail = np.full(read_length, _NO_SIGNAL, dtype=np.uint8)
    codes = _CODE_OF[np.frombuffer(adapter.encode("ascii"), dtype=np.uint8)][:read_length]
    tail[: len(codes)] = codes
    beyond = offset - lengths
    read: Codes = np.where(beyond >= 0, tail[np.maximum(beyond, 0)], bases)
    return read


def _with_errors(bases: Codes, model: ReadModel, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """Substitute bases at the rates of the model, and give each base a binned quality."""
    rates = model.error_rates()
    wrong = rng.random(bases.shape) < rates
    shift = rng.integers(1, 4, bases.shape, dtype=np.uint8)
    called = np.where(wrong, (bases + shift) % 4, bases).astype(np.uint8)
    # A rate of zero has no finite quality; 60 is above every bin.
    implied = -10 * np.log10(np.maximum(rates, 1e-6))
    quality = implied + rng.normal(0, QUALITY_SPREAD, bases.shape).astype(np.float32)
    quality = quality - QUALITY_DROP_OF_ERRORS * wrong
    bins = np.array(QUALITY_BINS)
    edges = (bins[1:] + bins[:-1]) / 2
    return called, bins[np.digitize(quality, edges)].astype(np.uint8)


def _write_reads(
    paths: Sequence[Path], chunks: Iterator[list[tuple[Codes, Codes]]], lane: int
) -> None:
    """Write the mates of every chunk to their files, names in step."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        writers = [_GzipWriter(stack.enter_context(open(path, "wb"))) for path in paths]
        first = 0
        for chunk in chunks:
            for mate, (bases, quality) in enumerate(chunk, start=1):
                writers[mate - 1].write(_fastq(bases, quality, first, lane, mate))
            first += len(chunk[0][0])
        for writer in writers:
            writer.finish()


class _GzipWriter:
    """Gzip without name and time in the header, so that the same reads give the same bytes."""

    # Time and operating system of the header are the values for "not known".
    HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    LEVEL = 4

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle
        self._deflate = zlib.compressobj(self.LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = 0
        self._size = 0
        handle.write(self.HEADER)

    def write(self, data: bytes) -> None:
        """Compress and write."""
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._handle.write(self._deflate.compress(data))

    def finish(self) -> None:
        """Write what is left, the checksum and the size."""
        trailer = self._crc.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little")
        self._handle.write(self._deflate.flush() + trailer)


def _fastq(bases: Codes, quality: Codes, first: int, lane: int, mate: int) -> bytes:
    """FASTQ text of one mate; names count the fragments and say nothing of their source."""
    letters = _BASES[bases]
    marks = (quality + PHRED_OFFSET).astype(np.uint8)
    lines = []
    for row in range(len(bases)):
        tile, place = divmod(first + row, READS_PER_TILE)
        name = (
            f"@SIM:1:FERMENTOME:{lane}:{1101 + tile % TILES}:{1000 + place}:{1000 + tile // TILES}"
            f" {mate}:N:0:ATCACG\n"
        )
        lines.append(
            name.encode("ascii") + letters[row].tobytes() + b"\n+\n" + marks[row].tobytes() + b"\n"
        )
    return b"".join(lines)
