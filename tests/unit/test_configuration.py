"""The configuration: its schema, its defaults, and what the schema cannot say."""

import copy
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from snakemake.utils import validate

from fermentome.configuration import CATALOGUE_FILES, REFERENCE_FILES, check_configuration
from fermentome.errors import ConfigError

ROOT = Path(__file__).parents[2]
SCHEMA_PATH = ROOT / "workflow/schemas/config.schema.yaml"
SCHEMA = yaml.safe_load(SCHEMA_PATH.read_text())
DEFAULTS = yaml.safe_load((ROOT / "config/config.yaml").read_text())


def validated(config):
    config = copy.deepcopy(config)
    validate(config, str(SCHEMA_PATH))
    return config


def leaves(schema, prefix=""):
    for key, entry in schema["properties"].items():
        if "properties" in entry:
            yield from leaves(entry, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", entry


@pytest.fixture
def config(tmp_path):
    """A configuration that passes, with its reference on disk."""
    (tmp_path / "ref").mkdir()
    for name in REFERENCE_FILES:
        (tmp_path / "ref" / name).touch()
    (tmp_path / "genomes").mkdir()
    for name in ("x.syldb", "lineages.tsv", "host.fa", "adapters.fa"):
        (tmp_path / name).touch()
    return validated({"function": {"reference": "ref"}})


def mistakes(config, base):
    with pytest.raises(ConfigError) as caught:
        check_configuration(config, base)
    return str(caught.value).splitlines()[1:]


def test_schema_is_valid():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_config_yaml_shows_every_key_at_its_default():
    assert validated({}) == DEFAULTS
    assert validated(DEFAULTS) == DEFAULTS


def test_every_key_has_a_description_and_a_default():
    for key, entry in leaves(SCHEMA):
        assert entry.get("description"), key
        assert "default" in entry, key


def test_every_object_refuses_unknown_keys():
    groups = [entry for entry in SCHEMA["properties"].values() if "properties" in entry]
    assert all(entry["additionalProperties"] is False for entry in [SCHEMA, *groups])


def test_manual_lists_every_key_with_its_default():
    manual = (ROOT / "config/README.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| `([^`]+)` \|", manual, flags=re.MULTILINE))
    for key, entry in leaves(SCHEMA):
        assert yaml.safe_load(rows[key]) == entry["default"], key


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"sample": "x.tsv"}, "'sample' was unexpected"),
        ({"trim": {"minlength": 50}}, "'minlength' was unexpected"),
        ({"trim": {"min_length": "50"}}, "'50' is not of type 'integer'"),
        ({"trim": {"min_length": 0}}, "0 is less than the minimum"),
        ({"trim": {"cut_mean_quality": 99}}, "99 is greater than the maximum"),
        ({"trim": {"poly_g": "yes"}}, "'yes' is not of type 'boolean'"),
        ({"taxonomy": {"minimum_ani": 0.95}}, "0.95 is less than the minimum"),
        ({"function": {"sensitivity": "ultra"}}, "'ultra' is not one of"),
        ({"metadata": ["age", "age"]}, "has non-unique elements"),
        ({"metadata": ["group"]}, "'group' should not be valid"),
        ({"metadata": ["body mass"]}, "'body mass' does not match"),
        ({"metadata": "age"}, "'age' is not of type 'array'"),
        ({"samples": ""}, "'' does not match"),
    ],
)
def test_schema_refuses_and_names(config, named):
    with pytest.raises(Exception, match=re.escape(named)):
        validated(config)


@pytest.mark.parametrize(
    "config",
    [
        {"trim": {"cut_mean_quality": None}},
        {"taxonomy": {"database": "gtdb.syldb", "minimum_ani": 95}},
        {"host": {"reference": "/data/T2T genome.fa.gz"}},
        {"metadata": ["age", "Diet_2"]},
    ],
)
def test_schema_accepts(config):
    validated(config)


def test_untouched_configuration_says_what_is_needed(tmp_path):
    (line,) = mistakes(DEFAULTS, tmp_path)
    assert line.startswith("function.reference, null: expected the folder of a protein reference")
    assert "config/README.md" in line


def test_complete_configuration_passes(config, tmp_path):
    check_configuration(config, tmp_path)
    config["taxonomy"].update(genomes="genomes", lineages="lineages.tsv")
    config["host"]["reference"] = str(tmp_path / "host.fa")
    config["trim"]["adapters"] = "adapters.fa"
    check_configuration(config, tmp_path)


@pytest.mark.parametrize(
    ("taxonomy", "named"),
    [
        (
            {"database": "x.syldb", "genomes": "genomes", "lineages": "lineages.tsv"},
            "Not both|both|given too",
        ),
        ({"genomes": "genomes"}, "taxonomy.lineages, null"),
        ({"database": "x.syldb"}, "taxonomy.lineages, null"),
        ({"lineages": "lineages.tsv"}, "nothing to name"),
        ({"genomes": "lineages.tsv", "lineages": "lineages.tsv"}, "is a file; expected a folder"),
        ({"database": "gone.syldb", "lineages": "lineages.tsv"}, "'gone.syldb': does not exist"),
        ({"genomes": "genomes", "lineages": "genomes"}, "is a folder; expected a file"),
    ],
)
def test_contradictions_of_the_taxonomy(config, tmp_path, taxonomy, named):
    config["taxonomy"].update(taxonomy)
    (line,) = mistakes(config, tmp_path)
    assert re.search(named, line)
    assert " Hint: " in line


def test_all_mistakes_at_once(config, tmp_path):
    config["trim"]["adapters"] = "~/adapters.fa"
    config["host"]["reference"] = "/nowhere/host.fa"
    config["function"].update(reference="gone", catalogue="genomes")
    lines = mistakes(config, tmp_path)
    assert [line.split(",")[0] for line in lines] == [
        "trim.adapters",
        "host.reference",
        "function.reference",
        "function.catalogue",
    ]
    assert "`~` is not expanded" in lines[0]
    assert f"lacks {', '.join(CATALOGUE_FILES)}" in lines[3]


def test_incomplete_reference_names_what_is_missing(config, tmp_path):
    (tmp_path / "ref/manifest.yaml").unlink()
    (line,) = mistakes(config, tmp_path)
    assert "the folder lacks manifest.yaml" in line
