import os

import pytest

from fermentome.databases.manifest import write_manifest
from fermentome.databases.slots import Slot, place_databases, write_used
from fermentome.databases.store import Store
from fermentome.errors import ConfigError, ManifestError


def configuration(host=None, taxonomy=None, function=None, classifier="sylph", lineages=None):
    return {
        "host": {"reference": host},
        "taxonomy": {
            "classifier": classifier,
            "database": taxonomy,
            "lineages": lineages,
            "phenotypes": None,
        },
        "function": {"reference": function},
    }


def database(folder, name, kind, engine, **files):
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file.replace("__", ".")).write_text(content)
    write_manifest(
        folder, name=name, version="1", kind=kind, engine=engine, description="d", licence="MIT",
        sources=[], tools={}, parameters={}, memory_mb=10,
    )  # fmt: skip
    return folder


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def sylph(tmp_path):
    return database(
        tmp_path / "made", "gut", "taxonomy", "sylph",
        taxonomy__syldb="x", lineages__tsv="genome\tlineage\n", phenotypes__tsv="p\n",
    )  # fmt: skip


def test_paths_of_files_stay_as_they_are(tmp_path, store):
    host = tmp_path / "host.fa"
    host.write_text(">a\nACGT\n")
    config = configuration(host=str(host), taxonomy="absent.syldb")
    slots = place_databases(config, store)
    assert slots == [
        Slot("host.reference", str(host), ""),
        Slot("taxonomy.database", "absent.syldb", ""),
    ]
    assert config == configuration(host=str(host), taxonomy="absent.syldb")


def test_name_of_the_store_becomes_the_path_of_its_file_with_lineages_and_phenotypes(store, sylph):
    entry = store.add(sylph)
    config = configuration(taxonomy="gut@1")
    (slot,) = place_databases(config, store)
    assert (slot.written, slot.pending) == ("gut@1", False)
    assert os.path.samefile(slot.folder, entry.path)
    for key, name in [
        ("database", "taxonomy.syldb"), ("lineages", "lineages.tsv"),
        ("phenotypes", "phenotypes.tsv"),
    ]:  # fmt: skip
        assert config["taxonomy"][key] == os.path.join(slot.folder, name)


def test_the_users_own_lineages_are_kept(store, sylph):
    config = configuration(taxonomy=str(sylph), lineages="mine.tsv")
    place_databases(config, store)
    assert config["taxonomy"]["lineages"] == "mine.tsv"
    assert config["taxonomy"]["database"] == str(sylph / "taxonomy.syldb")


def test_a_host_database_gives_its_index_before_its_sequences(tmp_path, store):
    both = database(tmp_path / "a", "a", "host", "minimap2", host__mmi="i", host__fa__gz="s")
    config = configuration(host=str(both))
    place_databases(config, store)
    assert config["host"]["reference"] == str(both / "host.mmi")
    plain = database(tmp_path / "b", "b", "host", "minimap2", host__fa__gz="s")
    config = configuration(host=str(plain))
    place_databases(config, store)
    assert config["host"]["reference"] == str(plain / "host.fa.gz")


def test_a_name_that_the_store_lacks_is_pending_with_the_path_that_it_would_have(store):
    config = configuration(taxonomy="gtdb@r999", function="scfa@2030_01")
    taxonomy, function = place_databases(config, store)
    assert taxonomy.pending and function.pending
    assert config["taxonomy"]["database"].endswith("gtdb/r999/taxonomy.syldb")
    assert config["function"]["reference"].endswith("scfa/2030_01")


def test_a_name_of_several_versions_must_say_which(tmp_path, store, sylph):
    store.add(sylph)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("taxonomy.syldb", "lineages.tsv"):
        (other / name).write_text("y")
    write_manifest(
        other, name="gut", version="2", kind="taxonomy", engine="sylph", description="d",
        licence="MIT", sources=[], tools={}, parameters={}, memory_mb=10,
    )  # fmt: skip
    store.add(other)
    with pytest.raises(ConfigError, match=r"(?s)taxonomy\.database.*gut@1.*gut@2"):
        place_databases(configuration(taxonomy="gut"), store)


def test_a_folder_of_another_kind_is_refused(store, sylph):
    refusal = r"holds no host\.mmi or host\.fa\.gz.*gut@1 is a database of kind taxonomy for sylph"
    with pytest.raises(ConfigError, match=refusal):
        place_databases(configuration(host=str(sylph)), store)
    with pytest.raises(ConfigError, match=r"holds no hash\.k2d; expected a Kraken2 database"):
        place_databases(configuration(taxonomy=str(sylph), classifier="kraken2"), store)


def test_used_databases_are_listed_with_their_ids(tmp_path, store, sylph):
    store.add(sylph)
    config = configuration(host="hg.fa", taxonomy="gut@1")
    slots = place_databases(config, store)
    table = tmp_path / "used.tsv"
    write_used([{"key": s.key, "written": s.written, "folder": s.folder} for s in slots], table)
    header, host, taxonomy = [line.split("\t") for line in table.read_text().splitlines()]
    assert header == ["key", "database", "version", "kind", "engine", "id", "memory_mb"]
    assert host == ["host.reference", "hg.fa", "NA", "NA", "NA", "NA", "NA"]
    assert taxonomy[:5] == ["taxonomy.database", "gut", "1", "taxonomy", "sylph"]
    assert len(taxonomy[5]) == 64


def test_a_manifest_edited_by_hand_stops_the_record(tmp_path, store, sylph):
    manifest = sylph / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("MIT", "mine"))
    with pytest.raises(ManifestError, match="manifest.yaml"):
        write_used(
            [{"key": "taxonomy.database", "written": "made", "folder": str(sylph)}],
            tmp_path / "used.tsv",
        )
