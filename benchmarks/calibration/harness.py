"""Reads of known origin, searched in a protein reference from which their relatives are left out.

Used by ``calibrate.py`` (which decides what a read must reach to count) and by
``../accuracy/reads.py`` (which judges it). Reads come from two kinds of places:

* *sources*: proteins of the reference, one of each cluster at 70 % identity, back-translated and
  set between pieces of real genomes;
* *genomes*: all of them, at even depth. Genes that resemble any target are sampled more densely
  than the rest, and every read carries the inverse of its depth as a weight.

All reads of one length are searched once, every hit kept. Leaving relatives out then means
dropping hits: those to proteins that are as identical to the gene of the read as a limit says.
The search does not know how large the reference is (a lowest score instead of an E-value), so
that dropping hits gives what a smaller reference would give.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.csv as arrow_csv

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "benchmarks" / "real"))

import pyrodigal  # noqa: E402  (needs the path above)
from build_reference import find_genomes  # noqa: E402

from fermentome.catalogue import Catalogue, CatalogueFiles, load_catalogue  # noqa: E402
from fermentome.databases.labels import read_tsv  # noqa: E402
from fermentome.databases.proteomes import (  # noqa: E402
    CODONS,
    MIN_GENE_AA,
    is_gene_file,
    translate,
)
from fermentome.errors import FermentomeError  # noqa: E402
from fermentome.lineage import RANKS, parse_lineage  # noqa: E402
from fermentome.reference import read_fasta, read_reference  # noqa: E402

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LENGTHS = (75, 100, 150, 250)
REMOVALS = (100, 70, 50)
"""Relatives are left out from this identity on, per cent; 100 leaves out the protein itself and
others that are the same over the whole alignment."""
COVER_OF_SHORTER = 0.5
"""An identity counts if the alignment covers this share of the shorter protein."""
MOST_SOURCES = 40
CLUSTER_IDENTITY = 70.0
READS_PER_FAMILY = 500
MIN_IN_GENE = 0.6
"""A read must find its gene if this share of it lies inside."""
TOUCHES_GENE = 25
"""Nucleotides of a gene in a read from which an assignment to its family is not an error."""
ERROR_FIRST, ERROR_LAST = 0.002, 0.008
DEPTH_NEAR, DEPTH_REST = 2.0, 0.4
"""Coverage of genes that resemble a target, and of everything else."""
METHOD = "1"
"""Changes with the way in which reads are drawn and scored; what was kept before is not used."""
SEARCH_FLOOR = 25.0
MIN_COVER = 0.6
FLANK = 250

# A gene belongs to a family on the same terms on which benchmarks/real builds the reference.
MEMBER_IDENTITY, MEMBER_COVER, MEMBER_MARGIN = 40.0, 70.0, 1.1
# A gene without a label whose best full-length hit is this near a family may be a member.
PART_IDENTITY = 80.0
DOUBT_IDENTITY, DOUBT_COVER, DOUBT_MARGIN = 30.0, 60.0, 1.1


class BenchmarkError(FermentomeError):
    """The benchmark lacks something that it needs."""


# --- the reference --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proteins:
    """The protein reference as arrays; families by number."""

    names: tuple[str, ...]
    sequences: tuple[str, ...]
    family: Ints
    families: tuple[str, ...]
    genus: tuple[str, ...]
    genome: tuple[str, ...]
    accession: tuple[str, ...]
    digest: str

    @property
    def lengths(self) -> Ints:
        """Amino acids of each protein."""
        return np.array([len(sequence) for sequence in self.sequences])


def read_catalogue(folder: Path | None = None) -> Catalogue:
    """The repository's catalogue, or that of another folder with the same file names."""
    resources = folder or ROOT / "workflow" / "resources"
    return load_catalogue(CatalogueFiles.in_folders(resources, ROOT / "workflow" / "schemas"))


def read_proteins(folder: Path) -> Proteins:
    """Read a protein reference folder."""
    reference = read_reference(folder)
    rows = list(reference.proteins.values())
    sequence = {record.identifier: record.sequence for record in read_fasta(reference.fasta)}
    families = tuple(sorted({row.family for row in rows}))
    number = {family: index for index, family in enumerate(families)}
    return Proteins(
        names=tuple(row.protein for row in rows),
        sequences=tuple(sequence[row.protein] for row in rows),
        family=np.array([number[row.family] for row in rows]),
        families=families,
        genus=tuple(parse_lineage(row.lineage)[RANKS.index("genus")] for row in rows),
        genome=tuple(
            row.source.removeprefix("genome:") if row.source.startswith("genome:") else ""
            for row in rows
        ),
        accession=tuple(row.accession for row in rows),
        digest=hashlib.sha256(reference.fasta.read_bytes()).hexdigest(),
    )


# --- searches -------------------------------------------------------------------------------------


def diamond(*arguments: str) -> None:
    """Run DIAMOND.

    Raises
    ------
    BenchmarkError
        If it is not there or fails.
    """
    try:
        subprocess.run(
            ["diamond", *arguments, "--quiet"], check=True, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise BenchmarkError("diamond is not on the PATH; install it (make setup)") from error
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(
            f"diamond {arguments[0]} failed with exit code {error.returncode}: "
            f"{error.stderr.strip()[-500:]}"
        ) from error


def write_numbered(path: Path, sequences: Sequence[str]) -> None:
    """Write sequences under their numbers."""
    with path.open("w", encoding="ascii") as out:
        out.writelines(f">{number}\n{text}\n" for number, text in enumerate(sequences))


def make_index(proteins: Proteins, folder: Path, threads: int) -> Path:
    """Index the reference, proteins under their numbers, if the folder does not hold it yet."""
    index = folder / f"reference-{proteins.digest[:12]}.dmnd"
    if not index.exists():
        fasta, partial = folder / "reference.faa", folder / "partial.dmnd"
        write_numbered(fasta, proteins.sequences)
        diamond("makedb", "--in", str(fasta), "--db", str(partial), "--threads", str(threads))
        partial.rename(index)
    return index


def read_columns(path: Path, columns: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Columns of a headerless table of numbers; an empty file gives empty columns."""
    if path.stat().st_size == 0:
        return {name: np.zeros(0, dtype=kind) for name, kind in columns.items()}
    table = arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(column_names=list(columns)),
        parse_options=arrow_csv.ParseOptions(delimiter="\t"),
    )
    return {name: table[name].to_numpy().astype(kind) for name, kind in columns.items()}


SENSITIVITY = "--mid-sensitive"
"""Of the search that says how identical proteins are; finds what is 40 % identical or more."""
PAIR_COLUMNS = {
    "query": np.int32,
    "subject": np.int32,
    "identity": np.float32,
    "length": np.int32,
    "query_cover": np.float32,
    "subject_cover": np.float32,
    "bits": np.float32,
}
Pairs = dict[str, npt.NDArray[Any]]


def search_proteins(
    queries: Sequence[str], index: Path, folder: Path, threads: int, *options: str
) -> Pairs:
    """All hits of proteins in the reference, both under their numbers."""
    fasta, table = folder / "queries.faa", folder / "pairs.tsv"
    write_numbered(fasta, queries)
    diamond(
        "blastp", "--query", str(fasta), "--db", str(index), "--out", str(table),
        "--threads", str(threads), "--masking", "0", "-k", "0", "--min-score", "30",
        *options, "--outfmt", "6",
        "qseqid", "sseqid", "pident", "length", "qcovhsp", "scovhsp", "bitscore",
    )  # fmt: skip
    pairs = read_columns(table, PAIR_COLUMNS)
    table.unlink()
    return pairs


def relatives(pairs: Pairs, query_lengths: Ints, subject_lengths: Ints) -> Pairs:
    """Of all pairs those whose alignment covers half of the shorter protein."""
    shorter = np.minimum(query_lengths[pairs["query"]], subject_lengths[pairs["subject"]])
    keep = pairs["length"] >= COVER_OF_SHORTER * shorter
    return {name: column[keep] for name, column in pairs.items()}


# --- where reads come from ------------------------------------------------------------------------


@dataclass(frozen=True)
class Gene:
    """A gene of a genome: place on its contig (0-based, half-open) and protein."""

    genome: int
    contig: int
    begin: int
    end: int
    protein: str


@dataclass(frozen=True)
class Genomes:
    """Contigs as numbers (0 to 3, 4 for any other letter) and genes of all genomes."""

    names: tuple[str, ...]
    genus: tuple[str, ...]
    contigs: tuple[tuple[npt.NDArray[np.uint8], ...], ...]
    genes: tuple[Gene, ...]

    def bases(self, genome: int) -> int:
        """Length of one genome."""
        return sum(len(contig) for contig in self.contigs[genome])


_CODE = np.full(256, 4, dtype=np.uint8)
for _number, _base in enumerate("ACGT"):
    _CODE[ord(_base)] = _CODE[ord(_base.lower())] = _number
_LETTER = np.frombuffer(b"ACGTN", dtype=np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)


def encode(text: str) -> npt.NDArray[np.uint8]:
    """Bases as numbers."""
    return _CODE[np.frombuffer(text.encode("ascii"), dtype=np.uint8)]


def read_genomes(data: Path, threads: int) -> Genomes:
    """All genomes of the data folder with their genes; of coding sequences each is a contig."""
    files = find_genomes(data)
    rows = read_tsv(data / "truth" / "lineages.tsv")
    genus = {row["genome"]: row["genus"] for row in rows}
    names = tuple(sorted(files))
    with ThreadPoolExecutor(threads) as pool:
        read = list(pool.map(lambda item: _read_genome(item[0], files[item[1]]), enumerate(names)))
    return Genomes(
        names,
        tuple(genus.get(name, name) for name in names),
        tuple(contigs for contigs, _ in read),
        tuple(gene for _, genes in read for gene in genes),
    )


def _read_genome(number: int, path: Path) -> tuple[tuple[npt.NDArray[np.uint8], ...], list[Gene]]:
    texts = [record.sequence.upper() for record in read_fasta(path)]
    genes = []
    if is_gene_file(path):
        for contig, text in enumerate(texts):
            protein = translate(text)
            if len(protein) >= MIN_GENE_AA and "*" not in protein:
                genes.append(Gene(number, contig, 0, len(text), protein))
    else:
        finder = pyrodigal.GeneFinder()
        finder.train(*(text.encode() for text in texts))
        for contig, text in enumerate(texts):
            for gene in finder.find_genes(text.encode()):
                protein = gene.translate().rstrip("*")
                if len(protein) >= MIN_GENE_AA:
                    genes.append(Gene(number, contig, gene.begin - 1, gene.end, protein))
    return tuple(encode(text) for text in texts), genes


@dataclass(frozen=True)
class Labels:
    """What the full reference says about each gene of the genomes.

    Attributes
    ----------
    family
        Number of the family, -1 for none.
    doubts
        (gene, family) pairs of genes without that label that are near enough to be members.
    near_target
        Whether a gene resembles any protein of a family that is counted.
    """

    family: Ints
    doubts: frozenset[tuple[int, int]]
    near_target: npt.NDArray[np.bool_]


def best_by_query_and_family(pairs: Pairs, proteins: Proteins) -> Pairs:
    """The best hit of each query with each family, in order of query, best family first."""
    family = proteins.family[pairs["subject"]]
    order = np.lexsort((-pairs["bits"], family, pairs["query"]))
    query, family = pairs["query"][order], family[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (query[1:] != query[:-1]) | (family[1:] != family[:-1])
    best = {name: column[order][first] for name, column in pairs.items()}
    best["family"] = family[first]
    order = np.lexsort((best["family"], -best["bits"], best["query"]))
    return {name: column[order] for name, column in best.items()}


def groups(values: npt.NDArray[Any]) -> Iterator[tuple[int, int, int]]:
    """Value, begin and end of each run of equal values."""
    if not len(values):
        return
    edges = np.concatenate(([0], np.flatnonzero(np.diff(values)) + 1, [len(values)]))
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        yield int(values[begin]), int(begin), int(end)


def label_genes(genes: int, pairs: Pairs, proteins: Proteins, catalogue: Catalogue) -> Labels:
    """Family of each gene by its best full-length hits, and where that is in doubt."""
    best = best_by_query_and_family(pairs, proteins)
    family = np.full(genes, -1)
    doubts: set[tuple[int, int]] = set()
    both = np.minimum(best["query_cover"], best["subject_cover"])
    for gene, begin, end in groups(best["query"]):
        piece = best["query_cover"][begin] >= MEMBER_COVER > both[begin]
        if piece and best["identity"][begin] >= PART_IDENTITY:
            # A piece of a member: cut by the end of a contig, or a broken gene.
            family[gene] = best["family"][begin]
            continue
        full = [row for row in range(begin, end) if both[row] >= DOUBT_COVER]
        if not full:
            continue
        top = best["bits"][full[0]]
        close = [row for row in full if best["bits"][row] * DOUBT_MARGIN >= top]
        first = int(best["family"][full[0]])
        rivals = {
            int(best["family"][row])
            for row in close[1:]
            if not _same_for_counting(first, int(best["family"][row]), proteins, catalogue)
        }
        sure = best["identity"][full[0]] >= MEMBER_IDENTITY and both[full[0]] >= MEMBER_COVER
        if sure and (not rivals or best["identity"][full[0]] >= 95):
            family[gene] = first
        else:
            doubts |= {
                (gene, int(best["family"][row]))
                for row in close
                if best["identity"][row] >= DOUBT_IDENTITY
            }
    counted = np.array([catalogue.role(name) != "decoy" for name in proteins.families])
    near = np.zeros(genes, dtype=bool)
    near[pairs["query"][counted[proteins.family[pairs["subject"]]]]] = True
    return Labels(family, frozenset(doubts), near)


def _same_for_counting(one: int, other: int, proteins: Proteins, catalogue: Catalogue) -> bool:
    names = proteins.families[one], proteins.families[other]
    return catalogue.same_merge_group(*names) or all(
        catalogue.role(name) == "decoy" for name in names
    )


# --- sources --------------------------------------------------------------------------------------


def clusters(members: Ints, pairs: Pairs) -> list[list[int]]:
    """Greedy clusters at `CLUSTER_IDENTITY`, longest list of relatives first."""
    inside = np.isin(pairs["query"], members) & np.isin(pairs["subject"], members)
    close = inside & (pairs["identity"] >= CLUSTER_IDENTITY)
    near: dict[int, set[int]] = {int(member): {int(member)} for member in members}
    for query, subject in zip(pairs["query"][close], pairs["subject"][close], strict=True):
        near[int(query)].add(int(subject))
        near[int(subject)].add(int(query))
    left = set(near)
    found = []
    for member in sorted(near, key=lambda name: (-len(near[name]), name)):
        if member in left:
            taken = near[member] & left
            left -= taken
            found.append(sorted(taken))
    return found


def draw_sources(
    proteins: Proteins, pairs: Pairs, rng: np.random.Generator
) -> tuple[Ints, dict[int, int]]:
    """Up to `MOST_SOURCES` proteins of each family, each of another cluster.

    Proteins taken from genomes are left to the genomes' own reads where others are there.

    Returns
    -------
    sources, half
        Numbers of the proteins; for each one half of a split in which no cluster is divided.
    """
    drawn: list[int] = []
    half: dict[int, int] = {}
    foreign = np.array([not genome for genome in proteins.genome])
    order = np.argsort(proteins.family[pairs["query"]], kind="stable")
    of_family = proteins.family[pairs["query"]][order]
    for number in range(len(proteins.families)):
        begin, end = np.searchsorted(of_family, [number, number + 1])
        own = {name: column[order[begin:end]] for name, column in pairs.items()}
        members = np.flatnonzero((proteins.family == number) & foreign)
        if not len(members):
            continue
        found = clusters(members, own)
        rng.shuffle(found)
        for place, cluster in enumerate(found[:MOST_SOURCES]):
            protein = int(rng.choice(cluster))
            drawn.append(protein)
            half[protein] = place % 2
    return np.array(drawn), half


CODONS_OF: dict[str, list[str]] = {}
for _codon, _residue in CODONS.items():
    CODONS_OF.setdefault(_residue, []).append(_codon)
LOWEST_GC, HIGHEST_GC = 0.30, 0.65
"""GC content that back-translated genes aim at: the range of gut bacteria."""


def back_translate(protein: str, gc: float, rng: np.random.Generator) -> str:
    """A gene for a protein; of synonymous codons those whose GC content fits are more frequent."""
    weight = {"G": gc / 2, "C": gc / 2, "A": (1 - gc) / 2, "T": (1 - gc) / 2}
    parts = []
    chances = {}
    for residue, codons in CODONS_OF.items():
        weights = np.array([weight[c[0]] * weight[c[1]] * weight[c[2]] for c in codons])
        chances[residue] = (codons, np.cumsum(weights / weights.sum()))
    for residue, draw in zip(protein.upper(), rng.random(len(protein)), strict=True):
        codons, steps = chances.get(residue, (["NNN"], np.array([1.0])))
        parts.append(codons[min(int(np.searchsorted(steps, draw)), len(codons) - 1)])
    return "".join(parts)


# --- reads ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reads:
    """Reads of one length.

    Attributes
    ----------
    gene, second
        Where a read comes from: a protein of the reference (of sources) or a gene of the genomes
        (of genomes); -1 for none. The second is the neighbour that it reaches into.
    share
        Share of the read inside the first.
    touches, touches_second
        Nucleotides inside each.
    genome
        Number of the genome, -1 for reads of sources.
    weight
        Inverse of the depth at which the place was sampled; 1 for sources.
    """

    bases: npt.NDArray[np.uint8]
    gene: Ints
    second: Ints
    touches: Ints
    touches_second: Ints
    genome: Ints
    weight: Floats

    def __len__(self) -> int:
        return len(self.gene)


def join_reads(parts: Sequence[Reads]) -> Reads:
    """Reads one after the other."""
    return Reads(*(np.concatenate([getattr(p, name) for p in parts]) for name in _READ_FIELDS))


_READ_FIELDS = tuple(Reads.__dataclass_fields__)


def cut_reads(
    contig: npt.NDArray[np.uint8], starts: Ints, length: int, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Reads from given places, either strand, with substitutions."""
    bases = contig[starts[:, None] + np.arange(length)[None, :]]
    turned = rng.random(len(starts)) < 0.5
    bases[turned] = _COMPLEMENT[bases[turned][:, ::-1]]
    rates = np.linspace(ERROR_FIRST, ERROR_LAST, length)
    wrong = (rng.random(bases.shape) < rates) & (bases < 4)
    shift = rng.integers(1, 4, bases.shape, dtype=np.uint8)
    return np.where(wrong, (bases + shift) % 4, bases).astype(np.uint8)


def source_reads(
    proteins: Proteins,
    drawn: Ints,
    genomes: Genomes,
    length: int,
    per_family: int,
    rng: np.random.Generator,
) -> Reads:
    """Reads of back-translated proteins between pieces of genomes, `MIN_IN_GENE` of each inside."""
    contigs = [contig for genome in genomes.contigs for contig in genome if len(contig) > 5 * FLANK]
    counts = np.bincount(proteins.family[drawn], minlength=len(proteins.families))
    parts = []
    for protein in drawn:
        amount = -(-per_family // int(counts[proteins.family[protein]]))
        gene = encode(
            back_translate(
                proteins.sequences[protein] + "*", rng.uniform(LOWEST_GC, HIGHEST_GC), rng
            )
        )
        flanks = []
        for _ in range(2):
            contig = contigs[int(rng.integers(len(contigs)))]
            start = int(rng.integers(len(contig) - FLANK))
            flanks.append(contig[start : start + FLANK])
        place = np.concatenate((flanks[0], gene, flanks[1]))
        outside = int((1 - MIN_IN_GENE) * length)
        starts = rng.integers(FLANK - outside, FLANK + len(gene) - length + outside + 1, amount)
        inside = np.minimum(starts + length, FLANK + len(gene)) - np.maximum(starts, FLANK)
        blank = np.full(amount, -1)
        parts.append(
            Reads(
                cut_reads(place, starts, length, rng),
                np.full(amount, protein),
                blank,
                inside,
                np.zeros(amount, dtype=int),
                blank,
                np.ones(amount),
            )
        )
    return join_reads(parts)


def genome_reads(
    genomes: Genomes,
    near_target: npt.NDArray[np.bool_],
    length: int,
    depths: tuple[float, float],
    rng: np.random.Generator,
) -> Reads:
    """Reads of all genomes; reads that touch a gene near a target are sampled more densely."""
    by_place: dict[tuple[int, int], list[int]] = {}
    for number, gene in enumerate(genomes.genes):
        by_place.setdefault((gene.genome, gene.contig), []).append(number)
    begin = np.array([gene.begin for gene in genomes.genes])
    end = np.array([gene.end for gene in genomes.genes])
    parts = []
    for genome, contigs in enumerate(genomes.contigs):
        for number, contig in enumerate(contigs):
            places = len(contig) - length + 1
            if places < 1:
                continue
            starts = rng.integers(0, places, rng.poisson(places * depths[0] / length))
            own = np.array(sorted(by_place.get((genome, number), []), key=lambda g: begin[g]))
            first, second, inside, inside_second = overlaps(starts, length, own, begin, end)
            near = near_target[first] & (first >= 0) | near_target[second] & (second >= 0)
            kept = near | (rng.random(len(starts)) < depths[1] / depths[0])
            bases = cut_reads(contig, starts[kept], length, rng)
            clean = (bases < 4).all(axis=1)
            rows = np.flatnonzero(kept)[clean]
            parts.append(
                Reads(
                    bases[clean],
                    first[rows],
                    second[rows],
                    inside[rows],
                    inside_second[rows],
                    np.full(len(rows), genome),
                    1 / np.where(near[rows], depths[0], depths[1]),
                )
            )
    return join_reads(parts)


def overlaps(
    starts: Ints, length: int, genes: Ints, begin: Ints, end: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """The two genes that each read lies in most, and the nucleotides in each; -1 for none."""
    blank = np.full(len(starts), -1)
    zero = np.zeros(len(starts), dtype=int)
    first, second, inside, inside_second = blank, blank.copy(), zero, zero.copy()
    if not len(genes):
        return first, second, inside, inside_second
    begins, ends = begin[genes], end[genes]
    at = np.searchsorted(begins, starts, side="right")
    for shift in (-3, -2, -1, 0, 1):
        place = at + shift
        valid = (place >= 0) & (place < len(genes))
        place = np.clip(place, 0, len(genes) - 1)
        overlap = np.minimum(starts + length, ends[place]) - np.maximum(starts, begins[place])
        overlap = np.where(valid, np.maximum(overlap, 0), 0)
        better, next_best = overlap > inside, (overlap <= inside) & (overlap > inside_second)
        second = np.where(better, first, np.where(next_best, genes[place], second))
        inside_second = np.where(better, inside, np.where(next_best, overlap, inside_second))
        first = np.where(better, genes[place], first)
        inside = np.where(better, overlap, inside)
    return first, second, inside, inside_second


def write_reads(path: Path, reads: Reads) -> None:
    """Write reads as FASTA under their numbers."""
    letters = _LETTER[reads.bases]
    with path.open("wb") as out:
        for number, row in enumerate(letters):
            out.write(b">%d\n%s\n" % (number, row.tobytes()))


# --- the search and what is left of it ------------------------------------------------------------

HIT_COLUMNS = {
    "query": np.int32, "subject": np.int32, "length": np.int32, "bits": np.float32
}  # fmt: skip


def search_reads(
    reads: Path, index: Path, table: Path, threads: int, *options: str
) -> dict[str, npt.NDArray[Any]]:
    """All hits of reads as the workflow searches them, but with every hit kept."""
    diamond(
        "blastx", "--query", str(reads), "--db", str(index), "--out", str(table),
        "--threads", str(threads), "--block-size", "0.4", "--index-chunks", "1",
        "--min-score", str(SEARCH_FLOOR), "-k", "0", *options,
        "--outfmt", "6", "qseqid", "sseqid", "length", "bitscore",
    )  # fmt: skip
    hits = read_columns(table, HIT_COLUMNS)
    table.unlink()
    return hits


@dataclass(frozen=True)
class Scores:
    """Best score of every read with every family, in tenths of a bit; 0 where there is none.

    Attributes
    ----------
    rows
        Numbers of the reads that have any hit; the rows of the arrays.
    tenths
        By removal, reads by families.
    aligned
        Amino acids of that best alignment.
    """

    rows: Ints
    tenths: Mapping[int, npt.NDArray[np.uint16]]
    aligned: Mapping[int, npt.NDArray[np.uint16]]


def reduce_hits(
    hits: Mapping[str, npt.NDArray[Any]],
    reads: Reads,
    length: int,
    proteins: Proteins,
    excluded: Mapping[int, tuple[Ints, Ints]],
) -> Scores:
    """Best score by family of what is left when relatives of a read's genes are dropped.

    Parameters
    ----------
    excluded
        By removal: sorted (source, protein) and (gene, protein) pairs to drop, each as the one
        number `source` times the number of proteins plus `protein`.
    """
    wide = 3 * hits["length"] >= MIN_COVER * length
    query = hits["query"][wide].astype(np.int64)
    subject = hits["subject"][wide].astype(np.int64)
    value = np.round(hits["bits"][wide] * 10).astype(np.int64) * 1024 + hits["length"][wide]
    rows, row = np.unique(query, return_inverse=True)
    family = proteins.family[subject]
    total = len(proteins.names)
    of_genome = reads.genome[query] >= 0
    first, second = reads.gene[query], reads.second[query]
    tenths, aligned = {}, {}
    for removal, (of_sources, of_genes) in excluded.items():
        drop = np.where(
            of_genome,
            contains(of_genes, first, subject, total) | contains(of_genes, second, subject, total),
            contains(of_sources, first, subject, total),
        )
        best = np.zeros((len(rows), len(proteins.families)), dtype=np.int64)
        np.maximum.at(best, (row[~drop], family[~drop]), value[~drop])
        tenths[removal] = (best // 1024).astype(np.uint16)
        aligned[removal] = (best % 1024).astype(np.uint16)
    return Scores(rows, tenths, aligned)


def contains(keys: Ints, first: Ints, second: Ints, total: int) -> npt.NDArray[np.bool_]:
    """Whether each pair is among sorted keys; pairs whose first is -1 are not."""
    wanted = first * total + second
    if not len(keys):
        return np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return (keys[place] == wanted) & (first >= 0)


def excluded_pairs(pairs: Pairs, total: int, removal: float) -> Ints:
    """Sorted keys of the pairs that are as identical as `removal` says."""
    close = pairs["identity"] >= removal - 1e-3
    query, subject = pairs["query"][close].astype(np.int64), pairs["subject"][close]
    return np.unique(query * total + subject)


# --- everything together --------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """How much is sampled, and with which seed."""

    lengths: tuple[int, ...] = LENGTHS
    per_family: int = READS_PER_FAMILY
    depths: tuple[float, float] = (DEPTH_NEAR, DEPTH_REST)
    seed: int = 1


QUICK = Settings(lengths=(100,), per_family=100, depths=(0.5, 0.1))


@dataclass(frozen=True)
class Material:
    """Everything about the origin of the reads, apart from the reads."""

    proteins: Proteins
    genomes: Genomes
    labels: Labels
    drawn: Ints
    half: Mapping[int, int]
    source_pairs: Pairs
    gene_pairs: Pairs


class Bench:
    """Material, reads and scores of a reference, kept in a work folder between programs.

    What is kept carries a key of the reference, of the names of the genomes, of `METHOD` and of
    the settings, so that nothing stale is used.
    """

    def __init__(
        self, data: Path, reference: Path, work: Path, threads: int, settings: Settings
    ) -> None:
        if not (data / "genomes").is_dir():
            raise BenchmarkError(
                f"{data}: no folder genomes/; this benchmark needs the shared data (--data)"
            )
        self.data, self.work, self.threads, self.settings = data, work, threads, settings
        work.mkdir(parents=True, exist_ok=True)
        self.catalogue = read_catalogue()
        self.proteins = read_proteins(reference)
        key = [
            self.proteins.digest, repr(self.proteins.families), repr(settings),
            sorted(find_genomes(data)), METHOD,
            sorted(f for f in self.proteins.families if self.catalogue.role(f) != "decoy"),
        ]  # fmt: skip
        self.key = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
        self.index = make_index(self.proteins, work, threads)
        self.material: Material = self._kept("material", self._prepare)

    def _kept(self, name: str, make: Callable[[], Any]) -> Any:
        path = self.work / f"{name}-{self.key}.pickle"
        if path.exists():
            with path.open("rb") as handle:
                return pickle.load(handle)
        result = make()
        partial = path.with_suffix(".partial")
        with partial.open("wb") as handle:
            pickle.dump(result, handle, protocol=pickle.HIGHEST_PROTOCOL)
        partial.rename(path)
        return result

    def _prepare(self) -> Material:
        proteins, work, threads = self.proteins, self.work, self.threads
        rng = np.random.default_rng(self.settings.seed)
        lengths = proteins.lengths
        near = search_proteins(
            proteins.sequences, self.index, work, threads, "--id", str(CLUSTER_IDENTITY)
        )
        drawn, half = draw_sources(proteins, relatives(near, lengths, lengths), rng)
        own = search_proteins(
            [proteins.sequences[number] for number in drawn],
            self.index, work, threads, SENSITIVITY,
        )  # fmt: skip
        own["query"] = drawn[own["query"]].astype(np.int32)
        genomes = read_genomes(self.data, threads)
        texts = [gene.protein for gene in genomes.genes]
        pairs = search_proteins(texts, self.index, work, threads, SENSITIVITY)
        labels = label_genes(len(texts), pairs, proteins, self.catalogue)
        return Material(
            proteins, genomes, labels, drawn, half, relatives(own, lengths, lengths),
            relatives(pairs, np.array([len(text) for text in texts]), lengths),
        )  # fmt: skip

    def reads(self, length: int) -> Reads:
        """Reads of sources and genomes of one length."""
        material, settings = self.material, self.settings
        rng = np.random.default_rng([settings.seed, length])
        of_sources = source_reads(
            material.proteins, material.drawn, material.genomes, length, settings.per_family, rng
        )
        near = material.labels.near_target
        return join_reads(
            [of_sources, genome_reads(material.genomes, near, length, settings.depths, rng)]
        )

    def scores(self, length: int, *options: str) -> Scores:
        """Search reads of one length and leave out the relatives of each."""
        return self._kept(
            "-".join(("scores", str(length), *(option.strip("-") for option in options))),
            lambda: self._score(length, options),
        )

    def best_proteins(
        self, reads: Reads, rows: Ints, family: Ints, options: Sequence[str]
    ) -> dict[int, int]:
        """Of each read the best protein of a given family, that of its own gene aside."""
        part = Reads(*(getattr(reads, name)[rows] for name in _READ_FIELDS))
        fasta, table = self.work / "some.fasta", self.work / "some.tsv"
        write_reads(fasta, part)
        hits = search_reads(fasta, self.index, table, self.threads, *options)
        fasta.unlink()
        query, subject, total = hits["query"], hits["subject"], len(self.proteins.names)
        own = excluded_pairs(self.material.gene_pairs, total, REMOVALS[0])
        wide = subject.astype(np.int64)
        foreign = ~(
            contains(own, part.gene[query], wide, total)
            | contains(own, part.second[query], wide, total)
        )
        keep = foreign & (self.proteins.family[subject] == family[query])
        order = np.lexsort((subject[keep], hits["bits"][keep]))
        return dict(
            zip(rows[query[keep][order]].tolist(), subject[keep][order].tolist(), strict=True)
        )

    def _score(self, length: int, options: Sequence[str]) -> Scores:
        reads = self.reads(length)
        fasta = self.work / f"reads_{length}.fasta"
        write_reads(fasta, reads)
        table = self.work / f"hits_{length}.tsv"
        hits = search_reads(fasta, self.index, table, self.threads, *options)
        fasta.unlink()
        material, total = self.material, len(self.proteins.names)
        selves = material.drawn * total + material.drawn
        excluded = {
            removal: (
                np.union1d(excluded_pairs(material.source_pairs, total, removal), selves),
                excluded_pairs(material.gene_pairs, total, removal),
            )
            for removal in REMOVALS
        }
        return reduce_hits(hits, reads, length, self.proteins, excluded)


def built_reference(data: Path, work: Path) -> Path:
    """The protein reference that benchmarks/real builds, built if it is not in the work folder."""
    built = work / "reference-build"
    if not (built / "reference" / "manifest.yaml").exists():
        if not (data / "proteins").is_dir():
            raise BenchmarkError(
                f"{data}: no folder proteins/; this benchmark needs the shared data (--data)"
            )
        program = ROOT / "benchmarks" / "real" / "build_reference.py"
        subprocess.run(
            [sys.executable, str(program), "--data", str(data), "--out", str(built)], check=True
        )
    return built / "reference"
