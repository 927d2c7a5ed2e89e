"""Sheets of measured metabolites."""

import gzip
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermentome.cohort.data import LEFT_OUT, Account
from fermentome.cohort.metabolite_sheet import (
    COMPOUNDS,
    Sheet,
    parse_reading,
    parse_unit,
    product_of,
    read_sheet,
)
from fermentome.errors import CohortError

SAMPLES = ("s1", "s2", "s3", "s4")
PRODUCTS = ("acetate", "butyrate", "propionate")


def read(folder: Path, text: str, unit: str | None = None, account: Account | None = None) -> Sheet:
    path = folder / "sheet.tsv"
    path.write_text(text, encoding="utf-8")
    return read_sheet(path, SAMPLES, account or Account("metabolites"), unit=unit)


def reasons(account: Account) -> str:
    return " ".join(f"{entry.item}: {entry.reason}" for entry in account.entries)


WIDE = "sample\tbutyrate [µmol/g]\tacetate [mM]\ns2\t5\t1\ns1\t2.5\tNA\n"


@pytest.mark.parametrize("head", ["Sample ID", "sample-id", "#SampleID"])
def test_the_column_of_samples_is_found_by_the_names_that_metadata_have(
    tmp_path: Path, head: str
) -> None:
    found = read(tmp_path, f"butyrate [mM]\t{head}\n1\ts1\n2\ts2\n")
    assert [one.name for one in found.metabolites] == ["butyrate"]


def test_a_wide_sheet_gives_units_from_the_header_and_samples_in_order(tmp_path: Path) -> None:
    acetate, butyrate = read(tmp_path, WIDE).metabolites
    assert (acetate.name, acetate.unit, acetate.samples) == ("acetate", "mM", ("s2",))
    assert (butyrate.name, butyrate.unit, butyrate.samples) == ("butyrate", "umol/g", ("s1", "s2"))
    assert butyrate.values.tolist() == [2.5, 5]


def test_a_sheet_with_samples_as_columns_is_turned(tmp_path: Path) -> None:
    turned = "metabolite\ts2\ts1\nbutyrate [µmol/g]\t5\t2.5\nacetate [mM]\t1\tNA\n"
    ours, theirs = read(tmp_path, WIDE), read(tmp_path, turned)
    for one, other in zip(ours.metabolites, theirs.metabolites, strict=True):
        assert (one.name, one.unit, one.samples) == (other.name, other.unit, other.samples)
        assert one.values.tolist() == other.values.tolist()


def test_a_gzipped_sheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sheet.tsv.gz"
    path.write_bytes(gzip.compress(WIDE.encode()))
    assert len(read_sheet(path, SAMPLES, Account("")).metabolites) == 2


def test_a_sheet_without_unit_is_refused_and_told_of_the_setting(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="column 'butyrate': no unit.*metabolite_unit"):
        read(tmp_path, "sample\tbutyrate\ns1\t1\n")


def test_the_setting_is_the_unit_of_columns_that_state_none(tmp_path: Path) -> None:
    sheet = read(tmp_path, "sample\tbutyrate\tacetate [mM]\ns1\t1\t2\n", unit="nmol/g")
    assert [one.unit for one in sheet.metabolites] == ["mM", "nmol/g"]


@pytest.mark.parametrize("unit", ["umol/gg", "mmol/kgg", "5", "gram", "kg kg"])
def test_a_unit_that_is_not_known_is_refused(tmp_path: Path, unit: str) -> None:
    with pytest.raises(CohortError, match="is not known; expected an amount"):
        read(tmp_path, f"sample\tbutyrate [{unit}]\ns1\t1\n")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("µmol/g", "mmol/kg"), ("μmol g-1", "umol/g"), ("mM", "mmol/L"), ("uM", "nmol/mL"),
        ("mg/g", "g/kg"), ("µg·g⁻¹", "ug/g"), ("nmol per mg", "umol/g"), ("mg/dL", "mg/dl"),
    ],
)  # fmt: skip
def test_units_of_one_amount_are_the_same(one: str, other: str) -> None:
    ours, theirs = parse_unit(one), parse_unit(other)
    assert ours is not None and theirs is not None
    assert ours.dimension == theirs.dimension
    assert math.isclose(ours.factor, theirs.factor)


@pytest.mark.parametrize(
    ("one", "other"),
    [("umol/g", "mM"), ("umol/g", "ug/g"), ("umol/g wet", "umol/g dry"), ("%", "arbitrary")],
)
def test_units_that_need_more_than_a_factor_are_different(one: str, other: str) -> None:
    ours, theirs = parse_unit(one), parse_unit(other)
    assert ours is not None and theirs is not None
    assert ours.dimension != theirs.dimension


def test_a_long_sheet_brings_units_of_one_kind_together(tmp_path: Path) -> None:
    text = (
        "sample\tmetabolite\tvalue\tunit\n"
        "s1\tbutyrate\t2\tumol/g\ns2\tbutyrate\t<3000\tnmol/g\ns3\tbutyrate\t4\tmmol/kg\n"
        "s4\tbutyrate\t5\tumol/g\n"
    )
    (butyrate,) = read(tmp_path, text).metabolites
    assert butyrate.unit == "umol/g"
    assert butyrate.values == pytest.approx([2, 1.5, 4, 5])
    assert butyrate.limits[1] == pytest.approx(3)


def test_two_kinds_of_unit_of_one_metabolite_are_refused(tmp_path: Path) -> None:
    text = "sample\tmetabolite\tvalue\tunit\ns1\tbutyrate\t2\tumol/g\ns2\tbutyrate\t3\tmM\n"
    with pytest.raises(CohortError, match="butyrate.*'mM' and 'umol/g' cannot be brought"):
        read(tmp_path, text)


def test_values_under_the_highest_limit_are_one_tie_at_the_bottom(tmp_path: Path) -> None:
    text = "sample\tbutyrate [mM]\ns1\t0.3\ns2\t<0.5\ns3\t0.5\ns4\t2\n"
    account = Account("metabolites")
    (butyrate,) = read(tmp_path, text, account=account).metabolites
    # 0.3 may be more or less than the one that is somewhere below 0.5; 0.5 is more.
    assert butyrate.keys().tolist() == [-np.inf, -np.inf, 0.5, 2]
    assert butyrate.values.tolist() == [0.3, 0.25, 0.5, 2]
    assert butyrate.below.tolist() == [False, True, False, False]
    assert "1 values are below a limit" in reasons(account)
    assert "2 are tied at the bottom" in reasons(account)


def test_values_above_the_range_are_one_tie_at_the_top(tmp_path: Path) -> None:
    (butyrate,) = read(
        tmp_path, "sample\tbutyrate [mM]\ns1\t3\ns2\t>100\ns3\t120\ns4\t100\n"
    ).metabolites
    assert butyrate.keys().tolist() == [3, np.inf, np.inf, 100]


def test_a_limit_that_is_not_told_lies_below_all_that_was_detected(tmp_path: Path) -> None:
    (butyrate,) = read(
        tmp_path, "sample\tbutyrate [mM]\ns1\t0.3\ns2\t<LOD\ns3\tbdl\ns4\t2\n"
    ).metabolites
    assert butyrate.keys().tolist() == [0.3, -np.inf, -np.inf, 2]
    assert butyrate.values.tolist() == [0.3, 0.15, 0.15, 2]


def test_zero_missing_and_below_a_limit_are_three_things(tmp_path: Path) -> None:
    (butyrate,) = read(
        tmp_path, "sample\tbutyrate [mM]\ns1\t0\ns2\tnot collected\ns3\t<1\ns4\t3\n"
    ).metabolites
    assert butyrate.samples == ("s1", "s3", "s4")
    assert butyrate.values[0] == 0 and not butyrate.below[0]


def test_replicates_are_averaged_and_said(tmp_path: Path) -> None:
    account = Account("metabolites")
    text = "sample\tbutyrate [mM]\ns1\t1\ns1\t2\ns1\t6\ns2\t4\n"
    (butyrate,) = read(tmp_path, text, account=account).metabolites
    assert butyrate.values.tolist() == [3, 4]
    assert butyrate.replicates.tolist() == [3, 1]
    assert "1 samples have replicates" in reasons(account)


def test_samples_of_only_one_side_are_said(tmp_path: Path) -> None:
    account = Account("metabolites")
    read(tmp_path, "sample\tbutyrate [mM]\ns1\t1\nelsewhere\t2\n", account=account)
    assert "1 samples are not in the cohort and left out, as elsewhere" in reasons(account)
    assert "3 samples have no measurement, as s2" in reasons(account)


def test_a_sheet_of_other_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"none of its 1 samples \(first: elsewhere\)"):
        read(tmp_path, "sample\tbutyrate [mM]\nelsewhere\t2\n")


@pytest.mark.parametrize(
    ("cell", "problem"),
    [("1,5", "point"), ("-2", "negative"), ("3 mM", "number"), ("<", "number"), ("nd", "number"),
     ("inf", "number"), ("1e999", "number")],
)  # fmt: skip
def test_a_cell_that_is_no_measurement_is_named(tmp_path: Path, cell: str, problem: str) -> None:
    with pytest.raises(CohortError) as error:
        read(tmp_path, f"sample\tbutyrate [mM]\ns1\t1\ns2\t{cell}\n")
    for part in ("line 3", "s2", "butyrate [mM]", cell, problem):
        assert part in str(error.value)


def test_a_column_of_text_is_left_out_and_said(tmp_path: Path) -> None:
    account = Account("metabolites")
    sheet = read(tmp_path, "sample\tbutyrate [mM]\tnote\ns1\t1\tfrozen\n", account=account)
    assert [one.name for one in sheet.metabolites] == ["butyrate"]
    assert [entry.item for entry in account.entries if entry.status == LEFT_OUT] == ["column note"]


def test_columns_of_a_sample_sheet_are_no_metabolites(tmp_path: Path) -> None:
    sheet = read(tmp_path, "sample\tsubject\ttimepoint\tbutyrate [mM]\ns1\t7\t0\t1\n")
    assert [one.name for one in sheet.metabolites] == ["butyrate"]


def test_a_metabolite_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="stands twice"):
        read(tmp_path, "sample\tbutyrate [mM]\tbutyrate [uM]\ns1\t1\t2\n")


def test_a_metabolite_without_any_value_is_left_out_and_said(tmp_path: Path) -> None:
    account = Account("metabolites")
    sheet = read(tmp_path, "sample\tbutyrate [mM]\tacetate [mM]\ns1\t1\tNA\n", account=account)
    assert [one.name for one in sheet.metabolites] == ["butyrate"]
    assert "metabolite acetate" in reasons(account)


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("butyrate", "butyrate"), ("Butyric acid", "butyrate"), ("n-butanoate", "butyrate"),
        ("butanoic_acid", "butyrate"), ("C00246", "butyrate"), ("C00246_Butyrate", "butyrate"),
        ("measured (C00246)", "butyrate"), ("ACETATE", "acetate"), ("propanoic acid", "propionate"),
        ("isobutyrate", None), ("2-methylpropanoate", None), ("hydroxybutyrate", None),
        ("C002460", None), ("methylbutyrate", None),
    ],
)  # fmt: skip
def test_a_metabolite_meets_the_product_of_its_name(name: str, product: str | None) -> None:
    assert product_of(name, PRODUCTS) == product


def test_a_compound_and_a_name_that_contradict_each_other_match_nothing() -> None:
    with pytest.raises(ValueError, match="C00163 is propionate, the name says butyrate"):
        product_of("C00163_Butyrate", PRODUCTS)


def test_no_compound_and_no_name_belongs_to_two_products() -> None:
    for kind in (0, 1):
        names = [name for entry in COMPOUNDS.values() for name in entry[kind]]
        assert len(names) == len(set(names))


@given(st.floats(min_value=0, max_value=1e12), st.sampled_from(["", "<", "> ", "≤"]))
def test_a_number_is_read_back_whatever_stands_before_it(value: float, sign: str) -> None:
    reading = parse_reading(f"{sign}{value!r}")
    assert reading is not None
    assert reading.value == value
    assert reading.kind == {"": "detected", "> ": "above"}.get(sign, "below")


@given(st.permutations(["s1\tx\t1", "s1\tx\t<4", "s2\tx\t0.75", "s2\tx\t0.25", "s3\tx\t2"]))
def test_the_order_of_rows_changes_nothing(rows: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = "sample\tmetabolite\tvalue\n" + "\n".join(rows) + "\n"
        (one,) = read(Path(folder), text, unit="mM").metabolites
    assert one.values.tolist() == [1.5, 0.5, 2]
    assert one.replicates.tolist() == [2, 2, 1]
