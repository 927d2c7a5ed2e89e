"""Archives: the same bytes for the same content, and nothing outside the folder."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from fermentome.databases import archives
from fermentome.databases.archives import pack, unpack
from fermentome.errors import ArchiveError

FILES = {"manifest.yaml": b"id: 1\n", "host.fa.gz": b"\x1f\x8b\x00", "more/table.tsv": b"a\tb\n"}


def fill(folder, files=FILES):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def content_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def member(name, content=b"x", **values):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in values.items():
        setattr(info, key, value)
    return info, content


def tar_bytes(*members, **options):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **options) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return out.getvalue()


def zip_bytes(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def everything_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def refuse(tmp_path, data, match, name="x.tar"):
    """Unpack in a folder of its own and see that nothing at all is left of it."""
    (tmp_path / name).write_bytes(data)
    before = everything_below(tmp_path)
    with pytest.raises(ArchiveError, match=match) as caught:
        unpack(tmp_path / name, tmp_path / "out")
    assert name in str(caught.value)
    assert everything_below(tmp_path) == before


# --- packing --------------------------------------------------------------------------------------


def test_packed_folder_comes_out_as_it_went_in(tmp_path):
    pack(fill(tmp_path / "in"), tmp_path / "db.tar", "db-1")
    unpack(tmp_path / "db.tar", tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES


def test_bytes_depend_on_names_and_content_alone(tmp_path):
    first = fill(tmp_path / "one")
    second = fill(tmp_path / "elsewhere" / "two", dict(reversed(FILES.items())))
    os.utime(second / "host.fa.gz", (1, 1))
    (second / "manifest.yaml").chmod(0o600)
    pack(first, tmp_path / "first.tar", "db-1")
    pack(second, tmp_path / "second.tar", "db-1")
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()


def test_manifest_comes_first_below_the_top_folder(tmp_path):
    pack(fill(tmp_path / "in", FILES | {"a.tsv": b""}), tmp_path / "db.tar", "db-1")
    with tarfile.open(tmp_path / "db.tar") as archive:
        names = archive.getnames()
    assert names == [
        "db-1/manifest.yaml",
        "db-1/a.tsv",
        "db-1/host.fa.gz",
        "db-1/more/table.tsv",
    ]


def test_existing_file_is_not_overwritten(tmp_path):
    (tmp_path / "db.tar").write_text("mine")
    with pytest.raises(ArchiveError, match="exists already"):
        pack(fill(tmp_path / "in"), tmp_path / "db.tar", "db-1")
    assert (tmp_path / "db.tar").read_text() == "mine"


def test_packing_that_fails_leaves_no_file(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives.os, "fsync", fail)
    with pytest.raises(ArchiveError, match="No space left"):
        pack(fill(tmp_path / "in"), tmp_path / "db.tar", "db-1")
    assert not list(tmp_path.glob("db.tar*"))


def test_packing_to_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ArchiveError, match="No such file"):
        pack(fill(tmp_path / "in"), tmp_path / "no" / "db.tar", "db-1")


def test_gigabytes_are_packed_and_unpacked_in_little_memory(tmp_path):
    # A sparse file takes no disk; its archive is sparse no more, so it stays small.
    size = 100 * 1024 * 1024
    with (fill(tmp_path / "in") / "hash.k2d").open("wb") as handle:
        handle.truncate(size)
    code = f"""
import resource
from pathlib import Path
from fermentome.databases.archives import pack, unpack
folder = Path({str(tmp_path)!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pack(folder / "in", folder / "db.tar", "db")
unpack(folder / "db.tar", folder / "out")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    scripts = Path(archives.__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(scripts)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(run.stdout) < 30_000  # kilobytes
    assert (tmp_path / "out" / "hash.k2d").stat().st_size == size


# --- what is accepted -----------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("top", ["", "k2_standard/", "./", "a/b/"])
def test_tar_is_known_by_its_content(tmp_path, compress, top):
    data = tar_bytes(*(member(top + name, content) for name, content in FILES.items()))
    (tmp_path / "download").write_bytes(compress(data))
    unpack(tmp_path / "download", tmp_path / "out")
    # Only the outermost folder is left out.
    left = "b/" if top == "a/b/" else ""
    assert content_of(tmp_path / "out") == {left + name: FILES[name] for name in FILES}


@pytest.mark.parametrize("top", ["", "db/"])
def test_zip_is_unpacked(tmp_path, top):
    data = zip_bytes(*((top + name, content) for name, content in FILES.items()))
    (tmp_path / "x.zip").write_bytes(data)
    unpack(tmp_path / "x.zip", tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_folders_of_their_own_are_unpacked(tmp_path, format):
    name = "/".join(["f" * 40] * 4)
    folder, _ = member("f" * 40, b"", type=tarfile.DIRTYPE)
    data = tar_bytes((folder, b""), member(name, b"1"), member("g", b""), format=format)
    (tmp_path / "x.tar").write_bytes(data)
    unpack(tmp_path / "x.tar", tmp_path / "out")
    assert content_of(tmp_path / "out") == {name: b"1", "g": b""}


def test_single_compressed_file_gets_the_name_of_the_archive(tmp_path):
    (tmp_path / "lineages.tsv.gz").write_bytes(gzip.compress(b"genome\tlineage\n"))
    unpack(tmp_path / "lineages.tsv.gz", tmp_path / "out")
    assert content_of(tmp_path / "out") == {"lineages.tsv": b"genome\tlineage\n"}


def test_top_folder_may_be_called_like_its_content(tmp_path):
    (tmp_path / "x.tar").write_bytes(tar_bytes(member("db/db/x", b"1"), member("db/y", b"2")))
    unpack(tmp_path / "x.tar", tmp_path / "out")
    assert content_of(tmp_path / "out") == {"db/x": b"1", "y": b"2"}


def test_rights_and_owner_of_the_archive_are_not_taken_over(tmp_path):
    (tmp_path / "x.tar").write_bytes(tar_bytes(member("run.sh", mode=0o6777, uid=12345)))
    unpack(tmp_path / "x.tar", tmp_path / "out")
    status = (tmp_path / "out" / "run.sh").stat()
    assert status.st_mode & 0o7111 == 0
    assert status.st_uid == os.geteuid()


# --- what is refused ------------------------------------------------------------------------------

GOOD = member("good.tsv", b"before the bad one")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("/etc/evil", "absolute"),
        ("//evil", "absolute"),
        ("C:/evil", "absolute"),
        ("../evil", r"'\.\.'"),
        ("a/../../evil", r"'\.\.'"),
        ("a/..", r"'\.\.'"),
        ("a\nb", "control"),
        ("a\x1b[2Jb", "control"),
        ("..\\evil", "backslash"),
        ("Manifest.YAML", "capitals"),
        ("GOOD.tsv", "capitals"),
        ("good.tsv", "stands twice"),
        ("./good.tsv", "stands twice"),
        ("good.tsv/below", "stands twice"),
    ],
)
def test_dangerous_names_are_refused(tmp_path, name, match):
    refuse(tmp_path, tar_bytes(GOOD, member(name)), match)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: None)  # zipfile on duplicates
        data = zip_bytes(("good.tsv", b"1"), (name, b"2"))
    refuse(tmp_path, data, match, name="x.zip")


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (tarfile.SYMTYPE, "link to '/etc/passwd'"),
        (tarfile.LNKTYPE, "link to '/etc/passwd'"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "device"),
    ],
)
def test_links_and_devices_are_refused(tmp_path, kind, match):
    bad = member("bad", b"", type=kind, linkname="/etc/passwd")
    refuse(tmp_path, tar_bytes(GOOD, bad), f"'bad' is a {match}")


def test_writing_through_a_link_is_refused(tmp_path):
    link = member("out", b"", type=tarfile.SYMTYPE, linkname="..")
    refuse(tmp_path, tar_bytes(link, member("out/evil")), "'out' is a link")


def test_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("bad")
    info.external_attr = 0o120777 << 16
    refuse(tmp_path, zip_bytes((info, b"/etc/passwd")), "'bad' is a link", name="x.zip")


def test_name_with_a_zero_byte_is_refused(tmp_path):
    data = zip_bytes(("good.txtX", b"1")).replace(b"good.txtX", b"goo\0.txtX")
    refuse(tmp_path, data, "control", name="x.zip")


def test_names_that_differ_in_the_form_of_an_accent_are_refused(tmp_path):
    refuse(tmp_path, tar_bytes(member("\u00e9.tsv"), member("e\u0301.tsv")), "same file")


def test_folder_whose_name_collides_is_refused(tmp_path):
    refuse(tmp_path, tar_bytes(member("Data/a"), member("data/b")), "same file")


def test_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SMALL", 100_000)
    zeros = b"\0" * 50_000_000
    packed = gzip.compress(tar_bytes(member("zeros", zeros)))
    assert len(packed) * archives.MOST_EXPANSION < len(zeros)
    refuse(tmp_path, packed, "fill the disk", name="x.tar.gz")
    refuse(tmp_path, gzip.compress(zeros), "fill the disk", name="zeros.gz")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", zeros)
    refuse(tmp_path, out.getvalue(), "fill the disk", name="x.zip")


def test_size_that_is_known_is_the_limit(tmp_path):
    (tmp_path / "x.tar").write_bytes(tar_bytes(member("a", b"12345")))
    with pytest.raises(ArchiveError, match="more than 4 bytes"):
        unpack(tmp_path / "x.tar", tmp_path / "out", most_bytes=4)
    unpack(tmp_path / "x.tar", tmp_path / "out", most_bytes=5)


def test_name_that_would_fill_the_memory_is_refused(tmp_path):
    info, content = member("a")
    info.pax_headers = {"comment": "x" * 5_000_000}
    data = gzip.compress(tar_bytes((info, content), format=tarfile.PAX_FORMAT))
    refuse(tmp_path, data, "name or comment", name="x.tar.gz")


def test_long_name_is_cut_in_the_message(tmp_path):
    name = "../" + "x" * 5000
    with pytest.raises(ArchiveError, match=r"member '\.\./x+'\.\.\. leads outside") as caught:
        (tmp_path / "x.tar").write_bytes(tar_bytes(member(name), format=tarfile.PAX_FORMAT))
        unpack(tmp_path / "x.tar", tmp_path / "out")
    assert len(str(caught.value)) < len(str(tmp_path)) + 250


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    refuse(tmp_path, tar_bytes(*(member(str(n)) for n in range(4))), "more than 3")


def test_full_disk_is_said_beforehand(tmp_path, monkeypatch):
    usage = archives.shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage)
    refuse(tmp_path, tar_bytes(member("a", b"x" * 11)), "10 bytes are free")


# --- what is damaged ------------------------------------------------------------------------------


def test_archive_cut_off_anywhere_is_refused(tmp_path):
    whole = tar_bytes(member("a", b"1" * 700), member("b", b"2" * 700), format=tarfile.USTAR_FORMAT)
    # Header, two blocks of content; twice; then the zeros that end an archive.
    for length in (100, 512, 600, 1536, 2048, 2500, 3072):
        refuse(tmp_path, whole[:length], "damaged|no archive", name=f"x{length}.tar")


def test_header_damaged_in_the_middle_is_not_taken_for_the_end(tmp_path):
    data = bytearray(tar_bytes(member("a"), member("b")))
    data[1024 + 3] ^= 1
    refuse(tmp_path, bytes(data), "damaged")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_archive_cut_off_is_refused(tmp_path, compress):
    data = compress(tar_bytes(member("a", os.urandom(5000))))
    refuse(tmp_path, data[: len(data) // 2], "damaged", name="x.tar.gz")


def test_flipped_byte_in_compressed_content_is_refused(tmp_path):
    data = bytearray(zip_bytes(("a", b"content of a file")))
    data[data.index(b"content")] ^= 1
    refuse(tmp_path, bytes(data), "damaged", name="x.zip")


def test_file_that_is_no_archive_is_refused(tmp_path):
    refuse(tmp_path, b">chr1\nACGT\n" * 100, "is no archive", name="host.fa")


def test_empty_archive_is_refused(tmp_path):
    refuse(tmp_path, zip_bytes(), "no file", name="x.zip")
    refuse(tmp_path, b"", "is no archive", name="y.tar")


def test_encrypted_zip_is_refused(tmp_path):
    data = bytearray(zip_bytes(("a", b"1")))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refuse(tmp_path, bytes(data), "encrypted", name="x.zip")


def test_folder_with_content_is_left_alone(tmp_path):
    (tmp_path / "x.tar").write_bytes(tar_bytes(member("a")))
    fill(tmp_path / "out")
    with pytest.raises(ArchiveError, match="not empty"):
        unpack(tmp_path / "x.tar", tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES


def test_empty_folder_stays_after_a_refusal(tmp_path):
    (tmp_path / "out").mkdir()
    inode = (tmp_path / "out").stat().st_ino
    refuse(tmp_path, tar_bytes(GOOD, member("../evil")), r"'\.\.'")
    assert (tmp_path / "out").stat().st_ino == inode


def test_missing_archive_is_said(tmp_path):
    with pytest.raises(ArchiveError, match="No such file"):
        unpack(tmp_path / "no.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()
