import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_catalogue import make_catalogue, make_pathway, make_step

from fermentome.assign import UNASSIGNED, Assignment, FamilyTally
from fermentome.evidence import COMMUNITY, weigh_families
from fermentome.scoring import (
    ScoringRule,
    pathway_value,
    score_products,
    score_sample,
    step_value,
)

BUT = make_pathway(
    "BUT",
    (
        make_step("thl", ("thl",)),
        make_step("hbd", ("hbd",)),
        make_step("crt", ("crt",)),
        make_step("end", ("but",), diagnostic=True),
    ),
    (("but",),),
)
BUK = make_pathway(
    "BUK",
    (make_step("thl", ("thl",)), make_step("end", ("ptb", "buk"), diagnostic=True)),
    (("ptb", "buk"),),
    scope="taxon",
    veto=("Bacillales",),
)
RULE = ScoringRule(2, 2, 0.1)
LENGTHS = {
    "but": 400, "thl": 400, "hbd": 300, "crt": 260, "ptb": 300, "buk": 350, "decoy_x": 400,
    **{f"COG{n}": 200 for n in range(5)},
}  # fmt: skip


def tally(fragments, length):
    places = {("p", n) for n in range(int(fragments))}
    return FamilyTally(fragments, 0, 0, fragments * length, places)


def sample(counts, single_copy=200, pathways=(BUT,)):
    """Scores of a sample with fragments by (family, taxon)."""
    catalogue = make_catalogue(pathways)
    assignment = Assignment()
    for (family, taxon), number in counts.items():
        assignment.tallies[family, taxon] = tally(number, LENGTHS[family])
    for n in range(5):
        assignment.tallies[f"COG{n}", UNASSIGNED] = tally(single_copy, 200)
    evidence = weigh_families(assignment, LENGTHS, catalogue, 0, 100_000, 100)
    lineages = {"Bacillus": frozenset({"Bacteria", "Bacillales"})}
    return evidence, score_sample(evidence, catalogue, RULE, lineages)


def community(scores, pathway):
    return next(s for s in scores if (s.pathway, s.taxon) == (pathway, COMMUNITY))


FULL = {("but", "Roseburia"): 400, ("thl", "Roseburia"): 400, ("hbd", "Roseburia"): 300,
        ("crt", "Roseburia"): 260}  # fmt: skip


def test_step_is_the_best_alternative_limited_by_its_scarcest_subunit():
    step = make_step("end", ("but",), ("ptb", "buk"))
    assert step_value(step, {"but": 1.0, "ptb": 3.0, "buk": 2.0}) == 2.0
    assert step_value(step, {"but": 1.0, "ptb": 3.0}) == 1.0


def test_pathway_is_the_smaller_of_the_two_means():
    # Harmonic mean of 1, 1, 1, 4 is 4 / 3.25; the diagnostic step alone is 4.
    copies = {"thl": 1.0, "hbd": 1.0, "crt": 1.0, "but": 4.0}
    assert pathway_value(BUT.steps, copies) == pytest.approx(4 / 3.25)
    # With plenty of shared steps the diagnostic one bounds the value.
    assert pathway_value(BUT.steps, {"thl": 9.0, "hbd": 9.0, "crt": 9.0, "but": 0.1}) == 0.1


def test_missing_diagnostic_step_is_never_filled_in():
    assert pathway_value(BUT.steps, {"thl": 1.0, "hbd": 1.0, "crt": 1.0}) == 0


def test_one_missing_shared_step_takes_the_lowest_value_seen():
    copies = {"thl": 2.0, "hbd": 1.0, "but": 4.0}
    assert pathway_value(BUT.steps, copies) == pytest.approx(4 / (1 / 2 + 1 + 1 / 4 + 1))
    assert pathway_value(BUT.steps, {"thl": 2.0, "but": 4.0}) == 0


def test_complete_route_is_present_with_the_copies_put_in():
    evidence, scores = sample(FULL)
    score = community(scores, "BUT")
    assert (score.call, score.completeness, score.missing_steps) == ("present", 1.0, ())
    # Fragments were put in by protein length, those of single-copy families by twice that; the
    # ends of genes make the rest: (3 L + 1 - 0.2 r) per 3 L nucleotides.
    expected = evidence.community("but").copies
    assert score.copies == pytest.approx(expected, rel=0.1)
    assert score.ci_low < score.copies < score.ci_high
    assert score.tier == "A"


def test_interval_of_a_route_with_a_missing_shared_step_is_around_its_copies():
    counts = {key: n for key, n in FULL.items() if key[0] != "hbd"}
    score = community(sample(counts)[1], "BUT")
    assert score.missing_steps == ("hbd",)
    assert score.ci_low < 0.95 * score.copies < 1.05 * score.copies < score.ci_high


def test_shared_steps_without_the_diagnostic_one_are_absent():
    counts = {key: n for key, n in FULL.items() if key[0] != "but"}
    score = community(sample(counts, single_copy=5000)[1], "BUT")
    assert (score.call, score.copies) == ("absent", 0)
    assert score.detection_limit <= 0.1


def test_shallow_sample_is_below_detection_and_not_absent():
    score = community(sample({}, single_copy=10)[1], "BUT")
    assert score.call == "below_detection"
    assert score.detection_limit > 0.1
    assert score.copies == 0


def test_sample_without_single_copy_genes_has_no_copies():
    score = community(sample({("but", UNASSIGNED): 5}, single_copy=0)[1], "BUT")
    assert math.isnan(score.copies) and math.isnan(score.detection_limit)


def test_diagnostic_gene_without_the_core_is_indeterminate():
    score = community(sample({("but", "Anaerotignum"): 400})[1], "BUT")
    assert score.call == "indeterminate"
    assert score.missing_steps == ("thl", "hbd", "crt")


def test_one_fragment_is_no_detection():
    score = community(sample({**FULL, ("but", "Roseburia"): 1}, single_copy=5000)[1], "BUT")
    assert score.call == "absent"


def test_copies_of_one_molecule_are_no_detection():
    catalogue = make_catalogue((BUT,))
    assignment = Assignment()
    for (family, taxon), number in FULL.items():
        assignment.tallies[family, taxon] = tally(number, LENGTHS[family])
    assignment.tallies["but", "Roseburia"] = FamilyTally(400, 0, 0, 400 * 400, {("p", 1)})
    for n in range(5):
        assignment.tallies[f"COG{n}", UNASSIGNED] = tally(200, 200)
    evidence = weigh_families(assignment, LENGTHS, catalogue, 0, 1000, 100)
    assert community(score_sample(evidence, catalogue, RULE, {}), "BUT").call != "present"


TWO = make_pathway(
    "TWO",
    (make_step("a", ("ptb",), diagnostic=True), make_step("b", ("buk",), diagnostic=True)),
    (("ptb", "buk"),),
)


@pytest.mark.parametrize(
    ("ptb", "buk", "call"),
    [(2, 2, "present"), (1, 3, "present"), (0, 9, "below_detection"), (1, 2, "below_detection")],
)
def test_markers_of_a_shallow_sample_are_detected_together(ptb, buk, call):
    counts = {("ptb", "Genus"): ptb, ("buk", "Genus"): buk}
    assert community(sample(counts, single_copy=20, pathways=(TWO,))[1], "TWO").call == call


def test_one_stray_fragment_beside_an_abundant_marker_is_no_detection():
    counts = {("ptb", "Genus"): 1, ("buk", "Genus"): 50}
    assert community(sample(counts, single_copy=20, pathways=(TWO,))[1], "TWO").call != "present"


@pytest.mark.parametrize(("thl", "call"), [(1, "present"), (0, "below_detection")])
def test_short_shared_marker_may_be_scarce_by_chance_in_a_shallow_sample(thl, call):
    route = make_pathway(
        "ROUTE",
        (
            make_step("a", ("ptb",), diagnostic=True),
            make_step("b", ("buk",), diagnostic=True),
            make_step("c", ("thl",)),
        ),
        (("ptb", "buk", "thl"),),
    )
    counts = {("ptb", "G"): 3, ("buk", "G"): 3, ("thl", "G"): thl}
    score = community(sample(counts, single_copy=20, pathways=(route,))[1], "ROUTE")
    assert score.call == call


def test_each_marker_of_a_deep_sample_needs_the_minimum():
    counts = {("ptb", "Genus"): 1, ("buk", "Genus"): 3}
    assert community(sample(counts, single_copy=5000, pathways=(TWO,))[1], "TWO").call == "absent"


def test_shared_marker_does_not_pay_for_the_diagnostic_one():
    route = make_pathway(
        "ROUTE",
        (make_step("a", ("but",), diagnostic=True), make_step("b", ("thl",))),
        (("but", "thl"),),
    )
    counts = {("but", "Genus"): 1, ("thl", "Genus"): 100}
    score = community(sample(counts, single_copy=20, pathways=(route,))[1], "ROUTE")
    assert score.call != "present"


def test_missing_diagnostic_step_is_never_present_whatever_the_markers():
    route = make_pathway(
        "ROUTE",
        (
            make_step("a", ("but",), diagnostic=True),
            make_step("b", ("ptb",), diagnostic=True),
            make_step("c", ("thl",)),
            make_step("d", ("hbd",)),
            make_step("e", ("crt",)),
        ),
        (("but",),),
    )
    score = community(sample(FULL, pathways=(route,))[1], "ROUTE")
    assert (score.call, score.copies) == ("indeterminate", 0)
    assert score.reason == "diagnostic steps not detected: b"


def test_copies_of_a_taxon_route_are_those_of_its_carriers():
    # One genus holds the route; twenty times as much of its genes lies apart in others.
    counts = {(family, "Clostridium"): 30 for family in ("thl", "ptb", "buk")}
    counts |= {("ptb", "Bacteroides"): 600, ("buk", "Bacteroides"): 600, ("thl", "Other"): 600}
    scores = {s.taxon: s for s in sample(counts, pathways=(BUK,))[1]}
    alone = community(
        sample({key: n for key, n in counts.items() if key[1] == "Clostridium"}, pathways=(BUK,))[
            1
        ],
        "BUK",
    )
    assert scores[COMMUNITY].call == "present"
    assert scores[COMMUNITY].copies == pytest.approx(alone.copies)
    assert scores["Bacteroides"].copies == 0


def test_vetoed_genus_adds_nothing_to_another_carrier():
    counts = {(family, "Bacillus"): 600 for family in ("thl", "ptb", "buk")}
    counts |= {(family, "Clostridium"): 30 for family in ("thl", "ptb", "buk")}
    scores = {s.taxon: s for s in sample(counts, pathways=(BUK,))[1]}
    assert scores[COMMUNITY].copies == scores["Clostridium"].copies < 0.3
    assert "Bacillus" not in scores


def test_unrelated_fragment_of_another_genus_does_not_lift_a_veto():
    counts = {(family, "Bacillus"): 600 for family in ("thl", "ptb", "buk")}
    counts[("buk", "Bacteroides")] = 1
    score = community(sample(counts, pathways=(BUK,))[1], "BUK")
    assert score.call == "indeterminate"
    assert score.reason == "markers only in Bacillus: never called there"


def test_interval_covers_the_truth_when_counts_are_poisson():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        counts = {
            (family, "G"): int(generator.poisson(30 * LENGTHS[family] / 400))
            for family in ("thl", "hbd", "crt", "but")
        }
        evidence, scores = sample(counts, single_copy=200)
        score = community(scores, "BUT")
        # The copies that give 30 fragments per 400 amino acids, ends of genes aside.
        truth = 30 / 1181 / evidence.equivalents.density
        covered += score.ci_low <= truth <= score.ci_high
    assert covered >= 55


def test_markers_in_two_genera_are_not_one_carrier_of_a_taxon_route():
    spread = {("ptb", "Bacteroides"): 300, ("buk", "Listeria"): 350, ("thl", "Roseburia"): 400}
    score = community(sample(spread, pathways=(BUK,))[1], "BUK")
    assert (score.call, score.reason) == (
        "indeterminate", "no one genus holds all markers and enough steps",
    )  # fmt: skip
    whole = {(family, "Clostridium"): 300 for family in ("ptb", "buk", "thl")}
    assert community(sample(whole, pathways=(BUK,))[1], "BUK").call == "present"


def test_taxa_add_up_to_the_community():
    counts = FULL | {("but", "Faecalibacterium"): 100, ("but", UNASSIGNED): 50}
    scores = [s for s in sample(counts)[1] if s.pathway == "BUT"]
    total = sum(s.copies for s in scores if s.taxon != COMMUNITY)
    assert total == pytest.approx(community(scores, "BUT").copies)
    assert {s.taxon for s in scores} == {COMMUNITY, "Roseburia", "Faecalibacterium", UNASSIGNED}


def test_genus_with_one_of_two_diagnostic_steps_carries_nothing():
    route = make_pathway(
        "ROUTE",
        (make_step("a", ("but",), diagnostic=True), make_step("b", ("ptb",), diagnostic=True)),
        (("but", "ptb"),),
    )
    counts = {("but", "Both"): 50, ("ptb", "Both"): 80, ("but", "Half"): 50, ("ptb", "x"): 20}
    scores = {s.taxon: s for s in sample(counts, pathways=(route,))[1]}
    whole = scores[COMMUNITY].copies
    assert scores["Half"].copies == 0
    assert scores["Both"].copies == pytest.approx(whole * 0.5)
    assert scores[UNASSIGNED].copies == pytest.approx(whole * 0.5)


def test_family_evidence_of_taxa_adds_up_to_the_community():
    counts = FULL | {("but", "Faecalibacterium"): 100, ("but", UNASSIGNED): 50}
    rows = sample(counts)[0].families["but"]
    parts = [row.copies for taxon, row in rows.items() if taxon != COMMUNITY]
    assert sum(parts) == pytest.approx(rows[COMMUNITY].copies)


def test_route_whose_marker_the_reference_lacks_is_not_called_absent():
    other = make_pathway("OTHER", (make_step("x", ("left",), diagnostic=True),), (("left",),))
    score = community(sample({}, single_copy=5000, pathways=(other,))[1], "OTHER")
    assert (score.call, score.reason) == ("indeterminate", "the reference holds no left")
    assert math.isnan(score.copies)


def test_step_that_the_reference_cannot_show_does_not_zero_the_route():
    other = make_pathway(
        "OTHER",
        (make_step("a", ("but",), diagnostic=True), make_step("b", ("left",), diagnostic=True)),
        (("but",),),
    )
    score = community(sample(FULL, pathways=(other,))[1], "OTHER")
    assert score.copies > 0
    assert (score.call, score.missing_steps) == ("indeterminate", ("b",))
    assert "the reference holds no left" in score.reason


def test_products_add_up_present_routes_only():
    scores = sample(FULL, pathways=(BUT, BUK))[1]
    (product,) = score_products(scores, make_catalogue((BUT, BUK)))
    assert (product.product, product.routes) == ("butyrate", ("BUT",))
    assert product.copies == community(scores, "BUT").copies
    assert (product.ci_low, product.ci_high) == (
        community(scores, "BUT").ci_low,
        community(scores, "BUT").ci_high,
    )


@given(
    st.dictionaries(st.sampled_from(["thl", "hbd", "crt", "but"]), st.floats(0.01, 50), min_size=4),
    st.sampled_from(["thl", "hbd", "crt", "but"]),
    st.floats(0, 50),
)
def test_more_of_a_step_never_lowers_a_pathway(copies, family, more):
    raised = copies | {family: copies[family] + more}
    assert pathway_value(BUT.steps, raised) >= pathway_value(BUT.steps, copies) * (1 - 1e-12)


@given(st.integers(0, 500))
def test_decoy_fragments_never_change_a_score(number):
    before = community(sample(FULL)[1], "BUT")
    after = community(sample(FULL | {("decoy_x", UNASSIGNED): number})[1], "BUT")
    assert after.copies == pytest.approx(before.copies)
    assert after.call == before.call


@given(
    st.dictionaries(
        st.tuples(
            st.sampled_from(["but", "thl", "hbd", "crt", "ptb", "buk"]),
            st.sampled_from(["Clostridium", "Bacillus", "Roseburia", UNASSIGNED]),
        ),
        st.integers(0, 60),
        max_size=12,
    ),
    st.sampled_from([5, 50, 3000]),
)
def test_present_means_copies_and_taxa_always_add_up(counts, single_copy):
    scores = sample(counts, single_copy=single_copy, pathways=(BUT, BUK, TWO))[1]
    for name in ("BUT", "BUK", "TWO"):
        whole = community(scores, name)
        assert whole.call != "present" or whole.copies > 0
        parts = [s.copies for s in scores if s.pathway == name and s.taxon != COMMUNITY]
        if whole.copies > 0:
            assert sum(parts) == pytest.approx(whole.copies)
        assert whole.ci_low <= whole.copies * (1 + 1e-9) <= whole.ci_high * (1 + 1e-6)


def test_a_lone_marker_does_not_lower_its_own_detection_limit():
    # Many more copies of but than of the core: the route is bounded, its limit is not.
    few = community(sample(FULL)[1], "BUT").detection_limit
    many = community(sample(FULL | {("but", "Roseburia"): 4000})[1], "BUT").detection_limit
    assert many == pytest.approx(few, rel=0.1)
