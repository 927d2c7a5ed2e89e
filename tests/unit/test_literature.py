"""The tables of diets and of organisms of caution keep their rules; grades follow from findings."""

import copy

import pytest
import yaml

from fermentome.defaults import WORKFLOW
from fermentome.errors import LiteratureError
from fermentome.literature import (
    CAUTION,
    DIET,
    Claim,
    check_caution,
    check_diet,
    claims_of,
    grade,
    read_literature,
)

RESOURCES, SCHEMAS = WORKFLOW / "resources", WORKFLOW / "schemas"


def table(name):
    return read_literature(RESOURCES / f"{name}.yaml", SCHEMAS / f"{name}.schema.yaml")


DIET_TABLE, CAUTION_TABLE = table(DIET), table(CAUTION)
REPORTED = {
    route["id"]
    for route in yaml.safe_load((RESOURCES / "pathways.yaml").read_text("utf-8"))["pathways"]
    if route["reported"]
}


def study(name, design="crossover", randomised=True, **more):
    return {"id": name, "design": design, "randomised": randomised, **more}


def finding(study_name, direction, number=1, checked=True):
    return {
        "id": f"{study_name}-{number}", "study": study_name, "substrate": "inulin",
        "measure": "taxon", "taxon": "Bifidobacterium", "direction": direction, "checked": checked,
    }  # fmt: skip


def graded(*pairs):
    """Grade of one claim from (study, direction) pairs, by the limits of the real table."""
    studies = {one["id"]: one for one, _ in pairs}
    findings = [finding(one["id"], way, i) for i, (one, way) in enumerate(pairs)]
    diet = {"studies": list(studies.values()), "grading": {
        "consistent_at_least": 3, "contrary_at_most": 0.25,
    }}  # fmt: skip
    found = grade(findings, diet)
    return found.word, found.direction, found.support, found.contrary


def test_the_tables_keep_their_rules():
    assert check_diet(DIET_TABLE, REPORTED) == []
    assert check_caution(CAUTION_TABLE) == []


def test_three_concordant_trials_are_consistent_and_two_limited():
    trials = [(study(f"s{i}"), "up") for i in range(3)]
    assert graded(*trials) == ("consistent", "up", 3, 0)
    assert graded(*trials[:2]) == ("limited", "up", 2, 0)


def test_one_contrary_of_four_is_borne_and_one_of_three_is_a_conflict():
    trials = [(study(f"s{i}"), "up") for i in range(3)]
    assert graded(*trials, (study("t"), "none")) == ("consistent", "up", 3, 1)
    assert graded(*trials[:2], (study("t"), "none")) == ("conflicting", "up", 2, 1)


def test_what_was_not_randomised_contradicts_and_does_not_support():
    open_label = study("t", randomised=False)
    assert graded((open_label, "up"))[0] == "open"
    assert graded((study("s"), "up"), (open_label, "down"))[0] == "conflicting"


def test_what_rests_on_memory_contradicts_and_does_not_support():
    diet = {
        "studies": [study("s"), study("t")],
        "grading": {"consistent_at_least": 3, "contrary_at_most": 0.25},
    }
    assert grade([finding("s", "up", checked=False)], diet).word == "open"
    both = [finding("s", "up"), finding("t", "none", checked=False)]
    assert grade(both, diet).word == "conflicting"


def test_the_same_people_count_once():
    again = study("s2", same_people_as="s1")
    assert graded((study("s1"), "up"), (again, "up")) == ("limited", "up", 1, 0)
    # Two papers on the same people that disagree are mixed: on no side.
    assert graded((study("s1"), "up"), (again, "down"))[0] == "open"


@pytest.mark.parametrize(
    ("design", "word"), [("single_arm", "uncontrolled"), ("in_vitro", "in_vitro")]
)
def test_without_a_comparison_nothing_is_shown(design, word):
    assert graded((study("s", design), "up"))[0] == word


def test_no_difference_is_shown_only_where_nobody_saw_one():
    assert graded((study("s"), "none"), (study("t"), "none")) == ("none_shown", "none", 2, 0)
    assert graded((study("s"), "none"), (study("t"), "mixed"))[0] == "open"


def test_every_claim_of_the_table_has_a_grade_and_contrary_findings_are_named_on_both_sides():
    by_id = {one["id"]: one for one in DIET_TABLE["findings"]}
    for claim, findings in claims_of(DIET_TABLE).items():
        assert isinstance(claim, Claim)
        assert grade(findings, DIET_TABLE).word
    for one in DIET_TABLE["findings"]:
        for other in one["conflicts"]:
            assert one["id"] in by_id[other]["conflicts"]


def conflict_dropped(diet):
    next(one for one in diet["findings"] if one["conflicts"])["conflicts"].pop()


def direction_flipped(diet):
    one = next(one for one in diet["findings"] if one["conflicts"])
    one["direction"] = "down" if one["direction"] == "up" else "up"


def finding_removed(diet):
    diet["findings"].remove(next(one for one in diet["findings"] if one["conflicts"]))


def route_unknown(diet):
    next(one for one in diet["taxa"] if one["routes"])["routes"][0] = "BUT_MAGIC"


def study_unknown(diet):
    diet["findings"][0]["study"] = "nobody1999"


def advice_given(diet):
    diet["substrates"][0]["description"] = "the best fibre"


def alias_twice(diet):
    diet["taxa"][0]["aliases"] = [diet["taxa"][1]["name"]]


@pytest.mark.parametrize(
    "change",
    [conflict_dropped, direction_flipped, finding_removed, route_unknown, study_unknown,
     advice_given, alias_twice],
)  # fmt: skip
def test_a_slip_in_the_table_of_diets_is_found(change):
    diet = copy.deepcopy(DIET_TABLE)
    change(diet)
    assert check_diet(diet, REPORTED)


def test_a_slip_in_the_list_of_organisms_is_found():
    for key, value in (("cannot_say", ["nothing"]), ("who_list", "none_such"), ("aliases", ["x"])):
        caution = copy.deepcopy(CAUTION_TABLE)
        caution["organisms"][0][key] = value
        if key == "aliases":
            caution["organisms"][1][key] = value
        assert check_caution(caution), key


def test_a_key_that_the_schema_does_not_know_is_named_with_its_place(tmp_path):
    diet = copy.deepcopy(DIET_TABLE)
    diet["studies"][3]["rating"] = 5
    path = tmp_path / "diet.yaml"
    path.write_text(yaml.safe_dump(diet), encoding="utf-8")
    with pytest.raises(LiteratureError, match=r"studies/3: .*'rating' was unexpected"):
        read_literature(path, SCHEMAS / f"{DIET}.schema.yaml")


def test_what_is_no_yaml_is_told(tmp_path):
    path = tmp_path / "diet.yaml"
    path.write_text("a: [", encoding="utf-8")
    with pytest.raises(LiteratureError, match=r"diet\.yaml: cannot be read as YAML"):
        read_literature(path, SCHEMAS / f"{DIET}.schema.yaml")
