"""From the search result of a sample to its table of families, and back to evidence."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from fermentome.assign import UNASSIGNED, Protein, assign_fragments, open_text
from fermentome.catalogue import Catalogue, CatalogueFiles, Pathway, load_catalogue
from fermentome.errors import EvidenceError, ReferenceFolderError
from fermentome.evidence import (
    COMMUNITY,
    FamilyEvidence,
    SampleEvidence,
    median_lengths,
    weigh_families,
)
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
from fermentome.lineage import RANKS, parse_lineage
from fermentome.normalise import (
    GenomeEquivalents,
    Library,
    detection_limit,
    fragment_effective_length,
    read_effective_length,
)
from fermentome.organisms import (
    OrganismRange,
    organism_evidence,
    read_phenotypes,
    read_species,
)
from fermentome.reference import read_reference
from fermentome.scoring import (
    PRESENT,
    PathwayScore,
    ScoringRule,
    marker_families,
    pathway_tier,
    score_products,
    score_sample,
)
from fermentome.tables import Cell, iterate_table, parse_number, read_table, write_table
from fermentome.unserved import read_unserved, routes_of

FAMILY_COLUMNS = (
    "sample",
    "family",
    "taxon",
    "role",
    "fragments",
    "positions",
    "effective_length",
    "copies_per_genome",
    "ci_low",
    "ci_high",
)
AMBIGUOUS_COLUMNS = ("sample", "families", "fragments")
PATHWAY_COLUMNS = (
    "sample",
    "pathway",
    "taxon",
    "product",
    "direction",
    "copies_per_genome",
    "ci_low",
    "ci_high",
    "completeness",
    "call",
    "tier",
    "organism_evidence",
    "organism_copies",
    "organism_open",
    "detection_limit",
    "marker_fragments",
    "marker_positions",
    "ambiguous_share",
    "no_lineage_share",
    "missing_steps",
    "reason",
)
PRODUCT_SHARES = ("unclassified_share", "no_phenotype_share", "no_lineage_share")
"""Of the sample, from the table of what its databases did not serve."""
PRODUCT_COLUMNS = (
    "sample",
    "product",
    "copies_per_genome",
    "ci_low",
    "ci_high",
    "routes_present",
    "unserved_routes",
    *PRODUCT_SHARES,
)

TYPICAL_PROTEIN = 400
"""Amino acids; a family of this length stands for all in the depth status of a sample."""

SHORTEST_READS = 75
"""Nucleotides, the shortest for which the catalogue's lowest scores were measured. 32 bits over
25 amino acids need 1.3 bits each, about 60 % identity."""

PROTEIN_COLUMNS = ("protein", "family", "length_aa", "lineage")


def read_proteins(path: str | os.PathLike[str], catalogue: Catalogue) -> dict[str, Protein]:
    """Proteins of a reference by id.

    Raises
    ------
    ReferenceFolderError
        If a family is not in the catalogue.
    """
    genus = RANKS.index("genus")
    proteins = {}
    for number, row in enumerate(iterate_table(path, PROTEIN_COLUMNS), start=2):
        if row["family"] not in catalogue.families and row["family"] not in catalogue.single_copy:
            raise ReferenceFolderError(
                f"{path}, line {number}: family {row['family']!r} is not in the catalogue;"
                " correct the name or add the family to families.yaml"
            )
        proteins[row["protein"]] = Protein(
            row["family"], int(row["length_aa"]), parse_lineage(row["lineage"])[genus]
        )
    return proteins


REFERENCE_COLUMNS = ("family", "role", "proteins", "with_genus", "median_length_aa")


def check_proteins(
    manifest_path: str | os.PathLike[str],
    catalogue_files: CatalogueFiles,
    table_path: str | os.PathLike[str],
) -> None:
    """Check a protein reference and write how many proteins each family of the catalogue has.

    Parameters
    ----------
    manifest_path
        Manifest of the reference, in its folder.
    catalogue_files
        The catalogue and its schemas.
    table_path
        Table to write.

    Raises
    ------
    ReferenceFolderError
        If the folder is not what its manifest says, a family is unknown, or no single-copy
        family is there.
    """
    catalogue = load_catalogue(catalogue_files)
    known = [*catalogue.families, *catalogue.single_copy]
    folder = Path(manifest_path).parent
    read_reference(folder, known)
    proteins = read_proteins(folder / "proteins.tsv", catalogue)
    medians = median_lengths(proteins.values())
    if medians.keys().isdisjoint(catalogue.single_copy):
        raise ReferenceFolderError(
            f"{folder}: no protein of a single-copy family; without them no copies per genome can"
            " be stated. Add the families of single_copy.yaml"
        )
    counts = Counter(protein.family for protein in proteins.values())
    named = Counter(protein.family for protein in proteins.values() if protein.genus)
    write_table(
        table_path,
        REFERENCE_COLUMNS,
        (
            {
                "family": family,
                "role": catalogue.role(family),
                "proteins": counts[family],
                "with_genus": named[family],
                "median_length_aa": medians.get(family),
            }
            for family in sorted(known)
        ),
    )


ROUTE_COLUMNS = (
    "pathway",
    "name",
    "kind",
    "product",
    "direction",
    "tier",
    "evidence_scope",
    "caveat",
    "sources",
)


def list_routes(catalogue_files: CatalogueFiles, table_path: str | os.PathLike[str]) -> None:
    """Write what each reported pathway is, and what its call cannot say."""
    catalogue = load_catalogue(catalogue_files)
    write_table(
        table_path,
        ROUTE_COLUMNS,
        (
            {
                "pathway": name,
                "name": pathway.name,
                "kind": pathway.kind,
                "product": pathway.product,
                "direction": pathway.direction,
                "tier": pathway_tier(pathway, catalogue),
                "evidence_scope": pathway.evidence_scope,
                "caveat": " ".join(pathway.caveat.split()),
                "sources": " ".join(pathway.sources),
            }
            for name, pathway in sorted(catalogue.pathways.items())
            if pathway.reported
        ),
    )


def genus_lineages(path: str | os.PathLike[str]) -> dict[str, frozenset[str]]:
    """Names of the ranks above each genus of a protein reference."""
    genus = RANKS.index("genus")
    names: dict[str, set[str]] = {}
    for text in sorted({row["lineage"] for row in iterate_table(path, ["lineage"])}):
        lineage = parse_lineage(text)
        if lineage[genus]:
            names.setdefault(lineage[genus], set()).update(filter(None, lineage[:genus]))
    return {name: frozenset(ranks) for name, ranks in names.items()}


def family_rows(
    sample: str, evidence: SampleEvidence, catalogue: Catalogue
) -> Iterable[dict[str, Cell]]:
    """Rows of the table of families: the community first, then the taxa that share it out."""
    for family in sorted(evidence.families):
        taxa = evidence.families[family]
        for taxon in [COMMUNITY, *sorted(taxa.keys() - {COMMUNITY})]:
            row = taxa[taxon]
            yield {
                "sample": sample,
                "family": family,
                "taxon": taxon,
                "role": catalogue.role(family),
                "fragments": float(row.fragments),
                "positions": row.positions,
                "effective_length": row.effective_length,
                "copies_per_genome": row.copies,
                "ci_low": row.ci_low,
                "ci_high": row.ci_high,
            }


def missing_family_rows(
    sample: str, families: Iterable[str], catalogue: Catalogue
) -> Iterable[dict[str, Cell]]:
    """Rows of a failed sample: every family, nothing known."""
    for family in sorted(families):
        row: dict[str, Cell] = dict.fromkeys(FAMILY_COLUMNS)
        yield row | {
            "sample": sample,
            "family": family,
            "taxon": COMMUNITY,
            "role": catalogue.role(family),
        }


def function_status(
    flow: SampleFlow,
    reads_with_hits: int,
    evidence: SampleEvidence,
    default_cover: float,
    rule: ScoringRule,
) -> StageStatus:
    """Status of the functional annotation of a sample that has reads."""
    reads = flow.clean_reads
    hits = reads_with_hits
    equivalents = evidence.equivalents
    if math.isnan(equivalents.density):
        reason = (
            f"{equivalents.fragments:.0f} single-copy fragments: too few to say how many genomes"
            " were sequenced; no copies per genome are stated"
        )
        return StageStatus(flow.sample, "function", LOW_DEPTH, reason, reads, hits)
    if flow.read_length < SHORTEST_READS:
        reason = (
            f"reads of {flow.read_length:.0f} nt on average are too short: below {SHORTEST_READS}"
            " nt only close relatives of the reference reach the score, and no genus is named"
        )
        return StageStatus(flow.sample, "function", LOW_DEPTH, reason, reads, hits)
    width = read_effective_length(TYPICAL_PROTEIN, flow.read_length, default_cover)
    limit = detection_limit(
        [fragment_effective_length(width, evidence.library)],
        equivalents,
        rule.minimum_fragments,
    )
    if limit > rule.detectable_copies:
        reason = f"too few reads: a gene in fewer than {limit:.2g} of the genomes may be missed"
        return StageStatus(flow.sample, "function", LOW_DEPTH, reason, reads, hits)
    ratio = equivalents.interquartile_ratio
    reason = (
        f"single-copy families disagree (quartiles {ratio:.2f}-fold apart)" if ratio > 1.5 else ""
    )
    return StageStatus(flow.sample, "function", OK, reason, reads, hits)


def quantify_sample(
    flow_path: str | os.PathLike[str],
    hits_path: str | os.PathLike[str],
    proteins_path: str | os.PathLike[str],
    catalogue_files: CatalogueFiles,
    min_genus_identity: float,
    families_path: str | os.PathLike[str],
    ambiguous_path: str | os.PathLike[str],
    depth_path: str | os.PathLike[str],
) -> None:
    """Assign the hits of a sample to families and weigh them, from files to files.

    Parameters
    ----------
    flow_path
        Counts of the sample.
    hits_path
        DIAMOND's table.
    proteins_path
        Table of the protein reference.
    catalogue_files
        The catalogue and its schemas.
    min_genus_identity
        Per cent, see `fermentome.assign.genus_of`.
    families_path, ambiguous_path, depth_path
        Files to write: families by taxon, ambiguous fragments, genome equivalents.
    """
    catalogue = load_catalogue(catalogue_files)
    flow = read_flow(flow_path)
    proteins = read_proteins(proteins_path, catalogue)
    lengths = median_lengths(proteins.values())
    ambiguous: list[dict[str, Cell]] = []
    depth: dict[str, object] = {}
    rows: Iterable[dict[str, Cell]] = []
    if flow.status == FAILED:
        rows = missing_family_rows(flow.sample, lengths, catalogue)
    elif flow.status != EMPTY:
        with open_text(hits_path) as lines:
            assignment = assign_fragments(lines, proteins, catalogue, min_genus_identity)
        evidence = weigh_families(
            assignment,
            lengths,
            catalogue,
            flow.paired_fragments,
            flow.single_fragments,
            flow.read_length,
        )
        rows = family_rows(flow.sample, evidence, catalogue)
        ambiguous = [
            {"sample": flow.sample, "families": "|".join(families), "fragments": count}
            for families, count in sorted(assignment.ambiguous.items())
        ]
        depth = {
            "reads_with_hits": assignment.reads_with_hits,
            "equivalents": asdict(evidence.equivalents),
            "library": asdict(evidence.library),
        }
    write_table(families_path, FAMILY_COLUMNS, rows)
    write_table(ambiguous_path, AMBIGUOUS_COLUMNS, ambiguous)
    Path(depth_path).write_text(json.dumps(depth, indent=2) + "\n", encoding="utf-8")


def read_evidence(
    families_path: str | os.PathLike[str], depth_path: str | os.PathLike[str]
) -> tuple[SampleEvidence, int]:
    """Evidence of a sample, and its reads with hits, as `quantify_sample` wrote them.

    Raises
    ------
    EvidenceError
        If the sample was not quantified.
    """
    depth = json.loads(Path(depth_path).read_text(encoding="utf-8"))
    if not depth:
        raise EvidenceError(f"{depth_path}: the sample was not quantified")
    families: dict[str, dict[str, FamilyEvidence]] = {}
    for row in read_table(families_path, FAMILY_COLUMNS):
        families.setdefault(row["family"], {})[row["taxon"]] = FamilyEvidence(
            fragments=parse_number(row["fragments"]),
            positions=int(row["positions"]),
            effective_length=parse_number(row["effective_length"]),
            copies=parse_number(row["copies_per_genome"]),
            ci_low=parse_number(row["ci_low"]),
            ci_high=parse_number(row["ci_high"]),
        )
    evidence = SampleEvidence(
        families, GenomeEquivalents(**depth["equivalents"]), Library(**depth["library"])
    )
    return evidence, int(depth["reads_with_hits"])


def read_ambiguous(path: str | os.PathLike[str]) -> dict[frozenset[str], int]:
    """Fragments that could be of several families, by these."""
    return {
        frozenset(row["families"].split("|")): int(row["fragments"])
        for row in read_table(path, AMBIGUOUS_COLUMNS)
    }


def ambiguous_share(
    pathway: Pathway, marker_fragments: float, ambiguous: Mapping[frozenset[str], int]
) -> float:
    """Share of ambiguous fragments among those that may be of a route's markers.

    NaN where there is neither kind.
    """
    markers = frozenset(marker_families(pathway))
    doubtful = sum(count for families, count in ambiguous.items() if families & markers)
    total = doubtful + marker_fragments
    return doubtful / total if total else math.nan


def no_lineage_share(pathway: Pathway, marker_fragments: float, evidence: SampleEvidence) -> float:
    """Share of the marker fragments of a route that name no genus; NaN where there are none."""
    unnamed = sum(
        evidence.families[family][UNASSIGNED].fragments
        for family in marker_families(pathway)
        if UNASSIGNED in evidence.families.get(family, {})
    )
    return unnamed / marker_fragments if marker_fragments else math.nan


def pathway_row(
    sample: str,
    score: PathwayScore,
    pathway: Pathway,
    organisms: tuple[str, OrganismRange | None],
    ambiguous: Mapping[frozenset[str], int],
    evidence: SampleEvidence,
) -> dict[str, Cell]:
    """Row of the table of pathways; unserved shares are those of the community."""
    agreement, found = organisms
    whole = score.taxon == COMMUNITY
    return {
        "sample": sample,
        "pathway": score.pathway,
        "taxon": score.taxon,
        "product": score.product,
        "direction": pathway.direction,
        "copies_per_genome": score.copies,
        "ci_low": score.ci_low,
        "ci_high": score.ci_high,
        "completeness": score.completeness,
        "call": score.call,
        "tier": score.tier,
        "organism_evidence": agreement,
        "organism_copies": found.copies if found else None,
        "organism_open": found.open if found else None,
        "detection_limit": score.detection_limit,
        "marker_fragments": float(score.fragments),
        "marker_positions": score.positions,
        "ambiguous_share": ambiguous_share(pathway, score.fragments, ambiguous) if whole else None,
        "no_lineage_share": no_lineage_share(pathway, score.fragments, evidence) if whole else None,
        "missing_steps": ",".join(score.missing_steps),
        "reason": score.reason,
    }


def score_pathways(
    flow_path: str | os.PathLike[str],
    families_path: str | os.PathLike[str],
    depth_path: str | os.PathLike[str],
    ambiguous_path: str | os.PathLike[str],
    taxonomy_path: str | os.PathLike[str] | None,
    phenotypes_path: str | os.PathLike[str] | None,
    unserved_path: str | os.PathLike[str],
    proteins_path: str | os.PathLike[str],
    catalogue_files: CatalogueFiles,
    rule: ScoringRule,
    pathways_path: str | os.PathLike[str],
    products_path: str | os.PathLike[str],
    status_path: str | os.PathLike[str],
) -> None:
    """Score the pathways of a sample, from files to files.

    Parameters
    ----------
    flow_path, families_path, depth_path, ambiguous_path
        Written by earlier stages for the sample.
    taxonomy_path
        The species table; None if taxonomy is switched off.
    phenotypes_path
        Which routes the genomes of the taxonomic reference carry; None if not known.
    unserved_path
        What the databases did not serve of the sample, to stand beside its products.
    proteins_path
        Table of the protein reference, for lineages.
    catalogue_files
        The catalogue and its schemas.
    rule
        Settings of the calls.
    pathways_path, products_path, status_path
        Tables to write. The status of the functional annotation is written here too, since it
        depends on the settings of the calls.
    """
    catalogue = load_catalogue(catalogue_files)
    flow = read_flow(flow_path)
    sample = flow.sample
    reported = sorted(name for name, p in catalogue.pathways.items() if p.reported)
    rows: list[dict[str, Cell]] = []
    products: list[dict[str, Cell]] = []
    if flow.status == FAILED:
        blank: dict[str, Cell] = dict.fromkeys(PATHWAY_COLUMNS)
        rows = [
            blank
            | {
                "sample": sample,
                "pathway": name,
                "taxon": COMMUNITY,
                "product": catalogue.pathways[name].product,
                "direction": catalogue.pathways[name].direction,
                "reason": flow.reason,
            }
            for name in reported
        ]
        products = [
            dict.fromkeys(PRODUCT_COLUMNS) | {"sample": sample, "product": name}
            for name in sorted(
                {
                    catalogue.pathways[name].product
                    for name in reported
                    if catalogue.pathways[name].direction == "formation"
                }
            )
        ]
        statuses = [not_run(sample, stage) for stage in ("function", "pathways")]
    elif flow.status == EMPTY:
        statuses = [
            StageStatus(sample, stage, EMPTY, "no clean reads", 0, 0)
            for stage in ("function", "pathways")
        ]
    else:
        evidence, reads_with_hits = read_evidence(families_path, depth_path)
        scores = score_sample(evidence, catalogue, rule, genus_lineages(proteins_path))
        organisms = organism_evidence(
            scores,
            read_species(taxonomy_path) if taxonomy_path else None,
            read_phenotypes(phenotypes_path) if phenotypes_path else None,
        )
        doubtful = read_ambiguous(ambiguous_path)
        rows = [
            pathway_row(
                sample,
                score,
                catalogue.pathways[score.pathway],
                organisms[score.pathway, score.taxon],
                doubtful,
                evidence,
            )
            for score in scores
        ]
        estimable = not math.isnan(evidence.equivalents.density)
        unserved = read_unserved(unserved_path)
        shares = {column: parse_number(unserved[column]) for column in PRODUCT_SHARES}
        unserved_routes = [
            name
            for name in routes_of(unserved["unserved_routes"])
            if catalogue.pathways[name].direction == "formation"
        ]
        products = [
            {
                "sample": sample,
                "product": product.product,
                "copies_per_genome": product.copies if estimable else None,
                "ci_low": product.ci_low if estimable else None,
                "ci_high": product.ci_high if estimable else None,
                "routes_present": ",".join(product.routes),
                "unserved_routes": ",".join(
                    name
                    for name in unserved_routes
                    if catalogue.pathways[name].product == product.product
                ),
                **shares,
            }
            for product in score_products(scores, catalogue)
        ]
        cover = catalogue.default_acceptance.min_query_cover
        statuses = [
            function_status(flow, reads_with_hits, evidence, cover, rule),
            pathway_status(flow, evidence, scores),
        ]
    write_table(pathways_path, PATHWAY_COLUMNS, rows)
    write_table(products_path, PRODUCT_COLUMNS, products)
    write_statuses(status_path, statuses)


def pathway_status(
    flow: SampleFlow, evidence: SampleEvidence, scores: Iterable[PathwayScore]
) -> StageStatus:
    """Status of the pathway calls of a sample that has reads."""
    calls = [score.call for score in scores if score.taxon == COMMUNITY]
    hidden = calls.count("below_detection")
    if math.isnan(evidence.equivalents.density) or hidden:
        reason = f"{hidden} of {len(calls)} pathways are below detection"
        return StageStatus(flow.sample, "pathways", LOW_DEPTH, reason, flow.clean_reads, None)
    reason = "" if PRESENT in calls else "no pathway of the catalogue is present"
    return StageStatus(flow.sample, "pathways", OK, reason, flow.clean_reads, None)
