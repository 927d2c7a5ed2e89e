"""The second line of evidence: which organisms are there, and what their genomes carry.

The species profile is made without the protein reference, and the phenotypes of its genomes
without the reads. Abundance times phenotype is therefore an estimate of its own of the copies of
a route, and its agreement with the gene evidence says something that neither says alone.

For a route, over the species s of the profile with share of cells a(s):

- copies = sum of a(s) * c(s), with c(s) the mean copies over the genomes of s in which the
  route is present;
- open = unclassified share + shares of species whose genomes leave the route open (no
  phenotype, ``indeterminate``, or too incomplete).

The organisms allow any value from `copies` to `copies + open`: one copy in each open cell.
"""

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fermentome.assign import UNASSIGNED
from fermentome.evidence import COMMUNITY
from fermentome.lineage import RANKS, deepest_rank, parse_lineage
from fermentome.scoring import ABSENT, INDETERMINATE, PRESENT, PathwayScore
from fermentome.tables import iterate_table, parse_number, read_table
from fermentome.taxonomy import UNCLASSIFIED

AGREES, OPEN, NOT_ASSESSED = "agrees", "open", "not_assessed"
GENE_HIGHER, ORGANISM_HIGHER = "gene_higher", "organism_higher"

TOLERANCE = 2.0
"""Fold difference between the two ranges that is still agreement (chosen: shares of cells and
copies per genome equivalent are normalised by different genes of different genomes)."""

_PART = re.compile(r" [A-Z]{1,2}$")
"""Letters by which GTDB parts what NCBI gives one name: Clostridium A, Clostridium AP."""

PHENOTYPE_COLUMNS = ("lineage", "pathway", "call", "copies")


@dataclass(frozen=True, slots=True)
class Phenotype:
    """One route in the genomes of one species.

    Attributes
    ----------
    copies
        Mean over the genomes that say present or absent.
    known
        Whether any genome says present or absent.
    """

    copies: float
    known: bool


@dataclass(frozen=True, slots=True)
class Species:
    """A species of a sample's profile: its name, genus (may be empty) and share of all cells."""

    name: str
    genus: str
    share: float


@dataclass(frozen=True, slots=True)
class OrganismRange:
    """Copies of a route per genome that the organisms allow: `copies` to `copies + open`."""

    copies: float
    open: float

    @property
    def most(self) -> float:
        """Upper end of the range."""
        return self.copies + self.open


Phenotypes = Mapping[str, Mapping[str, Phenotype]]
"""By species and pathway."""


def species_name(lineage: str) -> str:
    """Name by which a species profile and a table of phenotypes know an organism."""
    names = parse_lineage(lineage)
    return names[deepest_rank(names)] if any(names) else ""


def read_phenotypes(path: str | os.PathLike[str]) -> Phenotypes:
    """Phenotypes of species, as genome mode writes them by genome."""
    copies: dict[tuple[str, str], list[float]] = defaultdict(list)
    seen: dict[str, set[str]] = defaultdict(set)
    for row in iterate_table(path, PHENOTYPE_COLUMNS):
        name = species_name(row["lineage"])
        if not name:
            continue
        seen[name].add(row["pathway"])
        if row["call"] == PRESENT:
            copies[name, row["pathway"]].append(parse_number(row["copies"]))
        elif row["call"] == ABSENT:
            copies[name, row["pathway"]].append(0.0)
    return {
        name: {
            pathway: Phenotype(sum(values) / len(values), known=True)
            if (values := copies.get((name, pathway)))
            else Phenotype(0.0, known=False)
            for pathway in pathways
        }
        for name, pathways in seen.items()
    }


def read_species(path: str | os.PathLike[str]) -> list[Species]:
    """Species of a sample's profile, the unclassified rest left out."""
    genus = RANKS.index("genus")
    return [
        Species(
            row["taxon"],
            parse_lineage(row["lineage"])[genus],
            parse_number(row["relative_abundance"]),
        )
        for row in read_table(path, ["taxon", "lineage", "relative_abundance"])
        if row["taxon"] != UNCLASSIFIED
    ]


def organism_range(
    pathway: str, species: Iterable[Species], phenotypes: Phenotypes, rest: float
) -> OrganismRange:
    """Copies of a route that organisms allow.

    Parameters
    ----------
    rest
        Share of cells of which nothing is known.
    """
    copies = 0.0
    for one in species:
        phenotype = phenotypes.get(one.name, {}).get(pathway)
        if phenotype is None or not phenotype.known:
            rest += one.share
        else:
            copies += one.share * phenotype.copies
    return OrganismRange(copies, rest)


def compare(score: PathwayScore, organisms: OrganismRange) -> str:
    """Agreement of the gene evidence of a community with its organisms.

    Returns
    -------
    str
        ``agrees`` if the two ranges, each widened by `TOLERANCE`, meet; ``open`` if the genes are
        there and only organisms of which nothing is known could carry them; else which of the
        two says more.
    """
    if score.call == PRESENT:
        low, high = score.ci_low, score.ci_high
    else:
        low, high = 0.0, max(score.ci_high, _or_zero(score.detection_limit))
    if low > TOLERANCE * organisms.most:
        return GENE_HIGHER
    if organisms.copies > TOLERANCE * high:
        return ORGANISM_HIGHER
    if score.call == PRESENT and organisms.copies == 0:
        return OPEN
    return AGREES


def _whole_genus(name: str) -> str:
    """Genus without the letters of GTDB.

    >>> _whole_genus("Clostridium AP"), _whole_genus("Roseburia")
    ('Clostridium', 'Roseburia')
    """
    return _PART.sub("", name)


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def compare_genus(organisms: OrganismRange) -> str:
    """Agreement of genes that were found in a genus with the species of that genus."""
    if organisms.copies:
        return AGREES
    return OPEN if organisms.open else GENE_HIGHER


def organism_evidence(
    scores: Sequence[PathwayScore],
    species: Sequence[Species] | None,
    phenotypes: Phenotypes | None,
) -> dict[tuple[str, str], tuple[str, OrganismRange | None]]:
    """Agreement of each row of a sample with the organisms.

    Parameters
    ----------
    scores
        Of one sample.
    species
        Its profile; None if none was made.
    phenotypes
        Of the genomes of the profile; None if not known.

    Returns
    -------
    dict
        By (pathway, taxon): the agreement and the organisms' range. ``not_assessed`` without
        profile, phenotypes or a classified species, and where no genus is known or the depth
        gives no copies.
    """
    if species is None or phenotypes is None or not species:
        return {(score.pathway, score.taxon): (NOT_ASSESSED, None) for score in scores}
    genera = defaultdict(list)
    for one in species:
        genera[one.genus].append(one)
    rest = max(0.0, 1.0 - sum(one.share for one in species))
    result: dict[tuple[str, str], tuple[str, OrganismRange | None]] = {}
    for score in scores:
        key = score.pathway, score.taxon
        if score.taxon == UNASSIGNED:
            result[key] = NOT_ASSESSED, None
        elif score.taxon == COMMUNITY:
            found = organism_range(score.pathway, species, phenotypes, rest)
            known = not (math.isnan(score.ci_high) or score.call == INDETERMINATE)
            result[key] = compare(score, found) if known else NOT_ASSESSED, found
        else:
            # A genus that the profile does not see may stand in its unclassified rest.
            # The protein reference and the profile may follow NCBI and GTDB.
            own = genera.get(score.taxon) or [
                one for one in species if _whole_genus(one.genus) == _whole_genus(score.taxon)
            ]
            found = organism_range(score.pathway, own or (), phenotypes, 0.0 if own else rest)
            result[key] = compare_genus(found), found
    return result
