import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_catalogue import make_catalogue

from fermentome.assign import UNASSIGNED, Protein, assign_fragments
from fermentome.errors import EvidenceError

PROTEINS = {
    "B1": Protein("but", 450, "Faecalibacterium"),
    "B2": Protein("but", 440, "Roseburia"),
    "B0": Protein("but", 440, ""),
    "T1": Protein("thl", 390, "Faecalibacterium"),
    "X1": Protein("decoy_x", 500, "Escherichia"),
    "L1": Protein("left", 300, ""),
    "R1": Protein("right", 300, ""),
    "S1": Protein("COG1", 200, "Faecalibacterium"),
}


def hit(query, protein, bits, identity=96.0, length=30, query_length=100, start=10):
    return (
        f"{query}\t{protein}\t{identity}\t{length}\t{query_length}\t{start}\t{start + 29}\t{bits}\n"
    )


def assign(*lines, identity=95.0):
    return assign_fragments(lines, PROTEINS, make_catalogue(), identity)


def counts(result):
    return {key: tally.fragments for key, tally in result.tallies.items()}


def test_best_hit_takes_the_fragment():
    result = assign(hit("r:1", "B1", 60), hit("r:1", "X1", 50))
    assert counts(result) == {("but", "Faecalibacterium"): 1}


def test_pair_counts_once_and_both_mates_are_noted():
    result = assign(hit("r:1/1", "B1", 60), hit("r:1/2", "B1", 50, start=80))
    tally = result.tallies["but", "Faecalibacterium"]
    assert (tally.fragments, tally.paired_fragments, tally.paired_mates) == (1, 1, 2)
    assert result.reads_with_hits == 2


def test_either_mate_alone_counts():
    result = assign(hit("r:1/2", "B1", 60))
    assert result.tallies["but", "Faecalibacterium"].paired_mates == 1


def test_mates_in_neighbouring_genes_support_both():
    result = assign(hit("r:1/1", "B1", 60), hit("r:1/2", "T1", 60))
    assert counts(result) == {("but", "Faecalibacterium"): 1, ("thl", "Faecalibacterium"): 1}


def test_tie_with_a_decoy_goes_to_the_decoy():
    result = assign(hit("r:1", "B1", 60), hit("r:1", "X1", 60))
    assert [family for family, _ in counts(result)] == ["decoy_x"]


def test_decoy_that_wins_over_both_mates_overrules_a_narrow_win_on_one():
    result = assign(
        hit("r:1/1", "B1", 50), hit("r:1/1", "X1", 48),
        hit("r:1/2", "X1", 70), hit("r:1/2", "B1", 60),
    )  # fmt: skip
    assert {family for family, _ in counts(result)} == {"decoy_x"}


def test_tie_between_targets_is_reported_as_ambiguous_and_given_to_neither():
    result = assign(hit("r:1", "B1", 60), hit("r:1", "T1", 60))
    assert counts(result) == {}
    assert dict(result.ambiguous) == {("but", "thl"): 1}


def test_tie_within_a_merge_group_is_shared():
    result = assign(hit("r:1", "L1", 60), hit("r:1", "R1", 60))
    assert counts(result) == {("left", UNASSIGNED): 0.5, ("right", UNASSIGNED): 0.5}


def test_score_below_the_minimum_for_the_read_length_does_not_count():
    assert counts(assign(hit("r:1", "B1", 34.9))) == {}
    assert counts(assign(hit("r:1", "B1", 35.0))) != {}
    assert counts(assign(hit("r:1", "B1", 39.9, length=40, query_length=150))) == {}


def test_alignment_of_less_than_the_minimum_cover_does_not_count():
    assert counts(assign(hit("r:1", "B1", 60, length=19))) == {}  # 57 of 100 nt
    assert counts(assign(hit("r:1", "B1", 60, length=20))) != {}  # 60 of 100 nt


def test_hits_of_two_genera_leave_the_fragment_unassigned():
    result = assign(hit("r:1", "B1", 60), hit("r:1", "B2", 59))
    assert counts(result) == {("but", UNASSIGNED): 1}


def test_distant_second_genus_has_no_say():
    result = assign(hit("r:1", "B1", 60), hit("r:1", "B2", 50))
    assert counts(result) == {("but", "Faecalibacterium"): 1}


def test_low_identity_names_no_genus():
    assert counts(assign(hit("r:1", "B1", 60, identity=94.9))) == {("but", UNASSIGNED): 1}


def test_short_alignment_names_no_genus():
    assert counts(assign(hit("r:1", "B1", 60, length=29))) == {("but", UNASSIGNED): 1}


def test_closer_relative_of_unknown_genus_leaves_the_fragment_unassigned():
    result = assign(hit("r:1", "B0", 61), hit("r:1", "B1", 60))
    assert counts(result) == {("but", UNASSIGNED): 1}


def test_equally_close_protein_of_unknown_genus_does_not_hide_a_known_one():
    result = assign(hit("r:1", "B0", 60), hit("r:1", "B1", 60))
    assert counts(result) == {("but", "Faecalibacterium"): 1}


def test_tie_of_sums_goes_to_the_decoy_whatever_the_floating_point():
    # 40.1 + 43.2 and 40.0 + 43.3 are both 83.3.
    result = assign(
        hit("r:1/1", "B1", 40.1), hit("r:1/1", "X1", 40.0),
        hit("r:1/2", "B1", 43.2), hit("r:1/2", "X1", 43.3),
    )  # fmt: skip
    assert {family for family, _ in counts(result)} == {"decoy_x"}


def test_mates_that_name_two_genera_leave_the_fragment_unassigned():
    result = assign(hit("r:1/1", "B1", 60), hit("r:1/2", "B2", 60))
    assert counts(result) == {("but", UNASSIGNED): 1}


def test_copies_of_one_molecule_share_a_position():
    lines = [hit(f"r:{n}", "B1", 60) for n in range(5)] + [hit("r:9", "B1", 60, start=50)]
    assert len(assign(*lines).tallies["but", "Faecalibacterium"].positions) == 2


def test_unknown_protein_says_that_the_index_is_another():
    with pytest.raises(EvidenceError, match="'Z9' is not in the reference"):
        assign(hit("r:1", "Z9", 60))


def test_cut_off_line_is_an_error():
    with pytest.raises(EvidenceError, match="3 fields, 8 expected"):
        assign("r:1\tB1\t90\n")


hits_of_a_mate = st.lists(
    st.tuples(st.sampled_from(sorted(PROTEINS)), st.integers(36, 80)),
    min_size=1, max_size=4, unique_by=lambda item: item[0],
)  # fmt: skip
fragments_of_a_sample = st.lists(
    st.dictionaries(st.sampled_from([1, 2]), hits_of_a_mate, min_size=1), max_size=12
)


def lines_of(fragments, order):
    lines = []
    for number in order:
        for mate in sorted(fragments[number]):
            lines += [hit(f"r:{number}/{mate}", p, bits) for p, bits in fragments[number][mate]]
    return lines


def snapshot(result):
    return (
        {key: (round(t.fragments, 9), sorted(t.positions)) for key, t in result.tallies.items()},
        dict(result.ambiguous),
    )


@given(fragments_of_a_sample, st.randoms())
def test_order_of_fragments_changes_nothing(fragments, rng: random.Random):
    order = list(range(len(fragments)))
    first = snapshot(assign(*lines_of(fragments, order)))
    rng.shuffle(order)
    assert snapshot(assign(*lines_of(fragments, order))) == first


@given(fragments_of_a_sample, st.integers(36, 80))
def test_reads_of_a_decoy_never_raise_a_target(fragments, bits):
    before = assign(*lines_of(fragments, range(len(fragments))))
    more = [*lines_of(fragments, range(len(fragments))), hit("other:1", "X1", bits)]
    after = assign(*more)
    targets = {key: value for key, value in counts(after).items() if key[0] != "decoy_x"}
    assert targets == {key: v for key, v in counts(before).items() if key[0] != "decoy_x"}
