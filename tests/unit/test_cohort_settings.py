"""Settings of the cohort stage from the sections of a configuration."""

import dataclasses
from pathlib import Path

import pytest

from fermentome.cohort.settings import ModelSettings, Settings, model_settings_of, settings_of
from fermentome.configuration import defaults_of

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml"
FILES = {"reference_cohort", "metabolites", "metabolite_unit"}


def test_defaults_of_the_library_are_those_of_the_configuration():
    assert settings_of(defaults_of("cohort", SCHEMA)) == Settings()
    assert model_settings_of(defaults_of("model", SCHEMA)) == ModelSettings()


@pytest.mark.parametrize(
    ("section", "kind", "beside"), [("cohort", Settings, FILES), ("model", ModelSettings, set())]
)
def test_every_key_of_a_section_is_a_setting_and_the_other_way_round(section, kind, beside):
    names = {field.name for field in dataclasses.fields(kind)}
    assert set(defaults_of(section, SCHEMA)) - beside == names


def test_values_of_a_section_are_taken():
    section = defaults_of("cohort", SCHEMA) | {
        "groups": ["arm", "sex"], "reference_levels": ["arm=control"], "baseline": "day 0",
        "reference_group": "arm=control", "adjust_depth": False, "metabolites": "x.tsv",
    }  # fmt: skip
    settings = settings_of(section)
    assert settings.groups == ("arm", "sex")
    assert settings.reference_levels == {"arm": "control"}
    assert settings.baseline == "day 0"
    assert settings.reference_group == "arm=control"
    assert settings.adjust_depth is False


def test_a_level_may_hold_an_equals_sign():
    assert settings_of({"reference_levels": ["dose=x=1"]}).reference_levels == {"dose": "x=1"}


def test_settings_cannot_be_changed_by_an_analysis():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().seed = 2


def test_tables_of_a_model_are_taken():
    section = defaults_of("model", SCHEMA) | {"target": "arm", "tables": ["products"]}
    found = model_settings_of(section)
    assert (found.target, found.tables) == ("arm", ("products",))
