"""Sources of an SCFA reference: each file is read in one way, and what came of it is said."""

import gzip
import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from generated_proteins import random_protein, write_records

from fermentome.catalogue import load_catalogue
from fermentome.databases.families import Families
from fermentome.databases.labels import Labels, read_labels, read_organisms
from fermentome.databases.sources import Sources, SourceSpec, gather, read_sources
from fermentome.defaults import catalogue_files
from fermentome.errors import DatabaseError

LINEAGE = "d__Bacteria;p__Bacillota;c__Clostridia;o__Lachnospirales;f__Lachnospiraceae;g__Roseburia"
LABELS = "source\tkey\tpattern\ttaxon\tlength_aa\tfamily\ttrust\n"
A, B, C = (random_protein(90, seed) for seed in "abc")


@pytest.fixture(scope="module")
def families():
    return Families.of(load_catalogue(catalogue_files()))


@pytest.fixture
def read(families):
    def gathered(*specs: SourceSpec, **fields: object):
        return gather(Sources(specs, **fields), families)

    return gathered


def labelled(found):
    return {protein.accession: protein.family for protein in found.labelled}


def auto(*paths: Path, **fields: object) -> SourceSpec:
    return SourceSpec("proteins", "auto", paths, **fields)


def rules(tmp_path: Path, *rows: str) -> Labels:
    path = tmp_path / "labels.tsv"
    path.write_text(LABELS + "".join(f"{row}\n" for row in rows))
    return read_labels(path, frozenset({"thl", "bcd", "ldhL"}))


# --- forms ----------------------------------------------------------------------------------------


def test_headers_with_a_family_are_labels_and_unknown_words_are_left_to_the_search(tmp_path, read):
    path = write_records(tmp_path / "x.faa", [("thl|1", A), ("cro|2", B), ("bcd|3 name", C)])
    found = read(auto(path))
    assert labelled(found) == {"thl|1": "thl", "bcd|3": "bcd"}
    assert [candidate.accession for candidate in found.candidates] == ["cro|2"]
    (reading,) = found.readings
    assert reading.form == "family"
    assert "labels unknown to the catalogue: 1 cro" in reading.line()


def test_aliases_of_a_source_translate_its_labels_or_leave_them_out(tmp_path, read):
    path = write_records(tmp_path / "x.faa", [("cro|1", A), ("thl|2", B)])
    found = read(SourceSpec("s", "family", (path,), aliases={"cro": "crt", "thl": "-"}))
    assert labelled(found) == {"cro|1": "crt"}
    assert "1 labelled thl (not to be used)" in found.readings[0].line()


def test_file_named_by_ec_number_gives_the_family_of_that_number(tmp_path, read):
    organisms = tmp_path / "organisms.tsv"
    organisms.write_text(f"organism\tlineage\nRoseburia\t{LINEAGE}\n")
    header = "UniRef90_P1 Acetyl-CoA acetyltransferase n=2 Tax=Roseburia TaxID=8 RepID=THL_ROSHO"
    fragment = "UniRef90_P2 Acetyl-CoA acetyltransferase (Fragment) n=2 Tax=X TaxID=8 RepID=T_X"
    path = write_records(tmp_path / "2.3.1.9.fasta", [(header, A), (fragment, B)])
    found = read(auto(path), organisms=read_organisms(organisms))
    (protein,) = found.labelled
    assert (protein.accession, protein.family) == ("UniRef90_P1", "thl")
    assert (protein.lineage, protein.source) == (LINEAGE, "proteins:2.3.1.9")
    assert not protein.trusted
    assert "left out: 1 called fragments" in found.readings[0].line()


def test_of_several_families_of_an_ec_number_the_name_chooses_or_the_search_may(tmp_path, read):
    path = write_records(
        tmp_path / "1.2.7.1.fasta",
        [("u1 Pyruvate synthase subunit PorB", A), ("u2 Pyruvate synthase", B)],
    )
    found = read(auto(path))
    assert labelled(found) == {"u1": "porB"}
    (candidate,) = found.candidates
    assert candidate.families == {"pfor_fused", "porA", "porB"}


def test_ec_numbers_in_headers_are_used_where_no_other_sign_is(tmp_path, read):
    path = write_records(tmp_path / "x.faa", [("7 thiolase (EC 2.3.1.9) [Roseburia sp.]", A),
                                              ("8 hypothetical protein", B)])  # fmt: skip
    found = read(auto(path))
    assert labelled(found) == {"7": "thl"}
    assert found.readings[0].form == "ec in headers"
    assert [candidate.accession for candidate in found.candidates] == ["8"]


def test_file_that_shows_nothing_is_left_out_and_said_so(tmp_path, read):
    write_records(tmp_path / "in/a.faa", [("x y", A)])
    write_records(tmp_path / "in/b.faa", [("thl|1", B)])
    found = read(auto(tmp_path / "in"))
    assert labelled(found) == {"thl|1": "thl"}
    assert "in/a.faa: read as nothing known" in found.readings[0].line()
    assert [source.url for source in found.files] == ["in/b.faa"]


def test_records_that_are_no_proteins_are_left_out_and_counted(tmp_path, read):
    records = [("thl|1", A), ("thl|2", ""), ("thl|3", "MK-LV"), ("thl|4", "ACGT" * 20)]
    found = read(auto(write_records(tmp_path / "x.faa", records)))
    assert labelled(found) == {"thl|1": "thl"}
    said = found.readings[0].line()
    assert "1 of nucleotides, 1 with other signs than residues, 1 without residues" in said


def test_uniprot_identifiers_are_not_mistaken_for_labels(tmp_path, read):
    header = "sp|P12345|THL_X Acetyl-CoA acetyltransferase OS=Roseburia hominis OX=1 PE=1 SV=1"
    path = write_records(tmp_path / "2.3.1.9.fasta", [(header, A)])
    assert labelled(read(auto(path))) == {"P12345": "thl"}


def test_every_accession_of_a_form_of_rules_needs_one_and_outweighs_other_labels(tmp_path, read):
    packed = tmp_path / "models.whl"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in/p.faa", f">m.g\n{A}*\n>m.h\n{B}\n")
    other = write_records(tmp_path / "x.faa", [("thl|1", A), ("thl|2", C)])
    model = SourceSpec("bigg", "accession", (packed,), member="in/p.faa", prefix="BiGG:",
                       rules="bigg")  # fmt: skip
    found = read(auto(other), model, labels=rules(tmp_path, "bigg\tm.g\t\t\t\tldhL\tcurated"))
    assert labelled(found) == {"BiGG:m.g": "ldhL", "thl|2": "thl"}
    assert {p.sequence for p in found.labelled if p.trusted} == {A}


def test_another_table_may_say_the_family(tmp_path, read):
    table = tmp_path / "accessions.tsv"
    table.write_text("id\tfamily\tfile\nIMG:1\tthl\tvital.faa\nIMG:2\tbcd\tother.faa\n")
    path = write_records(tmp_path / "x.faa", [("1 thiolase [Roseburia sp.]", A), ("2 b", B)])
    spec = SourceSpec(
        "vital", "table", (path,), trusted=True, prefix="IMG:", table=table, table_accession="id",
        table_family="family", table_prefix="IMG:", table_where={"file": "vital"},
    )  # fmt: skip
    found = read(spec)
    assert labelled(found) == {"IMG:1": "thl"}
    assert found.labelled[0].trusted
    assert {source.url for source in found.files} == {"x.faa", "accessions.tsv"}


def test_uniprot_tables_give_trusted_and_screened_members_and_shared_entries_to_the_search(
    tmp_path, read
):
    rows = {"thl": [("P00001", "reviewed", A), ("Q00001", "unreviewed", B)],
            "bcd": [("Q00001", "unreviewed", B)]}  # fmt: skip
    for family, entries in rows.items():
        write_uniprot(tmp_path / "up", family, entries)
    found = read(SourceSpec("uniprot", "uniprot", (tmp_path / "up",)))
    (protein,) = found.labelled
    assert (protein.accession, protein.family, protein.trusted) == ("UniProt:P00001", "thl", True)
    assert protein.lineage == "d__Bacteria;p__;c__;o__;f__;g__Roseburia;s__Roseburia hominis"
    (candidate,) = found.candidates
    assert candidate.families == {"thl", "bcd"}
    assert {(source.release, source.licence) for source in found.files} == {
        ("2026_03", "CC-BY-4.0")
    }


def write_uniprot(folder: Path, family: str, entries: list[tuple[str, str, str]]) -> None:
    folder.mkdir(exist_ok=True)
    header = ["Entry", *(f"c{n}" for n in range(8)), "Sequence"]
    lines = [header] + [
        [name, reviewed, "a name", "Roseburia hominis (strain X)", "8",
         "Bacteria (domain), Roseburia (genus)", str(len(sequence)), "", "", sequence]
        for name, reviewed, sequence in entries
    ]  # fmt: skip
    path = folder / f"{family}.tsv.gz"
    path.write_bytes(gzip.compress("".join("\t".join(line) + "\n" for line in lines).encode()))
    record = {
        "requests": {f"({family}) AND (reviewed:true)": len(entries)}, "rows": len(entries),
        "reviewed": 1, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "release": "2026_03", "date": "2026-09-02", "unreviewed": 10,
    }  # fmt: skip
    (folder / f"{family}.json").write_text(json.dumps(record))


def test_genomes_come_as_proteomes_genes_or_contigs_and_with_their_lineage(tmp_path, read):
    write_records(tmp_path / "g/one.faa", [("p1 MULTISPECIES: thiolase [Roseburia sp. [X]]", A)])
    write_records(tmp_path / "g/one.fna", [("c", "ACGT" * 50)])
    write_records(tmp_path / "g/two.ffn", [("g1", "ATG" + "GCA" * 60 + "TAA"), ("g2", "ATGTAA")])
    (tmp_path / "lineages.tsv").write_text(f"genome\tlineage\none\t{LINEAGE};s__\n")
    genomes = SourceSpec("g", "genomes", (tmp_path / "g",), lineages=tmp_path / "lineages.tsv")
    other = write_records(tmp_path / "x.faa", [("thl|1", B)])
    found = read(genomes, auto(other))
    assert [(p.key, p.product) for p in found.proteins] == [("one|p1", "thiolase"),
                                                            ("two|two:1", "")]  # fmt: skip
    assert found.proteins[1].sequence == "M" + "A" * 60
    assert found.lineages == {"one": LINEAGE, "two": ""}


def test_two_files_of_one_genome_are_refused(tmp_path, read):
    for folder in ("a", "b"):
        write_records(tmp_path / folder / "one.faa", [("p", A)])
    with pytest.raises(DatabaseError, match="genome 'one': 2 files have this name"):
        read(SourceSpec("g", "genomes", (tmp_path / "a", tmp_path / "b")))


# --- all sources together -------------------------------------------------------------------------


def test_one_accession_of_two_proteins_becomes_two(tmp_path, read):
    write_records(tmp_path / "in/a.faa", [("thl|1", A)])
    write_records(tmp_path / "in/b.faa", [("thl|1", B), ("bcd|1", C)])
    write_records(tmp_path / "in/c.faa", [("thl|1", A)])
    found = read(auto(tmp_path / "in"))
    assert labelled(found) == {"thl|1": "thl", "thl|1#2": "thl", "bcd|1": "bcd"}


def test_sources_are_recorded_with_their_checksums_and_without_folders(tmp_path, read):
    path = write_records(tmp_path / "x.faa", [("thl|1", A)])
    (source,) = read(auto(path, release="r1", licence="CC0-1.0")).files
    assert (source.url, source.release, source.licence) == ("x.faa", "r1", "CC0-1.0")
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.size == path.stat().st_size


def test_nothing_with_a_label_is_an_error(tmp_path, read):
    path = write_records(tmp_path / "x.faa", [("x", A)])
    with pytest.raises(DatabaseError, match="no record of the sources has a label"):
        read(auto(path))


def test_absent_path_is_an_error_unless_the_source_is_optional(tmp_path, read):
    here = write_records(tmp_path / "x.faa", [("thl|1", A)])
    absent = SourceSpec("s", "family", (tmp_path / "absent.faa",))
    with pytest.raises(DatabaseError, match=r"absent.faa: no such file.*source 's'"):
        read(absent)
    optional = SourceSpec("s", "family", (tmp_path / "absent.faa",), optional=True)
    assert labelled(read(optional, auto(here))) == {"thl|1": "thl"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sources: []", "sources: "),
        ("sources: [{name: a, form: magic, path: x}]", r"sources.0.form: 'magic' is not one of"),
        ("sources: [{name: a, form: auto, path: x, colour: red}]", "colour"),
        ("sources: [{name: a, form: table, path: x}]", "'table' is a required"),
        ("sources: [{name: a, form: auto, path: x}, {name: a, form: ec, path: y}]",
         "sources of the same name: a"),
        ("sources: [{name: a, form: family, path: x, aliases: {cro: nobody}}]",
         "source 'a': aliases lead to nobody"),
        ("sources: [", "cannot be read as YAML"),
    ],
)  # fmt: skip
def test_file_of_sources_that_breaks_its_schema_is_refused(tmp_path, families, text, message):
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    with pytest.raises(DatabaseError, match=message):
        read_sources(path, families)


def test_paths_start_from_the_data_and_tables_stand_beside_the_file(tmp_path, families):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/labels.tsv").write_text(LABELS + "s\tx\t\t\t\tthl\tcurated\n")
    path = tmp_path / "rules/sources.yaml"
    path.write_text(
        "labels: labels.tsv\nlicence: CC0-1.0\n"
        "sources: [{name: s, form: family, path: x.faa, rules: s}]\n"
    )
    write_records(tmp_path / "data/x.faa", [("x|1", A), ("thl|2", B)])
    sources = read_sources(path, families, tmp_path / "data")
    found = gather(sources, families)
    assert labelled(found) == {"x|1": "thl"}
    assert {source.url for source in found.files} == {"labels.tsv", "sources.yaml", "x.faa"}
    assert "left out: 1 labelled thl (without a rule)" in found.readings[0].line()
