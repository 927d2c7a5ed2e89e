"""The sample sheet: what is read, and what is said about mistakes."""

import os
import re
import sys
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fermentome import samples
from fermentome.errors import SampleSheetError
from fermentome.samples import NAME_PATTERN, read_sample_sheet

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/samples.schema.yaml").read_text())


@pytest.fixture
def folder(tmp_path):
    for name in ("a_1.fastq.gz", "a_2.fastq.gz", "b_1.fastq.gz", "b_2.fastq.gz", "c.fq"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def read(folder, text, metadata=(), **options):
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "samples.tsv").write_bytes(data)
    return read_sample_sheet("samples.tsv", folder, metadata, **options)


def mistakes(folder, text, metadata=(), **options):
    """Lines of the error, without its heading."""
    with pytest.raises(SampleSheetError) as caught:
        read(folder, text, metadata, **options)
    heading, *lines = str(caught.value).splitlines()
    assert heading.startswith("samples.tsv")
    return lines or [heading]


def table(*rows):
    return "".join("\t".join(row.split("|")) + "\n" for row in rows)


def test_paired_and_single_runs_and_lanes_are_read_in_sorted_order(folder):
    sheet = read(
        folder,
        table(
            "sample|run|reads1|reads2|subject|timepoint|group",
            "b||c.fq||P2|1|control",
            "a|L2|b_1.fastq.gz|b_2.fastq.gz|P1|0|diet",
            "a|L1|a_1.fastq.gz|a_2.fastq.gz|P1|0|diet",
        ),
    )
    assert list(sheet.samples) == ["a", "b"]
    assert list(sheet.runs) == [("a", "L1"), ("a", "L2"), ("b", "1")]
    assert sheet.runs["a", "L1"].reads == ("a_1.fastq.gz", "a_2.fastq.gz")
    assert sheet.runs["a", "L1"].layout == "paired"
    assert sheet.runs["b", "1"].reads == ("c.fq",)
    assert sheet.runs["b", "1"].layout == "single"
    assert [run.run for run in sheet.samples["a"].runs] == ["L1", "L2"]
    assert sheet.samples["a"].attributes == {
        "subject": "P1", "timepoint": "0", "event": "", "replicate": "", "group": "diet",
    }  # fmt: skip


def test_order_of_rows_does_not_matter(folder):
    header = "sample|run|reads1|reads2"
    rows = ["b|1|b_1.fastq.gz|b_2.fastq.gz", "a|1|a_1.fastq.gz|", "a|2|a_2.fastq.gz|"]
    forwards, backwards = (
        read(folder, table(header, *rows)),
        read(folder, table(header, *rows[::-1])),
    )
    assert forwards == backwards
    assert list(forwards.runs) == list(backwards.runs)


def test_paired_and_single_runs_of_one_sample_may_be_mixed(folder):
    sheet = read(
        folder, table("sample|run|reads1|reads2", "a|1|a_1.fastq.gz|a_2.fastq.gz", "a|2|c.fq|")
    )
    assert [run.layout for run in sheet.samples["a"].runs] == ["paired", "single"]


def test_only_sample_and_reads1_are_required(folder):
    sheet = read(folder, table("sample|reads1", "a|a_1.fastq.gz"))
    assert sheet.runs["a", "1"].reads2 is None


@pytest.mark.parametrize("name", ["001", "NA", "nan", "1e5", "TRUE", "2024-01-02"])
def test_names_like_numbers_or_missing_values_stay_text(folder, name):
    sheet = read(folder, table("sample|run|reads1|subject", f"{name}|{name}|a_1.fastq.gz|{name}"))
    assert list(sheet.runs) == [(name, name)]
    assert sheet.samples[name].subject == name


def test_declared_metadata_are_carried_as_text(folder):
    sheet = read(
        folder, table("age|sample|reads1|diet", "034|a|a_1.fastq.gz|"), metadata=["age", "diet"]
    )
    assert sheet.metadata_columns == ("age", "diet")
    assert sheet.samples["a"].metadata == {"age": "034", "diet": ""}


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_byte_order_mark_and_blank_rows_do_not_matter(folder, mark, end):
    text = table("sample|reads1", "a|a_1.fastq.gz", "", "\t", "b|b_1.fastq.gz").replace("\n", end)
    assert list(read(folder, mark + text.encode()).samples) == ["a", "b"]


def test_last_row_needs_no_line_end(folder):
    assert list(read(folder, "sample\treads1\na\ta_1.fastq.gz").samples) == ["a"]


@pytest.mark.parametrize(
    "name", ["my reads.fastq", "it's $HOME.fq", 'say "x".fq', "Bjørn 便.fq", "{a}.fq"]
)
def test_paths_may_hold_blanks_quotes_dollars_and_any_letters(folder, name):
    (folder / name).touch()
    assert read(folder, table("sample|reads1", f"a|{name}")).runs["a", "1"].reads1 == name


def test_paths_come_out_without_redundant_parts(folder):
    (folder / "sub").mkdir()
    (folder / "sub/x.fq").touch()
    sheet = read(
        folder,
        table("sample|reads1", "a|.//sub/./x.fq", f"b|{folder}//c.fq", "c|sub/../a_1.fastq.gz"),
    )
    assert [run.reads1 for run in sheet.runs.values()] == [
        "sub/x.fq",
        f"{folder}/c.fq",
        "sub/../a_1.fastq.gz",
    ]


# Mistakes ------------------------------------------------------------------------------------


def test_all_mistakes_are_reported_at_once_in_the_order_of_rows(folder):
    lines = mistakes(
        folder,
        table(
            "sample|run|reads1|reads2",
            "a b|1|a_1.fastq.gz|a_2.fastq.gz",
            "b|1|b_1.fastq.gz|gone.fastq.gz",
            "b|1|c.fq|c.fq",
        ),
    )
    assert [line.split(":")[0] for line in lines] == [
        "samples.tsv, row 2, column sample",
        "samples.tsv, row 3, column reads2",
        "samples.tsv, row 4, column sample",
        "samples.tsv, row 4, column reads2",
    ]
    assert all(" Hint: " in line for line in lines)


def test_row_numbers_count_blank_rows(folder):
    (line,) = mistakes(folder, table("sample|reads1", "", "a|a_1.fastq.gz", "", "-|c.fq"))
    assert line.startswith("samples.tsv, row 5, column sample: '-'")


def test_untouched_template_says_what_to_do():
    with pytest.raises(SampleSheetError, match="has a header and no samples.*config/README.md"):
        read_sample_sheet("config/samples.tsv", ROOT)


def test_template_has_every_column():
    header = (ROOT / "config/samples.tsv").read_text().rstrip("\n").split("\t")
    assert tuple(header) == samples.COLUMNS


@pytest.mark.parametrize("text", ["", "\n\n", "\t\t\n"])
def test_empty_sheet(folder, text):
    assert "is empty" in mistakes(folder, text)[0]


def test_missing_sheet_names_the_key(tmp_path):
    with pytest.raises(SampleSheetError, match="nowhere.tsv .*No such file.*`samples`"):
        read_sample_sheet("nowhere.tsv", tmp_path)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\x03\x04\x14\x00", "Excel workbook (.xlsx)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "old Excel workbook (.xls)"),
        ("sample\treads1\n".encode("utf-16"), "UTF-16"),
        ("\ufeffsample\treads1\n".encode("utf-16-be"), "UTF-16"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"sample,run,reads1\na,1,x.fq\n", "separated by commas"),
        (b"sample;reads1\na;x.fq\n", "separated by semicolons"),
        (b"sample   reads1\na  x.fq\n", "separated by blanks"),
        (b"sample\treads1\tsubject\na\ta_1.fastq.gz\tBj\xf8rn\n", "row 2: byte 0xf8 is not UTF-8"),
    ],
)
def test_other_formats_are_named(folder, data, kind):
    (line,) = mistakes(folder, data)
    assert kind in line
    assert "Hint: " in line


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("read1", "reads1"),
        ("Reads1", "reads1"),
        ("reads_1", "reads1"),
        ("fastq_1", "reads1"),
        ("R1", "reads1"),
        ("reads1 ", "reads1"),
        ('"reads1"', "reads1"),
    ],
)
def test_misspelt_header_is_recognised(folder, written, meant):
    (line,) = mistakes(folder, table(f"sample|{written}", "a|a_1.fastq.gz"))
    assert repr(written) in line
    assert f"perhaps {meant!r} was meant" in line


def test_misspelt_optional_column_is_recognised(folder):
    (line,) = mistakes(folder, table("sample|reads1|time point", "a|a_1.fastq.gz|0"))
    assert "'timepoint'" in line


@pytest.mark.parametrize(
    "first",
    ["a|1|a_1.fastq.gz|a_2.fastq.gz", "sample|x.FQ", "a|/data/a", "P1|reads/a.bam|diet"],
)
def test_missing_header_is_said_once(folder, first):
    (line,) = mistakes(folder, table(first, "b|b_1.fastq.gz"))
    assert "samples.tsv, row 1: " in line
    assert "the header is missing" in line


def test_header_with_a_unit_is_a_header(folder):
    (line,) = mistakes(folder, table("Sample|reads1|mg/L", "a|a_1.fastq.gz|3"), check_files=False)[
        :1
    ]
    assert "header is missing" not in line


def test_undeclared_column_points_to_the_configuration(folder):
    (line,) = mistakes(folder, table("sample|reads1|bmi", "a|a_1.fastq.gz|22"))
    assert "'bmi'" in line
    assert "under `metadata`" in line


def test_missing_columns_are_named(folder):
    lines = mistakes(folder, table("run|group", "1|x"), metadata=["age"])
    assert [line.split(": ")[1].split(" ")[0] for line in lines] == [
        "'sample'",
        "'reads1'",
        "'age'",
    ]


@pytest.mark.parametrize(
    ("header", "problem"),
    [("sample|reads1|group|group", "'group' is there twice"), ("sample|reads1||", "column 3")],
)
def test_columns_twice_or_without_name(folder, header, problem):
    lines = mistakes(folder, table(header, "a|a_1.fastq.gz|x|x"))
    assert problem in lines[0]


@pytest.mark.parametrize("row", ["a|1", "a|1|a_1.fastq.gz|x"])
def test_wrong_number_of_cells(folder, row):
    (line,) = mistakes(folder, table("sample|run|reads1", row))
    assert f"row 2: 'a' starts a row of {row.count('|') + 1} cells; the header has 3" in line


def test_comment_rows_are_refused_as_such(folder):
    (line,) = mistakes(folder, table("sample|reads1", "# my samples", "a|a_1.fastq.gz"))
    assert "no comments" in line


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        ".a",
        "-a",
        "_a",
        "a/b",
        "a..b",
        "é",
        "a" * 65,
        "a;b",
        "*",
        "a'b",
        '"a"',
        "$a",
        "{a}",
    ],
)
def test_bad_sample_names(folder, name):
    (line,) = mistakes(folder, table("sample|reads1|group", f"{name}|a_1.fastq.gz|x"))
    assert f"column sample: {name!r}" in line


def test_bad_name_comes_with_a_proposal(folder):
    (line,) = mistakes(folder, table("sample|reads1", "Kälte (2)|a_1.fastq.gz"))
    assert "for example 'K_lte_2'" in line


def test_bad_run_name(folder):
    (line,) = mistakes(folder, table("sample|run|reads1", "a|L 1|a_1.fastq.gz"))
    assert "column run: 'L 1' cannot be the name of a run" in line


def test_sample_and_run_twice(folder):
    (line,) = mistakes(folder, table("sample|run|reads1", "a|L1|a_1.fastq.gz", "a|L1|a_2.fastq.gz"))
    assert "row 3, column sample: 'a' has the run 'L1' already in row 2" in line


def test_rows_without_run_of_one_sample_are_the_same_run(folder):
    (line,) = mistakes(folder, table("sample|run|reads1", "a||a_1.fastq.gz", "a|1|a_2.fastq.gz"))
    assert "already in row 2" in line
    assert "under `run`" in line


def test_names_that_differ_only_in_case(folder):
    lines = mistakes(
        folder,
        table(
            "sample|run|reads1",
            "Gut1|1|a_1.fastq.gz",
            "gut1|1|a_2.fastq.gz",
            "b|l|b_1.fastq.gz",
            "b|L|b_2.fastq.gz",
        ),
    )
    assert "'gut1' differs from 'Gut1' in row 2 only by upper and lower case" in lines[0]
    assert "column run: 'L' differs from 'l' in row 4" in lines[1]


def test_same_file_twice(folder):
    (line,) = mistakes(folder, table("sample|reads1", "a|c.fq", "b|c.fq"))
    assert "row 3, column reads1: 'c.fq' is the same file as reads1 in row 2." in line


def test_same_file_as_both_mates(folder):
    (line,) = mistakes(folder, table("sample|reads1|reads2", "a|c.fq|c.fq"))
    assert "column reads2: 'c.fq' is the same file as reads1" in line


@pytest.mark.parametrize("kind", ["symlink", "hard link", "spelling", "absolute", "folder link"])
def test_same_file_under_another_name(folder, kind):
    other = "other.fq"
    if kind == "symlink":
        (folder / other).symlink_to(folder / "c.fq")
    elif kind == "hard link":
        (folder / other).hardlink_to(folder / "c.fq")
    elif kind == "spelling":
        other = "./c.fq"
    elif kind == "absolute":
        other = str(folder / "c.fq")
    else:
        (folder / "link").symlink_to(folder)
        other = "link/c.fq"
    (line,) = mistakes(folder, table("sample|reads1", "a|c.fq", f"b|{other}"))
    assert f"{other!r} is the same file as reads1 in row 2, 'c.fq'" in line


def test_same_missing_file_twice_is_said_too(folder):
    lines = mistakes(folder, table("sample|reads1", "a|gone.fq", "b|./gone.fq"))
    assert [("does not exist" in line, "same file" in line) for line in lines] == [
        (True, False),
        (True, False),
        (False, True),
    ]


def test_missing_file_is_named_with_hint(folder):
    (line,) = mistakes(folder, table("sample|reads1", "a|gone.fq"))
    assert "row 2, column reads1: 'gone.fq' does not exist. Hint: relative paths start" in line


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("a_1.fastq.gz,b_1.fastq.gz", "one file per cell"),
        ("*.fastq.gz", "one file per cell"),
        ("reads/a_1.fq,reads/b_1.fq", "one file per cell"),
        ("reads/a_1.fq; reads/b_1.fq", "one file per cell"),
        ("reads/a_1.fq reads/b_1.fq", "one file per cell"),
        ("my reads/a,b/x.fq", "relative paths start"),
        ("/nowhere/x.fq", "check the spelling"),
    ],
)
def test_missing_file_hints(folder, value, hint):
    (line,) = mistakes(folder, table("sample|reads1", f"a|{value}"))
    assert "does not exist" in line
    assert hint in line


def test_quoted_path_is_recognised(folder):
    (line,) = mistakes(folder, table("sample|reads1", 'a|"c.fq"'))
    assert "stands in quotation marks" in line


def test_broken_link_and_folder_instead_of_file(folder):
    (folder / "dead.fq").symlink_to(folder / "gone.fq")
    (folder / "dir.fq").mkdir()
    lines = mistakes(folder, table("sample|reads1", "a|dead.fq", "b|dir.fq", "c|c.fq/x.fq"))
    assert "is a link to a file that does not exist" in lines[0]
    assert "is a folder" in lines[1]
    assert "does not exist" in lines[2]


def test_pipe_is_refused(folder):
    os.mkfifo(folder / "pipe.fq")
    assert "not a regular file" in mistakes(folder, table("sample|reads1", "a|pipe.fq"))[0]


def test_unreadable_file(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "cannot be read" in mistakes(folder, table("sample|reads1", "a|c.fq"))[0]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("x.fastq.bz2", "packed in a way"),
        ("x.fq.zst", "packed in a way"),
        ("x.tar.gz", "packed in a way"),
        ("x.fasta", "FASTA"),
        ("x.fa.gz", "FASTA"),
        ("x.bam", "samtools fastq"),
        ("x.sra", "fasterq-dump"),
        ("x.txt", "does not end like a FASTQ file"),
        ("x.FASTQ.GZ", "in lower case"),
        ("x_fastq", "does not end like a FASTQ file"),
        ("https://example.org/x.fastq.gz", "download the file first"),
        ("~/x.fastq.gz", "`~`"),
    ],
)
def test_wrong_kinds_of_files_are_named(folder, value, problem):
    (line,) = mistakes(folder, table("sample|reads1", f"a|{value}"))
    assert problem in line
    assert repr(value) in line


def test_reads1_must_be_given(folder):
    (line,) = mistakes(folder, table("sample|reads1|reads2", "a||a_2.fastq.gz"))
    assert "column reads1: '' is no file name" in line


@pytest.mark.parametrize(
    ("column", "row"),
    [
        ("sample", " a|c.fq|x"),
        ("reads1", "a|c.fq |x"),
        ("group", "a|c.fq|x\u00a0"),
    ],
)
def test_blanks_around_a_value(folder, column, row):
    (line,) = mistakes(folder, table("sample|reads1|group", row))
    assert f"column {column}" in line
    assert "starts or ends with a blank" in line


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1b", "\x7f", "\x85", "\u2028"])
def test_control_characters(folder, character):
    (line,) = mistakes(folder, table("sample|reads1|group", f"a|c.fq|x{character}y"))
    assert "column group" in line
    assert "control character" in line
    assert line.isprintable()


def test_rows_of_a_sample_agree_about_it(folder):
    lines = mistakes(
        folder,
        table(
            "sample|run|reads1|subject|age",
            "a|1|a_1.fastq.gz|P1|30",
            "a|2|a_2.fastq.gz|P2|30",
            "a|3|b_1.fastq.gz|P1|",
        ),
        metadata=["age"],
    )
    assert "row 3, column subject: 'P2' contradicts 'P1' in row 2 of sample 'a'" in lines[0]
    assert "row 4, column age: '' contradicts '30' in row 2" in lines[1]


def test_without_looking_at_files_their_names_are_still_checked(folder):
    text = table("sample|reads1", "a|gone.fq")
    assert list(read(folder, text, check_files=False).samples) == ["a"]
    (line,) = mistakes(folder, text + "b\t./gone.fq\n", check_files=False)
    assert "same file" in line


def test_long_values_are_cut(folder):
    (line,) = mistakes(folder, table("sample|reads1", f"{'a' * 5000}|c.fq"))
    assert len(line) < 500


# The schema, the parser, the cost ------------------------------------------------------------


def test_schema_and_code_name_the_same_columns_and_patterns():
    assert tuple(SCHEMA["properties"]) == samples.COLUMNS
    assert tuple(SCHEMA["required"]) == samples.REQUIRED_COLUMNS
    assert SCHEMA["properties"]["run"]["default"] == samples.DEFAULT_RUN
    assert SCHEMA["$defs"]["name"]["pattern"] == f"^{NAME_PATTERN}$"
    assert SCHEMA["$defs"]["read_file"]["allOf"][0]["pattern"] == samples.READ_FILE_PATTERN


cells = st.text(st.sampled_from("aZ9_.-/ \u00a0~:#é\x00\x7f\"'"), max_size=8)
files = st.builds(
    lambda stem, end: stem + end, cells, st.sampled_from(["", ".fq", ".fastq.gz", ".gz"])
)


@given(sample=cells, run=cells, reads1=files, reads2=files, group=cells)
def test_schema_and_code_accept_the_same_rows(sample, run, reads1, reads2, group):
    row = {"sample": sample, "run": run, "reads1": reads1, "reads2": reads2, "group": group}
    valid = Draft202012Validator(SCHEMA).is_valid(row)
    assert (samples._cell_mistakes(samples._Row(2, row)) == []) == valid


@given(st.from_regex(NAME_PATTERN, fullmatch=True))
def test_names_are_safe_in_paths_and_wildcards(name):
    path = f"results/x/{name}/{name}.json"
    match = re.fullmatch(
        f"results/x/(?P<sample>{NAME_PATTERN})/(?P<run>{NAME_PATTERN})\\.json", path
    )
    assert match
    assert (match["sample"], match["run"]) == (name, name)
    assert "/" not in name
    assert not name.startswith((".", "-"))


def test_only_the_standard_library_is_imported():
    source = (ROOT / "scripts/fermentome/samples.py").read_text()
    imported = set(re.findall(r"^(?:from|import) (\w+)", source, flags=re.MULTILINE))
    assert imported - sys.stdlib_module_names == {"fermentome"}


def test_ten_thousand_samples_take_under_a_second(tmp_path):
    rows = ["sample|run|reads1|reads2|subject|timepoint|group"]
    for number in range(10_000):
        for mate in (1, 2):
            (tmp_path / f"s{number}_{mate}.fq.gz").touch()
        rows.append(f"s{number}|1|s{number}_1.fq.gz|s{number}_2.fq.gz|p{number}|0|x")
    (tmp_path / "samples.tsv").write_text(table(*rows))
    start = time.process_time()
    sheet = read_sample_sheet("samples.tsv", tmp_path)
    assert time.process_time() - start < 1.0
    assert len(sheet.samples) == 10_000
