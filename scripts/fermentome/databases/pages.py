"""Answers that come in pages, as those of the UniProt REST API do."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from fermentome.databases.web import (
    AttemptError,
    Settings,
    arriving,
    get,
    local_path,
    number,
    open_session,
    persist,
    redact,
    refusal,
    without_secrets,
)
from fermentome.errors import DownloadError

__all__ = ["Page", "fetch_pages"]

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Page:
    """One page of an answer that comes in pages.

    Attributes
    ----------
    url
        Its address, without passwords.
    body
        Its bytes, unpacked where the server packed them for the way.
    headers
        Of the answer; the case of their names does not matter.
    total
        Results on all pages (``X-Total-Results``), where the server says so.
    next
        Address of the next page, to go on from here another time; None on the last one.
    """

    url: str
    body: bytes
    headers: Mapping[str, str]
    total: int | None
    next: str | None

    @property
    def text(self) -> str:
        """The body as text (UTF-8)."""
        return self.body.decode("utf-8")


def fetch_pages(
    url: str,
    *,
    settings: Settings = Settings(),  # noqa: B008 (immutable)
) -> Iterator[Page]:
    """Yield the pages of an answer, following ``Link: <...>; rel="next"``.

    This is how the UniProt REST API pages (https://www.uniprot.org/help/pagination). Each page is
    retried on its own. Whether all belong to one release is for the caller to see from the
    headers (``X-UniProt-Release``).

    Raises
    ------
    DownloadError
        A page cannot be had, the next one is on another host, or was there before.
    """
    asked: set[str] = set()
    following: str | None = url
    with open_session() as session:
        while following is not None:
            if following in asked:
                raise DownloadError(
                    f"{redact(following)}: page {len(asked)} of the answer names as the next page "
                    "one that was there before; the server is at fault: try again later"
                )
            if len(asked) == settings.most_pages:
                raise DownloadError(
                    f"{redact(url)}: more than {settings.most_pages} pages; narrow the query, or "
                    "ask for more results on a page"
                )
            asked.add(following)
            page = _page(session, following, settings)
            yield page
            following = page.next


def _page(session: requests.Session, url: str, settings: Settings) -> Page:
    shown = redact(url)

    def attempt() -> Page:
        if local_path(url) is not None:
            raise AttemptError("pages come by http or https only")
        with get(session, url, {"Accept-Encoding": "gzip"}, settings) as response:
            if response.status_code != 200:
                raise _refusal_with_text(response, settings)
            return Page(
                url=redact(response.url),
                body=_body(response, settings),
                headers=response.headers,
                total=number(response.headers.get("X-Total-Results")),
                next=_next(response),
            )

    try:
        return persist(attempt, shown, settings, lambda: 0)
    except AttemptError as failure:
        raise DownloadError(
            f"{shown}: {without_secrets(failure.reason, url)}; try again later, and look at the "
            "address in a browser"
        ) from None


def _body(response: requests.Response, settings: Settings) -> bytes:
    """Whole body, unpacked where the server packed it. A packed one that is cut off is an error."""
    body = bytearray()
    for chunk in arriving(response, settings):
        body += chunk
        if len(body) > settings.largest_page:
            raise _too_large(settings)
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("gzip", "x-gzip") or not body.startswith(_GZIP_MAGIC):
        return bytes(body)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
            unpacked = packed.read(settings.largest_page + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise AttemptError(f"packed by the server, and damaged ({error})", again=True) from None
    if len(unpacked) > settings.largest_page:
        raise _too_large(settings)
    return unpacked


def _too_large(settings: Settings) -> AttemptError:
    return AttemptError(f"a page of more than {settings.largest_page} bytes: ask for fewer results")


def _refusal_with_text(response: requests.Response, settings: Settings) -> AttemptError:
    """What the answer means, with the server's own words: services say what is wrong in a query."""
    failure = refusal(response)
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not failure.again and kind in ("application/json", "text/plain"):
        with contextlib.suppress(AttemptError, urllib3.exceptions.HTTPError):
            said = _body(response, settings)[:500].decode("utf-8", "replace")
            failure.reason += f": {' '.join(said.split())}"
    return failure


def _next(response: requests.Response) -> str | None:
    link = response.links.get("next", {}).get("url")
    if not link:
        return None
    following = urljoin(response.url, link)
    here, there = urlsplit(response.url), urlsplit(following)
    upgrade = (here.scheme, there.scheme) == ("http", "https")
    if here.hostname != there.hostname or not (
        upgrade or (here.scheme, here.port) == (there.scheme, there.port)
    ):
        raise AttemptError(
            f"refused: the next page is at {there.scheme}://{there.hostname}, not at "
            f"{here.scheme}://{here.hostname}"
        )
    return following
