import gzip

import pytest

from fermentome.errors import LineageError, TableError
from fermentome.lineage import (
    find_lineage,
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


# --- forms of published tables --------------------------------------------------------------------

NAMES = ";".join(parse_lineage(COLI))
ROSEBURIA = "d__Bacteria;p__Bacillota_A;c__Clostridia;o__;f__;g__Roseburia;s__"
FORMS = {
    "own lineage": f"genome\tlineage\nGCF_000005845.2.fna.gz\t{COLI}\nmag_1\t{ROSEBURIA}\n",
    "GTDB": f"RS_GCF_000005845.2\t{COLI}\nmag_1\t{ROSEBURIA}\n",
    "GTDB metadata": "accession\tambiguous_bases\tgtdb_taxonomy\tncbi_taxonomy\n"
    f"RS_GCF_000005845.2\t0\t{COLI}\td__Other\nmag_1\t0\t{ROSEBURIA}\td__Other\n",
    "GTDB-Tk": "user_genome\tclassification\tclosest_genome_reference\n"
    f"GCF_000005845.2\t{COLI}\tx\nmag_1.fa\t{ROSEBURIA}\ty\n",
    "sylph-tax": f"GCF_000005845.2\t{COLI}\nmag_1.fa\t{ROSEBURIA}\n",
    "sylph-tax with hosts": f"GCF_000005845.2\t{COLI}\tnone\nmag_1.fa\t{ROSEBURIA}\td__Bacteria\n",
    "MGnify": "Genome\tGenome_type\tLength\tSpecies_rep\tLineage\n"
    f"GCF_000005845.2\tIsolate\t9\tx\t{COLI}\nmag_1\tMAG\t9\tx\t{ROSEBURIA}\n",
    "names without prefixes": f"genome\tlineage\nGCF_000005845.2\t{NAMES}\n"
    "mag_1\tBacteria;Bacillota_A;Clostridia;;;Roseburia;\n",
    "names without header": f"GCF_000005845.2\t{NAMES}\n"
    "mag_1\tBacteria;Bacillota_A;Clostridia;;;Roseburia;\n",
}


def written(folder, text, name="table.tsv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_tables_of_every_known_form_give_the_same_lineages(tmp_path, form):
    assert read_lineages(written(tmp_path, FORMS[form])) == {
        "GCF_000005845.2": parse_lineage(COLI),
        "mag_1": ("Bacteria", "Bacillota A", "Clostridia", "", "", "Roseburia", ""),
    }


def test_compressed_table_and_one_with_other_line_ends_are_read(tmp_path):
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(FORMS["GTDB"].encode()))
    (tmp_path / "b.tsv").write_bytes(b"\xef\xbb\xbf" + FORMS["GTDB"].replace("\n", "\r\n").encode())
    expected = read_lineages(written(tmp_path, FORMS["GTDB"]))
    assert read_lineages(tmp_path / "a.tsv.gz") == read_lineages(tmp_path / "b.tsv") == expected


def test_prefix_is_gtdbs_only_before_an_accession(tmp_path):
    table = written(tmp_path, f"genome\tlineage\nRS_my_isolate\t{COLI}\n")
    assert list(read_lineages(table)) == ["RS_my_isolate"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a\t{COLI}\nb\t{NAMES}\n", "line 2: lineage 'Bacteria;.*is not the next of"),
        (f"a\t{NAMES}\nb\t{COLI}\n", "line 2: lineage 'd__Bacteria.*without prefixes"),
        ("a\tBacteria;Bacillota;Clostridia\n", "line 1: .* has 3 names"),
        (f"a\tcellular organisms;{NAMES}\n", "line 1: .* has 8 names"),
        (f"a\tRoot{NAMES.removeprefix('Bacteria')}\n", "line 1: .*the first is 'Root'"),
        (f"RS_GCF_1.1\t{COLI}\nGB_GCF_1.1\t{COLI}\n", "line 2: genome 'GCF_1.1' stands twice"),
        (f"genome\tlineage\n\t{COLI}\n", "line 2: the genome has no name"),
        ("Genome\tLineage\n", "no genome in the table"),
    ],
)
def test_rows_that_cannot_be_read_are_named(tmp_path, text, message):
    with pytest.raises(LineageError, match=message):
        read_lineages(written(tmp_path, text))


def test_row_of_another_length_is_named(tmp_path):
    with pytest.raises(TableError, match="line 2: 1 cells, 2 expected"):
        read_lineages(written(tmp_path, f"a\t{COLI}\nb\n"))


def test_table_of_no_known_form_is_not_guessed_at(tmp_path):
    with pytest.raises(TableError, match="column 'genome' is missing; found id, name; expected a"):
        read_lineages(written(tmp_path, "id\tname\na\tEscherichia coli\n"))


def test_damaged_compressed_table_is_named(tmp_path):
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(FORMS["GTDB"].encode())[:-9])
    with pytest.raises(LineageError, match=r"a\.tsv\.gz: damaged gzip file"):
        read_lineages(tmp_path / "a.tsv.gz")


def test_table_that_is_no_text_is_named(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"genome\tlineage\n\xff\xfe\t\xff\n")
    with pytest.raises(LineageError, match="not text in UTF-8"):
        read_lineages(tmp_path / "a.tsv")


@pytest.mark.parametrize("header", ["", "genome\ttaxid\n", "taxid\tgenome\tnote\n"])
def test_taxids_are_looked_up_all_at_once(tmp_path, header):
    row = {"": "{0}\t{1}\n", "genome\ttaxid\n": "{0}\t{1}\n"}.get(header, "{1}\t{0}\tx\n")
    table = written(tmp_path, header + row.format("a.fna", "562") + row.format("b", "562"))
    asked = []

    def taxids(wanted):
        asked.append(set(wanted))
        return {"562": parse_lineage(COLI)}

    lineages = read_lineages(table, taxids)
    assert lineages == {"a": parse_lineage(COLI), "b": parse_lineage(COLI)}
    assert asked == [{"562"}]


def test_taxids_without_a_taxdump_say_what_to_give(tmp_path):
    with pytest.raises(LineageError, match="gives NCBI taxids.*--taxdump DIR"):
        read_lineages(written(tmp_path, "a\t562\n"))


def test_unknown_taxid_is_named_with_its_genome_and_line(tmp_path):
    table = written(tmp_path, "genome\ttaxid\na\t562\nb\t7\n")
    with pytest.raises(LineageError, match="line 3: taxid 7 of genome 'b' is not in the taxdump"):
        read_lineages(table, lambda wanted: {"562": parse_lineage(COLI)})


def test_taxid_that_is_no_number_is_named(tmp_path):
    table = written(tmp_path, "genome\ttaxid\na\tE. coli\n")
    with pytest.raises(LineageError, match=r"line 2: taxid 'E\. coli' is not a whole number"):
        read_lineages(table, lambda wanted: {})


def test_assembly_is_found_by_its_accession_and_its_own_name_goes_first():
    lineages = {"GCF_000005845.2": ("short",), "GCF_000006945.2_ASM694v2": ("long",)}
    lineages["GCF_000006945.2"] = ("short",)
    assert find_lineage("GCF_000005845.2_ASM584v2", lineages) == ("short",)
    assert find_lineage("GCF_000006945.2_ASM694v2", lineages) == ("long",)
    assert find_lineage("GCF_000005845.1_ASM584v1", lineages) is None
