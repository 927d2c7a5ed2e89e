"""Species profile of a sample: what both engines share, and sylph.

sylph compares k-mers of the reads with those of reference genomes and corrects the identity
for coverage (Shaw & Yu 2024, doi:10.1038/s41587-024-02412-y). It says which share of the
reads comes from genomes that the database does not hold; that share is a row of the table.
"""

import errno
import itertools
import math
import os
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import dnaio
import numpy as np
import pysylph

from fermentome.errors import LineageError, ReferenceFolderError
from fermentome.flow import (
    EMPTY,
    FAILED,
    LOW_DEPTH,
    OK,
    SampleFlow,
    StageStatus,
    not_run,
    read_flow,
    write_statuses,
)
from fermentome.lineage import (
    RANKS,
    deepest_rank,
    find_lineage,
    format_lineage,
    genome_key,
    is_genome_file,
    read_lineages,
    sketch_key,
)
from fermentome.tables import write_table

UNCLASSIFIED = "unclassified"
ONE_SIDED = 1.645
"""Standard errors of a one-sided test at 5 %."""
MOST_TOLERANCE = 2.0
"""Per cent identity that the uncertainty of an estimate may make up for at most."""
KMER: Literal[31] = 31
ROUNDING = 1e-9
"""An unclassified share below this is an error of rounding."""
DETECTABLE_COVERAGE = 0.05
"""Mean depth that sylph needs: 0.01 to 0.05 at least, by its documentation
(https://github.com/bluenote-1577/sylph/wiki)."""


@dataclass(frozen=True, slots=True)
class TaxonAbundance:
    """One species, or the part that the database does not hold.

    Attributes
    ----------
    relative_abundance
        Share of cells: sylph's coverage-based abundance among the known genomes, times the
        known share of the reads. With `UNCLASSIFIED` it adds up to 1.
    sequence_abundance
        Share of the reads.
    coverage
        Mean depth over the genomes of the species; NaN for `UNCLASSIFIED`.
    ani
        Identity to the closest reference genome, per cent; NaN for `UNCLASSIFIED`, and where the
        engine states none (kraken2).
    reads
        Its share of the reads as a number, mates counted singly; None where not known. See
        `count_reads`.
    """

    taxon: str
    rank: str
    lineage: str
    relative_abundance: float
    sequence_abundance: float
    coverage: float
    ani: float
    reads: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What an engine says of a sample that has reads.

    Attributes
    ----------
    species
        Most abundant first, the unclassified rest last.
    limit
        Smallest share of the reads at which a species of the database would be seen.
    notes
        What was estimated otherwise than it should be, for want of a file of the database.
    """

    species: Sequence[TaxonAbundance]
    limit: float = 0.0
    notes: Sequence[str] = ()


def list_genomes(paths: Iterable[str | os.PathLike[str]]) -> dict[str, Path]:
    """Genome files by genome name, sorted; files not named as FASTA are passed over.

    Raises
    ------
    ReferenceFolderError
        If there is none, if one is empty or no file, or if two files have the same name but for
        their extensions.
    """
    genomes: dict[str, Path] = {}
    for path in sorted(map(Path, paths)):
        if not is_genome_file(path.name):
            continue
        if not path.is_file():
            raise ReferenceFolderError(
                f"{path} is no file; expected a genome in FASTA by its name. Hint:"
                " mend the link, or move the folder elsewhere."
            )
        if not path.stat().st_size:
            raise ReferenceFolderError(
                f"{path} is empty; expected a genome in FASTA. Hint: copy it again or delete it."
            )
        key = genome_key(path.name)
        if key in genomes:
            raise ReferenceFolderError(f"{genomes[key]} and {path.name} are both genome {key!r}")
        genomes[key] = path
    if not genomes:
        raise ReferenceFolderError(
            "taxonomy.genomes: no genome found; files named *.fna, *.ffn, *.fasta or *.fa, plain or"
            " .gz, were expected"
        )
    return genomes


def build_database(
    genomes: Mapping[str, Path],
    lineages: Mapping[str, tuple[str, ...]],
    subsampling: int,
    output: str | os.PathLike[str],
) -> None:
    """Sketch `genomes` into the sylph database `output`.

    Parameters
    ----------
    genomes
        FASTA file by genome name.
    lineages
        Lineage by genome name.
    subsampling
        One of this many k-mers is kept: 200 in the official databases; fewer find species
        at lower coverage and take more memory.

    Raises
    ------
    LineageError
        If a genome has no lineage.
    ReferenceFolderError
        If a file is damaged, not FASTA, or holds no sequence.
    """
    missing = sorted(name for name in genomes if find_lineage(name, lineages) is None)
    if missing:
        raise LineageError(
            f"{len(missing)} of {len(genomes)} genomes have no row in the lineage table, the"
            f" first is {missing[0]!r} ({genomes[missing[0]].name})"
        )
    sketcher = pysylph.Sketcher(c=subsampling, k=KMER)
    sketches = []
    for name in sorted(genomes):
        sketches.append(sketcher.sketch_genome(name, read_contigs(genomes[name])))
    try:
        pysylph.Database(sketches).dump(os.fspath(output))
    except BaseException as error:
        # A full disk makes pysylph 0.1.3 panic, with an exception that is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        found = re.search(r"code: (\d+)", str(error))
        code = int(found[1]) if found else errno.EIO
        raise OSError(code, os.strerror(code), os.fspath(output)) from error


def read_contigs(path: Path) -> list[str]:
    """Sequences of a genome; one at least, and all of them read before any is used.

    Raises
    ------
    ReferenceFolderError
        If the file is damaged, not FASTA, or holds no sequence.
    """
    try:
        with dnaio.open(path, fileformat="fasta") as records:
            contigs = [record.sequence for record in records]
    except MemoryError:
        raise
    except Exception as error:  # the gzip libraries' errors have no base class in common
        raise ReferenceFolderError(
            f"{path}: cannot be read as a genome ({error}); expected FASTA, plain or .gz. Hint: the"
            " file is truncated, damaged or something else; copy it again."
        ) from error
    if not any(contigs):
        raise ReferenceFolderError(
            f"{path}: holds no sequence; expected a genome in FASTA. Hint: copy it again or delete"
            " it."
        )
    return contigs


Paths = Sequence[str | os.PathLike[str]]


def _single_reads(paths: Paths) -> Iterator[dnaio.SequenceRecord]:
    for path in paths:
        with dnaio.open(path) as records:
            yield from records


def _mates(paths: Paths, mate: int) -> Iterator[dnaio.SequenceRecord]:
    for path in paths:
        with dnaio.open(path, interleaved=True) as pairs:
            yield from (pair[mate] for pair in pairs)


READS_AT_ONCE = 1000
PHRED_OFFSET = 33


class ErrorCounter:
    """Expected wrong bases of reads by their qualities (doi:10.1093/bioinformatics/btv401)."""

    def __init__(self) -> None:
        self.counts = np.zeros(256, np.int64)
        self._waiting: list[str] = []

    def watch(self, records: Iterable[dnaio.SequenceRecord]) -> Iterator[str]:
        """Pass the sequences on and count the qualities."""
        for record in records:
            self._waiting.append(record.qualities or "")
            if len(self._waiting) == READS_AT_ONCE:
                self._count()
            yield record.sequence
        self._count()

    def _count(self) -> None:
        codes = np.frombuffer("".join(self._waiting).encode("ascii"), np.uint8)
        self.counts += np.bincount(codes, minlength=256)
        self._waiting.clear()

    def rate(self) -> float:
        """Expected share of wrong bases; 0 if nothing was read."""
        chance = 10.0 ** (-(np.arange(256) - PHRED_OFFSET) / 10)
        total = int(self.counts.sum())
        return float((self.counts * chance).sum()) / total if total else 0.0


def load_database(path: str | os.PathLike[str]) -> pysylph.Database:
    """Load a sylph database.

    Raises
    ------
    ReferenceFolderError
        If the database cannot be read or is empty.
    """
    try:
        database = pysylph.Database.load(os.fspath(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise ReferenceFolderError(
            f"{path}: not a sylph database that this version reads ({error}); give a .syldb"
            " made by sylph 0.6 or later, or a folder of genomes"
        ) from error
    if not len(database):
        raise ReferenceFolderError(f"{path}: the database holds no genome")
    return database


def median_genome_size(database: pysylph.Database) -> float:
    """Median size of the genomes of a database, nucleotides."""
    return statistics.median(database[i].genome_size for i in range(len(database)))


def profile_reads(
    paired: Paths,
    single: Paths,
    reference: pysylph.Database,
    lineages: Mapping[str, tuple[str, ...]],
    minimum_ani: float,
    minimum_kmers: int,
) -> list[TaxonAbundance]:
    """Species of a sample, most abundant first, and the unclassified rest as the last row.

    Parameters
    ----------
    paired, single
        FASTQ files: interleaved pairs, and single reads. Of a sample with both, the single
        reads and the first mates are used: a sketch of single reads would count the overlap
        of two mates twice and take it for depth.
    reference
        sylph database, see `load_database`.
    lineages
        Lineage by genome name.
    minimum_ani
        Per cent. A genome is left out if its identity is below this beyond its uncertainty,
        see `ani_tolerance`. pysylph 0.1.3 takes per cent; 0.95 would let in noise of 72-84 %.
    minimum_kmers
        Sampled k-mers that a genome must have to be looked at.

    Raises
    ------
    LineageError
        If a detected genome has no lineage.
    """
    sketcher = pysylph.Sketcher(c=reference[0].c, k=reference[0].k)
    errors = ErrorCounter()
    if single:
        reads = itertools.chain(_single_reads(single), _mates(paired, 0))
        sample = sketcher.sketch_single("sample", errors.watch(reads))
    else:
        mates = (errors.watch(_mates(paired, mate)) for mate in (0, 1))
        sample = sketcher.sketch_paired("sample", *mates)
    profiler = pysylph.Profiler(
        reference,
        minimum_ani=max(minimum_ani - MOST_TOLERANCE, 0.0),
        # sylph's own estimate takes the k-mers of shallow genomes for errors.
        seq_id=1 - errors.rate(),
        estimate_unknown=True,
        min_number_kmers=minimum_kmers,
    )
    kept = [
        result
        for result in profiler.profile(sample)
        if result.ani + tolerance_of(result) >= minimum_ani
    ]
    cells = sum(result.taxonomic_abundance for result in kept)
    return summarise_species(
        [
            (
                sketch_key(result.genome_sketch.name),
                result.taxonomic_abundance / cells,
                result.sequence_abundance / 100,
                result.coverage,
                result.ani,
            )
            for result in kept
        ],
        lineages,
    )


def tolerance_of(result: pysylph.ProfileResult) -> float:
    """`ani_tolerance` of a genome that sylph found."""
    sketch = result.genome_sketch
    return ani_tolerance(result.ani, result.ani_naive, len(sketch.kmers), sketch.k)


def ani_tolerance(ani: float, ani_naive: float, kmers: int, k: int) -> float:
    """How far a coverage-corrected identity may be below the truth by chance, per cent.

    sylph corrects the share of k-mers found, C' = C (1 - exp(-x)), for the depth x, which at
    low depth it takes from the numbers of k-mers seen once and twice, x = 2 n2 / n1. With
    relative error 1/n1 + 1/n2 of x squared, the error of C is that of x times
    x / (exp(x) - 1), and identity is C to the power 1/k. At 0.1-fold coverage this is about
    0.6 %, more than many strains are away from the limit of the species.

    Parameters
    ----------
    ani, ani_naive
        Identity with and without correction, per cent.
    kmers
        K-mers of the genome's sketch.
    k
        Length of a k-mer.

    Returns
    -------
    float
        1.645 standard errors, at most 2.

    Examples
    --------
    >>> ani_tolerance(99.0, 98.9, 20_000, 31) < 0.1
    True
    """
    contained = (ani / 100) ** k
    found = (ani_naive / 100) ** k
    if found >= contained:
        return 0.0
    depth = -math.log1p(-found / contained)
    once = kmers * contained * depth * math.exp(-depth)
    twice = once * depth / 2
    if twice < 1:
        return MOST_TOLERANCE
    relative = math.sqrt(1 / once + 1 / twice) * depth / math.expm1(depth)
    return min(ONE_SIDED * ani * relative / k, MOST_TOLERANCE)


def summarise_species(
    genomes: Iterable[tuple[str, float, float, float, float]],
    lineages: Mapping[str, tuple[str, ...]],
) -> list[TaxonAbundance]:
    """Add up the genomes of each species and give the unknown share its row.

    Parameters
    ----------
    genomes
        (name, share of the known cells, share of all reads, coverage, ANI in per cent).

    Notes
    -----
    sylph's coverage-based abundance adds up to 1 over the known genomes. The share of cells
    that are unknown cannot be measured; the unknown are taken to have genomes of the known
    ones' average size, so their share of cells is their share of reads.
    """
    rows: dict[tuple[str, ...], list[tuple[float, float, float, float]]] = defaultdict(list)
    for name, cells, reads, coverage, ani in genomes:
        lineage = find_lineage(name, lineages)
        if lineage is None:
            raise LineageError(
                f"genome {name!r} of the taxonomic database has no row in the lineage table;"
                " database and lineage table belong to different releases"
            )
        rows[lineage].append((cells, reads, coverage, ani))
    known = min(sum(values[1] for group in rows.values() for values in group), 1.0)
    known = 1.0 if known > 1 - ROUNDING else known
    species = [
        TaxonAbundance(
            taxon=lineage[deepest_rank(lineage)],
            rank=RANKS[deepest_rank(lineage)],
            lineage=format_lineage(lineage),
            relative_abundance=sum(values[0] for values in group) * known,
            sequence_abundance=sum(values[1] for values in group),
            coverage=sum(values[2] for values in group),
            ani=max(values[3] for values in group),
        )
        for lineage, group in rows.items()
    ]
    species.sort(key=lambda row: (-row.relative_abundance, row.lineage))
    nan = float("nan")
    rest = 1.0 - known
    species.append(TaxonAbundance(UNCLASSIFIED, UNCLASSIFIED, "", rest, rest, nan, nan))
    return species


def detectable_abundance(bases: int, genome_size: float) -> float:
    """Smallest share of the reads at which a species of the database would be seen.

    ``DETECTABLE_COVERAGE * genome_size / bases``, at most 1.

    Parameters
    ----------
    bases
        Clean bases of the sample.
    genome_size
        Typical size of a genome, nucleotides.

    >>> detectable_abundance(20_000_000, 4_000_000)
    0.01
    """
    return min(1.0, DETECTABLE_COVERAGE * genome_size / bases) if bases else 1.0


def profile_with_sylph(
    flow: SampleFlow,
    paired: Paths,
    single: Paths,
    database: str | os.PathLike[str],
    lineages_path: str | os.PathLike[str],
    minimum_ani: float,
    minimum_kmers: int,
) -> Profile:
    """Profile of a sample that has reads; parameters as in `profile_reads`."""
    reference = load_database(database)
    species = profile_reads(
        paired if flow.paired_fragments else [],
        single if flow.single_fragments else [],
        reference,
        read_lineages(lineages_path),
        minimum_ani,
        minimum_kmers,
    )
    return Profile(species, detectable_abundance(flow.clean_bases, median_genome_size(reference)))


# Both engines --------------------------------------------------------------------------------

TAXONOMY_COLUMNS = (
    "sample",
    "taxon",
    "rank",
    "lineage",
    "relative_abundance",
    "sequence_abundance",
    "reads",
    "coverage",
    "ani",
    "database",
)


def count_reads(species: Sequence[TaxonAbundance], reads: int) -> list[TaxonAbundance]:
    """Turn shares of the reads into numbers that add up to all reads.

    Parameters
    ----------
    species
        Rows whose `sequence_abundance` adds up to 1.
    reads
        Clean reads of the sample.

    Notes
    -----
    Every number is rounded down; what is missing goes to those that lost most.
    """
    exact = [row.sequence_abundance * reads for row in species]
    numbers = [math.floor(value) for value in exact]
    lost = sorted(range(len(exact)), key=lambda n: (numbers[n] - exact[n], n))
    for position in lost[: max(0, reads - sum(numbers))]:
        numbers[position] += 1
    return [replace(row, reads=number) for row, number in zip(species, numbers, strict=True)]


def write_profile(
    flow_path: str | os.PathLike[str],
    profile: Callable[[SampleFlow], Profile],
    database: str,
    low_depth_abundance: float,
    table_path: str | os.PathLike[str],
    status_path: str | os.PathLike[str],
) -> None:
    """Profile the species of a sample with an engine, and write table and status.

    Parameters
    ----------
    flow_path
        Counts of the sample, see `fermentome.flow`.
    profile
        The engine; called for a sample that has reads.
    database
        Name of the database, for the table.
    low_depth_abundance
        The sample is marked ``low_depth`` if species below this share of the reads would
        be missed, see `Profile.limit`.
    table_path, status_path
        Species table and status to write.

    Notes
    -----
    An empty sample has no row; a failed one has one row of NA.
    """
    flow = read_flow(flow_path)
    species: list[TaxonAbundance] = []
    if flow.status == FAILED:
        nan = float("nan")
        species = [TaxonAbundance(UNCLASSIFIED, UNCLASSIFIED, "", nan, nan, nan, nan)]
        status = not_run(flow.sample, "taxonomy")
    elif flow.status == EMPTY:
        status = StageStatus(flow.sample, "taxonomy", EMPTY, "no clean reads", 0, 0)
    else:
        found = profile(flow)
        species = count_reads(found.species, flow.clean_reads)
        status = taxonomy_status(
            flow, species, found.limit, low_depth_abundance, "; ".join(found.notes)
        )
    write_table(
        table_path,
        TAXONOMY_COLUMNS,
        ({"sample": flow.sample, **asdict(row), "database": database} for row in species),
    )
    write_statuses(status_path, [status])


def taxonomy_status(
    flow: SampleFlow,
    species: Sequence[TaxonAbundance],
    limit: float,
    low_depth_abundance: float,
    note: str = "",
) -> StageStatus:
    """Status of the taxonomic profile of a sample that has reads.

    Parameters
    ----------
    limit
        See `detectable_abundance`.
    low_depth_abundance
        Largest limit of a sample that is deep enough.
    note
        What else is to be said.
    """
    classified = round((1 - species[-1].sequence_abundance) * flow.clean_reads)
    if limit <= low_depth_abundance:
        return StageStatus(flow.sample, "taxonomy", OK, note, flow.clean_reads, classified)
    reason = f"too few reads: species below {limit:.2g} of the reads are missed"
    if len(species) == 1:
        reason += "; that none was found does not mean that none is there"
    reason += f"; {note}" if note else ""
    return StageStatus(flow.sample, "taxonomy", LOW_DEPTH, reason, flow.clean_reads, classified)
