"""Proteins made up for tests: families with an ancestor, members that drifted from it."""

import random
from collections.abc import Iterable
from pathlib import Path

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def random_protein(length: int, seed: str) -> str:
    """A protein that resembles no other."""
    rng = random.Random(seed)
    return "M" + "".join(rng.choice(RESIDUES) for _ in range(length - 1))


def drifted(sequence: str, identity: float, seed: str) -> str:
    """The sequence with another residue at each place that is not kept."""
    rng = random.Random(seed)
    places = range(1, len(sequence))
    changed = set(rng.sample(places, round(len(sequence) * (1 - identity))))
    return "".join(
        rng.choice(RESIDUES.replace(residue, "")) if place in changed else residue
        for place, residue in enumerate(sequence)
    )


def write_records(path: Path, records: Iterable[tuple[str, str]]) -> Path:
    """Write (header, sequence) pairs as FASTA."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f">{header}\n{sequence}\n" for header, sequence in records))
    return path
