"""The benchmarks' reference: names, lengths and residues decide on the family of a protein."""

import sys
import zipfile
from pathlib import Path

import pytest

from fermentome.reference import LabelledProtein

pytest.importorskip("pyrodigal")
ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "benchmarks/real"
sys.path.insert(0, str(REAL))

import build_reference  # noqa: E402
import sources  # noqa: E402
from sources import Lengths, SiteRule  # noqa: E402

HEADER = "source\tkey\tpattern\ttaxon\tlength_aa\tfamily\ttrust\twhy\n"
MUT = frozenset({"mut"})
RULES = [
    SiteRule(MUT, "T", ((89, "Y"), (207, "R")), Lengths(480), "mut"),
    SiteRule(MUT, "T", (), Lengths(560, 699), "decoy_mut_small"),
    SiteRule(MUT, "T", (), Lengths(), "-"),
]


def labels(tmp_path: Path, *rows: str) -> sources.Labels:
    path = tmp_path / "labels.tsv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return sources.read_labels(path, frozenset({"ldhL", "lldD"}))


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
    assert build_reference.by_sites(protein, residues, RULES) == family


def test_model_genes_are_read_out_of_the_wheel(tmp_path):
    wheel = tmp_path / "carveme.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(sources.BIGG_PROTEINS, ">m.g\nMKV\nLA*\n>m.h\nMMM\n")
    rules = labels(tmp_path, "bigg\tm.g\t\t\t\tldhL\tcurated\t")
    (found,) = sources.model_genes(wheel, rules)
    assert (found.accession, found.family, found.sequence) == ("BiGG:m.g", "ldhL", "MKVLA")


def test_every_label_leads_to_a_family_of_the_catalogue_or_says_that_it_does_not():
    families = build_reference.load_families(
        ROOT / "workflow/resources/families.yaml", ROOT / "workflow/resources/single_copy.yaml"
    )
    # Chains that the sources name and the catalogue leaves out on purpose.
    left_out = {"tdcE"}
    wanted = {
        row["family"]
        for row in sources.read_tsv(REAL / "labels.tsv")
        if row["family"] != sources.NOT_USED and not row["family"].startswith(sources.OTHER)
    }
    assert wanted - families.ids == left_out


def test_site_rules_name_families_of_the_catalogue():
    families = build_reference.load_families(
        ROOT / "workflow/resources/families.yaml", ROOT / "workflow/resources/single_copy.yaml"
    )
    for rule in sources.read_sites(REAL / "sites.tsv", families.ids):
        assert rule.labelled <= families.ids
    rows = sources.read_tsv(REAL / "sites.tsv")
    assert {row["family"] for row in rows} - {sources.NOT_USED} <= families.ids
