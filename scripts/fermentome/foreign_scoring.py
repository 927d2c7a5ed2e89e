"""Score pathways from the identifiers of another tool's table.

The arithmetic and the rules of a call are those of `fermentome.scoring`; what differs is what
can be known. Definitions, for one sample and one kind of identifier:

- value of a family = sum of its own identifiers, each divided by the number of chains that bear
  it (`fermentome.identifiers`). Identifiers of one family add up, as its genes do in a search:
  a gene that a table gives to two of them counts twice (not with eggNOG-mapper, which lists
  genes);
- copies per genome equivalent = value / median over the universal single-copy families, zeros
  included (Salazar et al. 2019, doi:10.1016/j.cell.2019.10.014). A median of 0 gives no copies:
  calls then rest on presence and values stay in the unit of the table;
- a family is *seen* if its own identifiers are above zero. It is *missing* if all identifiers
  that the tool can know (`fermentome.identifiers.Vocabulary`) are zero, which needs a table that
  lists them or was not filtered. Else it is *unknown*: it has no identifier, shares it, or may
  have been cut out;
- a set of families is as good as its worst member; a step and the markers are as good as their
  best set. Present needs everything that `fermentome.scoring` needs to be seen. Where a marker or
  a diagnostic step is unknown and the rest does not rule the route out, the call is
  indeterminate and says which identifier is to blame;
- absent needs depth: the smallest value of the sample is at most 0.1 copies per genome, or, for
  gene counts, at least 90 % of the universal single-copy families were found. Else the call is
  below_detection. UniRef clusters never make a route absent: a cluster that the reference does
  not hold may be of the family.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from fermentome.assign import UNASSIGNED
from fermentome.catalogue import Catalogue, Pathway, Step
from fermentome.evidence import COMMUNITY
from fermentome.foreign import ForeignSample
from fermentome.identifiers import IdentifierIndex
from fermentome.scoring import (
    ABSENT,
    BELOW,
    INDETERMINATE,
    PRESENT,
    diagnostic_families,
    marker_families,
    pathway_tier,
    pathway_value,
)

DETECTABLE_COPIES = 0.1
"""As ``scoring.detectable_copies`` of the configuration."""

COMPLETE_GENOME = 0.9
"""Share of universal families from which a genome counts as whole, and, for those found more than
once, 1 minus it from which genes are of several genomes: the limits of completeness (90 %, high
quality) and contamination (10 %, medium quality) of MIMAG, doi:10.1038/nbt.3893."""

HIGHER_RANKS = ("ales", "aceae")
"""Ends of the names of orders and families of prokaryotes (ICNP, rule 9)."""


class Sight(IntEnum):
    """What a table says about a family; the order lets sets take a minimum, choices a maximum."""

    MISSING = 0
    UNKNOWN = 1
    SEEN = 2


@dataclass(frozen=True, slots=True)
class TableScore:
    """One pathway in one taxon, or in the whole community.

    Attributes
    ----------
    value
        In the unit of the table; NaN where a marker or a diagnostic step cannot be valued.
    copies
        Per genome equivalent; NaN also where the table gives no genome equivalents.
    identifiers_used
        Identifiers above zero that counted, each with its family.
    cannot_separate
        What the identifiers of this table leave open about the route.
    """

    sample: str
    pathway: str
    taxon: str
    product: str
    direction: str
    copies: float
    value: float
    unit: str
    completeness: float
    call: str
    tier: str
    missing_steps: tuple[str, ...]
    reason: str
    identifiers_used: str
    cannot_separate: str


@dataclass(frozen=True, slots=True)
class FamilyValue:
    """One family in one taxon. NaN means that it is not known."""

    family: str
    taxon: str
    value: float
    shared_value: float
    copies: float
    sight: Sight


class TableEvidence:
    """Families of a sample, as far as its identifiers tell them apart.

    Parameters
    ----------
    sample
        Identifiers of the sample.
    index
        Of the same kind of identifiers.
    """

    def __init__(self, sample: ForeignSample, index: IdentifierIndex, catalogue: Catalogue) -> None:
        self.sample = sample
        self.index = index
        self.catalogue = catalogue
        self.single_copy = {
            family: self.value(family)
            for family in catalogue.single_copy
            if index.identifiers.get(family)
        }
        self.equivalents = self._genome_equivalents()

    def _genome_equivalents(self) -> float:
        """Median value of the single-copy families; NaN if it is 0 or there is none."""
        if not self.single_copy:
            return math.nan
        return statistics.median(self.single_copy.values()) or math.nan

    def without(self, taxa: Iterable[str]) -> "TableEvidence":
        """Evidence without some taxa; the genome equivalents stay those of the sample."""
        dropped = [taxon for taxon in taxa if taxon in self.sample.values]
        if not dropped:
            return self
        community = dict(self.sample.values[COMMUNITY])
        for taxon in dropped:
            for identifier, value in self.sample.values[taxon].items():
                left = community.get(identifier, 0.0) - value
                # What rounding leaves of nothing is nothing.
                community[identifier] = left if left > 1e-6 * value else 0.0
        kept = {t: rows for t, rows in self.sample.values.items() if t not in dropped}
        reduced = TableEvidence.__new__(TableEvidence)
        reduced.sample = replace(self.sample, values=kept | {COMMUNITY: community})
        reduced.index, reduced.catalogue = self.index, self.catalogue
        reduced.single_copy, reduced.equivalents = self.single_copy, self.equivalents
        return reduced

    def taxa(self) -> list[str]:
        """Taxa of the table, without the community, sorted."""
        return sorted(taxon for taxon in self.sample.values if taxon != COMMUNITY)

    def value(self, family: str, taxon: str = COMMUNITY) -> float:
        """Sum of a family's own identifiers, in the unit of the table."""
        rows = self.sample.values.get(taxon, {})
        return sum(
            (
                rows[name] / self.index.chains[name]
                for name in sorted(self.index.own.get(family, ()))
                if name in rows
            ),
            0.0,
        )

    def shared_value(self, family: str, taxon: str = COMMUNITY) -> float:
        """Sum of what may be a family's or another's."""
        rows = self.sample.values.get(taxon, {})
        value = sum((rows.get(name, 0.0) for name in self.index.shared(family)), 0.0)
        if taxon == COMMUNITY:
            names = self.index.identifiers.get(family, ())
            value += sum((self.sample.doubtful.get(name, 0.0) for name in names), 0.0)
        return value

    def copies(self, value: float) -> float:
        """Copies per genome equivalent of a value."""
        return value / self.equivalents

    def sight(self, family: str, taxon: str = COMMUNITY) -> Sight:
        """Whether a family is seen, missing or neither."""
        if self.value(family, taxon):
            return Sight.SEEN
        if self.shared_value(family, taxon):
            return Sight.UNKNOWN
        if taxon != COMMUNITY:
            # What the community has is not here; what it may have may be.
            return Sight.MISSING if self.value(family) else self.sight(family)
        return Sight.MISSING if self._zero_is_known(family) else Sight.UNKNOWN

    def _known_names(self, family: str) -> list[str]:
        """Identifiers of a family that the tool behind the table can know."""
        return [
            name
            for name in self.index.identifiers.get(family, ())
            if name in self.sample.listed or self.sample.vocabulary.reaches(name)
        ]

    def _zero_is_known(self, family: str) -> bool:
        names = self._known_names(family)
        if self.index.kind == "UniRef" or not names:
            return False
        return not self.sample.filtered or all(name in self.sample.listed for name in names)

    def explain(self, family: str) -> str:
        """Why a family is neither seen nor missing."""
        names = self.index.identifiers.get(family, ())
        kind = self.index.kind
        if not names and kind == "UniRef":
            return f"the reference holds no UniRef cluster of {family}"
        if not names and kind == "EC":
            return f"the catalogue has no full EC number for {family}: give reads or genomes"
        if not names:
            return f"no KO exists for {family}: give reads or genomes"
        if self.shared_value(family):
            return self.explain_sharing(family)
        if kind == "UniRef":
            return (
                f"none of the {len(names)} UniRef clusters of {family} in the reference is in the"
                " table; others may be of it"
            )
        known = self._known_names(family)
        listed = ", ".join(names)
        if not known:
            return (
                f"{listed} ({family}) is newer than any {_name(kind)} of its group in the table:"
                " the tool may not know it"
            )
        return f"{', '.join(known)} ({family}) is not in the table: {self.sample.filtered}"

    def explain_sharing(self, family: str) -> str:
        """Which identifiers of a family that are in the sample are also those of others."""
        rows = self.sample.values[COMMUNITY]
        parts = [
            f"{_name(self.index.kind)} {name} is shared by {', '.join(self.index.bearers[name])}"
            for name in self.index.shared(family)
            if rows.get(name)
        ]
        doubtful = [
            name
            for name in self.index.identifiers.get(family, ())
            if self.sample.doubtful.get(name)
        ]
        if doubtful:
            parts.append(f"genes with {', '.join(doubtful)} ({family}) bear other families' too")
        return "; ".join(parts)

    def looks_like_one_genome(self) -> bool:
        """Whether genes are of one genome: each universal family once, but for few."""
        if self.sample.one_genome:
            return True
        found = [value for value in self.single_copy.values() if value]
        more = sum(value > 1 for value in found)
        return (
            self.sample.gene_counts
            and self.equivalents == 1
            and more <= (1 - COMPLETE_GENOME) * len(found)
        )

    def is_deep(self) -> bool:
        """Whether the sample would have shown a route that is there."""
        if self.sample.gene_counts:
            found = sum(value > 0 for value in self.single_copy.values())
            return found >= COMPLETE_GENOME * max(len(self.single_copy), 1)
        return self.copies(self.sample.lowest) <= DETECTABLE_COPIES

    def describe_depth(self) -> str:
        """What `is_deep` rests on, in words."""
        if self.sample.gene_counts:
            found = sum(value > 0 for value in self.single_copy.values())
            return f"{found} of {len(self.single_copy)} universal single-copy families found"
        if math.isnan(self.equivalents):
            return (
                "depth not known, as half of the universal single-copy families are not in the"
                f" table; lowest value {self.sample.lowest:.3g} {self.sample.unit}"
            )
        return f"lowest value {self.copies(self.sample.lowest):.3g} copies per genome"


def _name(kind: str) -> str:
    return "EC number" if kind == "EC" else kind


def _any_set(groups: Iterable[Sequence[str]], evidence: TableEvidence, taxon: str) -> Sight:
    return max(
        (min(evidence.sight(family, taxon) for family in group) for group in groups),
        default=Sight.MISSING,
    )


class _Examined:
    """One pathway looked for in one sample."""

    def __init__(
        self, pathway: Pathway, evidence: TableEvidence, ranks: Mapping[str, frozenset[str]]
    ) -> None:
        self.pathway = pathway
        self.evidence = evidence
        self.ranks = ranks
        self.required = [step for step in pathway.steps if step.required]
        self.diagnostic = [step for step in pathway.steps if step.diagnostic]

    def step(self, step: Step, taxon: str) -> Sight:
        return _any_set(step.alternatives, self.evidence, taxon)

    def markers(self, taxon: str) -> Sight:
        return _any_set(self.pathway.required_markers, self.evidence, taxon)

    def missing_steps(self, taxon: str) -> tuple[str, ...]:
        return tuple(s.id for s in self.required if self.step(s, taxon) != Sight.SEEN)

    def completeness(self, taxon: str) -> float:
        return 1 - len(self.missing_steps(taxon)) / len(self.required)

    def holds_route(self, taxon: str) -> bool:
        return (
            self.markers(taxon) == Sight.SEEN
            and all(self.step(step, taxon) == Sight.SEEN for step in self.diagnostic)
            and self.completeness(taxon) >= self.pathway.min_completeness
        )

    def lineage_is_open(self, taxon: str) -> bool:
        """Whether a veto of a rank above the genus cannot be checked for a taxon."""
        return taxon not in self.ranks and any(
            veto.endswith(HIGHER_RANKS) for veto in self.pathway.taxon_veto
        )

    def valued_steps(self) -> list[Step] | None:
        """Steps whose copies the identifiers give; None if a diagnostic one is not among them."""

        def is_valued(step: Step) -> bool:
            return any(
                all(
                    self.evidence.index.own.get(family)
                    and self.evidence.sight(family) != Sight.UNKNOWN
                    for family in group
                )
                for group in step.alternatives
            )

        valued = [step for step in self.pathway.steps if is_valued(step)]
        return valued if all(step in valued for step in self.diagnostic) else None

    def unknown_families(self) -> list[str]:
        """Families to blame if the markers or diagnostic steps are not known."""
        groups = [group for step in self.diagnostic for group in step.alternatives]
        groups += list(self.pathway.required_markers)
        families = dict.fromkeys(family for group in groups for family in group)
        return [family for family in families if self.evidence.sight(family) == Sight.UNKNOWN]


def score_table_sample(
    evidence: TableEvidence, ranks: Mapping[str, frozenset[str]]
) -> list[TableScore]:
    """Scores of all reported pathways: community first, then taxa, sorted by pathway.

    Parameters
    ----------
    ranks
        Names of all ranks of a lineage, by genus; for vetoes.
    """
    catalogue = evidence.catalogue
    return [
        score
        for name in sorted(catalogue.pathways)
        if catalogue.pathways[name].reported
        for score in score_table_pathway(catalogue.pathways[name], evidence, ranks)
    ]


def score_table_pathway(
    pathway: Pathway, evidence: TableEvidence, ranks: Mapping[str, frozenset[str]]
) -> list[TableScore]:
    """Score a pathway in the community, then in every taxon that holds a diagnostic family.

    The copies of the taxa add up to the community's. Where the scope is ``taxon``, only taxa that
    hold the route have copies, each scored alone.
    """
    vetoed = [t for t in evidence.taxa() if pathway.is_vetoed(ranks.get(t, frozenset()) | {t})]
    found = _Examined(pathway, evidence.without(vetoed), ranks)
    whole = found.evidence
    diagnostic = diagnostic_families(pathway)
    taxa = [t for t in whole.taxa() if any(whole.value(f, t) for f in diagnostic)]
    holders = [t for t in taxa if t != UNASSIGNED and found.holds_route(t)]
    carriers = [t for t in holders if not found.lineage_is_open(t)]
    call, reason = _decide(found, holders, carriers)
    if call in {ABSENT, BELOW} and vetoed:
        before = _Examined(pathway, evidence, ranks)
        if before.markers(COMMUNITY) == Sight.SEEN:
            call = INDETERMINATE
            reason = f"markers only in {', '.join(vetoed)}: never called there"

    value, shares = _values(found, call, taxa, holders)
    if call == PRESENT and value == 0:
        steps = ", ".join(found.missing_steps(COMMUNITY))
        call, reason = INDETERMINATE, f"steps not seen: {steps}"
    rows = [(COMMUNITY, value, call, reason)]
    for taxon in sorted(shares):
        if taxon in carriers:
            own, why = PRESENT, ""
        elif taxon in holders:
            own, why = INDETERMINATE, _open_lineage(pathway, [taxon])
        elif taxon == UNASSIGNED:
            own, why = INDETERMINATE, "no taxon named"
        else:
            gaps = ", ".join(found.missing_steps(taxon)) or "markers"
            own, why = INDETERMINATE, f"not seen: {gaps}"
        rows.append((taxon, value * shares[taxon] if value else value, own, why))
    return [
        TableScore(
            sample=evidence.sample.name,
            pathway=pathway.id,
            taxon=taxon,
            product=pathway.product,
            direction=pathway.direction,
            copies=evidence.copies(amount),
            value=amount,
            unit=evidence.sample.unit,
            completeness=found.completeness(taxon),
            call=taxon_call,
            tier=pathway_tier(pathway, evidence.catalogue),
            missing_steps=found.missing_steps(taxon),
            reason=why,
            identifiers_used=identifiers_used(pathway, whole, taxon),
            cannot_separate=cannot_separate(pathway, whole) if taxon == COMMUNITY else "",
        )
        for taxon, amount, taxon_call, why in rows
    ]


def _open_lineage(pathway: Pathway, taxa: Sequence[str]) -> str:
    return (
        f"the route is never called in {', '.join(pathway.taxon_veto)}, and the lineage of"
        f" {', '.join(taxa)} is not known; give --reference with lineages"
    )


def _decide(found: _Examined, holders: Sequence[str], carriers: Sequence[str]) -> tuple[str, str]:
    """Call of a pathway in the community, and why it is not plainly present."""
    pathway, evidence = found.pathway, found.evidence
    markers = found.markers(COMMUNITY)
    diagnostic = {step.id: found.step(step, COMMUNITY) for step in found.diagnostic}
    if markers == Sight.MISSING:
        call = ABSENT if evidence.is_deep() else BELOW
        return call, f"{_missing_markers(found)}; {evidence.describe_depth()}"
    lost = [name for name, sight in diagnostic.items() if sight == Sight.MISSING]
    why = [f"diagnostic steps not in the table: {', '.join(lost)}"] if lost else []
    if markers == Sight.UNKNOWN or Sight.UNKNOWN in diagnostic.values():
        why += [evidence.explain(family) for family in found.unknown_families()]
    if why:
        return INDETERMINATE, "; ".join(dict.fromkeys(why))
    if found.completeness(COMMUNITY) < pathway.min_completeness:
        steps = [s for s in found.required if found.step(s, COMMUNITY) == Sight.UNKNOWN]
        families = {f: None for s in steps for group in s.alternatives for f in group}
        causes = [evidence.explain(f) for f in families if evidence.sight(f) == Sight.UNKNOWN]
        reason = f"steps not seen: {', '.join(found.missing_steps(COMMUNITY))}"
        return INDETERMINATE, "; ".join(dict.fromkeys([reason, *causes]))
    if pathway.evidence_scope == "community" or carriers:
        return PRESENT, ""
    if evidence.looks_like_one_genome():
        if pathway.evidence_scope == "taxon" and found.lineage_is_open(COMMUNITY):
            return INDETERMINATE, _open_lineage(pathway, [evidence.sample.name])
        return PRESENT, ""
    stratified = bool(evidence.sample.taxa_are)
    if pathway.evidence_scope == "taxon_preferred":
        no_taxa = "the table names no taxa"
        none_holds = "no one taxon holds all markers and enough steps"
        return PRESENT, f"pooled evidence: {none_holds if stratified else no_taxa}"
    if holders:
        return INDETERMINATE, _open_lineage(pathway, holders)
    if stratified:
        return INDETERMINATE, "no one taxon holds all markers and enough steps"
    return INDETERMINATE, (
        "all genes are there, but whether one organism holds them cannot be told from a table"
        " without taxa; give a stratified table, reads or genomes"
    )


def _missing_markers(found: _Examined) -> str:
    evidence = found.evidence
    sets = []
    for group in found.pathway.required_markers:
        names = [
            f"{family} ({', '.join(evidence.index.identifiers[family])})"
            for family in group
            if evidence.sight(family) == Sight.MISSING
        ]
        sets.append(", ".join(names))
    return f"markers not in the table: {' or '.join(filter(None, sets))}"


def _values(
    found: _Examined, call: str, taxa: Sequence[str], holders: Sequence[str]
) -> tuple[float, dict[str, float]]:
    """Value of a pathway in the unit of the table, and each taxon's share of it."""
    evidence, pathway = found.evidence, found.pathway
    if call in {ABSENT, BELOW}:
        return 0.0, dict.fromkeys(taxa, 0.0)
    steps = found.valued_steps()
    if steps is None or found.markers(COMMUNITY) == Sight.UNKNOWN:
        return math.nan, dict.fromkeys(taxa, math.nan)
    families = sorted(pathway.families())

    def value(taxon: str) -> float:
        return pathway_value(steps, {family: evidence.value(family, taxon) for family in families})

    if pathway.evidence_scope == "taxon" and evidence.sample.taxa_are:
        own = {taxon: value(taxon) if taxon in holders else 0.0 for taxon in taxa}
        total = sum(own.values())
        return total, {t: amount / total if total else 0.0 for t, amount in own.items()}
    return value(COMMUNITY), taxon_shares(pathway, evidence, taxa)


def taxon_shares(
    pathway: Pathway, evidence: TableEvidence, taxa: Sequence[str]
) -> dict[str, float]:
    """Share of each taxon in the diagnostic steps; what no taxon has in all is ``unassigned``.

    As `fermentome.scoring.taxon_shares`: a taxon has its smallest share over the diagnostic
    steps. The shares add up to 1, or there are none in a table without taxa.
    """
    if not taxa:
        return {}
    families: list[str] = []
    for step in pathway.steps:
        if step.diagnostic:
            families += max(step.alternatives, key=lambda g: min(evidence.value(f) for f in g))
    wholes = {family: evidence.value(family) for family in families}
    shares = {
        taxon: min(
            (evidence.value(f, taxon) / whole if whole else 0.0 for f, whole in wholes.items()),
            default=0.0,
        )
        for taxon in taxa
        if taxon != UNASSIGNED
    }
    shares[UNASSIGNED] = max(1.0 - sum(shares.values()), 0.0)
    return shares


def identifiers_used(pathway: Pathway, evidence: TableEvidence, taxon: str) -> str:
    """Identifiers above zero that count for families of a pathway, each with its family."""
    rows = evidence.sample.values.get(taxon, {})
    families = dict.fromkeys(f for s in pathway.steps for group in s.alternatives for f in group)
    return ", ".join(
        f"{name} ({family})"
        for family in families
        for name in sorted(evidence.index.own.get(family, ()))
        if rows.get(name)
    )


def cannot_separate(pathway: Pathway, evidence: TableEvidence) -> str:
    """What the identifiers of a table leave open about a pathway, whatever their values.

    Of the markers, the diagnostic and the required steps: families without an identifier,
    identifiers that others bear, chains that bear one identifier, and look-alikes without an
    identifier, whose genes may stand under that of the family.
    """
    index, catalogue = evidence.index, evidence.catalogue
    kind = _name(index.kind)
    evident = dict.fromkeys(marker_families(pathway)) | dict.fromkeys(
        sorted(diagnostic_families(pathway))
    )
    required = dict.fromkeys(
        f for s in pathway.steps if s.required for group in s.alternatives for f in group
    )
    notes: dict[str, None] = {}
    for family in evident | required:
        names = index.identifiers.get(family, ())
        if not names:
            notes[f"{family}: no {kind}"] = None
        for name in names:
            others = index.others(family, name)
            if name not in index.own[family]:
                notes[f"{family}: {name} is also {', '.join(others)}"] = None
            elif others:
                notes[f"{name} names {', '.join(index.bearers[name])} together"] = None
        if names and family in evident:
            hidden = [d for d in catalogue.families[family].decoys if not index.identifiers.get(d)]
            if hidden:
                notes[f"{family}: {', '.join(hidden)} has no {kind} and may stand under it"] = None
    if not evidence.sample.taxa_are and pathway.taxon_veto and not evidence.sample.one_genome:
        notes[f"{', '.join(pathway.taxon_veto)} cannot be left out, as there are no taxa"] = None
    return "; ".join(notes)


def family_values(evidence: TableEvidence) -> list[FamilyValue]:
    """Families with an identifier, or a place in a route: the community's, then by taxon."""
    names = [*evidence.catalogue.families, *evidence.catalogue.single_copy]
    result = []
    for family in sorted(names):
        for taxon in [COMMUNITY, *evidence.taxa()]:
            value, shared = evidence.value(family, taxon), evidence.shared_value(family, taxon)
            if taxon != COMMUNITY and not value and not shared:
                continue
            sight = evidence.sight(family, taxon)
            if sight == Sight.UNKNOWN:
                value = math.nan
            result.append(FamilyValue(family, taxon, value, shared, evidence.copies(value), sight))
    return result


@dataclass(frozen=True, slots=True)
class TableProduct:
    """Routes that form, or consume, one product in one sample.

    Attributes
    ----------
    call
        present if a route is; absent if all are; else below_detection or indeterminate.
    copies, value
        Sums over the present routes; NaN if none is present and not all are absent.
    """

    sample: str
    product: str
    direction: str
    call: str
    copies: float
    value: float
    unit: str
    present: tuple[str, ...]
    indeterminate: tuple[str, ...]


def score_table_products(scores: Sequence[TableScore]) -> list[TableProduct]:
    """Sum up the community scores of one sample by product and direction."""
    groups: dict[tuple[str, str], list[TableScore]] = {}
    for score in scores:
        if score.taxon == COMMUNITY:
            groups.setdefault((score.product, score.direction), []).append(score)
    products = []
    for (product, direction), rows in sorted(groups.items()):
        present = [row for row in rows if row.call == PRESENT]
        calls = {row.call for row in rows}
        call = next(c for c in (PRESENT, INDETERMINATE, BELOW, ABSENT) if c in calls)
        nothing = 0.0 if call == ABSENT else math.nan
        products.append(
            TableProduct(
                sample=rows[0].sample,
                product=product,
                direction=direction,
                call=call,
                copies=sum(row.copies for row in present) if present else nothing,
                value=sum(row.value for row in present) if present else nothing,
                unit=rows[0].unit,
                present=tuple(row.pathway for row in present),
                indeterminate=tuple(row.pathway for row in rows if row.call == INDETERMINATE),
            )
        )
    return products
