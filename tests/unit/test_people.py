"""People: names of a profile meet the names of genomes, and the correlations are right."""

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks/accuracy"))

import people  # noqa: E402
from people import Cohort, Phenotype, Taxon, parse_taxon  # noqa: E402

SYNONYMS = {
    ("species", "Bacteroides dorei"): "Phocaeicola dorei",
    ("genus", "Clostridium"): "",
}
SPECIES = {"Phocaeicola vulgatus": Phenotype(["a"], {"butyrate": 0.0, "propionate": 1.0})}
GENERA = {
    "Phocaeicola": Phenotype(["a"], {"butyrate": 0.0, "propionate": 1.0}),
    "Bacteroides": Phenotype(["b"], {"butyrate": 0.5, "propionate": 1.0}),
    "Clostridium": Phenotype(["c"], {"butyrate": 1.0, "propionate": 0.0}),
}


def taxon(genus: str, species: str) -> Taxon:
    return Taxon({"genus": genus, "species": species})


@pytest.mark.parametrize(
    ("found", "by", "name"),
    [
        (taxon("Phocaeicola", "Phocaeicola vulgatus"), "species", "Phocaeicola vulgatus"),
        (taxon("Bacteroides", "Bacteroides dorei"), "genus", "Phocaeicola"),
        (taxon("Bacteroides", "Bacteroides ovatus"), "genus", "Bacteroides"),
        (taxon("Clostridium", "Clostridium leptum"), "none", ""),
        (taxon("Dorea", "Dorea longicatena"), "none", ""),
    ],
)
def test_a_species_is_served_by_its_genome_then_by_todays_genus(found, by, name):
    served = people.serve([found], SPECIES, GENERA, SYNONYMS)[0]
    assert (served.by, served.name) == (by, name)


def test_an_unserved_species_adds_nothing():
    served = people.serve([taxon("Dorea", "Dorea longicatena")], SPECIES, GENERA, SYNONYMS)
    assert people.weights_of(served, "butyrate", ("species", "genus")).tolist() == [0.0]


def test_the_mean_phenotype_of_the_genus_is_used():
    served = people.serve([taxon("Bacteroides", "Bacteroides ovatus")], SPECIES, GENERA, SYNONYMS)
    assert people.weights_of(served, "butyrate", ("species", "genus")).tolist() == [0.5]
    assert people.weights_of(served, "butyrate", ("species",)).tolist() == [0.0]


def test_a_list_names_taxa_of_any_rank():
    taxa = [parse_taxon("p__Bacteroidetes;g__Alistipes;s__Alistipes_putredinis"),
            parse_taxon("p__Firmicutes;g__Dorea;s__Dorea_longicatena")]  # fmt: skip
    rows = [{"rank": "phylum", "name": "Bacteroidetes"}, {"rank": "genus", "name": "Roseburia"}]
    assert people.listed(taxa, rows).tolist() == [1.0, 0.0]


def test_ranks_give_spearmans_correlation_with_ties():
    x, y = np.array([1.0, 2.0, 2.0, 5.0, 0.0]), np.array([3.0, 1.0, 4.0, 9.0, 2.0])
    assert people.ranks(x) @ people.ranks(y) == pytest.approx(spearmanr(x, y).statistic)


def test_a_difference_between_groups_is_not_a_correlation_within_them():
    groups = ["a"] * 4 + ["b"] * 4
    x = np.array([1.0, 2, 3, 4, 11, 12, 13, 14])
    y = np.array([2.0, 1, 4, 3, 12, 11, 14, 13])
    # All ranks are one apart: 1 - 6 * 8 / (8 * 63).
    assert people.ranks(x) @ people.ranks(y) == pytest.approx(1 - 48 / 504)
    # Within each group the four pairs correlate by 0.6.
    assert people.ranks(x, groups) @ people.ranks(y, groups) == pytest.approx(0.6)


def test_the_interval_follows_bonett_and_wright():
    # z = 0.5493, error = sqrt(1.125 / 100) = 0.10607; 0.5493 -+ 0.2079.
    low, high = people.interval(0.5, 103)
    assert (low, high) == (pytest.approx(np.tanh(0.3414), abs=1e-4),
                           pytest.approx(np.tanh(0.7572), abs=1e-4))  # fmt: skip


def test_p_counts_the_data_as_one_permutation():
    assert people.p_value(np.array([0.1, -0.6, 0.2]), 0.5) == pytest.approx(2 / 4)


def test_an_incomplete_genome_says_nothing_of_what_it_lacks(tmp_path):
    catalogue = people.load_catalogue(people.catalogue_files(None))
    route = next(
        p.id
        for p in catalogue.pathways.values()
        if p.reported and (p.product, p.direction) == ("butyrate", "formation")
    )
    (tmp_path / "phenotypes.tsv").write_text(
        "genome\tpathway\tcall\n"
        f"whole\t{route}\tabsent\nhalf\t{route}\tbelow_detection\ngood\t{route}\tpresent\n"
    )
    (tmp_path / "lineages.tsv").write_text(
        "genome\tgenus\tspecies\nwhole\tDorea\tDorea longicatena\n"
        "half\tDorea\tDorea longicatena\ngood\tDorea\tDorea formicigenerans\n"
    )
    species, genera = people.read_phenotypes(
        tmp_path / "phenotypes.tsv", tmp_path / "lineages.tsv", catalogue
    )
    assert species["Dorea longicatena"].share["butyrate"] == 0.0
    assert genera["Dorea"].share["butyrate"] == 0.5


def test_a_cohort_whose_tables_do_not_meet_is_refused(tmp_path):
    with gzip.open(tmp_path / "species.tsv.gz", "wt") as out:
        out.write("sample\tg__Dorea;s__Dorea_longicatena\nA\t1.0\n")
    (tmp_path / "measured_acids.tsv").write_text("sample\tC00246_Butyrate\nB\t1\n")
    (tmp_path / "metadata.tsv").write_text("sample\tStudy.Group\nB\tHealthy\n")
    with pytest.raises(people.CohortError, match="0 samples"):
        people.read_cohort(tmp_path)


def test_shuffled_phenotypes_stay_among_the_species_that_have_one():
    cohort = Cohort(["s"] * 6, [], np.eye(6), {}, [])
    weights = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    eligible = np.array([True, True, False, False, False, False])
    y = people.ranks(np.array([6.0, 5, 1, 2, 3, 4]))
    null = people.shuffled_phenotypes(
        cohort.abundance, weights, eligible, y, np.random.default_rng(1)
    )
    first, second = (people.ranks(np.eye(6)[place]) @ y for place in (0, 1))
    assert set(np.round(null, 9)) == {round(first, 9), round(second, 9)}
