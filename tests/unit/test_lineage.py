import pytest

from fermentome.errors import LineageError, TableError
from fermentome.lineage import (
    format_lineage,
    genome_key,
    parse_lineage,
    read_lineages,
    sketch_key,
)

COLI = (
    "d__Bacteria;p__Pseudomonadota;c__Gammaproteobacteria;o__Enterobacterales;"
    "f__Enterobacteriaceae;g__Escherichia;s__Escherichia coli"
)


def test_lineage_survives_a_round_trip():
    assert format_lineage(parse_lineage(COLI)) == COLI


def test_strain_is_ignored_and_underscores_are_blanks():
    assert parse_lineage(COLI.replace("coli", "coli;t__K12").replace("a coli", "a_coli"))[-1] == (
        "Escherichia coli"
    )


@pytest.mark.parametrize("text", ["Bacteria;Bacillota", "p__A;d__B", "d__A;x__B"])
def test_other_forms_are_refused(text):
    with pytest.raises(LineageError, match="is not the next of"):
        parse_lineage(text)


@pytest.mark.parametrize(
    "name",
    ["GCF_1.2.fna.gz", "dir/GCF_1.2_genomic.fna.gz", "GCF_1.2.fasta", "GCF_1.2.FNA.GZ", "GCF_1.2"],
)
def test_genome_is_known_by_its_name_without_extensions(name):
    assert genome_key(name) == sketch_key(name) == "GCF_1.2"


def test_names_with_blanks_are_different_genomes():
    for key in (genome_key, sketch_key):
        assert [key(name) for name in ("my E.fna", "a b/my S.fna.gz", "my E")] == [
            "my E",
            "my S",
            "my E",
        ]


@pytest.mark.parametrize("name", ["GCF_1.2.fna some title", "db/GCF_1.2_genomic.fna.gz a/b.fa c"])
def test_title_behind_the_path_in_a_sylph_database_is_no_part_of_the_name(name):
    assert sketch_key(name) == "GCF_1.2"


def test_genomes_with_blanks_in_their_names_keep_their_rows(tmp_path):
    (tmp_path / "a.tsv").write_text(f"genome\tlineage\nmy E\t{COLI}\nmy S.fna\t{COLI}\n")
    assert list(read_lineages(tmp_path / "a.tsv")) == ["my E", "my S"]


@pytest.mark.parametrize(
    ("header", "kind"),
    [("genome lineage", "blanks"), ("genome,lineage", "commas"), ("genome;lineage", "semicolons")],
)
def test_table_without_tabs_is_told_to_have_them(tmp_path, header, kind):
    (tmp_path / "a.tsv").write_text(f"{header}\nx,{COLI}\n")
    with pytest.raises(LineageError, match=f"is separated by {kind}; expected tabs. Hint: "):
        read_lineages(tmp_path / "a.tsv")


def test_other_mistakes_of_the_table_keep_their_message(tmp_path):
    (tmp_path / "a.tsv").write_text(f"name of genome\tlineage\nx\t{COLI}\n")
    with pytest.raises(TableError, match="column 'genome' is missing"):
        read_lineages(tmp_path / "a.tsv")


def test_table_with_ranks_and_table_with_lineage_agree(tmp_path):
    (tmp_path / "a.tsv").write_text(f"genome\tlineage\nx.fna.gz\t{COLI}\n")
    names = "\t".join(parse_lineage(COLI))
    (tmp_path / "b.tsv").write_text(
        f"genome\tdomain\tphylum\tclass\torder\tfamily\tgenus\tspecies\nx\t{names}\n"
    )
    assert read_lineages(tmp_path / "a.tsv") == read_lineages(tmp_path / "b.tsv")


def test_both_forms_of_the_table_name_split_genera_alike(tmp_path):
    (tmp_path / "a.tsv").write_text("genome\tlineage\nx\td__Bacteria;g__Clostridium_A\n")
    (tmp_path / "b.tsv").write_text(
        "genome\tdomain\tphylum\tclass\torder\tfamily\tgenus\tspecies\n"
        "x\td__Bacteria\t\t\t\t\tg__Clostridium_A\t\n"
    )
    assert read_lineages(tmp_path / "a.tsv") == read_lineages(tmp_path / "b.tsv")


def test_genome_without_any_name_is_refused(tmp_path):
    (tmp_path / "a.tsv").write_text("genome\tlineage\nx\td__;p__\n")
    with pytest.raises(LineageError, match="'x' has no name at any rank"):
        read_lineages(tmp_path / "a.tsv")


def test_genome_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "a.tsv").write_text(f"genome\tlineage\nx.fna\t{COLI}\nx.fna.gz\t{COLI}\n")
    with pytest.raises(LineageError, match="line 3: genome 'x' stands twice"):
        read_lineages(tmp_path / "a.tsv")


def test_table_without_lineage_says_what_to_give(tmp_path):
    (tmp_path / "a.tsv").write_text("genome\tdomain\nx\tBacteria\n")
    with pytest.raises(LineageError, match="give one lineage column"):
        read_lineages(tmp_path / "a.tsv")
