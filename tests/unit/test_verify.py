"""Verify: each thing that goes wrong is found, told from the others, and mended as it says."""

import argparse
import gzip
import os
import shlex
import shutil
import struct
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
from small_databases import (
    LINEAGE,
    MAKERS,
    describe_again,
    kraken2_options,
    make_host,
    make_kraken2,
    make_scfa,
    make_sylph,
    minimap2_index,
)

from fermentome.databases import verify as module
from fermentome.databases.manifest import MANIFEST, Source, read_manifest
from fermentome.databases.store import Store
from fermentome.databases.verify import (
    ContentError,
    check_content,
    remarks,
    verify_entry,
    verify_folder,
)
from fermentome.errors import DatabaseError


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store in its default place."""
    monkeypatch.setenv("FERMENTOME_STORE", str(tmp_path / "store"))
    return Store()


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Let programs be found that say to have a version, and no others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(**versions):
        for tool, version in versions.items():
            (folder / tool).write_text(f"#!/bin/sh\necho '{version}'\n")
            (folder / tool).chmod(0o755)

    return install


def found(folder, **options):
    """(file, what) of each problem."""
    problems = verify_folder(folder, **options)
    return [(problem.path.name, problem.what) for problem in problems]


def only(folder, **options):
    [problem] = found(folder, **options)
    return problem


def writable(folder):
    for path in folder.iterdir():
        path.chmod(0o644)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", MAKERS)
def test_sound_database_has_no_problem_and_no_remark(tmp_path, engine):
    folder = MAKERS[engine](tmp_path / "db")
    assert found(folder) == []
    assert remarks(folder) == []


@pytest.mark.parametrize("engine", MAKERS)
def test_one_flipped_bit_is_found_in_every_file(tmp_path, engine):
    folder = MAKERS[engine](tmp_path / "db")
    for name in read_manifest(folder).files:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        file, what = only(folder)
        assert (file, what[:10]) == (name, "sha256 is ")
        (folder / name).write_bytes(whole)


@pytest.mark.parametrize("engine", MAKERS)
def test_every_missing_file_is_found(tmp_path, engine):
    folder = MAKERS[engine](tmp_path / "db")
    for name in read_manifest(folder).files:
        (folder / name).rename(tmp_path / "away")
        assert only(folder) == (name, "is missing")
        (tmp_path / "away").rename(folder / name)


def test_surplus_file_is_found_and_hides_nothing_else(tmp_path):
    folder = make_sylph(tmp_path / "db")
    (folder / "lineages.tsv").write_text("genome\tlineage\none\td__Bacteria\n")
    describe_again(folder)
    (folder / "surplus").touch()
    assert [name for name, _ in found(folder)] == ["surplus", "lineages.tsv"]


def test_edited_manifest_is_found(tmp_path):
    folder = make_host(tmp_path / "db")
    path = folder / MANIFEST
    path.write_text(path.read_text().replace("memory_mb: 100", "memory_mb: 10"))
    file, what = only(folder)
    assert file == MANIFEST
    assert "edited or damaged" in what


def test_what_is_no_database_is_said(tmp_path):
    assert only(tmp_path / "no") == ("no", "is no folder; expected that of a database")
    (tmp_path / "host.fa").write_text(">1\nA\n")
    assert only(tmp_path / "host.fa")[1].startswith("is no folder")
    (tmp_path / MANIFEST).write_text("damaged")
    assert only(tmp_path)[0] == MANIFEST


def test_folder_of_ones_own_is_made_a_database_by_the_command(tmp_path):
    folder = make_kraken2(tmp_path / "my db")
    (folder / MANIFEST).unlink()
    [problem] = verify_folder(folder)
    assert problem.what == "holds no manifest.yaml"
    assert shlex.split(problem.mend) == [
        *("fermentome", "db", "fetch", str(folder), "--name", "NAME", "--version", "VERSION"),
        *("--kind", "taxonomy", "--engine", "kraken2"),
    ]


# --- kind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["taxonomy", "scfa_proteins"])
def test_database_of_another_kind_is_found(tmp_path, kind):
    folder = make_host(tmp_path / "db")
    file, what = only(folder, kind=kind)
    assert (file, what) == (
        "db",
        f"small@1 is a database of kind 'host', '{kind}' is wanted here",
    )


def test_database_for_another_engine_is_found(tmp_path):
    folder = make_kraken2(tmp_path / "db")
    assert found(folder, kind="taxonomy", engine="kraken2") == []
    assert "for kraken2, one for sylph" in only(folder, kind="taxonomy", engine="sylph")[1]


def test_command_for_another_kind_brings_one_of_that_kind(tmp_path):
    from fermentome.databases.registry import load_registry

    [problem] = verify_folder(make_sylph(tmp_path / "db"), kind="host")
    start, _, name = problem.mend.rpartition(" ")
    assert start == "fermentome db fetch"
    preset = load_registry().find(name)
    assert preset.kind == "host"
    assert not preset.name.startswith("demo")


# --- versions of tools ----------------------------------------------------------------------------


def test_index_of_another_minor_version_is_a_remark(tmp_path, tools):
    tools(minimap2="2.24-r1122")
    folder = make_host(tmp_path / "db", tools={"minimap2": "2.28-r1209"})
    assert found(folder) == []
    assert remarks(folder) == [
        "host.mmi: made by minimap2 2.28, here is 2.24, which reads it",
    ]


def test_index_of_another_major_version_is_a_problem(tmp_path, tools):
    tools(minimap2="3.0-r1500", kraken2="Kraken version 3.1\nCopyright")
    host = make_host(tmp_path / "host", tools={"minimap2": "2.28-r1209"})
    assert only(host) == (
        "host.mmi",
        "was made by minimap2 2.28, here is 3.0, which does not read indexes of version 2",
    )
    kraken2 = make_kraken2(tmp_path / "kraken2", tools={"kraken2": "2.1.2"})
    assert only(kraken2)[0] == "hash.k2d"
    assert remarks(host) == remarks(kraken2) == []


def test_version_counts_only_for_an_index_that_is_there(tmp_path, tools):
    tools(minimap2="3.0")
    folder = make_host(tmp_path / "db")
    (folder / "host.mmi").unlink()
    describe_again(folder, tools={"minimap2": "2.28", "samtools": "1.0"})
    assert found(folder) == []


def test_tool_that_is_not_here_is_not_compared(tmp_path, tools):
    folder = make_host(tmp_path / "db", tools={"minimap2": "1.0"})
    assert found(folder) == []
    assert remarks(folder) == []


def test_sylph_database_of_another_pysylph_that_is_read_is_a_remark(tmp_path):
    folder = make_sylph(tmp_path / "db", tools={"pysylph": "0.0.9"})
    assert found(folder) == []
    [remark] = remarks(folder)
    assert remark.startswith("taxonomy.syldb: made by pysylph 0.0.9, here is ")


def test_sylph_database_that_cannot_be_read_is_a_problem(tmp_path):
    folder = make_sylph(tmp_path / "db")
    sketches = folder / "taxonomy.syldb"
    # The length of the first name, as another format would have something else there.
    sketches.write_bytes(b"\xff" * 8 + sketches.read_bytes()[8:])
    describe_again(folder, tools={"sylph": "0.1.0"})
    file, what = only(folder)
    assert file == "taxonomy.syldb"
    assert what.startswith("cannot be read by pysylph")
    assert what.endswith("it was made by sylph 0.1.0")


def test_minimap2_index_of_another_format_is_a_problem(tmp_path, tools):
    tools(minimap2="2.24-r1122")
    folder = make_host(tmp_path / "db")
    (folder / "host.mmi").write_bytes(b"MMI\1" + bytes(100))
    describe_again(folder, tools={"minimap2": "2.0-rc1"})
    assert only(folder) == (
        "host.mmi",
        "is no index that minimap2 2.24 reads; made by minimap2 2.0",
    )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (kraken2_options(database_version=1), "is of format 1"),
        (kraken2_options(is_dna=False), "proteins"),
        (kraken2_options() + bytes(8), "72 bytes, 48 to 64"),
        (kraken2_options()[:40], "40 bytes, 48 to 64"),
    ],
)
def test_kraken2_options_of_another_format_are_a_problem(tmp_path, options, match):
    folder = make_kraken2(tmp_path / "db")
    (folder / "opts.k2d").write_bytes(options)
    describe_again(folder)
    file, what = only(folder)
    assert file == "opts.k2d"
    assert match in what


def test_old_kraken2_options_are_read(tmp_path):
    # Before 2.0.8 they ended with the least hash value, and kraken2 takes 0 for the rest.
    folder = make_kraken2(tmp_path / "db")
    (folder / "opts.k2d").write_bytes(kraken2_options()[:48])
    describe_again(folder)
    assert found(folder) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hash.k2d", struct.pack("<4Q", 17, 0, 22, 10) + bytes(64)),
        ("hash.k2d", struct.pack("<4Q", 16, 0, 30, 34) + bytes(64)),
        ("hash.k2d", bytes(10)),
        ("taxo.k2d", b"K1TAXDAT" + bytes(24)),
        ("taxo.k2d", b"K2TAXDAT" + struct.pack("<3Q", 9, 9, 9)),
    ],
)
def test_kraken2_file_cut_off_or_of_another_format_is_a_problem(tmp_path, name, content):
    folder = make_kraken2(tmp_path / "db")
    (folder / name).write_bytes(content)
    describe_again(folder)
    assert only(folder)[0] == name


# --- files that do not fit each other -------------------------------------------------------------


def test_lineage_table_that_lacks_a_genome_is_found(tmp_path):
    folder = make_sylph(tmp_path / "db", genomes=("one", "two", "three"))
    (folder / "lineages.tsv").write_text(f"genome\tlineage\ntwo\t{LINEAGE.format('two')}\n")
    describe_again(folder)
    assert only(folder) == (
        "lineages.tsv",
        "lacks 2 of the 3 genomes of taxonomy.syldb, the first is 'one': table and database are of"
        " different releases",
    )


def test_lineage_table_may_have_more_than_the_database(tmp_path):
    folder = make_sylph(tmp_path / "db")
    with (folder / "lineages.tsv").open("a") as handle:
        handle.write(f"three\t{LINEAGE.format('three')}\n")
    describe_again(folder)
    assert found(folder) == []


def test_lineage_table_that_cannot_be_read_is_found(tmp_path):
    folder = make_sylph(tmp_path / "db")
    (folder / "lineages.tsv").write_text("genome,lineage\none,d__Bacteria\n")
    describe_again(folder)
    assert only(folder)[0] == "lineages.tsv"


def test_sylph_database_without_genomes_is_found(tmp_path):
    folder = make_sylph(tmp_path / "db")
    whole = (folder / "taxonomy.syldb").read_bytes()
    (folder / "taxonomy.syldb").write_bytes(bytes(8))
    describe_again(folder)
    assert only(folder)[0] == "taxonomy.syldb"
    assert len(whole) > 8


def test_sylph_database_of_other_k_mers_is_found(tmp_path):
    import pysylph

    folder = make_sylph(tmp_path / "db", genomes=("one",))
    sketch = pysylph.Sketcher(c=50, k=21).sketch_genome("one", ["ACGTTGCATTGACC" * 500])
    pysylph.Database([sketch]).dump(str(folder / "taxonomy.syldb"))
    describe_again(folder)
    assert "k-mers of 21" in only(folder)[1]


def test_proteins_that_differ_between_table_and_fasta_are_found(tmp_path):
    folder = make_scfa(tmp_path / "db")
    path = folder / "proteins.faa.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    path.write_bytes(gzip.compress(text.replace(">P00002", ">P99999").encode()))
    describe_again(folder)
    assert only(folder) == (
        "proteins.faa.gz",
        "id 'P99999' is not in proteins.tsv; both files hold the same ids",
    )
    path.write_bytes(gzip.compress(text[: text.rindex(">")].encode()))
    describe_again(folder)
    assert "1 ids of proteins.tsv are missing" in only(folder)[1]


def test_damaged_protein_table_is_found(tmp_path):
    folder = make_scfa(tmp_path / "db")
    with (folder / "proteins.tsv").open("a") as handle:
        handle.write("P9\tbut\n")
    describe_again(folder)
    file, what = only(folder)
    assert (file, what) == ("proteins.tsv", "line 6: 2 columns, expected 6")


def test_host_index_of_another_genome_is_found(tmp_path):
    folder = make_host(tmp_path / "db")
    (folder / "host.mmi").write_bytes(minimap2_index(sequences=25))
    describe_again(folder)
    assert only(folder) == (
        "host.mmi",
        "is of 25 sequences, host.fa.gz has 1: they are of different genomes",
    )


def test_host_that_is_no_genome_is_found(tmp_path):
    folder = make_host(tmp_path / "db")
    (folder / "host.fa.gz").write_bytes(gzip.compress(b">a\nMKLVWPQEEL\n"))
    describe_again(folder)
    assert only(folder)[0] == "host.fa.gz"


def test_host_index_without_sequences_is_found(tmp_path):
    folder = make_host(tmp_path / "db")
    (folder / "host.mmi").write_bytes(minimap2_index(flag=2))
    describe_again(folder)
    assert only(folder) == ("host.mmi", "holds no sequences, so that no read can be aligned to it")


def test_host_index_for_long_reads_is_a_remark(tmp_path):
    folder = make_host(tmp_path / "db")
    (folder / "host.mmi").write_bytes(minimap2_index(k=19, w=10, flag=1))
    describe_again(folder)
    assert found(folder) == []
    [remark] = remarks(folder)
    assert "made with -k 19 -w 10 -H, short reads have -k 21 -w 11" in remark


@pytest.mark.skipif(shutil.which("minimap2") is None, reason="minimap2 is not on PATH")
def test_index_that_minimap2_makes_as_the_workflow_does_is_sound(tmp_path):
    folder = make_host(tmp_path / "db")
    (folder / "host.mmi").unlink()
    subprocess.run(
        ["minimap2", "-x", "sr", "-d", folder / "host.mmi", folder / "host.fa.gz"],
        check=True,
        capture_output=True,
    )
    describe_again(folder)
    assert found(folder) == []
    assert remarks(folder) == []


# --- the store ------------------------------------------------------------------------------------


def test_sound_entry_has_no_problem(store, tmp_path):
    store.add(make_host(tmp_path / "db"))
    assert verify_entry(store, "small") == []
    assert [problem.path for problem in verify_entry(store, "small", kind="taxonomy")] == [
        store.path_of("small")
    ]


def test_name_that_leads_nowhere_is_found(store, tmp_path):
    entry = store.add(make_host(tmp_path / "db"))
    shutil.rmtree(store.object_of(entry.id))
    [problem] = verify_entry(store, "small")
    assert problem.path == entry.path
    assert problem.what.startswith(f"leads to no folder (../../objects/{entry.id[:2]}/")


def test_name_that_leads_to_another_database_is_found(store, tmp_path):
    store.add(make_host(tmp_path / "one"))
    other = store.add(make_host(tmp_path / "two", version="2"))
    link = store.folder_of("small@1")
    link.unlink()
    link.symlink_to(os.readlink(other.path))
    [problem] = verify_entry(store, "small@1")
    assert problem.what == "leads to small@2: the link was edited"


def test_manifest_written_anew_in_the_store_is_found(store, tmp_path):
    entry = store.add(make_host(tmp_path / "db"))
    describe_again(entry.path, memory_mb=1)
    [problem] = verify_entry(store, "small")
    assert "its manifest was written anew" in problem.what


def test_unreadable_manifest_in_the_store_is_found(store, tmp_path):
    entry = store.add(make_host(tmp_path / "db"))
    writable(entry.path)
    (entry.path / MANIFEST).write_bytes(b"\xff\xfe")
    [problem] = verify_entry(store, "small")
    assert problem.path.name == MANIFEST


def test_unknown_name_is_an_error(store):
    with pytest.raises(DatabaseError, match="no such database"):
        verify_entry(store, "small")


# --- commands -------------------------------------------------------------------------------------


def mend_of(store, tmp_path, **values):
    folder = make_host(tmp_path / "db", **values)
    manifest = read_manifest(folder)
    entry = store.add(folder)
    writable(entry.path)
    (entry.path / "host.mmi").write_bytes(b"")
    [problem] = verify_entry(store, manifest.reference)
    return problem.mend


def test_preset_is_fetched_again(store, tmp_path):
    assert mend_of(store, tmp_path, name="demo-host") == "fermentome db fetch demo-host@1"


def test_store_in_another_place_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FERMENTOME_STORE", str(tmp_path / "default"))
    mend = mend_of(Store(tmp_path / "my store"), tmp_path, name="demo-host")
    assert mend == f"fermentome db fetch demo-host@1 --store '{tmp_path}/my store'"


def test_database_from_one_address_is_fetched_from_there(store, tmp_path):
    url = "https://example.org/a b/host.tar?x=1&y=2"
    assert shlex.split(mend_of(store, tmp_path, sources=[Source(url)])) == [
        *("fermentome", "db", "fetch", url, "--name", "small", "--version", "1"),
        *("--kind", "host", "--engine", "minimap2"),
    ]


def test_database_that_was_built_comes_from_its_export(store, tmp_path):
    assert mend_of(store, tmp_path) == (
        "fermentome db import small-1.tar"
        "  # its export, or: fermentome db build host --name small --version 1 --fasta FILE"
        " --replace"
    )


def test_what_is_as_it_was_made_is_fetched_again_and_replaced(store, tmp_path, tools):
    tools(minimap2="3.0")
    store.add(make_host(tmp_path / "db", name="demo-host", tools={"minimap2": "2.24"}))
    [problem] = verify_entry(store, "demo-host")
    assert problem.mend == "fermentome db fetch demo-host@1 --replace"


def test_host_index_is_made_anew_from_the_sequences_beside_it(store, tmp_path, tools):
    tools(minimap2="3.0")
    entry = store.add(make_host(tmp_path / "db", tools={"minimap2": "2.24"}))
    [problem] = verify_entry(store, "small")
    fasta = entry.path / "host.fa.gz"
    build = "fermentome db build host --name small --version 1"
    assert problem.mend == f"{build} --fasta {fasta} --replace"


def test_lineage_table_is_asked_for_and_the_sketches_are_kept(store, tmp_path):
    folder = make_sylph(tmp_path / "db")
    (folder / "lineages.tsv").write_text(f"genome\tlineage\ntwo\t{LINEAGE.format('two')}\n")
    describe_again(folder)
    [problem] = verify_folder(folder)
    assert problem.mend == (
        "fermentome db build taxonomy --name small --version 1"
        f" --database {folder}/taxonomy.syldb --lineages TABLE"
    )


def test_index_without_sources_beside_it_is_built_from_its_sources(store, tmp_path, tools):
    tools(kraken2="Kraken version 3.0")
    store.add(make_kraken2(tmp_path / "db"))
    [problem] = verify_entry(store, "small")
    assert problem.mend == (
        "fermentome db build kraken2 --name small --version 1 --genomes DIR --lineages TSV"
        " --replace  # from its sources"
    )


@pytest.mark.parametrize("engine", MAKERS)
def test_build_commands_have_the_options_that_the_builder_requires(engine):
    parser = argparse.ArgumentParser()
    builder = import_module(f"fermentome.command_build_{module.BUILDER_OF[engine]}")
    builder.add_arguments(parser)
    parser.parse_args(module.WANTED_BY[engine].split())


def test_content_that_cannot_be_used_is_refused_by_file(tmp_path):
    folder = make_kraken2(tmp_path / "db")
    check_content(folder, read_manifest(folder))
    whole = (folder / "hash.k2d").read_bytes()
    (folder / "hash.k2d").write_bytes(whole[:-4])
    with pytest.raises(ContentError, match=r"^hash\.k2d: has 92 bytes, by its header"):
        check_content(folder, describe_again(folder))


def test_folder_that_is_not_there_is_no_export(tmp_path):
    [problem] = verify_folder(tmp_path / "nothing")
    assert problem.mend.startswith("fermentome db list")


def test_missing_manifest_in_the_store_is_mended_by_one_command(store, tmp_path):
    entry = store.add(make_host(tmp_path / "db"))
    (entry.path / MANIFEST).unlink()
    [problem] = verify_entry(store, "small@1")
    assert problem.what == f"holds no {MANIFEST}"
    assert problem.mend == "fermentome db import small-1.tar"


def test_program_that_fails_has_no_version(tools, tmp_path):
    tools(minimap2="x")
    Path(tmp_path / "bin" / "minimap2").write_text("#!/bin/sh\nexit 1\n")
    assert module.installed_version("minimap2") == ""
    assert module.installed_version("kraken2") == ""
