"""Members of the catalogue's families from UniProtKB, of one release, through its REST API.

A family is fetched by two requests. *Reviewed* entries (Swiss-Prot) are asked for in all bacteria
and archaea: their labels were given by curators, and are trusted. *Unreviewed* ones (TrEMBL) carry
labels that rules gave; they make the breadth of a family and are judged by the builder. Of those
there are too many, most from strains of a few species and from places other than the gut, so they
are asked for in reference proteomes only (``keyword:KW-1185``), in the taxa of
`GUT_TAXA`, without fragments, and at most `Limits.unreviewed` of a family are kept: first one of
each organism, then a second of each, and so on, in the order of a checksum of the accession. What
is kept depends on what the release holds alone, not on the order in which it comes.

In the folder lie, for each family, ``<family>.tsv.gz`` and ``<family>.json``: the entries, sorted
by accession, and what was asked and came. Interrupted fetches go on with the families that lack.

The API serves the current release only and says which in ``X-UniProt-Release``; the number of
results stands in ``X-Total-Results``, the next page in ``Link``
(https://www.uniprot.org/help/pagination). UniProt is licensed under CC BY 4.0
(https://www.uniprot.org/help/license).
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fermentome.catalogue import Catalogue
from fermentome.databases.download import Page, Settings, fetch_pages
from fermentome.databases.manifest import Source, sha256_of
from fermentome.databases.uniprot_entries import (
    FIELDS,
    Entry,
    lineage_of,
    pack_entries,
    parse_entries,
    read_entries,
    spread,
)
from fermentome.errors import DownloadError
from fermentome.reference import LabelledProtein

__all__ = [
    "BASE_URL",
    "GUT_TAXA",
    "Fetched",
    "Limits",
    "Query",
    "Release",
    "fetch_families",
    "queries_of",
    "read_family",
    "read_fetched",
]

logger = logging.getLogger(__name__)

BASE_URL = "https://rest.uniprot.org"
LICENCE = "CC-BY-4.0"
#: NCBI taxids of the taxa that hold the prokaryotes of the human gut; with them stand relatives
#: of other places, from which decoys come.
GUT_TAXA: Mapping[int, str] = {
    186801: "Clostridia",
    909932: "Negativicutes",
    1737404: "Tissierellia",
    526524: "Erysipelotrichia",
    186826: "Lactobacillales",
    1385: "Caryophanales (Bacillales)",
    171549: "Bacteroidales",
    85004: "Bifidobacteriales",
    85009: "Propionibacteriales",
    84998: "Coriobacteriia",
    91347: "Enterobacterales",
    135625: "Pasteurellales",
    80840: "Burkholderiales",
    200940: "Thermodesulfobacteriota",
    74201: "Verrucomicrobiota",
    256845: "Lentisphaerota",
    32066: "Fusobacteriota",
    508458: "Synergistota",
    203691: "Spirochaetota",
    28890: "Methanobacteriota",
    1235850: "Methanomassiliicoccales",
}
_PROKARYOTES = "(taxonomy_id:2 OR taxonomy_id:2157)"
_REFERENCE_PROTEOMES = "keyword:KW-1185"
_PAGE_SIZE = 500  # the most that the API gives
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_TABLE = ".tsv.gz"
_RECORD = ".json"


@dataclass(frozen=True, slots=True)
class Query:
    """What to ask for a family.

    Attributes
    ----------
    text
        Query of the catalogue: what an entry must have to be of the family.
    may_be_empty
        Whether no result at all is let pass. A target without members is never found, and nobody
        sees why: that is an error. A decoy without members leaves a gap that results tell of.
    """

    text: str
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is fetched and kept.

    Attributes
    ----------
    unreviewed
        Unreviewed members that are kept of a family; 0 asks for reviewed ones alone. Chosen, not
        measured: enough that every genus of the taxa has a member of a housekeeping family, and
        what the builder, which dereplicates them, searches in minutes.
    results
        Results of one request above which the query is taken for a mistake. Chosen, not measured.
    pause
        Seconds between two requests: three in a second are a load that no public server minds.
    taxa
        NCBI taxids to which unreviewed members are limited.
    """

    unreviewed: int = 2_000
    results: int = 200_000
    pause: float = 0.35
    taxa: tuple[int, ...] = tuple(GUT_TAXA)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The file of one family.

    Attributes
    ----------
    requests
        Queries as sent, with the number of their results.
    rows, reviewed
        Entries in the file, and how many of them are reviewed.
    sha256
        Of the file.
    """

    family: str
    path: Path
    requests: Mapping[str, int]
    rows: int
    reviewed: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Release:
    """What was fetched: all of it of one release.

    Attributes
    ----------
    name
        Of the release, like ``2026_03``.
    date
        When it was published, ``YYYY-MM-DD``; may be empty.
    """

    name: str
    date: str
    families: Mapping[str, Fetched] = field(default_factory=dict)

    def sources(self, base_url: str = BASE_URL) -> tuple[Source, ...]:
        """What to write of it in the manifest of a database: one source for each family.

        Its address is that of the request for reviewed members; the checksum is that of the file
        here, made of the answers to both requests.
        """
        return tuple(
            Source(
                url=_address(base_url, next(iter(family.requests))),
                release=self.name,
                date=self.date,
                licence=LICENCE,
                sha256=family.sha256,
            )
            for family in self.families.values()
        )


def queries_of(catalogue: Catalogue) -> dict[str, Query]:
    """Queries of all families and single-copy families that have one."""
    found = {
        family.id: Query(family.uniprot_query, may_be_empty=family.role == "decoy")
        for family in catalogue.families.values()
        if family.uniprot_query
    }
    for single in catalogue.single_copy.values():
        if single.uniprot_query:
            found[single.id] = Query(single.uniprot_query)
    return found


def fetch_families(
    queries: Mapping[str, Query],
    folder: Path,
    *,
    base_url: str = BASE_URL,
    release: str | None = None,
    limits: Limits = Limits(),  # noqa: B008 (immutable)
    settings: Settings = Settings(),  # noqa: B008 (immutable)
    allow_empty: Collection[str] = (),
) -> Release:
    """Fetch the members of families, one file for each, all of one release of UniProt.

    Families whose files are here already, asked for in the same words and whole, are not asked
    for again.

    Parameters
    ----------
    queries
        Query of each family, by id.
    folder
        Where the files go; made if missing.
    base_url
        Server, without ``/uniprotkb/search``.
    release
        Release that it must be; by default that of the files in `folder`, else the server's.
    limits, settings
        How much is fetched, and the limits of each download.
    allow_empty
        Families that may have no members although their query says otherwise.

    Returns
    -------
    Release
        The files in the order of `queries`.

    Raises
    ------
    DownloadError
        The server does not answer, answers by another release (then or midway), gives another
        number of entries than it says, or rows that are no entries; or a family has no members.
        Of empty families all are named, after the others were fetched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    here = {name: _recorded(folder, name, limits, query) for name, query in queries.items()}
    server = _Server(base_url, limits, settings, release, folder)
    for known in here.values():
        if known is not None:
            server.expect(known[1], known[2], "what is in the folder")
    fetched: dict[str, Fetched] = {}
    for number, (name, query) in enumerate(queries.items(), start=1):
        known = here[name]
        fetched[name] = known[0] if known is not None else _fetch(server, folder, name, query)
        logger.info(
            "UniProtKB: family %s (%d of %d), %d members",
            *(name, number, len(queries), fetched[name].rows),
        )
    _refuse_empty(fetched, queries, allow_empty)
    return Release(server.release or "", server.date, fetched)


def read_fetched(folder: Path) -> Release:
    """Read what `fetch_families` left in a folder, without asking any server.

    This is for a machine without network, to which the folder was carried.

    Raises
    ------
    DownloadError
        If the folder holds no families, a file is not the one that was fetched, or the files are of
        several releases.
    """
    families: dict[str, Fetched] = {}
    releases: dict[tuple[str, str], str] = {}
    for path in sorted(folder.glob(f"*{_RECORD}")):
        name = path.name.removesuffix(_RECORD)
        try:
            record = _read_record(folder, name)
            families[name] = _fetched(folder, name, record)
            releases[record["release"], record["date"]] = name
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DownloadError(
                f"{path}: cannot be used ({error}); fetch this family again, or carry the folder"
                " over again"
            ) from error
    if not families:
        raise DownloadError(
            f"{folder}: holds no families of UniProtKB; expected <family>{_TABLE} with"
            f" <family>{_RECORD}, as `fermentome db build scfa --uniprot FOLDER --fetch` makes them"
        )
    if len(releases) > 1:
        several = ", ".join(
            f"{release} ({name})" for (release, _), name in sorted(releases.items())
        )
        raise DownloadError(
            f"{folder}: families of several releases: {several}; a reference is made of one"
            " release: fetch all of them anew into an empty folder"
        )
    ((release, date),) = releases
    return Release(release, date, families)


def read_family(fetched: Fetched, release: str) -> list[LabelledProtein]:
    """Members of a family as labelled proteins; the labels of reviewed entries are trusted.

    Of fragments only reviewed ones come, and these only where no whole member is reviewed: the
    two chains of lactoyl-CoA dehydratase are reviewed as fragments, a few residues short, and as
    nothing else.

    Parameters
    ----------
    fetched
        A file of `fetch_families`.
    release
        Name of the release, for the origin of each protein.
    """
    entries = list(read_entries(fetched.path))
    whole = any(entry.reviewed and not entry.fragment for entry in entries)
    return [
        LabelledProtein(
            accession=f"UniProt:{entry.accession}",
            family=fetched.family,
            sequence=entry.sequence,
            source=f"UniProtKB/{'Swiss-Prot' if entry.reviewed else 'TrEMBL'} {release}",
            lineage=lineage_of(entry.lineage, entry.organism),
            trusted=entry.reviewed,
        )
        for entry in entries
        if not entry.fragment or (entry.reviewed and not whole)
    ]


# ------------------------------------------------------------------------------ the server


class _Server:
    """UniProt's REST API, held to one release."""

    def __init__(
        self,
        base_url: str,
        limits: Limits,
        settings: Settings,
        release: str | None,
        folder: Path,
    ) -> None:
        self._base_url = base_url
        self._settings = settings
        self._folder = folder
        self._asked = False
        self._origin = "the request"
        self.limits = limits
        self.release = release
        self.date = ""

    def expect(self, release: str, date: str, origin: str) -> None:
        """Hold to a release, which must be the one of before."""
        if not release:
            raise DownloadError(
                f"{self._base_url}: {origin} names no release (X-UniProt-Release); is this the REST"
                " API of UniProt, or a proxy before it?"
            )
        if self.release is None:
            self._origin = origin
        elif self.release != release:
            raise DownloadError(
                f"{self._base_url}: release {self.release} is wanted by {self._origin}, and"
                f" {origin} is of {release}; a reference is made of one release, and the API serves"
                f" the current one only: empty {self._folder} and start again, without asking for"
                " another release"
            )
        self.release = release
        self.date = date or self.date

    def ask(self, query: str) -> list[Entry]:
        """All entries that a query finds."""
        entries: list[Entry] = []
        total: int | None = None
        self._wait()
        for page in fetch_pages(_address(self._base_url, query), settings=self._settings):
            self._belongs(page, query)
            if page.total is None or total not in (None, page.total):
                raise DownloadError(
                    f"{page.url}: the number of results (X-Total-Results) is {page.total}, on the"
                    f" first page {total}; try again, finished families are kept"
                )
            total = page.total
            if total > self.limits.results:
                raise DownloadError(
                    f"{page.url}: {total} results for {query!r}, more than {self.limits.results};"
                    " narrow the query of the family, or raise the limit"
                )
            entries += _page_entries(page)
            if page.next is not None:
                self._wait()
        _complete(entries, total, query)
        return entries

    def _belongs(self, page: Page, query: str) -> None:
        headers = {name.lower(): value for name, value in page.headers.items()}
        self.expect(
            headers.get("x-uniprot-release", ""),
            _iso_date(headers.get("x-uniprot-release-date", "")),
            f"the server's answer to {query!r}",
        )

    def _wait(self) -> None:
        if self._asked:
            time.sleep(self.limits.pause)
        self._asked = True


def _address(base_url: str, query: str) -> str:
    parameters = {
        "query": query,
        "format": "tsv",
        "fields": ",".join(FIELDS),
        "size": str(_PAGE_SIZE),
    }
    return f"{base_url.rstrip('/')}/uniprotkb/search?{urlencode(parameters)}"


def _iso_date(text: str) -> str:
    """Date of a release, ``02-September-2026`` in the header, in ISO form; empty if it is other.

    Months by name, not by `strptime`, which reads them in the language of the machine.
    """
    day, _, rest = text.partition("-")
    month, _, year = rest.partition("-")
    if month not in _MONTHS or not (day.isdecimal() and year.isdecimal()):
        return ""
    return f"{int(year):04d}-{_MONTHS.index(month) + 1:02d}-{int(day):02d}"


def _page_entries(page: Page) -> list[Entry]:
    try:
        text = page.text
    except UnicodeDecodeError as error:
        raise DownloadError(f"{page.url}: no text in UTF-8 ({error}); try again") from error
    return list(parse_entries(io.StringIO(text, newline=""), page.url))


def _complete(entries: Sequence[Entry], total: int | None, query: str) -> None:
    twice = [name for name, n in Counter(e.accession for e in entries).items() if n > 1]
    if total != len(entries) or twice:
        what = f"{twice[0]} came twice" if twice else f"{len(entries)} of {total} results came"
        raise DownloadError(
            f"{query!r}: {what}; the pages of the server do not fit together: try again, finished"
            " families are kept"
        )


# ------------------------------------------------------------------------------ the files


def _requests(query: Query, limits: Limits) -> list[str]:
    """Queries for the reviewed and the unreviewed members of a family."""
    asked = [f"({query.text}) AND (reviewed:true) AND {_PROKARYOTES}"]
    if limits.unreviewed:
        taxa = " OR ".join(f"taxonomy_id:{taxid}" for taxid in limits.taxa)
        asked.append(
            f"({query.text}) AND (reviewed:false) AND (fragment:false) AND ({_REFERENCE_PROTEOMES})"
            f" AND ({taxa or _PROKARYOTES})"
        )
    return asked


def _fetch(server: _Server, folder: Path, name: str, query: Query) -> Fetched:
    reviewed, *wider = _requests(query, server.limits)
    try:
        entries = server.ask(reviewed)
        results = {reviewed: len(entries)}
        for request in wider:
            found = server.ask(request)
            results[request] = len(found)
            entries += spread(found, server.limits.unreviewed)
    except DownloadError as error:
        raise DownloadError(f"family {name}: {error}") from error
    path = folder / f"{name}{_TABLE}"
    _write_atomically(path, pack_entries(entries))
    fetched = Fetched(
        family=name,
        path=path,
        requests=results,
        rows=len(entries),
        reviewed=sum(entry.reviewed for entry in entries),
        sha256=sha256_of(path),
    )
    record = dataclasses.asdict(fetched) | {
        "path": path.name,
        "unreviewed": server.limits.unreviewed,
        "release": server.release,
        "date": server.date,
    }
    # The record is written last: a file without one is fetched again.
    text = json.dumps(record, indent=1) + "\n"
    _write_atomically(folder / f"{name}{_RECORD}", text.encode())
    return fetched


def _write_atomically(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with open(fresh, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _recorded(
    folder: Path, name: str, limits: Limits, query: Query
) -> tuple[Fetched, str, str] | None:
    """The file of a family that is here, its release and date; None if it is to be fetched."""
    try:
        record = _read_record(folder, name)
        if (
            list(record["requests"]) != _requests(query, limits)
            or record["unreviewed"] != limits.unreviewed
        ):
            return None
        return _fetched(folder, name, record), record["release"], record["date"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_record(folder: Path, name: str) -> dict[str, Any]:
    record = json.loads((folder / f"{name}{_RECORD}").read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise TypeError("a record holds names and values")
    return record


def _fetched(folder: Path, name: str, record: Mapping[str, Any]) -> Fetched:
    """File of a family by its record; ValueError if it is another one."""
    path = folder / f"{name}{_TABLE}"
    if sha256_of(path) != record["sha256"]:
        raise ValueError(f"{path.name} is not the file that was fetched (sha256 differs)")
    counts = (record["rows"], record["reviewed"])
    return Fetched(name, path, dict(record["requests"]), *counts, record["sha256"])


def _refuse_empty(
    fetched: Mapping[str, Fetched], queries: Mapping[str, Query], allowed: Collection[str]
) -> None:
    empty = [
        name
        for name, family in fetched.items()
        if not family.rows and not queries[name].may_be_empty and name not in allowed
    ]
    if empty:
        raise DownloadError(
            f"UniProtKB has no entry for {', '.join(empty)}: such a family is never found. Correct"
            " its uniprot_query in the catalogue, or allow it to be empty; the other families are"
            " kept"
        )
