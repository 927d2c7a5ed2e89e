import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake_runs import ROOT

from fermentome.cohort.carriers import (
    RENAMED,
    SERVED_BY_GENUS,
    SERVED_BY_SPECIES,
    UNCLEAR_GENERA,
    UNSERVED,
    carriers_of,
    organism_potential,
    read_organisms,
)
from fermentome.cohort.data import CARRIERS, ORGANISMS, TAXA, Account, FeatureTable
from fermentome.cohort.reading import load_cohort
from fermentome.errors import CohortError
from fermentome.tables import read_table

HEAD = ("genome", "lineage", "pathway", "product", "direction", "call", "copies")
PATHWAYS_HEAD = ("sample", "pathway", "taxon", "product", "direction", "copies_per_genome", "call",
                 "detection_limit")  # fmt: skip


def write(path, *rows):
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def lineage(genus, species):
    return f"d__Bacteria;p__;c__;o__;f__;g__{genus};s__{species}"


PRAUSNITZII = lineage("Faecalibacterium", "Faecalibacterium prausnitzii")
HALLII = lineage("Anaerobutyricum", "Anaerobutyricum hallii")
GENOMES = [
    ("g1", PRAUSNITZII, "BUT", "butyrate", "formation", "present", 2),
    ("g2", PRAUSNITZII, "BUT", "butyrate", "formation", "absent", 0),
    ("g1", PRAUSNITZII, "BUK", "butyrate", "formation", "present", 1),
    ("g2", PRAUSNITZII, "BUK", "butyrate", "formation", "indeterminate", 0.5),
    ("g1", PRAUSNITZII, "USE", "lactate", "consumption", "present", 9),
    ("g3", HALLII, "BUT", "butyrate", "formation", "present", 4),
    ("g4", lineage("Clostridium", "Clostridium perfringens"), "BUT", "butyrate", "formation",
     "present", 1),
]  # fmt: skip


@pytest.fixture
def organisms(tmp_path):
    return read_organisms(write(tmp_path / "phenotypes.tsv", HEAD, *GENOMES))


def taxa(shares, lineages=None):
    names = tuple(sorted(shares))
    values = np.array([[shares[name] for name in names]], float)
    return FeatureTable(TAXA, ("a",), names, values, "relative abundance", True, lineages or {})


def potential(organisms, shares, lineages=None):
    return organism_potential(taxa(shares, lineages), organisms, Account("reading"))


# --- by genes -------------------------------------------------------------------------------------


def test_carriers_add_up_to_the_routes_that_are_present(tmp_path):
    path = write(
        tmp_path / "pathways.tsv", PATHWAYS_HEAD,
        ("a", "BUT", "community", "butyrate", "formation", 0.5, "present", 0.2),
        ("a", "BUT", "Roseburia", "butyrate", "formation", 0.3, "indeterminate", "NA"),
        ("a", "BUT", "unassigned", "butyrate", "formation", 0.2, "indeterminate", "NA"),
        ("a", "BUK", "community", "butyrate", "formation", 0.4, "present", 0.1),
        ("a", "BUK", "Roseburia", "butyrate", "formation", 0.4, "present", "NA"),
        ("a", "LYS", "community", "butyrate", "formation", 0.1, "indeterminate", 0.3),
        ("a", "LYS", "Dorea", "butyrate", "formation", 0.1, "present", "NA"),
        ("a", "USE", "community", "lactate", "consumption", 0.9, "present", 0.1),
        ("a", "USE", "Roseburia", "lactate", "consumption", 0.9, "present", "NA"),
        ("b", "BUT", "community", "butyrate", "formation", 0, "below_detection", 0.6),
        ("c", "BUT", "community", "butyrate", "formation", "NA", "NA", "NA"),
    )  # fmt: skip
    table = carriers_of(path)
    assert table.features == ("butyrate|Roseburia", "butyrate|unassigned")
    assert table.values[0] == pytest.approx([0.7, 0.2])  # together 0.5 + 0.4
    assert table.values[1].tolist() == [0, 0]
    assert np.isnan(table.values[2]).all()
    assert table.limits[:2].tolist() == [[0.1, 0.1], [0.6, 0.6]]


def test_a_table_that_is_not_long_is_refused(tmp_path):
    with pytest.raises(CohortError, match=r"p\.tsv, header: column 'sample' is missing"):
        carriers_of(write(tmp_path / "p.tsv", ("pathway", "a"), ("BUT", 0.1)))


def test_a_table_without_taxa_has_no_carriers(tmp_path):
    path = write(tmp_path / "p.tsv", ("sample", "pathway", "copies_per_genome"), ("a", "BUT", 0.1))
    assert carriers_of(path) is None


# --- by organisms ---------------------------------------------------------------------------------


def test_copies_of_a_species_are_means_over_the_genomes_that_say_something(organisms):
    # BUT: (2 + 0) / 2; BUK: 1, the other genome says nothing
    assert organisms.products == ("butyrate",)
    assert organisms.species["Faecalibacterium prausnitzii"].tolist() == [2.0]
    assert organisms.genera["Faecalibacterium"].tolist() == [2.0]


def test_potential_is_the_sum_of_shares_times_copies(organisms):
    found = potential(
        organisms,
        {"Faecalibacterium prausnitzii": 0.25, "Anaerobutyricum hallii": 0.5, "X y": 0.25},
    )
    assert found.products.values.tolist() == [[0.25 * 2 + 0.5 * 4]]
    assert found.products.name == ORGANISMS
    assert found.carriers.features == ("butyrate|Anaerobutyricum", "butyrate|Faecalibacterium")
    assert found.carriers.values.tolist() == [[2.0, 0.5]]
    assert found.served[SERVED_BY_SPECIES].tolist() == [0.75]
    assert found.served[UNSERVED].tolist() == [0.25]


def test_a_species_without_a_genome_has_the_mean_of_its_genus(organisms):
    found = potential(organisms, {"Faecalibacterium duncaniae": 1.0})
    assert found.products.values.tolist() == [[2.0]]
    assert found.by["Faecalibacterium duncaniae"] == "genus"
    assert found.served[SERVED_BY_GENUS].tolist() == [1.0]


@pytest.mark.parametrize(
    "name",
    ["Eubacterium hallii", "[Eubacterium] hallii", "Anaerobutyricum hallii A",
     "Anaerobutyricum A hallii", "Anaerobutyricum hallii"],
)  # fmt: skip
def test_species_meet_under_old_names_and_those_of_gtdb(organisms, name):
    found = potential(organisms, {name: 1.0})
    assert (found.by[name], found.products.values.tolist()) == ("species", [[4.0]])


def test_old_names_in_the_phenotypes_meet_too(tmp_path):
    old = ("g", lineage("Eubacterium", "Eubacterium hallii"), "BUT", "butyrate", "formation",
           "present", 3)  # fmt: skip
    found = potential(
        read_organisms(write(tmp_path / "p.tsv", HEAD, old)), {"Anaerobutyricum hallii": 1.0}
    )
    assert found.products.values.tolist() == [[3.0]]


def test_a_genus_that_was_many_says_nothing_of_its_species(organisms):
    found = potential(organisms, {"Clostridium leptum": 0.5, "Clostridium perfringens": 0.5})
    assert found.by == {"Clostridium leptum": "", "Clostridium perfringens": "species"}
    assert found.products.values.tolist() == [[0.5]]


def test_the_genus_of_the_lineage_counts_more_than_the_first_word(organisms):
    name = "Lachnospiraceae bacterium 1"
    found = potential(organisms, {name: 1.0}, {name: lineage("Anaerobutyricum", name)})
    assert found.by[name] == "genus"
    assert found.carriers.features == ("butyrate|Anaerobutyricum",)


def test_samples_without_a_known_taxon_are_not_known(organisms):
    table = FeatureTable(
        TAXA, ("a", "b"), ("Anaerobutyricum hallii",), np.array([[1.0], [math.nan]]), "", True
    )
    account = Account("reading")
    found = organism_potential(table, organisms, account)
    assert found.products.values[0, 0] == 4
    assert np.isnan(found.products.values[1, 0])
    assert np.isnan(found.carriers.values[1, 0])
    assert np.isnan(found.served[UNSERVED][1])
    assert "100.0% have genomes of their species" in account.entries[0].reason


def test_a_cohort_without_a_classified_taxon_is_said(organisms):
    table = FeatureTable(TAXA, ("a",), (), np.zeros((1, 0)), "", True)
    account = Account("reading")
    found = organism_potential(table, organisms, account)
    assert np.isnan(found.products.values).all()
    assert account.entries[0].status == "left_out"


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(len(GENOMES))))
def test_the_order_of_genomes_changes_nothing(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("genomes")
    one = read_organisms(write(folder / "one.tsv", HEAD, *GENOMES))
    other = read_organisms(write(folder / "other.tsv", HEAD, *(GENOMES[i] for i in order)))
    assert list(one.species) == list(other.species)
    for name in one.species:
        assert one.species[name].tolist() == other.species[name].tolist()


def test_without_directions_the_catalogue_says_which_routes_form_a_product(tmp_path):
    columns = [i for i, name in enumerate(HEAD) if name != "direction"]
    rows = [
        ("g", HALLII, "BUT_ACOA_BUT", "butyrate", "", "present", 1),
        ("g", HALLII, "LAC_USE_BUT", "lactate", "", "present", 1),
    ]
    path = write(tmp_path / "p.tsv", *([row[i] for i in columns] for row in (HEAD, *rows)))
    assert read_organisms(path).products == ("butyrate",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([HEAD[:-1]], "column 'copies' is missing"),
        ([HEAD, (*GENOMES[0][:-1], "many")], "line 2: column 'copies' holds 'many'"),
        ([HEAD, (*GENOMES[0][:-1], "-1")], "line 2: column 'copies' holds '-1'"),
        ([HEAD, ("g", "Bacteria;X", *GENOMES[0][2:])], "line 2: lineage"),
    ],
)
def test_phenotypes_that_cannot_be_read_are_refused_with_the_place(tmp_path, rows, message):
    with pytest.raises(CohortError, match=message) as caught:
        read_organisms(write(tmp_path / "phenotypes.tsv", *rows))
    assert "phenotypes.tsv" in str(caught.value)


def test_a_cohort_has_organisms_where_phenotypes_are_given(tmp_path):
    profile = write(tmp_path / "taxa.tsv", ("taxon", "a"), ("Eubacterium hallii", 1))
    cohort = load_cohort(
        {TAXA: profile}, None, Account("reading"),
        phenotypes=write(tmp_path / "phenotypes.tsv", HEAD, *GENOMES),
    )  # fmt: skip
    assert list(cohort.tables) == [TAXA, CARRIERS, ORGANISMS]
    assert cohort.metadata.of(SERVED_BY_SPECIES, "a") == "1"
    assert cohort.metadata.of(UNSERVED, "a") == "0"


def test_names_that_were_renamed_are_those_of_the_benchmark():
    rows = read_table(ROOT / "benchmarks/accuracy/synonyms.tsv")
    species = {r["old_name"]: r["name"] for r in rows if r["rank"] == "species"}
    assert {old: new for old, new in species.items() if old != new} == dict(RENAMED)
    assert {r["old_name"] for r in rows if r["rank"] == "genus"} == UNCLEAR_GENERA
