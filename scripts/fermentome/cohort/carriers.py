"""Who carries the routes: by the genes found in genera, and by the genomes of the organisms.

Two lines of evidence that use nothing of each other, see `fermentome.organisms`:

- genes: the copies of a route that a sample's genes give to a genus (`carriers_of`);
- organisms: share of a taxon times the copies of the route in its genomes
  (`organism_potential`), for any profile of taxa, also where no reads are at hand.

Both are genetic potential.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fermentome.catalogue import load_catalogue
from fermentome.cohort.data import CARRIERS, ORGANISMS, Account, FeatureTable, Numbers
from fermentome.cohort.long_tables import COPIES, LongTable, Wanted, read_long
from fermentome.cohort.text_tables import AnyPath, open_table, plain_number, shown
from fermentome.defaults import catalogue_files
from fermentome.errors import CohortError, LineageError
from fermentome.evidence import COMMUNITY
from fermentome.lineage import RANKS, parse_lineage
from fermentome.organisms import species_name
from fermentome.scoring import ABSENT, PRESENT

BY_GENES, BY_ORGANISMS = "copies per genome", "copies per genome of the classified organisms"
"""Units of the two."""

SERVED_BY_SPECIES, SERVED_BY_GENUS, UNSERVED = (
    "organisms_by_species", "organisms_by_genus", "organisms_unserved",
)  # fmt: skip
"""Columns of the metadata: shares of the classified organisms whose copies come from genomes of
their species, of their genus, and from none."""

RENAMED: Mapping[str, str] = {
    "Bacteroides barnesiae": "Phocaeicola barnesiae",
    "Bacteroides coprocola": "Phocaeicola coprocola",
    "Bacteroides coprophilus": "Phocaeicola coprophilus",
    "Bacteroides dorei": "Phocaeicola dorei",
    "Bacteroides massiliensis": "Phocaeicola massiliensis",
    "Bacteroides plebeius": "Phocaeicola plebeius",
    "Bacteroides salanitronis": "Phocaeicola salanitronis",
    "Bacteroides vulgatus": "Phocaeicola vulgatus",
    "Clostridium propionicum": "Anaerotignum propionicum",
    "Eubacterium hallii": "Anaerobutyricum hallii",
    "Eubacterium rectale": "Agathobacter rectalis",
    "Lactobacillus plantarum": "Lactiplantibacillus plantarum",
    "Prevotella copri": "Segatella copri",
    "Prevotella stercorea": "Leyella stercorea",
    "Propionibacterium acnes": "Cutibacterium acnes",
    "Ruminococcus gnavus": "Mediterraneibacter gnavus",
    "Ruminococcus lactaris": "Mediterraneibacter lactaris",
    "Ruminococcus obeum": "Blautia obeum",
    "Ruminococcus torques": "Mediterraneibacter torques",
}
"""Names of species that profiles made before 2020-2023 still have, and those of today (LPSN,
https://lpsn.dsmz.de). Both sides of a comparison are brought to the name of today."""

UNCLEAR_GENERA = frozenset({"Clostridium", "Eubacterium", "Lactobacillus", "Ruminococcus"})
"""Genera that were many: which genome stands for a species cannot be told from the old name, so no
mean of theirs is taken."""

_GENUS_PART = re.compile(r"^(\S+) [A-Z]{1,2}(?= |$)")
_SPECIES_PART = re.compile(r"^(\S+ [a-z]\S*) [A-Z]{1,2}$")


def today(name: str) -> str:
    """Name of a species in use today.

    >>> today("[Eubacterium] rectale"), today("Roseburia hominis")
    ('Agathobacter rectalis', 'Roseburia hominis')
    """
    name = name.replace("[", "").replace("]", "")
    return RENAMED.get(name, name)


def without_parts(name: str) -> str:
    """Name without the letters by which GTDB parts what others give one name.

    >>> without_parts("Clostridium A leptum"), without_parts("Dorea longicatena B")
    ('Clostridium leptum', 'Dorea longicatena')
    """
    return _SPECIES_PART.sub(r"\1", _GENUS_PART.sub(r"\1", name))


# --- by genes -------------------------------------------------------------------------------------


def carriers_of(pathways: AnyPath) -> FeatureTable | None:
    """Copies of the routes to each product by genus, as ``butyrate|Faecalibacterium``.

    Counted are the routes that form a product and are called present in the community; a genus has
    those copies that its own genes give, whatever its own call, so that the genera and
    ``unassigned`` add up to the product. A genus without a row is 0 where the sample was looked
    at, and NaN where it failed.

    Parameters
    ----------
    pathways
        Long table of pathways.

    Returns
    -------
    FeatureTable or None
        `None` if the table has no taxa, products or calls.
    """
    table = read_long(
        pathways, ("sample", "pathway", "taxon", "product", "direction", "call"),
        (COPIES, "detection_limit"),
    )  # fmt: skip
    if not {"taxon", "product", "call"} <= set(table.text) or COPIES not in table.numbers:
        return None
    forming = np.ones(len(table.lines), bool)
    if "direction" in table.text:
        forming &= table.text["direction"].rows_of("formation")
    community = table.text["taxon"].rows_of(COMMUNITY)
    copies = table.numbers[COPIES]
    sample, pathway, taxon, product = (
        table.text[name] for name in ("sample", "pathway", "taxon", "product")
    )
    looked_at = {
        (sample.names[sample.codes[row]], product.names[product.codes[row]])
        for row in np.flatnonzero(community & forming & ~np.isnan(copies))
    }
    parts: dict[tuple[str, str], list[float]] = defaultdict(list)
    present = _routes_of(table, community & forming & table.text["call"].rows_of(PRESENT))
    for row in np.flatnonzero(forming & ~community & ~np.isnan(copies)):
        if (int(sample.codes[row]), int(pathway.codes[row])) in present:
            feature = f"{product.names[product.codes[row]]}|{taxon.names[taxon.codes[row]]}"
            parts[sample.names[sample.codes[row]], feature].append(float(copies[row]))
    sums = {key: math.fsum(values) for key, values in parts.items()}  # whatever the order of rows
    samples = table.samples
    features = tuple(sorted({feature for (_, feature), value in sums.items() if value > 0}))
    values = np.array(
        [
            [
                0.0 if (name, feature.partition("|")[0]) in looked_at else np.nan
                for feature in features
            ]
            for name in samples
        ]
    ).reshape(len(samples), len(features))
    at_sample = {name: i for i, name in enumerate(samples)}
    at_feature = {name: i for i, name in enumerate(features)}
    for (name, feature), value in sums.items():
        if feature in at_feature:
            values[at_sample[name], at_feature[feature]] = value
    limit_of = route_limits(table)
    limits = np.array(
        [
            [limit_of.get((name, feature.partition("|")[0]), np.nan) for feature in features]
            for name in samples
        ]
    ).reshape(values.shape)
    return FeatureTable(
        CARRIERS, samples, features, values, BY_GENES, compositional=False, limits=limits
    )


def route_limits(table: LongTable) -> dict[tuple[str, str], float]:
    """Detection limit by sample and product: the lowest of the routes that form it.

    A product is seen as soon as one of its routes is, so the route that is seen most easily says
    from how many copies on it would have been. Genera have no limit of their own: theirs is that
    of the community.

    Parameters
    ----------
    table
        Pathways with ``product`` and ``detection_limit``, and ``taxon`` and ``direction`` where
        the table has these.
    """
    if "detection_limit" not in table.numbers or "product" not in table.text:
        return {}
    numbers = table.numbers["detection_limit"]
    rows: Wanted = ~np.isnan(numbers)
    if "taxon" in table.text:
        rows &= table.text["taxon"].rows_of(COMMUNITY)
    if "direction" in table.text:
        rows &= table.text["direction"].rows_of("formation")
    sample, product = table.text["sample"], table.text["product"]
    limits: dict[tuple[str, str], float] = {}
    for row in np.flatnonzero(rows):
        key = sample.names[sample.codes[row]], product.names[product.codes[row]]
        limits[key] = min(limits.get(key, np.inf), float(numbers[row]))
    return limits


def _routes_of(table: LongTable, rows: Wanted) -> set[tuple[int, int]]:
    """Sample and pathway of some rows, as codes."""
    return set(
        zip(
            table.text["sample"].codes[rows].tolist(),
            table.text["pathway"].codes[rows].tolist(),
            strict=True,
        )
    )


# --- by organisms ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Organisms:
    """Copies of the routes that form each product in genomes.

    Attributes
    ----------
    products
        Sorted.
    species, genera
        By name of today: copies in the order of `products`, NaN where nothing is known.
    parts
        As `species`, by the name without the letters of GTDB.
    """

    products: tuple[str, ...]
    species: Mapping[str, Numbers]
    genera: Mapping[str, Numbers]
    parts: Mapping[str, Numbers]


@dataclass(frozen=True, slots=True)
class OrganismPotential:
    """What the organisms of the samples carry.

    Attributes
    ----------
    products
        Table `ORGANISMS`: sum over the taxa of share times copies.
    carriers
        The same by genus, features as ``butyrate|Faecalibacterium``.
    served
        Shares of each sample by column: `SERVED_BY_SPECIES`, `SERVED_BY_GENUS`, `UNSERVED`.
    by
        For each taxon ``species``, ``genus`` or an empty text: what its copies come from.
    """

    products: FeatureTable
    carriers: FeatureTable
    served: Mapping[str, Numbers]
    by: Mapping[str, str]


def read_organisms(phenotypes: AnyPath) -> Organisms:
    """Copies of products in species and genera, from a table of phenotypes of genomes.

    A genome has the copies of each route that is present in it, none of one that is absent, and
    says nothing of one that is neither. A species has the mean of its genomes by route, summed
    over the routes that form the product; a genus the mean of its species.

    Raises
    ------
    CohortError
        If the table lacks a column, or a lineage cannot be read.
    """
    table = open_table(phenotypes)
    needed = ("lineage", "pathway", "product", "call", "copies")
    for column in needed:
        if column not in table.header:
            raise CohortError(
                f"{phenotypes}, header: column {column!r} is missing; expected a table of"
                " phenotypes as results/databases/phenotypes.tsv; give one"
            )
    at = {name: table.header.index(name) for name in (*needed, "direction") if name in table.header}
    forming = _formation_routes() if "direction" not in at else None
    copies: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    genus_of: dict[str, str] = {}
    products: set[str] = set()
    for number, cells in table.rows:
        name, genus = _species_and_genus(table.source, number, cells[at["lineage"]])
        if forming is None:
            forms = cells[at["direction"]] == "formation"
        else:
            forms = cells[at["pathway"]] in forming
        if not name or not forms:
            continue
        genus_of.setdefault(name, genus)
        products.add(cells[at["product"]])
        if cells[at["call"]] in {PRESENT, ABSENT}:
            value = parse_copies(table.source, number, cells[at["copies"]])
            key = name, cells[at["product"]], cells[at["pathway"]]
            copies[key].append(value if cells[at["call"]] == PRESENT else 0.0)
    return _summed(copies, genus_of, tuple(sorted(products)))


def parse_copies(source: str, line: int, cell: str) -> float:
    """Copies of a cell.

    Raises
    ------
    CohortError
        If it is no number of zero or more.
    """
    value = plain_number(cell)
    if value is None or value < 0:
        raise CohortError(
            f"{source}, line {line}: column 'copies' holds {shown(cell)}; expected a number of zero"
            " or more; make the table anew with genome mode"
        )
    return value


def _formation_routes() -> frozenset[str]:
    """Routes of the catalogue that form their product; tables of the workflow do not say which."""
    pathways = load_catalogue(catalogue_files()).pathways
    return frozenset(name for name, route in pathways.items() if route.direction == "formation")


def _species_and_genus(source: str, line: int, lineage: str) -> tuple[str, str]:
    try:
        name = today(species_name(lineage))
        genus = parse_lineage(lineage)[RANKS.index("genus")]
    except LineageError as error:
        raise CohortError(
            f"{source}, line {line}: {error}; expected as d__Bacteria;...;s__Name"
        ) from error
    return name, genus or name.partition(" ")[0]


def _summed(
    copies: Mapping[tuple[str, str, str], Sequence[float]], genus_of: Mapping[str, str],
    products: tuple[str, ...],
) -> Organisms:  # fmt: skip
    species = {name: np.full(len(products), np.nan) for name in sorted(genus_of)}
    place_of = {product: i for i, product in enumerate(products)}
    for (name, product, _), values in sorted(copies.items()):
        at = place_of[product]
        species[name][at] = np.nan_to_num(species[name][at]) + math.fsum(values) / len(values)
    genera = _means(species, lambda name: without_parts(genus_of[name]))
    parts = _means(species, without_parts)
    return Organisms(products, species, genera, parts)


def _means(species: Mapping[str, Numbers], key: Callable[[str], str]) -> dict[str, Numbers]:
    """Mean of the species of one key, those left out of which nothing is known."""
    groups: dict[str, list[Numbers]] = defaultdict(list)
    for name, values in species.items():
        groups[key(name)].append(values)
    return {name: _known_mean(np.array(rows)) for name, rows in sorted(groups.items())}


def _known_mean(rows: Numbers) -> Numbers:
    known = ~np.isnan(rows)
    counts = known.sum(axis=0)
    sums = np.where(known, rows, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def organism_potential(
    taxa: FeatureTable, organisms: Organisms, account: Account
) -> OrganismPotential:
    """Potential of each product by the organisms of each sample.

    ``sum over taxa of share * copies``, with the copies of the taxon's species; else, where the
    species has no genome or its genomes say nothing of the product, the mean of its genus (not for
    `UNCLEAR_GENERA`); else the taxon counts nothing, so that the sum is a lower bound as far as
    `UNSERVED` is above 0.

    Parameters
    ----------
    taxa
        Shares closed to 1 over what is classified.
    """
    copies = np.zeros((len(taxa.features), len(organisms.products)))
    by: dict[str, str] = {}
    genera: list[str] = []
    for place, name in enumerate(taxa.features):
        genus = _genus_of(name, taxa.lineages.get(name, ""))
        genera.append(genus)
        own = _of_species(name, organisms)
        whole = _of_genus(name, genus, organisms)
        values = np.where(np.isnan(own), whole, own)
        by[name] = (
            "species" if not np.isnan(own).all() else "genus" if not np.isnan(whole).all() else ""
        )
        copies[place] = np.nan_to_num(values)
    shares = np.nan_to_num(taxa.values)
    unknown: Wanted = np.all(np.isnan(taxa.values), axis=1)
    served = {
        column: _of_kind(shares, unknown, [by[name] == kind for name in taxa.features])
        for column, kind in (
            (SERVED_BY_SPECIES, "species"), (SERVED_BY_GENUS, "genus"), (UNSERVED, ""),
        )
    }  # fmt: skip
    products = FeatureTable(
        ORGANISMS, taxa.samples, organisms.products,
        np.where(unknown[:, None], np.nan, shares @ copies), BY_ORGANISMS, compositional=False,
    )  # fmt: skip
    _say_served(served, unknown, account)
    carriers = _organism_carriers(taxa.samples, shares, unknown, copies, genera, organisms)
    return OrganismPotential(products, carriers, served, by)


def _say_served(served: Mapping[str, Numbers], unknown: Wanted, account: Account) -> None:
    known = int((~unknown).sum())
    if not known:
        account.left_out(ORGANISMS, "no sample has a classified organism")
        return
    means = {name: float(np.nanmean(values)) for name, values in served.items()}
    account.partly(
        ORGANISMS,
        f"of the classified organisms {means[SERVED_BY_SPECIES]:.1%} have genomes of their species,"
        f" {means[SERVED_BY_GENUS]:.1%} only of their genus, and {means[UNSERVED]:.1%} neither and"
        " count as none",
        known,
    )


def _of_kind(shares: Numbers, unknown: Wanted, own: Sequence[bool]) -> Numbers:
    return np.where(unknown, np.nan, shares[:, np.array(own, bool)].sum(axis=1))


def _genus_of(name: str, lineage: str) -> str:
    """Genus of a taxon: that of its name of today where it was renamed, else of its lineage."""
    current = today(name)
    if current == name and lineage and (own := parse_lineage(lineage)[RANKS.index("genus")]):
        return own
    return current.partition(" ")[0]


def _of_species(name: str, organisms: Organisms) -> Numbers:
    current = today(name)
    found = organisms.species.get(current)
    if found is None:
        found = organisms.parts.get(today(without_parts(current)))
    return np.full(len(organisms.products), np.nan) if found is None else found


def _of_genus(name: str, genus: str, organisms: Organisms) -> Numbers:
    unknown = np.full(len(organisms.products), np.nan)
    whole = without_parts(genus)
    if whole in UNCLEAR_GENERA and today(name) == name:
        return unknown
    return organisms.genera.get(whole, unknown)


def _organism_carriers(
    samples: tuple[str, ...], shares: Numbers, unknown: Wanted, copies: Numbers,
    genera: Collection[str], organisms: Organisms,
) -> FeatureTable:  # fmt: skip
    columns: dict[str, Numbers] = {}
    for at, product in enumerate(organisms.products):
        for place, genus in enumerate(genera):
            if copies[place, at] > 0 and shares[:, place].any():
                feature = f"{product}|{genus}"
                columns[feature] = columns.get(feature, 0.0) + shares[:, place] * copies[place, at]
    features = tuple(sorted(columns))
    values = np.array([columns[name] for name in features]).reshape(len(features), len(samples)).T
    return FeatureTable(
        CARRIERS, samples, features, np.where(unknown[:, None], np.nan, values), BY_ORGANISMS,
        compositional=False,
    )  # fmt: skip
