"""The store: shared, safe with several writers, and never half a database to be seen."""

import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
import warnings
from pathlib import Path

import pytest
from small_databases import describe, fill, make_host

from fermentome.databases import store as module
from fermentome.databases.manifest import MANIFEST, check_files, read_manifest
from fermentome.databases.store import (
    Store,
    copy_file,
    default_root,
    is_reference,
    split_reference,
)
from fermentome.errors import DatabaseError, ManifestError

SCRIPTS = Path(module.__file__).parents[2]
TESTS = Path(__file__).parents[1]
OLD = time.time() - 30 * 86_400


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def added(store, tmp_path, version="1", **values):
    folder = make_host(tmp_path / f"made-{version}-{len(list(tmp_path.iterdir()))}", version)
    describe(folder, "host", "minimap2", version=version, **values)
    return store.add(folder)


def names_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def start(code, **options):
    """Start Python on `code` with the library and the tests' modules on its path."""
    environment = os.environ | {"PYTHONPATH": f"{SCRIPTS}{os.pathsep}{TESTS}"}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process):
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["uhgg", "gtdb@r220", "k2-standard-8@20250402", "a@V1.0_x-2"])
def test_names_of_databases_are_told(text):
    assert is_reference(text)
    name, _, version = text.partition("@")
    assert split_reference(text) == (name, version or None)


@pytest.mark.parametrize(
    "text",
    ["", "@1", "a@", "A", "a/b", "a@b/c", "./a", "../a", "a@../b", "a b", "a@.b", "é", "a\n"],
)
def test_paths_and_other_texts_are_no_names(text):
    assert not is_reference(text)
    with pytest.raises(DatabaseError, match="NAME@VERSION"):
        split_reference(text)


def test_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "/share")
    monkeypatch.setenv("FERMENTOME_STORE", "~/mine")
    assert default_root() == tmp_path / "mine"
    monkeypatch.delenv("FERMENTOME_STORE")
    assert default_root() == Path("/share/fermentome")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_root() == tmp_path / ".local/share/fermentome"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_root() == tmp_path / ".local/share/fermentome"


# --- adding and finding ---------------------------------------------------------------------------


def test_added_database_is_found_by_name_and_by_version(store, tmp_path):
    entry = added(store, tmp_path)
    assert entry.path == store.path_of("small") == store.path_of("small@1")
    assert entry.path == tmp_path / "store/names/small/1"
    assert store.databases() == [entry]
    assert "small" in store and "small@1" in store and "small@2" not in store
    manifest = read_manifest(entry.path)
    assert (manifest.id, manifest.size) == (entry.id, entry.size)
    assert check_files(entry.path, manifest) == []


def test_object_lies_under_its_id_and_the_name_is_a_relative_link(store, tmp_path):
    entry = added(store, tmp_path)
    target = f"../../objects/{entry.id[:2]}/{entry.id}"
    assert os.readlink(entry.path) == target
    store.root.rename(tmp_path / "moved")
    assert read_manifest(Store(tmp_path / "moved").path_of("small")).id == entry.id


def test_folder_of_the_user_is_copied_and_left_as_it_is(store, tmp_path):
    folder = make_host(tmp_path / "mine")
    before = {path.name: path.stat() for path in folder.iterdir()}
    store.add(folder)
    assert {path.name: path.stat() for path in folder.iterdir()} == before


def test_staged_folder_is_moved_and_its_files_made_read_only(store):
    with store.staging() as work:
        folder = make_host(work / "database")
        inode = (folder / "host.mmi").stat().st_ino
        entry = store.add(folder)
    status = (entry.path / "host.mmi").stat()
    assert status.st_ino == inode
    assert not status.st_mode & 0o222
    assert not list((store.root / "staging").iterdir())


def test_staging_itself_can_be_the_database(store, tmp_path):
    entry = store.add(make_host(tmp_path / "mine"))
    (entry.path / "surplus").touch()
    with store.staging() as folder:
        for path in (tmp_path / "mine").iterdir():
            shutil.copy(path, folder)
        assert store.add(folder) == entry
    assert check_files(entry.path, read_manifest(entry.path)) == []
    assert not list((store.root / "staging").iterdir())


def test_adding_twice_gives_the_same_entry(store, tmp_path):
    first = added(store, tmp_path)
    inode = (first.path / MANIFEST).stat().st_ino
    assert added(store, tmp_path) == first
    assert (first.path / MANIFEST).stat().st_ino == inode


def test_adding_mends_a_damaged_database(store, tmp_path):
    entry = added(store, tmp_path)
    (entry.path / "host.mmi").chmod(0o644)
    (entry.path / "host.mmi").write_bytes(b"damaged")
    (entry.path / "surplus").write_bytes(b"1")
    assert added(store, tmp_path) == entry
    assert check_files(entry.path, read_manifest(entry.path)) == []
    assert len(store._objects()) == 1


def test_adding_mends_a_name_that_leads_nowhere(store, tmp_path):
    entry = added(store, tmp_path)
    shutil.rmtree(store.object_of(entry.id))
    assert "small" not in store
    with pytest.raises(DatabaseError, match="leads to no database.*fermentome db verify small@1"):
        store.path_of("small")
    assert added(store, tmp_path) == entry
    assert "small" in store


def test_another_database_does_not_take_a_name_unasked(store, tmp_path):
    old = added(store, tmp_path)
    with pytest.raises(
        DatabaseError, match=rf"^small@1: is stored already with id {old.id}, .*--re"
    ):
        added(store, tmp_path, memory_mb=101)
    assert store.databases() == [old]
    assert added(store, tmp_path) == old


def test_name_of_what_was_edited_can_be_taken(store, tmp_path):
    entry = added(store, tmp_path)
    path = entry.path / MANIFEST
    path.chmod(0o644)
    path.write_text(path.read_text().replace("memory_mb: 100", "memory_mb: 7"))
    assert added(store, tmp_path, memory_mb=101).id != entry.id


def test_folder_that_a_check_refuses_is_not_taken(store, tmp_path):
    def check(folder, manifest):
        raise DatabaseError(f"{folder / 'host.mmi'}: of no use, {manifest.reference}")

    folder = make_host(tmp_path / "mine")
    with pytest.raises(DatabaseError, match=rf"^{folder}/host.mmi: of no use, small@1$"):
        store.add(folder, check=check)
    assert store.databases() == []


def test_full_disk_names_the_copy_and_not_the_source(tmp_path):
    (tmp_path / "source").write_bytes(bytes(100_000))
    with pytest.raises(OSError, match="No space left") as caught:
        copy_file(tmp_path / "source", Path("/dev/full"))
    assert caught.value.filename == "/dev/full"


def test_new_content_under_an_old_name_replaces_the_name_when_asked(store, tmp_path, caplog):
    old = added(store, tmp_path)
    new = store.add(make_host(tmp_path / "new", memory_mb=101), replace=True)
    assert new.id != old.id
    assert store.databases() == [new]
    assert "now names another database" in caplog.text
    # Who read the old one still can.
    assert read_manifest(store.object_of(old.id)).id == old.id


def test_damaged_folder_is_not_taken(store, tmp_path):
    folder = make_host(tmp_path / "mine")
    (folder / "host.mmi").write_bytes(b"other")
    with pytest.raises(DatabaseError, match=r"host\.mmi: has 5 bytes.*not taken into the store"):
        store.add(folder)
    assert store.databases() == []
    assert not list((store.root / "staging").iterdir())


def test_folder_with_a_link_is_not_taken(store, tmp_path):
    with store.staging() as work:
        folder = make_host(work / "database")
        (folder / "link").symlink_to("/etc/hostname")
        with pytest.raises(ManifestError, match="is a link"):
            store.add(folder)


def test_several_versions_must_be_told_apart(store, tmp_path):
    added(store, tmp_path, "1")
    second = added(store, tmp_path, "2")
    with pytest.raises(DatabaseError, match="several versions; write one of small@1, small@2"):
        store.path_of("small")
    assert store.path_of("small@2") == second.path
    assert "small" in store


def test_missing_database_says_how_to_get_it(store, tmp_path):
    with pytest.raises(
        DatabaseError, match="gtdb@r220: no such database .*what `fermentome db fetch` gets"
    ):
        store.path_of("gtdb@r220")
    added(store, tmp_path)
    with pytest.raises(DatabaseError, match="there: small@1"):
        store.path_of("small@2")


def test_unreadable_database_hides_no_other(store, tmp_path, caplog):
    added(store, tmp_path, "1")
    bad = added(store, tmp_path, "2")
    (bad.path / MANIFEST).chmod(0o644)
    (bad.path / MANIFEST).write_text("damaged")
    assert [entry.version for entry in store.databases()] == ["1"]
    assert "small@2" in caplog.text
    assert store.names() == [("small", "1"), ("small", "2")]


def test_reading_makes_nothing(store):
    assert store.databases() == []
    assert store.collect() == []
    assert "small" not in store
    assert not store.root.exists()


# --- the root -------------------------------------------------------------------------------------


def test_somebody_elses_folder_is_not_taken_for_a_store(tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    store = Store(tmp_path)
    with pytest.raises(DatabaseError, match="no store"), store.staging():
        pass
    assert names_below(tmp_path) == ["thesis.docx"]


def test_empty_folder_becomes_a_store_and_is_known_again(tmp_path):
    assert Store(tmp_path).downloads.is_dir()
    (tmp_path / "README").write_text("put there by the admin")
    assert Store(tmp_path).downloads.is_dir()


def test_store_of_another_layout_is_refused(tmp_path):
    (tmp_path / module.MARKER).write_text("2")
    with pytest.raises(DatabaseError, match="layout '2'"), Store(tmp_path).staging():
        pass


def test_root_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match="file"), Store(tmp_path / "file").staging():
        pass


def test_full_disk_is_said_with_advice(store, tmp_path, monkeypatch):
    folder = make_host(tmp_path / "mine")

    def fail(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(module.shutil, "copyfile", fail)
    with pytest.raises(DatabaseError, match="No space left.*fermentome db gc"):
        store.add(folder)
    assert not list((store.root / "staging").iterdir())


def test_file_system_without_locks_is_said(store, monkeypatch):
    def fail(*arguments):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(module.fcntl, "flock", fail)
    with pytest.raises(DatabaseError, match="has no locks"), store.lock("x"):
        pass


# --- rights ---------------------------------------------------------------------------------------

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as several users")
NOBODY, OTHER, GROUP = 65534, 65533, 65532


@pytest.mark.parametrize(
    ("umask", "folder_mode", "file_mode"), [(0o022, 0o755, 0o444), (0o007, 0o770, 0o440)]
)
def test_rights_follow_the_umask(store, umask, folder_mode, file_mode):
    old = os.umask(umask)
    try:
        with store.staging() as work:
            folder = make_host(work / "database")
            folder.chmod(0o700)  # as tempfile.mkdtemp would have left it
            (folder / "host.mmi").chmod(0o600)
            entry = store.add(folder)
    finally:
        os.umask(old)
    for path in (entry.path, store.root / "names", store.root / "names/small"):
        assert stat.S_IMODE(path.stat().st_mode) == folder_mode
    for path in entry.path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == file_mode


@pytest.fixture
def open_folder():
    """Folder that other users reach; that of pytest is closed to them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_user(user, action):
    """Do something as another user, in a process of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of libraries, asleep
        child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([GROUP])
            os.setgid(user)
            os.setuid(user)
            os.umask(0o002)
            action()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@as_root
def test_group_shares_a_store(open_folder):
    root = open_folder / "store"
    root.mkdir()
    os.chown(root, NOBODY, GROUP)
    root.chmod(0o2775)
    store = Store(root)

    def add(*versions):
        for version in versions:
            with store.staging() as work:
                store.add(make_host(work / "database", version))

    def add_and_drop():
        # Meets what the first user added, adds, and drops what is not its own.
        add("1", "2")
        [item] = store.collect(["small@1"])
        assert not item.kept

    as_user(NOBODY, lambda: add("1"))
    as_user(OTHER, add_and_drop)
    assert [entry.version for entry in store.databases()] == ["2"]
    for path in (root / "objects", store.path_of("small").resolve()):
        status = path.stat()
        assert (status.st_gid, stat.S_IMODE(status.st_mode)) == (GROUP, 0o2775)


@as_root
def test_store_that_cannot_be_written_to_is_read(open_folder):
    store = Store(open_folder / "store")
    with store.staging() as work:
        entry = store.add(make_host(work / "database"))
    before = names_below(store.root)

    def read():
        assert store.databases() == [entry]
        assert check_files(store.path_of("small"), read_manifest(entry.path)) == []
        assert store.downloads.is_dir()
        for write in (store.staging, lambda: store.lock("small@1")):
            with (
                pytest.raises(DatabaseError, match="denied; ask for the rights"),
                write(),
            ):
                pass
        with pytest.raises(DatabaseError, match="denied; ask for the rights"):
            store.collect(["small"])

    as_user(NOBODY, read)
    assert names_below(store.root) == before


# --- several processes ----------------------------------------------------------------------------

READER = """
import sys, time
from pathlib import Path
from fermentome.databases.manifest import MANIFEST, check_files, read_manifest
from fermentome.databases.store import Store

store, stop = Store(sys.argv[1]), Path(sys.argv[2])
seen = set()
while not stop.exists():
    for name, version in store.names():
        folder = store.folder_of(f"{name}@{version}")
        # A name may go and come; what it leads to is whole.
        real = folder.resolve()
        if not real.is_dir():
            continue
        manifest = read_manifest(real)
        problems = check_files(real, manifest)
        assert not problems, problems
        assert manifest.reference == f"{name}@{version}", folder
        seen.add(version)
print(len(seen))
"""

WRITER = """
import sys
from pathlib import Path
from small_databases import describe, fill
from fermentome.databases.store import Store

store = Store(sys.argv[1])
size = int(sys.argv[2])
for version in sys.argv[3:]:
    with store.staging() as work:
        folder = work / "database"
        fill(folder, {"host.fa.gz": version.encode() * size, "host.mmi": b"1" * size})
        describe(folder, "host", "minimap2", version=version)
        print(store.add(folder).id, flush=True)
"""


def run_python(code, *arguments):
    environment = os.environ | {"PYTHONPATH": f"{SCRIPTS}{os.pathsep}{TESTS}"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_writers_of_the_same_and_of_other_databases_do_not_disturb_readers(store, tmp_path):
    stop = tmp_path / "stop"
    reader = run_python(READER, store.root, stop)
    shared = [str(n) for n in range(8)]
    writers = [
        run_python(WRITER, store.root, 200_000, *shared, "a1", "a2"),
        run_python(WRITER, store.root, 200_000, *shared, "b1", "b2"),
    ]
    first, second = (finish(writer).split() for writer in writers)
    stop.touch()
    assert int(finish(reader)) > 0
    assert first[:8] == second[:8]
    assert len({*first, *second}) == 12
    assert {entry.id for entry in store.databases()} == {*first, *second}
    assert not list((store.root / "staging").iterdir())


def test_killed_writers_leave_nothing_to_be_seen_and_collect_frees_it(store, tmp_path):
    stop = tmp_path / "stop"
    reader = run_python(READER, store.root, stop)
    for n in range(5):
        writer = run_python(WRITER, store.root, 3_000_000, *(f"{n}x{m}" for m in range(50)))
        # Killed at another moment each time, but never before it began to write.
        writer.stdout.readline()
        time.sleep(0.04 * n)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
    # One more gets through although five died, with whatever locks they held.
    last = run_python(WRITER, store.root, 1000, "last")
    finish(last)
    stop.touch()
    finish(reader)
    assert "small@last" in store
    for entry in store.databases():
        assert check_files(entry.path, read_manifest(entry.path)) == []
    store.collect()
    assert not list((store.root / "staging").iterdir())
    named = {entry.id for entry in store.databases()}
    assert {*store._objects()} == named


def test_removing_does_not_disturb_readers_and_writers(store, tmp_path):
    stop = tmp_path / "stop"
    remover = """
import sys
from pathlib import Path
from fermentome.databases.store import Store
from fermentome.errors import DatabaseError

store, stop = Store(sys.argv[1]), Path(sys.argv[2])
removed = 0
while not stop.exists():
    for name, version in store.names():
        try:
            found = store.collect([f"{name}@{version}"])
        except DatabaseError as error:
            assert "no such database" in str(error), error
            continue
        assert not any(item.what == "abandoned work" for item in found), found
        removed += len(found)
print(removed)
"""
    removers = [run_python(remover, store.root, stop) for _ in range(2)]
    writers = [
        run_python(WRITER, store.root, 1000, *(str(n % 3) for n in range(40))) for _ in range(2)
    ]
    for writer in writers:
        finish(writer)
    stop.touch()
    assert sum(int(finish(process)) for process in removers) > 0
    for entry in store.databases():
        assert check_files(entry.path, read_manifest(entry.path)) == []


def test_lock_keeps_others_out_and_says_that_it_waits(store, caplog):
    code = f"""
    import time
    from fermentome.databases.store import Store
    with Store({str(store.root)!r}).lock("gtdb@r220"):
        print("taken", flush=True)
        time.sleep(1)
    """
    other = start(code)
    assert other.stdout.readline() == "taken\n"
    began = time.monotonic()
    with caplog.at_level(logging.INFO), store.lock("gtdb@r220"):
        assert time.monotonic() - began > 0.3
    assert f"waiting for process {other.pid} on " in caplog.text
    assert "gtdb@r220" in caplog.text
    finish(other)


def test_lock_of_another_key_is_free(store):
    with store.lock("a@1"), store.lock("a@2"):
        pass


# --- collecting -----------------------------------------------------------------------------------


def whats(found):
    return sorted(item.what for item in found)


def test_dropped_database_goes_and_others_stay(store, tmp_path):
    first, second = added(store, tmp_path, "1"), added(store, tmp_path, "2")
    size = sum(path.stat().st_size for path in first.path.iterdir())
    [item] = store.collect(["small@1"])
    assert (item.what, item.size, item.kept) == ("database small@1", size, "")
    assert store.databases() == [second]
    assert not store.object_of(first.id).exists()
    assert check_files(second.path, read_manifest(second.path)) == []


def test_last_version_takes_its_folder_with_it(store, tmp_path):
    added(store, tmp_path)
    store.collect(["small"])
    assert not list((store.root / "names").iterdir())
    added(store, tmp_path)
    assert "small" in store


@as_root
def test_nothing_is_removed_where_the_names_cannot_be_read(open_folder):
    store = Store(open_folder / "store")
    with store.staging() as work:
        entry = store.add(make_host(work / "database"))
    for path in (store.root, *store.root.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o777)
    (store.root / "names" / "small").chmod(0o700)

    def collect():
        with pytest.raises(DatabaseError, match="Permission denied"):
            store.collect()

    as_user(NOBODY, collect)
    assert store.databases() == [entry]


def test_dry_run_says_the_same_and_removes_nothing(store, tmp_path):
    added(store, tmp_path, "1")
    store.add(make_host(tmp_path / "other", memory_mb=5), replace=True)
    fill(store.downloads, {"0" * 64 + ".part": b"12345"})
    os.utime(store.downloads / ("0" * 64 + ".part"), (OLD, OLD))
    before = names_below(store.root)
    said = store.collect(["small"], dry_run=True)
    assert names_below(store.root) == before
    assert whats(said) == ["database small@1", "database without a name", "partial download"]
    assert sorted(store.collect(["small"]), key=str) == sorted(said, key=str)
    assert store.collect() == []


def test_unknown_name_removes_nothing(store, tmp_path):
    added(store, tmp_path, "1")
    store.add(make_host(tmp_path / "other", memory_mb=5), replace=True)
    before = names_below(store.root)
    with pytest.raises(DatabaseError, match="nosuch"):
        store.collect(["small", "nosuch"])
    assert names_below(store.root) == before


def test_database_that_a_process_works_on_is_left(store, tmp_path):
    entry = added(store, tmp_path)
    with store.lock("small@1"):
        [item] = store.collect(["small@1"])
    assert item.kept == "another process uses it"
    assert store.databases() == [entry]


def test_dangling_name_is_removed(store, tmp_path):
    entry = added(store, tmp_path)
    shutil.rmtree(store.object_of(entry.id))
    [item] = store.collect(["small"])
    assert item.what == "name without a database"
    assert store.names() == []


def test_work_of_the_living_is_left_and_of_the_dead_removed(store, tmp_path):
    process = run_python(WRITER, store.root, 1000, "1")
    finish(process)
    with store.staging() as living:
        (living / "file").write_text("1")
        dead = store.root / "staging" / f"{int(OLD)}-1-0123456789abcdef"
        fill(dead, {"file": b"12345"})
        dead.with_name(f"{dead.name}.lock").touch()
        found = store.collect()
        assert [(item.path, item.size) for item in found] == [(dead, 5)]
        assert (living / "file").exists()
    assert not list((store.root / "staging").iterdir())


def test_what_the_store_did_not_make_is_never_removed(store, tmp_path):
    added(store, tmp_path)
    mine = {
        "notes.txt": b"1",
        "objects/mine/file": b"1",
        "objects/ab/mine": b"1",
        "names/small/own/file": b"1",
        "staging/mine/file": b"1",
        "staging/mine.lock": b"",
        "downloads/mine.gz": b"1",
        "downloads/mine/file": b"1",
    }
    fill(store.root, mine)
    for name in mine:
        os.utime(store.root / name, (OLD, OLD))
    found = store.collect(["small@1", "small@own"], downloads=True, partial_days=0)
    assert [item.kept for item in found if item.what == "name"] == [
        "it is no link that the store made"
    ]
    for name in mine:
        assert (store.root / name).exists()


def test_old_partial_downloads_go_and_young_and_busy_ones_stay(store):
    folder = store.downloads
    old, young, busy = (digit * 64 + ".part" for digit in "012")
    fill(folder, {old: b"1", old + ".json": b"{}", young: b"1", busy: b"1"})
    for name in (old, old + ".json", busy):
        os.utime(folder / name, (OLD, OLD))
    fill(folder, {"3" * 64 + "/file.gz": b"finished"})
    with (folder / busy).open() as handle:
        module.fcntl.flock(handle, module.fcntl.LOCK_EX)
        found = store.collect()
    assert {item.path.name: bool(item.kept) for item in found} == {
        old: False,
        old + ".json": False,
        busy: True,
    }
    assert sorted(os.listdir(folder)) == [young, busy, "3" * 64]
    assert whats(store.collect(downloads=True)) == ["finished download", "partial download"]
    assert os.listdir(folder) == [young]
