"""Proteins of the genomes that a reference is built from, with what their headers call them.

A genome comes as a proteome (product names in the headers), as coding sequences (``.ffn``), or as
contigs, whose genes are found by `fermentome.genes`. A proteome stands for its genome: names of
products are worth more than genes found anew.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from fermentome.errors import DatabaseError
from fermentome.genes import (
    NUCLEOTIDES,
    PROTEOME_SUFFIXES,
    GenomeFile,
    find_proteins,
    list_genomes,
    read_sequences,
)
from fermentome.reference import read_fasta

__all__ = ["CODONS", "MIN_GENE_AA", "GenomeProtein", "choose_files", "is_gene_file",
           "read_proteins", "translate"]  # fmt: skip

GENE_SUFFIXES = (".ffn.gz", ".ffn")
MIN_GENE_AA = 50

CODONS = dict(
    zip(
        ("".join(bases) for bases in product("TCAG", repeat=3)),
        "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG",
        strict=True,
    )
)
#: Start codons of NCBI's genetic code 11.
STARTS = frozenset({"TTG", "CTG", "ATT", "ATC", "ATA", "ATG", "GTG"})

_ORGANISM = re.compile(r" \[[^\[\]]*(\[[^\]]*\][^\]]*)?$")


@dataclass(frozen=True, slots=True)
class GenomeProtein:
    """A protein of a genome; `product` where its header names one."""

    accession: str
    genome: str
    sequence: str
    product: str = ""

    @property
    def key(self) -> str:
        """Unique id: RefSeq gives one accession to identical proteins of several genomes."""
        return f"{self.genome}|{self.accession}"


def choose_files(paths: Sequence[Path]) -> list[GenomeFile]:
    """One file per genome of files and folders, by name: its proteome where there is one.

    Raises
    ------
    DatabaseError
        If two proteomes, or two files of nucleotides, have the same name.
    """
    by_name: dict[str, dict[bool, list[GenomeFile]]] = defaultdict(lambda: defaultdict(list))
    for genome in list_genomes(paths):
        by_name[genome.name][_is_proteome(genome.path)].append(genome)
    for name, found in sorted(by_name.items()):
        for files in found.values():
            if len(files) > 1:
                raise DatabaseError(
                    f"genome {name!r}: {len(files)} files have this name"
                    f" ({', '.join(file.path.name for file in files)}); rename or remove all but"
                    " one, for genomes are told apart by the name of their file"
                )
    return [(found.get(True) or found[False])[0] for _, found in sorted(by_name.items())]


def _is_proteome(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(PROTEOME_SUFFIXES)


def is_gene_file(path: Path) -> bool:
    """Whether a file holds coding sequences, by its name."""
    return path.name.lower().endswith(GENE_SUFFIXES)


def read_proteins(genome: GenomeFile) -> Iterator[GenomeProtein]:
    """Proteins of a genome; of nucleotides, identical proteins are given once."""
    if is_gene_file(genome.path):
        return _translated_genes(genome)
    if _is_proteome(genome.path):
        return _proteome(genome)
    kind, records = read_sequences(genome.path)
    return _called_genes(genome, records) if kind == NUCLEOTIDES else _proteome(genome)


def _proteome(genome: GenomeFile) -> Iterator[GenomeProtein]:
    for identifier, description, sequence in read_fasta(genome.path):
        if not sequence:
            continue
        name = description.removeprefix("MULTISPECIES: ").removesuffix("]")
        yield GenomeProtein(identifier, genome.name, sequence, _ORGANISM.sub("", name))


def _translated_genes(genome: GenomeFile) -> Iterator[GenomeProtein]:
    """Translate coding sequences that begin in frame."""
    seen: set[str] = set()
    for number, (_, _, gene) in enumerate(read_fasta(genome.path), start=1):
        sequence = translate(gene)
        if len(sequence) >= MIN_GENE_AA and "*" not in sequence and sequence not in seen:
            seen.add(sequence)
            yield GenomeProtein(f"{genome.name}:{number}", genome.name, sequence)


def translate(gene: str) -> str:
    """Translate a coding sequence (genetic code 11), without its stop codon.

    Unknown codons become X; an incomplete last codon is left out.

    >>> translate("TTGAAATGA")
    'MK'
    """
    codons = [gene[i : i + 3] for i in range(0, len(gene) - 2, 3)]
    residues = [CODONS.get(codon, "X") for codon in codons]
    if codons and codons[0] in STARTS:
        residues[0] = "M"
    return "".join(residues).removesuffix("*")


def _called_genes(
    genome: GenomeFile, contigs: Sequence[tuple[str, str]]
) -> Iterator[GenomeProtein]:
    """Genes of contigs.

    The accession is ``contig:begin-end``, so that it does not depend on the genes before it.
    """
    seen: set[str] = set()
    for gene, sequence in find_proteins(contigs, NUCLEOTIDES, ""):
        if len(sequence) >= MIN_GENE_AA and sequence not in seen:
            seen.add(sequence)
            place = f"{gene.contig}:{gene.start}-{gene.end}"
            yield GenomeProtein(place, genome.name, sequence)
