"""Genome mode on a set of genomes, with the reference as it is and without close relatives.

The reference of the shared data holds proteins of the very genomes that are judged. So every
genome is scored again after all reference proteins that are at least so and so identical to one
of its own proteins have been taken away: their hits are dropped, and families that have no other
member are unknown to that run.
"""

from __future__ import annotations

import gzip
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fermentome.catalogue import Catalogue
from fermentome.command_genomes import SEARCH
from fermentome.genes import CalledGenome, GenomeFile, call_genomes, read_proteins
from fermentome.genomes import (
    HIT_COLUMNS,
    Member,
    ScoredGenome,
    Scorer,
    hits_by_genome,
    members_of,
    read_hits,
)
from fermentome.reference import read_reference

FULL = "full"
#: Part of a reference protein that a hit must cover for its identity to tell of kinship.
KIN_COVER = 0.5


@dataclass(frozen=True)
class Search:
    """Genes and hits of a batch of genomes.

    Parameters
    ----------
    called
        What became of each genome, in the order of the batch.
    proteins
        Their proteins, as `call_genomes` writes them.
    hits
        Hits of the proteins in the whole reference.
    """

    called: tuple[CalledGenome, ...]
    proteins: Path
    hits: Path


def read_members(reference: Path, catalogue: Catalogue) -> dict[str, Member]:
    """Family and domain of each protein of a reference folder."""
    known = [*catalogue.families, *catalogue.single_copy]
    return members_of(read_reference(reference, known))


def find_file(data: Path, genome: str, folders: Sequence[str]) -> GenomeFile | None:
    """File of a genome in the first of some folders that has one."""
    for folder in folders:
        for path in sorted((data / folder).glob(f"{genome}.f*a*")):
            return GenomeFile(genome, path)
    return None


def search(genomes: Sequence[GenomeFile], reference: Path, work: Path, threads: int) -> Search:
    """Find genes and compare their proteins with the reference, as genome mode does."""
    work.mkdir(parents=True, exist_ok=True)
    proteins, hits, index = work / "proteins.faa.gz", work / "hits.tsv", work / "reference.dmnd"
    called = call_genomes(genomes, proteins, threads)
    _diamond("makedb", "--in", str(reference / "proteins.faa.gz"), "--db", str(index))
    _diamond(
        "blastp", "--query", str(proteins), "--db", str(index), "--out", str(hits),
        *SEARCH, "--threads", str(threads), "--outfmt", "6", *HIT_COLUMNS,
    )  # fmt: skip
    return Search(tuple(called), proteins, hits)


def _diamond(*arguments: str) -> None:
    subprocess.run(["diamond", *arguments, "--quiet"], check=True)


def close_relatives(hits: Path, identity: float) -> dict[int, set[str]]:
    """Reference proteins by position of the genome to whose proteins they are that identical.

    Parameters
    ----------
    hits
        Table of hits, `HIT_COLUMNS`.
    identity
        Per cent, over at least `KIN_COVER` of the reference protein.
    """
    relatives: dict[int, set[str]] = defaultdict(set)
    for position, subject, line in _rows(hits):
        cells = line.split("\t")
        cover = (int(cells[8]) - int(cells[7]) + 1) / int(cells[4])
        if float(cells[2]) >= identity and cover >= KIN_COVER:
            relatives[position].add(subject)
    return relatives


def _rows(hits: Path) -> Iterator[tuple[int, str, str]]:
    with hits.open(encoding="utf-8") as lines:
        for line in lines:
            query, subject, _ = line.split("\t", 2)
            yield int(query.split("_")[0]), subject, line


def score(
    found: Search,
    members: Mapping[str, Member],
    lineages: Mapping[str, tuple[str, ...]],
    catalogue: Catalogue,
    removed: Mapping[int, Collection[str]],
    work: Path,
) -> list[ScoredGenome]:
    """Annotate and score each genome without the proteins that were removed for it.

    Parameters
    ----------
    members
        Proteins of the whole reference.
    removed
        Proteins of the reference that do not exist for the genome at that position.
    work
        Folder for the hits that stay.
    """
    work.mkdir(parents=True, exist_ok=True)
    kept = work / "kept.tsv"
    with kept.open("w", encoding="utf-8") as out:
        for position, subject, line in _rows(found.hits):
            if subject not in removed.get(position, ()):
                out.write(line)
    of_genome = dict(hits_by_genome(read_proteins(found.proteins), read_hits(kept, members)))
    kept.unlink()
    genomes = []
    for position, called in enumerate(found.called):
        gone = removed.get(position, ())
        known = [member for protein, member in members.items() if protein not in gone]
        scorer = Scorer(catalogue, known, lineages)
        genomes.append(scorer.score(called, of_genome.get(position, ())))
    return genomes


def read_sequences(proteins: Path) -> Iterator[tuple[int, str, str]]:
    """Position of the genome, name and residues of each protein of a search."""
    with gzip.open(proteins, "rt", encoding="utf-8") as lines:
        header = ""
        for line in lines:
            if line.startswith(">"):
                header = line
            else:
                identifier, name = header[1:].split("\t")[:2]
                yield int(identifier.split("_")[0]), name, line.strip()
