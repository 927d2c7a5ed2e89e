"""Lineages from an NCBI taxdump in small."""

import pytest
from small_taxdump import COLI, write_taxdump

from fermentome.databases.taxdump import read_taxid_lineages
from fermentome.errors import LineageError


def test_lineage_holds_the_seven_ranks_and_nothing_between_or_below(tmp_path):
    folder = write_taxdump(tmp_path)
    assert read_taxid_lineages(folder, ["83333", "562"]) == {"83333": COLI, "562": COLI}


def test_taxon_above_the_species_has_empty_names_below(tmp_path):
    lineages = read_taxid_lineages(write_taxdump(tmp_path), ["1224"])
    assert lineages == {"1224": ("Bacteria", "Pseudomonadota", "", "", "", "", "")}


@pytest.mark.parametrize(
    ("taxid", "name"), [("2", "Bacteria"), ("2157", "Archaea"), ("10239", "Viruses")]
)
def test_domain_is_known_by_each_of_its_ranks(tmp_path, taxid, name):
    assert read_taxid_lineages(write_taxdump(tmp_path), [taxid])[taxid] == (name, *[""] * 6)


def test_merged_taxid_is_followed(tmp_path):
    assert read_taxid_lineages(write_taxdump(tmp_path), ["666"]) == {"666": COLI}


def test_taxdump_without_merged_taxids_is_read(tmp_path):
    (write_taxdump(tmp_path) / "merged.dmp").unlink()
    assert read_taxid_lineages(tmp_path, ["562", "666"]) == {"562": COLI}


def test_unknown_taxids_are_left_out(tmp_path):
    assert read_taxid_lineages(write_taxdump(tmp_path), ["3", "99999999"]) == {}


def test_missing_file_is_named(tmp_path):
    with pytest.raises(LineageError, match=r"nodes\.dmp: no such file"):
        read_taxid_lineages(tmp_path, ["562"])


def test_damaged_line_is_named(tmp_path):
    write_taxdump(tmp_path)
    with (tmp_path / "nodes.dmp").open("a") as out:
        out.write("7\t|\t6")
    with pytest.raises(LineageError, match=r"nodes\.dmp, line 14: not a line of a taxdump"):
        read_taxid_lineages(tmp_path, ["562"])


def test_circle_and_missing_parent_are_noticed(tmp_path):
    circle = [(1, 1, "no rank", "root"), (2, 3, "domain", "a"), (3, 2, "phylum", "b")]
    with pytest.raises(LineageError, match="parents of taxon 2 do not lead to the root"):
        read_taxid_lineages(write_taxdump(tmp_path / "a", circle), ["2"])
    orphan = [(1, 1, "no rank", "root"), (3, 2, "phylum", "b")]
    with pytest.raises(LineageError, match="taxon 3 has the parent 2, which is not in the file"):
        read_taxid_lineages(write_taxdump(tmp_path / "b", orphan), ["3"])


def test_names_of_another_release_are_noticed(tmp_path):
    write_taxdump(tmp_path)
    (tmp_path / "names.dmp").write_text("2\t|\tBacteria\t|\t\t|\tscientific name\t|\n")
    with pytest.raises(LineageError, match="taxon 543 has no scientific name"):
        read_taxid_lineages(tmp_path, ["562"])
