import math

import numpy as np
import pytest

from fermentome.cohort.data import (
    CARRIERS,
    ORGANISMS,
    PATHWAYS,
    PRODUCTS,
    Cohort,
    FeatureTable,
    Metadata,
)
from fermentome.cohort.measures import errors_of, floors_of, measures_of
from fermentome.errors import CohortError

NAN = math.nan
SAMPLES = ("a", "b", "c")


def table(name, features, values, **parts):
    numbers = {key: np.array(part, float) for key, part in parts.items()}
    return FeatureTable(
        name, SAMPLES, features, np.array(values, float), "copies per genome",
        compositional=False, **numbers,
    )  # fmt: skip


def cohort(*tables):
    return Cohort(Metadata(SAMPLES, {}), {t.name: t for t in tables})


def by_name(*tables, **options):
    return {m.name: m for m in measures_of(cohort(*tables), **options)}


BUTYRATE = table(
    PRODUCTS, ("butyrate",), [[2.0], [0.0], [NAN]], low=[[1], [NAN], [NAN]],
    high=[[4], [NAN], [NAN]], limits=[[0.1], [0.5], [NAN]],
)  # fmt: skip


def test_zero_stands_at_half_the_limit_of_its_own_sample():
    measure = by_name(BUTYRATE)["product:butyrate"]
    assert measure.floors.tolist() == [0.05, 0.25, 1.0]
    assert measure.on_scale()[:2].tolist() == [1.0, -2.0]  # log2 of 2 and of 0.25
    assert math.isnan(measure.on_scale()[2])
    assert measure.values[1] == 0
    assert measure.below.tolist() == [False, True, False]
    assert (measure.kind, measure.feature, measure.unit) == (
        "product", "butyrate", "copies per genome",
    )  # fmt: skip


def test_without_a_limit_zero_stands_at_half_the_least_of_the_cohort():
    assert floors_of(np.array([0.0, 3.0, 1.0, NAN]), None).tolist() == [0.5] * 4
    assert np.isnan(floors_of(np.zeros(2), None)).all()


def test_the_error_of_an_interval_is_a_quarter_of_its_width_on_the_scale():
    # 1 to 4 is two doublings wide: 2 / (2 * 1.96)
    measure = by_name(BUTYRATE)["product:butyrate"]
    assert measure.errors[0] == pytest.approx(2 / 3.919928, rel=1e-6)
    assert np.isnan(measure.errors[1:]).all()
    linear = errors_of(np.array([2.0]), np.array([1.0]), np.array([4.0]), "linear")
    assert linear[0] == pytest.approx(3 / 3.919928, rel=1e-6)


def test_an_interval_that_reaches_zero_is_as_wide_as_its_upper_half():
    errors = errors_of(np.array([2.0]), np.array([0.0]), np.array([8.0]), "log2")
    assert errors[0] == pytest.approx(2 / 1.959964, rel=1e-6)


def test_an_interval_without_width_or_upside_down_gives_no_negative_error():
    errors = errors_of(np.array([2.0, 2.0]), np.array([2.0, 4.0]), np.array([2.0, 1.0]), "log2")
    assert errors[0] == 0
    assert math.isnan(errors[1])


def test_numbers_of_the_scale_turn_back():
    measure = by_name(BUTYRATE)["product:butyrate"]
    assert measure.back_to_unit(measure.on_scale())[:2].tolist() == [2.0, 0.25]


def test_products_are_measures_even_where_nothing_is_seen_and_pathways_are_not():
    zeros = [[0, 1], [0, 0], [0, NAN]]
    found = by_name(
        table(PRODUCTS, ("lactate", "methane"), zeros), table(PATHWAYS, ("LAC", "MET"), zeros),
        table(ORGANISMS, ("lactate", "methane"), zeros),
    )  # fmt: skip
    assert list(found) == [
        "product:lactate", "product:methane", "pathway:MET", "organisms:lactate",
        "organisms:methane",
    ]  # fmt: skip
    assert np.isnan(found["product:lactate"].on_scale()).all()
    assert found["product:lactate"].below.all()


def test_the_ten_largest_carriers_of_a_product_are_measures():
    genera = [f"butyrate|G{i:02d}" for i in range(12)]
    features = (*genera, "butyrate|unassigned", "lactate|G00")
    means = np.array([*range(1, 13), 99, 0.5], float)
    found = by_name(table(CARRIERS, features, np.tile(means, (3, 1))))
    assert len(found) == 11
    assert "carrier:butyrate|G01" not in found
    assert {"carrier:butyrate|G02", "carrier:butyrate|G11", "carrier:lactate|G00"} <= set(found)
    assert "carrier:butyrate|unassigned" not in found


ALPHA = [
    {"sample": "a", "metric": "shannon", "value": 2.5},
    {"sample": "b", "metric": "shannon", "value": None},
    {"sample": "a", "metric": "richness", "value": 8.0},
    {"sample": "b", "metric": "richness", "value": 0.0},
    {"sample": "other", "metric": "richness", "value": 3.0},
    {"sample": "c", "metric": "simpson", "value": "NA"},
]


def test_indices_of_diversity_are_linear_and_counts_are_ratios():
    found = by_name(alpha=ALPHA)
    assert list(found) == ["diversity:richness", "diversity:shannon", "diversity:simpson"]
    shannon, richness = found["diversity:shannon"], found["diversity:richness"]
    assert (shannon.scale, shannon.unit) == ("linear", "nats")
    assert shannon.on_scale()[0] == 2.5
    assert np.isnan(shannon.on_scale()[1:]).all()
    assert not shannon.below.any()
    assert (richness.scale, richness.unit) == ("log2", "features")
    assert richness.on_scale()[:2].tolist() == [3.0, 2.0]
    assert richness.below.tolist() == [False, True, False]
    assert np.isnan(found["diversity:simpson"].values).all()


def test_only_the_kinds_that_are_asked_for_are_made():
    assert list(by_name(BUTYRATE, alpha=ALPHA, which=("product",))) == ["product:butyrate"]
    with pytest.raises(CohortError, match="'taxa' is none"):
        by_name(BUTYRATE, which=("taxa",))


def test_no_table_gives_no_measure():
    assert by_name() == {}
