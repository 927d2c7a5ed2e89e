"""A web server on this machine that fails in the ways that servers of databases fail.

    with DownloadServer() as server:
        server.add("/file.tar", body, fault=truncate(1000), times=1)
        download([server.url("/file.tar")], folder)
        assert server.requests[1].headers["Range"] == "bytes=1000-"

A route answers by default as a well-behaved server does: with a length, an ETag, a date and ranges.
A fault spoils an answer; `times` says how many answers of the route, by default all. For anything
else a route takes a function from the request to an `Answer`.
"""

import contextlib
import email.utils
import gzip
import hashlib
import http.server
import socketserver
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.message import Message
from typing import Any

__all__ = [
    "CHANGED",
    "Answer",
    "DownloadServer",
    "Fault",
    "Request",
    "close",
    "header",
    "lie",
    "redirect",
    "stall",
    "status",
    "trickle",
    "truncate",
]

#: When files were last changed, unless told otherwise.
CHANGED = "Tue, 02 Jan 2024 03:04:05 GMT"


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str  # without the query
    query: dict[str, str]
    headers: Message  # the case of names does not matter
    when: float  # time.monotonic()
    target: str  # the first line's address, as a proxy sees it


@dataclass(frozen=True)
class Answer:
    """What the server sends. `body` may be an iterable of chunks, which then are sent as they are.

    `length` is what Content-Length tells (None: leave it out), by default the truth. After `stop`
    bytes of the body the connection is closed; with `hang` it stays open without another byte.
    `pace` waits so many seconds after each ten bytes.
    """

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None | str = "true"
    stop: int | None = None
    hang: bool = False
    pace: float = 0.0
    chunked: bool = False


Fault = Callable[[Answer], Answer]
Body = bytes | Callable[[Request], Answer]


def truncate(after: int) -> Fault:
    """Close the connection after so many bytes of the answer's body."""
    return lambda answer: replace(answer, stop=after)


def stall(after: int) -> Fault:
    """Send nothing more after so many bytes of the answer's body, but stay connected."""
    return lambda answer: replace(answer, stop=after, hang=True)


def trickle(pace: float) -> Fault:
    """Send ten bytes at a time, with so many seconds between."""
    return lambda answer: replace(answer, pace=pace)


def lie(length: int | None) -> Fault:
    """Tell this length, whatever is sent; None tells none."""
    return lambda answer: replace(answer, length=length)


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    """Answer with this status; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda answer: Answer(code, body, named)


def redirect(target: str, code: int = 302) -> Fault:
    """Send the client elsewhere."""
    return status(code, Location=target)


def header(name: str, value: str | None) -> Fault:
    """Send this header; None removes it."""

    def change(answer: Answer) -> Answer:
        headers = {key: kept for key, kept in answer.headers.items() if key != name}
        return replace(answer, headers=headers if value is None else {**headers, name: value})

    return change


def close() -> Fault:
    """Close the connection without an answer."""
    return lambda answer: replace(answer, status=0)


@dataclass
class _Route:
    body: Body
    etag: str | None
    changed: str | None
    ranges: bool
    obeys_if_range: bool
    headers: Mapping[str, str]
    faults: list[tuple[Fault, int | None]]

    def next_fault(self) -> Fault:
        for number, (fault, times) in enumerate(self.faults):
            if times == 0:
                continue
            if times is not None:
                self.faults[number] = (fault, times - 1)
            return fault
        return lambda answer: answer

    def answer(self, request: Request) -> Answer:
        return self.body(request) if callable(self.body) else self._file(self.body, request)

    def _file(self, body: bytes, request: Request) -> Answer:
        marks = {"ETag": self.etag, "Last-Modified": self.changed}
        headers = {name: mark for name, mark in marks.items() if mark} | dict(self.headers)
        asked = request.headers["Range"]
        condition = request.headers["If-Range"]
        same = condition is None or condition in (self.etag, self.changed)
        if not self.ranges or asked is None or not (same or not self.obeys_if_range):
            return Answer(200, body, headers)
        start = int(asked.removeprefix("bytes=").partition("-")[0])
        if start >= len(body):
            return Answer(416, b"", headers | {"Content-Range": f"bytes */{len(body)}"})
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return Answer(206, body[start:], headers | {"Content-Range": span})


class DownloadServer:
    """The server; a context manager.

    Attributes
    ----------
    requests
        All that was asked, in order.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._routes: dict[str, _Route] = {}
        self._changes: list[tuple[int, Callable[[], object]]] = []
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        )

    def __enter__(self) -> "DownloadServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str) -> str:
        """Address of a path."""
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def add(
        self,
        path: str,
        body: Body = b"",
        *,
        fault: Fault | Sequence[Fault] = (),
        times: int | None = None,
        etag: str | None = "hash",
        changed: str | None = CHANGED,
        ranges: bool = True,
        obeys_if_range: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Serve a body, or what a function answers, at a path; return its address.

        A second call for the same path replaces the file: clients that come back find another one.
        Several faults spoil the first, second, ... answer, one each; a single one spoils the first
        `times` answers, or all. The ETag is made from the body unless it is given.
        """
        if etag == "hash":
            digest = hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else path
            etag = f'"{digest[:16]}"'
        faults: list[tuple[Fault, int | None]]
        faults = [(fault, times)] if callable(fault) else [(one, 1) for one in fault]
        with self._lock:
            self._routes[path] = _Route(
                body, etag, changed, ranges, obeys_if_range, headers or {}, faults
            )
        return self.url(path)

    def add_pages(
        self,
        path: str,
        pages: Sequence[bytes],
        *,
        total: int | None = None,
        releases: Sequence[str] = (),
        compress: bool = False,
        fault: Fault | Sequence[Fault] = (),
        times: int | None = None,
    ) -> str:
        """Serve pages as the UniProt REST API does; return the address of the first.

        Each page names the next in ``Link``, by a cursor. `total` is told in ``X-Total-Results``;
        `releases` holds what ``X-UniProt-Release`` tells on each page.
        """

        def answer(request: Request) -> Answer:
            number = int(request.query.get("cursor", "0"))
            query = urllib.parse.urlencode({**request.query, "cursor": str(number + 1)})
            headers = {"Content-Type": "text/plain;format=fasta"}
            if number + 1 < len(pages):
                headers["Link"] = f'<{self.url(path)}?{query}>; rel="next"'
            if total is not None:
                headers["X-Total-Results"] = str(total)
            if releases:
                headers["X-UniProt-Release"] = releases[number]
            if compress and "gzip" in (request.headers["Accept-Encoding"] or ""):
                headers["Content-Encoding"] = "gzip"
                return Answer(200, gzip.compress(pages[number], mtime=0), headers)
            return Answer(200, pages[number], headers)

        return self.add(path, answer, fault=fault, times=times)

    def after(self, count: int, change: Callable[[], object]) -> None:
        """Call a function, such as one that replaces a file, once so many requests have come."""
        self._changes.append((count, change))

    def answer(self, request: Request) -> Answer:
        """What to send; the request is recorded."""
        for count, change in self._changes:
            if len(self.requests) == count:
                change()
        with self._lock:
            self.requests.append(request)
            route = self._routes.get(request.path)
            if route is None:
                return Answer(404, b"not here")
            fault = route.next_fault()
        return fault(route.answer(request))

    def wait_for_end(self, seconds: float | None = None) -> bool:
        """Wait until the server ends, or for so long; whether it ends."""
        return self._ends.wait(seconds)


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients of these tests go away as they like."""


def _handler(server: DownloadServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802 (the name is the base class's)
            parts = urllib.parse.urlsplit(self.path)
            request = Request(
                method=self.command,
                path=parts.path,
                query=dict(urllib.parse.parse_qsl(parts.query)),
                headers=self.headers,
                when=time.monotonic(),
                target=self.path,
            )
            self.close_connection = True
            answer = server.answer(request)
            with contextlib.suppress(OSError):  # the client went away
                if answer.status:
                    self._send(answer)

        def _send(self, answer: Answer) -> None:
            self.send_response_only(answer.status)
            headers = {"Date": email.utils.formatdate(usegmt=True), "Connection": "close"}
            if answer.chunked:
                headers["Transfer-Encoding"] = "chunked"
            elif answer.length == "true":
                if isinstance(answer.body, bytes):
                    headers["Content-Length"] = str(len(answer.body))
            elif answer.length is not None:
                headers["Content-Length"] = str(answer.length)
            for name, value in (headers | dict(answer.headers)).items():
                self.send_header(name, value)
            self.end_headers()
            self._send_body(answer)
            if answer.hang:
                server.wait_for_end()

        def _send_body(self, answer: Answer) -> None:
            for chunk in _chunks(answer):
                if answer.chunked:
                    chunk = b"%x\r\n%s\r\n" % (len(chunk), chunk)
                self.wfile.write(chunk)
                if answer.pace and server.wait_for_end(answer.pace):
                    return
            if answer.chunked and answer.stop is None:
                self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _chunks(answer: Answer) -> Iterable[bytes]:
    if not isinstance(answer.body, bytes):
        yield from answer.body
        return
    body = answer.body[: answer.stop]
    step = 10 if answer.pace else 65536
    for start in range(0, len(body), step):
        yield body[start : start + step]
