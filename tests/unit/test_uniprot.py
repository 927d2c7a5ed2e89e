"""Members come from UniProt whole, of one release, and labelled; anything less is an error."""

import gzip
import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from download_server import Answer, DownloadServer, Request, status, truncate

from fermentome.catalogue import CatalogueFiles, load_catalogue
from fermentome.databases.download import Settings
from fermentome.databases.uniprot import (
    Limits,
    Query,
    Release,
    fetch_families,
    queries_of,
    read_family,
    read_fetched,
)
from fermentome.databases.uniprot_entries import lineage_of, read_entries
from fermentome.databases.uniprot_query import Term, parse_query
from fermentome.enzymes import read_identifiers
from fermentome.errors import CatalogueError, DownloadError, LineageError
from fermentome.lint import lint

ROOT = Path(__file__).parents[2]
RESOURCES = ROOT / "workflow/resources"
SCHEMAS = ROOT / "workflow/schemas"
SEARCH = "/uniprotkb/search"
#: As the API labels the columns that are asked for.
HEADER = (
    "Entry\tReviewed\tProtein names\tOrganism\tOrganism (ID)\tTaxonomic lineage\tLength\tFragment"
    "\tEC number\tSequence"
)
LINEAGE = (
    "cellular organisms (no rank), Bacteria (domain), Bacillati (kingdom), Bacillota (phylum),"
    " Clostridia (class), Lachnospirales (order), Lachnospiraceae (family), Roseburia (genus)"
)
FAST = Settings(attempts=3, backoff=0.01, longest_wait=0.05, read_timeout=5)
LIMITS = Limits(pause=0)
BUK = Query("ec:2.7.2.7 AND xref:pfam-PF00871")
BUT = Query("xref:ncbifam-TIGR03948")


def accession(number: int) -> str:
    """Accession of six characters, as UniProt makes them."""
    return f"Q{number // 1000 % 10}{number // 100 % 10}{number // 10 % 10}A{number % 10}"


def row(
    number: int,
    *,
    reviewed: bool = True,
    fragment: str = "",
    organism: str = "Roseburia hominis",
    taxid: int = 301301,
    sequence: str = "MKTAYIAK",
) -> str:
    return "\t".join(
        (
            *(accession(number), "reviewed" if reviewed else "unreviewed", "Butyrate kinase"),
            *(organism, str(taxid), LINEAGE, str(len(sequence)), fragment, "2.7.2.7", sequence),
        )
    )


class FakeUniProt:
    """Answers searches as the REST API does: pages by cursor, with release and total."""

    def __init__(self, server: DownloadServer, size: int = 2) -> None:
        self._server = server
        self._size = size
        self.rows: dict[tuple[str, bool], list[str]] = {}
        self.release = "2026_03"
        self.total: int | None = None
        self.compress = True

    def serve(self, query: Query, reviewed: Iterable[str] = (), other: Iterable[str] = ()) -> None:
        self.rows[query.text, True] = list(reviewed)
        self.rows[query.text, False] = list(other)

    def answer(self, request: Request) -> Answer:
        asked = request.query["query"]
        text = re.match(r"\((.*?)\) AND \(reviewed:(true|false)\)", asked)
        assert text is not None, asked
        rows = self.rows[text[1], text[2] == "true"]
        start = int(request.query.get("cursor", "0"))
        headers = {
            "X-UniProt-Release": self.release,
            "X-UniProt-Release-Date": "02-September-2026",
            "X-Total-Results": str(len(rows) if self.total is None else self.total),
        }
        if start + self._size < len(rows):
            query = urllib.parse.urlencode({**request.query, "cursor": start + self._size})
            headers["Link"] = f'<{self._server.url(SEARCH)}?{query}>; rel="next"'
        body = "\n".join([HEADER, *rows[start : start + self._size], ""]).encode()
        if self.compress:
            return Answer(200, gzip.compress(body), headers | {"Content-Encoding": "gzip"})
        return Answer(200, body, headers)


@pytest.fixture
def server():
    with DownloadServer() as server:
        yield server


@pytest.fixture
def uniprot(server):
    fake = FakeUniProt(server)
    server.add(SEARCH, fake.answer)
    return fake


def fetch(server, folder, queries, *, limits=LIMITS, **more) -> Release:
    return fetch_families(
        queries, folder, base_url=server.url(""), limits=limits, settings=FAST, **more
    )


# ---------------------------------------------------------------------------- what comes


@pytest.mark.parametrize("compress", [True, False])
def test_all_pages_of_all_families_come_sorted_by_accession(server, uniprot, tmp_path, compress):
    uniprot.compress = compress
    uniprot.serve(BUK, [row(n) for n in (5, 3, 4, 1, 2)], [row(9, reviewed=False)])
    uniprot.serve(BUT, [row(7)])
    got = fetch(server, tmp_path, {"buk": BUK, "but": BUT})
    entries = list(read_entries(got.families["buk"].path))
    assert [entry.accession for entry in entries] == [accession(n) for n in (1, 2, 3, 4, 5, 9)]
    assert [entry.reviewed for entry in entries] == [True] * 5 + [False]
    assert (got.name, got.date) == ("2026_03", "2026-09-02")
    assert got.families["buk"].rows == 6 and got.families["buk"].reviewed == 5
    assert list(got.families["buk"].requests.values()) == [5, 1]
    assert list(got.families) == ["buk", "but"]


def test_requests_ask_for_prokaryotes_and_apart_for_reviewed_and_other_members(
    server, uniprot, tmp_path
):
    uniprot.serve(BUK, [row(1)])
    fetch(server, tmp_path, {"buk": BUK}, limits=replace(LIMITS, taxa=(186801, 85004)))
    reviewed, other = (request.query for request in server.requests)
    assert reviewed["query"] == (
        f"({BUK.text}) AND (reviewed:true) AND (taxonomy_id:2 OR taxonomy_id:2157)"
    )
    assert other["query"] == (
        f"({BUK.text}) AND (reviewed:false) AND (fragment:false) AND (keyword:KW-1185) AND"
        " (taxonomy_id:186801 OR taxonomy_id:85004)"
    )
    assert reviewed["format"] == "tsv" and reviewed["size"] == "500"
    assert reviewed["fields"].split(",")[0] == "accession"


def test_without_unreviewed_members_one_request_is_made(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(1)], [row(2, reviewed=False)])
    got = fetch(server, tmp_path, {"buk": BUK}, limits=replace(LIMITS, unreviewed=0))
    assert len(server.requests) == 1
    assert got.families["buk"].rows == 1


def test_files_do_not_depend_on_the_order_in_which_entries_come(server, uniprot, tmp_path):
    rows = [row(n, reviewed=False, taxid=n % 3 + 1) for n in range(10)]
    few = replace(LIMITS, unreviewed=4)
    uniprot.serve(BUK, [row(11)], rows)
    one = fetch(server, tmp_path / "one", {"buk": BUK}, limits=few)
    uniprot.serve(BUK, [row(11)], rows[::-1])
    two = fetch(server, tmp_path / "two", {"buk": BUK}, limits=few)
    assert one.families["buk"].path.read_bytes() == two.families["buk"].path.read_bytes()


def test_of_too_many_unreviewed_members_each_organism_keeps_one_before_any_keeps_two(
    server, uniprot, tmp_path
):
    crowd = [row(n, reviewed=False, taxid=1) for n in range(20)]
    single = [row(100 + n, reviewed=False, taxid=2 + n) for n in range(3)]
    uniprot.serve(BUK, [], crowd + single)
    got = fetch(server, tmp_path, {"buk": BUK}, limits=replace(LIMITS, unreviewed=5))
    taxids = [entry.taxid for entry in read_entries(got.families["buk"].path)]
    assert sorted(taxids) == ["1", "1", "2", "3", "4"]
    assert list(got.families["buk"].requests.values()) == [0, 23]


def test_requests_are_not_made_faster_than_allowed(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(n) for n in range(3)], [row(4, reviewed=False)])
    fetch(server, tmp_path, {"buk": BUK}, limits=replace(LIMITS, pause=0.1))
    times = [request.when for request in server.requests]
    assert len(times) == 3
    assert all(later - earlier > 0.09 for earlier, later in zip(times, times[1:], strict=False))


# ---------------------------------------------------------------------------- going on


def test_an_interrupted_fetch_goes_on_with_the_family_that_broke_off(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(n) for n in range(3)])
    uniprot.serve(BUT, [row(7)])
    del uniprot.rows[BUT.text, True]  # the server breaks off at this request
    with pytest.raises(DownloadError):
        fetch(server, tmp_path, {"buk": BUK, "but": BUT})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["buk.json", "buk.tsv.gz"]
    uniprot.serve(BUT, [row(7)])
    server.requests.clear()
    got = fetch(server, tmp_path, {"buk": BUK, "but": BUT})
    assert all("TIGR03948" in request.query["query"] for request in server.requests)
    assert [family.rows for family in got.families.values()] == [3, 1]


def test_a_complete_folder_asks_no_server_and_gives_the_same(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(n) for n in range(3)])
    first = fetch(server, tmp_path, {"buk": BUK})
    server.requests.clear()
    assert fetch(server, tmp_path, {"buk": BUK}) == first
    assert read_fetched(tmp_path) == first
    assert server.requests == []


def test_a_family_is_fetched_again_when_its_file_was_changed(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(1)])
    path = fetch(server, tmp_path, {"buk": BUK}).families["buk"].path
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(DownloadError, match=r"buk.*sha256 differs"):
        read_fetched(tmp_path)
    fetch(server, tmp_path, {"buk": BUK})
    assert path.read_bytes() == good


def test_a_family_is_fetched_again_when_its_query_changed(server, uniprot, tmp_path):
    other = Query("ec:2.7.2.7")
    uniprot.serve(BUK, [row(1)])
    uniprot.serve(other, [row(1), row(2)])
    fetch(server, tmp_path, {"buk": BUK})
    assert fetch(server, tmp_path, {"buk": other}).families["buk"].rows == 2


# ---------------------------------------------------------------------------- one release


def test_a_release_that_changes_between_pages_is_an_error_that_says_to_start_again(
    server, uniprot, tmp_path
):
    uniprot.serve(BUK, [row(n) for n in range(3)])

    def moving(request: Request) -> Answer:
        answer = uniprot.answer(request)
        uniprot.release = "2026_04"
        return answer

    server.add(SEARCH, moving)
    with pytest.raises(DownloadError, match=r"2026_03.*2026_04.*start again"):
        fetch(server, tmp_path, {"buk": BUK})
    assert list(tmp_path.iterdir()) == []


def test_a_release_that_changes_between_two_runs_is_an_error(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(1)])
    uniprot.serve(BUT, [row(7)])
    fetch(server, tmp_path, {"buk": BUK})
    uniprot.release = "2026_04"
    with pytest.raises(DownloadError, match=r"2026_03 is wanted by what is in the folder.*2026_04"):
        fetch(server, tmp_path, {"buk": BUK, "but": BUT})


def test_another_release_than_the_one_demanded_is_refused(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(1)])
    with pytest.raises(DownloadError, match=r"2025_01 is wanted by the request.*2026_03"):
        fetch(server, tmp_path, {"buk": BUK}, release="2025_01")


def test_a_folder_of_two_releases_is_refused(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(1)])
    uniprot.serve(BUT, [row(7)])
    fetch(server, tmp_path, {"buk": BUK})
    uniprot.release = "2026_04"
    fetch(server, tmp_path / "new", {"but": BUT})
    for path in (tmp_path / "new").iterdir():
        path.rename(tmp_path / path.name)
    with pytest.raises(DownloadError, match=r"2026_03 \(buk\), 2026_04 \(but\)"):
        read_fetched(tmp_path)


def test_an_answer_without_a_release_is_refused(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(1)])
    uniprot.release = ""
    with pytest.raises(DownloadError, match="names no release"):
        fetch(server, tmp_path, {"buk": BUK})


# ---------------------------------------------------------------------------- faults


@pytest.mark.parametrize("total", [4, 2])
def test_another_number_of_entries_than_the_server_told_is_an_error(
    server, uniprot, tmp_path, total
):
    uniprot.serve(BUK, [row(n) for n in range(3)])
    uniprot.total = total
    with pytest.raises(DownloadError, match=f"family buk: .*3 of {total} results came"):
        fetch(server, tmp_path, {"buk": BUK})
    assert list(tmp_path.iterdir()) == []


def test_an_entry_that_comes_twice_is_an_error(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(1), row(2), row(1)])
    with pytest.raises(DownloadError, match=f"{accession(1)} came twice"):
        fetch(server, tmp_path, {"buk": BUK})


@pytest.mark.parametrize("fault", [status(429, Retry_After="0"), status(500), truncate(100)])
def test_a_server_that_fails_now_and_then_is_asked_again(server, uniprot, tmp_path, fault):
    uniprot.serve(BUK, [row(n) for n in range(5)])
    server.add(SEARCH, uniprot.answer, fault=fault, times=2)
    assert fetch(server, tmp_path, {"buk": BUK}).families["buk"].rows == 5


def test_a_server_that_fails_always_is_an_error_that_names_the_family(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(1)])
    server.add(SEARCH, uniprot.answer, fault=status(500))
    with pytest.raises(DownloadError, match=r"family buk: .*500"):
        fetch(server, tmp_path, {"buk": BUK})


def test_a_query_that_the_server_refuses_is_shown_in_its_words(server, tmp_path):
    said = b'{"messages":["\'gena\' is not a valid search field"]}'
    server.add(SEARCH, lambda _: Answer(400, said, {"Content-Type": "application/json"}))
    with pytest.raises(DownloadError, match="'gena' is not a valid search field"):
        fetch(server, tmp_path, {"buk": BUK})
    assert len(server.requests) == 1


def test_a_target_without_members_is_an_error_after_the_others_came(server, uniprot, tmp_path):
    uniprot.serve(BUK)
    uniprot.serve(BUT, [row(7)])
    with pytest.raises(DownloadError, match="no entry for buk:"):
        fetch(server, tmp_path, {"buk": BUK, "but": BUT})
    assert (tmp_path / "but.tsv.gz").exists()
    got = fetch(server, tmp_path, {"buk": BUK, "but": BUT}, allow_empty=["buk"])
    assert [family.rows for family in got.families.values()] == [0, 1]


def test_a_decoy_may_be_without_members(server, uniprot, tmp_path):
    uniprot.serve(BUK)
    queries = {"decoy": Query(BUK.text, may_be_empty=True)}
    assert fetch(server, tmp_path, queries).families["decoy"].rows == 0


def test_a_query_with_far_too_many_results_is_stopped_at_its_first_page(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(n) for n in range(9)])
    with pytest.raises(DownloadError, match="9 results"):
        fetch(server, tmp_path, {"buk": BUK}, limits=replace(LIMITS, results=8))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row(1).replace("\t301301\t", "\t"), "9 columns, expected 10"),
        (row(1).replace(accession(1), "buk_1"), "accession 'buk_1'"),
        (row(1).replace("\treviewed\t", "\tyes\t"), "reviewed is 'yes'"),
        (row(1).replace("\t8\t", "\t9\t"), "length '9' of a sequence of 8"),
        (row(1, sequence="MKT>YIAK"), "sequence 'MKT>YIAK'"),
        (row(1, sequence=""), "sequence ''"),
        (row(1).replace("\t301301\t", "\tx\t"), "organism id 'x'"),
    ],
)
def test_a_row_that_is_no_entry_is_named_with_its_line(server, uniprot, tmp_path, bad, words):
    uniprot.serve(BUK, [row(0), bad])
    with pytest.raises(DownloadError, match=f"line 3: .*{re.escape(words)}"):
        fetch(server, tmp_path, {"buk": BUK})


def test_a_page_that_is_no_table_of_entries_is_refused(server, tmp_path):
    headers = {"X-UniProt-Release": "2026_03", "X-Total-Results": "1"}
    server.add(SEARCH, lambda _: Answer(200, b"<html>Please log in</html>", headers))
    with pytest.raises(DownloadError, match=r"first line is '<html>Please log in</html>'"):
        fetch(server, tmp_path, {"buk": BUK})


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(b"Entry\n")[:-9]])
def test_a_damaged_file_is_refused_by_its_reader(tmp_path, content):
    path = tmp_path / "buk.tsv.gz"
    path.write_bytes(content)
    with pytest.raises(DownloadError, match="buk.tsv.gz"):
        list(read_entries(path))


def test_an_empty_folder_holds_no_families(tmp_path):
    with pytest.raises(DownloadError, match="holds no families"):
        read_fetched(tmp_path)


# ---------------------------------------------------------------------------- what is read


def test_members_carry_accession_lineage_origin_and_trust(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(1)], [row(2, reviewed=False, organism="Roseburia sp. CAG:18")])
    got = fetch(server, tmp_path, {"buk": BUK})
    curated, screened = read_family(got.families["buk"], got.name)
    assert curated.accession == f"UniProt:{accession(1)}"
    assert (curated.family, curated.sequence) == ("buk", "MKTAYIAK")
    assert (curated.trusted, screened.trusted) == (True, False)
    assert curated.source == "UniProtKB/Swiss-Prot 2026_03"
    assert screened.source == "UniProtKB/TrEMBL 2026_03"
    assert curated.lineage == (
        "d__Bacteria;p__Bacillota;c__Clostridia;o__Lachnospirales;f__Lachnospiraceae;"
        "g__Roseburia;s__Roseburia hominis"
    )
    assert screened.lineage.endswith("s__Roseburia sp. CAG:18")


@pytest.mark.parametrize(
    ("reviewed", "kept"),
    [
        ([row(1), row(2, fragment="fragment")], [1]),
        ([row(2, fragment="fragment"), row(3, fragment="fragments")], [2, 3]),
    ],
)
def test_reviewed_fragments_count_only_where_nothing_whole_is_reviewed(
    server, uniprot, tmp_path, reviewed, kept
):
    uniprot.serve(BUK, reviewed)
    got = fetch(server, tmp_path, {"buk": BUK})
    members = read_family(got.families["buk"], got.name)
    assert [member.accession for member in members] == [f"UniProt:{accession(n)}" for n in kept]


def test_the_manifest_names_address_release_and_checksum_of_each_family(server, uniprot, tmp_path):
    uniprot.serve(BUK, [row(1)])
    got = fetch(server, tmp_path, {"buk": BUK})
    (source,) = got.sources()
    assert source.url.startswith("https://rest.uniprot.org/uniprotkb/search?query=")
    assert "PF00871" in source.url
    assert (source.release, source.date) == ("2026_03", "2026-09-02")
    assert source.licence == "CC-BY-4.0"
    assert source.sha256 == got.families["buk"].sha256


@pytest.mark.parametrize(
    ("text", "organism", "expected"),
    [
        (  # the rank was called superkingdom until 2024; the species of a strain is in the lineage
            "cellular organisms (no rank), Bacteria (superkingdom), Pseudomonadota (phylum),"
            " Escherichia (genus), Escherichia coli (species)",
            "Escherichia coli (strain K12)",
            "d__Bacteria;p__Pseudomonadota;c__;o__;f__;g__Escherichia;s__Escherichia coli",
        ),
        (  # names of taxa may hold commas and brackets
            "Bacteria (domain), Bacillota (phylum), Bacillus (in: firmicutes) (genus)",
            "[Bacillus] selenitireducens (strain A / B)",
            "d__Bacteria;p__Bacillota;c__;o__;f__;g__Bacillus (in: firmicutes);"
            "s__Bacillus selenitireducens",
        ),
        (  # no genus, no species
            "Bacteria (domain), environmental samples (no rank)",
            "uncultured bacterium",
            "d__Bacteria;p__;c__;o__;f__;g__;s__",
        ),
    ],
)
def test_lineages_of_ncbi_become_ours(text, organism, expected):
    assert lineage_of(text, organism) == expected


@pytest.mark.parametrize("text", ["", "Bacteria; Bacillota", "Bacillota (phylum)"])
def test_a_lineage_of_another_form_is_refused(text):
    with pytest.raises(LineageError):
        lineage_of(text, "Roseburia hominis")


# ---------------------------------------------------------------------------- the catalogue


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue(CatalogueFiles.in_folders(RESOURCES, SCHEMAS))


def test_every_family_has_a_query_or_says_why_not(catalogue):
    for family in catalogue.families.values():
        assert bool(family.uniprot_query) != bool(family.no_query_because), family.id
    assert all(single.uniprot_query for single in catalogue.single_copy.values())


def test_every_target_can_be_fetched(catalogue):
    queries = queries_of(catalogue)
    targets = {name for name, family in catalogue.families.items() if family.role == "target"}
    assert targets | set(catalogue.single_copy) <= set(queries)
    assert not any(queries[name].may_be_empty for name in targets)
    assert queries["decoy_eutE"].may_be_empty


def test_no_two_families_ask_the_same(catalogue):
    texts = [query.text for query in queries_of(catalogue).values()]
    assert len(texts) == len(set(texts))


def test_no_query_of_the_catalogue_rests_on_an_ec_number_alone(catalogue):
    # An EC number is given to all chains of a complex, and to enzymes of other folds.
    for name, query in queries_of(catalogue).items():
        fields = {term.field for term in parse_query(query.text) if not term.negated}
        assert fields != {"ec"}, name


def test_terms_are_read_with_their_negation():
    assert parse_query(
        "(ec:1.1.1.1 OR xref:pfam-PF00465) NOT (gene_exact:adhE OR ec:1.2.1.10)"
    ) == (
        Term("ec", "1.1.1.1"),
        Term("xref", "pfam-PF00465"),
        Term("gene_exact", "adhE", negated=True),
        Term("ec", "1.2.1.10", negated=True),
    )
    assert parse_query("length:[100 TO *] AND NOT accession:Q1A666") == (
        Term("length", "[100 TO *]"),
        Term("accession", "Q1A666", negated=True),
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "ends where"),
        ("ec:2.7.2.7 AND", "ends where"),
        ("(ec:2.7.2.7", "closing parenthesis; add"),
        ("ec:2.7.2.7)", "closing parenthesis too many"),
        ("()", r"has '\)' where"),
        ("ec:2.7.2.7 AND OR ec:2.7.2.1", "has 'OR' where"),
        ("ec:2.7.2.7 xref:pfam-PF00871", "lacks AND, OR or NOT before 'xref:pfam-PF00871'"),
        ("ec:2.7.2.7 AND gene_exact:buk OR gene_exact:ptb", "beside OR"),
        ("ec:2.7.2.7 OR gene_exact:buk NOT gene_exact:ackA", "beside OR"),
        ("butyrate kinase", "cannot be read from 'butyrate kinase'"),
        ("ecc:2.7.2.7", "has the field 'ecc'; expected one of"),
        ("ec:2.7.2", "ec:2.7.2, which is not of the form"),
        ("xref:pfam-PF871", "xref:pfam-PF871"),
        ("xref:tigrfam-TIGR02707", "xref:tigrfam-TIGR02707"),
        ("xref:PF00871", "xref:PF00871"),
        ("gene_exact:buk*", r"gene_exact:buk\*"),
        ("length:[400 TO 300]", "empty range"),
        ("length:[300-400]", "not of the form"),
        ("taxonomy_id:Bacteria", "taxonomy_id:Bacteria"),
        ("reviewed:true AND ec:2.7.2.7", "reviewed:true, but"),
        ("ec:2.7.2.7 NOT fragment:true", "fragment:true, but"),
    ],
)
def test_a_query_with_a_mistake_is_refused(query, words):
    with pytest.raises(CatalogueError, match=words):
        parse_query(query)


BUK_QUERY = "(ec:2.7.2.7 OR xref:ncbifam-TIGR02707) AND xref:pfam-PF00871 NOT ec:2.7.2.1"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (BUK_QUERY, None),
        (BUK_QUERY.replace("(ec:", "ec:"), "'buk'.*uniprot_query has a closing parenthesis"),
        (BUK_QUERY.replace("2.7.2.7", "2.7.2.1"), "'buk'.*asks for EC 2.7.2.1, which is not among"),
        (BUK_QUERY + " NOT ec:2.7.2.7", "'buk'.*leaves out EC 2.7.2.7, which is the family's"),
        (BUK_QUERY.replace("PF00871", "PF99871"), "'buk'.*PF99871 is not among the known"),
        (BUK_QUERY.replace("2.7.2.1", "2.7.2.99"), "'buk'.*2.7.2.99 is not among the known"),
    ],
)
def test_the_linter_compares_a_query_with_its_family(tmp_path, query, words):
    text = (RESOURCES / "families.yaml").read_text(encoding="utf-8")
    start = text.index("    uniprot_query:", text.index("  - id: buk\n"))
    end = text.index("    confidence:", start)
    changed = f"{text[:start]}    uniprot_query: {query!r}\n{text[end:]}"
    (tmp_path / "families.yaml").write_text(changed, encoding="utf-8")
    files = CatalogueFiles.in_folders(RESOURCES, SCHEMAS)
    found = lint(
        replace(files, families=tmp_path / "families.yaml"),
        read_identifiers([RESOURCES / "identifiers.tsv"]),
    )
    errors = [finding.line() for finding in found if finding.severity == "error"]
    if words is None:
        assert errors == []
    else:
        assert len(errors) == 1
        assert re.search(words, errors[0])
