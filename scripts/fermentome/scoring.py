"""Score pathways from the evidence of their families.

What is scored is genetic potential: the genes are there, in so many copies per genome. No
rule here says that the product is made.

Definitions, for a pathway in one sample (families in copies per genome equivalent):

- complex = minimum over its subunits; step = maximum over its alternatives, so that isozymes
  are not added up;
- pathway copies = min(harmonic mean over required steps, geometric mean over diagnostic
  steps). A missing diagnostic step is never filled in: a pathway called from shared steps
  alone is the error that the catalogue exists to prevent;
- where the scope is ``taxon``, the copies are the sum over the genera that hold the route, each
  scored alone; genes scattered over other genera are not copies of the route;
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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from fermentome.assign import UNASSIGNED
from fermentome.catalogue import Catalogue, Pathway, Step
from fermentome.evidence import COMMUNITY, FamilyEvidence, SampleEvidence
from fermentome.normalise import CONFIDENCE, detection_limit

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
    fragments
        Fragments of the marker families.
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
    detection_limit: float
    reason: str


def step_value(step: Step, copies: Mapping[str, float]) -> float:
    """Copies of a step: the most abundant alternative, limited by its scarcest subunit."""
    return max(min(copies.get(family, 0.0) for family in group) for group in step.alternatives)


def pathway_value(steps: Sequence[Step], copies: Mapping[str, float]) -> float:
    """Copies of a pathway; 0 if a diagnostic step or more than one required step is missing.

    One missing required step that is not diagnostic takes the value of the lowest required
    step that was seen: at low depth a short gene is missed by chance. A diagnostic step is
    never filled in.

    Parameters
    ----------
    steps
        Of the pathway; steps that the reference cannot show are left out by the caller.
    copies
        Copies per genome equivalent by family.
    """
    required = {step.id: step_value(step, copies) for step in steps if step.required}
    diagnostic = {step.id: step_value(step, copies) for step in steps if step.diagnostic}
    if not all(diagnostic.values()):
        return 0.0
    seen = [value for value in required.values() if value]
    if len(required) - len(seen) > 1 or (required and not seen):
        return 0.0
    values = seen + [min(seen)] * (len(required) - len(seen)) if seen else []
    bounds = []
    if values:
        bounds.append(len(values) / sum(1 / value for value in values))
    if diagnostic:
        bounds.append(math.prod(diagnostic.values()) ** (1 / len(diagnostic)))
    return min(bounds)


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
    """All families that stand in a diagnostic step."""
    return frozenset(
        family
        for step in pathway.steps
        if step.diagnostic
        for group in step.alternatives
        for family in group
    )


def is_detected(
    rows: Sequence[FamilyEvidence | None],
    diagnostic: Sequence[bool],
    rule: ScoringRule,
    shallow: bool,
) -> bool:
    """Whether families that are evidence together are all detected.

    Each needs the minimum of fragments and of positions. In a shallow sample they are taken
    together, because the routes with the most markers would be lost first: each by at least one
    fragment, the k diagnostic ones by k times the minimum, and one that is below the minimum
    must be so by chance at the depth of the other diagnostic ones (Poisson, 5 %). One stray
    fragment beside an abundant marker is thus no evidence.

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
        and sum(row.fragments for row in pooled) >= rule.minimum_fragments * len(pooled)
        and sum(row.positions for row in pooled) >= rule.minimum_positions * len(pooled)
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


class Examination:
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
        self.pathway = pathway
        self.evidence = evidence
        self.rule = rule
        self.known = evidence.families.keys()
        self.diagnostic = diagnostic_families(pathway)
        self.marker_sets = [g for g in pathway.required_markers if self.known >= set(g)]
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

    def fragments(self, taxon: str) -> float:
        """Fragments of the marker families in a taxon."""
        rows = (
            self.evidence.families.get(family, {}).get(taxon)
            for family in marker_families(self.pathway)
        )
        return sum((row.fragments for row in rows if row), 0.0)

    def copies(self, taxon: str) -> tuple[float, float, float]:
        """Copies of the pathway in a taxon, with an interval.

        The value grows with each family, so the values at the families' lower and at their
        upper bounds enclose it. This is wider than needed where many families take part.
        """
        rows = {
            family: taxa[taxon] for family, taxa in self.evidence.families.items() if taxon in taxa
        }
        steps = self.served_steps()
        value = pathway_value(steps, {family: row.copies for family, row in rows.items()})
        if value:  # a step that is filled in is so in the bounds as well
            rows = {family: row for family, row in rows.items() if row.fragments}
        low = pathway_value(steps, {family: row.ci_low for family, row in rows.items()})
        high = pathway_value(steps, {family: row.ci_high for family, row in rows.items()})
        return value, low, high

    def detection_limit(self) -> float:
        """Copies per genome at which any set of markers would be detected in 95 % of samples."""
        limits = []
        for group in self.marker_sets:
            lengths = {f: self.evidence.community(f).effective_length for f in group}
            pooled = [f for f in group if f in self.diagnostic] if self.shallow else []
            limits.append(
                detection_limit(
                    [length for family, length in lengths.items() if family not in pooled],
                    self.evidence.equivalents,
                    self.rule.minimum_fragments,
                    [lengths[family] for family in pooled],
                )
            )
        return max(limits, default=math.nan)


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
        value, low, high = found.copies(COMMUNITY)
        if pathway.evidence_scope == "taxon":
            own = {taxon: found.copies(taxon) for taxon in carriers}
            parts = {taxon: own[taxon][0] if taxon in own else 0.0 for taxon in taxa}
            value = sum(parts.values(), 0.0)
            low = sum((copies[1] for copies in own.values()), 0.0)
            high = max(high, value)
        else:
            shares = taxon_shares(pathway, found.evidence, taxa)
            parts = {taxon: value * share for taxon, share in shares.items()}
            taxa = sorted(parts)
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
            fragments=found.fragments(taxon),
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
    for step in pathway.steps:
        groups = [g for g in step.alternatives if evidence.families.keys() >= set(g)]
        if step.diagnostic and groups:
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


def score_products(scores: Sequence[PathwayScore]) -> list[ProductScore]:
    """Sum of the present routes to each product, sorted by product."""
    products = []
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


def organism_evidence(
    scores: Sequence[PathwayScore], genera: frozenset[str] | None
) -> dict[tuple[str, str], str]:
    """Whether the taxonomic profile, made without the protein reference, sees the carriers.

    Parameters
    ----------
    scores
        Of one sample.
    genera
        Genera of the taxonomic profile; None if no profile was made.

    Returns
    -------
    dict
        By (pathway, taxon): ``supported`` if the genus is in the profile (for the community:
        if genera that are hold at least half of the marker fragments that were given to one),
        ``unsupported`` if not, ``not_assessed`` without a profile or without a genus.
    """
    evidence = {}
    held: dict[str, list[float]] = {}
    for score in scores:
        if score.taxon in {COMMUNITY, UNASSIGNED} or genera is None:
            continue
        supported = score.taxon in genera
        evidence[score.pathway, score.taxon] = "supported" if supported else "unsupported"
        sums = held.setdefault(score.pathway, [0.0, 0.0])
        sums[0] += score.fragments * supported
        sums[1] += score.fragments
    for score in scores:
        key = score.pathway, score.taxon
        if score.taxon == COMMUNITY and held.get(score.pathway, [0.0, 0.0])[1]:
            inside, total = held[score.pathway]
            evidence[key] = "supported" if inside >= total / 2 else "unsupported"
        evidence.setdefault(key, "not_assessed")
    return evidence
