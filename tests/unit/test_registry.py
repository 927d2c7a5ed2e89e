"""The registry of databases: the one of the repository, and what breaks one."""

import re
from pathlib import Path

import pytest
import yaml

from fermentome.databases.manifest import ENGINES
from fermentome.databases.memory import reckon_memory
from fermentome.databases.registry import REGISTRY, UNVERIFIED, load_registry
from fermentome.errors import DatabaseError

ROOT = REGISTRY.parents[2]

ENTRY = {
    "name": "small",
    "version": "1",
    "default": True,
    "kind": "host",
    "engine": "minimap2",
    "description": "A small host",
    "licence": "CC0 1.0",
    "page": "https://example.org/about",
    "verified": False,
    "files": [{"target": "host.fa.gz", "urls": ["https://example.org/host.fa.gz"]}],
}


def write(folder: Path, *entries: dict[str, object]) -> Path:
    path = folder / "databases.yaml"
    path.write_text(yaml.safe_dump({"version": "1.0.0", "databases": list(entries)}))
    return path


# --- the registry of the repository ---------------------------------------------------------------


def test_every_preset_of_the_issue_is_there_with_its_kind():
    registry = load_registry()
    expected = {
        "demo-scfa": "scfa_proteins",
        "demo-taxonomy": "taxonomy",
        "demo-host": "host",
        "uhgg": "taxonomy",
        "gtdb": "taxonomy",
        "t2t": "host",
        "scfa": "scfa_proteins",
    }
    assert {name: registry.find(name).kind for name in expected} == expected


def test_kraken2_databases_are_presets_of_their_own():
    engines = {preset.name: preset.engine for preset in load_registry().presets}
    assert {name for name in engines if engines[name] == "kraken2"} == {
        "k2-standard-8",
        "k2-standard",
        "k2-pluspf",
        "k2-gtdb",
        "k2-uhgg",
    }


def test_what_was_never_downloaded_is_marked_and_what_is_embedded_is_not():
    for preset in load_registry().presets:
        embedded = preset.name.startswith("demo-")
        assert preset.verified is embedded, preset.reference
        assert preset.warning == ("" if embedded else UNVERIFIED)


def test_files_of_a_preset_are_those_that_its_kind_needs():
    for preset in load_registry().presets:
        targets = {item.target for item in preset.files}
        if preset.recipe is None and not any(item.unpack for item in preset.files):
            groups = ENGINES[preset.kind][preset.engine]
            assert any(set(group) <= targets for group in groups), preset.reference


def test_every_prebuilt_sylph_database_comes_with_its_lineages():
    for preset in load_registry().presets:
        if preset.engine == "sylph" and preset.recipe is None:
            converted = [item.target for item in preset.files if item.convert == "lineages"]
            assert converted == ["lineages.tsv"], preset.reference


def test_files_of_the_repository_that_presets_name_exist():
    named = re.findall(r"repository:([^\s\"',\]}]+)", REGISTRY.read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_manual_names_every_preset_and_no_other():
    manual = (ROOT / "docs" / "databases.md").read_text(encoding="utf-8")
    table = manual[manual.index("## The presets") : manual.index("**Unverified sources")]
    named = []
    for line in table.splitlines():
        found = re.match(r"\| \**`([a-z0-9-]+)@([^`]+)`\**(?:, `@([^`]+)`)?", line)
        if found:
            named += [f"{found[1]}@{version}" for version in found.groups()[1:] if version]
    assert sorted(named) == sorted(preset.reference for preset in load_registry().presets)


def test_the_manual_marks_the_default_version_of_every_name_with_several():
    manual = (ROOT / "docs" / "databases.md").read_text(encoding="utf-8")
    registry = load_registry()
    names = [preset.name for preset in registry.presets]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            assert f"**`{registry.find(name).reference}`**" in manual


def test_no_address_leads_through_ftp_or_names_a_redirect():
    text = REGISTRY.read_text(encoding="utf-8")
    assert "ftp://" not in text
    assert "/latest/" not in text and "current_release" not in text


def test_mirrors_of_a_file_have_its_name():
    for preset in load_registry().presets:
        for item in preset.files:
            assert len({url.rpartition("/")[2] for url in item.urls}) == 1, preset.reference


# --- looking up -----------------------------------------------------------------------------------


def test_a_name_alone_means_the_default_version():
    registry = load_registry()
    preset = registry.find("gtdb")
    assert preset.default
    assert registry.find(preset.reference) is preset


def test_a_misspelt_name_is_answered_with_the_near_one():
    with pytest.raises(DatabaseError, match="did you mean gtdb"):
        load_registry().find("gtbd")


def test_an_unknown_version_is_answered_with_the_known_ones():
    with pytest.raises(DatabaseError, match="no version 'r1'; known are .*r220-c1000"):
        load_registry().find("gtdb@r1")


def test_a_reference_is_known_by_name_and_existing_version_only():
    registry = load_registry()
    assert registry.knows("gtdb") and registry.knows("gtdb@r220")
    assert not registry.knows("gtdb@r1") and not registry.knows("mine")


def test_size_of_a_download_is_the_pages_or_that_of_the_files():
    registry = load_registry()
    assert registry.find("k2-standard-8@20250402").download_bytes == 5_500_000_000
    assert registry.find("gtdb@r226").download_bytes == 18_414_135_368
    assert registry.find("t2t").download_bytes is None


def test_memory_of_a_preset_is_the_pages_or_reckoned_from_the_size_of_its_index():
    registry = load_registry()
    assert registry.find("t2t").memory_mb == 13_000
    # 500 MB and 1.3 times 3,714 MB; 1,000 MB and 1.05 times 7,500 MB.
    assert registry.find("gtdb@r226-c1000").memory_mb == 5_328
    assert registry.find("k2-standard-8").memory_mb == 8_875
    assert registry.find("k2-uhgg").memory_mb is None


# --- a registry that is wrong ---------------------------------------------------------------------


def test_a_missing_registry_is_named(tmp_path):
    with pytest.raises(DatabaseError, match="nowhere.yaml: cannot be read"):
        load_registry(tmp_path / "nowhere.yaml")


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "databases.yaml").write_text("version: [")
    with pytest.raises(DatabaseError, match=r"databases\.yaml: is not YAML"):
        load_registry(tmp_path / "databases.yaml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"surprise": 1}, "small@1: .*surprise"),
        ({"files": [{"target": "a", "urls": ["ftp://example.org/a"]}]}, "ftp://example.org/a"),
        ({"files": [{"target": "../a", "urls": ["https://example.org/a"]}]}, "does not match"),
        ({"files": [{"urls": ["https://example.org/a"]}]}, r"small@1\.files\.0"),
        ({"version": "a b"}, "does not match"),
        ({"recipe": {"name": "uniprot", "base_url": "https://example.org"}}, "small@1"),
        ({"engine": "sylph"}, "no host database is made for sylph"),
        ({"default": False}, "exactly one version must be the default, found none"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(tmp_path, change, said):
    with pytest.raises(DatabaseError, match=said):
        load_registry(write(tmp_path, {**ENTRY, **change}))


def test_two_entries_of_one_version_are_refused(tmp_path):
    with pytest.raises(DatabaseError, match="small@1 stands twice"):
        load_registry(write(tmp_path, ENTRY, {**ENTRY, "default": False}))


def test_two_defaults_are_refused(tmp_path):
    with pytest.raises(DatabaseError, match="found 1 and 2"):
        load_registry(write(tmp_path, ENTRY, {**ENTRY, "version": "2"}))


# --- memory ---------------------------------------------------------------------------------------


def test_memory_follows_the_file_that_is_held_in_memory():
    assert reckon_memory("sylph", {"taxonomy.syldb": 10_000_000_000, "lineages.tsv": 5}) == 13_500
    assert reckon_memory("minimap2", {"host.fa.gz": 900_000_000}) == 14_000


def test_memory_grows_with_the_sketches():
    assert reckon_memory("sylph", {"taxonomy.syldb": 10_000_000}) == 513


def test_memory_of_a_host_with_genome_and_index_is_reckoned_once():
    both = {"host.fa.gz": 1_000_000, "host.mmi": 900_000_000}
    assert reckon_memory("minimap2", both) == 500 + 990
