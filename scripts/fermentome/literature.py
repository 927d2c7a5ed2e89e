"""What studies saw of diets, and organisms of clinical caution: two curated tables and their rules.

`workflow/resources/diet_evidence.yaml` holds findings of studies, one line per outcome;
`workflow/resources/caution_organisms.yaml` what reads of an organism cannot say. The head of each
file says what its fields mean. No grade is written by hand: `grade` computes it from the findings,
and conflicts, which are written out so that nobody shows a finding without the contrary ones, are
derived anew by `check_diet`.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from fermentome.errors import LiteratureError

DIET, CAUTION = "diet_evidence", "caution_organisms"
COMPARING = frozenset(
    {"meta_analysis", "systematic_review", "crossover", "parallel", "controlled_other"}
)
"""Designs with something to compare with; the others cannot support or contradict."""
PRODUCT_ROUTES: Mapping[str, Sequence[str]] = {
    "butyrate": ("BUT_ACOA_BUT", "BUT_ACOA_BUK"),
    "propionate": ("PROP_SUCC_DEC", "PROP_SUCC_TC", "PROP_ACRYLATE", "PROP_PDU"),
    "acetate": ("ACE_BIFID", "ACE_WL"),
}
"""Routes from sugars that end in an acid; amino acids are not what a fibre feeds."""
CHANGED = "changed"
"""A change whose direction was not seen: on no side."""
_ADVICE = re.compile(
    r"\b(recommend\w*|advis\w*|should|best|superior|improv\w*|benefi\w*|healthier|predict\w*|"
    r"must (eat|take)|dangerous bacteria|dysbiosis)\b",
    re.IGNORECASE,
)
"""The tables report; they neither advise nor praise nor predict."""

Entry = Mapping[str, Any]
AnyPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """What findings are about: a substrate, an outcome, and the taxon if it is one's abundance."""

    substrate: str
    measure: str
    taxon: str


@dataclass(frozen=True, slots=True)
class Grade:
    """How much and how concordant the evidence of a claim is in the table.

    Attributes
    ----------
    word
        ``consistent``, ``limited``, ``conflicting``, ``none_shown``, ``open``, ``uncontrolled`` or
        ``in_vitro``; the head of the table says when.
    direction
        ``up``, ``down``, ``none``, or empty.
    support, contrary
        Numbers of studies.
    """

    word: str
    direction: str
    support: int
    contrary: int


def read_literature(path: AnyPath, schema: AnyPath) -> dict[str, Any]:
    """Read one of the tables.

    Raises
    ------
    LiteratureError
        If it is not YAML or breaks its schema, with every place.
    """
    try:
        table = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        form = yaml.safe_load(Path(schema).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LiteratureError(f"{path}: cannot be read as YAML: {error}") from error
    faults = [
        f"{path}: {'/'.join(map(str, error.absolute_path)) or 'the file'}: {error.message:.200}"
        for error in Draft202012Validator(form).iter_errors(table)
    ]
    if faults:
        raise LiteratureError("\n".join(faults))
    return dict(table)


def claims_of(diet: Entry) -> dict[Claim, list[Entry]]:
    """Findings by claim, sorted."""
    claims: dict[Claim, list[Entry]] = defaultdict(list)
    for finding in diet["findings"]:
        claims[_claim(finding)].append(finding)
    return dict(sorted(claims.items()))


def _claim(finding: Entry) -> Claim:
    return Claim(finding["substrate"], finding["measure"], finding.get("taxon") or "")


def conflicts_of(finding: Entry, others: Iterable[Entry]) -> list[str]:
    """Findings of other studies on the same claim with another direction, by id."""
    return sorted(
        other["id"]
        for other in others
        if other["study"] != finding["study"]
        and other["direction"] != finding["direction"]
        and CHANGED not in (other["direction"], finding["direction"])
    )


def grade(findings: Sequence[Entry], diet: Entry) -> Grade:
    """Grade of one claim.

    The rule is lopsided: support must compare, be randomised and have been checked; what compares
    and differs is contrary, randomised and checked or not. Studies with the same people count once.

    Parameters
    ----------
    findings
        Of the claim.
    diet
        The table, for its studies and the limits of the rule.
    """
    studies = {study["id"]: study for study in diet["studies"]}
    compared = _compared(findings, studies)
    if not compared:
        designs = {studies[finding["study"]]["design"] for finding in findings}
        if designs & COMPARING:
            return Grade("open", "", 0, 0)
        return Grade("uncontrolled" if "single_arm" in designs else "in_vitro", "", 0, 0)
    counts = {
        way: (
            sum(direction == way and solid for direction, solid in compared),
            sum(direction != way for direction, _ in compared),
        )
        for way in ("up", "down")
    }
    way = max(counts, key=lambda name: counts[name][0])
    support, contrary = counts[way]
    if support:
        rule = diet["grading"]
        if contrary / (support + contrary) > rule["contrary_at_most"]:
            return Grade("conflicting", way, support, contrary)
        enough = support >= rule["consistent_at_least"]
        return Grade("consistent" if enough else "limited", way, support, contrary)
    nothing = sum(direction == "none" and solid for direction, solid in compared)
    if nothing and {direction for direction, _ in compared} == {"none"}:
        return Grade("none_shown", "none", nothing, 0)
    return Grade("open", "", 0, 0)


def _compared(findings: Sequence[Entry], studies: Mapping[str, Entry]) -> list[tuple[str, bool]]:
    """Direction of each group of people that was compared, and whether it may support."""
    people: dict[str, list[Entry]] = defaultdict(list)
    for finding in findings:
        if finding["direction"] != CHANGED:
            study = studies[finding["study"]]
            people[study.get("same_people_as", study["id"])].append(finding)
    compared = []
    for group in people.values():
        study = studies[group[0]["study"]]
        if study["design"] not in COMPARING:
            continue
        directions = {finding["direction"] for finding in group}
        direction = directions.pop() if len(directions) == 1 else "mixed"
        solid = study["randomised"] is True and all(finding["checked"] for finding in group)
        compared.append((direction, solid))
    return compared


# Rules beyond the form ---------------------------------------------------------------------------


def check_diet(diet: Entry, reported: Collection[str]) -> list[str]:
    """Faults of the table of diets that its schema does not show.

    Parameters
    ----------
    reported
        Routes of the catalogue that are reported.
    """
    studies = {item["id"]: item for item in diet["studies"]}
    faults = [
        *_repeated(diet),
        *_unknown(diet),
        *(fault for finding in diet["findings"] for fault in _route_faults(finding, diet)),
        *_conflict_faults(diet),
        *_advice(DIET, diet),
    ]
    for item in [*diet["taxa"], *diet["findings"]]:
        for route in sorted(set(item["routes"]) - set(reported)):
            faults.append(f"{item.get('id', item.get('name'))}: {route} is no reported route")
    for item in diet["taxa"]:
        if item["routes"] and item["routes_from"] == "none":
            faults.append(f"{item['name']}: routes without saying from where")
    for study in diet["studies"]:
        other = study.get("same_people_as")
        if other is not None and "same_people_as" in studies.get(other, {"same_people_as": ""}):
            faults.append(f"{study['id']}: same_people_as {other} is no study that stands alone")
    for finding in diet["findings"]:
        design = studies.get(finding["study"], {}).get("design")
        if "dose" in finding and design == "in_vitro":
            faults.append(f"{finding['id']}: a dose, but the study is in vitro")
    return faults


def _twice(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _repeated(diet: Entry) -> list[str]:
    named = {
        "substrate": [item["id"] for item in diet["substrates"]],
        "taxon": [name for item in diet["taxa"] for name in [item["name"], *item["aliases"]]],
        "study": [item["id"] for item in diet["studies"]],
        "source": [item["source"].lower() for item in diet["studies"]],
        "finding": [item["id"] for item in diet["findings"]],
    }
    return [
        f"{what} {name} stands there twice"
        for what, names in named.items()
        for name in _twice(names)
    ]


def _unknown(diet: Entry) -> list[str]:
    known = {
        "study": {item["id"] for item in diet["studies"]},
        "substrate": {item["id"] for item in diet["substrates"]},
        "taxon": {item["name"] for item in diet["taxa"]},
    }
    used: dict[str, set[str]] = defaultdict(set)
    faults = []
    for finding in diet["findings"]:
        for what, names in known.items():
            value = finding.get(what)
            if value is not None:
                used[what].add(value)
                if value not in names:
                    faults.append(f"{finding['id']}: unknown {what} {value}")
        if not finding["id"].startswith(finding["study"] + "-"):
            faults.append(f"{finding['id']}: the id is not that of its study {finding['study']}")
    for what, names in known.items():
        faults += [f"{what} {name} has no finding" for name in sorted(names - used[what])]
    return faults


def _route_faults(finding: Entry, diet: Entry) -> list[str]:
    taxa = {item["name"]: item for item in diet["taxa"]}
    acids = [acid for acid in PRODUCT_ROUTES if acid in finding["measure"]]
    expected: Sequence[str] = {
        "taxon": taxa.get(finding.get("taxon", ""), {}).get("routes", []),
        "product": PRODUCT_ROUTES[acids[0]] if acids else [],
        "named": finding["routes"],
    }.get(finding["routes_from"], [])
    says_none = finding["routes_from"] == "none"
    if list(finding["routes"]) != list(expected) or bool(expected) == says_none:
        return [f"{finding['id']}: routes {finding['routes']}, expected {list(expected)}"]
    return []


def _conflict_faults(diet: Entry) -> list[str]:
    claims = claims_of(diet)
    faults = []
    for finding in diet["findings"]:
        wanted = conflicts_of(finding, claims[_claim(finding)])
        if finding["conflicts"] != wanted:
            faults.append(f"{finding['id']}: conflicts {finding['conflicts']}, expected {wanted}")
    return faults


def check_caution(caution: Entry) -> list[str]:
    """Faults of the list of organisms that its schema does not show."""
    organisms = caution["organisms"]
    names = [n for o in organisms for n in [o["name"], *o.get("aliases", []), *o.get("also", [])]]
    faults = [f"name {name} stands there twice" for name in _twice(names)]
    if [o["name"] for o in organisms] != sorted(o["name"] for o in organisms):
        faults.append("organisms are not sorted by name")
    used = {key for organism in organisms for key in organism["cannot_say"]}
    faults += [f"limit {key} is not used" for key in sorted(set(caution["limits"]) - used)]
    for organism in organisms:
        name, limits = organism["name"], set(organism["cannot_say"])
        faults += [
            f"{name}: unknown limit {key}" for key in sorted(limits - set(caution["limits"]))
        ]
        if organism.get("who_list") is not None and organism["who_list"] not in caution["lists"]:
            faults.append(f"{name}: unknown list {organism['who_list']}")
        if "toxin" in organism["kind"] and not limits & {
            "toxin_gene_not_tested",
            "look_alike_species",
        }:
            faults.append(f"{name}: kind toxin, but nothing said of the gene")
        if "carriage_or_disease" not in limits:
            faults.append(f"{name}: reads do not tell carriage from disease, which is not said")
    return [*faults, *_advice(CAUTION, caution)]


def _texts(node: object) -> Iterable[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for child in node.values():
            yield from _texts(child)
    elif isinstance(node, list):
        for child in node:
            yield from _texts(child)


def _advice(name: str, table: Entry) -> list[str]:
    return [
        f"{name}: advice or praise: {text[:120]}"
        for text in _texts(table)
        # A title is what its authors called it.
        if not text.startswith("ref:") and _ADVICE.search(text)
    ]
