"""The manifest: the same content has the same id, and nothing changes without being seen."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from small_databases import MAKERS, describe, fill, make_host

from fermentome.databases import manifest as module
from fermentome.databases.manifest import (
    MANIFEST,
    Source,
    check_files,
    list_files,
    read_manifest,
)
from fermentome.errors import ManifestError

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize("engine", MAKERS)
def test_what_is_written_is_read(tmp_path, engine):
    folder = MAKERS[engine](tmp_path / "db", memory_mb=7, licence="MIT")
    manifest = read_manifest(folder)
    assert (manifest.engine, manifest.memory_mb, manifest.licence) == (engine, 7, "MIT")
    assert manifest.sources == (Source("genome.fna", sha256="0" * 64, size=1),)
    assert sorted(manifest.files) == sorted({p.name for p in folder.iterdir()} - {MANIFEST})
    assert check_files(folder, manifest) == []


def test_files_stand_with_their_sha256_and_size(tmp_path):
    fill(tmp_path, {"host.fa.gz": b"abc", "more/notes.txt": b""})
    manifest = describe(tmp_path, "host", "minimap2")
    # SHA-256 of "abc": FIPS 180-4, example B.1.
    assert manifest.files["host.fa.gz"].sha256 == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert manifest.files["host.fa.gz"].size == 3
    assert manifest.files["more/notes.txt"].size == 0
    assert manifest.size == 3


def test_id_is_the_sha256_of_the_content_in_canonical_form(tmp_path):
    folder = make_host(tmp_path / "db")
    content = yaml.safe_load((folder / MANIFEST).read_text())
    found = content.pop("id")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert found == hashlib.sha256(text.encode()).hexdigest()


def test_bytes_depend_on_content_alone(tmp_path):
    first = make_host(tmp_path / "first")
    second = make_host(tmp_path / "elsewhere" / "second")
    os.utime(second / "host.fa.gz", (1, 1))
    describe(second, "host", "minimap2", tools=dict(read_manifest(first).tools))
    assert (first / MANIFEST).read_bytes() == (second / MANIFEST).read_bytes()
    assert str(tmp_path) not in (first / MANIFEST).read_text()


@given(parameters=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON_VALUES))
@settings(max_examples=100, deadline=None)
def test_parameters_survive_or_are_refused(tmp_path_factory, parameters):
    folder = tmp_path_factory.mktemp("db")
    fill(folder, {"host.fa.gz": b"abc"})
    try:
        written = describe(folder, "host", "minimap2", parameters=parameters)
    except ManifestError:
        # YAML has no way to write some characters; nothing else may be refused.
        assert not json.dumps(parameters, ensure_ascii=False).isprintable()
        return
    assert written.parameters == parameters
    assert read_manifest(folder) == written


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "Upper"),
        ("name", "a/b"),
        ("name", ""),
        ("name", "small\n"),
        ("version", "../1"),
        ("version", ".hidden"),
        ("kind", "genome"),
        ("engine", "blast"),
        ("engine", "sylph"),
        ("memory_mb", -1),
        ("memory_mb", "12"),
        ("licence", None),
        ("tools", {"minimap2": 2.24}),
        ("parameters", {"a": float("nan")}),
        ("parameters", {"a": {1, 2}}),
        ("sources", [Source("")]),
        ("sources", [Source("x", sha256="abc")]),
    ],
)
def test_value_that_breaks_the_form_is_refused(tmp_path, key, value):
    fill(tmp_path, {"host.fa.gz": b"abc"})
    values = {"kind": "host", "engine": "minimap2"} | {key: value}
    with pytest.raises(ManifestError, match=str(tmp_path / MANIFEST)):
        describe(tmp_path, **values)
    assert not (tmp_path / MANIFEST).exists()


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({}, "non-empty|minProperties|enough properties"),
        ({"other": b"1"}, "host.fa.gz or host.mmi"),
        ({"host.fa.gz": b""}, "none empty"),
        ({"host.fa.gz": b"1", "host.mmi": b""}, "none empty"),
    ],
)
def test_folder_without_what_its_kind_needs_is_refused(tmp_path, files, match):
    fill(tmp_path, files)
    with pytest.raises(ManifestError, match=match):
        describe(tmp_path, "host", "minimap2")


def test_link_is_refused(tmp_path):
    fill(tmp_path, {"host.fa.gz": b"abc"})
    (tmp_path / "host.mmi").symlink_to("/etc/hostname")
    with pytest.raises(ManifestError, match="host.mmi: is a link"):
        describe(tmp_path, "host", "minimap2")


def test_name_that_not_every_disk_takes_is_refused(tmp_path):
    fill(tmp_path, {"host.fa.gz": b"abc", "a\nb": b""})
    with pytest.raises(ManifestError, match="characters"):
        list_files(tmp_path)


def edit(folder, old, new):
    path = folder / MANIFEST
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("memory_mb: 100", "memory_mb: 101"),
        ("version: '1'", "version: '2'"),
        ("licence: CC0-1.0", "licence: MIT"),
        ("c: 50", "c: 200"),
        ("id: ", f"id: {'f' * 64} #"),
    ],
)
def test_manifest_edited_by_hand_is_seen(tmp_path, old, new):
    folder = make_host(tmp_path / "db")
    edit(folder, old, new)
    with pytest.raises(ManifestError, match="edited or damaged"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("kind: host", "kind: zoo", "kind"),
        ("name: small", "nam: small", "nam"),
        ("version: '1'", "version: 2020-01-01", "version"),
        ("memory_mb: 100", "memory_mb: 100\nmore: 1", "more"),
        ("description:", "description: [", "not YAML"),
    ],
)
def test_manifest_of_another_form_is_refused_with_the_place(tmp_path, old, new, match):
    folder = make_host(tmp_path / "db")
    edit(folder, old, new)
    with pytest.raises(ManifestError, match=match) as caught:
        read_manifest(folder)
    assert str(folder / MANIFEST) in str(caught.value)


def test_manifest_that_names_files_outside_is_refused(tmp_path):
    folder = make_host(tmp_path / "db")
    content = yaml.safe_load((folder / MANIFEST).read_text())
    content["files"]["../outside"] = {"sha256": "0" * 64, "size": 1}
    content.pop("id")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["id"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / MANIFEST).write_text(yaml.safe_dump(content))
    with pytest.raises(ManifestError, match=r"'\.\./outside' is not the path of a file"):
        read_manifest(folder)


@pytest.mark.parametrize("text", ["", "- 1\n", "\xff", "a: !!python/object:os.system {}\n"])
def test_file_that_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(ManifestError, match=MANIFEST):
        read_manifest(tmp_path)


def test_folder_without_manifest_says_what_to_do(tmp_path):
    with pytest.raises(ManifestError, match="fermentome db verify"):
        read_manifest(tmp_path)


# --- files ----------------------------------------------------------------------------------------


def whats(folder):
    problems = check_files(folder, read_manifest(folder))
    return [(p.path.relative_to(folder).as_posix(), p.what) for p in problems]


def test_every_flipped_bit_is_seen(tmp_path):
    folder = make_host(tmp_path / "db")
    path = folder / "host.mmi"
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        [(name, what)] = whats(folder)
        assert name == "host.mmi"
        assert what.startswith("sha256 is ")
    path.write_bytes(whole)
    assert whats(folder) == []


def test_missing_short_and_surplus_files_are_seen(tmp_path):
    folder = make_host(tmp_path / "db")
    (folder / "host.mmi").unlink()
    size = (folder / "host.fa.gz").stat().st_size
    os.truncate(folder / "host.fa.gz", size - 1)
    fill(folder, {"inner/new": b"1"})
    assert whats(folder) == [
        ("host.fa.gz", f"has {size - 1} bytes, the manifest says {size}"),
        ("host.mmi", "is missing"),
        ("inner/new", "is not in the manifest"),
    ]


def test_file_replaced_by_a_link_or_a_folder_is_seen(tmp_path):
    folder = make_host(tmp_path / "db")
    (folder / "host.mmi").rename(tmp_path / "moved")
    (folder / "host.mmi").symlink_to(tmp_path / "moved")
    (folder / "host.fa.gz").unlink()
    (folder / "host.fa.gz").mkdir()
    assert whats(folder) == [
        ("host.fa.gz", "is not a plain file"),
        ("host.mmi", "is not a plain file"),
    ]


def test_surplus_file_is_mended_by_its_removal(tmp_path):
    folder = make_host(tmp_path / "db")
    fill(folder, {"it's new": b"1"})
    [problem] = check_files(folder, read_manifest(folder))
    subprocess.run(problem.mend, shell=True, check=True)
    assert whats(folder) == []


def test_module_needs_the_standard_library_only():
    code = (
        "import sys, fermentome.databases.store\n"
        "print({'yaml', 'jsonschema', 'numpy'} & {*sys.modules})"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[2])}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout == "set()\n"


def test_manifest_of_read_only_file_is_replaced(tmp_path):
    folder = make_host(tmp_path / "db")
    (folder / MANIFEST).chmod(0o444)
    assert describe(folder, "host", "minimap2", memory_mb=5).memory_mb == 5
    assert read_manifest(folder).memory_mb == 5
    assert "manifest.yaml.new" not in os.listdir(folder)
