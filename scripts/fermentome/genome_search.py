"""Genome mode on this machine: find the genes of a batch of genomes, search and score them.

In the workflow the three steps are rules (workflow/rules/genomes.smk). Here they run one after the
other, for ``fermentome genomes`` and for the phenotypes of a taxonomic database.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fermentome.catalogue import Catalogue
from fermentome.genes import GenomeError, GenomeFile, call_genomes
from fermentome.genomes import (
    HIT_COLUMNS,
    MIN_BITS,
    TABLES,
    Member,
    ScoredGenome,
    score_batch,
    write_called,
)

__all__ = ["BATCH", "SEARCH", "GenomeSearcher", "diamond_version", "index_proteins", "run_diamond"]

#: Genomes in a batch: enough for DIAMOND to work on, little enough to hold.
BATCH = 25
#: Flags of the search, the same as in the workflow (workflow/rules/genomes.smk).
SEARCH = ("--sensitive", "--max-target-seqs", "0", "--min-score", str(MIN_BITS),
          "--block-size", "0.4", "--index-chunks", "1")  # fmt: skip


@dataclass(frozen=True)
class GenomeSearcher:
    """What batches of genomes are searched with.

    Attributes
    ----------
    index
        DIAMOND database of the protein reference, see `index_proteins`.
    members
        Family and domain of each protein of the reference.
    lineages
        Names of the seven ranks by genome.
    refused
        Why genomes of some names are not made.
    """

    index: Path
    members: Mapping[str, Member]
    lineages: Mapping[str, tuple[str, ...]]
    catalogue: Catalogue
    threads: int
    refused: dict[str, str] = field(default_factory=dict)

    def run(self, genomes: Sequence[GenomeFile], folder: Path) -> list[ScoredGenome]:
        """Write the tables of a batch into a folder, each as ``<table>.tsv`` of `TABLES`.

        Parameters
        ----------
        genomes
            In the order in which they are written.
        folder
            Made if it is not there; holds the tables only in the end.
        """
        folder.mkdir(exist_ok=True)
        proteins, called, hits = (
            folder / name for name in ("proteins.faa.gz", "called.tsv", "hits.tsv")
        )
        found = call_genomes(genomes, proteins, self.threads, self.refused)
        write_called(called, found)
        hits.touch()
        if any(genome.proteins for genome in found):  # DIAMOND refuses an empty file
            _diamond(
                "blastp", "--query", proteins, "--db", self.index, "--out", hits, *SEARCH,
                "--outfmt", "6", *HIT_COLUMNS, threads=self.threads,
            )  # fmt: skip
        tables = {table: folder / f"{table}.tsv" for table in TABLES}
        scored = score_batch(
            called, proteins, hits, self.members, self.lineages, self.catalogue, tables
        )
        for path in (proteins, called, hits):
            path.unlink()
        return scored


def index_proteins(fasta: Path, index: Path, threads: int) -> None:
    """Make the DIAMOND database of a protein reference."""
    _diamond("makedb", "--in", fasta, "--db", index, threads=threads)


def diamond_version() -> str:
    """Version of DIAMOND, such as ``2.1.3``."""
    return run_diamond("version").split()[-1]


def _diamond(command: str, *arguments: str | Path, threads: int) -> None:
    run_diamond(command, *arguments, "--threads", str(threads))


def run_diamond(command: str, *arguments: str | Path) -> str:
    """What DIAMOND writes to standard output.

    Raises
    ------
    GenomeError
        If it is not there, or ends with an error.
    """
    program = shutil.which("diamond")
    if program is None:
        raise GenomeError(
            "diamond is not on PATH; `make setup` finds or installs it, or install DIAMOND 2.1"
        )
    done = subprocess.run(
        [program, command, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise GenomeError(f"diamond {command} ended with {done.returncode}: {last[0]}")
    return done.stdout
