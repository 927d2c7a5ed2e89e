"""Ingest of read files: what is counted, and how damage is told."""

import gzip
import hashlib
import json
import random
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermentome import ingest
from fermentome.errors import ReadsError
from fermentome.ingest import ingest_run, write_ingest_report

REAL = Path(__file__).parents[3] / "shared/data/reads"


def fastq(*records):
    """FASTQ text of (name, sequence, qualities)."""
    return "".join(
        f"@{name}\n{sequence}\n+\n{qualities}\n" for name, sequence, qualities in records
    ).encode()


def reads(count, name="r{}", length=4):
    return fastq(
        *((name.format(i), "ACGT" * (length // 4), "I" * length) for i in range(1, count + 1))
    )


@pytest.fixture
def run(tmp_path):
    """Ingest the given contents as files of one run; `.gz` is packed if given as bytes."""

    def ingest_contents(*contents, names=("x_R1.fastq", "x_R2.fastq")):
        paths = []
        for name, content in zip(names, contents, strict=False):
            (tmp_path / name).write_bytes(content)
            paths.append(tmp_path / name)
        return ingest_run("s", "1", paths)

    return ingest_contents


def run_gz(run, *contents):
    return run(*contents, names=("x_R1.fastq.gz", "x_R2.fastq.gz"))


# Sound files ---------------------------------------------------------------------------------


def test_counts_lengths_and_checksums_of_a_pair(run):
    first = fastq(("a", "ACGT", "IIII"), ("b", "ACGTAC", "IIIIII"))
    second = fastq(("a", "GG", "#I"), ("b", "ACGT", "IIII"))
    packed = gzip.compress(first)
    report = run(packed, second, names=("x_R1.fq.gz", "x_R2.fq"))
    assert (report.status, report.reason, report.layout) == ("ok", "", "paired")
    assert (report.reads, report.bases) == (4, 16)
    assert report.length == {"min": 2, "mean": 4.0, "max": 6}
    assert report.length_histogram == {2: 1, 4: 2, 6: 1}
    assert report.quality_encoding == "phred33"
    assert [(file.path_name, file.bytes, file.gzip) for file in report.files] == [
        ("x_R1.fq.gz", len(packed), True),
        ("x_R2.fq", len(second), False),
    ]
    assert [file.sha256 for file in report.files] == [
        hashlib.sha256(packed).hexdigest(),
        hashlib.sha256(second).hexdigest(),
    ]


def test_single_end_run(run):
    report = run(reads(3))
    assert (report.status, report.layout, report.reads) == ("ok", "single", 3)


def test_json_has_the_agreed_keys_and_no_folder_names(run, tmp_path):
    report = run(fastq(("a", "ACGT" * 25, "I" * 100), ("b", "ACGT", "IIII")))
    write_ingest_report(report, tmp_path / "r.json", tmp_path / "r.status")
    text = (tmp_path / "r.json").read_text()
    assert json.loads(text) == {
        "sample": "s",
        "run": "1",
        "layout": "single",
        "status": "ok",
        "reason": "",
        "files": [
            {
                "path_name": "x_R1.fastq",
                "sha256": report.files[0].sha256,
                "bytes": 222,
                "gzip": False,
            }
        ],
        "reads": 2,
        "bases": 104,
        "length": {"min": 4, "mean": 52.0, "max": 100},
        "length_histogram": {"4": 1, "100": 1},
        "quality_encoding": "phred33",
    }
    assert str(tmp_path) not in text
    assert text.index('"4"') < text.index('"100"')
    assert (tmp_path / "r.status").read_text() == "ok\n"


@pytest.mark.parametrize(
    "text",
    [
        reads(2).replace(b"\n", b"\r\n"),
        reads(2).rstrip(b"\n"),
        b"@a\nACGT\n+a\nIIII\n@b\nACGT\n+b\nIIII\n",
        b"@a\nACGT\n+\n@III\n@b\nACGT\n+\n+III\n",
        b"@a\nACGTNRYSWKMBDHV\n+\nIIIIIIIIIIIIIII\n@b\nN\n+\n!\n",
        b"@a\n\n+\n\n@b\nA\n+\nI\n",
    ],
    ids=["CRLF", "no line end", "name after +", "quality like a mark", "IUPAC", "read of no bases"],
)
def test_legal_variants_of_fastq(run, text):
    report = run(text)
    assert (report.status, report.reason, report.reads) == ("ok", "", 2)


def test_gzip_of_several_members_is_read_whole(run):
    members = b"".join(gzip.compress(reads(5, f"m{member}." + "{}")) for member in range(4))
    members += gzip.compress(b"")
    assert run_gz(run, members).reads == 20


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"", ("x.fastq",)),
        (b"", ("x.fastq.gz",)),
        (gzip.compress(b""), ("x.fastq.gz",)),
        (gzip.compress(b"") * 3, ("x.fastq.gz",)),
    ],
)
def test_file_without_records_is_empty(run, content, names):
    report = run(content, names=names)
    assert (report.status, report.reason, report.reads) == ("empty", "", 0)
    assert report.length == {"min": None, "mean": None, "max": None}
    assert report.quality_encoding is None
    assert report.files[0].sha256 == hashlib.sha256(content).hexdigest()


def test_pair_without_records_is_empty_though_both_files_are_the_same(run):
    assert run(b"", b"").status == "empty"


def test_order_of_records_in_batches_does_not_change_the_sums(run):
    random.seed(1)
    lengths = [random.randint(1, 150) for _ in range(3000)]
    report = run(fastq(*((str(i), "A" * n, "I" * n) for i, n in enumerate(lengths))))
    assert report.reads == 3000
    assert report.bases == sum(lengths)
    assert report.length_histogram == {n: lengths.count(n) for n in set(lengths)}


# Damaged gzip --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed():
    """Gzip of 3,000 random reads, large enough for several chunks."""
    random.seed(2)
    text = fastq(
        *((f"r{i}", "".join(random.choices("ACGT", k=100)), "I" * 100) for i in range(1, 3001))
    )
    return gzip.compress(text)


@pytest.mark.parametrize("left", [3, 12, 1000, -200, -8, -1])
def test_truncated_gzip_is_named(run, packed, left):
    report = run_gz(run, packed[:left])
    assert report.status == "failed"
    assert re.match(r"x_R1.fastq.gz, after record \d+: the gzip data end too early", report.reason)


@pytest.mark.parametrize("position", [0.1, 0.5, 0.9])
def test_flipped_byte_is_blamed_on_gzip_even_if_it_unpacks_to_nonsense(run, packed, position):
    damaged = bytearray(packed)
    damaged[int(len(damaged) * position)] ^= 0xFF
    report = run_gz(run, bytes(damaged))
    assert report.status == "failed"
    assert re.match(r"x_R1.fastq.gz, after record \d+: the gzip", report.reason)
    assert "damaged" in report.reason
    assert report.files[0].sha256 == hashlib.sha256(damaged).hexdigest()


def test_wrong_gzip_checksum_is_named(run, packed):
    report = run_gz(run, packed[:-8] + b"\0\0\0\0" + packed[-4:])
    assert "the gzip checksum does not fit" in report.reason


def test_bytes_after_gzip_are_named(run, packed):
    report = run_gz(run, packed + b"trailing bytes")
    assert report.reason.startswith(
        "x_R1.fastq.gz: the gzip data are followed by bytes that are not gzip"
    )


def test_zeros_after_gzip_are_padding(run, packed):
    assert run_gz(run, packed + b"\0" * 512).status == "ok"


def test_checksum_covers_the_whole_file_though_reading_stopped(run):
    text = b"@a\nAC\n+\nI\n" + reads(50_000)
    report = run(text)
    assert report.status == "failed"
    assert report.files[0].sha256 == hashlib.sha256(text).hexdigest()
    assert report.files[0].bytes == len(text)


def test_gzip_that_is_not_named_so_and_the_reverse(run):
    assert "rename it to end with .gz" in run(gzip.compress(reads(1)), names=("x.fastq",)).reason
    assert "is not gzip, but its name says so" in run(reads(1), names=("y.fastq.gz",)).reason


# Damaged FASTQ -------------------------------------------------------------------------------

GOOD = reads(2)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (GOOD + b"@r3\nACG\n+\nIIII\n" + GOOD, "record 3 (line 12)", "differ in length"),
        (GOOD + b"@r3\nACGT\n+\nIII", "record 3 (line 12)", "differ in length"),
        (GOOD + b"@r3\nACGT\nIIII\n" + GOOD, "record 3 (line 11)", "where '+' was expected"),
        (GOOD + b"r3\nACGT\n+\nIIII\n", "record 3 (line 9)", "starts with 'r' where '@'"),
        (GOOD + b"\n" + GOOD, "record 3 (line 9)", "a blank line stands where '@' was expected"),
        (GOOD + b"\n", "record 3", "blank lines follow the last record"),
        (GOOD + b"\r\n\r\n", "record 3", "blank lines follow the last record"),
        (GOOD + b"@r3\nACGT\n", "record 3", "the file ends in the middle of this record"),
        (GOOD + b"@r3\nACGT\n+r9\nIIII\n", "record 3 (line 11)", "name after '+' differs"),
        (GOOD + b"@r3\nAC-T\n+\nIIII\n", "record 3 (line 10)", "the sequence holds '-'"),
        (GOOD + b"@r3\nAC1T\n+\nIIII\n", "record 3 (line 10)", "the sequence holds '1'"),
        (GOOD + b"@r3\nACUT\n+\nIIII\n", "record 3 (line 10)", "the sequence holds 'U'"),
        (GOOD + b"@r3\nACgT\n+\nIIII\n", "record 3 (line 10)", "'g', a base in lower case"),
        (GOOD + b"@r3\nACGn\n+\nIIII\n", "record 3 (line 10)", "'n', a base in lower case"),
        (GOOD + b"@r3\nAC-g\n+\nIIII\n", "record 3 (line 10)", "the sequence holds '-'"),
        (GOOD + b"@r3\nACGT\n+\nII I\n", "record 3 (line 12)", "the character number 32"),
        (GOOD + b"@r3\nACGT\n+\nII\x7fI\n", "record 3 (line 12)", "the character number 127"),
        (GOOD + b"@r3\nAC\x80T\n+\nIIII\n", "record 3 (line 10)", "the byte 0x80"),
        (GOOD + b"@r3 caf\xc3\xa9\nACGT\n+\nIIII\n", "record 3 (line 9)", "the byte 0xc3"),
        (b"\n" + GOOD, "record 1 (line 1)", "the line is blank where '@'"),
        (b"ACGT\n+\nIIII\n", "record 1 (line 1)", "starts with 'A' where '@'"),
    ],
)
def test_broken_record_is_named(run, text, place, problem):
    report = run(text)
    assert report.status == "failed"
    assert report.reason.startswith(f"x_R1.fastq, {place}")
    assert problem in report.reason
    assert " Hint: " in report.reason


def test_record_numbers_hold_beyond_the_first_batches(run):
    report = run(reads(100_000) + b"@bad\nAC*T\n+\nIIII\n" + reads(10))
    assert report.reason.startswith("x_R1.fastq, record 100001 (line 400002): the sequence")
    report = run(reads(100_000) + b"@bad\xff\nACGT\n+\nIIII\n" + reads(10))
    assert report.reason.startswith("x_R1.fastq, record 100001 (line 400001): the byte 0xff")


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b">r1\nACGT\n", "FASTA"),
        (b"BZh91AY", "bzip2"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b"CRAM\x03", "CRAM"),
        (b"NCBI.sra", "SRA"),
        (b"<!DOCTYPE html>", "web page"),
        (b"\xef\xbb\xbf@r1\nA\n+\nI\n", "byte order mark"),
    ],
)
def test_other_kinds_of_files_are_named(run, start, kind):
    assert kind in run(start).reason


def test_other_kinds_of_files_are_named_inside_gzip(run):
    assert "gzip twice" in run_gz(run, gzip.compress(gzip.compress(GOOD))).reason
    assert "BAM" in run_gz(run, gzip.compress(b"BAM\x01")).reason


def test_endless_line_is_refused_before_it_fills_the_memory(run):
    report = run_gz(run, gzip.compress(GOOD + b"@r3\n" + b"A" * 3_000_000))
    assert report.reason.startswith("x_R1.fastq.gz, record 3 (line 10): the line is longer than")


def test_reason_quotes_neither_reads_nor_names(run, tmp_path):
    secret = "SECRETNAME"
    for text in (
        fastq((secret, "ACGTTGCA", "IIII")),
        f"@{secret}\nACGTTGCA\n+{secret}x\nIIIIIIII\n".encode(),
        f"@{secret}\nACGTTGCA\nIIIIIIII\n".encode() * 2,
        f"@{secret}\nACGTTGCA\n".encode(),
    ):
        report = run(text)
        assert report.status == "failed"
        assert secret not in report.to_json()
        assert "ACGTTGCA" not in report.to_json()
    report = run(fastq((secret, "A", "I")), fastq((secret + "x", "A", "I")))
    assert report.status == "failed"
    assert secret not in report.to_json()


# Qualities -----------------------------------------------------------------------------------


def test_phred64_is_refused_with_the_way_out(run):
    report = run(fastq(("a", "ACGT", "Bhhh"), ("b", "ACGT", "`aab")))
    assert (report.status, report.quality_encoding) == ("failed", "phred64")
    assert "from 'B' to 'h', as in phred64" in report.reason
    assert "--phred64" in report.reason


@pytest.mark.parametrize(
    "qualities",
    ["!!!!", "~~~!", "IIII", "JJJJ", "KKKK", "<JJJ", "SSSS", ";;;;", ":hhh"],
)
def test_qualities_that_can_be_phred33_are(run, qualities):
    report = run(fastq(("a", "ACGT", qualities)))
    assert (report.status, report.quality_encoding) == ("ok", "phred33")


def test_one_low_quality_anywhere_settles_phred33(run):
    text = fastq(*((str(i), "ACGT", "hhhh") for i in range(5000)), ("z", "ACGT", "hh#h"))
    assert run(text).quality_encoding == "phred33"


# Pairs ---------------------------------------------------------------------------------------

STYLES = [
    ("M1:{} 1:N:0:ACGT", "M1:{} 2:N:0:ACGT"),
    ("M1:{} 1:Y:18:ACGT+TTTT", "M1:{} 2:N:0:1"),
    ("M1:{}/1", "M1:{}/2"),
    ("M1:{}", "M1:{}"),
    ("SRR1.{} {} length=100", "SRR1.{} {} length=100"),
    ("SRR1.{} M1:7/1", "SRR1.{} M1:7/2"),
    ("SRR1.{}.1", "SRR1.{}.2"),
    ("M1:{}_1", "M1:{}_2"),
    ("M1:{}\t1:N:0:A", "M1:{}\t2:N:0:A"),
]


def in_style(style, numbers):
    return fastq(*((style.replace("{}", str(i)), "ACGT", "IIII") for i in numbers))


@pytest.mark.parametrize("style", STYLES)
def test_mates_of_every_naming_style_are_in_step(run, style):
    numbers = range(1, 2501)
    report = run(in_style(style[0], numbers), in_style(style[1], numbers) + b"")
    identical = style[0] == style[1]
    # Copies of one file are told apart by their content.
    assert report.status == ("failed" if identical else "ok")
    if identical:
        assert "x_R2.fastq has the same content as x_R1.fastq" in report.reason
        second = in_style(style[1], numbers).replace(b"ACGT", b"TTTT")
        assert run(in_style(style[0], numbers), second).status == "ok"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("lost", [1, 2, 1500])
def test_lost_record_is_found_where_it_was_lost(run, style, lost):
    second = [i for i in range(1, 2501) if i != lost]
    report = run(in_style(style[0], range(1, 2501)), in_style(style[1], second))
    assert report.status == "failed"
    assert "the names are not those of two mates" in report.reason
    found = re.match(r"x_R1.fastq and x_R2.fastq, record (\d+) \(line (\d+)\)", report.reason)
    assert int(found[1]) == lost
    assert int(found[2]) == 4 * lost - 3


@pytest.mark.parametrize(("short", "long"), [(0, 1), (1, 0)])
@pytest.mark.parametrize("count", [0, 1, 1024, 1500])
def test_the_file_that_ends_first_is_named(run, short, long, count):
    contents = [b"", b""]
    contents[short] = in_style(f"r{{}}/{short + 1}", range(1, count + 1))
    contents[long] = in_style(f"r{{}}/{long + 1}", range(1, 2001))
    report = run(*contents)
    names = ("x_R1.fastq", "x_R2.fastq")
    assert report.status == "failed"
    assert report.reason.startswith(
        f"{names[short]}, after record {count}: the file ends here and {names[long]} goes on"
    )


@pytest.mark.parametrize("style", [("r{}/1", "r{}/2"), ("r{} 1:N:0:A", "r{} 2:N:0:A")])
def test_swapped_and_doubled_mates_are_told(run, style):
    first, second = (in_style(name, range(1, 5)) for name in style)
    assert "swap reads1 and reads2" in run(second, first).reason
    assert "both hold mates number 1" in run(first, first).reason
    assert "both hold mates number 2" in run(second, second).reason


@pytest.mark.parametrize("style", [("r{}/1", "r{}/2"), ("r{} 1:N:0:A", "r{} 2:N:0:A")])
def test_interleaved_file_without_reads2_is_told(run, style):
    records = b"".join(in_style(name, [i]) for i in range(1, 5) for name in style)
    assert "interleaved" in run(records).reason


def test_single_end_file_of_first_mates_is_no_interleaved_file(run):
    assert run(in_style("r{}/1", range(1, 5))).status == "ok"
    assert run(in_style("SRR1.{}", range(1, 5))).status == "ok"


@pytest.mark.parametrize("style", ["r{}/2", "r{} 2:N:0:ACGT", "SRR1.{} M1:7/2"])
@pytest.mark.parametrize("count", [1, 2500])
def test_single_end_file_of_second_mates_belongs_into_reads2(run, style, count):
    report = run(in_style(style, range(1, count + 1)))
    assert report.status == "failed"
    assert report.reason.startswith("x_R1.fastq: every read is the second mate of a pair")
    assert "Hint: put the file into reads2" in report.reason


@pytest.mark.parametrize("other", ["x/1", "x", "x 1:N:0:ACGT"])
@pytest.mark.parametrize("position", [0, 1500, 2500])
def test_single_end_file_with_other_reads_beside_second_mates_passes(run, other, position):
    names = [f"r{i}/2" for i in range(2500)]
    names.insert(position, other)
    assert run(fastq(*((name, "ACGT", "IIII") for name in names))).status == "ok"


def test_lower_case_comes_with_the_way_to_upper_case(run):
    assert "seqtk seq -U" in run(b"@a\nacgt\n+\nIIII\n").reason


def test_damage_in_the_second_file_is_told_of_the_second(run):
    report = run(reads(3), reads(2) + b"@r3\nA\n+\n\n")
    assert report.reason.startswith("x_R2.fastq, record 3 (line 12)")


names = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="@"),
    min_size=1,
    max_size=20,
)


@given(stems=st.lists(names, min_size=1, max_size=5), style=st.sampled_from(["/", " {}:N:0:A"]))
def test_any_name_with_the_mate_number_is_in_step(tmp_path_factory, stems, style):
    folder = tmp_path_factory.mktemp("names")
    for mate in (1, 2):
        suffix = f"/{mate}" if style == "/" else style.format(mate)
        if style != "/":
            # A name that itself ends like a mate's number speaks for itself.
            stems = [stem + "x" for stem in stems]
        text = fastq(*((f"{stem}{suffix}", "ACGT"[mate:], "III"[: 4 - mate]) for stem in stems))
        (folder / f"{mate}.fq").write_bytes(text)
        if style != "/":
            stems = [stem[:-1] for stem in stems]
    assert ingest_run("s", "1", [folder / "1.fq", folder / "2.fq"]).status == "ok"


# What is no property of the content ----------------------------------------------------------


def test_missing_file_is_an_error_and_no_result(tmp_path):
    with pytest.raises(ReadsError, match="gone.fastq: cannot be opened .No such file"):
        ingest_run("s", "1", [tmp_path / "gone.fastq"])


def test_first_file_is_closed_if_the_second_is_missing(tmp_path):
    # An open file would warn, and warnings are errors here.
    (tmp_path / "x.fastq").write_bytes(GOOD)
    with pytest.raises(ReadsError):
        ingest_run("s", "1", [tmp_path / "x.fastq", tmp_path / "gone.fastq"])


def test_failing_disk_is_an_error_and_no_result(tmp_path, monkeypatch):
    (tmp_path / "x.fastq").write_bytes(GOOD)

    def fail(self, buffer):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(ingest._HashedFile, "readinto", fail)
    with pytest.raises(ReadsError, match="reading broke off .*Input/output error"):
        ingest_run("s", "1", [tmp_path / "x.fastq"])


@pytest.mark.parametrize("count", [0, 3])
def test_a_run_has_one_or_two_files(tmp_path, count):
    with pytest.raises(ValueError, match="one or two"):
        ingest_run("s", "1", [tmp_path / "x"] * count)


def test_memory_does_not_grow_with_reads(run):
    peaks = []
    for count in (5_000, 50_000):
        packed = gzip.compress(reads(count, length=100), compresslevel=1)
        tracemalloc.start()
        assert run_gz(run, packed).reads == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2
    assert peaks[1] < 10_000_000


# Real reads ----------------------------------------------------------------------------------

#: Pairs, or single reads, by the README of the shared data.
COUNTS = {
    "ERR878216": 25_000,
    "SRR769403_mgx": 10_000,
    "metawibele1": 20_000,
    "ERR10889147": 8_379,
    "stag_hostrich1": 10_000,
    "HD48R4": 30_251,
}


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared data are absent")
@pytest.mark.parametrize("sample", COUNTS)
def test_real_reads_are_sound_and_counted(sample):
    single = REAL / f"{sample}_SE.fastq.gz"
    paths = (
        [single] if single.exists() else [REAL / f"{sample}_R{mate}.fastq.gz" for mate in (1, 2)]
    )
    report = ingest_run(sample, "1", paths)
    assert (report.status, report.reason) == ("ok", "")
    assert report.reads == COUNTS[sample] * len(paths)
    assert report.quality_encoding == "phred33"
