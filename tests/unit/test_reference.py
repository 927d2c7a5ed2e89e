"""Protein reference folders and the cleaning of labels, on proteins made up here."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from fermentome.databases.manifest import Source, write_manifest
from fermentome.errors import ManifestError, ReferenceFolderError
from fermentome.reference import (
    CleaningPolicy,
    LabelledProtein,
    SearchHit,
    clean_labels,
    describe_reference,
    read_fasta,
    read_reference,
    read_search_hits,
    write_fasta,
    write_reference,
)

MANIFEST = {"name": "tiny", "version": "1", "description": "made up", "licence": "CC0-1.0"}
LINEAGE = "d__Bacteria;p__Bacillota"
PROTEINS = [
    LabelledProtein("b", "but", "MKLV", "test", LINEAGE),
    LabelledProtein("a", "but", "MKL", "test"),
    LabelledProtein("c", "ack", "MSS", "test"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_reference(tmp_path / "ref", PROTEINS, **MANIFEST)
    return tmp_path / "ref"


def seal(folder: Path) -> None:
    """Renew the checksums, so that a test reaches the checks behind them."""
    describe_reference(folder, **MANIFEST, sources=(), tools={}, parameters={})


# --- the folder -----------------------------------------------------------------------------------


def test_written_folder_reads_back_with_ids_in_order_of_family_and_accession(folder):
    reference = read_reference(folder, ["but", "ack"])
    rows = [(r.protein, r.family, r.length_aa, r.lineage) for r in reference.proteins.values()]
    assert rows == [
        ("P00001", "ack", 3, ""),
        ("P00002", "but", 3, ""),
        ("P00003", "but", 4, LINEAGE),
    ]
    assert [record[::2] for record in read_fasta(reference.fasta)] == [
        ("P00001", "MSS"),
        ("P00002", "MKL"),
        ("P00003", "MKLV"),
    ]
    assert reference.families == {"but", "ack"}
    assert (reference.manifest.kind, reference.manifest.engine) == ("scfa_proteins", "diamond")
    assert reference.manifest.reference == "tiny@1"


def test_same_proteins_in_another_order_give_the_same_bytes(folder, tmp_path):
    write_reference(tmp_path / "again", reversed(PROTEINS), **MANIFEST)
    for name in ("proteins.faa.gz", "proteins.tsv", "manifest.yaml"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_compressed_fasta_carries_neither_time_nor_name(folder):
    head = (folder / "proteins.faa.gz").read_bytes()[:10]
    assert head[3] == 0  # flags: no original name
    assert head[4:8] == b"\0\0\0\0"  # modification time


@pytest.mark.parametrize("name", ["proteins.faa.gz", "proteins.tsv", "manifest.yaml"])
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ReferenceFolderError, match=f"{name} is missing"):
        read_reference(folder)


@pytest.mark.parametrize("name", ["proteins.faa.gz", "proteins.tsv"])
def test_changed_file_is_found_by_its_checksum(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1  # one bit: the size is the same
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(ReferenceFolderError, match=rf"{name}: sha256 is .* the manifest says"):
        read_reference(folder)


def test_family_that_the_catalogue_lacks_is_named(folder):
    with pytest.raises(ReferenceFolderError, match="does not know: ack"):
        read_reference(folder, ["but"])


def test_families_are_unchecked_without_a_catalogue(folder):
    assert len(read_reference(folder).proteins) == 3


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([("P00001", "MSS"), ("P00002", "MKL")], "1 ids .* missing, first 'P00003'"),
        ([("P00001", "MSS"), ("P00009", "MKL")], "'P00009' is not in proteins.tsv"),
        ([("P00001", "MSS"), ("P00001", "MSS")], "'P00001' stands twice"),
        ([("P00001", "MSSS")], "'P00001' has 4 residues, proteins.tsv says 3"),
    ],
)
def test_fasta_and_table_that_disagree_are_refused(folder, records, message):
    write_fasta(folder / "proteins.faa.gz", records)
    seal(folder)
    with pytest.raises(ReferenceFolderError, match=message):
        read_reference(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("P00003\tbut\t4\t\ttest", "line 4: 5 columns, expected 6"),
        ("P00003\tbut\tfour\t\ttest\tb", "line 4: length_aa is 'four'"),
        ("P00002\tbut\t4\t\ttest\tb", "line 4: id 'P00002' stands twice"),
        ("P00003\tbut\t4\tBacteria\ttest\tb", "lineage is 'Bacteria'"),
        ("P00003\tbut\t4\tp__Bacillota\ttest\tb", "lineage is 'p__Bacillota'"),
    ],
)
def test_bad_row_of_the_table_is_named(folder, line, message):
    table = folder / "proteins.tsv"
    rows = table.read_text().splitlines()
    table.write_text("\n".join([*rows[:3], line]) + "\n")
    seal(folder)
    with pytest.raises(ReferenceFolderError, match=message):
        read_reference(folder)


def test_table_with_another_header_is_refused(folder):
    table = folder / "proteins.tsv"
    table.write_text(table.read_text().replace("length_aa", "length"))
    seal(folder)
    with pytest.raises(ReferenceFolderError, match="expected 'protein family length_aa"):
        read_reference(folder)


def test_database_of_another_kind_is_refused(folder):
    for name in ("taxonomy.syldb", "lineages.tsv"):
        (folder / name).write_text("something")
    write_manifest(
        folder, kind="taxonomy", engine="sylph", sources=(), tools={}, parameters={}, memory_mb=0,
        **MANIFEST,
    )  # fmt: skip
    with pytest.raises(ReferenceFolderError, match="kind is 'taxonomy'"):
        read_reference(folder)


def test_nothing_is_written_for_no_protein_or_no_name(tmp_path):
    with pytest.raises(ReferenceFolderError, match="no protein"):
        write_reference(tmp_path / "ref", [], **MANIFEST)
    assert not (tmp_path / "ref").exists()
    with pytest.raises(ManifestError, match="name"):
        write_reference(tmp_path / "ref", PROTEINS, name="", version="1")


def test_manifest_edited_by_hand_is_refused_with_the_command_that_tells_more(folder):
    path = folder / "manifest.yaml"
    path.write_text(path.read_text().replace("CC0-1.0", "MIT"))
    with pytest.raises(ReferenceFolderError, match="was edited .*`fermentome db verify"):
        read_reference(folder)


def test_files_beside_the_database_do_no_harm_and_recorded_ones_must_be_there(folder):
    (folder / "proteins.dmnd").write_text("an index")
    assert len(read_reference(folder).proteins) == 3
    (folder / "families.tsv").write_text("family\n")
    seal(folder)
    (folder / "families.tsv").unlink()
    with pytest.raises(
        ReferenceFolderError, match=r"families.tsv: is missing.*fermentome db fetch"
    ):
        read_reference(folder)


def test_manifest_says_what_the_reference_was_made_from(tmp_path):
    source = Source("thl.faa", licence="CC0-1.0", sha256="0" * 64, size=3)
    manifest = write_reference(
        tmp_path, PROTEINS, **MANIFEST, sources=[source], tools={"diamond": "2.1.3"},
        parameters={"dereplicate": 95.0},
    )  # fmt: skip
    assert read_reference(tmp_path).manifest == manifest
    assert manifest.sources == (source,)
    assert (manifest.tools, manifest.parameters) == ({"diamond": "2.1.3"}, {"dereplicate": 95.0})
    assert manifest.memory_mb > 0


# --- FASTA ----------------------------------------------------------------------------------------


def test_fasta_lines_are_joined_and_the_stop_is_taken_off(tmp_path):
    path = tmp_path / "x.faa"
    path.write_text(">one two  words\nmk\nL*\n\n>tab\tdescription\nM\n")
    assert list(read_fasta(path)) == [("one", "two  words", "MKL"), ("tab", "description", "M")]


@pytest.mark.parametrize(
    ("text", "message"), [("MKL\n", "line 1: 'MKL' before"), (">\nM\n", "line 1: header without")]
)
def test_text_that_is_not_fasta_is_refused_with_its_line(tmp_path, text, message):
    path = tmp_path / "x.faa"
    path.write_text(text)
    with pytest.raises(ReferenceFolderError, match=message):
        list(read_fasta(path))


def test_truncated_and_missing_fasta_are_named(tmp_path):
    path = tmp_path / "x.faa.gz"
    path.write_bytes(gzip.compress(b">a\nMKL\n")[:-6])
    with pytest.raises(ReferenceFolderError, match="x.faa.gz: damaged"):
        list(read_fasta(path))
    with pytest.raises(ReferenceFolderError, match="no such file"):
        list(read_fasta(tmp_path / "absent.faa"))


def test_search_table_is_read_and_a_short_line_is_named(tmp_path):
    path = tmp_path / "hits.tsv"
    path.write_text("a\tb\t50.5\t90\t80\t123.4\n")
    assert list(read_search_hits(path)) == [("a", "b", 50.5, 90.0, 80.0, 123.4)]
    path.write_text("a\tb\t50.5\t90\t80\t123.4\na\tb\t50\n")
    with pytest.raises(ReferenceFolderError, match="line 2: .* expected 6 columns"):
        list(read_search_hits(path))


# --- cleaning -------------------------------------------------------------------------------------


def protein(accession: str, family: str, length: int = 100, **kwargs: object) -> LabelledProtein:
    """A protein whose sequence is unlike any other's."""
    body = (accession.upper() * length)[:length]
    return replace(LabelledProtein(accession, family, body, "test"), **kwargs)


def hit(query: str, subject: str, bits: float) -> SearchHit:
    return SearchHit(query, subject, 60.0, 95.0, 95.0, bits)


DEFAULT = CleaningPolicy()


def reasons(proteins, hits=(), policy=DEFAULT):
    result = clean_labels(proteins, hits, policy)
    return {v.protein.accession: v.reason for v in result.verdicts}


def test_protein_whose_best_hits_are_in_another_family_falls_and_is_told_where_it_belongs():
    proteins = [protein("x", "mmdA"), protein("p", "pccB"), protein("q", "pccB")]
    hits = [hit("x", "p", 500), hit("x", "q", 480), hit("p", "q", 600), hit("q", "p", 600)]
    result = clean_labels(proteins, hits)
    assert [(v.reason, v.looks_like) for v in result.verdicts] == [
        ("mislabelled", "pccB"),
        ("kept", ""),
        ("kept", ""),
    ]
    assert [member.accession for member in result.members] == ["p", "q"]
    assert result.counts() == {"mmdA": {"mislabelled": 1}, "pccB": {"kept": 2}}


def test_half_of_the_score_is_not_enough_to_overrule_a_label():
    proteins = [protein("x", "mmdA"), protein("m", "mmdA"), protein("p", "pccB")]
    assert reasons(proteins, [hit("x", "m", 400), hit("x", "p", 400)])["x"] == "kept"
    assert reasons(proteins, [hit("x", "m", 400), hit("x", "p", 401)])["x"] == "mislabelled"


def test_trusted_neighbours_vote_alone():
    # Two screened members confirm the label with 800 bits, the one trusted neighbour denies it.
    proteins = [protein("x", "mmdA"), protein("m", "mmdA"), protein("n", "mmdA")]
    hits = [hit("x", "m", 400), hit("x", "n", 400), hit("x", "p", 390)]
    assert reasons([*proteins, protein("p", "pccB")], hits)["x"] == "kept"
    assert reasons([*proteins, protein("p", "pccB", trusted=True)], hits)["x"] == "mislabelled"


def test_distant_relatives_have_no_vote():
    # 300 bits are less than 0.7 of 450, so three trusted hgdA do not outvote one lcdA.
    proteins = [protein("x", "lcdA"), protein("l", "lcdA")]
    proteins += [protein(name, "hgdA", trusted=True) for name in "abc"]
    hits = [hit("x", "l", 450), hit("x", "a", 300), hit("x", "b", 300), hit("x", "c", 300)]
    assert reasons(proteins, hits)["x"] == "kept"


def test_trusted_label_is_not_put_to_the_vote():
    proteins = [protein("d", "decoy", trusted=True), protein("t", "thl"), protein("u", "thl")]
    hits = [hit("d", "t", 500), hit("d", "u", 500)]
    assert reasons(proteins, hits)["d"] == "kept"


def test_protein_like_no_other_member_falls_where_there_are_enough_others():
    family = [protein(name, "bcd") for name in "abc"]
    hits = [hit("a", "b", 500), hit("b", "a", 500), hit("c", "a", 500)]
    assert reasons([*family, protein("x", "bcd")], hits)["x"] == "orphan"
    assert reasons([*family[:2], protein("x", "bcd")], hits[:2])["x"] == "kept"
    assert reasons([*family, protein("x", "bcd", trusted=True)], hits)["x"] == "kept"


def test_fragments_and_fusions_fall_by_the_median_of_the_family():
    lengths = {"a": 100, "b": 100, "c": 100, "d": 49, "e": 50, "f": 160, "g": 161}
    found = reasons([protein(name, "bcd", n) for name, n in lengths.items()],
                    policy=CleaningPolicy(orphan_family=99))  # fmt: skip
    assert [name for name, reason in found.items() if reason == "fragment"] == ["d"]
    assert [name for name, reason in found.items() if reason == "too_long"] == ["g"]


def test_length_is_judged_by_trusted_members_where_there_are_any():
    # Most of the screen is junk of 80 residues; the trusted member has 500.
    proteins = [protein(name, "mmct12S", 80) for name in "abc"]
    proteins += [protein("d", "mmct12S", 500, trusted=True), protein("e", "mmct12S", 510)]
    found = reasons(proteins, [hit("e", "d", 900)])
    assert found == {"a": "fragment", "b": "fragment", "c": "fragment", "d": "kept", "e": "kept"}


def test_known_length_stands_in_where_no_member_is_trusted():
    proteins = [protein(name, "mmct12S", 80) for name in "abc"] + [protein("e", "mmct12S", 510)]
    known = CleaningPolicy(lengths={"mmct12S": 500})
    assert reasons(proteins, policy=known)["a"] == "fragment"
    proteins.append(protein("d", "mmct12S", 80, trusted=True))
    assert reasons(proteins, policy=known)["e"] == "too_long"


def test_family_with_a_long_form_keeps_it():
    proteins = [protein("a", "pta", 330), protein("b", "pta", 330), protein("c", "pta", 714)]
    assert reasons(proteins)["c"] == "too_long"
    assert reasons(proteins, policy=CleaningPolicy(long_forms=frozenset({"pta"})))["c"] == "kept"


def test_of_exact_duplicates_the_best_labelled_stays():
    same = "MKLV"
    proteins = [
        LabelledProtein("a", "but", same, "screen"),
        LabelledProtein("b", "but", same, "screen", LINEAGE),
        LabelledProtein("c", "abfT", same, "curated", trusted=True),
    ]
    assert reasons(proteins) == {"a": "duplicate", "b": "duplicate", "c": "kept"}
    assert reasons(proteins[:2]) == {"a": "duplicate", "b": "kept"}


def test_fallen_proteins_have_no_vote():
    proteins = [protein("x", "but"), protein("m", "but"), protein("n", "but")]
    proteins += [protein("f", "abfT", 40), protein("g", "abfT"), protein("h", "abfT")]
    hits = [hit("x", "f", 900), hit("x", "m", 300)]
    assert reasons(proteins, hits)["f"] == "fragment"
    assert reasons(proteins, hits)["x"] == "kept"


def test_order_of_proteins_and_hits_changes_no_verdict():
    proteins = [protein("x", "mmdA"), protein("m", "mmdA"), protein("p", "pccB")]
    hits = [hit("x", "m", 400), hit("x", "p", 500), hit("x", "p", 300), hit("p", "m", 200)]
    assert reasons(proteins, hits) == reasons(proteins[::-1], hits[::-1])


def test_only_the_best_voters_count_in_whatever_order_they_come():
    proteins = [protein("x", "mmdA"), protein("m", "mmdA")]
    proteins += [protein(name, "pccB") for name in "abcd"]
    hits = [hit("x", name, 400) for name in "abcd"] + [hit("x", "m", 100), hit("x", "m", 500)]
    # Of two voters one is the better m, the other the first of four equal ones.
    two = CleaningPolicy(voters=2)
    for order in (hits, hits[::-1]):
        assert reasons(proteins, order, two)["x"] == "kept"
        assert reasons(proteins, order)["x"] == "mislabelled"


def test_kin_counts_even_where_it_is_no_voter():
    family = [protein(name, "bcd") for name in "abcd"]
    near = [protein(name, "decoy") for name in "pq"] + [protein(name, "thl") for name in "rs"]
    hits = [hit("x", name, 500) for name in "pqrs"] + [hit("x", "a", 400)]
    found = reasons([*family, *near, protein("x", "bcd")], hits, CleaningPolicy(voters=4))
    assert found["x"] == "kept"


def test_no_protein_gives_no_verdict():
    assert clean_labels([], []).members == []


def test_repeated_accession_and_unknown_hit_are_refused():
    with pytest.raises(ReferenceFolderError, match="'x' was given twice"):
        clean_labels([protein("x", "but"), protein("x", "abfT")], [])
    with pytest.raises(ReferenceFolderError, match="names 'y'"):
        clean_labels([protein("x", "but")], [hit("x", "y", 100)])
