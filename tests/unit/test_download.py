"""Downloads, against a server that fails as real ones do. Nothing here leaves this machine."""

import contextlib
import errno
import gzip
import hashlib
import io
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import hypothesis
import pytest
import requests
from download_server import (
    CHANGED,
    Answer,
    DownloadServer,
    close,
    header,
    lie,
    redirect,
    stall,
    status,
    trickle,
    truncate,
)
from hypothesis import strategies as st

from fermentome.databases.download import (
    Progress,
    Settings,
    download,
    fetch_pages,
    file_name,
    redact,
)
from fermentome.databases.partial import Partial
from fermentome.databases.web import AttemptError, open_session, without_secrets
from fermentome.errors import DownloadError

# Waits are short. The time allowed for an answer is long: only tests of stalls run into it.
QUICK = Settings(attempts=3, read_timeout=60, backoff=0.001, longest_wait=0.01, spare=0)
# Where a stall is the subject, a busy machine may cause some more of them.
IMPATIENT = Settings(attempts=50, read_timeout=0.3, backoff=0.001, longest_wait=0.01, spare=0)

BODY = random.Random(1).randbytes(700_000)
OTHER = random.Random(2).randbytes(700_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
LIBRARY = Path(__file__).parents[2] / "scripts"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch, tmp_path):
    """The proxies and passwords of who runs the tests are no part of them."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))


@pytest.fixture
def server():
    with DownloadServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "downloads"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def ranges(server):
    return [request.headers["Range"] for request in server.requests]


def partial_left_by(url, folder, server, after, **expected):
    """Run a download that breaks after so many bytes, for good."""
    server.add("/gone", fault=status(404))
    with pytest.raises(DownloadError):
        download([url], folder, settings=Settings(attempts=1, spare=0), **expected)
    sizes = [path.stat().st_size for path in folder.glob("*.part")]
    assert sizes == ([after] if after else [])
    server.requests.clear()


# --- a good server


def test_a_file_is_stored_under_its_checksum(server, folder):
    url = server.add("/data/genomes.tar", BODY)
    found = download([url], folder, settings=QUICK)
    assert found.path == folder / SHA256
    assert found.path.read_bytes() == BODY
    assert (found.sha256, found.size, found.url) == (SHA256, len(BODY), url)
    assert (found.name, found.date) == ("genomes.tar", "2024-01-02")
    assert names(folder) == [SHA256, f"{SHA256}.json"]


def test_a_file_that_is_here_already_is_not_asked_for_again(server, folder):
    url = server.add("/file", BODY)
    first = download([url], folder, sha256=SHA256.upper(), settings=QUICK)
    assert download([url], folder, sha256=SHA256, settings=QUICK) == first
    assert len(server.requests) == 1


def test_a_file_that_was_damaged_since_is_downloaded_anew(server, folder):
    url = server.add("/file", BODY)
    path = download([url], folder, sha256=SHA256, settings=QUICK).path
    path.write_bytes(BODY[:-1] + b"?")
    assert download([url], folder, sha256=SHA256, settings=QUICK).path.read_bytes() == BODY


def test_a_server_that_sends_chunks_without_a_length(server, folder):
    url = server.add("/file", lambda _: Answer(body=[BODY[:100], BODY[100:]], chunked=True))
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY


def test_files_are_asked_for_as_they_are(server, folder):
    download([server.add("/file", BODY)], folder, settings=QUICK)
    assert server.requests[0].headers["Accept-Encoding"] == "identity"
    assert server.requests[0].headers["User-Agent"].startswith("fermentome ")


def test_redirects_are_followed(server, folder):
    server.add("/new", BODY)
    url = server.add("/old", fault=redirect("/new"))
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY


# --- faults that pass: the same server is asked again


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(server, folder, code):
    url = server.add("/file", BODY, fault=status(code), times=2)
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY
    assert len(server.requests) == 3


def test_a_broken_connection_is_tried_again(server, folder):
    url = server.add("/file", BODY, fault=close(), times=2)
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY


def test_a_truncated_answer_is_continued(server, folder):
    url = server.add("/file", BODY, fault=truncate(300_000), times=1)
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY
    assert ranges(server) == [None, "bytes=300000-"]
    assert server.requests[1].headers["If-Range"] == f'"{SHA256[:16]}"'


def test_truncated_chunks_are_continued(server, folder):
    def halves(request):
        if request.headers["Range"] is None:
            return Answer(body=[BODY[:1000]], headers={"ETag": '"1"'}, chunked=True, stop=1000)
        span = f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"
        return Answer(206, BODY[1000:], {"ETag": '"1"', "Content-Range": span})

    url = server.add("/file", halves)
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY


def test_a_stalled_connection_is_given_up_and_continued(server, folder):
    url = server.add("/file", BODY, fault=stall(300_000), times=1)
    assert download([url], folder, settings=IMPATIENT).path.read_bytes() == BODY
    assert "bytes=300000-" in ranges(server)


def test_a_server_that_never_answers_is_a_stall(server, folder):
    def never(_):
        server.wait_for_end(5)
        return Answer()

    url = server.add("/file", never)
    impatient = Settings(attempts=2, read_timeout=0.2, backoff=0.001, spare=0)
    with pytest.raises(DownloadError, match="stalled: no byte within the time allowed"):
        download([url], folder, settings=impatient)
    assert len(server.requests) == 2


def test_a_server_that_trickles_is_a_stall(server, folder):
    url = server.add("/file", BODY, fault=trickle(0.02))
    fast = Settings(attempts=2, slow_window=0.3, slowest=1e6, backoff=0.001, spare=0)
    with pytest.raises(DownloadError, match=r"stalled: \d+ bytes in \d+ seconds"):
        download([url], folder, settings=fast)


def test_attempts_are_counted_from_the_last_progress(server, folder):
    body = random.Random(3).randbytes(8_000_000)
    url = server.add("/file", body, fault=truncate(1_500_000), times=4)
    two = Settings(attempts=2, backoff=0.001, spare=0)
    assert download([url], folder, settings=two).path.read_bytes() == body
    assert len(server.requests) == 5


def test_a_wait_that_the_server_asks_for_is_kept(server, folder):
    url = server.add("/file", BODY, fault=status(429, Retry_After="1"), times=1)
    download([url], folder, settings=Settings(backoff=0.001, spare=0))
    first, second = server.requests
    assert second.when - first.when >= 1


@pytest.mark.parametrize("wait", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT", "soon", "-1"])
def test_a_wait_that_the_server_asks_for_has_a_limit(server, folder, wait):
    url = server.add("/file", BODY, fault=status(503, Retry_After=wait), times=1)
    began = time.monotonic()
    download([url], folder, settings=QUICK)
    assert time.monotonic() - began < 60


def test_waits_grow_and_differ(server, folder, caplog):
    url = server.add("/file", fault=status(500))
    settings = Settings(attempts=5, backoff=0.02, longest_wait=0.1, spare=0)
    with pytest.raises(DownloadError):
        download([url], folder, settings=settings)
    waits = [record.args[-1] for record in caplog.records if "follows in" in record.msg]
    limits = [0.02, 0.04, 0.08, 0.1]
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(waits, limits, strict=True))


# --- faults that stay: the next mirror is asked


def test_mirrors_are_asked_in_order_and_only_as_far_as_needed(server, folder):
    urls = [
        server.add("/first", fault=status(404)),
        server.add("/second", BODY),
        server.add("/third", BODY),
    ]
    assert download(urls, folder, settings=QUICK).url == urls[1]
    assert [request.path for request in server.requests] == ["/first", "/second"]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451])
def test_a_refusal_is_not_tried_again(server, folder, code):
    url = server.add("/file", fault=status(code))
    with pytest.raises(DownloadError, match=f"status {code}"):
        download([url], folder, settings=QUICK)
    assert len(server.requests) == 1


def test_the_error_lists_every_address_and_what_to_do(server, folder):
    urls = [server.add("/a/file.tar", fault=status(404)), server.add("/b", fault=status(500))]
    with pytest.raises(DownloadError) as error:
        download([*urls, "http://127.0.0.1:1/c"], folder, settings=QUICK)
    text = str(error.value)
    assert text.startswith("file.tar: could not be downloaded.\n")
    assert f"{urls[0]}: status 404, not found" in text
    assert f"{urls[1]}: status 500, internal server error (attempt 3, the last)" in text
    assert "http://127.0.0.1:1/c: Connection refused (attempt 3, the last)" in text
    assert "`fermentome db fetch FILE`" in text
    assert names(folder) == []


def test_a_mirror_continues_what_another_began_where_the_checksum_is_known(server, folder):
    first = server.add("/first", BODY, fault=[truncate(400_000), status(404)])
    second = server.add("/second", BODY, etag='"another"')
    found = download([first, second], folder, sha256=SHA256, settings=QUICK)
    assert found.path.read_bytes() == BODY
    assert server.requests[-1].path == "/second"
    assert server.requests[-1].headers["Range"] == "bytes=400000-"
    assert server.requests[-1].headers["If-Range"] is None  # the marks are the first mirror's


def test_a_mirror_starts_anew_where_nobody_knows_that_the_files_are_the_same(server, folder):
    first = server.add("/first", BODY, fault=[truncate(400_000), status(404)])
    second = server.add("/second", OTHER)
    assert download([first, second], folder, settings=QUICK).path.read_bytes() == OTHER
    assert server.requests[-1].headers["Range"] is None


def test_a_mirror_with_another_file_does_not_spoil_the_next_one(server, folder):
    # The third is the good one; it must not suffer from what the others left.
    urls = [
        server.add("/first", BODY, fault=[truncate(400_000), status(404)]),
        server.add("/second", OTHER),
        server.add("/third", BODY, ranges=False),
    ]
    assert download(urls, folder, sha256=SHA256, settings=QUICK).path.read_bytes() == BODY


def test_a_host_that_cannot_be_resolved_is_named(folder, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DownloadError, match=r"http://no-such-host\.invalid/file: .*resolved"):
        download(["http://no-such-host.invalid/file"], folder, settings=QUICK)


# --- wrong contents


def test_a_wrong_checksum_leads_to_the_next_mirror(server, folder):
    urls = [server.add("/bad", OTHER), server.add("/good", BODY)]
    found = download(urls, folder, sha256=SHA256, settings=QUICK)
    assert found.url == urls[1]
    assert [request.path for request in server.requests] == ["/bad", "/good"]


def test_a_wrong_checksum_everywhere_names_both_and_keeps_nothing(server, folder):
    url = server.add("/bad", OTHER)
    wrong = hashlib.sha256(OTHER).hexdigest()
    with pytest.raises(DownloadError, match=f"expected sha256 {SHA256}, found {wrong}"):
        download([url], folder, sha256=SHA256, settings=QUICK)
    assert len(server.requests) == 1
    assert names(folder) == []


def test_a_web_page_in_place_of_the_file_is_told(server, folder):
    url = server.add("/file", b"<!DOCTYPE html><title>Please log in</title>")
    with pytest.raises(DownloadError, match="it is a web page"):
        download([url], folder, sha256=SHA256, settings=QUICK)


def test_a_wrong_whole_from_two_parts_is_downloaded_again_in_one(server, folder):
    # The server replaces the file and continues it nevertheless.
    url = server.add("/file", OTHER, fault=truncate(300_000), times=1, etag=None, changed=None)
    partial_left_by(url, folder, server, 300_000, sha256=SHA256)
    server.add("/file", BODY, etag=None, changed=None)
    assert download([url], folder, sha256=SHA256, settings=QUICK).path.read_bytes() == BODY
    assert ranges(server) == ["bytes=300000-", None]


def test_the_expected_checksum_must_be_one(folder):
    with pytest.raises(DownloadError, match="64 hexadecimal digits"):
        download(["http://127.0.0.1:1/"], folder, sha256="md5:abc", settings=QUICK)


# --- lengths


def test_a_length_that_is_too_long_is_never_believed(server, folder):
    url = server.add("/file", BODY, fault=lie(len(BODY) + 9))
    with pytest.raises(DownloadError, match="cut off"):
        download([url], folder, settings=Settings(attempts=3, backoff=0.001, spare=0))
    assert not (folder / SHA256).exists()


def test_a_length_that_is_too_long_does_not_matter_where_the_checksum_is_right(server, folder):
    url = server.add("/file", BODY, fault=lie(len(BODY) + 9))
    assert download([url], folder, sha256=SHA256, settings=QUICK).path.read_bytes() == BODY


def test_a_length_that_is_too_short_is_seen_by_the_checksum(server, folder):
    url = server.add("/file", BODY, fault=lie(len(BODY) - 9))
    with pytest.raises(DownloadError, match="wrong checksum"):
        download([url], folder, sha256=SHA256, settings=QUICK)


@pytest.mark.parametrize("told", [len(BODY) - 9, len(BODY) + 9])
def test_another_size_than_the_expected_is_refused_before_the_file_is_fetched(server, folder, told):
    urls = [server.add("/lies", BODY, fault=lie(told)), server.add("/good", BODY)]
    found = download(urls, folder, size=len(BODY), settings=QUICK)
    assert found.url == urls[1]
    assert [request.path for request in server.requests] == ["/lies", "/good"]


def test_a_login_page_does_not_cost_what_has_arrived(server, folder):
    url = server.add("/file", BODY, fault=truncate(300_000), times=1)
    expected = {"sha256": SHA256, "size": len(BODY)}
    partial_left_by(url, folder, server, 300_000, **expected)
    page = server.add("/login", b"<html>", ranges=False)
    assert download([page, url], folder, **expected, settings=QUICK).path.read_bytes() == BODY
    assert ranges(server) == ["bytes=300000-", "bytes=300000-"]


def test_an_answer_without_length_is_cut_at_the_expected_size(server, folder):
    url = server.add("/file", BODY * 2, fault=lie(None))
    with pytest.raises(DownloadError, match=f"longer than the {len(BODY)} bytes"):
        download([url], folder, size=len(BODY), settings=QUICK)


def test_an_answer_without_length_that_is_too_short_is_refused(server, folder):
    url = server.add("/file", BODY[:-1], fault=lie(None))
    with pytest.raises(DownloadError, match=f"expected {len(BODY)} bytes, found {len(BODY) - 1}"):
        download([url], folder, size=len(BODY), settings=QUICK)


def test_a_file_whose_end_nobody_can_know_is_reported(server, folder, caplog):
    url = server.add("/file", BODY, fault=lie(None))
    download([url], folder, settings=QUICK)
    assert "whether the file is complete cannot be seen" in caplog.text


def test_an_empty_answer_is_no_file(server, folder):
    url = server.add("/file", b"")
    with pytest.raises(DownloadError, match="the answer is empty"):
        download([url], folder, settings=QUICK)


# --- resuming


def test_a_partial_file_is_continued_by_the_next_download(server, folder):
    url = server.add("/file", BODY, fault=truncate(300_000), times=1)
    partial_left_by(url, folder, server, 300_000)
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY
    assert ranges(server) == ["bytes=300000-"]
    assert names(folder) == [SHA256, f"{SHA256}.json"]


def test_a_server_without_ranges_sends_the_whole_file_again(server, folder):
    url = server.add("/file", BODY, fault=truncate(300_000), times=1, ranges=False)
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY


@pytest.mark.parametrize("sha256", [None, hashlib.sha256(OTHER).hexdigest()])
@pytest.mark.parametrize("etag", ["hash", None])
@pytest.mark.parametrize("obeys", [True, False])
def test_a_file_that_changed_is_not_glued_together(server, folder, sha256, etag, obeys):
    url = server.add("/file", BODY, fault=truncate(300_000), times=1, etag=etag)
    partial_left_by(url, folder, server, 300_000, sha256=sha256)
    changed = "Wed, 03 Jan 2024 03:04:05 GMT"
    server.add("/file", OTHER, etag=etag, changed=changed, obeys_if_range=obeys)
    assert download([url], folder, sha256=sha256, settings=QUICK).path.read_bytes() == OTHER


def test_a_file_that_changes_during_the_download_is_not_glued_together(server, folder):
    def changing(request):
        asked = request.headers["Range"], request.headers["If-Range"]
        if asked == (None, None) and len(server.requests) == 1:
            return Answer(200, BODY, {"ETag": '"old"'}, stop=300_000)
        assert asked == ("bytes=300000-", '"old"')
        return Answer(200, OTHER, {"ETag": '"new"'})

    url = server.add("/file", changing)
    assert download([url], folder, settings=QUICK).path.read_bytes() == OTHER


@pytest.mark.parametrize(
    "marks",
    [
        {"etag": None, "changed": None},
        {"etag": 'W/"weak"'},  # weak marks do not stand for the bytes
        {"etag": None, "changed": "Fri, 31 Dec 2100 23:59:59 GMT"},  # may change within a second
        {"etag": None, "changed": "yesterday"},
    ],
)
def test_without_a_mark_of_the_version_a_checksum_is_needed_to_resume(server, folder, marks):
    url = server.add("/file", BODY, fault=truncate(300_000), **marks)
    with pytest.raises(DownloadError):
        download([url], folder, settings=QUICK)
    assert ranges(server) == [None, None, None]
    assert names(folder) == []  # nobody could go on from it
    server.requests.clear()
    server.add("/file", BODY, fault=truncate(300_000), times=1, **marks)
    download([url], folder, sha256=SHA256, settings=QUICK)
    assert ranges(server) == [None, "bytes=300000-"]
    assert server.requests[1].headers["If-Range"] is None


def test_another_part_than_the_one_asked_for_is_refused(server, folder):
    def shifted(request):
        if request.headers["Range"] is None:
            faulty = len(server.requests) == 1
            return Answer(200, BODY, {"ETag": '"1"'}, stop=300_000 if faulty else None)
        span = f"bytes 299999-{len(BODY) - 1}/{len(BODY)}"
        return Answer(206, BODY[299_999:], {"ETag": '"1"', "Content-Range": span})

    url = server.add("/file", shifted)
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY
    assert ranges(server) == [None, "bytes=300000-", None]


def test_a_rest_that_is_packed_otherwise_is_refused(server, folder):
    url = server.add("/file", BODY, fault=truncate(300_000), times=1)
    partial_left_by(url, folder, server, 300_000)
    server.add("/file", BODY, fault=header("Content-Encoding", "br"), times=1)
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY
    assert ranges(server) == ["bytes=300000-", None]


def test_a_server_may_send_the_rest_in_pieces(server, folder):
    def pieces(request):
        if request.headers["Range"] is None:
            return Answer(200, BODY, {"ETag": '"1"'}, stop=300_000)
        start = int(request.headers["Range"][6:-1])
        piece = BODY[start : start + 200_000]
        span = f"bytes {start}-{start + len(piece) - 1}/{len(BODY)}"
        return Answer(206, piece, {"ETag": '"1"', "Content-Range": span})

    url = server.add("/file", pieces)
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY
    assert ranges(server) == [None, "bytes=300000-", "bytes=500000-"]


def test_a_file_that_became_shorter_is_downloaded_again(server, folder):
    url = server.add("/file", BODY, fault=truncate(300_000), times=1, etag='"same"')
    partial_left_by(url, folder, server, 300_000)
    server.add("/file", OTHER[:1000], etag='"same"')
    assert download([url], folder, settings=QUICK).path.read_bytes() == OTHER[:1000]
    assert ranges(server) == ["bytes=300000-", None]


def test_a_complete_partial_file_needs_no_server_where_the_checksum_is_known(server, folder):
    url = server.add("/file", BODY, fault=lie(len(BODY) + 9))
    partial_left_by(url, folder, server, len(BODY), sha256=SHA256)
    assert download([url], folder, sha256=SHA256, settings=QUICK).path.read_bytes() == BODY
    assert server.requests == []


def test_the_marks_of_a_partial_file_may_be_lost_or_damaged(server, folder):
    url = server.add("/file", BODY, fault=truncate(300_000), times=2)
    for damage in (Path.unlink, lambda path: path.write_text("{")):
        partial_left_by(url, folder, server, 300_000)
        damage(next(folder.glob("*.part.json")))
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY
    assert ranges(server) == [None]


DOWNLOAD = """
import sys
from pathlib import Path
from fermentome.databases.download import Settings, download
url, folder, sha256 = sys.argv[1:]
download([url], Path(folder), sha256=sha256 or None, settings=Settings(spare=0))
"""


def start_download(url, folder, sha256=""):
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    command = [sys.executable, "-c", DOWNLOAD, url, str(folder), sha256]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def wait_until(condition):
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends, "waited for a minute"
        time.sleep(0.01)


def test_a_killed_download_is_continued_and_gives_the_same_bytes(server, folder):
    url = server.add("/file", BODY, fault=stall(300_000), times=1)
    with start_download(url, folder) as process:
        try:
            wait_until(lambda: [p.stat().st_size for p in folder.glob("*.part")] == [300_000])
        finally:
            process.send_signal(signal.SIGKILL)
    assert not (folder / SHA256).exists()
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY
    assert ranges(server) == [None, "bytes=300000-"]


def test_two_processes_do_one_download(server, folder, caplog):
    caplog.set_level(logging.INFO)
    may_go = threading.Event()

    def slow(_):
        may_go.wait(60)
        return Answer(200, BODY)

    url = server.add("/file", slow)
    found = []
    with start_download(url, folder, SHA256) as process:
        wait_until(lambda: server.requests)
        second = threading.Thread(
            target=lambda: found.append(download([url], folder, sha256=SHA256, settings=QUICK))
        )
        second.start()
        wait_until(lambda: "another process downloads this file" in caplog.text)
        may_go.set()
        second.join(60)
        assert process.wait(60) == 0, process.stderr.read().decode()
    assert found[0].path.read_bytes() == BODY
    assert len(server.requests) == 1


def test_downloads_of_one_address_at_once_all_get_the_whole_file(server, folder):
    url = server.add("/file", BODY, fault=truncate(300_000), times=1)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(download([url], folder, settings=QUICK)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [one.path.read_bytes() == BODY for one in found] == [True] * 4
    assert names(folder) == [SHA256, f"{SHA256}.json"]


FAULTS = {
    "good": lambda good: good,
    "cut off": truncate(300),
    "cut off early": truncate(1),
    "too long": lie(1009),
    "no length": lie(None),
    "no part": header("Content-Range", None),
    "busy": status(503),
    "closed": close(),
    "said to be packed": header("Content-Encoding", "gzip"),
    "weak": header("ETag", 'W/"1"'),
}


def test_whatever_happens_the_bytes_are_of_one_version_or_there_is_an_error(tmp_path):
    versions = {hashlib.sha256(body).hexdigest(): body for body in (BODY[:1000], OTHER[:1000])}
    old, new = versions

    @hypothesis.given(
        st.lists(st.sampled_from(sorted(FAULTS)), max_size=5),
        st.integers(0, 4),
        st.sampled_from([None, old, new]),
        st.fixed_dictionaries(
            {
                "etag": st.sampled_from(["hash", None, 'W/"weak"']),
                "ranges": st.booleans(),
                "obeys_if_range": st.booleans(),
            }
        ),
    )
    @hypothesis.settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    def check(faults, change, sha256, manner):
        with DownloadServer() as server:
            manner["changed"] = CHANGED
            url = server.add("/file", versions[old], fault=[FAULTS[f] for f in faults], **manner)
            folder = tmp_path / server.url("").rpartition(":")[2]

            def replace():
                rest = [FAULTS[name] for name in faults[change:]]
                later = manner | {"changed": "Wed, 03 Jan 2024 03:04:05 GMT"}
                server.add("/file", versions[new], fault=rest, **later)

            server.after(change, replace)
            try:
                found = download([url], folder, sha256=sha256, settings=QUICK)
                assert found.path.read_bytes() == versions[sha256 or found.sha256]
            except DownloadError:
                assert [path for path in folder.iterdir() if len(path.name) == 64] == []
            shutil.rmtree(folder)

    check()


# --- packed for the way


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_a_packed_file_stays_packed(server, folder, encoding):
    # What Apache says of any .gz file with `AddEncoding x-gzip .gz`.
    packed = gzip.compress(BODY, mtime=0)
    url = server.add("/host.fa.gz", packed, fault=header("Content-Encoding", encoding))
    assert download([url], folder, settings=QUICK).path.read_bytes() == packed
    size = len(packed)
    assert download([url], folder / "2", size=size, settings=QUICK).path.read_bytes() == packed


@pytest.mark.parametrize("name", ["/table.tsv", "/table.tsv.gz", "/archive.zip"])
@pytest.mark.parametrize("known", [True, False])
def test_what_was_packed_for_the_way_is_unpacked(server, folder, name, known):
    body = gzip.compress(BODY, mtime=0) if name.endswith("gz") else BODY
    sent = gzip.compress(body, mtime=0)
    url = server.add(name, sent, fault=[truncate(1000)] * 2, headers={"Content-Encoding": "gzip"})
    expected = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)} if known else {}
    found = download([url], folder, settings=QUICK, **expected)
    assert found.path.read_bytes() == body
    assert found.size == len(body)
    assert names(folder) == [found.sha256, f"{found.sha256}.json"]


def test_a_server_that_only_says_that_it_packed_the_file(server, folder):
    url = server.add("/archive.tar", BODY, fault=header("Content-Encoding", "gzip"))
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY


def test_another_packing_than_gzip_is_refused(server, folder):
    url = server.add("/table.tsv", BODY, fault=header("Content-Encoding", "br"))
    with pytest.raises(DownloadError, match="the server packs the file"):
        download([url], folder, settings=QUICK)
    assert names(folder) == []
    assert download([url], folder, sha256=SHA256, settings=QUICK).path.read_bytes() == BODY


def test_a_file_that_was_damaged_on_the_way_is_not_unpacked(server, folder):
    sent = gzip.compress(BODY, mtime=0)[:-100]
    url = server.add("/table.tsv", sent, headers={"Content-Encoding": "gzip"})
    with pytest.raises(DownloadError, match="packed by the server, and damaged"):
        download([url], folder, settings=QUICK)
    assert names(folder) == []


def test_unpacking_ends_at_the_expected_size(server, folder):
    sent = gzip.compress(bytes(20_000_000), mtime=0)
    url = server.add("/table.tsv", sent, headers={"Content-Encoding": "gzip"})
    with pytest.raises(DownloadError, match="wrong size: expected 1000 bytes, found 262144"):
        download([url], folder, size=1000, settings=QUICK)


# --- the disk


def test_the_space_is_asked_for_before_anything_is_downloaded(server, folder):
    url = server.add("/file", BODY)
    with pytest.raises(DownloadError, match=r"not enough space: 1000000000000000000 .* are free"):
        download([url], folder, size=10**18, settings=QUICK)
    assert server.requests == []


def test_the_space_is_asked_for_again_when_the_server_tells_the_size(server, folder):
    urls = [server.add("/large", BODY, fault=lie(10**18)), server.add("/good", BODY)]
    with pytest.raises(DownloadError, match="not enough space: 1000000000000000000"):
        download(urls[:1], folder, settings=QUICK)
    assert download(urls, folder, settings=QUICK).url == urls[1]


def test_some_space_stays_free(server, folder):
    url = server.add("/file", BODY)
    with pytest.raises(DownloadError, match="1000000000000000000 are to stay free"):
        download([url], folder, size=1, settings=Settings(spare=10**18))


def test_a_full_disk_is_named(server, folder, monkeypatch):
    folder.mkdir()
    # A link would be refused otherwise, and no other file is full for every user.
    monkeypatch.setattr(os, "O_NOFOLLOW", 0)
    (folder / f"{SHA256}.part").symlink_to("/dev/full")  # every write fails for lack of space
    with pytest.raises(DownloadError, match=r"no space left .* make room") as error:
        download([server.add("/file", BODY)], folder, sha256=SHA256, settings=QUICK)
    assert isinstance(error.value.__cause__, OSError)
    assert error.value.__cause__.errno == errno.ENOSPC


def test_a_folder_that_cannot_be_written_is_named(server):
    # Not even root can make a folder there.
    with pytest.raises(DownloadError, match="/proc/fermentome: cannot be written"):
        download([server.add("/file", BODY)], Path("/proc/fermentome"), settings=QUICK)


def test_a_file_in_place_of_the_folder_is_named(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="file: cannot be written: File exists"):
        download([server.add("/file", BODY)], tmp_path / "file", settings=QUICK)


def test_a_disk_that_takes_less_than_it_was_given_gets_the_rest(tmp_path):
    class Meagre(io.FileIO):
        def write(self, data):
            return super().write(bytes(data)[:7])

    with Meagre(tmp_path / "1.part", "w+") as file:
        partial = Partial(tmp_path / "1.part", file)
        partial.append(BODY[:100])
        partial.append(BODY[100:200])
        assert partial.digest() == hashlib.sha256(BODY[:200]).hexdigest()
    assert (tmp_path / "1.part").read_bytes() == BODY[:200]


# --- addresses


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_files_of_this_machine_are_copied(folder, tmp_path, form):
    path = tmp_path / "my genomes.tar"
    path.write_bytes(BODY)
    url = form.format(path if form == "{}" else str(path).replace(" ", "%20"))
    found = download([url], folder, sha256=SHA256, size=len(BODY), settings=QUICK)
    assert found.path.read_bytes() == BODY
    assert path.read_bytes() == BODY
    # A manifest is to name no folder of this machine.
    assert (found.url, found.name, found.date) == ("my genomes.tar", "my_genomes.tar", "")
    again = download([url], folder, sha256=SHA256, settings=QUICK)
    assert again.url == "my genomes.tar"


def test_a_wrong_file_of_this_machine_leads_to_the_next_address(server, folder, tmp_path):
    (tmp_path / "file").write_bytes(OTHER)
    urls = [str(tmp_path / "file"), server.add("/file", BODY)]
    assert download(urls, folder, sha256=SHA256, settings=QUICK).url == urls[1]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://ftp.ebi.ac.uk/pub/file", r"write https://ftp\.ebi\.ac\.uk/pub/file"),
        ("s3://bucket/file", "cannot download by s3"),
        ("http://", "the address names no host"),
        ("http://[::1/file", "not a URL"),
        ("http://host:port/file", "not a URL"),
        ("file://elsewhere/file", "on another host"),
        ("/no/such/file", "no such file"),
        ("/proc", "a folder"),
        ("/dev/null", "no file"),
    ],
)
def test_an_address_that_cannot_be_used_says_why_and_the_next_is_asked(
    server, folder, url, reason, caplog
):
    good = server.add("/file", BODY)
    assert download([url, good], folder, settings=QUICK).url == good
    with pytest.raises(DownloadError, match=reason):
        download([url], folder, settings=QUICK)


def test_no_address_at_all_is_an_error(folder):
    with pytest.raises(DownloadError, match="no address"):
        download([], folder)


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/file"])
def test_a_redirect_out_of_the_web_is_refused(server, folder, target):
    url = server.add("/file", fault=redirect(target))
    with pytest.raises(DownloadError, match="refused: the server redirects from http to"):
        download([url], folder, settings=QUICK)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [("https", "http", True), ("http", "https", False), ("https", "https", False)],
)
def test_a_redirect_that_gives_up_encryption_is_refused(before, after, refused):
    answer = requests.Response()
    answer.status_code, answer.url, answer.raw = 302, f"{before}://example.org/a", io.BytesIO()
    answer.headers["Location"] = f"{after}://example.org/b"
    with open_session() as session, contextlib.ExitStack() as stack:
        if refused:
            stack.enter_context(pytest.raises(AttemptError, match="from https to http"))
        assert session.get_redirect_target(answer) == f"{after}://example.org/b"


def test_redirects_in_a_circle_end(server, folder):
    url = server.add("/file", fault=redirect("/file"))
    with pytest.raises(DownloadError, match="the redirects do not end"):
        download([url], folder, settings=QUICK)


def test_a_connection_that_is_not_encrypted_is_no_https(server, folder):
    url = server.add("/file", BODY).replace("http:", "https:")
    with pytest.raises(DownloadError, match=r"https://\S+: .*\(attempt 3, the last\)"):
        download([url], folder, settings=QUICK)


def test_a_proxy_from_the_environment_is_used(server, folder, monkeypatch):
    server.add("/file", BODY)
    monkeypatch.setenv("http_proxy", server.url(""))
    url = "http://database.invalid/file"
    assert download([url], folder, settings=QUICK).path.read_bytes() == BODY
    assert server.requests[0].target == url  # asked in the form that proxies are asked in


def test_a_host_may_be_exempt_from_the_proxy(server, folder, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert download([server.add("/file", BODY)], folder, settings=QUICK).size == len(BODY)


def test_a_proxy_that_does_not_answer_is_told(folder, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://me:hunter2@127.0.0.1:1")
    with pytest.raises(DownloadError, match="by the proxy: Connection refused") as error:
        download(["https://database.invalid/file"], folder, settings=QUICK)
    assert "hunter2" not in str(error.value)


def test_secrets_of_an_address_are_taken_out_of_any_text():
    url = "http://me:p%40ss@example.org/a?token=x%2Fy&page=7"
    text = "p%40ss and p@ss and x/y and x%2Fy on page 7"
    assert without_secrets(text, url) == "*** and *** and *** and *** on page 7"
    assert without_secrets("key1 and 2", "http://key1@example.org/2") == "*** and 2"


def test_passwords_and_keys_are_used_but_never_shown(server, folder, caplog):
    caplog.set_level(logging.INFO)
    url = server.add("/file", BODY, fault=truncate(300_000), times=1).replace("//", "//me:pass1@")
    url += "?page=1&access_token=hunter2"
    broken = url.replace("/file", "/gone")
    found = download([broken, url], folder, settings=QUICK)
    assert server.requests[-1].headers["Authorization"].startswith("Basic ")
    assert server.requests[-1].query["access_token"] == "hunter2"
    with pytest.raises(DownloadError) as error:
        download([broken, url.replace("http:", "ftp:")], folder, settings=QUICK)
    kept = "".join(path.read_text() for path in folder.glob("*.json"))
    shown = f"{found} {error.getrepr(style='short')} {caplog.text} {kept}"
    assert "access_token=***" in shown
    assert "hunter2" not in shown
    assert "pass1" not in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a?query=ec:2.8.3.8&size=500", None),
        ("https://me@example.org/a", "https://example.org/a"),
        ("https://me:p@ss@example.org/a@b", "https://example.org/a@b"),
        ("https://example.org?mail=a@b", None),
        (
            "https://example.org/a?X-Amz-Signature=1&b=2",
            "https://example.org/a?X-Amz-Signature=***&b=2",
        ),
        ("https://example.org/a?keyword=butyrate", None),
        ("/local/path", None),
    ],
)
def test_what_is_shown_of_an_address(url, shown):
    assert redact(url) == (shown or url)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/files/a.tar.gz/?download=1#part", "a.tar.gz"),
        ("https://example.org/..%2f..%2fetc", "etc"),
        ("https://example.org/.hidden", "hidden"),
        ("https://example.org", "download"),
        ("/data/my file?.tar", "my_file_.tar"),
        (f"https://example.org/{'x' * 500}.tar", "x" * 196 + ".tar"),
    ],
)
def test_the_name_of_a_file_is_safe(url, name):
    assert file_name(url) == name


# --- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_rate_and_time_left(server, folder):
    terminal = Terminal()
    url = server.add("/host.fa.gz", BODY)
    download([url], folder, progress=Progress(terminal), settings=QUICK)
    last = terminal.getvalue().split("\r")[-1]
    assert "host.fa.gz: 100%" in last
    assert "700k/700k" in last
    assert "B/s" in last


def test_without_a_terminal_a_line_is_logged_now_and_then(server, folder, caplog):
    caplog.set_level(logging.INFO)
    stream = io.StringIO()
    url = server.add("/host.fa.gz", BODY, fault=truncate(350_000), times=1)
    download([url], folder, progress=Progress(stream, every=0.0), settings=QUICK)
    assert stream.getvalue() == ""
    lines = [text for text in caplog.messages if "B/s" in text]
    assert lines[0].startswith("host.fa.gz: ")
    assert "100%" in lines[-1]
    assert not any("0%|" in line for line in lines if "350k/700k" in line)


def test_few_lines_are_logged(server, folder, caplog):
    caplog.set_level(logging.INFO)
    download([server.add("/file", BODY)], folder, settings=QUICK)
    assert not [text for text in caplog.messages if "B/s" in text]


# --- pages


PAGES = [b">A\nMK\n", b">B\nMR\n", b">C\nMT\n"]


@pytest.mark.parametrize("compress", [True, False])
def test_pages_are_followed_to_the_last(server, compress):
    url = server.add_pages("/uniprotkb/search", PAGES, total=3, compress=compress)
    pages = list(fetch_pages(f"{url}?query=ec%3A2.8.3.8&size=1", settings=QUICK))
    assert [page.body for page in pages] == PAGES
    assert pages[0].text == ">A\nMK\n"
    assert [page.total for page in pages] == [3, 3, 3]
    assert pages[0].next == f"{url}?query=ec%3A2.8.3.8&size=1&cursor=1"
    assert pages[2].next is None
    assert {request.query["query"] for request in server.requests} == {"ec:2.8.3.8"}


def test_pages_are_fetched_one_by_one(server):
    pages = fetch_pages(server.add_pages("/search", PAGES), settings=QUICK)
    next(pages)
    assert len(server.requests) == 1
    pages.close()


def test_pages_can_be_continued_later(server):
    pages = fetch_pages(server.add_pages("/search", PAGES), settings=QUICK)
    following = next(pages).next
    pages.close()
    assert [page.body for page in fetch_pages(following, settings=QUICK)] == PAGES[1:]


def test_another_release_between_two_pages_can_be_seen(server):
    url = server.add_pages("/search", PAGES, releases=["2025_01", "2025_01", "2025_02"])
    pages = fetch_pages(url, settings=QUICK)
    releases = [page.headers["x-uniprot-release"] for page in pages]
    assert releases == ["2025_01", "2025_01", "2025_02"]


def test_each_page_is_tried_again(server):
    faults = [status(500), truncate(2), close(), status(429, Retry_After="0"), truncate(0)]
    url = server.add_pages("/search", PAGES, compress=True, fault=[*faults, lambda good: good])
    assert [page.body for page in fetch_pages(url, settings=Settings(backoff=0.001))] == PAGES


def test_a_packed_page_that_is_cut_off_is_tried_again(server):
    packed = gzip.compress(PAGES[0], mtime=0)
    headers = {"Content-Encoding": "gzip"}
    faults = [lambda good: Answer(body=packed[:-4], headers=headers), lambda good: good]
    url = server.add("/search", packed, headers=headers, fault=faults)
    assert [page.body for page in fetch_pages(url, settings=QUICK)] == PAGES[:1]
    assert len(server.requests) == 2


def test_a_page_that_cannot_be_had_is_an_error_with_the_words_of_the_server(server):
    said = b'{"messages": ["Invalid query:\\n hunter2"]}'
    url = server.add("/search", fault=status(400, said, Content_Type="application/json"))
    with pytest.raises(DownloadError, match="status 400, bad request: .*Invalid query") as error:
        list(fetch_pages(f"{url}?key=hunter2", settings=QUICK))
    assert "hunter2" not in str(error.value)
    assert len(server.requests) == 1


def test_a_next_page_on_another_host_is_refused(server):
    link = {"Link": '<http://127.0.0.1:1/search>; rel="next"'}
    url = server.add("/search", b"1", headers=link)
    with pytest.raises(DownloadError, match="refused: the next page is at http://127.0.0.1"):
        list(fetch_pages(url, settings=QUICK))
    elsewhere = url.replace("127.0.0.1", "localhost")
    server.add("/search", b"1", headers={"Link": f'<{elsewhere}>; rel="next"'})
    with pytest.raises(DownloadError, match="refused: the next page is at http://localhost"):
        list(fetch_pages(url, settings=QUICK))
    server.add("/search", b"1", headers={"Link": '<file:///etc/passwd>; rel="next"'})
    with pytest.raises(DownloadError, match="refused: the next page is at file://"):
        list(fetch_pages(url, settings=QUICK))


def test_pages_that_go_in_a_circle_are_an_error(server):
    url = server.add("/search", b"1", headers={"Link": '</search>; rel="next"'})
    with pytest.raises(DownloadError, match="one that was there before"):
        list(fetch_pages(url, settings=QUICK))
    assert len(server.requests) == 1


def test_pages_without_end_are_an_error(server):
    url = server.add_pages("/search", [b"1"] * 20)
    with pytest.raises(DownloadError, match="more than 5 pages"):
        list(fetch_pages(url, settings=Settings(most_pages=5)))


@pytest.mark.parametrize("packed", [True, False])
def test_a_page_without_end_is_an_error(server, packed):
    body = bytes(3_000_000)
    headers = {"Content-Encoding": "gzip"} if packed else {}
    url = server.add("/search", gzip.compress(body) if packed else body, headers=headers)
    with pytest.raises(DownloadError, match="a page of more than 1000000 bytes"):
        list(fetch_pages(url, settings=Settings(largest_page=1_000_000)))


def test_pages_come_from_the_web_only(tmp_path):
    (tmp_path / "page").touch()
    with pytest.raises(DownloadError, match="pages come by http or https only"):
        list(fetch_pages(str(tmp_path / "page")))
