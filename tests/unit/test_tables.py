import math

import pytest

from fermentome.errors import TableError
from fermentome.tables import format_cell, parse_number, read_table, write_table


def test_written_rows_are_read_back(tmp_path):
    path = tmp_path / "t.tsv"
    write_table(path, ["sample", "value"], [{"sample": "001", "value": 0.5}])
    assert path.read_text() == "sample\tvalue\n001\t0.5\n"
    assert read_table(path, ["sample"]) == [{"sample": "001", "value": "0.5"}]


def test_sample_named_na_stays_text(tmp_path):
    path = tmp_path / "t.tsv"
    write_table(path, ["sample", "value"], [{"sample": "NA", "value": None}])
    assert read_table(path) == [{"sample": "NA", "value": "NA"}]


@pytest.mark.parametrize("cell", ["a\tb", "a\nb", "a\rb"])
def test_a_cell_that_would_break_the_table_is_refused(tmp_path, cell):
    with pytest.raises(TableError, match="row 1"):
        write_table(tmp_path / "t.tsv", ["sample"], [{"sample": cell}])


def test_other_columns_than_declared_are_refused(tmp_path):
    with pytest.raises(TableError, match="expected"):
        write_table(tmp_path / "t.tsv", ["sample"], [{"sample": "a", "more": 1}])


def test_missing_column_is_named(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("sample\nx\n")
    with pytest.raises(TableError, match="'value' is missing"):
        read_table(path, ["value"])


def test_short_row_names_its_line(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\n1\t2\n3\n")
    with pytest.raises(TableError, match="line 3: 1 cells, 2 expected"):
        read_table(path)


def test_empty_file_is_an_error_and_not_an_empty_table(tmp_path):
    path = tmp_path / "t.tsv"
    path.touch()
    with pytest.raises(TableError, match="empty"):
        read_table(path)


def test_zero_is_not_na():
    assert format_cell(0.0) == format_cell(-0.0) == format_cell(0) == "0"
    assert format_cell(math.nan) == "NA"
    assert math.isnan(parse_number("NA")) and parse_number("0") == 0
