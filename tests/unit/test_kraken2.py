"""Species from kraken2's counts, and the builder of its databases."""

import math
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermentome.databases.kraken2_build import (
    BuildOptions,
    build_kraken2,
    clear_padding,
    cut_windows,
    number_taxa,
    path_of,
    size_rows,
    work_folder,
    write_distribution,
    write_tree,
)
from fermentome.errors import (
    DatabaseError,
    EvidenceError,
    LineageError,
    ReferenceFolderError,
    TableError,
)
from fermentome.flow import SampleFlow
from fermentome.kraken2 import (
    Counts,
    Distribution,
    GenomeSize,
    Kraken2Rule,
    SizeTable,
    Taxon,
    Taxonomy,
    check_counts,
    describe_sizes,
    evenness,
    nearest_distribution,
    present_species,
    profile_counts,
    profile_with_kraken2,
    read_counts,
    read_distribution,
    read_genome_sizes,
    read_inspection,
    read_taxonomy,
    share_out,
    size_genomes,
    unclassify,
)
from fermentome.lineage import parse_lineage
from fermentome.profiling import name_of_database
from fermentome.taxonomy import UNCLASSIFIED

# Bacteria 2; family 10; genus 20 with species 21 (strain 25), 22; genus 30 with species 31.
TREE = Taxonomy(
    {
        1: Taxon(1, "no rank", "root"),
        2: Taxon(1, "domain", "Bacteria"),
        10: Taxon(2, "family", "Fam"),
        20: Taxon(10, "genus", "Gone"),
        21: Taxon(20, "species", "Gone one"),
        25: Taxon(21, "strain", "Gone one A"),
        22: Taxon(20, "species", "Gone two"),
        30: Taxon(10, "genus", "Gtwo"),
        31: Taxon(30, "species", "Gtwo one"),
    }
)
RULE = Kraken2Rule(minimum_reads=10, minimum_evenness=0.2)


def paired(fragments, minimizers=()):
    return Counts(fragments, {t: 2 * n for t, n in fragments.items()}, dict(minimizers))


def taxo(nodes):
    """Bytes of taxo.k2d from (parent's place, rank, name, taxid), the first being the root."""
    names, ranks, rows = b"", b"", [(0,) * 7]
    for parent, rank, name, taxid in nodes:
        rows.append((parent, 0, 0, len(names), len(ranks), taxid, 0))
        names += name.encode() + b"\0"
        ranks += rank.encode() + b"\0"
    head = struct.pack("<8s3Q", b"K2TAXDAT", len(rows), len(names), len(ranks))
    return head + b"".join(struct.pack("<7Q", *row) for row in rows) + names + ranks


NODES = [
    (0, "no rank", "root", 1),
    (1, "superkingdom", "Bacteria", 2),
    (2, "genus", "Gone", 20),
    (3, "species", "Gone one", 21),
    (4, "no rank", "Gone one A", 25),
]


# Tree --------------------------------------------------------------------------------------------


def test_tree_of_a_database_gives_lineages(tmp_path):
    path = tmp_path / "taxo.k2d"
    path.write_bytes(taxo(NODES))
    tree = read_taxonomy(path)
    assert tree.lineage(25) == ("Bacteria", "", "", "", "", "Gone", "Gone one")
    assert (tree.species_of(25), tree.species_of(21), tree.species_of(20)) == (21, 21, None)
    assert tree.ancestors(25) == [25, 21, 20, 2, 1]


def test_viruses_are_a_domain_without_the_rank():
    tree = Taxonomy({1: Taxon(1, "no rank", "root"), 10239: Taxon(1, "no rank", "Viruses")})
    assert tree.lineage(10239)[0] == "Viruses"


def test_names_are_those_of_the_phenotypes():
    """GTDB writes s__Clostridium_A ..., a lineage table has it without prefix and underscore."""
    tree = Taxonomy({1: Taxon(1, "no rank", "root"), 5: Taxon(1, "species", "s__Gone_A one")})
    assert tree.lineage(5)[-1] == parse_lineage("s__Gone_A one")[-1] == "Gone A one"


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d[:20], lambda d: b"x" + d[1:]])
def test_taxonomy_that_is_cut_off_or_another_file_is_named(tmp_path, change):
    path = tmp_path / "taxo.k2d"
    path.write_bytes(change(taxo(NODES)))
    with pytest.raises(ReferenceFolderError, match=r"taxo.k2d: not the taxonomy .* Hint: "):
        read_taxonomy(path)


# Counts ------------------------------------------------------------------------------------------


def test_a_pair_is_one_fragment_and_two_reads(tmp_path):
    (tmp_path / "c").write_text("layout\ttaxid\tfragments\npaired\t21\t5\nsingle\t21\t2\n")
    (tmp_path / "m").write_text(
        "layout\ttaxid\tminimizers\tdistinct\npaired\t21\t50\t40\nsingle\t21\t9\t8\n"
    )
    counts = read_counts(tmp_path / "c", tmp_path / "m")
    assert (counts.fragments, counts.reads) == ({21: 7}, {21: 12})
    assert counts.minimizers == {21: [(50, 40), (9, 8)]}


def flow(fragments):
    return SampleFlow("s", "ok", "", 0, 0, 2 * fragments, fragments, 0, 300 * fragments)


def test_classification_that_did_not_see_every_fragment_is_refused():
    with pytest.raises(EvidenceError, match=r"sample s: kraken2 classified 7 .* expected the 8"):
        check_counts(paired({21: 7}), flow(8), TREE)


def test_taxid_that_the_database_lacks_is_refused():
    with pytest.raises(EvidenceError, match="taxid 99, which taxo.k2d of the database lacks"):
        check_counts(paired({99: 8}), flow(8), TREE)


# Presence ----------------------------------------------------------------------------------------


def test_reads_of_strains_count_for_their_species():
    counts = paired({21: 4, 25: 6, 22: 9})
    assert present_species(counts, TREE, {}, RULE) == {21}


def test_reads_from_one_place_are_no_species():
    # 5000 minimizers drawn from 50,000 would show 50,000 (1 - exp(-0.1)) = 4758 distinct ones.
    spread, heaped = {21: [(5000, 4700)]}, {21: [(5000, 300)]}
    assert present_species(paired({21: 500}, spread), TREE, {21: 50_000}, RULE) == {21}
    assert present_species(paired({21: 500}, heaped), TREE, {21: 50_000}, RULE) == set()


def test_spread_is_not_looked_at_where_nothing_is_known_of_it():
    heaped = {21: [(5000, 300)]}
    assert present_species(paired({21: 500}, heaped), TREE, {}, RULE) == {21}
    assert present_species(paired({21: 500}), TREE, {21: 50_000}, RULE) == {21}


def test_evenness_is_the_share_of_the_distinct_minimizers_expected():
    assert evenness([(5000, 2379)], 50_000) == pytest.approx(0.5, abs=0.001)
    # All minimizers of a deep species are seen, each many times.
    assert evenness([(10**7, 50_000)], 50_000) == pytest.approx(1)
    # Layouts are added up: one single read does not outweigh the pairs.
    assert evenness([(100_000, 20), (1, 1)], 50_000) < 0.001
    assert evenness([], 50_000) == 0


def test_inspection_gives_minimizers_of_clades(tmp_path):
    path = tmp_path / "inspect.txt"
    # Debian's 2.1.2 leaves the rank of the root empty.
    path.write_text("# Table size: 3\n100.00\t30\t0\t\t1\troot\n 50.00\t15\t5\tG\t20\t  Gone\n")
    assert read_inspection(path) == {1: 30, 20: 15}
    path.write_text("not\ta report\n")
    with pytest.raises(ReferenceFolderError, match=r"inspect.txt, line 1: .* Hint: "):
        read_inspection(path)


# Reads of higher ranks ---------------------------------------------------------------------------


def test_reads_of_a_genus_follow_the_reads_of_its_species_without_a_table():
    counts = paired({21: 30, 22: 10, 20: 8, 0: 5})
    shared = share_out(counts, TREE, {21, 22}, Distribution())
    assert shared == {21: 60 + 12, 22: 20 + 4}


def test_reads_of_a_genus_follow_bracken_with_a_table():
    # Half of the reads of 21 stay with it and half go to the genus; of 22 all stay but a tenth.
    shares = {21: {21: 0.5}, 22: {22: 0.9}, 20: {21: 0.5, 22: 0.1}}
    table = Distribution(shares, {21: 10**6, 22: 10**6})
    counts = paired({21: 10, 22: 90, 20: 20})
    # Estimates 20/0.5 = 40 and 180/0.9 = 200 reads; weights 0.5 * 40 = 20 and 0.1 * 200 = 20.
    assert share_out(counts, TREE, {21, 22}, table) == pytest.approx({21: 40, 22: 200})


def test_table_that_knows_neither_species_is_passed_over():
    table = Distribution({20: {}}, {})
    assert share_out(paired({21: 30, 22: 10, 20: 8}), TREE, {21, 22}, table) == {21: 72, 22: 24}


def test_reads_of_species_that_are_not_there_go_to_their_relatives():
    counts = paired({21: 30, 22: 3})
    assert share_out(counts, TREE, {21}, Distribution()) == {21: 66}


def test_reads_of_a_clade_without_species_are_left_out():
    counts = paired({21: 30, 30: 7, 31: 2})
    assert share_out(counts, TREE, {21}, Distribution()) == {21: 60}


numbers = st.integers(0, 1000)


@given(st.fixed_dictionaries(dict.fromkeys((0, 1, 2, 10, 20, 21, 25, 22, 30, 31), numbers)))
def test_shares_add_up_to_one_whatever_the_counts(fragments):
    counts = paired({t: n for t, n in fragments.items() if n} or {0: 1})
    present = present_species(counts, TREE, {}, RULE)
    reads = share_out(counts, TREE, present, Distribution())
    assert sum(reads.values()) <= sum(counts.reads.values()) * (1 + 1e-12)
    sizes = {taxid: GenomeSize(1e6 * taxid, "stated") for taxid in reads}
    rows = profile_counts(counts, TREE, reads, sizes, 150).species
    assert rows[-1].taxon == UNCLASSIFIED
    assert math.fsum(row.relative_abundance for row in rows) == pytest.approx(1)
    assert math.fsum(row.sequence_abundance for row in rows) == pytest.approx(1)
    assert {row.taxon for row in rows[:-1]} == {TREE.taxa[taxid].name for taxid in present}


def test_table_of_bracken_is_read_for_the_taxa_wanted(tmp_path):
    path = tmp_path / "database150mers.kmer_distrib"
    path.write_text(
        "mapped_taxid\tgenome_taxids:kmers_mapped:total_genome_kmers\n"
        "20\t21:25:100 22:10:200 77:1:5 \n21\t21:75:100\n77\t77:1:5\n"
    )
    table = read_distribution(path, [20, 21, 22])
    assert table.shares == {20: {21: 0.25, 22: 0.05}, 21: {21: 0.75}}
    assert table.kmers == {21: 100, 22: 200}
    path.write_text("mapped_taxid\tx\n20\t21:25\n")
    with pytest.raises(ReferenceFolderError, match=r"kmer_distrib, line 2: .* Hint: "):
        read_distribution(path, [20, 21])


def test_table_of_the_nearest_read_length_is_taken(tmp_path):
    paths = [tmp_path / f"database{n}mers.kmer_distrib" for n in (50, 100, 150)]
    assert nearest_distribution([*paths, tmp_path / "inspect.txt"], 141.0) == paths[2]
    assert nearest_distribution(paths, 75) == paths[0]
    assert nearest_distribution([], 100) is None


# Sizes of genomes --------------------------------------------------------------------------------


def test_small_genomes_have_more_cells_for_the_same_reads():
    counts = paired({21: 50, 22: 50, 0: 100})
    sizes = {21: GenomeSize(2e6, "stated"), 22: GenomeSize(6e6, "stated")}
    rows = profile_counts(counts, TREE, {21: 100.0, 22: 100.0}, sizes, 150).species
    # Half of the reads is known; cells 1/2 and 1/6, thus three quarters and a quarter of it.
    assert [(r.taxon, round(r.relative_abundance, 6)) for r in rows] == [
        ("Gone one", 0.375), ("Gone two", 0.125), (UNCLASSIFIED, 0.5),
    ]  # fmt: skip
    assert [row.sequence_abundance for row in rows[:2]] == [0.25, 0.25]
    assert rows[0].coverage == pytest.approx(100 * 150 / 2e6)
    assert math.isnan(rows[0].ani)


def test_size_is_taken_from_the_first_source_that_has_it():
    table = SizeTable({25: 3e6}, {"Gone two": 5e6})
    sizes = size_genomes([21, 22, 31], TREE, table, {31: 2_000_000})
    assert sizes == {
        21: GenomeSize(3e6, "stated"),
        22: GenomeSize(5e6, "stated"),
        31: GenomeSize(2e6, "kmers"),
    }
    # k-mers of many genomes are no genome's.
    assert size_genomes([31], TREE, table, {31: 90_000_000})[31] == GenomeSize(3e6, "all")


def test_human_reads_have_the_size_of_the_human_genome():
    tree = Taxonomy(
        {
            **TREE.taxa,
            3: Taxon(1, "domain", "Eukaryota"),
            9606: Taxon(3, "species", "Homo sapiens"),
        }
    )
    sizes = size_genomes([21, 31, 9606], tree, SizeTable(), {21: 3_000_000, 9606: 3_100_000_000})
    assert sizes[9606] == GenomeSize(3.1e9, "kmers")
    assert sizes[31] == GenomeSize(3e6, "all")


def test_reads_of_one_place_are_of_no_relative_either():
    """They were left in the genus, and a relative that is there took them all."""
    counts = paired({21: 100_000, 22: 20}, {21: [(100_000, 20)], 22: [(400, 390)]})
    held = {21: 50_000, 22: 50_000}
    present = present_species(counts, TREE, held, RULE)
    assert present == {22}
    heaped = present_species(counts, TREE, {}, RULE) - present
    counts = unclassify(counts, TREE, heaped)
    shared = share_out(counts, TREE, present, Distribution({}, {}))
    assert shared == {22: 40.0}
    assert counts.fragments[0] == 100_000


def test_species_without_a_size_has_its_genus_median_and_it_is_said():
    sizes = size_genomes([21, 22], TREE, SizeTable({22: 4e6, 31: 9e6}), {})
    assert sizes[21] == GenomeSize(4e6, "genus")
    assert describe_sizes(sizes) == ["1 of 2 species have the genus's median genome size"]


def test_without_any_size_shares_of_cells_are_shares_of_reads_and_it_is_said():
    sizes = size_genomes([21, 22], TREE, SizeTable(), {})
    profile = profile_counts(paired({21: 30, 22: 10}), TREE, {21: 60.0, 22: 20.0}, sizes, 150)
    assert [row.relative_abundance for row in profile.species] == [0.75, 0.25, 0]
    assert math.isnan(profile.species[0].coverage)
    assert profile.notes == [
        "2 of 2 species have no genome size, so that shares of cells are shares of reads"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("taxid\tgenome_size\n21\t3000\n", SizeTable({21: 3000.0}, {})),
        ("species\tgenome_size\ns__Gone_A one\t3000\n", SizeTable({}, {"Gone A one": 3000.0})),
        ("#species_taxid\tmin_ungapped_length\texpected_ungapped_length\n21\t1\t3000\n",
         SizeTable({21: 3000.0}, {})),
    ],
    ids=["taxid", "species", "NCBI"],
)  # fmt: skip
def test_tables_of_genome_sizes(tmp_path, text, expected):
    (tmp_path / "x.tsv").write_text(text)
    assert read_genome_sizes(tmp_path / "x.tsv") == expected


@pytest.mark.parametrize("text", ["a\tb\n1\t2\n", "taxid\tgenome_size\n21\t0\n",
                                  "taxid\tgenome_size\n21\tbig\n"])  # fmt: skip
def test_table_of_genome_sizes_that_cannot_be_used_is_named(tmp_path, text):
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(TableError, match=r"x.tsv, (header|line 2): .* Hint: "):
        read_genome_sizes(tmp_path / "x.tsv")


# Whole -------------------------------------------------------------------------------------------


def test_profile_from_files_says_what_it_lacked(tmp_path):
    (tmp_path / "taxo.k2d").write_bytes(taxo(NODES))
    (tmp_path / "c").write_text("layout\ttaxid\tfragments\npaired\t0\t20\npaired\t21\t80\n")
    (tmp_path / "m").write_text("layout\ttaxid\tminimizers\tdistinct\n")
    profile = profile_with_kraken2(
        flow(100), tmp_path / "c", tmp_path / "m", tmp_path / "taxo.k2d", [], RULE
    )
    assert [(r.taxon, r.relative_abundance) for r in profile.species] == [
        ("Gone one", 0.8), (UNCLASSIFIED, pytest.approx(0.2)),
    ]  # fmt: skip
    assert profile.limit == 0.1
    assert [note.partition(" ")[0] for note in profile.notes] == ["1", "without", "without"]


def test_database_is_named_by_its_manifest_else_by_its_folder(tmp_path):
    folder = tmp_path / "k2_standard"
    folder.mkdir()
    assert name_of_database(folder / "taxo.k2d", "kraken2") == "k2_standard"
    assert name_of_database(folder / "x.syldb", "sylph") == "x.syldb"
    (folder / "manifest.yaml").write_text("name: standard\nversion: '2024'\n")
    assert name_of_database(folder / "taxo.k2d", "kraken2") == "standard@2024"


# Building ----------------------------------------------------------------------------------------

ONE = parse_lineage("d__Bacteria;p__P;g__Gone;s__Gone one")
TWO = parse_lineage("d__Bacteria;p__P;g__Gone;s__Gone two")
GENUS = parse_lineage("d__Bacteria;p__P;g__Gone;s__")


def test_taxids_depend_on_the_lineages_and_not_on_their_order():
    assert number_taxa([ONE, TWO]) == number_taxa([TWO, ONE, ONE])
    taxa = number_taxa([ONE, TWO])
    assert taxa[()] == 1
    assert sorted(taxa.values()) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["a b", "a*b", "a\tb"])
def test_work_is_done_elsewhere_where_kraken2_build_would_cut_the_path(tmp_path, monkeypatch, name):
    plain, odd = tmp_path / "plain", tmp_path / name
    for folder in (plain, odd):
        folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(plain))
    for folder in (plain, odd):
        with work_folder(folder) as place:
            assert Path(place).parent == plain
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    with pytest.raises(DatabaseError, match="set TMPDIR to a folder without"):
        work_folder(odd)


def test_genome_without_lineage_is_named_with_the_table(tmp_path):
    with pytest.raises(LineageError, match=r"^my\.tsv: 1 of 1 genomes have no row.*'one'"):
        build_kraken2(
            {"one": tmp_path / "one.fna"}, {}, tmp_path, name="a", version="1", description="",
            licence="", options=BuildOptions(), table="my.tsv",
        )  # fmt: skip


def test_tree_links_every_taxon_to_the_rank_above_that_has_a_name(tmp_path):
    write_tree(tmp_path, number_taxa([ONE]))
    nodes = (tmp_path / "nodes.dmp").read_text().splitlines()
    assert [line.split("\t|")[:3] for line in nodes] == [
        ["1", "\t1", "\tno rank"], ["2", "\t1", "\tsuperkingdom"], ["3", "\t2", "\tphylum"],
        ["4", "\t3", "\tgenus"], ["5", "\t4", "\tspecies"],
    ]  # fmt: skip
    assert "5\t|\tGone one\t|\t\t|\tscientific name\t|" in (tmp_path / "names.dmp").read_text()


def test_genome_without_species_is_a_species_without_name():
    """sylph's table gives it the rank of the genus; so does this one."""
    assert path_of(GENUS)[-1] == (6, "s__")
    tree = Taxonomy(
        {1: Taxon(1, "", "root"), 2: Taxon(1, "genus", "Gone"), 3: Taxon(2, "species", "s__")}
    )
    (row, _) = profile_counts(
        paired({3: 10}), tree, {3: 20.0}, {3: GenomeSize(1e6, "stated")}, 100
    ).species
    assert (row.taxon, row.rank) == ("Gone", "genus")


def test_size_of_a_species_is_the_mean_of_its_genomes():
    (row,) = size_rows({"a": 100, "b": 200}, {"a": 5, "b": 5}, {"a": ONE, "b": ONE})
    assert row == {"taxid": 5, "species": "Gone one", "genome_size": 150, "genomes": 2}


def test_windows_lie_within_the_sequence():
    assert list(cut_windows("ABCDEFGH", 6)) == ["ABCDEF", "CDEFGH"]
    assert list(cut_windows("ABC", 6)) == []


def test_table_is_written_as_bracken_reads_it(tmp_path):
    path = tmp_path / "database6mers.kmer_distrib"
    write_distribution(path, {(21, 21): 3, (21, 20): 1, (22, 20): 5}, 6)
    assert path.read_text().splitlines()[1:] == ["20\t21:2:8 22:10:10", "21\t21:6:8"]
    assert read_distribution(path, [20, 21, 22]).shares == {20: {21: 0.25, 22: 1}, 21: {21: 0.75}}


def test_bytes_between_the_options_are_cleared_and_no_others(tmp_path):
    path = tmp_path / "opts.k2d"
    path.write_bytes(bytes(range(1, 65)))
    clear_padding(path)
    data = path.read_bytes()
    assert [n for n, byte in enumerate(data) if byte != n + 1] == [*range(33, 40), *range(60, 64)]
    assert set(data[33:40] + data[60:64]) == {0}
