"""Which members add nothing, and which to keep of too many."""

import shutil
from collections import Counter

import pytest
from generated_proteins import drifted, random_protein
from hypothesis import given
from hypothesis import strategies as st

from fermentome.databases.clusters import (
    adds_nothing,
    choose_spread,
    near_duplicates,
    spread,
)
from fermentome.databases.searches import Searcher
from fermentome.reference import LabelledProtein

needs_diamond = pytest.mark.skipif(shutil.which("diamond") is None, reason="no diamond on PATH")
HOMINIS = "d__Bacteria;p__Bacillota;g__Roseburia;s__Roseburia hominis"
FAMILY = "thl"


def protein(accession, sequence, lineage="", family=FAMILY, trusted=False):
    return LabelledProtein(accession, family, sequence, "test", lineage, trusted)


def dropped(proteins, tmp_path, identity=95.0):
    found = near_duplicates(proteins, identity, Searcher(tmp_path, 1))
    return {proteins[one].accession: proteins[other].accession for one, other in found.items()}


@pytest.mark.parametrize(
    ("lineage", "other", "nothing"),
    [
        ("", "", True),
        ("", HOMINIS, True),
        ("d__Bacteria;p__Bacillota", HOMINIS, True),
        ("d__Bacteria;p__;g__Roseburia;s__", HOMINIS, True),
        (HOMINIS, "d__Bacteria;p__Bacillota", False),
        ("d__Bacteria;p__Bacillota;g__Roseburia;s__Roseburia faecis", HOMINIS, False),
    ],
)
def test_lineage_adds_nothing_where_the_other_names_all_its_taxa(lineage, other, nothing):
    assert adds_nothing(lineage, other) is nothing


@needs_diamond
def test_near_copy_falls_to_the_one_that_says_more_of_its_origin(tmp_path):
    base = random_protein(300, "x")
    proteins = [
        protein("bare", drifted(base, 0.98, "1"), trusted=True),
        protein("placed", base, HOMINIS),
        protein("far", drifted(base, 0.90, "2")),
    ]
    assert dropped(proteins, tmp_path) == {"bare": "placed"}


@needs_diamond
def test_near_copies_of_other_species_and_families_stay(tmp_path):
    base = random_protein(300, "x")
    proteins = [
        protein("a", base, HOMINIS),
        protein("b", drifted(base, 0.99, "1"), HOMINIS.replace("hominis", "faecis")),
        protein("c", drifted(base, 0.99, "2"), family="decoy_fadA_pcaF"),
    ]
    assert dropped(proteins, tmp_path) == {}


@needs_diamond
def test_part_falls_to_the_whole_and_not_the_whole_to_the_part(tmp_path):
    base = random_protein(300, "x")
    assert dropped([protein("part", base[:150]), protein("whole", base)], tmp_path) == {
        "part": "whole"
    }


@needs_diamond
def test_whoever_falls_is_near_one_that_stays(tmp_path):
    # A chain of steps of 3 %: neighbours are near copies, the ends are not.
    chain = [random_protein(300, "x")]
    for step in range(9):
        chain.append(drifted(chain[-1], 0.97, f"step{step}"))
    proteins = [protein(f"p{n}", sequence) for n, sequence in enumerate(chain)]
    found = dropped(proteins, tmp_path)
    assert 2 <= len(found) <= 7
    assert not set(found) & set(found.values())


@needs_diamond
def test_more_copies_than_one_search_shows_fall_all_the_same(tmp_path):
    base = random_protein(120, "x")
    proteins = [protein(f"p{n:02}", drifted(base, 0.99, str(n))) for n in range(60)]
    # One that stands for another stays, so two may, of sixty.
    assert len(dropped(proteins, tmp_path)) >= 58


# --- caps -----------------------------------------------------------------------------------------


def test_cap_keeps_every_cluster_before_a_second_of_one():
    proteins = [protein(f"p{n:02}", "M" * 100) for n in range(12)]
    # Ten are alike, two stand alone.
    pairs = {one: {other: 95.0 for other in range(10) if other != one} for one in range(10)}
    chosen = choose_spread(proteins, 4, pairs)
    assert len(chosen) == 4
    assert {10, 11} <= set(chosen)


def test_cap_keeps_trusted_members_and_of_the_others_the_placed_ones():
    proteins = [protein(f"p{n}", "M" * 100) for n in range(6)]
    proteins[4] = protein("p4", "M" * 100, HOMINIS)
    proteins[5] = protein("p5", "M" * 100, trusted=True)
    pairs = {one: {other: 99.0 for other in range(6) if other != one} for one in range(6)}
    assert choose_spread(proteins, 2, pairs) == [4, 5]


@given(
    paths=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30),
    most=st.integers(0, 35),
)
def test_spread_takes_as_many_as_it_may_and_shares_them_evenly(paths, most):
    items = list(range(len(paths)))
    chosen = spread(items, most, dict(enumerate(paths)))
    assert len(chosen) == len(set(chosen)) == min(most, len(items))
    sizes = Counter(first for first, _ in paths)
    taken = Counter(paths[item][0] for item in chosen)
    for group, size in sizes.items():
        # No group goes short while another has two more.
        assert taken[group] == size or taken[group] + 1 >= max(taken.values(), default=0)
