"""Profile HMMs on candidate reads: an alternative that ``calibrate.py`` compares.

For families that are easily confused, profiles are built from the reference without the relatives
of what is tested (four folds), and candidate reads, those with any hit of the search, are scored
with all of them. Needs pyhmmer, which nothing else in the project needs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import harness
import numpy as np
import numpy.typing as npt

GROUPS: tuple[tuple[str, ...], ...] = (
    ("but", "abfT", "cat1"),
    ("mmdA", "mmct12S", "decoy_pccB_accD"),
    ("buk", "ackA", "decoy_buk_branched"),
    ("ptb", "pta", "decoy_ptb_branched"),
    ("bcd", "decoy_fadE_mmgC", "decoy_caiA"),
)
"""Families that score alike."""
FOLDS = 4
MOST_MEMBERS = 80
"""Members that make a profile; more add time and little else."""
FEWEST_MEMBERS = 3


def available() -> bool:
    """Whether pyhmmer can be imported."""
    try:
        import pyhmmer  # noqa: F401
    except ImportError:
        return False
    return True


@dataclass(frozen=True)
class ProfileResult:
    """Scores of candidate reads by profiles.

    Attributes
    ----------
    rows
        Numbers of the reads.
    bits
        Reads by the families of the group; 0 for none.
    families
        Numbers of the families.
    build_seconds, search_seconds
        Time on one core.
    """

    rows: harness.Ints
    bits: npt.NDArray[np.float32]
    families: tuple[int, ...]
    build_seconds: float
    search_seconds: float


def build_profile(name: str, sequences: Sequence[str], alphabet: Any) -> Any:
    """Profile of unaligned sequences: all are aligned to a profile of one of typical length."""
    import pyhmmer

    builder = pyhmmer.plan7.Builder(alphabet, seed=42)
    background = pyhmmer.plan7.Background(alphabet)
    block = pyhmmer.easel.DigitalSequenceBlock(
        alphabet,
        [
            pyhmmer.easel.TextSequence(name=f"{number}".encode(), sequence=text).digitize(alphabet)
            for number, text in enumerate(sequences)
        ],
    )
    typical = sorted(range(len(sequences)), key=lambda number: len(sequences[number]))
    hmm, _, _ = builder.build(block[typical[len(typical) // 2]], background)
    for _ in range(2):
        aligned = pyhmmer.hmmer.hmmalign(hmm, block, trim=True, digitize=True, cpus=1)
        aligned.name = name.encode()
        hmm, _, _ = builder.build_msa(aligned, background)
    return hmm


def frames(bases: npt.NDArray[np.uint8]) -> list[str]:
    """The six translations of a read; stop codons become X."""
    found = []
    for strand in (bases, harness._COMPLEMENT[bases[::-1]]):
        text = harness._LETTER[strand].tobytes().decode("ascii")
        for shift in range(3):
            codons = (text[at : at + 3] for at in range(shift, len(text) - 2, 3))
            found.append(
                "".join(harness.sources.CODONS.get(codon, "X") for codon in codons).replace(
                    "*", "X"
                )
            )
    return found


def fold_of(reads: harness.Reads, material: harness.Material) -> harness.Ints:
    """Fold of each read: by its source, or by the genus of its genome."""
    genera = sorted(set(material.genomes.genus))
    by_genome = np.array([genera.index(genus) for genus in material.genomes.genus])
    place = np.full(len(material.proteins.names), 0)
    place[material.drawn] = np.arange(len(material.drawn))
    of_source = place[np.where(reads.genome < 0, reads.gene, 0)]
    return np.where(reads.genome < 0, of_source, by_genome[np.maximum(reads.genome, 0)]) % FOLDS


def score_group(
    group: Sequence[str],
    candidates: harness.Ints,
    reads: harness.Reads,
    material: harness.Material,
    removal: float,
    rng: np.random.Generator,
) -> ProfileResult | None:
    """Score candidates with the profiles of a group from which their relatives are left out."""
    import pyhmmer

    proteins = material.proteins
    numbers = tuple(proteins.families.index(name) for name in group if name in proteins.families)
    alphabet = pyhmmer.easel.Alphabet.amino()
    folds = fold_of(reads, material)
    bits = np.zeros((len(candidates), len(numbers)), dtype=np.float32)
    build = search = 0.0
    for fold in range(FOLDS):
        mine = np.flatnonzero(folds[candidates] == fold)
        if not len(mine):
            continue
        left_out = _relatives_of(reads, candidates[mine], material, removal)
        started = time.perf_counter()
        hmms = []
        for place, number in enumerate(numbers):
            members = np.flatnonzero((proteins.family == number) & ~left_out)
            if len(members) < FEWEST_MEMBERS:
                continue
            if len(members) > MOST_MEMBERS:
                members = rng.choice(members, MOST_MEMBERS, replace=False)
            hmm = build_profile(
                f"{place}", [proteins.sequences[member] for member in members], alphabet
            )
            hmms.append(hmm)
        build += time.perf_counter() - started
        started = time.perf_counter()
        queries = pyhmmer.easel.DigitalSequenceBlock(
            alphabet,
            [
                pyhmmer.easel.TextSequence(name=f"{row}.{number}".encode(), sequence=text).digitize(
                    alphabet
                )
                for row in mine
                for number, text in enumerate(frames(reads.bases[candidates[row]]))
            ],
        )
        for found in pyhmmer.hmmer.hmmsearch(
            hmms, queries, cpus=1, T=5.0, domT=5.0, bias_filter=False, F1=0.2, F2=0.1, F3=0.05
        ):
            query = found.query.name
            place = int(query.decode() if isinstance(query, bytes) else query)
            for hit in found:
                label = hit.name.decode() if isinstance(hit.name, bytes) else hit.name
                row = int(label.partition(".")[0])
                bits[row, place] = max(bits[row, place], hit.best_domain.score)
        search += time.perf_counter() - started
    return ProfileResult(candidates, bits, numbers, build, search)


def _relatives_of(
    reads: harness.Reads, rows: harness.Ints, material: harness.Material, removal: float
) -> npt.NDArray[np.bool_]:
    """Proteins that are too close to the source or gene of any of these reads."""
    total = len(material.proteins.names)
    left_out = np.zeros(total, dtype=bool)
    of_source = reads.genome[rows] < 0
    for pairs, origins in (
        (material.source_pairs, set(reads.gene[rows[of_source]].tolist())),
        (material.gene_pairs, set(reads.gene[rows[~of_source]].tolist())),
    ):
        close = (pairs["identity"] >= removal - 1e-3) & np.isin(pairs["query"], list(origins))
        left_out[pairs["subject"][close]] = True
    left_out[reads.gene[rows[of_source]]] = True
    return left_out


def timing(results: Mapping[str, ProfileResult]) -> tuple[float, float, int]:
    """Seconds for building and searching, and candidates, of all groups together."""
    return (
        sum(result.build_seconds for result in results.values()),
        sum(result.search_seconds for result in results.values()),
        sum(len(result.rows) for result in results.values()),
    )
