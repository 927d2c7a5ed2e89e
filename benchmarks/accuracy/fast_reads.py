"""Draw millions of read pairs from genomes with numpy, and write what each search needs of them.

`fermentome.simulate` writes real-looking runs for the tests; this one is for benchmarks that need
tens of millions of pairs. Reads are clean: no adapter, no host, one length, substitutions only.

Most of a genome resembles no protein of the reference. Its reads would be searched for nothing,
so they are not: `reachable` finds, with the same search program at a lower score, the stretches of
the genomes where a read can reach the reference. The species profile gets every read.
"""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]

CHUNK = 50_000
"""Pairs drawn at once."""
PADDING = 1000
"""Bases of the start of a stretch repeated after its end, so that depth is even up to the ends.
Longer than any insert."""
SHORTEST_STRETCH = 1000
QUALITY = 23
"""Phred score of every base: that of the error rate of the default model."""
TILE, TILE_STEP = 300, 150
"""Every read of up to 150 bases lies whole within a tile."""
TILE_SCORE = 30
"""Bits: what the pipeline asks of a read, and a read is part of a tile. 5 % of 17 gut genomes."""

_BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
_CODE_OF = np.full(256, 255, dtype=np.uint8)
for _code, _base in enumerate(b"ACGT"):
    _CODE_OF[_base] = _CODE_OF[ord(chr(_base).lower())] = _code


@dataclass(frozen=True)
class ReadModel:
    """Length and errors of reads, length of fragments; bases."""

    read_length: int
    insert_mean: float = 300.0
    insert_sd: float = 50.0
    error_rate: float = 0.005


class Genomes:
    """Genomes end to end as numbers.

    Attributes
    ----------
    bases
        0 to 3 for A, C, G, T. Every stretch is followed by `PADDING` bases of its own start.
    sizes
        Bases by genome, without the padding.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        parts: list[Codes] = []
        self.sizes: dict[str, int] = {}
        self.starts: dict[str, npt.NDArray[np.int64]] = {}
        self.lengths: dict[str, npt.NDArray[np.int64]] = {}
        position = 0
        for name, path in sorted(paths.items()):
            starts, lengths = [], []
            for stretch in stretches(path):
                starts.append(position)
                lengths.append(len(stretch))
                padded = np.concatenate([stretch, np.resize(stretch, PADDING)])
                parts.append(padded)
                position += len(padded)
            self.starts[name] = np.array(starts, dtype=np.int64)
            self.lengths[name] = np.array(lengths, dtype=np.int64)
            self.sizes[name] = int(sum(lengths))
        self.bases = np.concatenate(parts)

    def places(self, name: str, amount: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Places in `bases`, each base of a genome equally likely."""
        ends = np.cumsum(self.lengths[name])
        drawn = rng.integers(0, ends[-1], amount)
        stretch = np.searchsorted(ends, drawn, side="right")
        before = ends[stretch] - self.lengths[name][stretch]
        places: npt.NDArray[np.int64] = self.starts[name][stretch] + drawn - before
        return places


def stretches(path: Path) -> Iterator[Codes]:
    """Stretches of plain bases of a FASTA file, gzip or plain; short ones are passed over."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    for record in content.split(b">")[1:]:
        sequence = record.partition(b"\n")[2].translate(None, b"\r\n").upper()
        for piece in re.split(rb"[^ACGT]+", sequence):
            if len(piece) >= SHORTEST_STRETCH:
                yield _CODE_OF[np.frombuffer(piece, dtype=np.uint8)]


def reachable(
    genomes: Genomes, index: Path, folder: Path, threads: int, options: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Bases of the genomes from which a read can reach a protein of an index.

    Parameters
    ----------
    options
        Of the search, without the lowest score.
    """
    query, table = folder / "tiles.fna", folder / "tiles.tsv"
    with query.open("wb") as handle:
        for name, starts in genomes.starts.items():
            for start, length in zip(starts, genomes.lengths[name], strict=True):
                tiles = np.arange(start, start + length, TILE_STEP)
                letters = _BASES[genomes.bases[tiles[:, None] + np.arange(TILE)[None, :]]]
                handle.writelines(
                    b">%d\n%s\n" % (tile, row.tobytes())
                    for tile, row in zip(tiles, letters, strict=True)
                )
    subprocess.run(
        ["diamond", "blastx", "--query", str(query), "--db", str(index), "--out", str(table),
         "--threads", str(threads), "--quiet", *options, "--min-score", str(TILE_SCORE),
         "--max-target-seqs", "1", "--outfmt", "6", "qseqid"],
        check=True,
    )  # fmt: skip
    hit = np.zeros(len(genomes.bases), dtype=bool)
    for line in set(table.read_text().split()):
        hit[int(line) : int(line) + TILE] = True
    query.unlink()
    table.unlink()
    return hit


def draw(
    genomes: Genomes,
    shares: Mapping[str, float],
    pairs: int,
    model: ReadModel,
    rng: np.random.Generator,
    found: npt.NDArray[np.bool_] | None,
    every: IO[bytes] | None,
    searched: IO[bytes],
) -> dict[str, int]:
    """Draw pairs and write them interleaved.

    Parameters
    ----------
    shares
        Share of the cells by genome; pairs go by cells times genome size.
    found
        See `reachable`; None searches every read.
    every
        FASTQ of all reads; None if not wanted.
    searched
        FASTA of the reads to search.

    Returns
    -------
    dict
        Pairs by genome.
    """
    names = sorted(shares)
    weights = np.array([shares[name] * genomes.sizes[name] for name in names])
    weights /= weights.sum()
    before = None if found is None else np.concatenate([[0], np.cumsum(found, dtype=np.int32)])
    totals = np.zeros(len(names), dtype=np.int64)
    for first in range(0, pairs, CHUNK):
        amounts = rng.multinomial(min(CHUNK, pairs - first), weights)
        totals += amounts
        place = np.concatenate(
            [genomes.places(name, int(n), rng) for name, n in zip(names, amounts, strict=True)]
        )
        rng.shuffle(place)
        number = first + np.arange(len(place))
        reads, starts = _mates(genomes.bases, place, model, rng)
        if every is not None:
            every.write(_fastq(number, reads))
        if before is None:
            wanted = np.ones(starts.shape, dtype=bool)
        else:
            wanted = before[starts + model.read_length] > before[starts]
        searched.write(_fasta(number, reads, wanted))
    return {name: int(total) for name, total in zip(names, totals, strict=True)}


def _mates(
    bases: Codes, place: npt.NDArray[np.int64], model: ReadModel, rng: np.random.Generator
) -> tuple[Codes, npt.NDArray[np.int64]]:
    """Read both ends of fragments; bases (fragment, mate, position) and leftmost places."""
    r = model.read_length
    insert = np.rint(rng.normal(model.insert_mean, model.insert_sd, len(place))).astype(np.int64)
    insert = np.clip(insert, r, PADDING)
    left, right = place, place + insert - r
    offset = np.arange(r)
    forward = bases[left[:, None] + offset]
    backward = 3 - bases[right[:, None] + offset[::-1]]
    turned = rng.random(len(place)) < 0.5
    reads = np.stack([forward, backward], axis=1)
    reads[turned] = reads[turned][:, ::-1]
    starts = np.stack([left, right], axis=1)
    starts[turned] = starts[turned][:, ::-1]
    flat = reads.reshape(-1)
    wrong = rng.integers(0, flat.size, rng.binomial(flat.size, model.error_rate))
    flat[wrong] = (flat[wrong] + rng.integers(1, 4, len(wrong), dtype=np.uint8)) % 4
    return reads, starts


def _names(number: npt.NDArray[np.int64], mark: bytes) -> npt.NDArray[np.uint8]:
    """Name lines (fragment, mate, letters) of one width: mark, number, ``/1`` or ``/2``."""
    digits = (number[:, None] // 10 ** np.arange(8, -1, -1)) % 10 + ord("0")
    names = np.empty((len(number), 2, 13), dtype=np.uint8)
    names[:, :, 0] = mark[0]
    names[:, :, 1:10] = digits[:, None, :]
    names[:, :, 10] = ord("/")
    names[:, :, 11] = np.array([ord("1"), ord("2")])
    names[:, :, 12] = ord("\n")
    return names


def _fastq(number: npt.NDArray[np.int64], reads: Codes) -> bytes:
    shape = reads.shape[:2]
    middle = np.broadcast_to(np.frombuffer(b"\n+\n", dtype=np.uint8), (*shape, 3))
    quality = np.broadcast_to(np.uint8(QUALITY + 33), reads.shape)
    end = np.broadcast_to(np.uint8(ord("\n")), (*shape, 1))
    parts = [_names(number, b"@"), _BASES[reads], middle, quality, end]
    return np.concatenate(parts, axis=2).tobytes()


def _fasta(number: npt.NDArray[np.int64], reads: Codes, wanted: npt.NDArray[np.bool_]) -> bytes:
    end = np.broadcast_to(np.uint8(ord("\n")), (*reads.shape[:2], 1))
    parts = [_names(number, b">"), _BASES[reads], end]
    return np.concatenate(parts, axis=2)[wanted].tobytes()
