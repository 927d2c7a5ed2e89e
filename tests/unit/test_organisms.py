import math

import pytest

from fermentome.organisms import (
    OrganismRange,
    Phenotype,
    Species,
    compare,
    organism_evidence,
    organism_range,
    read_phenotypes,
    read_species,
)
from fermentome.scoring import PathwayScore
from fermentome.tables import write_table

FAECALI = "d__Bacteria;p__;c__;o__;f__;g__Faecalibacterium;s__Faecalibacterium prausnitzii"
SEGATELLA = "d__Bacteria;p__;c__;o__;f__;g__Segatella;s__Segatella copri"
CARRIER = Species("Faecalibacterium prausnitzii", "Faecalibacterium", 0.2)
OTHER = Species("Segatella copri", "Segatella", 0.5)
PHENOTYPES = {
    CARRIER.name: {"BUT": Phenotype(1.5, True)},
    OTHER.name: {"BUT": Phenotype(0.0, True)},
}


def score(call="present", copies=0.3, low=0.2, high=0.4, taxon="community", limit=0.05):
    return PathwayScore(
        "BUT", taxon, "butyrate", copies, low, high, 1.0, call, "A", (), 10, 9, limit, ""
    )


def write_phenotypes(path, rows):
    columns = ("genome", "lineage", "pathway", "call", "copies")
    write_table(path, columns, (dict(zip(columns, row, strict=True)) for row in rows))
    return read_phenotypes(path)


def test_genomes_of_a_species_are_averaged(tmp_path):
    found = write_phenotypes(
        tmp_path / "p.tsv",
        [("a", FAECALI, "BUT", "present", 2.0), ("b", FAECALI, "BUT", "absent", 0.0)],
    )
    assert found[CARRIER.name]["BUT"] == Phenotype(1.0, True)


def test_genomes_that_leave_a_route_open_do_not_count_as_absence(tmp_path):
    found = write_phenotypes(
        tmp_path / "p.tsv",
        [
            ("a", FAECALI, "BUT", "present", 1.0),
            ("b", FAECALI, "BUT", "below_detection", 0.0),
            ("c", SEGATELLA, "BUT", "indeterminate", 0.0),
        ],
    )
    assert found[CARRIER.name]["BUT"] == Phenotype(1.0, True)
    assert found[OTHER.name]["BUT"] == Phenotype(0.0, False)


def test_a_genome_without_lineage_serves_no_species(tmp_path):
    assert write_phenotypes(tmp_path / "p.tsv", [("a", "", "BUT", "present", 1.0)]) == {}


def test_unclassified_rest_is_not_a_species(tmp_path):
    columns = ("taxon", "lineage", "relative_abundance")
    rows = [(CARRIER.name, FAECALI, 0.2), ("unclassified", "", 0.8)]
    write_table(tmp_path / "t.tsv", columns, (dict(zip(columns, r, strict=True)) for r in rows))
    assert read_species(tmp_path / "t.tsv") == [CARRIER]


def test_copies_are_abundance_times_phenotype():
    found = organism_range("BUT", [CARRIER, OTHER], PHENOTYPES, 0.3)
    assert (found.copies, found.open) == (pytest.approx(0.2 * 1.5), 0.3)
    assert found.most == pytest.approx(0.6)


def test_species_without_phenotype_leave_their_share_open():
    unknown = Species("Roseburia hominis", "Roseburia", 0.1)
    found = organism_range("BUT", [CARRIER, unknown], PHENOTYPES, 0.2)
    assert found.open == pytest.approx(0.3)


def test_a_genus_that_gtdb_parts_by_letters_is_known_by_its_whole_name():
    """The protein reference may follow NCBI, the profile GTDB."""
    carrier = Species("Clostridium A one", "Clostridium A", 0.9)
    phenotypes = {carrier.name: {"BUT": Phenotype(1.0, True)}}
    row = score(taxon="Clostridium")
    found = organism_evidence([row], [carrier], phenotypes)
    assert found["BUT", "Clostridium"][0] == "agrees"
    row = score(taxon="Clostridioides")
    found = organism_evidence([row], [carrier], phenotypes)
    assert found["BUT", "Clostridioides"][0] == "open"


@pytest.mark.parametrize(
    ("gene", "organisms", "expected"),
    [
        (score(), OrganismRange(0.3, 0.0), "agrees"),
        (score(), OrganismRange(0.11, 0.0), "agrees"),  # 0.2 is less than twice 0.11
        (score(), OrganismRange(0.09, 0.0), "gene_higher"),
        (score(), OrganismRange(0.81, 0.0), "organism_higher"),  # more than twice 0.4
        (score(), OrganismRange(0.0, 0.5), "open"),
        (score(), OrganismRange(0.0, 0.05), "gene_higher"),
        (score("absent", 0, 0, 0.01), OrganismRange(0.0, 0.3), "agrees"),
        (score("absent", 0, 0, 0.01), OrganismRange(0.09, 0.3), "agrees"),  # within the limit
        (score("absent", 0, 0, 0.01), OrganismRange(0.2, 0.3), "organism_higher"),
        (score("below_detection", 0, 0, 2.0, limit=3.0), OrganismRange(1.0, 0.0), "agrees"),
    ],
)
def test_ranges_agree_within_twofold(gene, organisms, expected):
    assert compare(gene, organisms) == expected


def test_each_row_of_a_sample_is_compared():
    rows = [
        score(),
        score(taxon="Faecalibacterium"),
        score(taxon="Segatella"),
        score(taxon="Roseburia"),
        score(taxon="unassigned"),
    ]
    found = organism_evidence(rows, [CARRIER, OTHER], PHENOTYPES)
    assert {taxon: agreement for (_, taxon), (agreement, _) in found.items()} == {
        "community": "agrees",
        "Faecalibacterium": "agrees",
        "Segatella": "gene_higher",
        "Roseburia": "open",  # may stand in the unclassified 30 %
        "unassigned": "not_assessed",
    }


@pytest.mark.parametrize(
    ("species", "phenotypes"), [(None, PHENOTYPES), ([CARRIER], None), ([], PHENOTYPES)]
)
def test_without_profile_or_phenotypes_nothing_is_assessed(species, phenotypes):
    found = organism_evidence([score()], species, phenotypes)
    assert found == {("BUT", "community"): ("not_assessed", None)}


def test_without_depth_nothing_is_assessed():
    row = score(copies=math.nan, low=math.nan, high=math.nan)
    assert organism_evidence([row], [CARRIER], PHENOTYPES)["BUT", "community"][0] == "not_assessed"
