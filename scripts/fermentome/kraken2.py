"""Species profile of a sample from what kraken2 says of its fragments.

kraken2 gives each fragment to the lowest taxon that holds all genomes that could have been its
source (Wood et al. 2019, doi:10.1186/s13059-019-1891-0). Here the fragments of higher ranks are
shared out to species as Bracken does it (Lu et al. 2017, doi:10.7717/peerj-cs.104), and shares of
reads are turned into shares of cells by the sizes of the genomes.

The tree comes from the database (``taxo.k2d``) and the counts from kraken2's line per fragment,
not from its report: reports of Debian's 2.1.2 leave the codes of some ranks empty
(https://github.com/DerrickWood/kraken2/issues/759), and with several threads a report can lack
lines (https://github.com/DerrickWood/kraken2/issues/967). The report gives the minimizers only.
"""

import math
import os
import re
import statistics
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fermentome.errors import EvidenceError, ReferenceFolderError, TableError
from fermentome.flow import SampleFlow
from fermentome.lineage import RANKS, clean_name
from fermentome.tables import iterate_table, parse_number
from fermentome.taxonomy import Profile, summarise_species

TAXONOMY_FILE = "taxo.k2d"
INSPECTION = "inspect.txt"
GENOME_SIZES = "genome_sizes.tsv"
DISTRIBUTION = re.compile(r"database(\d+)mers\.kmer_distrib")
"""Bracken's tables of a database folder, one per read length."""
ROOT = 1
NOT_CLASSIFIED = 0
SPECIES = "species"
RANK_NAMES = {
    "superkingdom": "domain",
    "domain": "domain",
    **{rank: rank for rank in RANKS[1:]},
}
VIRUSES = "Viruses"
"""NCBI gives them no rank since 2025, where they were a superkingdom
(https://ncbiinsights.ncbi.nlm.nih.gov/2025/02/27/new-ranks-ncbi-taxonomy/)."""
SOUND_SIZES = {
    "Bacteria": (100_000, 16_000_000),
    "Archaea": (100_000, 16_000_000),
    "Eukaryota": (2_000_000, 200_000_000_000),
    "Viruses": (1_000, 3_000_000),
}
"""Bases that a genome can have, generously. The k-mers that Bracken's table states for a taxon are
those of all its genomes; beyond these limits they are not of one."""


# The tree of a database ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taxon:
    """A node of the tree; the root is its own parent."""

    parent: int
    rank: str
    name: str


class Taxonomy:
    """The tree of a kraken2 database by taxid."""

    def __init__(self, taxa: Mapping[int, Taxon]) -> None:
        self.taxa = taxa

    def ancestors(self, taxid: int) -> list[int]:
        """Taxids from `taxid` itself up to the root."""
        path = [taxid]
        while path[-1] != ROOT:
            path.append(self.taxa[path[-1]].parent)
        return path

    def species_of(self, taxid: int) -> int | None:
        """Species that a taxon is or belongs to; None for higher ranks."""
        return next((t for t in self.ancestors(taxid) if self.taxa[t].rank == SPECIES), None)

    def lineage(self, taxid: int) -> tuple[str, ...]:
        """Names of the seven ranks, domain first; empty where the tree has none."""
        names = dict.fromkeys(RANKS, "")
        for ancestor in self.ancestors(taxid):
            taxon = self.taxa[ancestor]
            rank = "domain" if taxon.name == VIRUSES else RANK_NAMES.get(taxon.rank)
            if rank:
                names[rank] = clean_name(taxon.name)
        return tuple(names.values())


def read_taxonomy(path: str | os.PathLike[str]) -> Taxonomy:
    """Read ``taxo.k2d``.

    Raises
    ------
    ReferenceFolderError
        If the file is not one, or is cut off.

    Notes
    -----
    The layout is that of `TaxonomyNode` in kraken2's src/taxonomy.h: a mark, the numbers of
    nodes, of bytes of names and of bytes of ranks; seven numbers per node (parent, first child,
    children, place of the name, place of the rank, taxid, taxid of before); names; ranks. Node 0
    is none.
    """
    data = Path(path).read_bytes()
    head = struct.calcsize("<8s3Q")
    wrong = ReferenceFolderError(
        f"{path}: not the taxonomy of a kraken2 database, or cut off; expected a file that starts"
        " with K2TAXDAT and has the length that it states. Hint: copy the database again."
    )
    if len(data) < head or not data.startswith(b"K2TAXDAT"):
        raise wrong
    _, count, names, ranks = struct.unpack_from("<8s3Q", data)
    body = head + 56 * count
    if len(data) != body + names + ranks:
        raise wrong
    nodes = np.frombuffer(data, "<u8", 7 * count, head).reshape(-1, 7).tolist()

    def text(start: int) -> str:
        return data[start : data.index(b"\0", start)].decode("utf-8", "replace")

    taxa = {}
    for parent, _, _, name, rank, taxid, _ in nodes[1:]:
        above = nodes[parent][5] if parent else ROOT
        taxa[taxid] = Taxon(above, text(body + names + rank), text(body + name))
    return Taxonomy(taxa)


# What kraken2 said ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """Fragments of a sample by the taxon that kraken2 gave them to.

    Attributes
    ----------
    fragments, reads
        By taxid, `NOT_CLASSIFIED` included; a pair is one fragment and two reads.
    minimizers
        Minimizers of a clade seen in the reads, and how many of them are distinct, by taxid:
        one entry for the pairs and one for the single reads.
    """

    fragments: Mapping[int, int]
    reads: Mapping[int, int]
    minimizers: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)


COUNT_COLUMNS = ("layout", "taxid", "fragments")
MINIMIZER_COLUMNS = ("layout", "taxid", "minimizers", "distinct")


def read_counts(
    counts_path: str | os.PathLike[str], minimizers_path: str | os.PathLike[str]
) -> Counts:
    """Read what the rule classify_reads wrote."""
    fragments: dict[int, int] = defaultdict(int)
    reads: dict[int, int] = defaultdict(int)
    for row in iterate_table(counts_path, COUNT_COLUMNS):
        taxid, number = int(row["taxid"]), int(row["fragments"])
        fragments[taxid] += number
        reads[taxid] += number * (2 if row["layout"] == "paired" else 1)
    minimizers: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in iterate_table(minimizers_path, MINIMIZER_COLUMNS):
        seen = int(row["minimizers"]), int(row["distinct"])
        minimizers[int(row["taxid"])].append(seen)
    return Counts(fragments, reads, minimizers)


def check_counts(counts: Counts, flow: SampleFlow, taxonomy: Taxonomy) -> None:
    """Check that kraken2 saw every clean fragment once, with this database.

    Raises
    ------
    EvidenceError
        If not.
    """
    seen = sum(counts.fragments.values())
    clean = flow.paired_fragments + flow.single_fragments
    if seen != clean:
        raise EvidenceError(
            f"sample {flow.sample}: kraken2 classified {seen} fragments; expected the {clean} that"
            " are clean. Hint: the classification did not finish; run it again."
        )
    strange = sorted(counts.fragments.keys() - taxonomy.taxa.keys() - {NOT_CLASSIFIED})
    if strange:
        raise EvidenceError(
            f"sample {flow.sample}: kraken2 named taxid {strange[0]}, which {TAXONOMY_FILE} of the"
            " database lacks. Hint: the files of the folder are of different databases; copy it"
            " again."
        )


# Species that are there ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kraken2Rule:
    """When a species is there.

    Attributes
    ----------
    minimum_reads
        Fragments; a pair counts once.
    minimum_evenness
        Least `evenness` of its minimizers; looked at where the database says how many it has.
    """

    minimum_reads: int
    minimum_evenness: float


def read_inspection(path: str | os.PathLike[str]) -> dict[int, int]:
    """Minimizers of each clade of a database by taxid, from kraken2-inspect.

    Raises
    ------
    ReferenceFolderError
        If a line is none of its report.
    """
    found: dict[int, int] = {}
    with Path(path).open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.startswith("#") or not line.strip():
                continue
            cells = line.split("\t")
            try:
                found[int(cells[4])] = int(cells[1])
            except (IndexError, ValueError):
                raise ReferenceFolderError(
                    f"{path}, line {number}: {line.strip()[:60]!r} is no line of kraken2-inspect."
                    " Hint: make the file again with `kraken2-inspect --db FOLDER`, or delete it."
                ) from None
    return found


def evenness(seen: Iterable[tuple[int, int]], held: int) -> float:
    """Distinct minimizers of a clade, as a share of those that reads from everywhere would show.

    Reads from one place of a genome show the same few minimizers again and again (KrakenUniq,
    doi:10.1186/s13059-018-1568-0). Of `held` minimizers, n that are drawn at random show
    ``held * (1 - exp(-n / held))`` distinct ones.

    Parameters
    ----------
    seen
        Minimizers and distinct minimizers in the reads, for each layout; they are added up.
    held
        Minimizers of the clade in the database.

    >>> evenness([(1000, 20)], 50_000) < 0.03
    True
    """
    seen = list(seen)
    expected = math.fsum(held * -math.expm1(-number / held) for number, _ in seen)
    return sum(distinct for _, distinct in seen) / expected if expected else 0.0


def present_species(
    counts: Counts, taxonomy: Taxonomy, held: Mapping[int, int], rule: Kraken2Rule
) -> set[int]:
    """Species with enough fragments, spread evenly enough.

    Parameters
    ----------
    held
        See `read_inspection`; empty if not known.
    """
    fragments: dict[int, int] = defaultdict(int)
    for taxid, number in counts.fragments.items():
        if taxid != NOT_CLASSIFIED and (species := taxonomy.species_of(taxid)) is not None:
            fragments[species] += number
    return {
        species
        for species, number in fragments.items()
        if number >= rule.minimum_reads
        and (
            not held.get(species)
            # A line that kraken2's report lost says nothing.
            or not counts.minimizers.get(species)
            or evenness(counts.minimizers[species], held[species]) >= rule.minimum_evenness
        )
    }


def unclassify(counts: Counts, taxonomy: Taxonomy, species: set[int]) -> Counts:
    """Counts in which the fragments of some species are not classified.

    Reads of one place of a genome are of something else, and of no relative of it either.
    """

    def moved(numbers: Mapping[int, int]) -> dict[int, int]:
        found: dict[int, int] = defaultdict(int)
        for taxid, number in numbers.items():
            heaped = taxid != NOT_CLASSIFIED and taxonomy.species_of(taxid) in species
            found[NOT_CLASSIFIED if heaped else taxid] += number
        return found

    return Counts(moved(counts.fragments), moved(counts.reads), counts.minimizers)


# Reads of higher ranks -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Distribution:
    """Bracken's table: where the reads of each genome go.

    Attributes
    ----------
    shares
        Share of the reads of a genome that are given to a taxon, by taxon and genome.
    kmers
        Reads that could start in the genomes of a taxon, by genome.
    """

    shares: Mapping[int, Mapping[int, float]] = field(default_factory=dict)
    kmers: Mapping[int, int] = field(default_factory=dict)


def nearest_distribution(paths: Iterable[str | os.PathLike[str]], length: float) -> Path | None:
    """Bracken's table for the read length that comes nearest; the shorter of two."""
    found = sorted((int(m[1]), Path(p)) for p in paths if (m := DISTRIBUTION.search(str(p))))
    return min(found, key=lambda entry: abs(entry[0] - length))[1] if found else None


def read_distribution(path: str | os.PathLike[str], taxids: Iterable[int]) -> Distribution:
    """Read what Bracken's table says of some taxa.

    Parameters
    ----------
    path
        ``databaseNmers.kmer_distrib``: a taxon, and ``genome:k-mers mapped:k-mers`` of each genome
        (https://github.com/jenniferlu717/Bracken, src/generate_kmer_distribution.py).
    taxids
        Taxa and genomes to keep.

    Raises
    ------
    ReferenceFolderError
        If a line is none of such a table.
    """
    wanted = {str(taxid) for taxid in taxids}
    shares: dict[int, dict[int, float]] = {}
    kmers: dict[int, int] = {}
    with Path(path).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            taxid, _, rest = line.rstrip("\n").partition("\t")
            if number == 1 or taxid not in wanted:
                continue
            try:
                entries = [entry.split(":") for entry in rest.split()]
                kept = [tuple(map(int, e)) for e in entries if e[0] in wanted]
                shares[int(taxid)] = {genome: mapped / total for genome, mapped, total in kept}
                kmers.update({genome: total for genome, _, total in kept})
            except (ValueError, ZeroDivisionError):
                raise ReferenceFolderError(
                    f"{path}, line {number}: {line[:60]!r} is no line of Bracken's table; expected"
                    " a taxid, a tab, and genome:mapped:total separated by blanks. Hint: copy the"
                    " file again, or delete it."
                ) from None
    return Distribution(shares, kmers)


def share_out(
    counts: Counts, taxonomy: Taxonomy, present: set[int], distribution: Distribution
) -> dict[int, float]:
    """Reads of each species that is there, those of higher ranks included.

    Parameters
    ----------
    present
        Species, see `present_species`. Reads of other species count for the taxon above.

    Returns
    -------
    dict
        Reads by species. Reads of clades without a present species are left out: they are
        unclassified.

    Notes
    -----
    Reads of a taxon go to the species below it in proportion to ``P(taxon | genome) *
    reads(genome) / P(genome | genome)``, summed over the genomes of a species (Bracken). Where
    the table says nothing of them, in proportion to the species' own reads.
    """
    own: dict[int, float] = dict.fromkeys(sorted(present), 0.0)
    above: dict[int, float] = defaultdict(float)
    for taxid, number in sorted(counts.reads.items()):
        if taxid == NOT_CLASSIFIED:
            continue
        species = taxonomy.species_of(taxid)
        if species is None:
            above[taxid] += number
        elif species in present:
            own[species] += number
        else:
            above[taxonomy.taxa[species].parent] += number
    members: dict[int, list[int]] = defaultdict(list)
    for species in own:
        for ancestor in taxonomy.ancestors(species)[1:]:
            members[ancestor].append(species)
    estimate = genome_estimates(counts, taxonomy, present, distribution)
    total = dict(own)
    for taxid, shared in sorted(above.items()):
        weights = {
            species: sum(
                distribution.shares.get(taxid, {}).get(genome, 0.0) * reads
                for genome, reads in estimate[species].items()
            )
            for species in members[taxid]
        }
        if not sum(weights.values()):
            weights = {species: own[species] for species in members[taxid]}
        whole = sum(weights.values())
        for species, weight in weights.items():
            total[species] += shared * weight / whole
    return total


def genome_estimates(
    counts: Counts, taxonomy: Taxonomy, present: set[int], distribution: Distribution
) -> dict[int, dict[int, float]]:
    """Reads that the genomes of each species have, by those that only they can have."""
    found: dict[int, dict[int, float]] = {species: {} for species in present}
    for taxid, number in sorted(counts.reads.items()):
        if taxid == NOT_CLASSIFIED:
            continue
        species = taxonomy.species_of(taxid)
        if species in present and taxid in distribution.kmers:
            kept = distribution.shares.get(taxid, {}).get(taxid, 0.0)
            found[species][taxid] = number / (kept or 1.0)
    return found


# Sizes of genomes ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SizeTable:
    """Bases of a genome by taxid and by the name of the species."""

    taxids: Mapping[int, float] = field(default_factory=dict)
    names: Mapping[str, float] = field(default_factory=dict)


SIZE_COLUMNS = ("genome_size", "expected_ungapped_length")
TAXID_COLUMNS = ("taxid", "species_taxid", "#species_taxid")


def read_genome_sizes(path: str | os.PathLike[str]) -> SizeTable:
    """Read a table of genome sizes.

    Parameters
    ----------
    path
        TSV with ``taxid`` or ``species``, and ``genome_size``; or NCBI's
        species_genome_size.txt, which has ``#species_taxid`` and ``expected_ungapped_length``
        (https://ftp.ncbi.nlm.nih.gov/genomes/ASSEMBLY_REPORTS/).

    Raises
    ------
    TableError
        If a column is missing or a size is no number above 0.
    """
    taxids: dict[int, float] = {}
    names: dict[str, float] = {}
    for number, row in enumerate(iterate_table(path), start=2):
        size_column = next((column for column in SIZE_COLUMNS if column in row), None)
        taxid_column = next((column for column in TAXID_COLUMNS if column in row), None)
        if size_column is None or not (taxid_column or SPECIES in row):
            raise TableError(
                f"{path}, header: {', '.join(row)}; expected taxid or species, and genome_size."
                " Hint: config/README.md describes taxonomy.genome_sizes."
            )
        try:
            size = parse_number(row[size_column])
            taxid = int(row[taxid_column]) if taxid_column else 0
        except ValueError:
            size, taxid = math.nan, 0
        if not 0 < size < math.inf:
            raise TableError(
                f"{path}, line {number}: {size_column} {row[size_column]!r}; expected a number of"
                " bases above 0, and a whole number as taxid. Hint: mend or delete the line."
            )
        if taxid_column:
            taxids[taxid] = size
        if row.get(SPECIES):
            names[clean_name(row[SPECIES])] = size
    return SizeTable(taxids, names)


@dataclass(frozen=True, slots=True)
class GenomeSize:
    """Bases of a species' genome and where the number comes from."""

    bases: float
    source: str


STATED, KMERS, GENUS, ALL, NONE = "stated", "kmers", "genus", "all", "none"


def size_genomes(
    species: Iterable[int], taxonomy: Taxonomy, table: SizeTable, kmers: Mapping[int, int]
) -> dict[int, GenomeSize]:
    """Size of the genome of each species.

    Parameters
    ----------
    table
        What is known of the database.
    kmers
        K-mers of the genomes of a taxon, see `Distribution`.

    Returns
    -------
    dict
        The size stated; else the k-mers of Bracken's table where they can be one genome of a
        prokaryote; else the median of the genus, else of all that is known; NaN if nothing is.
    """
    by_species: dict[int, list[float]] = defaultdict(list)
    by_genus: dict[str, list[float]] = defaultdict(list)
    for taxid, stated in sorted(table.taxids.items()):
        if taxid in taxonomy.taxa and (own := taxonomy.species_of(taxid)) is not None:
            by_species[own].append(stated)
    found: dict[int, GenomeSize] = {}
    wanted = sorted(species)
    for taxid in sorted({*wanted, *by_species}):
        lineage = taxonomy.lineage(taxid)
        if taxid in by_species:
            found[taxid] = GenomeSize(statistics.fmean(by_species[taxid]), STATED)
        elif lineage[-1] in table.names:
            found[taxid] = GenomeSize(table.names[lineage[-1]], STATED)
        elif _is_sound(lineage[0], kmers.get(taxid, 0)):
            found[taxid] = GenomeSize(float(kmers[taxid]), KMERS)
    for taxid, size in found.items():
        by_genus[taxonomy.lineage(taxid)[-2]].append(size.bases)
    known = [size.bases for size in found.values()] or list(table.names.values())
    by_domain: dict[str, list[float]] = defaultdict(list)
    for taxid, size in found.items():
        by_domain[taxonomy.lineage(taxid)[0]].append(size.bases)
    rest = {
        taxid: GenomeSize(statistics.median(by_domain[taxonomy.lineage(taxid)[0]] or known), ALL)
        if known
        else GenomeSize(math.nan, NONE)
        for taxid in wanted
    }
    for taxid in wanted:
        genus = taxonomy.lineage(taxid)[-2]
        if taxid not in found and genus and genus in by_genus:
            found[taxid] = GenomeSize(statistics.median(by_genus[genus]), GENUS)
    return {taxid: found.get(taxid, rest[taxid]) for taxid in wanted}


def _is_sound(domain: str, kmers: int) -> bool:
    least, most = SOUND_SIZES.get(domain, (math.inf, 0))
    return least <= kmers <= most


def describe_sizes(sizes: Mapping[int, GenomeSize]) -> list[str]:
    """Say which sizes of genomes are not stated."""
    sources = [size.source for size in sizes.values()]
    words = {
        KMERS: "the k-mers of Bracken's table as genome size (too large where it holds several"
        " genomes of a species)",
        GENUS: "the genus's median genome size",
        ALL: "the median of all known genome sizes",
        NONE: "no genome size, so that shares of cells are shares of reads",
    }
    return [
        f"{sources.count(source)} of {len(sources)} species have {text}"
        for source, text in words.items()
        if source in sources
    ]


# The profile ---------------------------------------------------------------------------------


def profile_counts(
    counts: Counts,
    taxonomy: Taxonomy,
    reads: Mapping[int, float],
    sizes: Mapping[int, GenomeSize],
    read_length: float,
) -> Profile:
    """Rows of a profile from the reads of its species.

    Parameters
    ----------
    reads
        See `share_out`.
    sizes
        See `size_genomes`.

    Notes
    -----
    Cells are reads by genome size. The unknown are taken to have genomes of the known ones'
    average size, as `summarise_species` does for either engine.
    """
    whole = sum(counts.reads.values())
    cells = {
        taxid: number / (1.0 if sizes[taxid].source == NONE else sizes[taxid].bases)
        for taxid, number in reads.items()
    }
    sum_of_cells = math.fsum(cells.values())
    species = summarise_species(
        [
            (
                str(taxid),
                cells[taxid] / sum_of_cells,
                number / whole,
                number * read_length / sizes[taxid].bases,
                math.nan,
            )
            for taxid, number in reads.items()
        ],
        {str(taxid): taxonomy.lineage(taxid) for taxid in reads},
    )
    return Profile(species, notes=describe_sizes(sizes))


def profile_with_kraken2(
    flow: SampleFlow,
    counts_path: str | os.PathLike[str],
    minimizers_path: str | os.PathLike[str],
    taxonomy_path: str | os.PathLike[str],
    tables: Sequence[str | os.PathLike[str]],
    rule: Kraken2Rule,
) -> Profile:
    """Profile of a sample that has reads.

    Parameters
    ----------
    counts_path, minimizers_path
        What the rule classify_reads wrote.
    taxonomy_path
        ``taxo.k2d`` of the database.
    tables
        Further files of the database, where it has them: ``inspect.txt``, Bracken's tables, and
        the table of genome sizes (any other name).
    """
    taxonomy = read_taxonomy(taxonomy_path)
    counts = read_counts(counts_path, minimizers_path)
    check_counts(counts, flow, taxonomy)
    inspected = [path for path in tables if Path(path).name == INSPECTION]
    bracken = nearest_distribution(tables, flow.read_length)
    stated = [
        path
        for path in tables
        if Path(path).name != INSPECTION and not DISTRIBUTION.search(str(path))
    ]
    held = read_inspection(inspected[0]) if inspected else {}
    distribution = read_distribution(bracken, counts.fragments) if bracken else Distribution()
    table = read_genome_sizes(stated[0]) if stated else SizeTable()

    present = present_species(counts, taxonomy, held, rule)
    heaped = present_species(counts, taxonomy, {}, rule) - present
    counts = unclassify(counts, taxonomy, heaped)
    reads = share_out(counts, taxonomy, present, distribution)
    sizes = size_genomes(reads, taxonomy, table, distribution.kmers)
    profile = profile_counts(counts, taxonomy, reads, sizes, flow.read_length)
    notes = list(profile.notes)
    if not bracken:
        notes.append("without Bracken's table higher ranks are shared out by the species' reads")
    if not inspected:
        notes.append(f"without {INSPECTION} the spread of minimizers is not looked at")
    fragments = sum(counts.fragments.values())
    return Profile(profile.species, min(1.0, rule.minimum_reads / fragments), notes)
