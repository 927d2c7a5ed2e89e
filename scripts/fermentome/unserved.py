"""What the databases of a run did not serve: the part of a sample of which they know nothing.

No number here is a fault of the sample. Reads stay unclassified because the taxonomic database
lacks their species, species stay open because nobody called the routes of their genomes, and
fragments stay without lineage because the protein reference lacks their relatives. Results rest
on the rest, so these shares stand beside them, and a sample above a limit is marked.

Shares are 0 to 1. NaN is not known (a failed sample, no profile, no phenotypes, nothing found to
take a share of), which is not 0.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path

from scipy import stats

from fermentome.assign import MINIMUM_GENUS_ALIGNMENT, UNASSIGNED
from fermentome.catalogue import Catalogue, CatalogueFiles, load_catalogue
from fermentome.evidence import COMMUNITY
from fermentome.flow import (
    DATABASES,
    EMPTY,
    FAILED,
    LOW_DEPTH,
    OK,
    STATUS_COLUMNS,
    UNDERSERVED,
    SampleFlow,
    StageStatus,
    not_run,
    read_flow,
    write_statuses,
)
from fermentome.organisms import species_name
from fermentome.scoring import ABSENT, PRESENT
from fermentome.tables import Cell, iterate_table, parse_number, read_table, write_table
from fermentome.taxonomy import UNCLASSIFIED

CONFIDENCE = 0.95
"""Of the one-sided bound of a share of few fragments."""
BASES_PER_RESIDUE = 3
MARK, FAIL = "mark", "fail"


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One row of a species profile: name, share of the cells, share of the reads."""

    taxon: str
    cells: float
    reads: float


@dataclass(frozen=True, slots=True)
class Served:
    """What the species profile and the phenotypes leave open; NaN without them.

    Attributes
    ----------
    classified_share, unclassified_share
        Of the clean reads.
    unclassified_cell_share
        Of the cells.
    species_total
        Species of the profile.
    no_phenotype_share
        Of the cells: the two kinds below together.
    species_missing_phenotype, missing_phenotype_cell_share, missing_phenotype_read_share
        Species without a row in the table of phenotypes.
    species_open_phenotype, open_phenotype_cell_share, open_phenotype_read_share
        Species with rows of which none says present or absent.
    """

    classified_share: float = math.nan
    unclassified_share: float = math.nan
    unclassified_cell_share: float = math.nan
    species_total: float = math.nan
    no_phenotype_share: float = math.nan
    species_missing_phenotype: float = math.nan
    missing_phenotype_cell_share: float = math.nan
    missing_phenotype_read_share: float = math.nan
    species_open_phenotype: float = math.nan
    open_phenotype_cell_share: float = math.nan
    open_phenotype_read_share: float = math.nan


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of the fragments of target families; shares of none are NaN.

    Attributes
    ----------
    target_fragments
        Fragments given to a target family.
    no_lineage_fragments, no_lineage_share
        Those of them that name no genus.
    ambiguous_fragments, ambiguous_share
        Fragments that tie between a target family and another one, and their share of them and
        the target fragments together.
    """

    target_fragments: float = math.nan
    no_lineage_fragments: float = math.nan
    no_lineage_share: float = math.nan
    ambiguous_fragments: float = math.nan
    ambiguous_share: float = math.nan


@dataclass(frozen=True, slots=True)
class Reference:
    """What the protein reference lacks of the catalogue.

    Attributes
    ----------
    empty_targets, empty_decoys
        Number of families without a protein.
    unserved_routes
        Reported routes of which no set of markers is complete, sorted: never called.
    """

    empty_targets: int
    empty_decoys: int
    unserved_routes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits above which a sample is marked; None switches one off.

    Attributes
    ----------
    unclassified, no_phenotype, no_lineage, ambiguous
        Highest ``unclassified_share`` and so on.
    unserved_routes
        Largest number of unserved routes.
    on_exceed
        ``mark`` the sample, or let the run ``fail``.
    """

    unclassified: float | None
    no_phenotype: float | None
    no_lineage: float | None
    ambiguous: float | None
    unserved_routes: int | None
    on_exceed: str = MARK


# The headline shares first: those that are compared with the limits and drawn beside results.
UNSERVED_COLUMNS = (
    "sample",
    "unclassified_share",
    "no_phenotype_share",
    "no_lineage_share",
    "ambiguous_share",
    "classified_share",
    "unclassified_cell_share",
    "species_total",
    "species_missing_phenotype",
    "missing_phenotype_cell_share",
    "missing_phenotype_read_share",
    "species_open_phenotype",
    "open_phenotype_cell_share",
    "open_phenotype_read_share",
    "hit_share",
    "target_fragments",
    "no_lineage_fragments",
    "ambiguous_fragments",
    "empty_targets",
    "empty_decoys",
    "mean_clean_read_length",
    "unserved_routes",
)
COMPARED_COLUMNS = (
    "unclassified_share",
    "no_phenotype_share",
    "species_total",
    "species_missing_phenotype",
    "species_open_phenotype",
    "target_fragments",
    "no_lineage_fragments",
    "ambiguous_fragments",
    "mean_clean_read_length",
)
"""Numbers that limits and their reasons take."""


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan


def phenotypes_known(rows: Iterable[Mapping[str, str]], wanted: Set[str]) -> dict[str, bool]:
    """Whether any route is called present or absent, by species that has a row.

    Parameters
    ----------
    rows
        Table of phenotypes: ``lineage`` and ``call``. It is passed once and not kept, since that
        of a large database has millions of rows.
    wanted
        Species to look for.
    """
    known: dict[str, bool] = {}
    names: dict[str, str] = {}
    for row in rows:
        lineage = row["lineage"]
        if lineage not in names:
            names[lineage] = species_name(lineage)
        name = names[lineage]
        if name in wanted:
            known[name] = known.get(name, False) or row["call"] in {PRESENT, ABSENT}
    return known


def served_by_taxonomy(
    profile: Sequence[ProfileRow] | None, known: Mapping[str, bool] | None
) -> Served:
    """What the taxonomic database and the phenotypes of its genomes leave open.

    Parameters
    ----------
    profile
        Species and the unclassified rest; None if no profile was made.
    known
        See `phenotypes_known`; None if there is no table of phenotypes.
    """
    if profile is None:
        return Served()
    rest = [row for row in profile if row.taxon == UNCLASSIFIED]
    species = [row for row in profile if row.taxon != UNCLASSIFIED]
    reads = sum((row.reads for row in rest), 0.0)
    cells = sum((row.cells for row in rest), 0.0)
    classified: dict[str, float] = {
        "classified_share": 1.0 - reads,
        "unclassified_share": reads,
        "unclassified_cell_share": cells,
        "species_total": len({row.taxon for row in species}),
    }
    if known is None:
        return Served(**classified)
    missing = [row for row in species if row.taxon not in known]
    still_open = [row for row in species if known.get(row.taxon) is False]
    return Served(
        **classified,
        no_phenotype_share=sum((row.cells for row in missing + still_open), 0.0),
        species_missing_phenotype=len({row.taxon for row in missing}),
        missing_phenotype_cell_share=sum((row.cells for row in missing), 0.0),
        missing_phenotype_read_share=sum((row.reads for row in missing), 0.0),
        species_open_phenotype=len({row.taxon for row in still_open}),
        open_phenotype_cell_share=sum((row.cells for row in still_open), 0.0),
        open_phenotype_read_share=sum((row.reads for row in still_open), 0.0),
    )


def placed_fragments(
    families: Iterable[Mapping[str, str]],
    ambiguous: Mapping[frozenset[str], int],
    targets: Set[str],
) -> Placed:
    """Fragments of target families with and without lineage, and those that tie.

    Parameters
    ----------
    families
        Table of families of the sample.
    ambiguous
        Fragments by the families that tie.
    targets
        Target families of the catalogue.
    """
    whole = unnamed = 0.0
    for row in families:
        if row["family"] in targets and row["taxon"] == COMMUNITY:
            whole += parse_number(row["fragments"])
        elif row["family"] in targets and row["taxon"] == UNASSIGNED:
            unnamed += parse_number(row["fragments"])
    tied = float(sum(count for names, count in ambiguous.items() if names & targets))
    return Placed(
        target_fragments=whole,
        no_lineage_fragments=unnamed,
        no_lineage_share=_share(unnamed, whole),
        ambiguous_fragments=tied,
        ambiguous_share=_share(tied, tied + whole),
    )


def lacking_of_reference(catalogue: Catalogue, held: Set[str]) -> Reference:
    """What a protein reference lacks.

    Parameters
    ----------
    catalogue
        The catalogue.
    held
        Families of which the reference holds a protein.
    """
    empty = [family.role for name, family in catalogue.families.items() if name not in held]
    routes = (
        name
        for name, pathway in catalogue.pathways.items()
        if pathway.reported and not any(held >= set(group) for group in pathway.required_markers)
    )
    return Reference(empty.count("target"), empty.count("decoy"), tuple(sorted(routes)))


def lowest_share(part: float, whole: float) -> float:
    """One-sided 95 % lower bound of a share of counted fragments (Clopper-Pearson).

    >>> round(lowest_share(9, 10), 3), lowest_share(0, 10)
    (0.606, 0.0)
    """
    if part <= 0:
        return 0.0
    return float(stats.beta.ppf(1 - CONFIDENCE, part, whole - part + 1))


# From tables to tables -----------------------------------------------------------------------


def read_profile(path: str | os.PathLike[str]) -> list[ProfileRow]:
    """Rows of a species profile, the unclassified rest among them."""
    columns = ["taxon", "relative_abundance", "sequence_abundance"]
    return [
        ProfileRow(
            row["taxon"],
            parse_number(row["relative_abundance"]),
            parse_number(row["sequence_abundance"]),
        )
        for row in read_table(path, columns)
    ]


def held_families(path: str | os.PathLike[str]) -> frozenset[str]:
    """Families of which the reference holds a protein, from the table that its check wrote."""
    rows = read_table(path, ["family", "proteins"])
    return frozenset(row["family"] for row in rows if int(row["proteins"]))


def measure_sample(
    flow_path: str | os.PathLike[str],
    taxonomy_path: str | os.PathLike[str] | None,
    phenotypes_path: str | os.PathLike[str] | None,
    families_path: str | os.PathLike[str],
    ambiguous_path: str | os.PathLike[str],
    depth_path: str | os.PathLike[str],
    reference_path: str | os.PathLike[str],
    catalogue_files: CatalogueFiles,
    table_path: str | os.PathLike[str],
) -> None:
    """Write what the databases did not serve of a sample, from files to files.

    Parameters
    ----------
    flow_path, families_path, ambiguous_path, depth_path
        Written by earlier stages for the sample.
    taxonomy_path
        The species table; None if taxonomy is switched off.
    phenotypes_path
        Which routes the genomes of the taxonomic reference carry; None if not known.
    reference_path
        Proteins of the reference by family.
    catalogue_files
        The catalogue and its schemas.
    table_path
        Table to write: one row, of NA if the sample failed, and none if it is empty.
    """
    flow = read_flow(flow_path)
    rows: list[dict[str, Cell]] = []
    if flow.status == FAILED:
        rows = [dict.fromkeys(UNSERVED_COLUMNS) | {"sample": flow.sample}]
    elif flow.status != EMPTY:
        catalogue = load_catalogue(catalogue_files)
        profile = read_profile(taxonomy_path) if taxonomy_path else None
        known = None
        if profile is not None and phenotypes_path:
            species = {row.taxon for row in profile}
            known = phenotypes_known(iterate_table(phenotypes_path, ["lineage", "call"]), species)
        ambiguous = {
            frozenset(row["families"].split("|")): int(row["fragments"])
            for row in read_table(ambiguous_path, ["families", "fragments"])
        }
        targets = {n for n, family in catalogue.families.items() if family.role == "target"}
        families = read_table(families_path, ["family", "taxon", "fragments"])
        depth = json.loads(Path(depth_path).read_text(encoding="utf-8"))
        lacking = lacking_of_reference(catalogue, held_families(reference_path))
        rows = [
            {
                "sample": flow.sample,
                **asdict(served_by_taxonomy(profile, known)),
                **asdict(placed_fragments(families, ambiguous, targets)),
                "hit_share": _share(depth["reads_with_hits"], flow.clean_reads),
                "empty_targets": lacking.empty_targets,
                "empty_decoys": lacking.empty_decoys,
                "mean_clean_read_length": flow.read_length,
                "unserved_routes": ",".join(lacking.unserved_routes),
            }
        ]
    write_table(table_path, UNSERVED_COLUMNS, rows)


# Limits --------------------------------------------------------------------------------------

TAXONOMIC_KEY, PROTEIN_KEY = "taxonomy.database", "function.reference"


@dataclass(frozen=True, slots=True)
class Databases:
    """What the databases of a run are called in reasons."""

    taxonomy: str
    proteins: str


def name_databases(used: Iterable[Mapping[str, str]]) -> Databases:
    """Names of the databases of a run.

    Parameters
    ----------
    used
        Rows of the table of used databases: ``key``, ``database``, ``version``.
    """
    names = {
        row["key"]: row["database"] + (f"@{row['version']}" if row["version"] != "NA" else "")
        for row in used
    }
    return Databases(
        names.get(TAXONOMIC_KEY, "the genomes of taxonomy.genomes"),
        names.get(PROTEIN_KEY, "the protein reference"),
    )


def over_limits(row: Mapping[str, str], limits: Limits) -> frozenset[str]:
    """Names of the limits that a sample exceeds. What is not known exceeds none.

    Shares of fragments, which may be few, exceed a limit if their lower 95 % bound does. Reads too
    short to name a genus are no fault of the reference and are not compared with `no_lineage`.

    Parameters
    ----------
    row
        Of the table of unserved shares.
    """
    number = {name: parse_number(row[name]) for name in COMPARED_COLUMNS}
    targets = number["target_fragments"]
    values = {
        "unclassified": number["unclassified_share"],
        "no_phenotype": number["no_phenotype_share"],
        "ambiguous": lowest_share(
            number["ambiguous_fragments"], targets + number["ambiguous_fragments"]
        ),
        "unserved_routes": float(len(routes_of(row["unserved_routes"]))),
    }
    if number["mean_clean_read_length"] >= BASES_PER_RESIDUE * MINIMUM_GENUS_ALIGNMENT:
        values["no_lineage"] = lowest_share(number["no_lineage_fragments"], targets)
    most = asdict(limits)
    return frozenset(
        name for name, value in values.items() if most[name] is not None and value > most[name]
    )


def routes_of(cell: str) -> list[str]:
    """Routes of a cell that lists them; none of one that is empty or not known.

    >>> routes_of("A,B"), routes_of(""), routes_of("NA")
    (['A', 'B'], [], [])
    """
    return [] if cell in {"", "NA"} else cell.split(",")


def exceeded(
    row: Mapping[str, str], limits: Limits, databases: Databases, shallow: bool
) -> list[str]:
    """Why a sample is above the limits, with what to do about it; nothing if it is not.

    Parameters
    ----------
    row
        Of the table of unserved shares.
    shallow
        Whether the taxonomic profile of the sample is marked ``low_depth``.
    """
    number = {name: parse_number(row[name]) for name in COMPARED_COLUMNS}
    targets, tied = number["target_fragments"], number["ambiguous_fragments"]
    open_species = number["species_missing_phenotype"] + number["species_open_phenotype"]
    depth = (
        " The sample is shallow too, and species too rare to be seen count as unclassified:"
        " sequence deeper first."
    )
    reasons = {
        "unclassified": (
            f"{number['unclassified_share']:.3g} of the reads are unclassified with"
            f" {databases.taxonomy}",
            "use a database of this habitat, `fermentome db fetch uhgg` (human gut) or"
            f" `fermentome db fetch gtdb` (any).{depth if shallow else ''}",
        ),
        "no_phenotype": (
            f"{number['no_phenotype_share']:.3g} of the cells are of {open_species:.0f} species"
            f" without phenotype, of {number['species_total']:.0f} in all",
            f"taxonomy.phenotypes does not fit {databases.taxonomy}; fetch the table of the same"
            " release, or make it with `fermentome genomes`.",
        ),
        "no_lineage": (
            f"{number['no_lineage_fragments']:.0f} of {targets:.0f} fragments of target families"
            " name no genus",
            f"{databases.proteins} lacks relatives of these organisms, or their lineages;"
            " `fermentome db fetch scfa`, or build one with genomes of this habitat.",
        ),
        "ambiguous": (
            f"{tied:.0f} of {targets + tied:.0f} fragments of target families fit several"
            " families alike",
            f"{databases.proteins} gives like proteins to different families; `fermentome db fetch"
            " scfa`, or build it again.",
        ),
        "unserved_routes": (
            f"{databases.proteins} has no complete set of markers of"
            f" {', '.join(routes_of(row['unserved_routes']))}",
            "`fermentome db fetch scfa`, or build one that has them.",
        ),
    }
    over = over_limits(row, limits)
    most = asdict(limits)
    return [
        f"{what} (limits.{name}: {most[name]:g}): {advice}"
        for name, (what, advice) in reasons.items()
        if name in over
    ]


def database_status(
    flow: SampleFlow,
    row: Mapping[str, str] | None,
    limits: Limits,
    databases: Databases,
    shallow: bool,
) -> StageStatus:
    """Status of a sample at the stage of the databases.

    Parameters
    ----------
    row
        Of the table of unserved shares; None for an empty sample.

    Returns
    -------
    StageStatus
        ``underserved`` above a limit, or ``failed`` where the limits say so. ``reads_out`` are
        the reads that the taxonomic database classified; not known without a profile.
    """
    if flow.status == FAILED:
        return not_run(flow.sample, DATABASES)
    if row is None:
        return StageStatus(flow.sample, DATABASES, EMPTY, "no clean reads", 0, 0)
    reasons = exceeded(row, limits, databases, shallow)
    share = parse_number(row["classified_share"])
    classified = None if math.isnan(share) else round(share * flow.clean_reads)
    status = OK
    if reasons:
        status = FAILED if limits.on_exceed == FAIL else UNDERSERVED
    return StageStatus(
        flow.sample, DATABASES, status, " ".join(reasons), flow.clean_reads, classified
    )


def check_limits(
    table_path: str | os.PathLike[str],
    flows: Iterable[str | os.PathLike[str]],
    statuses: Iterable[str | os.PathLike[str]],
    used_path: str | os.PathLike[str],
    limits: Limits,
    status_path: str | os.PathLike[str],
) -> None:
    """Compare all samples with the limits, from files to files.

    Parameters
    ----------
    table_path
        Joined table of unserved shares.
    flows
        Counts of every sample.
    statuses
        Statuses of the taxonomic profiles; none if taxonomy is switched off.
    used_path
        Table of the databases of the run.
    limits
        Limits of the configuration.
    status_path
        Table of statuses to write.
    """
    rows = {row["sample"]: row for row in read_table(table_path, UNSERVED_COLUMNS)}
    shallow = {
        row["sample"]
        for path in statuses
        for row in read_table(path, STATUS_COLUMNS)
        if row["status"] == LOW_DEPTH
    }
    databases = name_databases(read_table(used_path, ["key", "database", "version"]))
    samples = sorted(map(read_flow, flows), key=lambda flow: flow.sample)
    write_statuses(
        status_path,
        [
            database_status(flow, rows.get(flow.sample), limits, databases, flow.sample in shallow)
            for flow in samples
        ],
    )


def read_unserved(path: str | os.PathLike[str]) -> Mapping[str, str]:
    """Row of one sample that `measure_sample` wrote; NA throughout for an empty one."""
    rows = read_table(path, UNSERVED_COLUMNS)
    return rows[0] if rows else dict.fromkeys(UNSERVED_COLUMNS, "NA")
