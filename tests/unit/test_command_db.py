"""`fermentome db` as a user meets it."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_databases import MAKERS, describe_again, fill, make_host, make_sylph

from fermentome import command_db
from fermentome.cli import main
from fermentome.databases.manifest import MANIFEST, check_files, read_manifest
from fermentome.databases.store import Store

SCRIPTS = Path(command_db.__file__).parents[1]
NAMED = ("--name", "mine", "--version", "1")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The store that commands use where none is named; commands run in `tmp_path`."""
    monkeypatch.setenv("FERMENTOME_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("FERMENTOME_MIRROR", raising=False)
    monkeypatch.chdir(tmp_path)
    return Store()


@pytest.fixture
def db(capsys):
    """Run ``fermentome db ...``; gives exit code, output and errors."""

    def run(*arguments):
        code = main(["db", *map(str, arguments)])
        captured = capsys.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return run


def damage(path):
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def rows_of(out):
    header, *lines = (line.split("\t") for line in out.splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


# --- list -----------------------------------------------------------------------------------------


def test_list_shows_databases_of_the_store_and_presets(store, db, tmp_path):
    store.add(make_sylph(tmp_path / "mine", name="mine", memory_mb=1500))
    result = db("list")
    lines = result.out.splitlines()
    assert tuple(lines[0].split()) == command_db.COLUMNS
    [mine] = [line.split() for line in lines if line.startswith("mine ")]
    assert mine[:4] == ["mine", "1", "taxonomy", "sylph"]
    assert mine[-3:] == ["1.5", "GB", "stored"]
    assert any(line.startswith("uhgg ") and line.endswith("unverified source") for line in lines)
    assert any(line.startswith("demo-host ") and line.endswith("available") for line in lines)
    assert lines[-1] == f"store: {store.root}"
    assert result.code == 0


def test_columns_of_list_are_aligned(store, db):
    header, *lines = db("list", "--presets").out.splitlines()[:-1]
    start = header.index("engine")
    assert len(lines) > 5
    assert all(line[start - 1] == " " and line[start] != " " for line in lines)


def test_list_as_tsv_has_numbers_and_ids(store, db, tmp_path):
    entry = store.add(make_host(tmp_path / "mine"))
    rows = {row["name"]: row for row in rows_of(db("list", "--tsv").out)}
    assert rows["small"] == {
        "name": "small",
        "version": "1",
        "kind": "host",
        "engine": "minimap2",
        "size_bytes": str(entry.size),
        "memory_mb": "100",
        "state": "stored",
        "id": entry.id,
    }
    assert rows["demo-host"]["state"] == "available"
    assert rows["demo-host"]["id"] == "NA"


def test_list_can_be_of_the_store_or_of_presets_alone(store, db, tmp_path):
    store.add(make_host(tmp_path / "mine"))
    assert [row["name"] for row in rows_of(db("list", "--tsv", "--stored").out)] == ["small"]
    presets = [row["name"] for row in rows_of(db("list", "--tsv", "--presets").out)]
    assert "small" not in presets and "gtdb" in presets


def test_preset_in_the_store_is_listed_once(store, db, tmp_path):
    store.add(make_host(tmp_path / "mine", name="demo-host"))
    rows = [row for row in rows_of(db("list", "--tsv").out) if row["name"] == "demo-host"]
    assert [row["state"] for row in rows] == ["stored"]


def test_unreadable_database_is_listed_as_such(store, db, tmp_path):
    entry = store.add(make_host(tmp_path / "mine"))
    damage(entry.path / MANIFEST)
    [row] = rows_of(db("list", "--tsv", "--stored").out)
    assert row["state"] == "unreadable, see db verify"


def test_list_of_nothing_makes_nothing(store, db):
    assert db("list", "--stored").out == (
        f"store: {store.root} (made when the first database comes)\n"
    )
    assert not store.root.exists()


def test_store_can_be_named(store, db, tmp_path):
    Store(tmp_path / "other").add(make_host(tmp_path / "mine"))
    assert rows_of(db("list", "--tsv", "--stored").out) == []
    [row] = rows_of(db("list", "--tsv", "--stored", "--store", tmp_path / "other").out)
    assert row["name"] == "small"


# --- export and import ----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", MAKERS)
def test_exported_database_is_the_same_elsewhere(store, db, tmp_path, engine):
    entry = store.add(MAKERS[engine](tmp_path / "mine"))
    result = db("export", "small", "carried.tar")
    assert f"id    {entry.id}\n" in result.out
    result = db("import", "carried.tar", "--store", tmp_path / "other", "--id", entry.id)
    assert (result.code, result.err) == (0, "")
    [other] = Store(tmp_path / "other").databases()
    assert other.id == entry.id
    assert check_files(other.path, read_manifest(other.path)) == []
    # And from there on, byte by byte.
    db("export", "small@1", "again.tar", "--store", tmp_path / "other")
    assert (tmp_path / "carried.tar").read_bytes() == (tmp_path / "again.tar").read_bytes()


def test_export_chooses_the_name_of_the_file(store, db, tmp_path):
    store.add(make_host(tmp_path / "mine"))
    (tmp_path / "stick").mkdir()
    assert db("export", "small").code == db("export", "small", "stick").code == 0
    assert (tmp_path / "small-1.tar").read_bytes() == (tmp_path / "stick/small-1.tar").read_bytes()


def test_export_overwrites_nothing(store, db, tmp_path):
    store.add(make_host(tmp_path / "mine"))
    (tmp_path / "small-1.tar").write_text("mine")
    result = db("export", "small")
    assert result.code == 1
    assert "small-1.tar: exists already" in result.err
    assert (tmp_path / "small-1.tar").read_text() == "mine"


def test_damaged_database_is_not_exported(store, db, tmp_path):
    entry = store.add(make_host(tmp_path / "mine"))
    damage(entry.path / "host.mmi")
    result = db("export", "small")
    assert result.code == 1
    assert "host.mmi: sha256 is" in result.err and "fermentome db verify small" in result.err
    assert not (tmp_path / "small-1.tar").exists()


def test_folder_outside_the_store_is_exported(store, db, tmp_path):
    folder = make_host(tmp_path / "mine")
    assert db("export", folder).code == 0
    assert db("import", "small-1.tar").code == 0
    assert store.databases()[0].id == read_manifest(folder).id


def test_export_cut_off_anywhere_is_refused_by_name(store, db, tmp_path):
    make_host(tmp_path / "mine")
    db("export", tmp_path / "mine", "whole.tar")
    whole = (tmp_path / "whole.tar").read_bytes()
    with tarfile.open(tmp_path / "whole.tar") as archive:
        ends = [member.offset_data + member.size for member in archive]
        heads = [member.offset for member in archive]
    for length in {0, 1, 511, 512, 700, *heads, *ends, ends[-1] + 511}:
        (tmp_path / "cut.tar").write_bytes(whole[:length])
        result = db("import", "cut.tar")
        assert result.code == 1, length
        assert "cut.tar: " in result.err
        assert store.databases() == []
        assert not list((store.root / "staging").iterdir())


def test_altered_export_is_refused_by_name(store, db, tmp_path):
    make_host(tmp_path / "mine")
    db("export", tmp_path / "mine", "whole.tar")
    whole = (tmp_path / "whole.tar").read_bytes()
    with tarfile.open(tmp_path / "whole.tar") as archive:
        inside = [
            position
            for member in archive
            for position in (member.offset, member.offset_data, member.offset_data + 20)
        ]
    for position in inside:
        altered = bytearray(whole)
        altered[position] ^= 1
        (tmp_path / "altered.tar").write_bytes(altered)
        result = db("import", "altered.tar")
        assert result.code == 1, position
        assert "altered.tar: " in result.err
        assert str(store.root) not in result.err
        assert store.databases() == []


def test_export_with_another_file_in_it_is_refused(store, db, tmp_path):
    make_host(tmp_path / "mine")
    fill(tmp_path / "mine", {"surplus": b"1"})
    with tarfile.open(tmp_path / "more.tar", "w") as archive:
        archive.add(tmp_path / "mine", "mine")
    result = db("import", "more.tar")
    assert result.code == 1
    assert "more.tar: surplus: is not in the manifest" in result.err


def test_other_database_than_expected_is_refused(store, db, tmp_path):
    make_host(tmp_path / "mine")
    db("export", tmp_path / "mine")
    result = db("import", "small-1.tar", "--id", "0" * 64)
    assert result.code == 1
    assert re.search(r"small-1\.tar: has id [0-9a-f]{64}, 0{64} was expected", result.err)
    assert store.databases() == []


def test_import_of_what_is_no_export_is_refused(store, db, tmp_path):
    (tmp_path / "host.fa").write_text(">1\nACGT\n")
    assert "host.fa: is no archive" in db("import", "host.fa").err
    assert "no.tar: No such file" in db("import", "no.tar").err
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.add(tmp_path / "host.fa", "host.fa")
    err = db("import", "other.tar").err
    assert "other.tar: holds no manifest.yaml" in err
    assert "`fermentome db fetch other.tar --name NAME" in err and str(store.root) not in err


def test_import_of_what_verify_would_refuse_is_refused(store, db, tmp_path):
    folder = make_sylph(tmp_path / "mine")
    (folder / "lineages.tsv").write_text("genome\tlineage\none\td__Bacteria\n")
    describe_again(folder)
    assert db("export", folder).code == 0
    result = db("import", "small-1.tar")
    assert result.code == 1
    assert "small-1.tar: lineages.tsv: lacks 1 of the 2 genomes" in result.err
    assert store.names() == []


def test_import_replaces_another_database_only_when_asked(store, db, tmp_path):
    old = store.add(make_host(tmp_path / "old"))
    db("export", make_host(tmp_path / "new", memory_mb=9), "new.tar")
    result = db("import", "new.tar")
    assert result.code == 1
    assert f"new.tar: small@1: is stored already with id {old.id}" in result.err
    assert db("import", "new.tar", "--replace").code == 0
    assert store.databases()[0].id != old.id


def test_import_mends_a_damaged_database(store, db, tmp_path):
    entry = store.add(make_host(tmp_path / "mine"))
    db("export", "small")
    damage(entry.path / "host.mmi")
    assert db("verify").code == 1
    assert db("import", "small-1.tar").code == 0
    assert db("verify").code == 0


# --- verify ---------------------------------------------------------------------------------------


def test_verify_of_sound_databases_says_ok(store, db, tmp_path):
    store.add(make_host(tmp_path / "one"))
    store.add(make_sylph(tmp_path / "two", name="other"))
    result = db("verify")
    assert (result.code, result.out) == (0, "other@1: ok\nsmall@1: ok\n")


def test_verify_names_every_problem_and_goes_on(store, db, tmp_path):
    one = store.add(make_host(tmp_path / "one", version="1"))
    two = store.add(make_host(tmp_path / "two", version="2"))
    three = store.add(make_host(tmp_path / "three", version="3"))
    damage(one.path / "host.mmi")
    (one.path / "host.fa.gz").unlink()
    shutil.rmtree(store.object_of(two.id))
    result = db("verify", "small@1", "small@2", "small@3", "nosuch")
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0] == "small@1: 2 problems"
    assert lines[1].startswith(f"  {one.path}/host.fa.gz: is missing; mend it with: fermentome db ")
    assert lines[2].startswith(f"  {one.path}/host.mmi: sha256 is ")
    assert lines[3] == "small@2: 1 problem"
    assert lines[4].startswith(f"  {two.path}: leads to no folder")
    assert lines[5] == f"{three.reference}: ok"
    assert lines[6] == "nosuch: 1 problem"
    assert "nosuch: no such database" in lines[7] and "fetch nosuch" not in lines[7]
    assert lines[8] == "3 of 4 databases cannot be used as it is"


def test_verify_takes_folders(store, db, tmp_path):
    make_host(tmp_path / "mine")
    assert db("verify", "mine").out == "mine: ok\n"
    result = db("verify", tmp_path / "mine", "--kind", "taxonomy")
    assert result.code == 1
    assert "'taxonomy' is wanted here; mend it with: fermentome db fetch " in result.out


def test_remark_is_no_problem(store, db, tmp_path):
    make_sylph(tmp_path / "mine")
    describe_again(tmp_path / "mine", tools={"pysylph": "0.0.1"})
    result = db("verify", tmp_path / "mine")
    assert result.code == 0
    assert "  remark: taxonomy.syldb: made by pysylph 0.0.1" in result.out


def test_verify_of_an_empty_store_says_so(store, db):
    assert db("verify").out == f"{store.root}: no database\n"


@pytest.fixture
def shell(tmp_path):
    """Run a command line in a shell in which ``fermentome`` is installed."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "fermentome"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fermentome "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}"

    def run(line):
        environment = os.environ | {"PATH": path, "PYTHONPATH": str(SCRIPTS)}
        subprocess.run(line, shell=True, check=True, env=environment, capture_output=True)

    return run


def flip(folder):
    damage(folder / "lineages.tsv")


def lose(folder):
    (folder / "taxonomy.syldb").unlink()


def edit(folder):
    (folder / MANIFEST).chmod(0o644)
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(re.sub(r"memory_mb: \d+", "memory_mb: 1", text))


def put(folder):
    (folder / "not ours").touch()


def remove(folder):
    shutil.rmtree(folder.resolve())


@pytest.mark.parametrize("harm", [flip, lose, edit, put, remove])
def test_command_that_verify_names_mends(store, db, shell, harm):
    assert db("fetch", "demo-taxonomy").code == 0
    before = store.databases()
    harm(before[0].path)
    result = db("verify")
    assert result.code == 1
    [mend] = re.findall("mend it with: (.*)", result.out)
    shell(mend)
    assert db("verify").out == "demo-taxonomy@1: ok\n"
    assert store.databases() == before


# --- fetch ----------------------------------------------------------------------------------------


def test_fetch_says_what_is_where(store, db):
    result = db("fetch", "demo-host")
    [entry] = store.databases()
    assert result.out.splitlines()[1:] == [f"id    {entry.id}", f"path  {entry.path}"]
    assert result.out.startswith("demo-host@1  host, minimap2, ")


def test_fetch_of_a_set_brings_each_of_its_databases(store, db):
    result = db("fetch", "demo")
    assert result.code == 0
    assert [entry.reference for entry in store.databases()] == [
        "demo-host@1",
        "demo-scfa@1",
        "demo-taxonomy@1",
    ]


def test_fetch_takes_a_folder_without_manifest(store, db, tmp_path):
    folder = make_host(tmp_path / "mine")
    (folder / MANIFEST).unlink()
    options = ("--name", "mouse", "--version", "GRCm39", "--kind", "host", "--licence", "CC0")
    assert db("fetch", folder, *options).code == 0
    [entry] = store.databases()
    assert (entry.reference, entry.kind) == ("mouse@GRCm39", "host")
    assert read_manifest(entry.path).licence == "CC0"


def test_fetch_of_an_unknown_name_is_an_error_on_one_line(store, db):
    result = db("fetch", "gtbd")
    assert result.code == 1
    assert result.err.startswith("fermentome db: gtbd: ")
    assert "did you mean gtdb" in result.err


# --- build ----------------------------------------------------------------------------------------


@pytest.fixture
def builder(monkeypatch):
    """Stand-in of a builder's module; `make` may be replaced."""

    def build(arguments, folder):
        assert not any(folder.iterdir())
        module.make(arguments, folder)

    def make(arguments, folder):
        make_host(folder, name=arguments.name or "default", version=arguments.version or "0")

    module = SimpleNamespace(
        __doc__="Builds.",
        make=make,
        build=build,
        add_arguments=lambda parser: parser.add_argument("--genomes"),
    )
    monkeypatch.setitem(sys.modules, "fermentome.command_build_host", module)
    return module


def test_built_database_is_in_the_store(store, db, builder):
    result = db("build", "host", "--genomes", "x", "--name", "mouse", "--version", "2")
    [entry] = store.databases()
    assert entry.reference == "mouse@2"
    assert result.out.splitlines()[1:] == [f"id    {entry.id}", f"path  {entry.path}"]


@pytest.mark.parametrize(
    ("given", "lacking"), [([], "--name and --version"), (["--name", "a"], "--version")]
)
def test_what_goes_into_the_store_must_be_named(store, db, builder, given, lacking, capsys):
    with pytest.raises(SystemExit) as caught:
        db("build", "host", *given)
    assert caught.value.code == 2
    assert f"error: {lacking} required" in capsys.readouterr().err
    assert not store.root.exists()


def test_another_database_of_that_name_is_built_only_when_asked(store, db, builder):
    assert db("build", "host", *NAMED).code == 0
    [old] = store.databases()
    result = db("build", "host", *NAMED)
    assert (result.code, store.databases()) == (0, [old])
    assert "mine@1: is stored already" in result.err
    make = builder.make
    builder.make = lambda arguments, folder: (
        make(arguments, folder),
        describe_again(folder, memory_mb=9),
    )
    result = db("build", "host", *NAMED)
    assert result.code == 1
    assert f"mine@1: is stored already with id {old.id}" in result.err
    assert store.databases() == [old]
    assert db("build", "host", *NAMED, "--replace").code == 0
    assert store.databases()[0].id != old.id


def test_error_of_a_builder_names_no_folder_that_is_gone(store, db, builder):
    def fail(arguments, folder):
        raise command_db.DatabaseError(f"{folder}/host.fa: odd\n{folder}: odd")

    builder.make = fail
    result = db("build", "host", *NAMED)
    assert result.err == "fermentome db: host.fa: odd\nmine@1: odd\n"


def test_full_disk_is_one_line(store, db, builder):
    def fill_up(arguments, folder):
        Path("/dev/full").write_bytes(b"1")

    builder.make = fill_up
    result = db("build", "host", *NAMED)
    assert result.code == 1
    assert re.fullmatch("fermentome db: .*No space left on device; make room.*\n", result.err)


def test_built_database_can_be_a_folder(store, db, builder, tmp_path):
    result = db("build", "host", "--out", "mine")
    assert result.out.endswith("path  mine\n")
    assert db("verify", "mine").code == 0
    assert not store.root.exists()
    result = db("build", "host", "--out", "mine")
    assert result.code == 1
    assert "mine: exists already" in result.err


@pytest.mark.parametrize("place", [NAMED, ("--out", "mine")])
def test_build_that_fails_leaves_nothing(store, db, builder, tmp_path, place):
    def fail(arguments, folder):
        fill(folder, {"host.fa.gz": b"half"})
        raise command_db.DatabaseError("genomes: too few")

    builder.make = fail
    result = db("build", "host", *place)
    assert (result.code, result.err) == (1, "fermentome db: genomes: too few\n")
    assert not list(store.root.glob("staging/*"))
    assert [path.name for path in tmp_path.iterdir()] == (["store"] if place == NAMED else [])


def test_build_without_manifest_is_refused(store, db, builder):
    builder.make = lambda arguments, folder: fill(folder, {"host.fa.gz": b"1"})
    result = db("build", "host", *NAMED)
    assert result.code == 1
    assert "manifest.yaml" in result.err
    assert store.names() == []


def test_interrupted_build_leaves_nothing(store, db, builder):
    def interrupt(arguments, folder):
        fill(folder, {"host.fa.gz": b"half"})
        raise KeyboardInterrupt

    builder.make = interrupt
    result = db("build", "host", *NAMED)
    assert (result.code, result.err) == (
        130,
        "interrupted; nothing half-made is left in the store\n",
    )
    assert not list(store.root.glob("staging/*"))


@pytest.mark.parametrize("options", [["--name", "Mouse"], ["--name", "a@1"], ["--version", "../1"]])
def test_wrong_name_is_refused_before_anything_is_built(store, db, builder, options, capsys):
    with pytest.raises(SystemExit) as caught:
        db("build", "host", *options)
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err
    assert not store.root.exists()


@pytest.mark.parametrize("kind", command_db.BUILDERS)
def test_every_kind_can_be_asked_for_help(store, kind, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["db", "build", kind, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert f"fermentome db build {kind}" in out
    assert all(option in out for option in ("--name", "--version", "--store", "--out"))


# --- gc -------------------------------------------------------------------------------------------


def test_gc_says_what_it_removes_and_how_much(store, db, tmp_path):
    entry = store.add(make_host(tmp_path / "mine"))
    size = sum(path.stat().st_size for path in entry.path.iterdir())
    words = command_db._in_words(size)
    place = store.object_of(entry.id)
    dry = db("gc", "--dry-run", "small")
    assert dry.out == (f"would remove database small@1, {words}: {place}\n{words} would be freed\n")
    assert store.databases() == [entry]
    result = db("gc", "small@1")
    assert result.out == f"removed database small@1, {words}: {place}\n{words} freed\n"
    assert result.code == 0
    assert store.databases() == []
    assert db("gc").out == "0 B freed\n"


def test_gc_of_a_database_in_use_is_refused(store, db, tmp_path):
    store.add(make_host(tmp_path / "mine"))
    with store.lock("small@1"):
        result = db("gc", "small@1")
    assert result.code == 1
    assert "left database small@1" in result.out
    assert "another process uses it" in result.out


@pytest.mark.parametrize("days", ["nan", "-1", "inf", "soon"])
def test_days_must_be_a_number_of_days(store, db, days, capsys):
    with pytest.raises(SystemExit):
        db("gc", f"--days={days}")
    assert f"'{days}': expected a number of days" in capsys.readouterr().err


def test_gc_of_an_unknown_name_is_an_error(store, db):
    result = db("gc", "nosuch")
    assert result.code == 1
    assert result.err.startswith("fermentome db: nosuch: no such database")
