"""The model on published cohorts; skipped where the data are not at hand."""

from pathlib import Path

import pytest

from fermentome.cohort.data import TAXA, Account, Cohort
from fermentome.cohort.model import analyse_model
from fermentome.cohort.reading import load_cohort
from fermentome.cohort.settings import ModelSettings, Settings

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared/data/cohort/yachida_crc_2019"


@pytest.fixture(scope="module")
def cancer():
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there")
    cohort = load_cohort({TAXA: DATA / "species.tsv.gz"}, DATA / "metadata.tsv", Account("read"))
    groups = cohort.metadata.column("Study.Group").values
    kept = [
        sample
        for sample, group in zip(cohort.samples, groups, strict=True)
        if group in {"Healthy", "Stage_III_IV"}
    ]
    part = Cohort(cohort.metadata.select(kept), {TAXA: cohort.tables[TAXA].select(kept)})
    model = ModelSettings(target="Study.Group", tables=(TAXA,), folds=4, permutations=19)
    return analyse_model(part, Settings(groups=()), model, Account("model"))


def test_late_colorectal_cancer_is_told_from_health_above_the_null(cancer):
    row = cancer.tables["scores"][0]
    assert (row["score"], row["p"], row["subjects"]) == ("auc", 0.05, 181)
    assert row["ci_low"] > 0.5


def test_the_model_leans_on_the_oral_species_that_are_known_for_it(cancer):
    # Yachida et al. 2019 (doi:10.1038/s41591-019-0458-7): Fusobacterium nucleatum and
    # Peptostreptococcus stomatis, among others, rise with the stage.
    top = cancer.tables["importance"][:5]
    for name in ("Fusobacterium_nucleatum", "Peptostreptococcus_stomatis"):
        (row,) = [row for row in top if name in row["feature"].replace(" ", "_")]
        assert (row["direction"], row["direction_share"]) == ("Stage_III_IV", 1.0)
