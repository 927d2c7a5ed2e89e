"""Score pathways from the evidence of their families.

What is scored is genetic potential: the genes are there, in so many copies per genome. No
rule here says that the product is made.

Definitions, for a pathway in one sample (families in copies per genome equivalent):

- complex = minimum over its subunits; step = maximum over its alternatives, so that isozymes
  are not added up;
- pathway copies = min(harmonic mean over required steps, minimum over diagnostic steps): a
  cell needs every diagnostic step, and what is common in other cells must not lift the
  pathway; the shared steps are in other cells as well and only bound it. A missing diagnostic
  step is never filled in: a pathway called from shared steps alone is the error that the
  catalogue exists to prevent;
- the parts of a minimum are allowed their counting noise, see `fermentome.estimate`;
- where the scope is ``taxon``, only the genera that hold the route count; genes scattered over
  other genera are not copies of it;
- fragments of a lineage for which the route is never called are left out before anything else;
- families are detected as `is_detected` says; a step is detected if one alternative is, or is
  part of a detected set of markers; completeness = detected required steps / required steps;
- present: one set of markers and every diagnostic step detected, completeness reached, and the
  evidence lies where the scope demands it: anywhere (community), in one genus (taxon), or in one
  genus where that can be shown and else pooled, which the row says (taxon_preferred).
  indeterminate: markers detected, but not the rest. Without the markers: absent if the sample
  is deep enough to have shown them, else below_detection.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from scipy import stats

from fermentome.assign import UNASSIGNED
from fermentome.catalogue import Catalogue, Pathway, Step
from fermentome.estimate import (
    Estimate,
    capped,
    harmonic_mean,
    most_abundant,
    scarcest,
    widened,
)
from fermentome.evidence import COMMUNITY, FamilyEvidence, SampleEvidence
from fermentome.normalise import CONFIDENCE, counting_bounds, depth_bounds, detection_limit

PRESENT, INDETERMINATE, ABSENT, BELOW = "present", "indeterminate", "absent", "below_detection"


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """Settings of the calls.

    Attributes
    ----------
    minimum_fragments, minimum_positions
        Fragments, and distinct alignment starts among them, from which a family counts as
        detected. Two copies of one molecule made by PCR are one position.
    detectable_copies
        A route is called absent only in a sample whose detection limit is at most this many
        copies per genome.
    """

    minimum_fragments: int
    minimum_positions: int
    detectable_copies: float


@dataclass(frozen=True, slots=True)
class PathwayScore:
    """One pathway in one taxon, or in the whole community; see the module for the terms.

    Attributes
    ----------
    missing_steps
        Required steps that were not detected.
    fragments, positions
        Fragments of the marker families, and the distinct places where they lie.
    ci_low, ci_high
        NaN for a single taxon, whose copies are a share of the community's.
    detection_limit
        Copies per genome at which each set of markers would be detected in 95 % of samples
        of this depth; NaN for a single taxon.
    reason
        Why the call is not plainly ``present``; empty otherwise.
    """

    pathway: str
    taxon: str
    product: str
    copies: float
    ci_low: float
    ci_high: float
    completeness: float
    call: str
    tier: str
    missing_steps: tuple[str, ...]
    fragments: float
    positions: int
    detection_limit: float
    reason: str


def step_estimate(step: Step, families: Mapping[str, Estimate]) -> Estimate:
    """Copies of a step: the most abundant alternative, limited by its scarcest subunit."""
    none = Estimate.exact(0.0)
    return most_abundant(
        [scarcest([families.get(f, none) for f in group]) for group in step.alternatives]
    )


def step_value(step: Step, copies: Mapping[str, float]) -> float:
    """`step_estimate` of families without error, such as the genes of a genome."""
    return step_estimate(step, _exact(copies)).value


def pathway_estimate(steps: Sequence[Step], families: Mapping[str, Estimate]) -> Estimate:
    """Copies of a pathway; 0 if a diagnostic step or more than one required step is missing.

    The scarcest required step that is not diagnostic counts for no less than the next scarcest
    required one: at low depth a short gene is missed by chance. A diagnostic step is never
    filled in.

    Parameters
    ----------
    steps
        Of the pathway; steps that the reference cannot show are left out by the caller.
    families
        Copies per genome equivalent. A family that is not there has none.

    Returns
    -------
    Estimate
        With value and lower bound 0, the upper bound is the value of the families' upper
        bounds: what the depth leaves open.
    """
    required = [(step.diagnostic, step_estimate(step, families)) for step in steps if step.required]
    diagnostic = [step_estimate(step, families) for step in steps if step.diagnostic]
    required.sort(key=lambda item: (item[1].value, item[0]))
    counted = [estimate for _, estimate in required]
    first_shared = next((n for n, (is_own, _) in enumerate(required) if not is_own), None)
    if first_shared is not None and len(counted) > 1:
        others = counted[:first_shared] + counted[first_shared + 1 :]
        counted[first_shared] = max(counted[first_shared], others[0], key=lambda e: e.value)
    if not counted or not all(estimate.value for estimate in [*counted, *diagnostic]):
        highs = {family: Estimate.exact(e.high) for family, e in families.items()}
        if any(e.high > e.value for e in families.values()):
            return Estimate(0.0, 0.0, pathway_estimate(steps, highs).value)
        return Estimate.exact(0.0)
    bound = harmonic_mean(counted)
    return capped(scarcest(diagnostic), bound) if diagnostic else bound


def pathway_value(steps: Sequence[Step], copies: Mapping[str, float]) -> float:
    """`pathway_estimate` of families without error, such as the genes of a genome."""
    return pathway_estimate(steps, _exact(copies)).value


def _exact(copies: Mapping[str, float]) -> dict[str, Estimate]:
    return {family: Estimate.exact(value) for family, value in copies.items()}


def pathway_tier(pathway: Pathway, catalogue: Catalogue) -> str:
    """Tier of a pathway: the best tier among the families of its strongest set of markers."""
    tiers = [
        min(catalogue.families[family].tier for family in group)
        for group in pathway.required_markers
    ]
    return min(tiers) if tiers else "none"


def marker_families(pathway: Pathway) -> tuple[str, ...]:
    """All families that stand in a set of markers, each once."""
    return tuple(dict.fromkeys(family for group in pathway.required_markers for family in group))


def diagnostic_families(pathway: Pathway) -> frozenset[str]:
    """All families that stand in a diagnostic step; the markers of a route without one."""
    own = frozenset(
        family
        for step in pathway.steps
        if step.diagnostic
        for group in step.alternatives
        for family in group
    )
    return own or frozenset(marker_families(pathway))


def is_detected(
    rows: Sequence[FamilyEvidence | None],
    diagnostic: Sequence[bool],
    rule: ScoringRule,
    shallow: bool,
) -> bool:
    """Whether families that are evidence together are all detected.

    Each needs the minimum of fragments and of positions. In a shallow sample they are taken
    together, because the routes with the most markers would be lost first: each by at least one
    fragment, the k diagnostic ones by the minimum beyond these k, and one that is below the
    minimum must be so by chance at the depth of the other diagnostic ones (Poisson, 5 %). One
    stray fragment beside an abundant marker is thus no evidence. For two families this is the
    minimum of each; for more, stray fragments pass less often, since they must hit every one.

    Parameters
    ----------
    rows
        Families; None where a family was not seen at all.
    diagnostic
        Whether each is of a diagnostic step.
    shallow
        Whether the sample may miss single families.
    """
    seen = [row for row in rows if row is not None]
    if len(seen) < len(rows):
        return False

    def alone(row: FamilyEvidence) -> bool:
        return row.fragments >= rule.minimum_fragments and row.positions >= rule.minimum_positions

    pooled = [row for row, is_diagnostic in zip(seen, diagnostic, strict=True) if is_diagnostic]
    if not shallow or len(pooled) < 2:
        return all(map(alone, seen))

    def by_chance(row: FamilyEvidence) -> bool:
        others = [other for other in pooled if other is not row]
        density = sum(o.fragments for o in others) / sum(o.effective_length for o in others)
        expected = density * row.effective_length
        return bool(stats.poisson.cdf(row.fragments, expected) >= 1 - CONFIDENCE)

    return (
        all(row.fragments >= 1 and (alone(row) or by_chance(row)) for row in seen)
        and sum(row.fragments for row in pooled) >= rule.minimum_fragments + len(pooled)
        and sum(row.positions for row in pooled) >= rule.minimum_positions + len(pooled)
    )


def without_taxa(evidence: SampleEvidence, taxa: frozenset[str]) -> SampleEvidence:
    """Evidence without the fragments of some genera."""
    families = {}
    for family, rows in evidence.families.items():
        if taxa.isdisjoint(rows):
            families[family] = rows
            continue
        kept = {t: row for t, row in rows.items() if t not in taxa and t != COMMUNITY}
        places = sum(row.positions for row in kept.values())
        whole = rows[COMMUNITY]
        fragments = sum((row.fragments for row in kept.values()), 0.0)
        families[family] = kept | {
            COMMUNITY: whole.with_fragments(
                fragments, min(places, whole.positions), evidence.equivalents
            )
        }
    return SampleEvidence(families, evidence.equivalents, evidence.library)


class RouteSearch(ABC):
    """One pathway looked for: what it takes for the route to be there.

    Parameters
    ----------
    pathway
        The pathway.
    known
        Families that the reference holds.
    """

    def __init__(self, pathway: Pathway, known: Set[str]) -> None:
        self.pathway = pathway
        self.known = known
        self.marker_sets = [g for g in pathway.required_markers if known >= set(g)]

    @abstractmethod
    def detects(self, families: Sequence[str], taxon: str) -> bool:
        """Whether families are there together, in a taxon."""

    def markers(self, taxon: str) -> frozenset[str]:
        """Families of the sets of markers that are detected in a taxon."""
        sets = [group for group in self.marker_sets if self.detects(group, taxon)]
        return frozenset(family for group in sets for family in group)

    def missing_markers(self) -> str:
        """Which markers of the community are not detected, by set."""
        sets = [
            [family for family in group if not self.detects([family], COMMUNITY)]
            for group in self.marker_sets
        ]
        names = " or ".join(", ".join(group) for group in sets if group)
        return f"markers not detected: {names}" if names else "markers not detected together"

    def missing_steps(self, taxon: str) -> tuple[str, ...]:
        """Required steps that are not detected in a taxon."""
        markers = self.markers(taxon)
        return tuple(
            step.id
            for step in self.pathway.steps
            if step.required
            and not any(
                markers.issuperset(group) or self.detects(group, taxon)
                for group in step.alternatives
            )
        )

    def completeness(self, taxon: str) -> float:
        """Detected share of the required steps in a taxon."""
        required = sum(step.required for step in self.pathway.steps)
        return 1 - len(self.missing_steps(taxon)) / required

    def served_steps(self) -> list[Step]:
        """Steps of which the reference holds an alternative."""
        return [
            step
            for step in self.pathway.steps
            if any(self.known >= set(group) for group in step.alternatives)
        ]

    def unserved_families(self) -> list[str]:
        """Markers, and families of required steps, that the reference lacks where it matters."""
        served = {step.id for step in self.served_steps()}
        wanted = [*marker_families(self.pathway)]
        for step in self.pathway.steps:
            if step.required and step.id not in served:
                wanted += [family for group in step.alternatives for family in group]
        return [family for family in dict.fromkeys(wanted) if family not in self.known]

    def lacks_diagnostic(self, taxon: str) -> tuple[str, ...]:
        """Diagnostic steps that the reference could show and that a taxon lacks."""
        served = {step.id for step in self.served_steps() if step.diagnostic}
        return tuple(step for step in self.missing_steps(taxon) if step in served)

    def holds_route(self, taxon: str) -> bool:
        """Whether markers, diagnostic steps and enough of the others are in a taxon."""
        return (
            bool(self.markers(taxon))
            and not self.lacks_diagnostic(taxon)
            and self.completeness(taxon) >= self.pathway.min_completeness
        )


class Examination(RouteSearch):
    """One pathway looked for in one sample.

    Parameters
    ----------
    pathway
        The pathway.
    evidence
        Families of the sample, without genera for which the pathway is never called.
    rule
        Settings of the calls.
    """

    def __init__(self, pathway: Pathway, evidence: SampleEvidence, rule: ScoringRule) -> None:
        super().__init__(pathway, evidence.families.keys())
        self.evidence = evidence
        self.rule = rule
        self.diagnostic = diagnostic_families(pathway)
        self.shallow = self._is_shallow()

    def _is_shallow(self) -> bool:
        """Whether a single diagnostic family could be missed at the copies that must show."""
        limits = [
            detection_limit(
                [self.evidence.community(family).effective_length],
                self.evidence.equivalents,
                self.rule.minimum_fragments,
            )
            for family in sorted(self.diagnostic & self.known)
        ]
        return any(math.isnan(limit) or limit > self.rule.detectable_copies for limit in limits)

    def detects(self, families: Sequence[str], taxon: str) -> bool:
        """Whether families are detected together in a taxon."""
        rows = [self.evidence.families.get(family, {}).get(taxon) for family in families]
        diagnostic = [family in self.diagnostic for family in families]
        return is_detected(rows, diagnostic, self.rule, self.shallow)

    def genera(self) -> list[str]:
        """Genera, and ``unassigned``, that hold a fragment of a diagnostic family."""
        return sorted(
            {
                taxon
                for family in self.diagnostic & self.known
                for taxon, row in self.evidence.families[family].items()
                if taxon != COMMUNITY and row.fragments
            }
        )

    def marker_rows(self, taxon: str) -> list[FamilyEvidence]:
        """The marker families that a taxon has."""
        rows = (
            self.evidence.families.get(family, {}).get(taxon)
            for family in marker_families(self.pathway)
        )
        return [row for row in rows if row]

    def copies(self, taxa: Sequence[str] = (COMMUNITY,)) -> Estimate:
        """Copies of the pathway in the community, or in some of its genera.

        Parameters
        ----------
        taxa
            `COMMUNITY`, or genera. Fragments that name no genus are then shared out among
            the genera in the proportions of those that do.
        """
        equivalents = self.evidence.equivalents
        families = {}
        for family in sorted(self.pathway.families() & self.known):
            row = self.evidence.community(family)
            fragments, share = row.fragments, 1.0
            if tuple(taxa) != (COMMUNITY,):
                rows = self.evidence.families[family]
                fragments = sum(rows[taxon].fragments for taxon in taxa if taxon in rows)
                named = row.fragments - (rows[UNASSIGNED].fragments if UNASSIGNED in rows else 0.0)
                share = row.fragments / named if named > 0 else 1.0
            low, high = counting_bounds(fragments, equivalents.family_variation)
            unit = share / row.effective_length / equivalents.density
            families[family] = Estimate(fragments, low, high, row.effective_length).scaled(unit)
        estimate = pathway_estimate(self.served_steps(), families)
        return widened(estimate, *depth_bounds(equivalents))

    def _named_share(self) -> float:
        """Share of the sample's fragments that name a genus; 1 where there are none."""
        rows = self.evidence.families.values()
        whole = sum(taxa[COMMUNITY].fragments for taxa in rows)
        unnamed = sum(taxa[UNASSIGNED].fragments for taxa in rows if UNASSIGNED in taxa)
        return (whole - unnamed) / whole if whole > unnamed else 1.0

    def detection_limit(self) -> float:
        """Copies per genome at which any set of markers would be detected in 95 % of samples.

        What the sample holds of a marker beyond the copies of the scarcest diagnostic one comes
        from elsewhere and does not have to be found again. Where one genus must hold the markers,
        nothing comes from elsewhere, and only fragments that name a genus count.
        """
        if not self.marker_sets or math.isnan(self.evidence.equivalents.density):
            return math.nan
        in_one_genus = self.pathway.evidence_scope == "taxon"
        share = self._named_share() if in_one_genus else 1.0
        limits = []
        for group in self.marker_sets:
            copies = math.inf if in_one_genus else self._scarcest_marker(group)
            # One fragment beside an abundant marker is no evidence, so what comes from elsewhere
            # leaves the pool, and the minimum is asked of the others.
            pooled = [
                f
                for f in group
                if self.shallow and f in self.diagnostic and self._fragments_beyond(f, copies) < 1
            ]
            pooled = pooled if len(pooled) > 1 else []
            alone = [f for f in group if f not in pooled]
            limits.append(
                detection_limit(
                    [share * self.evidence.community(f).effective_length for f in alone],
                    self.evidence.equivalents,
                    self.rule.minimum_fragments,
                    [share * self.evidence.community(f).effective_length for f in pooled],
                    [self._fragments_beyond(f, copies) for f in alone],
                )
            )
        return max(limits)

    def _scarcest_marker(self, group: Sequence[str]) -> float:
        """Copies of the scarcest diagnostic family of a set of markers; of any, if none is."""
        own = [family for family in group if family in self.diagnostic]
        return min(self.evidence.community(family).copies for family in own or group)

    def _fragments_beyond(self, family: str, copies: float) -> float:
        """Fragments of a family that are more than some copies per genome have."""
        row = self.evidence.community(family)
        own = copies * row.effective_length * self.evidence.equivalents.density
        return max(row.fragments - own, 0.0)


def score_pathway(
    pathway: Pathway,
    evidence: SampleEvidence,
    catalogue: Catalogue,
    rule: ScoringRule,
    lineages: Mapping[str, frozenset[str]],
) -> list[PathwayScore]:
    """Score a pathway in the community, then in every genus that holds a diagnostic family.

    Returns
    -------
    list of PathwayScore
        Community first, then taxa by name. The copies of the taxa add up to the community's.

    Parameters
    ----------
    lineages
        Names of all ranks above each genus of the reference.
    """
    vetoed = frozenset(
        taxon
        for family in diagnostic_families(pathway)
        for taxon in evidence.families.get(family, {})
        if pathway.is_vetoed(lineages.get(taxon, frozenset()) | {taxon})
    )
    found = Examination(pathway, without_taxa(evidence, vetoed), rule)
    taxa = found.genera()
    carriers = [taxon for taxon in taxa if taxon != UNASSIGNED and found.holds_route(taxon)]
    call, reason = decide_call(found, carriers)
    if call in {ABSENT, BELOW} and Examination(pathway, evidence, rule).markers(COMMUNITY):
        call = INDETERMINATE
        reason = f"markers only in {', '.join(sorted(vetoed))}: never called there"

    value = low = high = math.nan
    parts: dict[str, float] = dict.fromkeys(taxa, math.nan)
    if found.marker_sets and not math.isnan(evidence.equivalents.density):
        whole = found.copies()
        if pathway.evidence_scope == "taxon":
            whole = found.copies(carriers) if carriers else Estimate(0.0, 0.0, whole.high)
            shares = taxon_shares(pathway, found.evidence, [*carriers, UNASSIGNED])
            named = sum(share for taxon, share in shares.items() if taxon != UNASSIGNED)
            shares = {t: share / named for t, share in shares.items() if t in carriers and named}
            shares |= {taxon: 0.0 for taxon in taxa if taxon not in shares}
        else:
            shares = taxon_shares(pathway, found.evidence, taxa)
            taxa = sorted(shares)
        value, low, high = whole.value, whole.low, whole.high
        parts = {taxon: value * share for taxon, share in shares.items()}
    if call in {ABSENT, BELOW} and value > 0:
        # Genes of a route whose markers are not there are not copies of it.
        value = low = 0.0
        parts = dict.fromkeys(parts, 0.0)
    if call == PRESENT and value == 0:
        call, reason = INDETERMINATE, f"steps not seen: {', '.join(found.missing_steps(COMMUNITY))}"

    tier = pathway_tier(pathway, catalogue)
    rows = [(COMMUNITY, value, low, high, call, reason, found.detection_limit())]
    for taxon in taxa:
        if taxon in carriers:
            own_call, why = PRESENT, ""
        else:
            own_call = INDETERMINATE
            gaps = found.missing_steps(taxon)
            why = (
                "no genus agreed on"
                if taxon == UNASSIGNED
                else f"not detected: {', '.join(gaps) or 'markers'}"
            )
        rows.append((taxon, parts[taxon], math.nan, math.nan, own_call, why, math.nan))
    return [
        PathwayScore(
            pathway=pathway.id,
            taxon=taxon,
            product=pathway.product,
            copies=copies,
            ci_low=ci_low,
            ci_high=ci_high,
            completeness=found.completeness(taxon),
            call=taxon_call,
            tier=tier,
            missing_steps=found.missing_steps(taxon),
            fragments=sum((row.fragments for row in found.marker_rows(taxon)), 0.0),
            positions=sum(row.positions for row in found.marker_rows(taxon)),
            detection_limit=limit,
            reason=taxon_reason,
        )
        for taxon, copies, ci_low, ci_high, taxon_call, taxon_reason, limit in rows
    ]


def decide_call(found: Examination, carriers: Sequence[str]) -> tuple[str, str]:
    """Call of a pathway in the community, and why it is not plainly present.

    Parameters
    ----------
    found
        What was found.
    carriers
        Genera that hold the route by themselves.
    """
    pathway = found.pathway
    unserved = found.unserved_families()
    lacking = f"the reference holds no {', '.join(unserved)}" if unserved else ""
    missing = found.missing_steps(COMMUNITY)
    if not found.marker_sets:
        return INDETERMINATE, lacking
    if not found.markers(COMMUNITY):
        limit = found.detection_limit()
        deep = not math.isnan(limit) and limit <= found.rule.detectable_copies
        reason = "; ".join(filter(None, [found.missing_markers(), lacking]))
        return (ABSENT if deep else BELOW), reason
    if found.lacks_diagnostic(COMMUNITY):
        lost = ", ".join(found.lacks_diagnostic(COMMUNITY))
        return INDETERMINATE, f"diagnostic steps not detected: {lost}"
    if found.completeness(COMMUNITY) < pathway.min_completeness:
        reason = f"steps not detected: {', '.join(missing)}"
        return INDETERMINATE, "; ".join(filter(None, [reason, lacking]))
    if pathway.evidence_scope == "taxon" and not carriers:
        return INDETERMINATE, "no one genus holds all markers and enough steps"
    if pathway.evidence_scope == "taxon_preferred" and not carriers:
        return PRESENT, "pooled evidence: no one genus holds all markers and enough steps"
    return PRESENT, ""


def taxon_shares(
    pathway: Pathway, evidence: SampleEvidence, taxa: Iterable[str]
) -> dict[str, float]:
    """Share of each genus in the diagnostic steps of a pathway, ``unassigned`` included.

    A genus has its smallest share over the diagnostic steps and their subunits: one that holds
    the mutase but not the decarboxylase carries no part of the route. What no genus has in all
    steps is ``unassigned``. The shares add up to 1, or are all 0 where nothing was found.

    Parameters
    ----------
    taxa
        Genera; ``unassigned`` among them is what is left.
    """

    def density(family: str) -> float:
        row = evidence.community(family)
        return row.fragments / row.effective_length

    families: list[str] = []
    has_diagnostic = any(step.diagnostic for step in pathway.steps)
    for step in pathway.steps:
        groups = [g for g in step.alternatives if evidence.families.keys() >= set(g)]
        if (step.diagnostic if has_diagnostic else step.required) and groups:
            families += max(groups, key=lambda group: min(map(density, group)))
    wholes = {family: evidence.community(family).fragments for family in families}
    shares: dict[str, float] = {}
    for taxon in taxa:
        if taxon != UNASSIGNED:
            parts = [
                evidence.families[family][taxon].fragments / whole
                if whole and taxon in evidence.families[family]
                else 0.0
                for family, whole in wholes.items()
            ]
            shares[taxon] = min(parts, default=0.0)
    if any(wholes.values()):
        shares[UNASSIGNED] = max(1.0 - sum(shares.values()), 0.0)
    return shares


def score_sample(
    evidence: SampleEvidence,
    catalogue: Catalogue,
    rule: ScoringRule,
    lineages: Mapping[str, frozenset[str]],
) -> list[PathwayScore]:
    """Scores of all reported pathways of the catalogue, sorted by pathway.

    Parameters
    ----------
    evidence
        Families of the sample.
    lineages
        Names of all ranks above each genus of the reference.
    """
    scores: list[PathwayScore] = []
    for name in sorted(catalogue.pathways):
        pathway = catalogue.pathways[name]
        if pathway.reported:
            scores += score_pathway(pathway, evidence, catalogue, rule, lineages)
    return scores


@dataclass(frozen=True, slots=True)
class ProductScore:
    """Routes to one product, added up.

    Attributes
    ----------
    copies, ci_low, ci_high
        Sums over the routes that are called present, and of their bounds. Where none is, the
        copies are 0 and the bounds NaN: what the depth leaves open is said route by route.
    routes
        Ids of the routes that are called present.
    """

    product: str
    copies: float
    ci_low: float
    ci_high: float
    routes: tuple[str, ...]


def score_products(scores: Sequence[PathwayScore], catalogue: Catalogue) -> list[ProductScore]:
    """Sum of the present routes that form each product, sorted by product.

    Routes that use a product, or turn it both ways, are not part of the sum.
    """
    products = []
    scores = [s for s in scores if catalogue.pathways[s.pathway].direction == "formation"]
    for product in sorted({score.product for score in scores}):
        present = [
            score
            for score in scores
            if (score.product, score.taxon, score.call) == (product, COMMUNITY, PRESENT)
        ]
        products.append(
            ProductScore(
                product,
                sum((score.copies for score in present), 0.0),
                sum(score.ci_low for score in present) if present else math.nan,
                sum(score.ci_high for score in present) if present else math.nan,
                tuple(score.pathway for score in present),
            )
        )
    return products
