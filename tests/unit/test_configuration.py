"""The configuration: its schema, its defaults, and what the schema cannot say."""

import copy
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from snakemake.utils import validate

from fermentome.configuration import (
    CATALOGUE_FILES,
    KRAKEN2_FILES,
    REFERENCE_COHORT_FILES,
    REFERENCE_FILES,
    check_configuration,
    check_schema,
    defaults_of,
    fill_sections,
)
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
    (tmp_path / "k2").mkdir()
    for name in ("x.syldb", "lineages.tsv", "host.fa", *(f"k2/{file}" for file in KRAKEN2_FILES)):
        (tmp_path / name).touch()
    (tmp_path / "adapters.fa").write_text(">a\nAGATCGGAAGAGC\n")
    return validated({"function": {"reference": "ref"}})


def mistakes(config, base):
    with pytest.raises(ConfigError) as caught:
        check_configuration(config, base)
    return lines_of(caught.value)


def lines_of(error):
    """The mistakes, without the heading that counts them and the name of the file."""
    heading, *lines = str(error).splitlines()
    plural = "mistake" if len(lines) == 1 else "mistakes"
    assert heading == f"configuration: {len(lines)} {plural}"
    assert all(line.startswith("configuration, ") for line in lines)
    return [line.removeprefix("configuration, ") for line in lines]


def schema_mistakes(text):
    with pytest.raises(ConfigError) as caught:
        check_schema(yaml.safe_load(text), SCHEMA_PATH)
    return lines_of(caught.value)


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
    config["taxonomy"].update(classifier="kraken2", database="k2", genomes=None, lineages=None)
    check_configuration(config, tmp_path)
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
        (
            {"database": "gtdb.zip", "lineages": "lineages.tsv"},
            "taxonomy.database, 'gtdb.zip': expected a path that ends in .syldb or null",
        ),
        (
            {"database": "k2", "lineages": "lineages.tsv"},
            "'k2': is the folder of a kraken2 database; .* Hint: set taxonomy.classifier to kraken",
        ),
        (
            {"classifier": "kraken2", "database": "x.syldb"},
            "'x.syldb': is a sylph database; expected the folder .* taxonomy.classifier to sylph",
        ),
        (
            {"classifier": "kraken2", "database": "genomes"},
            "'genomes': the folder lacks hash.k2d, opts.k2d, taxo.k2d",
        ),
        ({"classifier": "kraken2", "database": "gone"}, "'gone': does not exist"),
        (
            {"classifier": "kraken2", "genomes": "genomes"},
            "taxonomy.genomes, 'genomes': .* `fermentome db build kraken2`",
        ),
        (
            {"classifier": "kraken2", "database": "k2", "genome_sizes": "gone.tsv"},
            "taxonomy.genome_sizes, 'gone.tsv': does not exist",
        ),
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


# The schema in words -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("trim: {min_lenght: 5}", "trim.min_lenght: unknown key. Hint: did you mean min_length?"),
        ("hosts:", "hosts: unknown section. Hint: did you mean host?"),
        ("hosts: {reference: a.fa}", "hosts: unknown section. Hint: did you mean host?"),
        ("sample: a.tsv", "sample: unknown key. Hint: did you mean samples?"),
        ("min_length: 5", "min_length: unknown key. Hint: did you mean trim.min_length?"),
        (
            "reference: a",
            "reference: unknown key. Hint: did you mean host.reference or function.reference?",
        ),
        (
            "trim.min_length: 5",
            "trim.min_length: unknown key. Hint: write `trim:` and, indented on the line below it,"
            " `min_length:`.",
        ),
        ("host: {xyz: 1}", "host.xyz: unknown key. Hint: host takes reference."),
    ],
)
def test_unknown_key_comes_with_the_one_that_was_meant(text, line):
    assert schema_mistakes(text) == [line]


def test_key_that_is_no_text_is_unknown():
    (line,) = schema_mistakes("1: x")
    assert line.startswith("1: unknown key. Hint: the configuration takes samples, metadata, ")


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("trim: {min_length: '50'}", "trim.min_length, '50': expected a whole number, 1 or more."),
        ("trim: {min_length: 50.0}", "trim.min_length, 50.0: expected a whole number, 1 or more."),
        ("trim: {min_length: true}", "trim.min_length, true: expected a whole number, 1 or more."),
        ("trim: {quality: 94}", "trim.quality, 94: expected a whole number from 0 to 93."),
        (
            "trim: {cut_mean_quality: 20.0}",
            "trim.cut_mean_quality, 20.0: expected a whole number from 1 to 36 or null.",
        ),
        ("trim: {poly_g: 'yes'}", "trim.poly_g, 'yes': expected true or false."),
        ("trim: {poly_g:}", "trim.poly_g, null: expected true or false."),
        ("trim: {adapters: 5}", "trim.adapters, 5: expected a path or null."),
        ("trim: 50", "trim, 50: expected a section of keys."),
        ("trim: [50]", "trim, [50]: expected a section of keys."),
        (
            "taxonomy: {classifier: Kraken2}",
            "taxonomy.classifier, 'Kraken2': expected one of sylph, kraken2. Hint: did you mean"
            " kraken2?",
        ),
        (
            "taxonomy: {minimum_ani: 0.95}",
            "taxonomy.minimum_ani, 0.95: expected a number from 80 to 100. Hint: the value is in"
            " percent: 95 for 0.95.",
        ),
        (
            "taxonomy: {minimum_ani: .nan}",
            "taxonomy.minimum_ani, nan: expected a number from 80 to 100.",
        ),
        (
            "taxonomy: {low_depth_abundance: 0}",
            "taxonomy.low_depth_abundance, 0: expected a number above 0 and up to 1.",
        ),
        (
            "scoring: {detectable_copies: .inf}",
            "scoring.detectable_copies, inf: expected a number above 0.",
        ),
        ("function: {sensitivity: Fast}", "function.sensitivity, 'Fast': expected one of fast, "),
        ("metadata: age", "metadata, 'age': expected a list, as [age, diet]."),
        ("metadata: [age, age]", "metadata, 'age': stands twice."),
        ("metadata: [group]", "metadata, 'group': is a column of the tables already"),
        ("metadata: [body mass]", "metadata, 'body mass': expected the name of a column, with"),
        ("samples:", "samples, null: expected a path."),
    ],
)
def test_wrong_value_is_shown_beside_what_was_expected(text, start):
    (line,) = schema_mistakes(text)
    assert line.startswith(start)
    assert " Hint: " in line


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("trim: {min_length: 50.0}", "Hint: write 50."),
        ("trim: {min_length: '50'}", "Hint: write the number without quotation marks."),
        ("trim: {poly_g: 'no'}", "Hint: write true or false, without quotation marks."),
        ("function: {sensitivity: sensitve}", "Hint: did you mean sensitive?"),
        ("trim: {quality: 99}", "Hint: leave the key out to keep its default, 15;"),
    ],
)
def test_wrong_value_comes_with_what_to_write(text, hint):
    assert hint in schema_mistakes(text)[0]


def test_all_mistakes_of_the_schema_at_once():
    lines = schema_mistakes("{hosts: , trim: {min_lenght: 5, quality: x}, samples: 7}")
    assert sorted(line.split(":")[0].split(",")[0] for line in lines) == [
        "hosts",
        "samples",
        "trim.min_lenght",
        "trim.quality",
    ]


def test_every_value_of_a_wrong_type_is_named_with_its_key():
    for key, _ in leaves(SCHEMA):
        section, _, name = key.rpartition(".")
        (line,) = schema_mistakes(yaml.safe_dump({section: {name: {}}} if section else {name: {}}))
        assert line.startswith(f"{key}, {{}}: expected "), key


def test_sections_without_keys_are_empty_and_pass_the_later_validation():
    config = yaml.safe_load("trim:\nhost:\nmetadata:\n")
    check_schema(config, SCHEMA_PATH)
    assert validated(config) == DEFAULTS


def test_filling_sections_touches_nothing_else():
    config = {"trim": None, "samples": None, "hosts": None, "host": {"reference": None}}
    fill_sections(config, SCHEMA_PATH)
    assert config == {"trim": {}, "samples": None, "hosts": None, "host": {"reference": None}}


def test_defaults_pass_the_schema_and_are_not_filled_in():
    check_schema(copy.deepcopy(DEFAULTS), SCHEMA_PATH)
    config = {}
    check_schema(config, SCHEMA_PATH)
    assert config == {}


# Adapters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"AGATCGGAAGAGC\n", "does not start with '>'"),
        (b"@r\nACGT\n+\nIIII\n", "does not start with '>'"),
        (b">a\n>b\n", "holds names and no bases"),
        (b"\x1f\x8b\x08\x00", "is packed"),
    ],
)
def test_adapters_that_fastp_cannot_read_are_refused(config, tmp_path, content, problem):
    (tmp_path / "adapters.fa").write_bytes(content)
    config["trim"]["adapters"] = "adapters.fa"
    (line,) = mistakes(config, tmp_path)
    assert line.startswith(f"trim.adapters, 'adapters.fa': {problem}")
    assert " Hint: " in line


def test_packed_adapters_are_to_be_unpacked(config, tmp_path):
    (tmp_path / "adapters.fa.gz").write_bytes(b">a\nACGT\n")
    config["trim"]["adapters"] = "adapters.fa.gz"
    (line,) = mistakes(config, tmp_path)
    assert "expected plain FASTA. Hint: unpack it" in line


def test_adapters_may_start_with_blank_lines(config, tmp_path):
    (tmp_path / "adapters.fa").write_bytes(b"\r\n>a\r\nACGTACGT\r\n")
    config["trim"]["adapters"] = "adapters.fa"
    check_configuration(config, tmp_path)


# Cohort ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", ["cohort", "model", "trim", "scoring"])
def test_defaults_of_a_section_are_those_that_are_filled_in(section):
    assert defaults_of(section, SCHEMA_PATH) == validated({})[section]


def test_defaults_can_be_changed_without_changing_those_of_the_next_caller():
    defaults_of("cohort", SCHEMA_PATH)["groups"].append("another")
    assert defaults_of("cohort", SCHEMA_PATH)["groups"] == ["group"]


def test_files_of_the_cohort_that_exist_pass(config, tmp_path):
    (tmp_path / "cohort").mkdir()
    for name in (*(f"cohort/{file}" for file in REFERENCE_COHORT_FILES), "acids.tsv"):
        (tmp_path / name).touch()
    config["cohort"] |= {"reference_cohort": "cohort", "metabolites": "acids.tsv"}
    check_configuration(config, tmp_path)


@pytest.mark.parametrize(
    ("cohort", "start"),
    [
        ({"metabolites": "no.tsv"}, "cohort.metabolites, 'no.tsv': does not exist. Hint: relative"),
        ({"metabolites": "ref"}, "cohort.metabolites, 'ref': is a folder; expected a file"),
        (
            {"reference_cohort": "host.fa"},
            "cohort.reference_cohort, 'host.fa': is a file; expected a folder",
        ),
        (
            {"reference_cohort": "genomes"},
            "cohort.reference_cohort, 'genomes': the folder lacks reference_cohort.yaml,"
            " values.tsv. Hint: ",
        ),
        ({"reference_cohort": "~/x"}, "cohort.reference_cohort, '~/x': does not exist. Hint: `~`"),
    ],
)  # fmt: skip
def test_files_of_the_cohort_that_cannot_serve_are_named(config, tmp_path, cohort, start):
    config["cohort"] |= cohort
    (line,) = mistakes(config, tmp_path)
    assert line.startswith(start)
