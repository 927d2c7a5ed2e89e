"""PERMANOVA, dispersion and closeness: published values, permutations, calibrated nulls."""

import functools
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist, squareform
from scipy.special import expit, logit
from skbio import DistanceMatrix
from skbio.stats.distance import permanova, permdisp

from fermentome.cohort.closeness import closeness
from fermentome.cohort.data import TAXA, Account
from fermentome.cohort.ordination import distances
from fermentome.cohort.permanova import (
    FREE,
    WHOLE,
    WITHIN,
    levels_test,
    numbers_test,
    permuted_rows,
    scheme_of,
)
from fermentome.cohort.reading import load_cohort

ROOT = Path(__file__).resolve().parents[2]
HMP2 = ROOT.parent / "shared/data/cohort/hmp2_longitudinal"

# Dutch dune meadows: classes of cover of 30 plants, all below 10, at 20 sites, and what was
# known of the sites (Jongman, ter Braak and van Tongeren 1987; `dune` of R's vegan).
DUNE = (
    "100000000004000070420000000000", "300203400004000050470000505000",
    "040702000004000060560000202020", "080202302004000050450050201020",
    "200042200004000025260500322020", "200030000000000065340600355060",
    "200020200000000265450300322020", "040500000040004040442020302020",
    "030300000006004420450220203020", "400042400000000063440000306120",
    "000000000000020073400020503240", "040800000000000400040240203040",
    "050500010000000300292020202000", "040000000240000000002000206004",
    "040000000250003000002000201040", "070400000080003000022000000043",
    "202040000000020002100000200000", "000002000000000023300003502160",
    "003040000000250000000033602030", "050000000040004000004005200043",
)  # fmt: skip
MANAGEMENT = [f"{c}F" if c != "N" else "NM" for c in "SBSSHHHHHBBSSNNSNNNN"]
MOISTURE = list("11221115421455552155")
USE = [{"p": "Haypastu", "f": "Hayfield", "g": "Pasture"}[c] for c in "ppppfpggffgppgpgffff"]
A1 = np.array([2.8, 3.5, 4.3, 4.2, 6.3, 4.3, 2.8, 4.2, 3.7, 3.3, 3.5, 5.8, 6, 9.3, 11.5, 5.7, 4,
               4.6, 3.7, 3.5])  # fmt: skip

# Lichen pastures: cover of 44 plants and lichens at 20 sites, the first 14 grazed by reindeer
# (Väre, Ohtonen and Oksanen 1995; `varespec` of R's vegan without its sites 2, 3, 20 and 21, which
# the documented example of `betadisper` loses).
LICHENS = """
0.55 11.13 0 0 17.8 0.07 0 0 1.6 2.07 0 1.62 0 0 4.67 0.02 0.13 0 0.13 0.12 0 21.73 21.47 3.5
0.3 0.18 0.23 0.25 0.25 0.23 0 0 0.08 0.02 0.02 0 0.12 0.02 0.62 0.02 0 0 0.25 0
0 15.13 2.42 5.92 15.97 0 3.7 0 1.12 0 0 3.63 0 6.7 58.07 0 0 0.13 0.02 0.08 0.08 1.42 7.63 2.55
0.15 0 0.38 0.12 0.1 0.03 0 0.02 0 0.02 0 0 0 0 0 0.07 0 0 0.15 0
0 12.68 0 0 23.73 0.03 0 0 0 0 0 3.42 0.02 0 19.42 0.02 2.12 0 0.17 1.8 0.02 9.08 9.22 0.05 0.73
0.08 1.42 0.5 0.17 1.78 0.05 0.05 0 0 0 0 0.02 0 1.58 0.33 0 0 1.97 0
0 8.92 0 2.42 10.28 0.12 0.02 0 0 0 0 0.32 0.02 0 21.03 0.02 1.58 0.18 0.07 0.27 0.02 7.23 4.95
22.08 0.25 0.1 0.25 0.18 0.1 0.12 0.05 0.02 0 0 0 0 0.02 0 0.28 0 0 0 0.37 0
4.73 5.12 1.55 6.05 12.4 0.1 0.78 0.02 2 0 0.03 37.07 0 0 26.38 0 0 0 0.1 0.03 0 6.1 3.6 0.23
2.38 0.17 0.13 0.18 0.2 0.2 0.02 0 0 0.02 0.02 0 0 0 0 0 0 0 0.15 0
4.47 7.33 0 2.15 4.33 0.1 0 0 0 0 1.02 25.8 0.23 0 18.98 0 0.02 0 0.13 0.1 0 7.13 14.03 0.02
0.82 0.15 0.05 0.22 0.22 0.17 0 0 0 0.02 0.18 0.08 0 0 0.03 0 0.07 0 0.67 0
0 1.63 0.35 18.27 7.13 0.05 0.4 0 0.2 0 0.3 0.52 0.2 9.97 70.03 0 0.08 0 0.07 0.03 0 0.17 0.87 0
0.05 0.02 0.03 0.07 0.1 0.02 0 0.02 0 0 0 0.02 0 0 0.02 0 0 0 0.08 0
24.13 1.9 0.07 0.22 5.3 0.12 0 0 0 0.07 0.02 2.5 0 0 5.52 0 0.02 0 0.03 0.25 0.07 23.07 23.67
11.9 0.95 0.17 0.05 0.23 0.18 0.57 0.02 0.07 0 0.07 0.18 0.02 0 0 0.03 0.02 0 0 0.47 0
3.75 5.65 0 0.08 5.3 0.1 0 0 0 0 0 11.32 0 0 7.75 0 0.3 0.02 0.07 0 0 17.45 1.32 0.12 23.68 0.22
0.5 0.15 0.23 0.97 0 0 0 0 0.68 0.02 0 0 0.33 0 0.02 0 1.57 0.05
0.02 6.45 0 0 14.13 0.07 0 0 0.47 0 0.85 1.87 0.08 1.35 13.73 0.07 0.05 0 0.12 0 0 6.8 11.22
0.05 4.75 0.03 0.12 0.22 0.18 0.07 0 0.02 0 0.02 0.15 0 0 0.02 0 0 0 0 1.2 0
0 6.93 0 0 10.6 0.02 0.1 0.02 0.05 0.07 14.02 10.82 0 0.02 28.77 0 6.98 0.13 0 0.22 0 6 2.25 0
0.8 0.12 0.57 0.17 0.15 0.07 0 0 0 0.02 0.03 0.02 0 4.87 0.1 0.07 0 0.02 0.05 0
0 5.3 0 0 8.2 0 0.05 0 8.1 0.28 0 0.45 0.03 0 0.1 0 0.25 0 0.03 0 0 35 42.5 0.28 0.35 0.08 0.2
0.25 0.18 0.13 0.08 0 0 0 0.05 0 0.23 0.2 0.93 0 0.03 0 0.1 0
0 0.13 0 0 2.75 0.03 0 0 0 0 0 0.25 0.03 0 0.03 0.18 0.65 0 0 0 0 18.5 59 0.98 0.28 0.23 0.23
0.23 0.1 0.05 0 0 0.03 0 0.18 0 0.28 0 10.28 0 0.1 0 0.25 0
0.3 5.75 0 0 10.5 0.1 0 0 0 0 0 0.85 0 0 0.05 0.03 0.08 0 0 0.08 0 39 37.5 11.3 3.45 0.18 0.2
0.25 0.25 0.23 0.03 0 0 0.03 0.35 0 0.08 0 0.03 0 0 0 0.28 0
0.03 3.65 0 0 4.43 0 0 0 1.65 0.5 0 0.55 0 0 0.05 0 0 0 0.03 0.03 0 8.8 29.5 55.6 0.25 0.08 0.25
0.25 0.15 0.1 0.03 0 0.03 0 0.05 0 0.15 0.15 0.28 0 0 0 0.08 0
3.4 0.63 0 0 1.98 0.05 0.05 0 0.03 0 0 0.2 0 0 1.53 0 0.1 0 0.05 0 0 15.73 20.03 28.2 0.73 0.1
0.15 0.13 0.1 0.15 0 0 0 0.05 0.28 0.05 10.03 0 0.95 0 0 0.05 0.08 0
0.05 9.3 0 0 8.5 0.03 0 0 0 0 0 0.03 0 0 0.75 0 0.03 0 0 0.03 0 0.48 24.5 75 0.2 0 0.03 0.03
0.05 0.03 0.03 0 0 0 0 0 0 0 0 0 0 0.03 0.03 0
0.25 11 0 0 11.9 0.25 0 0 0 0 0 0.25 0.25 0 0.67 0 0.25 0 0.25 0 0 1.3 8.7 84.3 0.25 0.25 0.25 0
0.25 0.25 0.25 0 0 0 0.25 0.25 0.25 0 0.25 0 0 0 0.25 0.25
2.37 0.67 0 0 12.9 0.8 0 0 0 0 0 0.25 0.25 0 17.7 0.25 0.25 0 0.25 0.67 0 9.67 29.8 31.8 2.53
0.25 0.25 0.25 0 0.25 0 0 0 0 0 0.25 0 0 0.93 0.25 0 0 0 0.25
0 16 4 15 25 0.25 0.5 0.25 0 0 0.25 0.25 3 0 2 0 0.25 0.25 0.25 10 3 0.7 4.7 10.9 0.25 0 0.05
0.25 0.25 0.25 0.25 0.25 0 0 0 0.67 0 0 0 0 0 0 0.4 0
"""


def euclidean(points):
    return squareform(pdist(np.asarray(points, dtype=float)))


def generator(seed=1):
    return np.random.default_rng(seed)


@functools.cache
def dune():
    return squareform(pdist([[int(cell) for cell in row] for row in DUNE], "braycurtis"))


@pytest.mark.parametrize(
    ("levels", "f", "r2"),
    [
        (MANAGEMENT, 2.767243, 0.3416107),
        (MOISTURE, 3.585140, 0.4019903),
        (USE, 1.255190, 0.1286690),
    ],
)
def test_levels_agree_with_vegan_on_its_documented_data(levels, f, r2):
    # adonis(dune ~ Management) and so on, as printed at https://pastebin.com/Cy9nZPCX; that of
    # Management also at https://vegandevs.github.io/vegan/reference/adonis.html.
    found = levels_test(dune(), levels, None, 0, generator())
    assert found.pseudo_f == pytest.approx(f, abs=5e-7)
    assert found.r2 == pytest.approx(r2, abs=5e-8)


def test_numbers_agree_with_vegan_on_its_documented_data():
    found = numbers_test(dune(), A1, None, 999, generator())
    assert found.pseudo_f == pytest.approx(3.638948, abs=5e-7)
    assert found.r2 == pytest.approx(0.1681666, abs=5e-8)
    assert found.p < 0.05
    assert math.isnan(found.dispersion_f)


def test_dispersion_agrees_with_vegan_where_axes_are_imaginary():
    # mod3 of https://vegandevs.github.io/vegan/reference/betadisper.html, type = "centroid":
    # 5 of 19 eigenvalues are negative; F 3.1749, mean distances 0.4001 and 0.3108.
    cells = np.array(LICHENS.split(), dtype=float).reshape(20, 44)
    matrix = squareform(pdist(cells, "braycurtis"))
    found = levels_test(matrix, ["grazed"] * 14 + ["ungrazed"] * 6, None, 199, generator())
    assert found.dispersion_f == pytest.approx(3.1749, abs=5e-5)
    assert found.spreads == pytest.approx((0.4001, 0.3108), abs=5e-5)
    # 0.12 and 0.09 of 99 permutations there.
    assert 0.03 < found.dispersion_p < 0.25


def test_the_documented_example_of_scikit_bio():
    # https://scikit.bio/docs/latest/generated/skbio.stats.distance.permanova.html
    matrix = np.array([[0, 1, 1, 4], [1, 0, 3, 2], [1, 3, 0, 3], [4, 2, 3, 0]], dtype=float)
    found = levels_test(matrix, ["Group1", "Group1", "Group2", "Group2"], None, 0, generator())
    assert found.pseudo_f == pytest.approx(2.0)


def test_place_and_spread_agree_with_scikit_bio_in_euclidean_space():
    points = generator(4).normal(size=(30, 5)) * np.repeat([1, 2, 3], 10)[:, None]
    levels = ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    matrix = euclidean(points)
    found = levels_test(matrix, levels, None, 999, generator())
    named = DistanceMatrix(matrix)
    theirs = permdisp(named, levels, test="centroid", permutations=99, dimensions=30, seed=1,
                      warn_neg_eigval=False)  # fmt: skip
    assert found.dispersion_f == pytest.approx(theirs["test statistic"], rel=1e-6)
    assert found.dispersion_p == pytest.approx(theirs["p-value"], abs=0.02)
    place = permanova(named, levels, permutations=999, seed=1)
    assert found.pseudo_f == pytest.approx(place["test statistic"], rel=1e-9)
    assert found.p == pytest.approx(place["p-value"], abs=0.05)


def test_one_number_per_sample_gives_the_f_of_analysis_of_variance():
    values = np.array([1.0, 2, 3, 2, 4, 6, 5, 7, 9])
    found = levels_test(euclidean(values[:, None]), list("aaabbbccc"), None, 0, generator())
    assert found.pseudo_f == pytest.approx(stats.f_oneway(*values.reshape(3, 3)).statistic)


def test_a_column_constant_in_subjects_moves_whole_subjects():
    subjects = ["p", "p", "p", "q", "r", "r", "s"]
    scheme = scheme_of(["a", "a", "a", "b", "a", "a", "b"], subjects)
    assert scheme.name == WHOLE
    labels = np.array(["a", "a", "a", "b", "a", "a", "b"])
    seen = set()
    for rows in permuted_rows(scheme, 200, generator()):
        of_person = {person: set() for person in subjects}
        for person, label in zip(subjects, labels[rows], strict=True):
            of_person[person].add(label)
        assert all(len(own) == 1 for own in of_person.values())
        assert sorted(own.pop() for own in of_person.values()) == ["a", "a", "b", "b"]
        seen.add(tuple(labels[rows]))
    assert len(seen) == 6
    # Four people, two of each: 6 arrangements, of which each has a mirror image.
    assert scheme.distinct == 3
    assert scheme.least_p(999) == pytest.approx(1 / 3)


def test_a_column_that_varies_in_subjects_moves_within_them():
    subjects = ["p", "p", "p", "q", "q", "r"]
    values = ["x", "y", "y", "y", "y", "x"]
    scheme = scheme_of(values, subjects)
    assert scheme.name == WITHIN
    # Only p varies: 3 places for its x.
    assert (scheme.distinct, scheme.informative) == (3, 1)
    for rows in permuted_rows(scheme, 50, generator()):
        assert [subjects[row] for row in rows] == subjects


@pytest.mark.parametrize("subjects", [None, ["p", "q", "r", "s"]])
def test_without_repeats_samples_move_freely(subjects):
    scheme = scheme_of(["a", "a", "b", "b"], subjects)
    assert scheme.name == FREE
    assert scheme.distinct == 3
    assert scheme_of(["a", "a", "a", "b"], subjects).distinct == 4
    assert scheme_of([1, 2, 3, 4], subjects, labels=False).distinct == 24


def test_p_is_that_of_all_arrangements():
    # Two far from two: of 3 partitions only the observed one reaches its F.
    matrix = euclidean([[0.0], [1], [10], [12]])
    found = levels_test(matrix, ["a", "a", "b", "b"], None, 2999, generator())
    assert found.p == pytest.approx(1 / 3, abs=0.03)


def test_samples_that_are_all_alike_are_not_tested():
    found = levels_test(np.zeros((4, 4)), ["a", "a", "b", "b"], None, 9, generator())
    assert math.isnan(found.p) and math.isnan(found.r2) and math.isnan(found.dispersion_p)


def test_groups_that_explain_everything_have_an_infinite_f():
    found = levels_test(
        euclidean([[0.0], [0], [1], [1]]), ["a", "a", "b", "b"], None, 99, generator()
    )
    assert found.pseudo_f == math.inf
    assert found.r2 == pytest.approx(1)
    assert 0.2 < found.p < 0.5


def test_order_of_samples_changes_no_statistic():
    order = generator(3).permutation(20)
    found = levels_test(dune(), MANAGEMENT, None, 0, generator())
    turned = levels_test(
        dune()[np.ix_(order, order)], [MANAGEMENT[i] for i in order], None, 0, generator()
    )
    assert turned.pseudo_f == pytest.approx(found.pseudo_f)
    assert turned.dispersion_f == pytest.approx(found.dispersion_f)
    assert turned.spreads == pytest.approx(found.spreads)


def people_of_unequal_size(random, people=16):
    """Samples that are alike within a person; sizes 1 to 6."""
    sizes = random.integers(1, 7, people)
    own = random.normal(size=(people, 3))
    subjects = np.repeat(np.arange(people), sizes)
    points = own[subjects] + 0.4 * random.normal(size=(len(subjects), 3))
    return euclidean(points), subjects


def null_p_values(runs=200, permutations=99):
    """P-values where nothing is to be found, by what is permuted."""
    p = {"place": [], "spread": [], "within": [], "free": [], "number": [], "close": []}
    for run in range(runs):
        random = np.random.default_rng([8, run])
        matrix, subjects = people_of_unequal_size(random)
        names = [f"p{i:02d}" for i in subjects]
        group = random.permutation(["a"] * 5 + ["b"] * 11)[subjects]
        found = levels_test(matrix, group, names, permutations, random)
        p["place"].append(found.p)
        p["spread"].append(found.dispersion_p)
        p["free"].append(levels_test(matrix, group, None, permutations, random).p)
        drug = random.choice(["no", "yes"], len(names))
        p["within"].append(levels_test(matrix, drug, names, permutations, random).p)
        age = random.normal(size=16)[subjects]
        p["number"].append(numbers_test(matrix, age, names, permutations, random).p)
        dealt = random.permutation(names)
        p["close"].append(closeness(matrix, dealt, None, permutations, random).p)
    return p


@pytest.fixture(scope="module")
def null():
    return null_p_values()


@pytest.mark.parametrize("test", ["place", "spread", "within", "number", "close"])
def test_p_values_are_uniform_where_there_is_nothing(null, test):
    values = np.array(null[test])
    # Steps of 0.01 are spread out, as the test of Kolmogorov and Smirnov is of a continuum.
    values = values - np.random.default_rng(1).random(len(values)) * 0.01
    assert stats.kstest(values, "uniform").pvalue > 0.01
    # Binomial, 200 runs at 0.05: 99.8 % within 2 and 21.
    assert 2 <= (np.array(null[test]) <= 0.05).sum() <= 21


def test_permuting_repeated_samples_freely_would_find_what_is_not_there(null):
    assert (np.array(null["free"]) <= 0.05).mean() > 0.3


def test_closeness_is_the_share_of_pairs_by_hand():
    # a: 0, 1 and b: 3. From a1 and a2, the other a is nearer than b, at 1 against 3 and 2.
    matrix = euclidean([[0.0], [1], [3]])
    found = closeness(matrix, ["a", "a", "b"], None, 0, generator())
    assert (found.people, found.samples) == (1, 2)
    assert found.probability == 1.0
    assert (found.within, found.between) == (1.0, 2.5)
    assert math.isnan(found.low) and math.isnan(found.p)
    # a: 0, 4; b: 1, 9. From 0: own 4; others 1, 9, nearer than one of two. From 4: own 4; others
    # 3, 5: one of two. From 1: own 8; others 1, 3: none. From 9: own 8, others 9, 5: one of two.
    mixed = closeness(euclidean([[0.0], [4], [1], [9]]), list("aabb"), None, 0, generator())
    assert mixed.probability == pytest.approx((0.5 + 0.25) / 2)


def test_closeness_counts_ties_half_and_people_alike():
    matrix = 1.0 - np.eye(6)
    found = closeness(matrix, list("aaaabb"), None, 99, generator())
    assert found.probability == 0.5
    assert found.p == 1.0


def test_closeness_is_that_of_counting_pairs():
    random = generator(6)
    matrix, codes = people_of_unequal_size(random, 6)
    subjects = [str(code) for code in codes]
    by_person = {}
    for i, j in itertools.permutations(range(len(subjects)), 2):
        if subjects[i] == subjects[j]:
            others = [matrix[i, k] for k in range(len(subjects)) if subjects[k] != subjects[i]]
            wins = np.mean(np.array(others) > matrix[i, j])
            by_person.setdefault(subjects[i], {}).setdefault(i, []).append(wins)
    expected = np.mean([np.mean([np.mean(v) for v in own.values()]) for own in by_person.values()])
    assert closeness(matrix, subjects, None, 0, random).probability == pytest.approx(expected)


def test_the_interval_leaves_out_one_person_after_the_other():
    random = generator(12)
    matrix, codes = people_of_unequal_size(random, 8)
    found = closeness(matrix, [f"p{code}" for code in codes], None, 0, random)
    without = []
    for person in range(8):
        kept = np.flatnonzero(codes != person)
        names = [f"p{codes[i]}" for i in kept]
        less = closeness(matrix[np.ix_(kept, kept)], names, None, 0, random)
        without.append(logit(less.probability))
    error = math.sqrt(7 / 8 * ((np.array(without) - np.mean(without)) ** 2).sum())
    half = stats.t.ppf(0.975, found.people - 1) * error
    assert found.low == pytest.approx(expit(logit(found.probability) - half))
    assert found.high == pytest.approx(expit(logit(found.probability) + half))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    random = generator(13)

    def drawn(people):
        matrix, codes = people_of_unequal_size(random, people)
        return closeness(matrix, [f"p{code}" for code in codes], None, 0, random)

    truth = np.mean([drawn(150).probability for _ in range(8)])
    held = [found.low <= truth <= found.high for found in (drawn(20) for _ in range(100))]
    # Binomial, 100 draws at 0.95: 99.8 % are 88 and more.
    assert sum(held) >= 88


def test_people_of_one_batch_are_not_taken_for_themselves():
    # Samples differ by batch alone; each person is in one batch.
    random = generator(9)
    batch = np.repeat([0, 1], 20)
    matrix = euclidean(batch[:, None] * 10 + random.normal(size=(40, 3)))
    subjects = [f"p{i // 4}" for i in range(40)]
    free = closeness(matrix, subjects, None, 199, random)
    within = closeness(matrix, subjects, [str(b) for b in batch], 199, random)
    assert free.p == pytest.approx(1 / 200)
    assert within.p > 0.05


@pytest.mark.parametrize("subjects", [["a", "a", "a"], ["a", "b", "c"]])
def test_closeness_needs_two_people_and_a_repeat(subjects):
    assert closeness(1.0 - np.eye(3), subjects, None, 9, generator()) is None


@pytest.fixture(scope="module")
def hmp2():
    if not HMP2.is_dir():
        pytest.skip(f"{HMP2} is not at hand")
    cohort = load_cohort(
        {TAXA: HMP2 / "metaphlan_taxonomic_profiles.tsv.gz"}, HMP2 / "metadata.tsv.gz",
        Account("reading"),
    )  # fmt: skip
    cohort = type(cohort)(cohort.metadata, {TAXA: cohort.tables[TAXA]})
    matrix = distances(cohort.tables[TAXA], "braycurtis")
    known = np.flatnonzero(~np.isnan(np.diag(matrix)))
    columns = cohort.metadata.select([cohort.samples[i] for i in known])
    return columns, matrix[np.ix_(known, known)]


def test_hmp2_samples_of_one_person_are_closer_than_those_of_others(hmp2):
    # Lloyd-Price et al. 2019, doi:10.1038/s41586-019-1237-9: most variation is between people.
    metadata, matrix = hmp2
    found = closeness(
        matrix, metadata.column("subject").values, metadata.column("site").values, 199, generator()
    )
    assert found.people > 100
    assert found.probability > 0.85
    assert 0.85 < found.low < found.probability < found.high < 1
    assert found.within < 0.6 * found.between
    assert found.p == pytest.approx(1 / 200)


def test_hmp2_dysbiosis_goes_with_distance_from_people_without_ibd(hmp2):
    metadata, matrix = hmp2
    subjects = np.array(metadata.column("subject").values)
    reference = np.array(metadata.column("diagnosis").values) == "nonIBD"
    dysbiosis = metadata.column("dysbiosis").numbers
    far = np.array(
        [np.median(matrix[i, reference & (subjects != subjects[i])]) for i in range(len(subjects))]
    )
    rho = stats.spearmanr(far, dysbiosis).statistic
    random = generator(2)
    rows = {person: np.flatnonzero(subjects == person) for person in sorted(set(subjects))}
    drawn = []
    for _ in range(200):
        people = random.choice(list(rows), len(rows))
        own = np.concatenate([rows[person] for person in people])
        drawn.append(stats.spearmanr(far[own], dysbiosis[own]).statistic)
    assert rho > 0.75
    assert np.percentile(drawn, 2.5) > 0.7
    # Dysbiotic as in the paper: above nine tenths of the samples of people without IBD.
    high = dysbiosis > np.quantile(dysbiosis[reference], 0.9)
    assert np.median(far[high]) > np.median(far[~high]) + 0.1


def test_hmp2_antibiotics_move_communities_within_people(hmp2):
    metadata, matrix = hmp2
    found = levels_test(
        matrix, metadata.column("antibiotics").values, metadata.column("subject").values, 199,
        generator(),
    )  # fmt: skip
    assert found.scheme.name == WITHIN
    assert found.p == pytest.approx(1 / 200)
    # Real, and small: most of the variation is between people.
    assert found.null_r2 < found.r2 < 0.02


def test_dispersion_is_calibrated_where_few_people_vary() -> None:
    rng = np.random.default_rng(31)
    people = np.repeat(np.arange(12), 6)
    found = []
    for _ in range(150):
        values = np.zeros((12, 6), dtype=int)
        values[:3] = rng.permuted(np.tile([0, 0, 0, 1, 1, 1], (3, 1)), axis=1)
        points = rng.normal(size=(12, 6))[people] + 0.5 * rng.normal(size=(72, 6))
        labels, names = [str(v) for v in values.ravel()], [str(p) for p in people]
        test = levels_test(squareform(pdist(points)), labels, names, 39, rng)
        assert test.scheme.name == WITHIN
        found.append(test.dispersion_p)
    # Of 150 draws at 0.05, 16 and more come out in 3 of 1,000.
    assert (np.array(found) <= 0.05).sum() < 16
