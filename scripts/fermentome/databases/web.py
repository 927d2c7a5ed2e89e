"""Requests over HTTP that are answered slowly, wrongly, or not at all.

`requests` speaks HTTP: proxies and certificates come from the environment (`https_proxy`,
`no_proxy`, `REQUESTS_CA_BUNDLE`), passwords from `~/.netrc`. This module says what an answer means,
and tries again what may do better next time. No message holds a password or key of an address.
"""

from __future__ import annotations

import contextlib
import email.utils
import http
import logging
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

import requests
import urllib3

__all__ = [
    "CHUNK",
    "AttemptError",
    "Settings",
    "arriving",
    "get",
    "http_date",
    "local_path",
    "number",
    "open_session",
    "persist",
    "redact",
    "refusal",
    "without_secrets",
    "without_user",
]

logger = logging.getLogger(__name__)

#: Bytes read at once.
CHUNK = 256 * 1024

#: So much more than ever before is progress: the attempts are counted from the start again.
_PROGRESS = 1024 * 1024

#: Worth another try: the request took too long, too many requests, and faults of the server.
_TRY_AGAIN = frozenset({408, 425, 429, *range(500, 600)})

_SECRET = re.compile(
    r"(^|[-_])(token|key|apikey|secret|sig|signature|password|passwd|pwd|auth|credentials?)($|[-_])",
    re.IGNORECASE,
)


_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Settings:
    """Limits of a download.

    Attributes
    ----------
    attempts
        Requests to one address without progress before the next mirror. With the default waits
        six of them span about half a minute, longer than a restart of a server or a router.
    connect_timeout
        Seconds until a connection must stand. TCP repeats a lost first packet after 1, 3, 7 and
        15 seconds; 20 lets the fourth repeat through.
    read_timeout
        Seconds without a single byte until a connection counts as stalled. Archives that fetch a
        file from tape or compute an answer need some tens of seconds.
    slowest
        Bytes per second, as mean of `slow_window` seconds, below which a connection counts as
        stalled: a server that trickles never runs into `read_timeout`. At 1 kB/s a database of
        1 GB would take 12 days.
    slow_window
        Seconds over which the rate is taken.
    backoff
        Seconds before the second attempt; doubled for each further one. The wait is drawn between
        half of that and all of it, so that the jobs of a cluster do not come back all at once.
    longest_wait
        Seconds, upper limit of a wait, also of one that the server asks for (`Retry-After`).
    spare
        Bytes that stay free on the disk: other processes need some, too.
    largest_page
        Bytes of one page of `fetch_pages`, unpacked. The largest page of UniProt has 500 entries,
        a few MB.
    most_pages
        Pages of one query: 50 million entries of UniProt.
    log_every
        Seconds between two messages about progress where no terminal shows it.
    """

    attempts: int = 6
    connect_timeout: float = 20.0
    read_timeout: float = 60.0
    slowest: float = 1000.0
    slow_window: float = 60.0
    backoff: float = 1.0
    longest_wait: float = 120.0
    spare: int = 100_000_000
    largest_page: int = 256_000_000
    most_pages: int = 100_000
    log_every: float = 30.0


class AttemptError(Exception):
    """An attempt failed.

    Parameters
    ----------
    reason
        What happened, for people.
    again
        Whether the same address may do better next time.
    wait
        Seconds that the server asks to wait.
    """

    def __init__(self, reason: str, *, again: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.wait = wait


def redact(url: str) -> str:
    """URL without what must not be shown: user, password, and keys in the query.

    Examples
    --------
    >>> redact("https://me:secret@example.org/file?token=123&page=2")
    'https://example.org/file?token=***&page=2'
    """
    url = without_user(url)
    try:
        parts = urlsplit(url)
    except ValueError:  # no URL: without a query that could be told from the rest
        return url.partition("?")[0]
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if not any(_SECRET.search(key) for key, _ in pairs):
        return url
    shown = [(key, "***" if _SECRET.search(key) else value) for key, value in pairs]
    return urlunsplit(parts._replace(query=urlencode(shown, safe="*")))


def without_user(url: str) -> str:
    """URL without user and password."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@", r"\1", url)


def without_secrets(text: str, url: str) -> str:
    """Text without the user, password and keys of an address, should they have got into it."""
    user = re.split("[/?#]", url.partition("://")[2])[0].rpartition("@")[0]
    pairs = parse_qsl(url.partition("?")[2])
    # A user without a password is a key.
    secrets = [unquote(user.partition(":")[2] or user)]
    secrets += [value for key, value in pairs if _SECRET.search(key)]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    return text


def local_path(url: str) -> Path | None:
    """Path of a local file; None for http and https.

    Raises
    ------
    AttemptError
        The address is neither, or no address at all.
    """
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url):
        return Path(url)
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018 (raises where it is no number)
    except ValueError as error:
        raise AttemptError(f"not a URL: {error}") from None
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise AttemptError(f"the file is on another host ({parts.netloc}): copy it here first")
        return Path(url2pathname(parts.path))
    if parts.scheme == "ftp":
        raise AttemptError(
            "FTP is not spoken: most servers of databases give the same file by https; write "
            f"{redact(urlunsplit(parts._replace(scheme='https')))}"
        )
    if parts.scheme not in ("http", "https"):
        raise AttemptError(f"cannot download by {parts.scheme}: use http, https or file")
    if not host:
        raise AttemptError("the address names no host")
    return None


class _Session(requests.Session):
    """A session that follows redirects to http and https only, and never from https to http."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is not None:
            before = urlsplit(resp.url).scheme
            after = urlsplit(urljoin(resp.url, target)).scheme
            if after not in ("http", "https") or (before, after) == ("https", "http"):
                resp.close()
                raise AttemptError(f"refused: the server redirects from {before} to {after}")
        return target


def open_session() -> requests.Session:
    """Session that follows redirects to http and https only."""
    session = _Session()
    session.headers["User-Agent"] = f"fermentome {requests.utils.default_user_agent()}"
    return session


def get(
    session: requests.Session, url: str, headers: Mapping[str, str], settings: Settings
) -> requests.Response:
    """Ask for an address; the body has yet to be read.

    Raises
    ------
    AttemptError
        A redirect is refused, or the request cannot even be made.
    requests.RequestException
        No answer; `persist` says what it means.
    """
    timeout = (settings.connect_timeout, settings.read_timeout)
    try:
        return session.get(url, headers=headers, stream=True, timeout=timeout)
    except requests.RequestException:
        raise
    except OSError as error:  # a file of certificates that is not there, for one
        raise AttemptError(f"the request could not be made: {error}") from None


def arriving(response: requests.Response, settings: Settings) -> Iterator[bytes]:
    """Yield the bytes as they come, never decoded; a server that trickles is an error."""
    since, count = time.monotonic(), 0
    # read1 returns what is there; read would wait until the chunk is full, for as long as it takes.
    while chunk := response.raw.read1(CHUNK, decode_content=False):
        yield chunk
        count += len(chunk)
        elapsed = time.monotonic() - since
        if elapsed >= settings.slow_window:
            if count < settings.slowest * elapsed:
                raise AttemptError(f"stalled: {count} bytes in {elapsed:.0f} seconds", again=True)
            since, count = time.monotonic(), 0


def persist(
    attempt: Callable[[], _Result], shown: str, settings: Settings, reached: Callable[[], int]
) -> _Result:
    """Call `attempt` until it succeeds, fails for good, or failed too often without progress."""
    failed, furthest = 0, reached()
    while True:
        try:
            return attempt()
        except AttemptError as error:
            failure = error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failure = _explained(error)
        if reached() >= furthest + _PROGRESS:
            failed, furthest = 0, reached()
        failed += 1
        if not failure.again:
            raise failure
        if failed >= settings.attempts:
            raise AttemptError(f"{failure.reason} (attempt {failed}, the last)")
        wait = _wait(failed, failure.wait, settings)
        logger.warning(
            "%s: %s; attempt %d of %d follows in %.1f seconds",
            *(shown, failure.reason, failed + 1, settings.attempts, wait),
        )
        time.sleep(wait)


def _wait(failed: int, asked: float | None, settings: Settings) -> float:
    if asked is not None:
        return min(asked, settings.longest_wait)
    longest = min(settings.backoff * 2.0 ** (failed - 1), settings.longest_wait)
    return random.uniform(longest / 2, longest)


def refusal(response: requests.Response) -> AttemptError:
    """What an answer without the file means."""
    status = response.status_code
    meaning = {
        401: "a password is needed: put it into ~/.netrc",
        403: "access is refused",
        404: "not found: the address has changed, or the file was withdrawn",
        407: "the proxy wants a password: give it in https_proxy",
        410: "gone: the file was withdrawn",
        429: "too many requests",
    }.get(status)
    if meaning is None:
        known = status in http.HTTPStatus.__members__.values()
        meaning = http.HTTPStatus(status).phrase.lower() if known else "unexpected answer"
    wait = None
    if asked := response.headers.get("Retry-After"):
        with contextlib.suppress(urllib3.exceptions.InvalidHeader):
            wait = urllib3.util.Retry().parse_retry_after(asked)
    return AttemptError(f"status {status}, {meaning}", again=status in _TRY_AGAIN, wait=wait)


def _explained(error: Exception) -> AttemptError:
    """What an exception of requests or urllib3 means.

    Their own text is not shown: it repeats the address with its keys.
    """
    chain = list(_chain(error))

    def among(*kinds: type[BaseException]) -> BaseException | None:
        return next((link for link in chain if isinstance(link, kinds)), None)

    refused = among(ssl.SSLCertVerificationError)
    if isinstance(refused, ssl.SSLCertVerificationError):
        return AttemptError(
            f"the server's certificate is not trusted ({refused.verify_message}); certificates of "
            "your own site are given by REQUESTS_CA_BUNDLE"
        )
    if isinstance(error, requests.TooManyRedirects):
        return AttemptError("the redirects do not end")
    if isinstance(error, (ValueError, urllib3.exceptions.LocationValueError)):
        # requests derives the faults of addresses and headers from ValueError.
        return AttemptError(f"the address or the answer is malformed ({type(error).__name__})")
    if among(urllib3.exceptions.NameResolutionError):
        what = "the name of the host cannot be resolved; is there a network?"
    elif among(urllib3.exceptions.NewConnectionError):  # derived from the next one
        what = _system_reason(chain)
    elif among(urllib3.exceptions.ConnectTimeoutError):
        what = "no connection within the time allowed"
    elif among(urllib3.exceptions.ReadTimeoutError):
        what = "stalled: no byte within the time allowed"
    elif incomplete := among(urllib3.exceptions.IncompleteRead):
        what = f"cut off: {incomplete}"
    else:
        what = _system_reason(chain)
    what = what or f"the connection broke ({type(chain[-1]).__name__})"
    if among(urllib3.exceptions.ProxyError):
        what = f"by the proxy: {what}"
    return AttemptError(what, again=True)


def _system_reason(chain: Sequence[BaseException]) -> str:
    """What the operating system said last."""
    said = [link.strerror for link in chain if isinstance(link, OSError) and link.strerror]
    return said[-1] if said else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it was made from, the outermost first."""
    waiting: list[object] = [error]
    seen: list[BaseException] = []
    while waiting:
        link = waiting.pop(0)
        if not isinstance(link, BaseException) or any(link is other for other in seen):
            continue
        seen.append(link)
        yield link
        waiting += [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]


def number(text: str | None) -> int | None:
    """Number in a header; None where there is none."""
    return int(text) if text is not None and text.isdecimal() else None


def http_date(text: str | None) -> datetime | None:
    """Time of an HTTP header; None where it is missing or no date."""
    try:
        found = email.utils.parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found and found.tzinfo else None
