"""Names, lengths, residues and organisms: which family a source means."""

from pathlib import Path

import pytest

from fermentome.catalogue import load_catalogue
from fermentome.databases.families import Families
from fermentome.databases.labels import (
    Lengths,
    Names,
    SiteRule,
    by_sites,
    read_labels,
    read_organisms,
    read_sites,
    read_tsv,
)
from fermentome.defaults import catalogue_files
from fermentome.errors import DatabaseError
from fermentome.reference import LabelledProtein

HEADER = "source\tkey\tpattern\ttaxon\tlength_aa\tfamily\ttrust\twhy\n"
MUT = frozenset({"mut"})
RULES = [
    SiteRule(MUT, "T", ((89, "Y"), (207, "R")), Lengths(480), "mut"),
    SiteRule(MUT, "T", (), Lengths(560, 699), "decoy_mut_small"),
    SiteRule(MUT, "T", (), Lengths(), "-"),
]


@pytest.fixture(scope="module")
def names():
    return Names(Families.of(load_catalogue(catalogue_files())))


def labels(tmp_path: Path, *rows: str):
    path = tmp_path / "labels.tsv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return read_labels(path, frozenset({"ldhL", "lldD"}))


def test_the_length_tells_two_enzymes_of_one_name_apart(tmp_path):
    rules = labels(
        tmp_path,
        "refseq\t*\tL-lactate dehydrogenase\t\t290-340\tldhL\tscreened\t",
        "refseq\t*\tL-lactate dehydrogenase\t\t370-\tlldD\tscreened\t",
    )
    found = [rules.find("refseq", "g", "L-lactate dehydrogenase", "", n) for n in (317, 396, 100)]
    assert [rule.family if rule else None for rule in found] == ["ldhL", "lldD", None]


def test_relatives_that_the_catalogue_lacks_keep_their_label(tmp_path):
    rules = labels(
        tmp_path,
        "bigg\tm.g\t\t\t\tother:acsV\tcurated\t",
        "bigg\tm.h\t\t\t\tnobody\tcurated\t",
    )
    found = rules.find("bigg", "m.g")
    assert found is not None
    assert found.family == "other:acsV"
    assert rules.find("bigg", "m.h") is None


def test_reviewed_labels_are_trusted_where_the_record_is_reviewed(tmp_path):
    rules = labels(
        tmp_path,
        "s\ta\t\t\t\tldhL\tcurated\t",
        "s\tb\t\t\t\tldhL\treviewed\t",
        "s\tc\t\t\t\tldhL\tscreened\t",
    )
    trusted = {key: [rules.find("s", key).trusted(r) for r in (True, False)] for key in "abc"}
    assert trusted == {"a": [True, True], "b": [True, False], "c": [False, False]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("s\ta\t(\t\t\tldhL\tcurated\t", r"line 2: '\(' is no regular expression"),
        ("s\ta\t\t\tlong\tldhL\tcurated\t", "line 2: length_aa is 'long', expected as 300-340"),
        ("s\ta\t\t\t\tldhL\tsure\t", "line 2: trust is 'sure', expected curated"),
        ("s\ta\t\t\t\tldhL", "line 2: expected 8 cells between tabs, found 6"),
    ],
)
def test_bad_rule_is_named_with_its_line(tmp_path, row, message):
    with pytest.raises(DatabaseError, match=message):
        labels(tmp_path, row)


def test_table_without_a_needed_column_is_refused(tmp_path):
    path = tmp_path / "labels.tsv"
    path.write_text("source,key\n")
    with pytest.raises(DatabaseError, match="no column .*family.*tab-separated"):
        read_labels(path, frozenset())
    with pytest.raises(DatabaseError, match="absent.tsv: cannot be read"):
        read_tsv(tmp_path / "absent.tsv")


@pytest.mark.parametrize(
    ("residues", "length", "family"),
    [
        ({89: "Y", 207: "R"}, 550, "mut"),
        ({89: "Y", 207: "Q"}, 620, "decoy_mut_small"),
        ({}, 620, "decoy_mut_small"),
        ({89: "Y"}, 400, "-"),
    ],
)
def test_residues_then_length_decide(residues, length, family):
    protein = LabelledProtein("a", "mut", "M" * length, "x")
    assert by_sites(protein, residues, RULES) == family


def test_site_that_is_no_residue_and_place_is_refused(tmp_path):
    path = tmp_path / "sites.tsv"
    path.write_text("labelled\ttemplate\tresidues\tlength_aa\tfamily\nmut\tT\t89Y\t\tmut\n")
    with pytest.raises(DatabaseError, match="line 2: residue is '89Y'.* as Y89"):
        read_sites(path, frozenset({"mut"}))


def test_first_pattern_names_the_lineage_and_half_a_word_does_not(tmp_path):
    path = tmp_path / "organisms.tsv"
    path.write_text(
        "organism\tlineage\nClostridium sp\\.\t\nClostridium\td__Bacteria;p__Bacillota\n"
    )
    organisms = read_organisms(path)
    found = [organisms.lineage(n) for n in ("Clostridium sp. X", "Clostridium kluyveri",
                                            "Clostridiumella", "Homo")]  # fmt: skip
    assert found == ["", "d__Bacteria;p__Bacillota", "", ""]


@pytest.mark.parametrize(
    ("label", "family"),
    [
        ("thl", "thl"),
        ("thlA", "thl"),
        ("methylmalonyl-CoA-epimerase", "mce"),
        ("methylmalonyl-CoA-carboxyltransferase12S", "mmct12S"),
        ("methylmalonyl-CoA-mutase", "mut"),
        ("COG0048", "COG0048"),
        ("pduL", "pduL"),  # an id, though two more families have the symbol
        ("oadA", ""),  # of two families
        ("cro", ""),
    ],
)
def test_label_is_an_id_a_symbol_of_one_family_or_a_name(names, label, family):
    assert names.family(label) == family


@pytest.mark.parametrize(
    ("families", "name", "family"),
    [
        (["porA", "porB", "pfor_fused"], "Pyruvate synthase subunit PorB", "porB"),
        (["porA", "porB", "pfor_fused"], "Pyruvate synthase subunit PorC", ""),
        (["mmct5S", "mmct12S", "mmct13S"], "Methylmalonyl-CoA carboxyltransferase 12S subunit",
         "mmct12S"),
        (["gctA", "gctB"], "Glutaconate CoA-transferase subunit A", "gctA"),
        (["frdA", "frdB"], "Fumarate reductase iron-sulfur subunit", "frdB"),
        (["fumA", "fumC"], "Fumarate hydratase class II", "fumC"),
        (["adhE", "decoy_acylating_ALDH", "decoy_eutE"], "Acetaldehyde dehydrogenase", ""),
        (["adhE", "decoy_acylating_ALDH", "decoy_eutE"], "Bifunctional enzyme AdhE", "adhE"),
        (["thl"], "whatever", "thl"),
        ([], "whatever", ""),
    ],
)  # fmt: skip
def test_words_of_one_family_alone_choose_it(names, families, name, family):
    assert names.choose(families, name) == family
