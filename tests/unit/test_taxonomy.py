import gzip
import math
import random

import dnaio
import pytest

from fermentome.errors import LineageError, ReferenceFolderError
from fermentome.flow import SampleFlow
from fermentome.lineage import parse_lineage
from fermentome.taxonomy import (
    UNCLASSIFIED,
    ErrorCounter,
    TaxonAbundance,
    ani_tolerance,
    build_database,
    count_reads,
    detectable_abundance,
    list_genomes,
    load_database,
    median_genome_size,
    profile_reads,
    summarise_species,
    taxonomy_status,
)

ONE = parse_lineage("d__Bacteria;p__P;c__C;o__O;f__F;g__Gone;s__Gone one")
TWO = parse_lineage("d__Bacteria;p__P;c__C;o__O;f__F;g__Gtwo;s__Gtwo two")


def random_genome(seed, length=200_000):
    return "".join(random.Random(seed).choices("ACGT", k=length))


def write_pairs(path, genome, pairs, seed=1, read=150, insert=300):
    rng = random.Random(seed)
    complement = str.maketrans("ACGT", "TGCA")
    with path.open("w") as out:
        for n in range(pairs):
            start = rng.randrange(len(genome) - insert)
            first = genome[start : start + read]
            second = genome[start + insert - read : start + insert][::-1].translate(complement)
            for mate, sequence in ((1, first), (2, second)):
                out.write(f"@r:{n}/{mate}\n{sequence}\n+\n{'I' * read}\n")
    return path


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("db")
    (folder / "one.fna").write_text(f">c\n{random_genome(1)}\n")
    (folder / "two.fna").write_text(f">c\n{random_genome(2)}\n")
    build_database(list_genomes(folder.iterdir()), {"one": ONE, "two": TWO}, 50, folder / "x.syldb")
    return load_database(folder / "x.syldb")


LINEAGES = {"one": ONE, "two": TWO}


def test_species_of_the_reads_is_found_and_all_shares_add_up_to_one(tmp_path, database):
    reads = write_pairs(tmp_path / "a.fastq", random_genome(1), 4000)
    species = profile_reads([reads], [], database, LINEAGES, 95.0, 50)
    assert [row.taxon for row in species] == ["Gone one", UNCLASSIFIED]
    assert sum(row.relative_abundance for row in species) == pytest.approx(1)
    assert species[0].ani > 99.5
    assert species[0].coverage == pytest.approx(4000 * 300 / 200_000, rel=0.15)


def test_reads_of_an_unknown_genome_are_unclassified(tmp_path, database):
    reads = write_pairs(tmp_path / "a.fastq", random_genome(3), 3000)
    species = profile_reads([reads], [], database, LINEAGES, 95.0, 50)
    assert [(row.taxon, row.relative_abundance) for row in species] == [(UNCLASSIFIED, 1.0)]


def test_single_reads_can_be_profiled(tmp_path, database):
    reads = write_pairs(tmp_path / "a.fastq", random_genome(2), 3000)
    species = profile_reads([], [reads], database, LINEAGES, 95.0, 50)
    assert species[0].taxon == "Gtwo two"


def test_overlapping_mates_beside_single_reads_are_not_counted_twice(tmp_path, database):
    # Fragments of 200 with mates of 150: half of what the mates show is the same bases.
    paired = write_pairs(tmp_path / "p.fastq", random_genome(1), 500, insert=200)
    single = write_pairs(tmp_path / "s.fastq", random_genome(1), 20, seed=2)
    species = profile_reads([paired], [single], database, LINEAGES, 95.0, 50)
    assert species[0].taxon == "Gone one"
    assert species[0].ani > 99
    assert species[0].coverage == pytest.approx((500 + 40) * 150 / 200_000, rel=0.4)


def test_genome_known_to_its_genus_only_says_so():
    genus = parse_lineage("d__Bacteria;p__P;c__C;o__O;f__F;g__Gone;s__")
    (row, _) = summarise_species([("a", 1.0, 0.5, 1.0, 99.0)], {"a": genus})
    assert (row.taxon, row.rank) == ("Gone", "genus")


def test_two_lanes_equal_their_concatenation(tmp_path, database):
    one = write_pairs(tmp_path / "1.fastq", random_genome(1), 2000, seed=1)
    two = write_pairs(tmp_path / "2.fastq", random_genome(1), 2000, seed=2)
    both = tmp_path / "b.fastq"
    both.write_text(one.read_text() + two.read_text())
    assert repr(profile_reads([one, two], [], database, LINEAGES, 95.0, 50)) == repr(
        profile_reads([both], [], database, LINEAGES, 95.0, 50)
    )


def test_genomes_of_one_species_are_added_up():
    # Known share of the reads 0.8; the two genomes hold 0.6 and 0.4 of the known cells.
    species = summarise_species(
        [("a", 0.6, 0.5, 3.0, 98.0), ("b", 0.4, 0.3, 2.0, 99.0)], {"a": ONE, "b": ONE}
    )
    assert len(species) == 2
    assert species[0].relative_abundance == pytest.approx(0.8)
    assert species[0].coverage == 5
    assert species[0].ani == 99
    assert species[1].sequence_abundance == pytest.approx(0.2)
    assert math.isnan(species[1].ani)


def test_detected_genome_without_lineage_is_an_error():
    with pytest.raises(LineageError, match="'a' of the taxonomic database has no row"):
        summarise_species([("a", 1.0, 1.0, 1.0, 99.0)], {})


def test_genome_without_lineage_stops_the_build(tmp_path):
    (tmp_path / "one.fna").write_text(">c\nACGT\n")
    with pytest.raises(LineageError, match=r"1 of 1 genomes .* 'one'"):
        build_database(list_genomes(tmp_path.iterdir()), {}, 50, tmp_path / "x.syldb")


def test_folder_without_genomes_is_an_error(tmp_path):
    with pytest.raises(ReferenceFolderError, match="no genome found"):
        list_genomes(tmp_path.iterdir())


def test_genomes_are_found_by_extensions_in_either_case(tmp_path):
    for name in ("a.fna", "b.FA", "d.Fasta.gz", "my E.ffn", "my S.ffn"):
        (tmp_path / name).write_text(">c\nACGT\n")
    (tmp_path / "c.FNA.GZ").write_bytes(gzip.compress(b">c\nACGT\n"))
    for name in ("notes.txt", "x_genomic", "x.gz"):
        (tmp_path / name).touch()
    assert list(list_genomes(tmp_path.iterdir())) == ["a", "b", "c", "d", "my E", "my S"]


def test_genomes_with_upper_case_extensions_and_blanks_are_found_in_reads(tmp_path):
    (tmp_path / "my E.FNA.GZ").write_bytes(gzip.compress(f">c\n{random_genome(1)}\n".encode()))
    (tmp_path / "my S.FA").write_text(f">c\n{random_genome(2)}\n")
    lineages = {"my E": ONE, "my S": TWO}
    build_database(list_genomes(tmp_path.iterdir()), lineages, 50, tmp_path / "x.syldb")
    reads = write_pairs(tmp_path / "a.fastq", random_genome(2), 2000)
    species = profile_reads([reads], [], load_database(tmp_path / "x.syldb"), lineages, 95.0, 50)
    assert [row.taxon for row in species] == ["Gtwo two", UNCLASSIFIED]


def test_genome_in_two_files_is_an_error(tmp_path):
    for name in ("a.fna", "a.FA"):
        (tmp_path / name).write_text(">c\nACGT\n")
    with pytest.raises(ReferenceFolderError, match="a.FA and a.fna are both genome 'a'"):
        list_genomes(tmp_path.iterdir())


def test_empty_genome_is_named(tmp_path):
    (tmp_path / "one.fna").write_text(">c\nACGT\n")
    (tmp_path / "two.fna").touch()
    with pytest.raises(ReferenceFolderError, match="two.fna is empty"):
        list_genomes(tmp_path.iterdir())


def test_folder_named_like_a_genome_is_named(tmp_path):
    (tmp_path / "one.fna").mkdir()
    with pytest.raises(ReferenceFolderError, match="one.fna is no file"):
        list_genomes(tmp_path.iterdir())


PACKED = gzip.compress(f">c\n{random_genome(1, 20_000)}\n".encode())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("one.fna.gz", PACKED[:-100]),
        ("one.fna.gz", PACKED[:500] + bytes(500) + PACKED[1000:]),
        ("one.fna.gz", PACKED[:-8] + bytes(8)),
        ("one.fna.gz", gzip.compress(b"")),
        ("one.fna", b"ACGT\n"),
        ("one.fna", b"@r\nACGT\n+\nIIII\n"),
        ("one.fna", b"\n"),
        ("one.fna", b">c\n"),
        ("one.fna", b">c\nAC\xffGT\n"),
    ],
    ids=[
        "truncated",
        "damaged",
        "wrong checksum",
        "packed nothing",
        "no header",
        "FASTQ",
        "blank",
        "no bases",
        "not ASCII",
    ],
)
def test_genome_that_cannot_be_read_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReferenceFolderError, match=rf"{name}: .*expected .*FASTA.* Hint: "):
        build_database(list_genomes(tmp_path.iterdir()), {"one": ONE}, 50, tmp_path / "x.syldb")
    assert not (tmp_path / "x.syldb").exists()


def test_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "x.syldb"
    path.write_bytes(b"not a database")
    with pytest.raises(ReferenceFolderError, match="not a sylph database"):
        load_database(path)


def flow(bases):
    return SampleFlow("s", "ok", "", 100, 100, 100, 50, 0, bases)


def test_shallow_sample_without_species_is_low_depth_and_not_empty():
    rows = summarise_species([], {})
    status = taxonomy_status(flow(2_000_000), rows, 0.1, 0.01)
    assert status.status == "low_depth"
    assert "does not mean that none is there" in status.reason
    assert status.reads_out == 0


def test_deep_sample_is_ok():
    assert taxonomy_status(flow(10**9), summarise_species([], {}), 0.0002, 0.01).status == "ok"


def test_detectable_abundance_never_exceeds_one():
    assert detectable_abundance(0, 4e6) == detectable_abundance(1000, 4e6) == 1
    assert detectable_abundance(2 * 10**9, 4e6) == pytest.approx(1e-4)


def test_tolerance_shrinks_with_depth():
    # C = 0.95^31 = 0.2039; at depth 0.1 the share found is C (1 - e^-0.1) = 0.01941, which is an
    # identity of 0.01941^(1/31) = 88.06 %. Of 80,000 k-mers n1 = 1476 and n2 = 74 are expected:
    # relative error sqrt(1/1476 + 1/74) * 0.1 / (e^0.1 - 1) = 0.1133, 1.645 * 95 * 0.1133 / 31.
    assert ani_tolerance(95.0, 88.06, 80_000, 31) == pytest.approx(0.571, abs=0.005)
    assert ani_tolerance(95.0, 94.9, 80_000, 31) < 0.05
    assert ani_tolerance(95.0, 88.06, 800, 31) == 2.0


def test_typical_genome_is_that_of_the_database(database):
    assert median_genome_size(database) == pytest.approx(200_000, rel=0.01)


def test_error_rate_of_reads_is_the_mean_over_bases_of_what_the_qualities_say():
    # Q10 is one error in 10 bases, Q20 one in 100: (0.1 + 3 * 0.01) / 4.
    counter = ErrorCounter()
    reads = [dnaio.SequenceRecord("a", "ACGT", "+555"), dnaio.SequenceRecord("b", "", "")]
    assert list(counter.watch(reads)) == ["ACGT", ""]
    assert counter.rate() == pytest.approx(0.0325)


def test_no_read_has_no_error_rate():
    assert ErrorCounter().rate() == 0


def shares(*values):
    return [TaxonAbundance(str(n), "", "", 0.0, value, 0.0, 0.0) for n, value in enumerate(values)]


def test_numbers_of_reads_add_up_to_all_reads():
    # 3.33 each: one read is over and goes to the first; 2.5 and 7.5 leave one, for the first again.
    assert [row.reads for row in count_reads(shares(1 / 3, 1 / 3, 1 / 3), 10)] == [4, 3, 3]
    assert [row.reads for row in count_reads(shares(0.25, 0.75), 10)] == [3, 7]
    assert [row.reads for row in count_reads(shares(1.0, 0.0), 7)] == [7, 0]


def test_status_says_what_was_estimated_otherwise():
    rows = summarise_species([], {})
    assert taxonomy_status(flow(10**9), rows, 0.0, 0.01, "no sizes").reason == "no sizes"
    shallow = taxonomy_status(flow(10**6), rows, 0.5, 0.01, "no sizes")
    assert (shallow.status, shallow.reason.endswith("; no sizes")) == ("low_depth", True)
