"""Fetching databases: presets, folders, archives and URLs, from a server on this machine."""

import gzip
import hashlib
import io
import os
import random
import shutil
import string
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from download_server import Answer, DownloadServer, status, truncate
from small_databases import make_kraken2

from fermentome.databases.adopt import convert_lineages, recognise
from fermentome.databases.archives import pack
from fermentome.databases.download import Settings
from fermentome.databases.fetch import MIRROR_VARIABLE, fetch, mirrored
from fermentome.databases.manifest import read_manifest
from fermentome.databases.recipes import representatives
from fermentome.databases.registry import UNVERIFIED, load_registry
from fermentome.databases.store import Store
from fermentome.errors import DatabaseError, DownloadError
from fermentome.lineage import read_lineages
from fermentome.tables import read_table
from fermentome.taxonomy import build_database, list_genomes

ROOT = Path(__file__).resolve().parents[2]
QUICK = Settings(attempts=2, backoff=0.01, longest_wait=0.05, read_timeout=5, connect_timeout=5)
HOST = gzip.compress(b">chr1\n" + b"ACGT" * 500 + b"\n", mtime=0)
GENOMES = ("GCF_000005845.2", "GCA_000007185.1")
LINEAGES = (
    "GCA_000000001.1\td__Bacteria;p__of another release\n"
    "GCF_000005845.2\td__Bacteria;p__Pseudomonadota;c__Gammaproteobacteria;o__Enterobacterales;"
    "f__Enterobacteriaceae;g__Escherichia;s__Escherichia coli\n"
    "GCA_000007185.1\td__Archaea;p__Methanobacteriota;c__Methanopyri;o__Methanopyrales;"
    "f__Methanopyraceae;g__Methanopyrus;s__Methanopyrus kandleri\n"
)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    with DownloadServer() as running:
        yield running


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def sketches(tmp_path_factory):
    """A sylph database of two invented genomes with the names of real assemblies."""
    folder = tmp_path_factory.mktemp("sketches")
    for name in GENOMES:
        (folder / f"{name}_genomic.fna").write_bytes(genome(name))
    lineages = dict.fromkeys(GENOMES, ("Bacteria", "", "", "", "", "", ""))
    build_database(list_genomes(folder.iterdir()), lineages, 100, folder / "small.syldb")
    return (folder / "small.syldb").read_bytes()


def genome(seed):
    letters = hashlib.shake_256(seed.encode()).digest(40_000)
    return f">{seed}\n".encode() + bytes(b"ACGT"[byte % 4] for byte in letters) + b"\n"


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def registry_of(folder, *entries):
    base = {
        "version": "1",
        "default": True,
        "description": "A test",
        "licence": "CC0 1.0",
        "page": "https://example.org/about",
        "verified": True,
    }
    path = folder / "registry.yaml"
    content = {"version": "1.0.0", "databases": [{**base, **entry} for entry in entries]}
    path.write_text(yaml.safe_dump(content))
    return load_registry(path)


def host_preset(*urls, **more):
    return {
        "name": "small-host",
        "kind": "host",
        "engine": "minimap2",
        "files": [{"target": "host.fa.gz", "urls": list(urls), **more}],
    }


def tar_of(files, compression="gz"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{compression}") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def only_downloads(store):
    return sorted(path.name for path in store.downloads.iterdir())


# --- presets --------------------------------------------------------------------------------------


def test_a_preset_is_downloaded_and_its_manifest_names_the_source(server, store, tmp_path):
    url = server.add("/host.fa.gz", HOST)
    registry = registry_of(
        tmp_path, host_preset(url, release="R1", date="2024-05-06", licence="CC0 1.0")
    )
    entry = fetch("small-host", store, registry=registry, settings=QUICK)
    manifest = read_manifest(entry.path)
    assert entry.path == store.path_of("small-host@1")
    assert (entry.path / "host.fa.gz").read_bytes() == HOST
    (source,) = manifest.sources
    assert (source.url, source.release, source.date) == (url, "R1", "2024-05-06")
    assert (source.licence, source.size) == ("CC0 1.0", len(HOST))
    assert source.sha256 == hashlib.sha256(HOST).hexdigest()


def test_what_is_stored_is_not_downloaded_again(server, store, tmp_path):
    registry = registry_of(tmp_path, host_preset(server.add("/host.fa.gz", HOST)))
    first = fetch("small-host", store, registry=registry, settings=QUICK)
    asked = len(server.requests)
    again = fetch("small-host@1", store, registry=registry, settings=QUICK)
    assert again == first
    assert len(server.requests) == asked


def test_a_name_alone_means_the_version_that_is_stored(server, store, tmp_path):
    old = {**host_preset(server.add("/old.fa.gz", HOST)), "version": "0.9", "default": False}
    registry = registry_of(tmp_path, old, host_preset(server.url("/new.fa.gz")))
    first = fetch("small-host@0.9", store, registry=registry, settings=QUICK)
    assert fetch("small-host", store, registry=registry, settings=QUICK) == first
    assert [request.path for request in server.requests] == ["/old.fa.gz"]


def test_of_several_versions_that_are_stored_a_name_alone_means_the_default(
    server, store, tmp_path
):
    url = server.add("/host.fa.gz", HOST)
    old = {**host_preset(url), "version": "0.9", "default": False}
    registry = registry_of(tmp_path, old, host_preset(url))
    fetch("small-host@0.9", store, registry=registry, settings=QUICK)
    fetch("small-host@1", store, registry=registry, settings=QUICK)
    assert fetch("small-host", store, registry=registry, settings=QUICK).version == "1"


def test_of_several_versions_without_a_default_one_must_be_named(official, store):
    for version in ("1", "2"):
        fetch(str(official), store, name="mine", version=version)
    with pytest.raises(DatabaseError, match="write one of mine@1, mine@2"):
        fetch("mine", store)


def test_a_store_that_cannot_be_written_to_gives_what_it_holds(
    server, store, tmp_path, monkeypatch
):
    registry = registry_of(tmp_path, host_preset(server.add("/host.fa.gz", HOST)))
    made = fetch("small-host", store, registry=registry, settings=QUICK)

    def refuse(self, key):
        raise DatabaseError("read-only")

    monkeypatch.setattr(Store, "lock", refuse)
    assert fetch("small-host", store, registry=registry, settings=QUICK) == made


def test_a_damaged_database_of_ones_own_cannot_be_fetched_again(official, store):
    entry = fetch(str(official), store, name="mine", version="1")
    (entry.path / "lineages.tsv").chmod(0o644)
    (entry.path / "lineages.tsv").write_text("changed")
    with pytest.raises(DatabaseError, match="mine@1: is damaged.* db verify mine@1"):
        fetch("mine", store)


def test_a_damaged_database_is_fetched_again(server, store, tmp_path, caplog):
    registry = registry_of(tmp_path, host_preset(server.add("/host.fa.gz", HOST)))
    entry = fetch("small-host", store, registry=registry, settings=QUICK)
    file = entry.path / "host.fa.gz"
    file.chmod(0o644)
    file.write_bytes(HOST[:-1] + b"?")
    again = fetch("small-host", store, registry=registry, settings=QUICK)
    assert again.id == entry.id
    assert (again.path / "host.fa.gz").read_bytes() == HOST
    assert "so it is fetched again" in caplog.text


def test_downloads_are_removed_once_the_database_is_there(server, store, tmp_path):
    registry = registry_of(tmp_path, host_preset(server.add("/host.fa.gz", HOST)))
    fetch("small-host", store, registry=registry, settings=QUICK)
    assert only_downloads(store) == []


def test_an_unverified_source_is_told(server, store, tmp_path, caplog):
    preset = {**host_preset(server.add("/host.fa.gz", HOST)), "verified": False}
    fetch("small-host", store, registry=registry_of(tmp_path, preset), settings=QUICK)
    assert UNVERIFIED in caplog.text
    assert "https://example.org/about" in caplog.text


def test_the_mirror_takes_over_and_the_manifest_does_not_tell_which_one_it_was(server, tmp_path):
    source = server.add("/a/host.fa.gz", HOST)
    mirror = server.add("/b/host.fa.gz", HOST)
    registry = registry_of(tmp_path, host_preset(source, mirror))
    with_source = fetch("small-host", Store(tmp_path / "1"), registry=registry, settings=QUICK)
    server.add("/a/host.fa.gz", fault=status(404))
    with_mirror = fetch("small-host", Store(tmp_path / "2"), registry=registry, settings=QUICK)
    assert with_mirror.id == with_source.id


def test_a_file_with_another_sha256_is_refused_and_nothing_is_named(server, store, tmp_path):
    registry = registry_of(tmp_path, host_preset(server.add("/host.fa.gz", HOST), sha256="0" * 64))
    with pytest.raises(DownloadError, match="0000"):
        fetch("small-host", store, registry=registry, settings=QUICK)
    assert store.names() == []


def test_a_file_with_another_md5_is_had_from_the_next_mirror(server, store, tmp_path, caplog):
    bad = server.add("/a/host.fa.gz", HOST[:-1] + b"?")
    good = server.add("/b/host.fa.gz", HOST)
    registry = registry_of(tmp_path, host_preset(bad, good, md5=md5(HOST)))
    entry = fetch("small-host", store, registry=registry, settings=QUICK)
    assert (entry.path / "host.fa.gz").read_bytes() == HOST
    assert only_downloads(store) == []


def test_without_a_file_of_the_right_md5_every_address_is_told(server, store, tmp_path):
    bad = server.add("/a/host.fa.gz", HOST + b"?")
    gone = server.url("/b/host.fa.gz")
    registry = registry_of(tmp_path, host_preset(bad, gone, md5=md5(HOST)))
    with pytest.raises(DownloadError) as caught:
        fetch("small-host", store, registry=registry, settings=QUICK)
    assert f"{bad}: MD5 is {md5(HOST + b'?')}" in str(caught.value)
    assert gone in str(caught.value)


def taxonomy_preset(server, sketches, lineages):
    return {
        "name": "small-taxonomy",
        "kind": "taxonomy",
        "engine": "sylph",
        "files": [
            {"target": "taxonomy.syldb", "urls": [server.add("/x-dbv1.syldb", sketches)]},
            {
                "target": "lineages.tsv",
                "convert": "lineages",
                "urls": [server.add("/x_metadata.tsv.gz", lineages)],
            },
        ],
    }


def test_a_table_of_sylph_tax_becomes_the_lineages_of_the_sketches(
    server, store, tmp_path, sketches
):
    packed = gzip.compress(LINEAGES.encode())
    preset = taxonomy_preset(server, sketches, packed)
    entry = fetch("small-taxonomy", store, registry=registry_of(tmp_path, preset), settings=QUICK)
    text = (entry.path / "lineages.tsv").read_text().splitlines()
    assert text[0] == "genome\tlineage"
    assert [line.split("\t")[0] for line in text[1:]] == ["GCA_000007185.1", "GCF_000005845.2"]
    assert read_lineages(entry.path / "lineages.tsv")["GCF_000005845.2"][-1] == "Escherichia coli"
    manifest = read_manifest(entry.path)
    assert manifest.parameters == {"subsampling": 100, "k": 31}
    assert manifest.sources[1].sha256 == hashlib.sha256(packed).hexdigest()


def test_a_table_that_lacks_a_genome_of_the_sketches_is_refused(server, store, tmp_path, sketches):
    other = "".join(line for line in LINEAGES.splitlines(True) if GENOMES[0] not in line)
    preset = taxonomy_preset(server, sketches, other.encode())
    with pytest.raises(DatabaseError, match=r"lineages\.tsv: 1 of 2 genomes have no row"):
        fetch("small-taxonomy", store, registry=registry_of(tmp_path, preset), settings=QUICK)
    assert store.names() == []


def test_a_page_in_place_of_the_sketches_is_refused(server, store, tmp_path):
    preset = taxonomy_preset(server, b"<html>sign in</html>", LINEAGES.encode())
    with pytest.raises(DatabaseError, match=r"taxonomy\.syldb: not a sylph database"):
        fetch("small-taxonomy", store, registry=registry_of(tmp_path, preset), settings=QUICK)


def kraken2_preset(url, **more):
    return {
        "name": "small-k2",
        "kind": "taxonomy",
        "engine": "kraken2",
        "files": [{"unpack": True, "urls": [url], **more}],
    }


def kraken2_files():
    with tempfile.TemporaryDirectory() as place:
        folder = make_kraken2(Path(place) / "db")
        return {path.name: path.read_bytes() for path in folder.glob("*.k2d")}


KRAKEN2 = kraken2_files() | {
    "database150mers.kmer_distrib": b"table",
    "standard.md5": b"not kept",
}
HASH = KRAKEN2["hash.k2d"]


def test_a_hash_table_cut_off_at_its_source_is_refused_and_not_kept(server, store, tmp_path):
    cut = KRAKEN2 | {"hash.k2d": HASH[:-4]}
    registry = registry_of(tmp_path, kraken2_preset(server.add("/k2.tar.gz", tar_of(cut))))
    with pytest.raises(DatabaseError, match=r"^hash\.k2d: has 92 bytes, by its header"):
        fetch("small-k2", store, registry=registry, settings=QUICK)
    assert store.names() == []
    server.add("/k2.tar.gz", tar_of(KRAKEN2))
    entry = fetch("small-k2", store, registry=registry, settings=QUICK)
    assert (entry.path / "hash.k2d").read_bytes() == HASH


def test_an_archive_is_unpacked_and_its_md5_list_is_compared(server, store, tmp_path):
    sums = "".join(f"{md5(KRAKEN2[name])}  ./db/{name}\n" for name in ("hash.k2d", "opts.k2d"))
    preset = kraken2_preset(
        server.add("/k2.tar.gz", tar_of(KRAKEN2)), md5_list=server.add("/k2.md5", sums.encode())
    )
    entry = fetch("small-k2", store, registry=registry_of(tmp_path, preset), settings=QUICK)
    assert sorted(read_manifest(entry.path).files) == sorted(KRAKEN2.keys() - {"standard.md5"})
    assert (entry.path / "hash.k2d").read_bytes() == HASH


def test_a_file_of_an_archive_that_is_not_as_listed_is_refused(server, store, tmp_path):
    sums = f"{md5(b'another')}  hash.k2d\n".encode()
    preset = kraken2_preset(
        server.add("/k2.tar.gz", tar_of(KRAKEN2)), md5_list=server.add("/k2.md5", sums)
    )
    with pytest.raises(DownloadError, match="hash.k2d: MD5 is"):
        fetch("small-k2", store, registry=registry_of(tmp_path, preset), settings=QUICK)


def test_without_the_md5_list_the_archive_is_taken_and_a_warning_given(
    server, store, tmp_path, caplog
):
    preset = kraken2_preset(
        server.add("/k2.tar.gz", tar_of(KRAKEN2)), md5_list=server.url("/gone.md5")
    )
    fetch("small-k2", store, registry=registry_of(tmp_path, preset), settings=QUICK)
    assert "not compared" in caplog.text


def test_a_file_that_the_database_can_do_without_may_be_missing(server, store, tmp_path, caplog):
    names = ("hash.k2d", "opts.k2d", "taxo.k2d")
    files = [{"target": name, "urls": [server.add(f"/{name}", KRAKEN2[name])]} for name in names]
    gone = "database150mers.kmer_distrib"
    files.append({"target": gone, "urls": [server.url(f"/{gone}")], "optional": True})
    preset = {"name": "small-k2", "kind": "taxonomy", "engine": "kraken2", "files": files}
    entry = fetch("small-k2", store, registry=registry_of(tmp_path, preset), settings=QUICK)
    assert sorted(read_manifest(entry.path).files) == sorted(names)
    assert f"/{gone}" in caplog.text and "goes on without it" in caplog.text


def test_what_was_downloaded_before_a_failure_is_not_downloaded_again(server, store, tmp_path):
    incomplete = {name: KRAKEN2[name] for name in ("hash.k2d", "opts.k2d")}
    url = server.add("/k2.tar.gz", tar_of(incomplete))
    registry = registry_of(tmp_path, kraken2_preset(url))
    for _ in range(2):
        with pytest.raises(DatabaseError, match=r"no file for taxo\.k2d"):
            fetch("small-k2", store, registry=registry, settings=QUICK)
    assert len(server.requests) == 1


def test_a_download_kept_from_before_that_went_bad_is_replaced(server, store, tmp_path):
    url = server.add("/k2.tar.gz", tar_of({"hash.k2d": HASH}))
    registry = registry_of(tmp_path, kraken2_preset(url))
    with pytest.raises(DatabaseError, match="no file for"):
        fetch("small-k2", store, registry=registry, settings=QUICK)
    (kept,) = [path for path in store.downloads.iterdir() if len(path.name) == 64]
    kept.write_bytes(b"damaged")
    server.add("/k2.tar.gz", tar_of(KRAKEN2))
    entry = fetch("small-k2", store, registry=registry, settings=QUICK)
    assert (entry.path / "hash.k2d").read_bytes() == HASH


def test_a_download_that_breaks_off_is_continued(server, store, tmp_path):
    big = b">chr1\n" + b"ACGT" * 50_000
    url = server.add("/host.fa.gz", big, fault=truncate(120_000), times=1)
    fetch("small-host", store, registry=registry_of(tmp_path, host_preset(url)), settings=QUICK)
    assert [request.headers["Range"] for request in server.requests] == [None, "bytes=120000-"]


def test_what_does_not_fit_on_the_disk_is_refused_before_anything_is_asked(server, store, tmp_path):
    preset = {**host_preset(server.add("/host.fa.gz", HOST)), "download_gb": 1e9}
    with pytest.raises(DatabaseError, match=r"needs 1000000000\.0 GB .* --store"):
        fetch("small-host", store, registry=registry_of(tmp_path, preset), settings=QUICK)
    assert server.requests == []


TWICE = """
import sys
from pathlib import Path
from fermentome.databases.fetch import fetch
from fermentome.databases.registry import load_registry
from fermentome.databases.store import Store

entry = fetch("small-host", Store(sys.argv[1]), registry=load_registry(Path(sys.argv[2])))
print(entry.id)
"""


def test_two_fetches_at_once_do_one_download(server, store, tmp_path):
    body = b">chr1\n" + b"ACGT" * 75

    def slow(request):
        # Long enough for the second process to come while the first is at it.
        return Answer(200, body, {"ETag": '"x"'}, pace=0.05)

    registry = registry_of(tmp_path, host_preset(server.add("/host.fa.gz", slow)))
    command = [sys.executable, "-c", TWICE, store.root, registry.path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "NO_PROXY": "*"}
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0] == outputs[1] != ""
    assert len(server.requests) == 1


# --- the repository's own presets -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["demo-host", "demo-scfa", "demo-taxonomy"])
def test_the_demo_needs_no_network_and_gives_the_same_database_each_time(name, tmp_path):
    first = fetch(name, Store(tmp_path / "1"), mirror="http://nowhere.invalid")
    second = fetch(name, Store(tmp_path / "2"))
    assert first.id == second.id
    assert first.name == name
    assert all("/" not in source.url for source in read_manifest(first.path).sources)


# --- one genome per species -----------------------------------------------------------------------

LINEAGE = "d__Bacteria;p__A;c__B;o__C;f__D;g__E;s__E {}"
METADATA = "Genome\tLength\tSpecies_rep\tLineage\n" + "".join(
    f"{genome}\t9\t{species}\t{LINEAGE.format(species[-1])}\n"
    for genome, species in [
        ("MGYG000000101", "MGYG000000101"),
        ("MGYG000000102", "MGYG000000101"),
        ("MGYG000000203", "MGYG000000203"),
    ]
)


def catalogue_preset(server, count=2):
    return {
        "name": "small-catalogue",
        "kind": "taxonomy",
        "engine": "sylph",
        "recipe": {
            "name": "representatives",
            "metadata": [server.add("/genomes-all_metadata.tsv", METADATA.encode())],
            "genome": [server.url("/species/{group}/{accession}/genome/{accession}.fna")],
            "genome_column": "Genome",
            "representative_column": "Species_rep",
            "lineage_column": "Lineage",
            "count": count,
            "subsampling": 50,
        },
    }


def test_only_the_representatives_of_a_catalogue_are_fetched(server, store, tmp_path):
    places = {
        name: f"/species/{name[:-2]}/{name}/genome/{name}.fna"
        for name in ("MGYG000000101", "MGYG000000203")
    }
    for name, path in places.items():
        server.add(path, genome(name))
    registry = registry_of(tmp_path, catalogue_preset(server))
    entry = fetch("small-catalogue", store, registry=registry, settings=QUICK)
    assert list(read_lineages(entry.path / "lineages.tsv")) == list(places)
    asked = sorted(request.path for request in server.requests)
    assert asked == sorted(["/genomes-all_metadata.tsv", *places.values()])
    assert only_downloads(store) == []


def test_a_catalogue_that_was_broken_off_goes_on_with_the_missing_genomes(server, store, tmp_path):
    first = "/species/MGYG0000001/MGYG000000101/genome/MGYG000000101.fna"
    second = "/species/MGYG0000002/MGYG000000203/genome/MGYG000000203.fna"
    server.add(first, genome("a"))
    registry = registry_of(tmp_path, catalogue_preset(server))
    with pytest.raises(DownloadError, match="MGYG000000203"):
        fetch("small-catalogue", store, registry=registry, settings=QUICK)
    server.add(second, genome("b"))
    fetch("small-catalogue", store, registry=registry, settings=QUICK)
    assert [request.path for request in server.requests].count(first) == 1


def test_a_catalogue_of_another_size_than_expected_is_refused(server, store, tmp_path):
    registry = registry_of(tmp_path, catalogue_preset(server, count=4744))
    with pytest.raises(DatabaseError, match="names 2 representatives, 4744 were expected"):
        fetch("small-catalogue", store, registry=registry, settings=QUICK)


def test_a_catalogue_without_the_column_is_refused(tmp_path):
    table = tmp_path / "metadata.tsv"
    table.write_text("Genome\tLineage\nMGYG1\td__Bacteria\n")
    with pytest.raises(DatabaseError, match="has no column 'Species_rep'"):
        representatives(table, "Genome", "Species_rep", "Lineage")


def test_an_accession_that_would_lead_elsewhere_is_refused(tmp_path):
    table = tmp_path / "metadata.tsv"
    table.write_text("Genome\tSpecies_rep\tLineage\n../x\t../x\td__Bacteria\n")
    with pytest.raises(DatabaseError, match="is no accession"):
        representatives(table, "Genome", "Species_rep", "Lineage")


# --- proteins of UniProt --------------------------------------------------------------------------

COLUMNS = (
    "Entry\tReviewed\tProtein names\tOrganism\tOrganism (ID)\tTaxonomic lineage\tLength\tFragment"
    "\tEC number\tSequence"
)
TAXA = (
    "cellular organisms (no rank), Bacteria (domain), Bacillati (kingdom), Bacillota (phylum),"
    " Clostridia (class), Lachnospirales (order), Lachnospiraceae (family), Roseburia (genus)"
)


def proteins_of(query, count=3):
    """Entries as the API gives them: one invented protein with `count - 1` relatives."""
    for number in range(count):
        chance = random.Random(query)
        letters = [chance.choice("ACDEFGHIKLMNPQRSTVWY") for _ in range(350)]
        other = random.Random(f"{query} {number}")
        for _ in range(60 * number):
            letters[other.randrange(350)] = other.choice("ACDEFGHIKLMNPQRSTVWY")
        name = "".join(other.choices(string.ascii_uppercase, k=3))
        yield "\t".join(
            (
                *(f"A{other.randrange(10)}{name}{other.randrange(10)}{name}9", "reviewed"),
                *("A protein", f"Roseburia sp. X{number}", str(1000 + number), TAXA, "351", "", ""),
                "M" + "".join(letters),
            )
        )


def uniprot(request):
    query, _, reviewed = request.query["query"].partition(" AND (reviewed:")
    rows = list(proteins_of(query)) if reviewed.startswith("true") else []
    headers = {
        "X-UniProt-Release": "2026_03",
        "X-UniProt-Release-Date": "02-September-2026",
        "X-Total-Results": str(len(rows)),
    }
    return Answer(200, "\n".join([COLUMNS, *rows, ""]).encode(), headers)


@pytest.mark.skipif(shutil.which("diamond") is None, reason="needs DIAMOND")
def test_scfa_proteins_are_fetched_by_the_catalogue_and_built(server, store, tmp_path, monkeypatch):
    # Between requests to UniProt there is a pause.
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    server.add("/uniprotkb/search", uniprot)
    preset = {
        "name": "small-scfa",
        "kind": "scfa_proteins",
        "engine": "diamond",
        "recipe": {"name": "uniprot", "base_url": server.url("")},
    }
    entry = fetch("small-scfa", store, registry=registry_of(tmp_path, preset), settings=QUICK)
    manifest = read_manifest(entry.path)
    assert {source.release for source in manifest.sources} == {"2026_03"}
    assert entry.reference == "small-scfa@2026_03"
    families = {row["family"] for row in read_table(entry.path / "proteins.tsv", ["family"])}
    assert {"but", "buk", "mmdA"} <= families
    assert only_downloads(store) == []


def test_another_release_than_the_one_asked_for_is_refused(server, store, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    server.add("/uniprotkb/search", uniprot)
    preset = {
        "name": "small-scfa",
        "kind": "scfa_proteins",
        "engine": "diamond",
        "recipe": {"name": "uniprot", "base_url": server.url("")},
    }
    registry = registry_of(tmp_path, preset)
    with pytest.raises(DatabaseError, match=r"(?s)2026_03.*2025_01|2025_01.*2026_03"):
        fetch("small-scfa@2025_01", store, registry=registry, settings=QUICK)
    assert store.names() == []


# --- folders, archives, URLs ----------------------------------------------------------------------


@pytest.fixture
def official(tmp_path, sketches):
    folder = tmp_path / "downloads of mine"
    folder.mkdir()
    (folder / "gtdb-r226-c200-dbv1.syldb").write_bytes(sketches)
    (folder / "gtdb_r226_metadata.tsv.gz").write_bytes(gzip.compress(LINEAGES.encode()))
    (folder / "notes.txt").write_text("mine")
    return folder


def test_official_files_get_the_names_of_a_database(official, store):
    entry = fetch(str(official), store, name="mine", version="r226", licence="CC BY-SA 4.0")
    manifest = read_manifest(entry.path)
    assert (entry.reference, entry.kind, entry.engine) == ("mine@r226", "taxonomy", "sylph")
    assert sorted(manifest.files) == ["lineages.tsv", "taxonomy.syldb"]
    names = [source.url for source in manifest.sources]
    assert names == ["gtdb-r226-c200-dbv1.syldb", "gtdb_r226_metadata.tsv.gz"]
    assert str(official) not in (entry.path / "manifest.yaml").read_text()


def test_the_users_files_stay_as_they_are(official, store, sketches):
    before = {path.name: path.read_bytes() for path in official.iterdir()}
    entry = fetch(str(official), store, name="mine", version="1")
    assert {path.name: path.read_bytes() for path in official.iterdir()} == before
    (official / "gtdb-r226-c200-dbv1.syldb").write_bytes(b"changed afterwards")
    assert (entry.path / "taxonomy.syldb").read_bytes() == sketches


def test_a_folder_without_manifest_needs_a_name_and_a_version(official, store):
    with pytest.raises(DatabaseError, match="say --name and --version"):
        fetch(str(official), store)
    with pytest.raises(DatabaseError, match="names no database"):
        fetch(str(official), store, name="Mine!", version="1")


def test_a_folder_with_a_manifest_is_taken_as_it_is(official, store, tmp_path):
    made = fetch(str(official), store, name="mine", version="1")
    other = Store(tmp_path / "other")
    assert fetch(str(made.path), other).id == made.id


def test_a_name_for_what_has_one_is_refused(official, store, tmp_path):
    made = fetch(str(official), store, name="mine", version="1")
    with pytest.raises(DatabaseError, match="says that it is mine@1; leave out --name"):
        fetch(str(made.path), Store(tmp_path / "other"), name="other")


def test_an_exported_archive_is_taken_from_a_file_and_from_a_url(official, store, server, tmp_path):
    made = fetch(str(official), store, name="mine", version="1")
    archive = tmp_path / "mine.tar"
    pack(made.path.resolve(), archive, "mine")
    assert fetch(str(archive), Store(tmp_path / "2")).id == made.id
    url = server.add("/mine.tar", archive.read_bytes())
    third = Store(tmp_path / "3")
    assert fetch(url, third, settings=QUICK).id == made.id
    assert only_downloads(third) == []
    assert fetch(archive.as_uri(), Store(tmp_path / "4"), settings=QUICK).id == made.id


def test_the_address_of_a_folder_with_a_manifest_is_enough(official, store, server, tmp_path):
    made = fetch(str(official), store, name="mine", version="1")
    for path in made.path.iterdir():
        server.add(f"/databases/mine/{path.name}", path.read_bytes())
    for number, ending in enumerate(("/", "/manifest.yaml")):
        other = Store(tmp_path / str(number))
        entry = fetch(server.url(f"/databases/mine{ending}"), other, settings=QUICK)
        assert entry.id == made.id
        assert only_downloads(other) == []


def test_a_file_behind_a_url_that_is_not_the_manifests_is_refused(
    official, store, server, tmp_path, sketches
):
    made = fetch(str(official), store, name="mine", version="1")
    for path in made.path.iterdir():
        server.add(f"/mine/{path.name}", path.read_bytes())
    server.add("/mine/taxonomy.syldb", sketches[:-1] + b"?")
    with pytest.raises(DownloadError, match="taxonomy.syldb"):
        fetch(server.url("/mine/"), Store(tmp_path / "other"), settings=QUICK)


def test_a_single_genome_becomes_a_host_and_is_packed_alike_each_time(store, tmp_path):
    genome_file = tmp_path / "mouse.fna"
    genome_file.write_bytes(gzip.decompress(HOST))
    entry = fetch(str(genome_file), store, name="mouse", version="1", kind="host")
    os.utime(genome_file, (1, 1))
    again = fetch(str(genome_file), Store(tmp_path / "2"), name="mouse", version="1", kind="host")
    assert gzip.decompress((entry.path / "host.fa.gz").read_bytes()) == gzip.decompress(HOST)
    assert again.id == entry.id


def test_a_genome_behind_a_url_becomes_a_host(server, store):
    url = server.add("/genomes/mouse.fa.gz", HOST)
    entry = fetch(url, store, name="mouse", version="1", kind="host", settings=QUICK)
    assert (entry.path / "host.fa.gz").read_bytes() == HOST
    assert read_manifest(entry.path).sources[0].url == url


def test_a_url_that_was_fetched_under_that_name_is_not_downloaded_again(server, store):
    url = server.add("/genomes/mouse.fa.gz", HOST)
    for _ in range(2):
        fetch(url, store, name="mouse", version="1", kind="host", settings=QUICK)
    assert len(server.requests) == 1


def test_another_url_for_the_same_name_replaces_the_database_only_when_asked(server, store):
    other = gzip.compress(b">chr2\nACGT\n", mtime=0)
    own = {"name": "mouse", "version": "1", "kind": "host", "settings": QUICK}
    first = fetch(server.add("/a.fa.gz", HOST), store, **own)
    url = server.add("/b.fa.gz", other)
    with pytest.raises(DatabaseError, match=f"mouse@1: is stored already with id {first.id}"):
        fetch(url, store, **own)
    entry = fetch(url, store, replace=True, **own)
    assert (entry.path / "host.fa.gz").read_bytes() == other


def test_a_missing_name_is_said_before_a_file_is_downloaded(server, store):
    url = server.add("/genomes/mouse.fa.gz", HOST)
    with pytest.raises(DatabaseError, match="say --name and --version"):
        fetch(url, store, kind="host", settings=QUICK)
    assert server.requests == []


def test_an_archive_without_manifest_is_looked_through(server, store):
    url = server.add("/k2_mine.tar.gz", tar_of({f"k2/{name}": KRAKEN2[name] for name in KRAKEN2}))
    entry = fetch(url, store, name="mine", version="1", settings=QUICK)
    assert (entry.kind, entry.engine) == ("taxonomy", "kraken2")
    assert "standard.md5" not in read_manifest(entry.path).files


def test_what_is_no_archive_but_called_so_is_refused_by_its_name(server, store, tmp_path):
    (tmp_path / "mine.tar").write_text("no tar")
    with pytest.raises(DatabaseError, match=rf"^{tmp_path}/mine\.tar: is no archive.*'no tar'"):
        fetch(str(tmp_path / "mine.tar"), store, name="mine", version="1")
    url = server.add("/k2.tar.gz", b"<!DOCTYPE html><p>Sign in")
    with pytest.raises(DatabaseError, match=rf"^{url}: is no archive.* a web page"):
        fetch(url, store, name="mine", version="1", settings=QUICK)
    server.add("/k2.tar.gz", tar_of(KRAKEN2))
    assert fetch(url, store, name="mine", version="1", settings=QUICK).engine == "kraken2"


def test_an_archive_that_cannot_be_used_is_refused_by_its_name(store, tmp_path):
    cut = KRAKEN2 | {"hash.k2d": HASH[:-4]}
    for name, files in (("cut.tar", cut), ("other.tar", {"README": b"?"})):
        (tmp_path / name).write_bytes(tar_of(files, ""))
        with pytest.raises(DatabaseError) as caught:
            fetch(str(tmp_path / name), store, name="mine", version="1")
        assert name in str(caught.value) or "hash.k2d: has 92 bytes" in str(caught.value)
        assert str(store.root) not in str(caught.value)


def test_a_preset_that_is_stored_is_fetched_again_when_asked(server, store, tmp_path):
    url = server.add("/host.fa.gz", HOST)
    registry = registry_of(tmp_path, host_preset(url))
    first = fetch("small-host", store, registry=registry, settings=QUICK)
    other = gzip.compress(b">chr2\nACGT\n", mtime=0)
    server.add("/host.fa.gz", other)
    assert fetch("small-host", store, registry=registry, settings=QUICK) == first
    entry = fetch("small-host", store, registry=registry, settings=QUICK, replace=True)
    assert (entry.path / "host.fa.gz").read_bytes() == other


def test_what_is_nothing_at_all_is_answered_with_what_would_be_something(store, tmp_path):
    with pytest.raises(DatabaseError, match="no file or folder, no URL"):
        fetch(str(tmp_path / "nothing"), store)
    with pytest.raises(DatabaseError, match="no database of this name is known"):
        fetch("gtdb-of-mine", store)


def test_a_database_of_ones_own_that_the_store_holds_is_as_good_as_fetched(official, store):
    made = fetch(str(official), store, name="mine", version="1")
    assert fetch("mine", store) == made
    assert fetch("mine@1", store) == made


def test_a_preset_with_a_name_of_the_users_is_refused(store):
    with pytest.raises(DatabaseError, match="leave out --name and --version"):
        fetch("demo-host", store, name="mine", version="1")


# --- what files are -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "kind", "engine"),
    [
        (["x.syldb", "lineages.tsv"], "taxonomy", "sylph"),
        (["x.syldb", "bac120_taxonomy_r226.tsv.gz"], "taxonomy", "sylph"),
        (["hash.k2d", "opts.k2d", "taxo.k2d"], "taxonomy", "kraken2"),
        (["proteins.faa.gz", "proteins.tsv"], "scfa_proteins", "diamond"),
        (["host.fa.gz"], "host", "minimap2"),
        (["human.mmi"], "host", "minimap2"),
    ],
)
def test_the_kind_is_told_by_the_files(names, kind, engine):
    layout = recognise(names, "folder")
    assert (layout.kind, layout.engine, layout.left) == (kind, engine, ())


def test_files_that_do_not_tell_their_kind_need_it_said():
    with pytest.raises(DatabaseError, match="do not tell what it is; say --kind"):
        recognise(["genome.fa.gz"], "folder")
    assert recognise(["genome.fa.gz"], "folder", kind="host").files == {
        "host.fa.gz": "genome.fa.gz"
    }


def test_two_files_that_could_be_the_same_are_both_named():
    with pytest.raises(DatabaseError, match=r"a\.syldb and b\.syldb could all be taxonomy\.syldb"):
        recognise(["a.syldb", "b.syldb", "lineages.tsv"], "folder")


def test_a_fixed_name_goes_before_a_pattern():
    files = recognise(["taxonomy.syldb", "old.syldb", "lineages.tsv"], "folder").files
    assert files["taxonomy.syldb"] == "taxonomy.syldb"


def test_a_sketch_without_lineages_is_refused_with_the_names_that_would_do():
    with pytest.raises(DatabaseError, match=r"no file for lineages\.tsv .*_metadata\.tsv\.gz"):
        recognise(["x.syldb"], "folder")


def test_a_kind_without_that_engine_is_refused():
    with pytest.raises(DatabaseError, match="do not go together"):
        recognise(["x.syldb"], "folder", kind="host", engine="sylph")


def test_a_table_that_is_no_lineage_table_is_refused(tmp_path):
    (tmp_path / "in.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(DatabaseError, match=r"in\.tsv"):
        convert_lineages(tmp_path / "in.tsv", tmp_path / "out.tsv")


# --- mirrors of institutes ------------------------------------------------------------------------


def test_files_that_a_query_tells_apart_are_two_on_a_mirror():
    urls = ["https://a.org/get?file=one.tar", "https://a.org/get?file=two.tar"]
    assert mirrored(urls, "https://mirror.example.com") == [
        "https://mirror.example.com/a.org/get%3Ffile%3Done.tar",
        "https://mirror.example.com/a.org/get%3Ffile%3Dtwo.tar",
    ]


def test_a_mirror_stands_for_every_host():
    urls = ["https://me:secret@a.org/x/y.tar.gz?download=1", "http://b.org/z/y.tar.gz"]
    assert mirrored(urls, "https://mirror.example.com/db/") == [
        "https://mirror.example.com/db/a.org/x/y.tar.gz",
        "https://mirror.example.com/db/y.tar.gz",
        "https://mirror.example.com/db/b.org/z/y.tar.gz",
    ]
    assert mirrored(urls, "") == urls


@pytest.mark.parametrize("place", ["example.org/data/host.fa.gz", "host.fa.gz"])
def test_a_folder_as_mirror_is_used_instead_of_the_hosts(place, store, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    (mirror / place).parent.mkdir(parents=True)
    (mirror / place).write_bytes(HOST)
    registry = registry_of(tmp_path, host_preset("https://example.org/data/host.fa.gz"))
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    entry = fetch("small-host", store, registry=registry, settings=QUICK)
    assert (entry.path / "host.fa.gz").read_bytes() == HOST
    assert read_manifest(entry.path).sources[0].url == "https://example.org/data/host.fa.gz"


def test_what_the_mirror_lacks_is_not_sought_elsewhere(server, store, tmp_path):
    url = server.add("/host.fa.gz", HOST)
    registry = registry_of(tmp_path, host_preset(url))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DownloadError, match="empty"):
        fetch(
            "small-host",
            store,
            registry=registry,
            mirror=(tmp_path / "empty").as_uri(),
            settings=QUICK,
        )
    assert server.requests == []
