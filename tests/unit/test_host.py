import gzip
import struct

import pytest

from fermentome.errors import ReferenceFolderError
from fermentome.host import BLOCK, check_host, measure_fasta, measure_index
from fermentome.tables import read_table


def test_sequences_and_bases_are_counted(tmp_path):
    path = tmp_path / "h.fa"
    path.write_text(">a\nACGT\nAC\n>b some words ACGT\nNNNN\n")
    assert measure_fasta(path) == (2, 10)


def test_headers_at_the_border_of_blocks_are_counted(tmp_path):
    path = tmp_path / "h.fa"
    for length in (BLOCK - 4, BLOCK - 3, BLOCK - 2, BLOCK - 1, BLOCK):
        path.write_text(">a\n" + "A" * length + "\n>b long name\nACGT\n")
        assert measure_fasta(path) == (2, length + 4)


def test_table_names_the_file_without_its_folder(tmp_path):
    with gzip.open(tmp_path / "h.fa.gz", "wt") as out:
        out.write(">a\nACGT\n")
    check_host(tmp_path / "h.fa.gz", tmp_path / "t.tsv")
    assert read_table(tmp_path / "t.tsv") == [{"file": "h.fa.gz", "sequences": "1", "bases": "4"}]


def test_truncated_reference_is_refused(tmp_path):
    data = gzip.compress(b">a\n" + b"ACGTTGCA" * 10_000)
    (tmp_path / "h.fa.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ReferenceFolderError, match="cut off or damaged"):
        check_host(tmp_path / "h.fa.gz", tmp_path / "t.tsv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no sequence"),
        (">a\n", "holds no sequence"),
        ("@r\nACGT\n+\nIIII\n", "begins with b'@'"),
        (">a\nMKLVWWDEFHIKLPQRSY\n", "is it a protein file"),
    ],
)
def test_file_that_is_no_genome_is_refused(tmp_path, content, message):
    (tmp_path / "h.fa").write_text(content)
    with pytest.raises(ReferenceFolderError, match=message):
        check_host(tmp_path / "h.fa", tmp_path / "t.tsv")


def test_index_is_known_by_its_header(tmp_path):
    path = tmp_path / "h.mmi"
    path.write_bytes(b"MMI\2" + struct.pack("<5I", 11, 21, 14, 3, 0))
    assert measure_index(path) == 3


@pytest.mark.parametrize("content", [b"", b"MMI\2", b">a\nACGT\n" * 9])
def test_file_that_is_no_index_is_refused(tmp_path, content):
    (tmp_path / "h.mmi").write_bytes(content)
    with pytest.raises(ReferenceFolderError, match="not a minimap2 index"):
        measure_index(tmp_path / "h.mmi")
