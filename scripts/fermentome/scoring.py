"""Score pathways from the evidence of their families.

What is scored is genetic potential: the genes are there, in so many copies per genome. No
rule here says that the product is made.

Definitions, for a pathway in one sample (families in copies per genome equivalent):

- complex = minimum over its subunits; step = maximum over its alternatives, so that isozymes
  are not added up;
- pathway copies = min(harmonic mean over required steps, geometric mean over diagnostic
  steps). A missing diagnostic step is never filled in: a pathway called from shared steps
  alone is the error that the catalogue exists to prevent;
- families are detected as `fermentome.evidence.DetectionRule` says, a set of markers together;
- a step is detected if one alternative has all its subunits detected, alone or as part of a
  detected set of markers; completeness = detected required steps / required steps;
- present: one set of markers detected, completeness reached, and the evidence lies where the
  pathway's scope demands it: anywhere (community), in one genus (taxon), or in one genus where
  that can be shown and else pooled, which the row says (taxon_preferred). indeterminate: markers
  detected, but not the rest. Without the markers: absent if the sample is deep enough to have
  shown them, else below_detection.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fermentome.assign import UNASSIGNED
from fermentome.catalogue import Catalogue, Pathway, Step
from fermentome.evidence import COMMUNITY, DetectionRule, SampleEvidence
from fermentome.normalise import CONFIDENCE, detection_limit, draw_copies

PRESENT, INDETERMINATE, ABSENT, BELOW = "present", "indeterminate", "absent", "below_detection"


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """Settings of the calls.

    Attributes
    ----------
    detection
        When a family counts as detected.
    detectable_copies
        A route is called absent only in a sample whose detection limit is at most this many
        copies per genome.
    draws, seed
        Of the interval of the pathway copies.
    """

    detection: DetectionRule
    detectable_copies: float
    draws: int
    seed: int


@dataclass(frozen=True, slots=True)
class PathwayScore:
    """One pathway in one taxon, or in the whole community; see the module for the terms.

    Attributes
    ----------
    missing_steps
        Required steps that were not detected.
    fragments
        Fragments of the marker families.
    detection_limit
        Copies per genome at which the best set of markers would be detected in 95 % of
        samples; NaN for a single taxon.
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


def detected_steps(
    steps: Iterable[Step], is_detected: Callable[[str], bool]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the steps that are detected, and of those that are not."""
    found: list[str] = []
    missing: list[str] = []
    for step in steps:
        hit = any(all(is_detected(family) for family in group) for group in step.alternatives)
        (found if hit else missing).append(step.id)
    return tuple(found), tuple(missing)


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


def is_vetoed(pathway: Pathway, genus: str, lineages: Mapping[str, frozenset[str]]) -> bool:
    """Whether a genus belongs to a lineage for which the pathway is never called.

    Parameters
    ----------
    genus
        Taxon of the evidence.
    lineages
        Names of all ranks above each genus.
    """
    return pathway.is_vetoed(lineages.get(genus, frozenset()) | {genus})


def score_pathway(
    pathway: Pathway,
    evidence: SampleEvidence,
    catalogue: Catalogue,
    rule: ScoringRule,
    lineages: Mapping[str, frozenset[str]],
    draws: Mapping[str, np.ndarray],
) -> list[PathwayScore]:
    """Score a pathway in the community, then in every taxon that carries a diagnostic family.

    The community's copies are split among taxa by `taxon_shares`, so that they add up to the
    community's, ``unassigned`` included.

    Returns
    -------
    list of PathwayScore
        Community first, then taxa by name.
    """
    known = frozenset(evidence.families)
    unserved = [family for family in marker_families(pathway) if family not in known]
    copies = {family: evidence.community(family).copies for family in known}
    served = any(known.issuperset(group) for group in pathway.required_markers)

    def are_detected(families: Sequence[str], taxon: str) -> bool:
        rows = [evidence.families.get(family, {}).get(taxon) for family in families]
        return rule.detection.is_met(rows)

    def markers_in(taxon: str) -> frozenset[str]:
        sets = [group for group in pathway.required_markers if are_detected(group, taxon)]
        return frozenset(family for group in sets for family in group)

    def has_markers(taxon: str) -> bool:
        return bool(markers_in(taxon))

    def detected_in(taxon: str) -> Callable[[str], bool]:
        markers = markers_in(taxon)

        def is_detected(family: str) -> bool:
            return family in markers or are_detected([family], taxon)

        return is_detected

    def completeness_in(taxon: str) -> tuple[float, tuple[str, ...]]:
        required = [step for step in pathway.steps if step.required]
        found, missing = detected_steps(required, detected_in(taxon))
        return len(found) / len(required), missing

    diagnostic = sorted(
        {
            family
            for step in pathway.steps
            if step.diagnostic
            for group in step.alternatives
            for family in group
            if family in known
        }
    )
    taxa = sorted(
        {
            taxon
            for family in diagnostic
            for taxon, row in evidence.families[family].items()
            if taxon != COMMUNITY and row.fragments
        }
    )
    named = [taxon for taxon in taxa if taxon != UNASSIGNED]
    carriers = [
        taxon
        for taxon in named
        if has_markers(taxon)
        and completeness_in(taxon)[0] >= pathway.min_completeness
        and not is_vetoed(pathway, taxon, lineages)
    ]

    limit = _detection_limit(pathway, evidence, rule)
    share, missing = completeness_in(COMMUNITY)
    call, reason = PRESENT, ""
    if not served:
        call, reason = INDETERMINATE, f"the reference holds no {', '.join(unserved)}"
    elif not has_markers(COMMUNITY):
        deep = not math.isnan(limit) and limit <= rule.detectable_copies
        call = ABSENT if deep else BELOW
        reason = "markers not detected"
    elif share < pathway.min_completeness:
        call, reason = INDETERMINATE, f"steps not detected: {', '.join(missing)}"
    elif pathway.evidence_scope == "taxon" and not carriers:
        call, reason = INDETERMINATE, "no one genus holds all markers and enough steps"
    elif named and all(is_vetoed(pathway, taxon, lineages) for taxon in named):
        call, reason = INDETERMINATE, "only in taxa for which the route is never called"
    elif pathway.evidence_scope == "taxon_preferred" and not carriers:
        reason = "pooled evidence: no one genus holds all markers and enough steps"

    value = low = high = math.nan
    if served and draws:
        steps = [s for s in pathway.steps if any(known.issuperset(g) for g in s.alternatives)]
        value = pathway_value(steps, copies)
        # A step that was not seen is filled in, if at all, in the draws as in the estimate.
        drawn = {f: values for f, values in draws.items() if copies[f] or not value}
        low, high = _interval(steps, drawn, value)
    tier = pathway_tier(pathway, catalogue)
    markers = [family for family in marker_families(pathway) if family in known]

    def fragments_in(taxon: str) -> float:
        rows = (evidence.families[family].get(taxon) for family in markers)
        return sum(row.fragments for row in rows if row)

    scores = [
        PathwayScore(
            pathway.id, COMMUNITY, pathway.product, value, low, high, share, call, tier,
            missing, fragments_in(COMMUNITY), limit, reason,
        )
    ]  # fmt: skip
    shares = taxon_shares(pathway, evidence, named)
    for taxon in taxa if UNASSIGNED in taxa or not shares[UNASSIGNED] else [*taxa, UNASSIGNED]:
        part = shares[taxon]
        within, gaps = completeness_in(taxon)
        own, why = PRESENT, ""
        if taxon == UNASSIGNED:
            own, why = INDETERMINATE, "no genus agreed on"
        elif is_vetoed(pathway, taxon, lineages):
            own, why = INDETERMINATE, "taxon for which the route is never called"
        elif taxon not in carriers:
            own, why = (
                INDETERMINATE,
                f"steps or markers not detected: {', '.join(gaps) or 'markers'}",
            )
        scores.append(
            PathwayScore(
                pathway.id, taxon, pathway.product, value * part, low * part, high * part,
                within, own, tier, gaps, fragments_in(taxon), math.nan, why,
            )
        )  # fmt: skip
    return scores


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
        Genera.
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
        parts = [
            evidence.families[family][taxon].fragments / whole
            if whole and taxon in evidence.families[family]
            else 0.0
            for family, whole in wholes.items()
        ]
        shares[taxon] = min(parts, default=0.0)
    found = any(wholes.values())
    shares[UNASSIGNED] = max(1.0 - sum(shares.values()), 0.0) if found else 0.0
    return shares


def _detection_limit(pathway: Pathway, evidence: SampleEvidence, rule: ScoringRule) -> float:
    limits = [
        detection_limit(
            [evidence.community(family).effective_length for family in group],
            evidence.equivalents,
            rule.detection.minimum_fragments,
        )
        for group in pathway.required_markers
        if all(family in evidence.families for family in group)
    ]
    return min(limits, default=math.nan)


def _interval(
    steps: Sequence[Step], draws: Mapping[str, np.ndarray], value: float
) -> tuple[float, float]:
    families = {f for step in steps for group in step.alternatives for f in group}
    used = sorted(families & draws.keys())
    count = len(next(iter(draws.values())))
    values = np.array(
        [pathway_value(steps, {f: float(draws[f][i]) for f in used}) for i in range(count)]
    )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    # The minimum over noisy steps is below the plug-in value on average.
    return (min(float(low), value) if value else 0.0), max(float(high), value)


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
    draws: Mapping[str, np.ndarray] = {}
    if not math.isnan(evidence.equivalents.density):
        draws = draw_copies(
            {family: evidence.community(family).fragments for family in evidence.families},
            {family: evidence.community(family).effective_length for family in evidence.families},
            evidence.equivalents,
            rule.draws,
            rule.seed,
        )
    scores: list[PathwayScore] = []
    for name in sorted(catalogue.pathways):
        pathway = catalogue.pathways[name]
        if pathway.reported:
            scores += score_pathway(pathway, evidence, catalogue, rule, lineages, draws)
    return scores


@dataclass(frozen=True, slots=True)
class ProductScore:
    """Routes to one product, added up.

    Attributes
    ----------
    copies, ci_low, ci_high
        Sums over the routes that are called present; 0 where none is. The sum of the bounds
        is an interval of at least 95 %: it is exact if the routes err together, and wider
        than needed if they err apart.
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
                sum((score.ci_low for score in present), 0.0),
                sum((score.ci_high for score in present), 0.0),
                tuple(score.pathway for score in present),
            )
        )
    return products


def organism_evidence(
    scores: Sequence[PathwayScore], genera: frozenset[str] | None
) -> dict[tuple[str, str], str]:
    """Whether the taxonomic profile, made from other reads of the genomes, sees the carriers.

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
        if genera that are hold at least half of the copies that could be given to a genus),
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
