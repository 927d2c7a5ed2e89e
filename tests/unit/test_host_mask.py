"""Masking of a host genome where bacteria resemble it."""

import argparse
import gzip
import random
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermentome import command_build_host
from fermentome.databases.host_mask import (
    HOST_STRETCH,
    find_mask,
    join_fasta,
    mask_fasta,
    masked_bases,
    merge,
    minimap2_version,
    read_bed,
    sequence_lengths,
    write_bed,
)
from fermentome.databases.manifest import check_files, read_manifest
from fermentome.errors import DatabaseError, FermentomeError, ReferenceFolderError

INTERVALS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)).map(lambda p: (p[0], sum(p))))


def bases(seed, count):
    return "".join(random.Random(seed).choices("ACGT", k=count))


def mutated(text, seed, every):
    """A copy with another base at about one position of `every`."""
    chance = random.Random(seed)
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    return "".join(other[base] if chance.random() < 1 / every else base for base in text)


def fasta(path, **sequences):
    path.write_text("".join(f">{name} note\n{text}\n" for name, text in sequences.items()))
    return path


def mapped(index, reads, folder):
    """How many reads minimap2 takes for the host's, as the workflow calls it."""
    path = folder / "reads.fa"
    path.write_text("".join(f">r{n}\n{read}\n" for n, read in enumerate(reads)))
    sam = subprocess.run(
        ["minimap2", "-a", "-x", "sr", index, path], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split("\t") for line in sam.splitlines() if not line.startswith("@")]
    return len({row[0] for row in rows if not int(row[1]) & 4})


def reads_of(text, length=100, step=20):
    return [text[start : start + length] for start in range(0, len(text) - length + 1, step)]


# --- masks ----------------------------------------------------------------------------------------


@given(INTERVALS)
def test_merged_intervals_cover_the_same_bases_and_lie_apart(intervals):
    merged = merge(intervals)
    assert {b for s, e in merged for b in range(s, e)} == {
        b for s, e in intervals for b in range(s, e)
    }
    assert all(one[1] < two[0] for one, two in zip(merged, merged[1:], strict=False))


def test_masked_bases_are_n_and_all_else_is_as_it_was(tmp_path):
    text = "acgtACGTRY" * 20
    source = fasta(tmp_path / "a.fa", x=text, y="ACGT")
    mask_fasta(source, {"x": [(0, 3), (195, 200)]}, tmp_path / "b.fa.gz")
    lines = gzip.decompress((tmp_path / "b.fa.gz").read_bytes()).decode().splitlines()
    assert lines[0] == ">x note"
    assert "".join(lines[1:5]) == "NNN" + text[3:195] + "NNNNN"
    assert {len(line) for line in lines[1:4]} == {60}
    assert lines[5:] == [">y note", "ACGT"]


def test_compressed_genome_has_the_same_bytes_whatever_its_name_and_time(tmp_path):
    source = fasta(tmp_path / "a.fa", x=bases(1, 500))
    mask_fasta(source, {}, tmp_path / "b.fa.gz")
    mask_fasta(source, {}, tmp_path / "c.fa.gz")
    assert (tmp_path / "b.fa.gz").read_bytes() == (tmp_path / "c.fa.gz").read_bytes()
    assert (tmp_path / "b.fa.gz").read_bytes()[3:8] == bytes(5)  # no file name, no time


def test_long_sequences_are_masked_across_blocks(tmp_path):
    text = bases(2, 2_500_000)
    source = fasta(tmp_path / "a.fa", x=text)
    mask_fasta(source, {"x": [(1_048_500, 1_048_700)]}, tmp_path / "b.fa")
    masked = "".join((tmp_path / "b.fa").read_text().splitlines()[1:])
    assert masked == text[:1_048_500] + "N" * 200 + text[1_048_700:]


def test_mask_survives_a_round_trip(tmp_path):
    mask = {"x": [(0, 5), (9, 12)], "y": [(1, 2)]}
    write_bed(tmp_path / "m.bed", mask)
    assert read_bed(tmp_path / "m.bed", {"x": 12, "y": 2}) == mask


def test_bed_with_comments_more_columns_and_overlaps_is_read(tmp_path):
    (tmp_path / "m.bed").write_text("#x\ntrack name=y\nx\t5\t9\tname\t0\n\nx\t0\t6\n")
    assert read_bed(tmp_path / "m.bed", {"x": 9}) == {"x": [(0, 9)]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x 1 2", "line 1: 'x 1 2'; expected sequence, start and end"),
        ("x\t-1\t2", "line 1: .*expected sequence"),
        ("x\t5\t11", "line 1: x:5-11 is not within a sequence of the host, where 'x' has 10 bases"),
        ("x\t5\t5", "x:5-5 is not within"),
        ("chr1\t0\t5", "'chr1' has 0 bases"),
    ],
)
def test_mask_of_another_genome_is_refused(tmp_path, line, message):
    (tmp_path / "m.bed").write_text(line + "\n")
    with pytest.raises(DatabaseError, match=message):
        read_bed(tmp_path / "m.bed", {"x": 10})


def test_files_are_joined_with_whole_lines_between(tmp_path):
    (tmp_path / "a.fa").write_text(">a\nACGT")
    (tmp_path / "b.fa.gz").write_bytes(gzip.compress(b">b\nGG\n"))
    join_fasta([tmp_path / "a.fa", tmp_path / "b.fa.gz"], tmp_path / "all.fa")
    assert sequence_lengths(tmp_path / "all.fa") == {"a": 4, "b": 2}


def test_sequence_that_stands_twice_is_named(tmp_path):
    (tmp_path / "a.fa").write_text(">a one\nACGT\n>a two\nACGT\n")
    with pytest.raises(DatabaseError, match="sequence 'a' stands twice"):
        sequence_lengths(tmp_path / "a.fa")


# --- what bacteria share with the host ------------------------------------------------------------


@pytest.fixture
def shared(tmp_path):
    """Host, and a bacterium of which 200 bases are like the host's at 90 % identity.

    They stand on the host twice.
    """
    alike = bases(3, 200)
    host = bases(4, 3000) + alike + bases(5, 3000) + alike + bases(7, 3000)
    like = mutated(alike, 8, 10)
    bacterium = bases(9, 4000) + like + bases(10, 4000)
    fasta(tmp_path / "host.fa", chr1=host)
    fasta(tmp_path / "bacterium.fna", contig=bacterium)
    return tmp_path, bacterium, host


def test_shared_regions_are_masked_wherever_they_stand(shared):
    folder, _, _ = shared
    mask, report = find_mask(folder / "host.fa", {"b": folder / "bacterium.fna"}, folder, 1)
    first, second = mask["chr1"]
    assert 2990 <= first[0] < first[1] <= 3210
    assert 6190 <= second[0] < second[1] <= 6410
    assert masked_bases(mask) > 2 * 100
    assert report.left == 0
    assert report.by_genome == {"b": report.shared}
    assert report.host_dna == []


def test_bacterial_reads_are_kept_and_host_reads_still_go(shared):
    folder, bacterium, host = shared
    mask, _ = find_mask(folder / "host.fa", {"b": folder / "bacterium.fna"}, folder, 1)
    mask_fasta(folder / "host.fa", mask, folder / "masked.fa")
    bacterial = reads_of(bacterium)
    assert mapped(folder / "host.fa", bacterial, folder) > 0
    assert mapped(folder / "masked.fa", bacterial, folder) == 0
    human = reads_of(host[:2900]) + reads_of(host[6500:])
    assert mapped(folder / "masked.fa", human, folder) == len(human)


def test_mask_does_not_depend_on_threads(shared):
    folder, _, _ = shared
    genomes = {"b": folder / "bacterium.fna"}
    one, _ = find_mask(folder / "host.fa", genomes, folder, 1)
    two, _ = find_mask(folder / "host.fa", genomes, folder, 2)
    assert one == two


def test_given_mask_is_part_of_the_result(shared):
    folder, _, _ = shared
    genomes = {"b": folder / "bacterium.fna"}
    mask, _ = find_mask(folder / "host.fa", genomes, folder, 1, {"chr1": [(10, 20)]})
    assert mask["chr1"][0] == (10, 20)
    assert len(mask["chr1"]) == 3


def test_genomes_without_likeness_mask_nothing(tmp_path):
    host = fasta(tmp_path / "host.fa", chr1=bases(11, 5000))
    genome = fasta(tmp_path / "b.fna", contig=bases(12, 5000))
    mask, report = find_mask(host, {"b": genome}, tmp_path, 1)
    assert (mask, report.shared, report.rounds) == ({}, 0, 1)


def test_host_dna_in_an_assembly_is_reported_and_not_masked(tmp_path):
    host = bases(13, 6000)
    stretch = host[1000 : 1000 + HOST_STRETCH + 300]
    genome = bases(14, 4000) + stretch + bases(15, 4000)
    fasta(tmp_path / "host.fa", chr1=host)
    fasta(tmp_path / "b.fna", contig=genome)
    mask, report = find_mask(tmp_path / "host.fa", {"b": tmp_path / "b.fna"}, tmp_path, 1)
    assert mask == {}
    (found,) = report.host_dna
    assert (found.genome, found.contig) == ("b", "contig")
    assert 3990 <= found.start <= 4010
    assert 4000 + len(stretch) - 10 <= found.end <= 4000 + len(stretch) + 10


def test_contig_that_is_a_like_copy_of_a_host_repeat_is_not_masked(tmp_path):
    host = bases(16, 6000)
    fasta(tmp_path / "host.fa", chr1=host)
    repeat = mutated(host[2000:2400], 17, 12)
    fasta(tmp_path / "b.fna", chromosome=bases(18, 4000), small=repeat)
    mask, report = find_mask(tmp_path / "host.fa", {"b": tmp_path / "b.fna"}, tmp_path, 1)
    assert mask == {}
    assert [(dna.contig, dna.start, dna.end) for dna in report.host_dna] == [("small", 0, 400)]


def test_genome_that_cannot_be_read_is_named(tmp_path):
    host = fasta(tmp_path / "host.fa", chr1=bases(19, 2000))
    (tmp_path / "b.fna").write_text("no fasta")
    with pytest.raises(DatabaseError, match=r"b\.fna: .*not with '>'"):
        find_mask(host, {"b": tmp_path / "b.fna"}, tmp_path, 1)


# --- command --------------------------------------------------------------------------------------


def build(folder, *words):
    parser = argparse.ArgumentParser()
    command_build_host.add_arguments(parser)
    arguments = parser.parse_args([str(word) for word in words])
    arguments.name, arguments.version = "mine", "2"
    folder.mkdir()
    command_build_host.build(arguments, folder)
    return folder


def test_database_holds_genome_index_mask_and_report(shared):
    folder, bacterium, host = shared
    words = ("--fasta", folder / "host.fa", "--mask-with", folder / "bacterium.fna")
    out = build(folder / "out", *words, "--threads", 1)
    manifest = read_manifest(out)
    assert (manifest.reference, manifest.kind, manifest.engine) == ("mine@2", "host", "minimap2")
    assert manifest.tools == {"minimap2": minimap2_version()}
    assert [source.url for source in manifest.sources] == ["host.fa", "sources.tsv"]
    assert check_files(out, manifest) == []
    masked = masked_bases(read_bed(out / "mask.bed", {"chr1": len(host)}))
    assert manifest.parameters["masked_bases"] == masked > 0
    assert (out / "mask.tsv").read_text().splitlines()[1].split("\t")[:3] == [
        "chr1", str(len(host)), str(masked)
    ]  # fmt: skip
    assert mapped(out / "host.mmi", reads_of(bacterium), folder) == 0
    assert mapped(out / "host.mmi", reads_of(host[:2900]), folder) == len(reads_of(host[:2900]))


def test_database_has_the_same_bytes_with_any_number_of_threads(shared):
    folder, _, _ = shared
    words = ("--fasta", folder / "host.fa", "--mask-with", folder / "bacterium.fna")
    one = build(folder / "one", *words, "--threads", 1)
    two = build(folder / "two", *words, "--threads", 2)
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name


def test_mask_file_alone_is_applied_and_further_sequences_are_added(tmp_path):
    fasta(tmp_path / "a.fa", chr1=bases(20, 1000))
    fasta(tmp_path / "hla.fa", allele=bases(21, 300))
    (tmp_path / "m.bed").write_text("chr1\t100\t200\n")
    words = ("--fasta", tmp_path / "a.fa", tmp_path / "hla.fa", "--mask", tmp_path / "m.bed")
    out = build(tmp_path / "out", *words)
    lines = gzip.decompress((out / "host.fa.gz").read_bytes()).decode().split(">")[1:]
    assert [entry.count("N") for entry in lines] == [100, 0]
    assert (out / "mask.bed").read_text() == "chr1\t100\t200\n"
    assert not (out / "host_dna.tsv").exists()


def test_host_that_is_no_genome_is_refused(tmp_path):
    (tmp_path / "a.fa").write_text(">a\nMKLVWE\n")
    with pytest.raises(ReferenceFolderError, match="is it a protein file"):
        build(tmp_path / "out", "--fasta", tmp_path / "a.fa")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"/b\.fa: is empty"),
        ("<html>", r"/b\.fa: begins with b'<'"),
        (">b\nMKLVWEMKLVWEMKLVWE\n", r"/a\.fa and .*/b\.fa: .* is it a protein file"),
    ],
)
def test_host_that_is_no_genome_is_named_as_the_user_does(tmp_path, text, message):
    fasta(tmp_path / "a.fa", chr1="ACGT")
    (tmp_path / "b.fa").write_text(text)
    with pytest.raises(FermentomeError, match=f"^{tmp_path}{message}"):
        build(tmp_path / "out", "--fasta", tmp_path / "a.fa", tmp_path / "b.fa")


@pytest.mark.parametrize("option", ["--fasta", "--mask"])
def test_missing_file_is_named(tmp_path, option):
    fasta(tmp_path / "a.fa", chr1="ACGT")
    given = {"--fasta": tmp_path / "a.fa"} | {option: tmp_path / "gone"}
    with pytest.raises(DatabaseError, match="gone: no such file"):
        build(tmp_path / "out", *(word for pair in given.items() for word in pair))
