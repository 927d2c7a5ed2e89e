import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from small_cohort import metadata

from fermentome.cohort.data import Account
from fermentome.cohort.measures import Measure
from fermentome.cohort.percentile_figures import plot_percentiles, share_below
from fermentome.cohort.percentiles import (
    CHECK_COLUMNS,
    PERCENTILE_COLUMNS,
    percentiles_of,
    place_within,
    write_percentiles,
)
from fermentome.cohort.processing import parse_processing
from fermentome.cohort.reference_cohort import (
    Contribution,
    Description,
    PersonValue,
    make_reference,
    write_reference,
)
from fermentome.tables import read_table

DESCRIPTION = Description("town", "1", "Adults", "doi:10.1000/1", "CC0-1.0", "all")
FACTS = {
    "host": {"reference": {"id": "a" * 64, "name": "chm13"}},
    "taxonomy": {"classifier": "sylph", "database": {"id": "b" * 64, "name": "gtdb"}},
    "function": {"reference": {"id": "d" * 64, "name": "scfa"}},
    "catalogue": {"version": "2.0.0"},
}


def processing(read_length=150, **changes):
    content = {section: dict(facts) for section, facts in FACTS.items()}
    for key, value in changes.items():
        section, _, fact = key.partition("__")
        content.setdefault(section, {})[fact] = value
    if read_length:
        content["read_length"] = read_length
    return parse_processing(content, "here.yaml")


def measure(name, samples, values, unit="copies per genome", limit=0.2, error=np.nan):
    values = np.array(values, float)
    return Measure(
        name, unit, "log2", tuple(samples), values, np.full(len(values), error),
        np.full(len(values), limit / 2), values == 0,
    )  # fmt: skip


def reference(values=tuple(range(1, 21)), tmp_path=None, facts=None, strata=None, **columns):
    """A reference of one person per value, for butyrate and for Shannon diversity."""
    samples = [f"r{i:04d}" for i in range(len(values))]
    measures = [
        measure("product:butyrate", samples, values),
        measure("diversity:shannon", samples, values, unit="nats"),
    ]
    sheet = metadata(samples, subject=samples, **columns)
    parts = [Contribution(measures, sheet, facts or processing())]
    made = make_reference(DESCRIPTION, parts, Account("reference"), strata=strata)
    return made if tmp_path is None else write_reference(made, tmp_path / "town")


def run(values, to=None, facts=None, name="product:butyrate", sheet=None, **options):
    """Rows and account of samples s0, s1 and so on."""
    samples = [f"s{i}" for i in range(len(values))]
    account = Account("percentiles")
    rows = percentiles_of(
        [measure(name, samples, values, **options)], sheet or metadata(samples),
        to or reference(), facts or processing(), account,
    )  # fmt: skip
    return rows, account


def people(*values):
    return [
        PersonValue(*(value if isinstance(value, tuple) else (value, value))) for value in values
    ]


# --- one value among people


@pytest.mark.parametrize(
    ("below", "number", "low", "high"),
    [
        # scipy's documented example of proportion_ci: 7 of 50.
        (7, 50, 5.819170033997342, 26.739600249700846),
        # R: binom.test(10, 20)$conf.int
        (10, 20, 27.19578, 72.80422),
        # Of none of n the upper bound is 1 - 0.025^(1/n) (Clopper and Pearson).
        (0, 20, 0.0, 100 * (1 - 0.025 ** (1 / 20))),
        (20, 20, 100 * 0.025 ** (1 / 20), 100.0),
    ],
)
def test_the_interval_is_that_of_clopper_and_pearson(below, number, low, high):
    place = place_within((below + 0.5, below + 0.5), people(*range(1, number + 1)))
    assert place.percentile == pytest.approx(100 * below / number)
    assert (place.ci_low, place.ci_high) == (pytest.approx(low), pytest.approx(high))


def test_ties_count_half_and_are_said_as_a_range():
    # 2 of 8 below, 4 the same.
    place = place_within((3, 3), people(1, 2, 3, 3, 3, 3, 4, 5))
    assert (place.low, place.percentile, place.high) == (25.0, 50.0, 75.0)
    assert place.position == "within"


def test_below_detection_is_a_range_as_wide_as_what_nobody_knows():
    # Below 0.3: the one at 0.1 and those below their limits may lie on either side, 0.5 and 2 not.
    group = people(0.1, (0, 0.2), (0, 0.4), 0.5, 2)
    place = place_within((0, 0.3), group)
    assert (place.low, place.percentile, place.high) == (0.0, 30.0, 60.0)
    # A detected 0.3 is above 0.1 and above what is below 0.2; of the other nobody knows.
    place = place_within((0.3, 0.3), group)
    assert (place.low, place.percentile, place.high) == (40.0, 50.0, 60.0)


@pytest.mark.parametrize(
    ("value", "position"), [(0.5, "below_all"), (1, "within"), (9, "above_all")]
)
def test_a_value_outside_the_reference_is_said_to_be(value, position):
    place = place_within((value, value), people(1, 2, 3))
    assert place.position == position


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(0, 100), st.floats(0, 100))
def test_a_greater_value_never_has_a_lower_percentile(values, one, other):
    group = people(*values)
    low, high = (place_within((v, v), group) for v in sorted((one, other)))
    assert low.percentile <= high.percentile
    assert low.ci_low <= high.ci_low
    assert low.ci_low <= low.low <= low.percentile <= low.high <= low.ci_high
    assert place_within((one, one), group[::-1]) == place_within((one, one), group)


def test_the_interval_covers_the_true_percentile_as_often_as_it_says():
    # A value whose true percentile is known, in 1,000 references of 20 and of 60 people.
    random = np.random.default_rng([1, 5])
    for number in (20, 60):
        for percent in (5, 50, 90):
            held = 0
            for _ in range(1000):
                place = place_within((percent, percent), people(*random.uniform(0, 100, number)))
                held += place.ci_low <= percent <= place.ci_high
            # Exact intervals hold 95 % at least; 1,000 draws are off by 2 % at most.
            assert held >= 930


# --- percentiles of a run


def test_a_sample_has_its_percentile_with_everything_that_is_known(tmp_path):
    rows, account = run([10.5], to=reference(tmp_path=tmp_path), error=0.1)
    (row,) = rows
    assert tuple(sorted(row)) == tuple(sorted(PERCENTILE_COLUMNS))
    assert row["reference"] == "town@1"
    assert (row["percentile"], row["people"], row["position"]) == (50.0, 20, "within")
    # 10.5 * 2^(±1.96 * 0.1) is 9.17 and 12.03: above 9 and above 12 of 20.
    assert (row["own_low"], row["own_high"]) == (45.0, 60.0)
    assert [(entry.item, entry.status) for entry in account.entries] == [
        ("product:butyrate", "done")
    ]


def test_a_value_that_is_not_known_has_a_row_without_percentile():
    rows, _ = run([np.nan, 3.0])
    assert [row["percentile"] for row in rows] == [None, 12.5]
    assert rows[0]["note"] == "not known"
    assert rows[0]["below_detection"] is None


def test_a_sample_below_detection_is_marked_and_has_a_range():
    rows, _ = run([0.0], to=reference([0] * 5 + list(range(1, 16))))
    (row,) = rows
    assert (row["percentile_low"], row["percentile_high"]) == (0.0, 25.0)
    assert row["below_detection"] is True


def test_people_with_several_samples_are_placed_among_medians_of_people():
    names = [f"p{i // 2:02d}" for i in range(50)]
    samples = [f"r{i:04d}" for i in range(50)]
    # Person i has i and i + 10: the median is i + 5.
    values = [1 + i // 2 + 10 * (i % 2) for i in range(50)]
    made = make_reference(
        DESCRIPTION,
        [
            Contribution(
                [measure("product:butyrate", samples, values)],
                metadata(samples, subject=names),
                processing(),
            )
        ],
        Account("reference"),
    )
    sheet = metadata(["s0", "s1", "s2"], subject=["x", "x", "y"])
    rows, _ = run([8.4, 10.4, 1.0], to=made, sheet=sheet)
    assert [(row["of"], row["subject"], row["sample"]) for row in rows] == [
        ("sample", "x", "s0"), ("sample", "x", "s1"), ("sample", "y", "s2"), ("person", "x", None),
    ]  # fmt: skip
    # Medians are 6, 7, 8 and so on: 4 of 25 are below 9.4.
    assert rows[-1]["value"] == pytest.approx(9.4)
    assert rows[-1]["percentile"] == pytest.approx(16.0)
    assert rows[-1]["note"] == "median of 2 samples, among medians of 2 samples per person"


def test_samples_of_people_like_those_of_the_reference_have_uniform_percentiles():
    # People differ as much as the samples of a person. A new sample falls into each gap between
    # the samples of 20 people with the same chance; medians of samples are too narrow for it.
    number, each = 20, 9
    names = [f"p{i:03d}" for i in range(number) for _ in range(each)]
    samples = [f"r{i:04d}" for i in range(number * each)]
    sheet = metadata(samples, subject=names)
    places = {"samples": [], "medians": []}
    for seed in range(400):
        random = np.random.default_rng([seed, 5])
        level = np.repeat(random.normal(0, 1, number), each)
        values = 2 ** (level + random.normal(0, 1, number * each))
        one = Contribution([measure("product:butyrate", samples, values)], sheet, processing())
        made = make_reference(DESCRIPTION, [one], Account("reference")).measures["product:butyrate"]
        fresh = 2 ** (random.normal(0, 1) + random.normal(0, 1))
        for kind, values in places.items():
            below = place_within((fresh, fresh), getattr(made, kind)).low / 100 * number
            values.append((below + random.uniform()) / (number + 1))
    assert kstest(places["samples"], "uniform").pvalue > 0.01
    outside = {kind: np.mean(np.abs(np.array(v) - 0.5) > 0.45) for kind, v in places.items()}
    # 40 of 400 are expected outside the middle 90 %, up to 60 in 999 of 1,000 draws.
    assert outside["samples"] <= 0.15 < outside["medians"]


def test_the_order_of_samples_changes_nothing():
    samples = ["a", "b", "c"]
    one = measure("product:butyrate", samples, [3.0, 9.0, 0.0])
    two = replace(one, samples=one.samples[::-1], values=one.values[::-1], below=one.below[::-1])
    sheet, other = metadata(samples), metadata(samples[::-1])
    to = reference()
    rows = percentiles_of([one], sheet, to, processing(), Account("p"))
    assert rows == percentiles_of([two], other, to, processing(), Account("p"))


def test_a_sample_is_also_placed_in_its_own_stratum_where_that_has_people_enough():
    sex = ["f"] * 25 + ["m"] * 15
    to = reference(tuple(range(1, 41)), strata={"sex": ()}, sex=sex)
    sheet = metadata(["s0", "s1", "s2"], sex=["f", "m", None])
    rows, _ = run([25.5, 25.5, 25.5], to=to, sheet=sheet)
    found = [(row["sample"], row["stratum"], row["percentile"], row["people"]) for row in rows]
    # 15 men are named but too few for percentiles of their own.
    assert found == [
        ("s0", "all", 62.5, 40), ("s1", "all", 62.5, 40), ("s2", "all", 62.5, 40),
        ("s0", "sex=f", 100.0, 25),
    ]  # fmt: skip


# --- refusals


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"host__reference": "none"},
            "host.reference: chm13 (id aaaaaaaaaaaa…) in the reference, none",
        ),
        (
            {"function__reference": {"id": "0" * 64, "name": "scfa"}},
            "function.reference: scfa (id d",
        ),
        ({"catalogue__version": "2.1.0"}, "catalogue.version: 2.0.0 in the reference, 2.1.0 here"),
        ({"trim__min_length": 70}, "trim.min_length: not stated in the reference, 70 here"),
    ],
)
def test_a_run_that_was_processed_differently_is_refused_with_the_difference(change, words):
    rows, account = run([5.0], facts=processing(**change))
    assert rows == []
    assert [entry.status for entry in account.entries] == ["left_out"]
    assert words in account.entries[0].reason


def test_all_differences_are_named_at_once():
    _, account = run([5.0], facts=processing(host__reference="none", catalogue__version="3"))
    assert "host.reference" in account.entries[0].reason
    assert "catalogue.version" in account.entries[0].reason


def test_another_classifier_refuses_diversity_and_leaves_products():
    samples = ["s0"]
    measures = [
        measure("product:butyrate", samples, [5.0]),
        measure("diversity:shannon", samples, [5.0], unit="nats"),
    ]
    account = Account("percentiles")
    rows = percentiles_of(
        measures,
        metadata(samples),
        reference(),
        processing(taxonomy__classifier="kraken2"),
        account,
    )
    assert [row["measure"] for row in rows] == ["product:butyrate"]
    assert "taxonomy.classifier: sylph in the reference, kraken2" in account.entries[0].reason


def test_reads_of_another_length_are_refused_sample_by_sample():
    sheet = metadata(["s0", "s1", "s2"], mean_clean_read_length=["149.2", "101", None])
    rows, account = run([5.0, 5.0, 5.0], sheet=sheet, facts=processing(read_length=None))
    assert [row["sample"] for row in rows] == ["s0"]
    reasons = [entry.reason for entry in account.entries if entry.status == "left_out"]
    assert "101 to 101 nt, 150 nt in town@1" in reasons[0]
    assert "s1" in reasons[0]
    assert "not known" in reasons[1]
    assert "s2" in reasons[1]


def test_another_unit_is_refused():
    rows, account = run([5.0], unit="relative abundance")
    assert rows == []
    assert "unit: copies per genome in town@1, relative abundance here" in account.entries[0].reason


def test_richness_at_another_depth_is_refused():
    samples = [f"r{i:04d}" for i in range(20)]
    name = "diversity:richness_at_depth"
    deep = processing(diversity__depth_reads=20000)
    made = make_reference(
        DESCRIPTION,
        [Contribution([measure(name, samples, range(1, 21), "taxa")], metadata(samples), deep)],
        Account("reference"),
    )
    same, _ = run([5.0], to=made, facts=deep, name=name, unit="taxa")
    assert len(same) == 1
    shallow = processing(diversity__depth_reads=5000)
    rows, account = run([5.0], to=made, facts=shallow, name=name, unit="taxa")
    assert rows == []
    assert "taxa in 20000 reads in town@1, taxa in 5000 reads here" in account.entries[0].reason


def test_a_measure_that_the_reference_lacks_is_said():
    rows, account = run([5.0], name="product:acetate")
    assert rows == []
    assert account.entries[0].reason == "is not in town@1"


# --- files and figures


def write(tmp_path, values, name="product:butyrate", sheet=None, facts=None, **options):
    samples = sheet.samples if sheet else [f"s{i}" for i in range(len(values))]
    outputs = {"percentiles": tmp_path / "p.tsv", "check": tmp_path / "c.tsv"}
    write_percentiles(
        [measure(name, samples, values, **options)], sheet or metadata(samples), reference(),
        facts or processing(), Account("percentiles"), outputs,
    )  # fmt: skip
    return outputs


def test_the_check_names_every_fact_and_whether_it_is_the_same(tmp_path):
    outputs = write(tmp_path, [5.0], facts=processing(host__reference="none"))
    rows = {row["key"]: row for row in read_table(outputs["check"], CHECK_COLUMNS)}
    assert rows["host.reference"]["same"] == "no"
    assert rows["catalogue.version"]["same"] == "yes"
    # Of products nobody asks which classifier was used.
    assert rows["taxonomy.classifier"]["concerns"] == ""
    assert read_table(outputs["percentiles"], PERCENTILE_COLUMNS) == []


@pytest.mark.parametrize("number", [0, 1, 12, 60])
def test_a_figure_comes_of_any_number_of_samples_and_is_the_same_again(tmp_path, number):
    outputs = write(tmp_path, [i * 0.5 for i in range(number)], error=0.3)
    for name in ("one", "two"):
        plot_percentiles(
            outputs["percentiles"], (tmp_path / f"{name}.png", tmp_path / f"{name}.svg")
        )
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    assert ("No percentiles" in text) == (number == 0)


def test_hostile_names_are_drawn_as_they_are(tmp_path):
    names = ["$x$ <b> & \u202e" + "long" * 50, "\U0001f9a0 visit"]
    sheet = metadata(names, subject=names, timepoint=["visit 10", "visit 9"])
    outputs = write(tmp_path, [3.0, 30.0], sheet=sheet)
    plot_percentiles(outputs["percentiles"], (tmp_path / "f.svg",), subject=names[0])
    text = (tmp_path / "f.svg").read_text()
    assert "visit 10" in text
    assert "above all" not in text


def test_samples_of_a_person_are_drawn_in_the_order_of_time(tmp_path):
    sheet = metadata(
        ["a", "b", "c"], subject=["x"] * 3, timepoint=["visit 10", "visit 9", "visit 1"]
    )
    outputs = write(tmp_path, [3.0, 30.0, 5.0], sheet=sheet)
    plot_percentiles(outputs["percentiles"], (tmp_path / "f.svg",))
    assert re.findall(r"(visit \d+): ", (tmp_path / "f.svg").read_text())[:3] == [
        "visit 1", "visit 9", "visit 10",
    ]  # fmt: skip
    plot_percentiles(outputs["percentiles"], (tmp_path / "f.svg",), days={"a": 1, "b": 2, "c": 3})
    assert re.findall(r"(visit \d+): ", (tmp_path / "f.svg").read_text())[:3] == [
        "visit 10", "visit 9", "visit 1",
    ]  # fmt: skip


def test_people_like_those_of_the_reference_fill_each_part_of_a_strip_alike():
    # One sample in each of the 4 gaps between 3 people.
    rows = [
        {
            "people": "3",
            "percentile_low": f"{100 * k / 3:.6g}",
            "percentile_high": f"{100 * k / 3:.6g}",
        }
        for k in range(4)
    ]
    shares = [share_below(rows, percent) for percent in (0, 10, 35, 75, 100)]
    assert shares == pytest.approx([0, 0.1, 0.35, 0.75, 1])


def test_measures_that_nobody_has_are_counted_and_not_drawn(tmp_path):
    nobody = [PersonValue(0.0, 0.2)] * 20
    place = place_within((0.0, 0.2), nobody)
    assert (place.low, place.high) == (0.0, 100.0)
    outputs = write(tmp_path, [0.0, 5.0])
    text = outputs["percentiles"].read_text().splitlines(keepends=True)
    silent = [line.replace("product:butyrate", "product:methane") for line in text[1:]]
    cells = [line.split("\t") for line in silent]
    low, high = (text[0].split("\t").index(f"percentile_{end}") for end in ("low", "high"))
    for row in cells:
        row[low], row[high] = "0", "100"
    outputs["percentiles"].write_text("".join(text + ["\t".join(row) for row in cells]))
    plot_percentiles(outputs["percentiles"], (tmp_path / "f.svg",))
    drawn = (tmp_path / "f.svg").read_text()
    assert "methane" not in drawn
    assert "not drawn: 1 measures" in drawn
