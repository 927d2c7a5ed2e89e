"""The builder of SCFA references, on families made up here with everything wrong that happens."""

import csv
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from generated_proteins import drifted, random_protein, write_records

from fermentome.catalogue import load_catalogue
from fermentome.cli import main
from fermentome.databases.families import BACKGROUND, Families
from fermentome.databases.membership import family_for
from fermentome.databases.scfa import REASONS
from fermentome.defaults import catalogue_files
from fermentome.reference import SearchHit, read_reference

pytestmark = pytest.mark.skipif(shutil.which("diamond") is None, reason="no diamond on PATH")

FIRMICUTES = "d__Bacteria;p__Bacillota;c__Clostridia;o__Lachnospirales;f__Lachnospiraceae"
ROSEBURIA, BLAUTIA = f"{FIRMICUTES};g__Roseburia", f"{FIRMICUTES};g__Blautia"
DECOY = "decoy_fadA_pcaF"
S12 = "COG0048"

THL = random_protein(393, "thl")
FAD = drifted(THL, 0.55, "fad")  # what is taken for a thiolase
CRT = random_protein(260, "crt")
RPSL = random_protein(124, "rpsL")


def family(ancestor: str, name: str, count: int) -> list[tuple[str, str]]:
    return [(f"{name}|{n}", drifted(ancestor, 0.8, f"{name}{n}")) for n in range(count)]


THIOLASES = family(THL, "thl", 6)
PLANTED = [
    ("thl|wrong", drifted(FAD, 0.8, "wrong")),
    ("thl|short", THIOLASES[0][1][:120]),
    ("thl|long", THIOLASES[1][1] + random_protein(400, "fusion")),
    ("thl|same", THIOLASES[2][1]),
    ("thl|near", drifted(THIOLASES[3][1], 0.98, "near")),
    ("thl|strange", random_protein(390, "strange")),
]
CROTONASES = [(f"crt|{n:02}", drifted(CRT, 0.93, f"crt{n}")) for n in range(20)]
CROTONASES += [("crt|far", drifted(CRT, 0.6, "far"))]


def uniref(accession: str, taxon: str) -> str:
    return f"{accession} Acetyl-CoA acetyltransferase n=2 Tax={taxon} TaxID=8 RepID=Q1_X"


def write_world(folder: Path, shuffled: str = "") -> list[str]:
    """Write the sources; the order of records depends on the seed."""

    def write(name: str, records: Sequence[tuple[str, str]]) -> None:
        records = list(records)
        if shuffled:
            random.Random(shuffled + name).shuffle(records)
        write_records(folder / name, records)

    write("screens/thl.faa", THIOLASES + PLANTED)
    write("screens/fad.faa", family(FAD, DECOY, 6))
    write("screens/crt.faa", CROTONASES)
    # The same protein of two genera, and one more of the screens.
    write("named/2.3.1.9.fasta", [
        (uniref("UniRef90_A", "Roseburia hominis"), THIOLASES[4][1]),
        (uniref("UniRef90_B", "Blautia obeum"), THIOLASES[4][1]),
    ])  # fmt: skip
    (folder / "organisms.tsv").write_text(
        f"organism\tlineage\nRoseburia\t{ROSEBURIA}\nBlautia\t{BLAUTIA}\n"
    )
    for number, genome in enumerate(("one", "two", "three")):
        write(f"genomes/{genome}.faa", [
            (f"{genome}_1 thiolase [X]", drifted(THL, 0.7, genome)),
            (f"{genome}_2 30S ribosomal protein S12 [X]", drifted(RPSL, 0.8, genome)),
            (f"{genome}_3 hypothetical protein [X]",
             THIOLASES[number][1][:150] + random_protein(300, genome)),
            (f"{genome}_4 hypothetical protein [X]", random_protein(200, f"{genome}4")),
            # What a contig's edge left of a thiolase.
            (f"{genome}_5 hypothetical protein [X]", THIOLASES[number][1][:200]),
            # A name that a labelled protein has too.
            ("thl|5", random_protein(393, f"{genome}5")),
        ])  # fmt: skip
    (folder / "lineages.tsv").write_text(
        "genome\tlineage\n"
        + "".join(f"{g}\t{ROSEBURIA};s__Roseburia {g}\n" for g in ("one", "two", "three"))
    )
    screens, named = str(folder / "screens"), str(folder / "named")
    proteins = [named, screens] if shuffled else [screens, named]
    return [
        "db", "build", "scfa", "--proteins", *proteins, "--genomes", str(folder / "genomes"),
        "--lineages", str(folder / "lineages.tsv"), "--organisms", str(folder / "organisms.tsv"),
        "--max-per-family", "12", "--name", "made-up", "--version", "1",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return folder, write_world(folder)


@pytest.fixture(scope="module")
def built(world):
    folder, command = world
    assert main([*command, "--threads", "1", "--out", str(folder / "db")]) == 0
    return folder / "db"


@pytest.fixture(scope="module")
def report(built):
    with (built / "families.tsv").open() as handle:
        return {row["family"]: row for row in csv.DictReader(handle, delimiter="\t")}


@pytest.fixture(scope="module")
def members(built):
    return list(read_reference(built).proteins.values())


def in_family(members, name):
    return {row.accession: row for row in members if row.family == name}


# --- labels that are wrong ------------------------------------------------------------------------


def test_mislabelled_protein_leaves_its_family_for_the_decoy_that_it_is(members, report):
    assert "thl|wrong" not in in_family(members, "thl")
    assert "thl|wrong" in in_family(members, DECOY)
    assert (report["thl"]["mislabelled"], report["thl"]["mislabelled_look_like"]) == (
        "1", f"{DECOY}:1",
    )  # fmt: skip
    assert report[DECOY]["joined"] == "1"


def test_fragment_fusion_and_stranger_fall_each_for_its_reason(members, report):
    thiolases = in_family(members, "thl")
    assert not {"thl|short", "thl|long", "thl|strange"} & set(thiolases)
    found = {reason: report["thl"][reason] for reason in ("fragment", "too_long", "orphan")}
    assert found == {"fragment": "1", "too_long": "1", "orphan": "1"}


def test_right_labels_stay(members):
    assert {f"{DECOY}|{n}" for n in range(6)} <= set(in_family(members, DECOY))
    thiolases = in_family(members, "thl")
    # Number 2 has an exact copy, 3 a near one, 4 copies that are placed: one of each stays.
    assert {"thl|0", "thl|1", "thl|2", "thl|5"} <= set(thiolases)
    assert len({"thl|3", "thl|near"} & set(thiolases)) == 1


# --- copies and lineages --------------------------------------------------------------------------


def test_copies_without_lineage_fall_and_those_of_other_genera_stay(members, report):
    thiolases = in_family(members, "thl")
    assert "thl|4" not in thiolases
    lineages = {name: row.lineage for name, row in thiolases.items() if "UniRef" in name}
    assert lineages == {"UniRef90_A": ROSEBURIA, "UniRef90_B": BLAUTIA}
    assert (report["thl"]["duplicate"], report["thl"]["near_duplicate"]) == ("2", "1")


def test_members_with_and_without_lineage_are_counted(members, report):
    for name, row in report.items():
        own = in_family(members, name)
        placed = sum(bool(member.lineage) for member in own.values())
        assert (int(row["with_lineage"]), int(row["without_lineage"])) == (
            placed, len(own) - placed,
        )  # fmt: skip


# --- genomes --------------------------------------------------------------------------------------


def test_genomes_give_members_with_lineage_single_copies_and_background(members, report):
    thiolases = in_family(members, "thl")
    assert thiolases["one_1"].lineage == f"{ROSEBURIA};s__Roseburia one"
    assert set(in_family(members, S12)) == {"one_2", "two_2", "three_2"}
    assert set(in_family(members, BACKGROUND)) == {f"{g}|{g}_3" for g in ("one", "two", "three")}
    assert (report["thl"]["from_genomes"], report[S12]["role"]) == ("3", "single_copy")
    assert not any(row.accession.endswith("_4") for row in members)


def test_piece_of_a_member_is_no_decoy(members):
    """Reads of the whole gene would tie with it, and a tie goes to the decoy."""
    assert not any(row.accession.endswith("_5") for row in members)


@pytest.mark.parametrize(("target", "decoy"), [(400, 390), (390, 400), (300, 400)])
def test_between_a_target_and_its_decoy_the_decoy_has_the_benefit_of_the_doubt(target, decoy):
    families = Families.of(load_catalogue(catalogue_files()))
    hits = {
        "thl": SearchHit("q", "a", 60.0, 100.0, 100.0, target),
        DECOY: SearchHit("q", "b", 60.0, 100.0, 100.0, decoy),
    }
    assert family_for(hits, families, {}) == DECOY


def test_clear_target_is_the_target():
    families = Families.of(load_catalogue(catalogue_files()))
    hits = {
        "thl": SearchHit("q", "a", 60.0, 100.0, 100.0, 500),
        DECOY: SearchHit("q", "b", 60.0, 100.0, 100.0, 400),
    }
    assert family_for(hits, families, {}) == "thl"


def test_genome_protein_with_the_name_of_a_member_is_not_that_member(members):
    assert [row.source for row in members if row.accession == "thl|5"] == ["proteins"]


# --- size and account -----------------------------------------------------------------------------


def test_capped_family_keeps_its_outlier(members, report):
    crotonases = in_family(members, "crt")
    assert len(crotonases) == 12
    assert "crt|far" in crotonases
    assert int(report["crt"]["capped"]) > 0


def test_families_without_enough_members_are_marked(report):
    assert (report["bcd"]["members"], report["bcd"]["remark"]) == ("0", "empty")
    assert report["thl"]["remark"] == ""


def test_account_of_every_family_balances(report):
    for row in report.values():
        came = int(row["labelled"]) + int(row["joined"])
        assert came - sum(int(row[reason]) for reason in REASONS) == int(row["members"])


def test_manifest_names_sources_tool_and_parameters(built):
    manifest = read_reference(built).manifest
    assert manifest.reference == "made-up@1"
    urls = {source.url for source in manifest.sources}
    assert {"named/2.3.1.9.fasta", "screens/thl.faa", "genomes/one.faa", "lineages.tsv",
            "organisms.tsv"} <= urls  # fmt: skip
    assert all(len(source.sha256) == 64 for source in manifest.sources)
    assert set(manifest.tools) == {"diamond"}
    assert manifest.parameters["max_per_family"] == 12
    assert set(manifest.files) == {"families.tsv", "proteins.faa.gz", "proteins.tsv"}


# --- the same again -------------------------------------------------------------------------------


def test_threads_change_no_byte(world, built):
    folder, command = world
    assert main([*command, "--threads", "3", "--out", str(folder / "threads")]) == 0
    for name in ("proteins.faa.gz", "proteins.tsv", "families.tsv", "manifest.yaml"):
        assert (folder / "threads" / name).read_bytes() == (built / name).read_bytes(), name


def test_order_of_files_and_records_changes_no_protein(built, tmp_path):
    command = write_world(tmp_path, shuffled="other")
    assert main([*command, "--threads", "1", "--out", str(tmp_path / "db")]) == 0
    for name in ("proteins.faa.gz", "proteins.tsv", "families.tsv"):
        assert (tmp_path / "db" / name).read_bytes() == (built / name).read_bytes(), name


# --- the command line -----------------------------------------------------------------------------


def test_how_each_file_was_read_and_what_is_missing_is_said(world, tmp_path, capsys):
    folder, _ = world
    command = ["db", "build", "scfa", "--proteins", str(folder / "screens"), "--name", "x",
               "--version", "1", "--out", str(tmp_path / "db")]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "screens/thl.faa: read as family, 12 records, 12 labelled" in said
    assert "target families without a member: " in said
    assert "no single-copy family has a member" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to build from"),
        (["--lineages", "x.tsv"], "--lineages says more of --genomes"),
        (["--proteins", "absent.faa"], "absent.faa: no such file"),
        (["--proteins", "x.faa", "--alias", "cro=nobody"], "--alias 'cro=nobody': expected LABEL="),
    ],
)
def test_mistakes_on_the_command_line_are_told(tmp_path, capsys, options, message):
    out = tmp_path / "db"
    command = ["db", "build", "scfa", *options, "--name", "x", "--version", "1", "--out", str(out)]
    assert main(command) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_alias_gives_a_label_its_family(tmp_path):
    path = write_records(tmp_path / "x.faa", [(f"cro|{n}", s) for n, s in family(CRT, "crt", 4)])
    command = ["db", "build", "scfa", "--proteins", str(path), "--alias", "cro=crt"]
    assert main([*command, "--name", "x", "--version", "1", "--out", str(tmp_path / "db")]) == 0
    assert read_reference(tmp_path / "db").families == {"crt"}


def test_identity_out_of_range_is_refused(world, tmp_path, capsys):
    _, command = world
    assert main([*command, "--dereplicate", "20", "--out", str(tmp_path / "db")]) == 1
    assert "dereplicate is 20, expected an identity of 50 to 100" in capsys.readouterr().err


def test_reasons_are_given_where_all_proteins_fall(tmp_path, capsys):
    write_records(tmp_path / "thl.faa", [("thl|1", "MKLV")])
    command = ["db", "build", "scfa", "--proteins", str(tmp_path / "thl.faa"), "--name", "x",
               "--version", "1", "--store", str(tmp_path / "store")]  # fmt: skip
    assert main(command) == 1
    err = capsys.readouterr().err.splitlines()[-1]
    assert "no protein is left of 1 with a label of the catalogue; they fell as 1 fragment" in err
