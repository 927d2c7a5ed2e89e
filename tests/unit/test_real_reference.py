"""The benchmarks' reference: its rule tables fit the catalogue, and the library reads them."""

import csv
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyrodigal")
ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "benchmarks/real"
DATA = ROOT.parent / "shared/data"
sys.path.insert(0, str(REAL))

import build_reference  # noqa: E402

from fermentome.databases import labels, sources  # noqa: E402

RESOURCES = ROOT / "workflow/resources"


@pytest.fixture(scope="module")
def families():
    return build_reference.load_families(
        RESOURCES / "families.yaml", RESOURCES / "single_copy.yaml"
    )[0]


def test_every_label_leads_to_a_family_of_the_catalogue_or_says_that_it_does_not(families):
    # Chains that the sources name and the catalogue leaves out on purpose.
    left_out = {"tdcE"}
    wanted = {
        row["family"]
        for row in labels.read_tsv(REAL / "labels.tsv")
        if row["family"] != labels.NOT_USED and not row["family"].startswith(labels.OTHER)
    }
    assert wanted - families.ids == left_out


def test_site_rules_name_families_of_the_catalogue(families):
    for rule in labels.read_sites(REAL / "sites.tsv", families.ids):
        assert rule.labelled <= families.ids
    rows = labels.read_tsv(REAL / "sites.tsv")
    assert {row["family"] for row in rows} - {labels.NOT_USED} <= families.ids


def test_sources_name_the_rules_that_the_table_of_labels_has(families, tmp_path):
    found = build_reference.load_sources(DATA, tmp_path / "accessions.tsv", None, families)
    used = {name for spec in found.specs for name in (spec.rules, spec.accessions) if name}
    assert used | {"near_miss"} == set(found.labels.rules)


def test_wheel_and_accession_table_can_stand_elsewhere(families, tmp_path):
    found = build_reference.load_sources(
        DATA, tmp_path / "accessions.tsv", tmp_path / "a.whl", families
    )
    by_name = {spec.name: spec for spec in found.specs}
    assert by_name["bigg_models"].path == (tmp_path / "a.whl",)
    assert by_name["vital2014"].table == tmp_path / "accessions.tsv"


@pytest.mark.skipif(
    not (DATA / "proteins").is_dir(), reason="the shared data are absent: no ../shared/data"
)
def test_shared_proteins_are_read_as_what_they_are(families):
    spec = sources.SourceSpec("proteins", sources.AUTO, (DATA / "proteins",))
    found = sources.gather(sources.Sources((spec,)), families)
    readings = {reading.file: reading for reading in found.readings}
    screened = readings["proteins/scfa_families_rep80.faa.gz"]
    assert (screened.form, screened.records) == ("family", 7703)
    # Three labels of the screens are no words of the catalogue: cro, lcdC, ...Gamma.
    assert screened.labelled > 5500
    by_ec = [reading for name, reading in readings.items() if "uniref90_by_ec" in name]
    assert (len(by_ec), {reading.form for reading in by_ec}) == (60, {"ec"})
    assert readings["proteins/vital2014_butyrate.faa.gz"].form == "ec in headers"
    assert {protein.family for protein in found.labelled} <= families.all_ids
    assert not any(protein.trusted for protein in found.labelled)


@pytest.mark.skipif(
    not (ROOT / "real/reference/reference").is_dir(),
    reason="`make real` has not built its reference",
)
def test_account_of_the_built_reference_balances():
    path = ROOT / "real/reference/reference/families.tsv"
    if not path.exists():
        pytest.skip("the reference was built before it had a report of its own")
    from fermentome.databases.scfa import REASONS

    with path.open() as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    for row in rows:
        came = int(row["labelled"]) + int(row["joined"])
        assert came - sum(int(row[reason]) for reason in REASONS) == int(row["members"])
