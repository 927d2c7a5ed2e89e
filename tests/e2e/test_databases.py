"""A run that names its databases: fetched in one job, used by name, verified, recorded."""

import pytest
from snakemake_runs import plan, snakemake, write_project

from fermentome.tables import read_table


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with names and an empty store, its first plan, and the same after fetching."""
    folder = tmp_path_factory.mktemp("named")
    write_project(
        folder,
        {
            "databases": {"store": "my store"},
            "host": {"reference": "demo-host@1"},
            "taxonomy": {"database": "demo-taxonomy@1"},
            "function": {"reference": "demo-scfa@1"},
        },
    )
    before = snakemake(folder, "--dry-run", check=False)
    snakemake(folder, "fetch_databases")
    snakemake(folder, "record_databases", "verify_databases")
    return folder, before


def test_before_the_fetch_each_missing_database_is_named_with_the_remedy(project):
    text = project[1].stdout + project[1].stderr
    assert project[1].returncode != 0
    for name in ("demo-host@1", "demo-taxonomy@1", "demo-scfa@1"):
        assert f"{name} is not in the store" in text
    assert "snakemake --cores 1 fetch_databases" in text


def test_afterwards_the_run_uses_the_files_of_the_store(project):
    folder, _ = project
    planned = plan(folder)
    store = folder / "my store/names"
    assert f"{store}/demo-taxonomy/1/taxonomy.syldb" in planned.text
    assert f"{store}/demo-taxonomy/1/lineages.tsv" in planned.text
    assert f"{store}/demo-scfa/1/proteins.tsv" in planned.text
    assert f"{store}/demo-host/1/host.fa.gz" in planned.text
    assert "is not in the store" not in planned.text
    assert planned.rules.isdisjoint({"fetch_databases", "sketch_genomes"})


def test_a_run_records_what_it_used(project):
    folder, _ = project
    fetched = read_table(folder / "results/databases/fetched.tsv")
    used = read_table(folder / "results/databases/used.tsv")
    assert [row["key"] for row in used] == [
        "host.reference",
        "taxonomy.database",
        "function.reference",
    ]
    assert sorted(row["id"] for row in used) == sorted(row["id"] for row in fetched)
    verified = read_table(folder / "results/databases/verified.tsv")
    assert {row["result"] for row in verified} == {"ok"}


def test_a_database_that_was_removed_is_fetched_again(project):
    folder, _ = project
    # The first run after a fetch finds everything there.
    snakemake(folder, "fetch_databases")
    assert "Nothing to be done" in plan(folder, "fetch_databases").text
    link = folder / "my store/names/demo-host/1"
    target = link.readlink()
    link.unlink()
    try:
        assert plan(folder, "fetch_databases").rules == {"fetch_databases"}
    finally:
        link.symlink_to(target)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("demo-taxonomy@1", "is a database of kind taxonomy, host is wanted there"),
        ("no-such@1", "no database of this name is known"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_fetched(tmp_path, name, message):
    write_project(
        tmp_path,
        {
            "databases": {"store": "store"},
            "host": {"reference": name},
            "function": {"reference": "demo-scfa@1"},
            "taxonomy": {},
        },
    )
    done = snakemake(tmp_path, "fetch_databases", check=False)
    assert done.returncode != 0
    log = (tmp_path / "logs/fetch_databases.log").read_text()
    assert message in log
    assert not (tmp_path / "store").exists()


def test_verification_looks_again_at_a_file_that_changed(project):
    folder, _ = project
    proteins = folder / "my store/names/demo-scfa/1/proteins.tsv"
    whole = proteins.read_bytes()
    proteins.chmod(0o644)
    proteins.write_bytes(whole.replace(b"d__Bacteria", b"d__Bacterio", 1))
    try:
        done = snakemake(folder, "verify_databases", check=False)
        assert done.returncode != 0
        assert "demo-scfa@1" in (folder / "logs/verify_databases.log").read_text()
    finally:
        proteins.write_bytes(whole)
