"""Taxonomic databases for sylph: of genomes, and of ready sketches with their tables."""

import argparse
import gzip
import random
import shutil
from pathlib import Path

import pysylph
import pytest
from small_taxdump import COLI, write_taxdump

from fermentome import command_build_taxonomy, command_genomes
from fermentome.databases import taxonomic
from fermentome.databases.manifest import check_files, read_manifest
from fermentome.databases.store import Store
from fermentome.databases.taxonomic import (
    join_phenotypes,
    lineages_of,
    read_sketches,
)
from fermentome.errors import DatabaseError, LineageError
from fermentome.genomes import PHENOTYPE_COLUMNS
from fermentome.lineage import format_lineage, parse_lineage, read_lineages
from fermentome.organisms import read_phenotypes
from fermentome.taxonomy import build_database, list_genomes

EXAMPLE = Path(__file__).parents[2] / "example"
LINEAGES = EXAMPLE / "data/lineages.tsv"
REFERENCE = EXAMPLE / "data/reference"
COLI_TEXT = format_lineage(COLI)
ROSEBURIA = "d__Bacteria;p__Bacillota;g__Roseburia;s__Roseburia hominis"


def build(folder, *words, name=None, version=None, store=None):
    parser = argparse.ArgumentParser()
    command_build_taxonomy.add_arguments(parser)
    arguments = parser.parse_args([str(word) for word in words])
    arguments.name, arguments.version, arguments.store = name, version, store
    folder.mkdir(parents=True)
    command_build_taxonomy.build(arguments, folder)
    return folder


@pytest.fixture
def genomes(tmp_path):
    """Two genomes of 20 kb without much sense, named as NCBI names them."""
    folder = tmp_path / "genomes"
    folder.mkdir()
    for number, name in enumerate(("GCF_000000001.1_ASM1v1_genomic.fna", "my_mag.fna.gz")):
        chance = random.Random(number)
        text = f">c\n{''.join(chance.choices('ACGT', k=20_000))}\n".encode()
        (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (folder / "README.txt").write_text("no genome")
    return folder


@pytest.fixture
def gtdb(tmp_path):
    path = tmp_path / "taxonomy.tsv"
    path.write_text(
        f"RS_GCF_000000001.1\t{COLI_TEXT}\nmy_mag\t{ROSEBURIA}\nGB_GCA_000000009.1\t{COLI_TEXT}\n"
    )
    return path


# --- of genomes -----------------------------------------------------------------------------------


def test_database_holds_exactly_the_genomes_with_their_lineages(tmp_path, genomes, gtdb):
    folder = build(tmp_path / "out", "--genomes", genomes, "--lineages", gtdb)
    names = ("GCF_000000001.1_ASM1v1", "my_mag")
    assert read_sketches(folder / "taxonomy.syldb").genomes == names
    assert read_lineages(folder / "lineages.tsv") == {
        names[0]: COLI,
        names[1]: parse_lineage(ROSEBURIA),
    }


def test_manifest_says_what_the_database_is_and_was_made_from(tmp_path, genomes, gtdb):
    words = ("--genomes", genomes, "--lineages", gtdb, "--subsampling", 20, "--licence", "CC0")
    folder = build(tmp_path / "out", *words, name="mine", version="2")
    manifest = read_manifest(folder)
    assert (manifest.reference, manifest.kind, manifest.engine) == ("mine@2", "taxonomy", "sylph")
    assert manifest.licence == "CC0"
    assert manifest.parameters == {"genomes": 2, "subsampling": 20, "kmer": 31}
    assert manifest.tools.keys() == {"pysylph"}
    assert [source.url for source in manifest.sources] == ["sources.tsv", "taxonomy.tsv"]
    assert check_files(folder, manifest) == []
    assert str(tmp_path) not in (folder / "manifest.yaml").read_text()


def test_every_genome_file_has_its_digest(tmp_path, genomes, gtdb):
    folder = build(tmp_path / "out", "--genomes", genomes, "--lineages", gtdb)
    lines = (folder / "sources.tsv").read_text().splitlines()
    assert lines[0] == "genome\tfile\tsize\tsha256"
    for line, path in zip(lines[1:], sorted(genomes.glob("*.fna*")), strict=True):
        _, file, size, digest = line.split("\t")
        assert (file, int(size)) == (path.name, path.stat().st_size)
        assert digest == taxonomic.sha256_of(path)


def test_ncbi_taxids_are_turned_into_lineages(tmp_path, genomes):
    table = tmp_path / "taxids.tsv"
    table.write_text("genome\ttaxid\nGCF_000000001.1\t562\nmy_mag\t83333\n")
    words = ("--genomes", genomes, "--lineages", table)
    folder = build(tmp_path / "out", *words, "--taxdump", write_taxdump(tmp_path / "dump"))
    assert set(read_lineages(folder / "lineages.tsv").values()) == {COLI}


def test_genome_without_lineage_stops_the_build_and_is_named(tmp_path, genomes, gtdb):
    gtdb.write_text(f"RS_GCF_000000001.1\t{COLI_TEXT}\n")
    with pytest.raises(LineageError, match=r"taxonomy\.tsv: 1 of 2 genomes have no row.*'my_mag'"):
        build(tmp_path / "out", "--genomes", genomes, "--lineages", gtdb)


def test_folder_without_genomes_is_named_with_its_option(tmp_path, gtdb):
    (tmp_path / "none").mkdir()
    with pytest.raises(DatabaseError, match=f"^--genomes {tmp_path}/none: no genome found"):
        build(tmp_path / "out", "--genomes", tmp_path / "none", "--lineages", gtdb)


def test_sketches_that_find_no_room_are_an_error_of_the_disk(genomes):
    found = list_genomes(genomes.iterdir())
    lineages = dict.fromkeys(found, COLI)
    with pytest.raises(OSError, match="No space left") as caught:
        build_database(found, lineages, 1, Path("/dev/full"))
    assert caught.value.filename == "/dev/full"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--subsampling", "0"), "--subsampling 0: expected 1 or more"),
        (("--threads", "0"), "--threads 0: expected 1 or more"),
        (("--taxdump", "nowhere"), "--taxdump nowhere: no such folder"),
        (("--reference", "x", "--phenotypes", "y"), "give one"),
    ],
)
def test_mistakes_on_the_command_line_are_explained(tmp_path, genomes, gtdb, words, message):
    with pytest.raises(DatabaseError, match=message):
        build(tmp_path / "out", "--genomes", genomes, "--lineages", gtdb, *words)


# --- phenotypes -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Database of the example's genomes with phenotypes, and the folder of its batches."""
    folder = tmp_path_factory.mktemp("whole")
    words = ("--genomes", EXAMPLE / "data/genomes", "--lineages", LINEAGES)
    built = build(
        folder / "out", *words, "--reference", REFERENCE, "--work", folder / "work", "--threads", 2
    )
    return built, folder / "work"


def test_phenotypes_are_those_of_genome_mode(tmp_path, whole):
    parser = argparse.ArgumentParser()
    command_genomes.add_arguments(parser)
    words = ("--reference", REFERENCE, "--lineages", LINEAGES, "--out", tmp_path / "mode")
    arguments = [str(word) for word in (*words, EXAMPLE / "data/genomes")]
    assert command_genomes.run(parser.parse_args(arguments)) == 0
    made = (whole[0] / "phenotypes.tsv").read_bytes()
    assert made == (tmp_path / "mode/phenotypes.tsv").read_bytes()


def test_phenotypes_serve_the_organism_evidence(whole):
    species = {lineage[-1] for lineage in read_lineages(whole[0] / "lineages.tsv").values()}
    assert read_phenotypes(whole[0] / "phenotypes.tsv").keys() == species


def test_manifest_names_reference_catalogue_and_tools_of_the_phenotypes(whole):
    manifest = read_manifest(whole[0])
    assert manifest.parameters["genomes_with_phenotype"] == 8
    assert set(manifest.parameters["catalogue"]) == {
        "families.yaml", "pathways.yaml", "single_copy.yaml"
    }  # fmt: skip
    assert manifest.tools.keys() == {"pysylph", "pyrodigal", "diamond"}
    assert manifest.sources[-1].url == read_manifest(REFERENCE).reference


def test_database_has_the_same_bytes_with_one_thread_and_without_a_work_folder(tmp_path, whole):
    words = ("--genomes", EXAMPLE / "data/genomes", "--lineages", LINEAGES)
    again = build(tmp_path / "out", *words, "--reference", REFERENCE, "--threads", 1)
    for path in whole[0].iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_finished_batches_are_not_made_again(tmp_path, whole, monkeypatch, capsys):
    def run(*_):
        raise AssertionError("a finished batch was made again")

    monkeypatch.setattr(taxonomic.GenomeSearcher, "run", run)
    words = ("--genomes", EXAMPLE / "data/genomes", "--lineages", LINEAGES)
    words = (*words, "--reference", REFERENCE, "--work", whole[1])
    again = build(tmp_path / "out", *words)
    assert (again / "phenotypes.tsv").read_bytes() == (whole[0] / "phenotypes.tsv").read_bytes()
    assert "1 of them finished before" in capsys.readouterr().err


def test_interrupted_build_goes_on_behind_the_finished_batches(tmp_path, whole, monkeypatch):
    monkeypatch.setattr(taxonomic, "BATCH", 3)
    words = ("--genomes", EXAMPLE / "data/genomes", "--lineages", LINEAGES)
    words = (*words, "--reference", REFERENCE, "--work", tmp_path / "work")
    run = taxonomic.GenomeSearcher.run
    made = []

    def fail_second(self, genomes, folder):
        made.append([genome.name for genome in genomes])
        if len(made) == 2:
            folder.mkdir()
            (folder / "phenotypes.tsv").write_text("cut o")
            raise KeyboardInterrupt
        return run(self, genomes, folder)

    monkeypatch.setattr(taxonomic.GenomeSearcher, "run", fail_second)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "one", *words)
    again = build(tmp_path / "two", *words)
    assert made[0] not in made[1:]
    assert made[1] == made[2]
    assert (again / "phenotypes.tsv").read_bytes() == (whole[0] / "phenotypes.tsv").read_bytes()


def test_batch_is_made_again_if_a_genome_or_a_lineage_changed(tmp_path, whole):
    table = tmp_path / "lineages.tsv"
    table.write_text(LINEAGES.read_text().replace("coli", "colonia"))
    shutil.copytree(whole[1], tmp_path / "work")
    words = ("--genomes", EXAMPLE / "data/genomes", "--lineages", table)
    words = (*words, "--reference", REFERENCE, "--work", tmp_path / "work")
    folder = build(tmp_path / "out", *words)
    assert "Escherichia colonia" in (folder / "phenotypes.tsv").read_text()


def test_reference_of_the_store_is_found_by_its_name(tmp_path, genomes, gtdb):
    store = Store(tmp_path / "store")
    name = store.add(REFERENCE).name
    words = ("--genomes", genomes, "--lineages", gtdb, "--reference", name)
    folder = build(tmp_path / "out", *words, store=tmp_path / "store")
    assert (folder / "phenotypes.tsv").read_text().count("\n") > 2


# --- of ready sketches ----------------------------------------------------------------------------


@pytest.fixture
def sketches(tmp_path):
    """Sketch file whose genomes are named by paths, as those of the official databases."""
    path = tmp_path / "ready.syldb"
    sketcher = pysylph.Sketcher(c=200, k=31)
    made = []
    for number, name in enumerate(("db/GCF_000000001.1_genomic.fna.gz", "db/my_mag.fa")):
        text = "".join(random.Random(number).choices("ACGT", k=20_000))
        made.append(sketcher.sketch_genome(name, [text]))
    pysylph.Database(made).dump(str(path))
    return path


def phenotypes(path, *genomes):
    """Table of phenotypes with two rows for each (genome, lineage)."""
    lines = ["\t".join(PHENOTYPE_COLUMNS)]
    for genome, lineage in genomes:
        for pathway in ("A", "B"):
            lines.append(f"{genome}\t{lineage}\t{pathway}\tacetate\tpresent\t1\t1\t1")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_ready_sketches_get_their_tables(tmp_path, sketches, gtdb, capsys):
    one = phenotypes(tmp_path / "b.tsv", ("my_mag", ROSEBURIA), ("other", ROSEBURIA))
    folder = build(
        tmp_path / "out", "--database", sketches, "--lineages", gtdb, "--phenotypes", one
    )
    manifest = read_manifest(folder)
    assert manifest.parameters == {
        "genomes": 2, "subsampling": 200, "kmer": 31, "genomes_with_phenotype": 1
    }  # fmt: skip
    assert (folder / "taxonomy.syldb").read_bytes() == sketches.read_bytes()
    assert list(read_lineages(folder / "lineages.tsv")) == ["GCF_000000001.1", "my_mag"]
    said = capsys.readouterr().err
    assert "1 of 2 genomes have phenotypes" in said
    assert "1 other genomes of the phenotypes are not in the database" in said
    assert "other" not in (folder / "phenotypes.tsv").read_text()


def test_ready_sketches_need_a_lineage_for_each_genome(tmp_path, sketches, gtdb):
    gtdb.write_text(f"RS_GCF_000000001.1\t{COLI_TEXT}\n")
    with pytest.raises(LineageError, match="1 of 2 genomes have no row, the first is 'my_mag'"):
        build(tmp_path / "out", "--database", sketches, "--lineages", gtdb)


def test_phenotypes_of_ready_sketches_cannot_be_called(tmp_path, sketches, gtdb):
    words = ("--database", sketches, "--lineages", gtdb, "--reference", REFERENCE)
    with pytest.raises(DatabaseError, match=r"a \.syldb holds none"):
        build(tmp_path / "out", *words)


def test_phenotypes_of_no_genome_of_the_database_stop_the_build(tmp_path, sketches, gtdb):
    part = phenotypes(tmp_path / "a.tsv", ("other", COLI_TEXT))
    words = ("--database", sketches, "--lineages", gtdb, "--phenotypes", part)
    with pytest.raises(DatabaseError, match="no genome of the database is in the phenotypes"):
        build(tmp_path / "out", *words)


def test_file_that_is_no_sketch_is_named(tmp_path):
    (tmp_path / "x.syldb").write_bytes(b"nothing of the kind")
    with pytest.raises(DatabaseError, match=r"x\.syldb: not a sylph database"):
        read_sketches(tmp_path / "x.syldb")


def test_sketch_file_that_is_cut_off_is_named(sketches):
    sketches.write_bytes(sketches.read_bytes()[:-50])
    with pytest.raises(DatabaseError, match=r"ready\.syldb: not a sylph database"):
        read_sketches(sketches)


def test_sketch_file_without_genomes_is_named(tmp_path):
    pysylph.Database([]).dump(str(tmp_path / "x.syldb"))
    with pytest.raises(DatabaseError, match="the database holds no genome"):
        read_sketches(tmp_path / "x.syldb")


def test_genome_that_stands_twice_in_a_sketch_file_is_named(tmp_path):
    sketch = pysylph.Sketcher(c=50, k=31).sketch_genome("a/x.fna", ["ACGT" * 500])
    pysylph.Database([sketch, sketch]).dump(str(tmp_path / "x.syldb"))
    with pytest.raises(DatabaseError, match="genome 'x' stands twice"):
        read_sketches(tmp_path / "x.syldb")


def test_parts_are_joined_in_the_order_of_genomes(tmp_path):
    lineages = {"a": COLI, "b": COLI, "c": COLI}
    one = phenotypes(tmp_path / "1.tsv", ("c", COLI_TEXT), ("a", COLI_TEXT))
    two = phenotypes(tmp_path / "2.tsv", ("b", COLI_TEXT))
    counts = join_phenotypes([one, two], tmp_path / "all.tsv", lineages)
    rows = (tmp_path / "all.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[0] for row in rows] == ["a", "a", "b", "b", "c", "c"]
    assert (counts.genomes, counts.left_out) == (3, 0)


def test_genome_in_two_parts_is_named(tmp_path):
    parts = [phenotypes(tmp_path / f"{n}.tsv", ("a", COLI_TEXT)) for n in (1, 2)]
    with pytest.raises(DatabaseError, match=r"2\.tsv: genome 'a' stands in .*1\.tsv too"):
        join_phenotypes(parts, tmp_path / "all.tsv", {"a": COLI})


@pytest.mark.parametrize("lineage", ["", "d__Bacteria;g__Escherichia"])
def test_phenotypes_with_another_lineage_than_the_database_are_refused(tmp_path, lineage):
    part = phenotypes(tmp_path / "1.tsv", ("a", lineage))
    with pytest.raises(DatabaseError, match="line 2: the lineage of genome 'a' is"):
        join_phenotypes([part], tmp_path / "all.tsv", {"a": COLI})


def test_part_that_is_cut_off_is_named(tmp_path):
    part = phenotypes(tmp_path / "1.tsv", ("a", COLI_TEXT))
    part.write_text(part.read_text()[:-3])
    with pytest.raises(DatabaseError, match="line 3: .* the table is cut off or damaged"):
        join_phenotypes([part], tmp_path / "all.tsv", {"a": COLI})


def test_table_of_another_kind_is_no_part(tmp_path):
    (tmp_path / "1.tsv").write_text("genome\tstatus\n")
    with pytest.raises(DatabaseError, match=r"1\.tsv, header: "):
        join_phenotypes([tmp_path / "1.tsv"], tmp_path / "all.tsv", {"a": COLI})


def test_accession_serves_where_the_name_has_no_row(tmp_path):
    lineages = {"GCF_000000001.1": COLI}
    found = lineages_of(["GCF_000000001.1_ASM1v1"], lineages, tmp_path / "t.tsv")
    assert found == {"GCF_000000001.1_ASM1v1": COLI}
