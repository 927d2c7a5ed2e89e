"""Family counts of a sample as evidence: copies, detection and where it lies."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fermentome.assign import Assignment, FamilyTally, Protein
from fermentome.catalogue import Catalogue
from fermentome.normalise import (
    FAMILY_VARIATION,
    GenomeEquivalents,
    Library,
    copies_per_genome,
    estimate_mate_offset,
    fragment_effective_length,
    genome_equivalents,
    read_effective_length,
)

COMMUNITY = "community"


@dataclass(frozen=True, slots=True)
class FamilyEvidence:
    """One family in one taxon, or in the whole community.

    Attributes
    ----------
    fragments
        Fragments assigned.
    positions
        Distinct alignment starts among them.
    effective_length
        Nucleotides; of the family in this sample, the same for all taxa.
    copies, ci_low, ci_high
        Copies per genome equivalent of the whole community.
    """

    fragments: float
    positions: int
    effective_length: float
    copies: float
    ci_low: float
    ci_high: float

    def with_fragments(
        self, fragments: float, positions: int, equivalents: GenomeEquivalents
    ) -> "FamilyEvidence":
        """Evidence of the same family with other fragments."""
        values = copies_per_genome(fragments, self.effective_length, equivalents)
        return FamilyEvidence(fragments, positions, self.effective_length, *values)


@dataclass(frozen=True, slots=True)
class SampleEvidence:
    """Families of a sample.

    Attributes
    ----------
    families
        By family and taxon; the taxon `COMMUNITY` is the sum of the others.
    equivalents
        Genome equivalents of the sample.
    library
        What the effective lengths were computed with.
    """

    families: Mapping[str, Mapping[str, FamilyEvidence]]
    equivalents: GenomeEquivalents
    library: Library

    def community(self, family: str) -> FamilyEvidence:
        """Evidence of a family in the whole community."""
        return self.families[family][COMMUNITY]


def median_lengths(proteins: Iterable[Protein]) -> dict[str, float]:
    """Median length, amino acids, of the reference proteins of each family."""
    lengths: dict[str, list[int]] = defaultdict(list)
    for protein in proteins:
        lengths[protein.family].append(protein.length)
    medians = {}
    for family, values in lengths.items():
        values.sort()
        middle = len(values) // 2
        odd = len(values) % 2
        medians[family] = values[middle] if odd else (values[middle - 1] + values[middle]) / 2
    return medians


def weigh_families(
    assignment: Assignment,
    family_lengths: Mapping[str, float],
    catalogue: Catalogue,
    paired_fragments: int,
    single_fragments: int,
    read_length: float,
) -> SampleEvidence:
    """Copies per genome equivalent of every family of the reference, by taxon.

    Parameters
    ----------
    assignment
        Fragments by family and taxon.
    family_lengths
        Median protein length of each family of the reference. The length used is the mean
        over the proteins that were hit, and this median where nothing was.
    paired_fragments, single_fragments, read_length
        Clean reads of the sample.

    Notes
    -----
    Families of the reference without a fragment are in the result with zero.
    """
    by_family: dict[str, dict[str, FamilyTally]] = {name: {} for name in sorted(family_lengths)}
    for (family, taxon), tally in sorted(assignment.tallies.items()):
        by_family[family][taxon] = tally

    width = {}
    for family, taxa in by_family.items():
        fragments = sum(tally.fragments for tally in taxa.values())
        total_length = sum(tally.length_sum for tally in taxa.values())
        length = total_length / fragments if fragments else family_lengths[family]
        cover = catalogue.acceptance(family).min_query_cover
        width[family] = read_effective_length(length, read_length, cover)

    single_copy = [family for family in by_family if catalogue.role(family) == "single_copy"]
    # Mates that miss a distant relative look like mates far apart; single-copy families have the
    # closest relatives.
    paired = [sum(t.paired_fragments for t in by_family[f].values()) for f in single_copy]
    mates = [sum(t.paired_mates for t in by_family[f].values()) for f in single_copy]
    library = Library(
        paired_fragments,
        single_fragments,
        read_length,
        estimate_mate_offset(paired, mates, [width[family] for family in single_copy]),
    )
    effective = {family: fragment_effective_length(width[family], library) for family in width}
    counts = {
        family: sum(tally.fragments for tally in taxa.values())
        for family, taxa in by_family.items()
    }
    equivalents = genome_equivalents(
        [counts[family] for family in single_copy],
        [effective[family] for family in single_copy],
        FAMILY_VARIATION,
    )

    def evidence(family: str, fragments: float, positions: int) -> FamilyEvidence:
        copies, low, high = copies_per_genome(fragments, effective[family], equivalents)
        return FamilyEvidence(fragments, positions, effective[family], copies, low, high)

    families = {}
    for family, taxa in by_family.items():
        rows = {
            taxon: evidence(family, tally.fragments, len(tally.positions))
            for taxon, tally in taxa.items()
        }
        places = len(set().union(*(tally.positions for tally in taxa.values())))
        rows[COMMUNITY] = evidence(family, counts[family], places)
        families[family] = rows
    return SampleEvidence(families, equivalents, library)
