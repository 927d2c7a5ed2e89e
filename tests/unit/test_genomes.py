"""Genes, families and routes of genomes. Sequences are made here; scores are chosen by hand."""

import argparse
import gzip
import math
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_catalogue import make_catalogue, make_pathway, make_step

from fermentome import command_genomes
from fermentome.errors import EvidenceError
from fermentome.genes import (
    CalledGenome,
    GenomeError,
    GenomeFile,
    Protein,
    call_genomes,
    find_proteins,
    genome_name,
    list_genomes,
    parse_header,
    read_proteins,
    read_sequences,
    shared_names,
)
from fermentome.genomes import (
    HIT_COLUMNS,
    MIN_BITS,
    GenomeEvidence,
    Hit,
    Member,
    Scorer,
    annotate,
    call_batch,
    genome_row,
    hits_by_genome,
    join_batches,
    match_rows,
    phenotype_rows,
    product_columns,
    product_row,
    read_called,
    read_hits,
    score_batch,
    score_genome,
    write_called,
)
from fermentome.tables import read_table

ROOT = Path(__file__).resolve().parents[2]
CODONS = {"M": "ATG", "A": "GCA", "K": "AAA", "L": "CTG", "E": "GAA", "G": "GGT", "D": "GAT"}

BUT = make_pathway(
    "BUT",
    (
        make_step("thl", ("thl",)),
        make_step("hbd", ("hbd",)),
        make_step("crt", ("crt",)),
        make_step("end", ("but",), diagnostic=True),
    ),
    (("but",),),
)
BUK = make_pathway(
    "BUK",
    (make_step("thl", ("thl",)), make_step("end", ("ptb", "buk"), diagnostic=True)),
    (("ptb", "buk"),),
    veto=("Bacillales",),
)
CATALOGUE = make_catalogue((BUT, BUK))
KNOWN = frozenset({"but", "thl", "hbd", "crt", "ptb", "buk", "decoy_x"})


def hit(family, bits=400.0, query=(1, 400), subject=(1, 400), length=400, domain="Bacteria"):
    return Hit(family, 60.0, bits, *query, *subject, length, domain)


def protein(length=400, index=1, contig="c", **cuts):
    name = f"{contig}_{index}"
    return Protein(f"0_{index}", name, length, contig, index, 1, 3 * length, **cuts)


def families(of_protein, *hits):
    return {match.family for match in annotate([(of_protein, hits)], CATALOGUE).matches}


# Proteins to families ----------------------------------------------------------------------------


def test_protein_counts_for_the_family_that_scores_highest():
    assert families(protein(), hit("thl", 390), hit("but", 400), hit("hbd", 300)) == {"but"}


def test_decoy_wins_a_tie_whatever_the_order_of_the_hits():
    for hits in ([hit("but"), hit("decoy_x")], [hit("decoy_x"), hit("but")]):
        assert families(protein(), *hits) == {"decoy_x"}


def test_tie_of_two_targets_counts_for_none_unless_scores_do_not_part_them():
    assert families(protein(), hit("but"), hit("thl")) == set()
    assert families(protein(), hit("left"), hit("right")) == {"left"}


def test_score_per_residue_must_reach_the_threshold():
    # The default is 0.7 bits per aligned residue; 400 residues need 280 bits.
    assert families(protein(), hit("but", 280)) == {"but"}
    assert families(protein(), hit("but", 279.9)) == set()


def test_single_copy_families_are_recognised_at_half_a_bit_per_residue():
    assert families(protein(), hit("COG0", 200)) == {"COG0"}
    assert families(protein(), hit("COG0", 199)) == set()


def test_hit_that_covers_a_domain_of_the_member_only_does_not_count():
    # 279 of 400 residues of the member are less than 70 %.
    short = hit("but", 300, query=(1, 279), subject=(1, 279))
    assert families(protein(), short) == set()
    assert families(protein(), replace_end(short, 280)) == {"but"}


def replace_end(of, end):
    return of._replace(query_end=end, subject_end=end)


def test_partial_hit_of_a_target_does_not_hide_a_family_but_one_of_a_decoy_does():
    # EtfA beside members of a fusion of Bcd and EtfA: only half of these is covered.
    half = {"query": (1, 400), "subject": (401, 800), "length": 800}
    assert families(protein(), hit("thl", 500, **half), hit("but", 400)) == {"but"}
    assert families(protein(), hit("decoy_x", 500, **half), hit("but", 400)) == {"decoy_x"}


def test_fusion_of_two_families_counts_for_both():
    first = hit("but", query=(1, 400))
    second = hit("thl", query=(421, 820))
    assert families(protein(820), first, second) == {"but", "thl"}


def test_small_domain_of_a_long_protein_is_not_the_family():
    assert families(protein(801), hit("but", query=(1, 400))) == set()
    assert families(protein(800), hit("but", query=(1, 400))) == {"but"}


def test_two_repeats_of_one_family_do_not_make_a_long_protein_its_member():
    repeats = [hit("but", query=(1, 400)), hit("but", query=(601, 1000))]
    assert families(protein(1000), *repeats) == set()


def test_next_family_is_the_best_other_one_of_the_same_region():
    hits = [hit("but", 400), hit("but", 399), hit("thl", 300), hit("hbd", 310),
            hit("crt", 500, query=(421, 820))]  # fmt: skip
    matches = {m.family: m for m in annotate([(protein(820), hits)], CATALOGUE).matches}
    assert (matches["but"].next_family, matches["but"].next_bits) == ("hbd", 310)
    assert matches["crt"].next_family == ""


def test_gene_cut_by_the_edge_of_a_contig_counts_by_what_is_there():
    # The start is cut off: residues 201 to 400 of the member are the whole piece.
    end_piece = hit("but", 200, query=(1, 200), subject=(201, 400))
    assert families(protein(200, cut_start=True), end_piece) == {"but"}
    assert families(protein(200), end_piece) == set()
    # An edge on the other side does not explain a missing start.
    assert families(protein(200, cut_end=True), end_piece) == set()


def test_alignment_that_stops_before_the_edge_is_not_excused_by_it():
    inner = hit("but", 200, query=(31, 230), subject=(201, 400))
    assert families(protein(230, cut_start=True), inner) == set()


def test_scrap_at_an_edge_is_too_little():
    # A third of 400 residues are 134.
    scrap = hit("but", 133, query=(1, 133), subject=(268, 400))
    assert families(protein(133, cut_start=True), scrap) == set()
    enough = hit("but", 134, query=(1, 134), subject=(267, 400))
    assert families(protein(134, cut_start=True), enough) == {"but"}


def test_cut_pieces_that_can_be_one_gene_are_one_copy():
    start = (protein(200, 1, "a", cut_end=True), [hit("but", 200, (1, 200), (1, 200))])
    end = (protein(200, 2, "b", cut_start=True), [hit("but", 200, (1, 200), (201, 400))])
    whole = (protein(400, 3, "c"), [hit("but")])
    assert annotate([start, end], CATALOGUE).copies() == {"but": 1}
    assert annotate([start, end, whole], CATALOGUE).copies() == {"but": 2}
    other = (replace(start[0], identifier="0_4", index=4), start[1])
    assert annotate([start, other, end], CATALOGUE).copies() == {"but": 2}


@settings(max_examples=50)
@given(st.permutations(range(6)), st.lists(st.integers(250, 450), min_size=6, max_size=6))
def test_order_of_hits_changes_nothing(order, scores):
    names = ["but", "thl", "hbd", "decoy_x", "left", "right"]
    hits = [hit(name, float(bits)) for name, bits in zip(names, scores, strict=True)]
    one = annotate([(protein(), hits)], CATALOGUE)
    assert annotate([(protein(), [hits[n] for n in order])], CATALOGUE) == one


@settings(max_examples=50)
@given(st.floats(41, 900))
def test_another_decoy_never_adds_a_target(bits):
    hits = [hit("but", 400), hit("thl", 300)]
    before = families(protein(), *hits) - {"decoy_x"}
    after = families(protein(), *hits, hit("decoy_x", bits)) - {"decoy_x"}
    assert after <= before


# Families to routes ------------------------------------------------------------------------------


def genome(completeness=1.0, lineage=None, places=None, known=KNOWN, close=None, **copies):
    names = None if lineage is None else frozenset(lineage)
    return GenomeEvidence(copies, known, completeness, places or {}, names, close or {})


def call(pathway=BUT, **found):
    return score_genome(pathway, genome(**found), CATALOGUE)


def test_whole_route_is_present_with_its_copies():
    found = call(but=1, thl=2, hbd=1, crt=1)
    # Harmonic mean of 2, 1, 1, 1 is 4 / 3.5; the diagnostic step has 1.
    assert (found.call, found.copies, found.completeness) == ("present", 1.0, 1.0)
    assert (found.tier, found.reason, found.missing_steps) == ("A", "", ())


def test_one_missing_shared_step_is_tolerated():
    found = call(but=1, thl=1, crt=1)
    assert (found.call, found.completeness, found.missing_steps) == ("present", 0.75, ("hbd",))


def test_markers_without_the_other_steps_are_indeterminate():
    found = call(but=1, crt=1)
    assert (found.call, found.copies) == ("indeterminate", 0.0)
    assert found.reason == "steps not detected: thl, hbd"


def test_missing_diagnostic_step_is_never_filled_in():
    route = make_pathway(
        "R",
        (
            *BUT.steps,
            make_step("second", ("ptb",), diagnostic=True),
            make_step("more", ("thl",)),
            make_step("still_more", ("thl",)),
        ),
        (("but",),),
    )
    found = call(route, but=1, thl=1, hbd=1, crt=1)
    assert found.completeness > route.min_completeness
    assert (found.call, found.reason) == (
        "indeterminate",
        "diagnostic steps not detected: second",
    )


def test_route_without_markers_is_absent_from_a_whole_genome():
    found = call(thl=1, hbd=1, crt=1)
    assert (found.call, found.copies) == ("absent", 0.0)
    assert found.reason == "markers not detected: but"


def test_nothing_is_absent_from_a_genome_of_which_less_than_nine_tenths_were_seen():
    assert call(completeness=0.9, thl=1).call == "absent"
    found = call(completeness=0.875, thl=1)
    assert found.call == "below_detection"
    assert math.isnan(found.copies)
    assert found.reason == "markers not detected: but; 88% of the genome seen"


def test_nothing_is_absent_where_the_reference_cannot_say_how_much_was_seen():
    found = call(completeness=math.nan, thl=1)
    assert found.call == "below_detection"
    assert "completeness of the genome not known" in found.reason


def test_route_whose_markers_the_reference_lacks_is_indeterminate():
    found = call(known=KNOWN - {"but"}, thl=1, hbd=1, crt=1)
    assert (found.call, found.reason) == ("indeterminate", "the reference holds no but")


def test_vetoed_lineage_is_never_present_and_an_unknown_one_says_so():
    parts = {"ptb": 1, "buk": 1, "thl": 1}
    assert call(BUK, lineage=["Clostridiales"], **parts).reason == ""
    vetoed = call(BUK, lineage=["Bacteria", "Bacillales"], **parts)
    assert vetoed.call == "indeterminate"
    assert vetoed.reason == "markers in a lineage for which the route is never called"
    unknown = call(BUK, **parts)
    assert unknown.call == "present"
    assert unknown.reason.startswith("lineage not given")


def test_marker_that_a_protein_nearly_is_leaves_the_route_open():
    # 380 of 400 bits are 95 %.
    proteins = [(protein(), [hit("decoy_x", 400), hit("but", 380)])]
    near = annotate(proteins, CATALOGUE)
    assert near.close() == {"but": "decoy_x"}
    found = call(close=near.close(), thl=1, hbd=1, crt=1)
    assert found.call == "indeterminate"
    assert found.reason == "markers not told apart from others: but (decoy_x)"
    far = annotate([(protein(), [hit("decoy_x", 400), hit("but", 379)])], CATALOGUE)
    assert far.close() == {}


def test_markers_are_colocated_within_twenty_genes_of_one_contig():
    def together(*places):
        found = {"ptb": [places[0]], "buk": [places[1]]}
        return call(BUK, places=found, ptb=1, buk=1, thl=1).colocated

    assert together(("c", 5), ("c", 24)) is True
    assert together(("c", 5), ("c", 25)) is False
    assert together(("c", 5), ("d", 6)) is False
    assert call(BUK, ptb=1, buk=1, thl=1).colocated is None
    assert call(places={"but": [("c", 1)]}, but=1, thl=1, hbd=1, crt=1).colocated is None


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), st.integers(1, 3)),
       st.sampled_from(sorted(KNOWN)))  # fmt: skip
def test_more_families_never_lower_completeness_or_take_a_call_away(copies, more):
    before = call(**copies)
    after = call(**{**copies, more: copies.get(more, 0) + 1})
    assert after.completeness >= before.completeness
    # A step that was filled in took the value of the others and may turn out to be rarer.
    assert after.copies >= before.copies or before.missing_steps
    assert before.call != "present" or after.call == "present"


# Genomes -----------------------------------------------------------------------------------------

MEMBERS = [Member(name, "Bacteria") for name in sorted(KNOWN)] + [
    Member(f"COG{n}", "Bacteria") for n in range(5)
]


def score(proteins, called=None, members=MEMBERS, lineages=None):
    called = called or CalledGenome("g", "genome", 1, 3000, len(proteins))
    return Scorer(CATALOGUE, members, lineages or {}).score(called, proteins)


def single_copy(count, domain="Bacteria"):
    return [
        (protein(200, 100 + n), [hit(f"COG{n}", 300, (1, 200), (1, 200), 200, domain)])
        for n in range(count)
    ]


def test_completeness_is_the_found_share_of_the_single_copy_families():
    assert score(single_copy(4)).completeness == pytest.approx(0.8)
    row = genome_row(score(single_copy(4)))
    assert (row["single_copy_families"], row["status"]) == (4, "ok")
    assert row["reason"] == "80% of the genome seen: nothing is called absent"


def test_completeness_counts_the_families_that_the_genomes_domain_can_show():
    members = [*MEMBERS, Member("COG0", "Archaea"), Member("COG1", "Archaea")]
    found = score(single_copy(2, "Archaea"), members=members)
    assert (found.completeness, found.single_copy_families) == (1.0, 2)


def test_genome_without_single_copy_family_says_that_it_is_none():
    row = genome_row(score([]))
    assert row["genome_completeness"] == 0
    assert str(row["reason"]).startswith("no single-copy family found")


def test_failed_genome_has_no_calls_and_no_numbers():
    failed = score([], CalledGenome("g", "", status="failed", reason="why"))
    row = genome_row(failed)
    assert failed.calls == ()
    assert (row["status"], row["reason"], row["proteins"]) == ("failed", "why", None)
    assert list(phenotype_rows(failed)) == []
    assert product_row(failed, product_columns(CATALOGUE)) == {"genome": "g", "butyrate": None}


def test_products_name_the_present_routes_or_what_keeps_them_open():
    columns = product_columns(CATALOGUE)
    assert columns == {"butyrate": ("BUK", "BUT")}
    route = [(protein(400, n), [hit(name)]) for n, name in enumerate(["but", "thl", "hbd", "crt"])]
    whole = single_copy(5)
    assert product_row(score(whole + route), columns)["butyrate"] == "BUT"
    assert product_row(score(whole + route[:1]), columns)["butyrate"] == "indeterminate"
    assert product_row(score(whole), columns)["butyrate"] == "absent"
    assert product_row(score([]), columns)["butyrate"] == "below_detection"


def test_use_of_a_product_has_a_column_of_its_own():
    catalogue = make_catalogue((BUT, replace(BUK, direction="consumption")))
    assert product_columns(catalogue) == {
        "butyrate": ("BUT",),
        "butyrate_consumption": ("BUK",),
    }


def test_row_of_a_match_says_where_the_gene_lies_and_what_is_cut():
    piece = protein(200, 7, "contig", cut_start=True)
    found = score([(piece, [hit("but", 200, (1, 200), (201, 400)), hit("thl", 90, (1, 200))])])
    (row,) = match_rows(found)
    assert (row["family"], row["role"], row["contig"]) == ("but", "target", "contig")
    assert (row["bits_per_aa"], row["query_cover"], row["subject_cover"]) == (1.0, 1.0, 0.5)
    assert (row["start"], row["end"], row["cut"]) == (1, 600, "start")


# Files -------------------------------------------------------------------------------------------


def test_names_lose_their_extensions_and_show_control_characters():
    assert genome_name(Path("x/GCF_1.2_genomic.fna.gz")) == "GCF_1.2"
    assert genome_name(Path("a.b.FAA.GZ")) == "a.b"
    assert genome_name(Path('it\'s\t"odd".fa')) == 'it\'s\\t"odd"'


def write(path, text, packed=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


def test_folders_give_their_fasta_files_and_no_file_counts_twice(tmp_path):
    for name in ("b.fna", "a.faa.gz", "notes.txt"):
        write(tmp_path / name, ">x\nA\n")
    genomes = list_genomes([tmp_path, tmp_path / "b.fna", tmp_path / "../" / tmp_path.name])
    assert [genome.name for genome in genomes] == ["a", "b"]


def test_missing_path_and_folder_without_genomes_are_named(tmp_path):
    with pytest.raises(GenomeError, match="nothing.fna: no such file"):
        list_genomes([tmp_path / "nothing.fna"])
    with pytest.raises(GenomeError, match="no genome in this folder"):
        list_genomes([tmp_path])


def test_files_of_one_name_are_found(tmp_path):
    paths = [tmp_path / "a" / "x.fna", tmp_path / "b" / "x.faa", tmp_path / "y.fna"]
    for path in paths:
        write(path, ">s\nACGT\n")
    assert shared_names(list_genomes(paths)) == {"x": "a/x.fna, b/x.faa"}


NUCLEOTIDES = "ACGTGGCATTACGGATCAAC" * 5
RESIDUES = "MKVLERSWFYHDPQINTGAC" * 5


def test_kind_is_told_by_the_letters_not_by_the_name(tmp_path):
    assert read_sequences(write(tmp_path / "a.faa", f">x\n{NUCLEOTIDES}\n"))[0] == "genome"
    assert read_sequences(write(tmp_path / "a.fna", f">x\n{RESIDUES}\n"))[0] == "proteome"


def test_case_line_breaks_packing_and_rna_do_not_matter(tmp_path):
    plain = read_sequences(write(tmp_path / "a", f">x y\n{NUCLEOTIDES}\n"))
    lower = f"\n>x\r\n{NUCLEOTIDES[:40].lower()}\r\n{NUCLEOTIDES[40:]}\r\n"
    assert read_sequences(write(tmp_path / "b", lower, packed=True)) == plain
    kind, _ = read_sequences(write(tmp_path / "c", f">x\n{NUCLEOTIDES.replace('T', 'U')}\n"))
    assert kind == "genome"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("  \n\n", "empty"),
        ("hello\n", "starts with 'hello"),
        ("@r\nACGT\n+\nIIII\n", "reads belong into the workflow"),
        (">a\n>b\n\n", "headers without any sequence"),
        (f">a\n{NUCLEOTIDES}\n>b\n{RESIDUES}\n", "'a' is of nucleotides, 'b' of amino acids"),
        (">a\nACG1T\n", "sequence 'a': holds '1'"),
    ],
)
def test_text_that_is_no_genome_is_refused_with_its_reason(tmp_path, text, message):
    with pytest.raises(GenomeError, match=message):
        read_sequences(write(tmp_path / "bad.fna", text))


def test_damaged_files_are_refused_with_their_reason(tmp_path):
    packed = gzip.compress(f">a\n{RESIDUES * 100}\n".encode())
    (tmp_path / "cut.fna.gz").write_bytes(packed[:-12])
    with pytest.raises(GenomeError, match=r"cut\.fna\.gz: damaged gzip file"):
        read_sequences(tmp_path / "cut.fna.gz")
    (tmp_path / "binary.fna").write_bytes(bytes([0xFF, 0xFE, 0x80]))
    with pytest.raises(GenomeError, match="not text"):
        read_sequences(tmp_path / "binary.fna")
    with pytest.raises(GenomeError, match="cannot be read"):
        read_sequences(tmp_path / "nothing")


def gene(residues):
    """A gene with a ribosome binding site in front, and a stop."""
    return "TAAGGAGGTTTAATA" + "".join(CODONS[r] for r in "M" + residues) + "TAATAAGCTAA"


def some_protein(seed, length=300):
    return "".join(random.Random(seed).choices("AKLEGD", k=length))


def reverse_complement(sequence):
    return sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_genes_of_both_strands_are_found_where_they_lie():
    first, second = some_protein(1), some_protein(2)
    contig = gene(first) + reverse_complement(gene(second))
    found = {residues: p for p, residues in find_proteins([("c", contig)], "genome", "0")}
    place = found["M" + first]
    assert (place.start, place.end) == (16, 15 + 3 * 302)
    assert (place.cut_start, place.cut_end, place.name) == (False, False, "c_1")
    assert found["M" + second].start == len(gene(first)) + 11 - 3 + 1


def test_edge_and_gap_cut_a_gene_at_the_right_end():
    whole = gene(some_protein(3))
    cases = {
        "cut_end": whole[:600],
        "cut_start": whole[300:],
    }
    for cut, sequence in cases.items():
        flipped = "cut_start" if cut == "cut_end" else "cut_end"
        for contig in (sequence, reverse_complement(sequence)):
            ((p, _),) = find_proteins([("c", contig)], "genome", "0")
            assert getattr(p, cut)
            assert not getattr(p, flipped)
    gap = whole[:600] + "N" * 10 + "ACGTC"
    ((p, _),) = find_proteins([("c", gap)], "genome", "0")
    assert p.cut_end


def test_header_of_a_protein_keeps_everything():
    place = Protein("3_7", "c d_1", 99, "c|x", 4, 10, 306, False, True)
    assert parse_header(place.header()) == place


def test_batch_is_the_same_for_any_number_of_threads(tmp_path):
    paths = [write(tmp_path / f"g{n}.fna", f">c\n{gene(some_protein(n))}\n") for n in range(5)]
    paths.append(write(tmp_path / "h.fna", ""))
    genomes = [GenomeFile(path.stem, path) for path in paths]
    one = call_genomes(genomes, tmp_path / "one.faa.gz", threads=1)
    assert call_genomes(genomes, tmp_path / "four.faa.gz", threads=4) == one
    assert (tmp_path / "one.faa.gz").read_bytes() == (tmp_path / "four.faa.gz").read_bytes()
    assert [genome.status for genome in one] == ["ok"] * 5 + ["failed"]
    assert [p.identifier for p in read_proteins(tmp_path / "one.faa.gz")] == [
        f"{n}_1" for n in range(5)
    ]


def test_genome_without_a_gene_is_empty_and_not_failed(tmp_path):
    genomes = [GenomeFile("n", write(tmp_path / "n.fna", ">c\nACGTNNNNNNNNNNNNNNN\n"))]
    (called,) = call_genomes(genomes, tmp_path / "p.faa.gz")
    assert (called.status, called.reason) == ("empty", "no gene found in 19 bases")


def test_genomes_of_one_name_in_a_batch_all_fail(tmp_path):
    paths = [write(tmp_path / name / "x.fna", ">c\nACGT\n") for name in "ab"]
    call_batch([str(p) for p in paths], tmp_path / "p.gz", tmp_path / "called.tsv", threads=1)
    called = read_called(tmp_path / "called.tsv")
    assert [genome.status for genome in called] == ["failed", "failed"]
    assert "a/x.fna, b/x.fna" in called[0].reason


def test_hits_that_do_not_fit_are_refused(tmp_path):
    lines = write(tmp_path / "h.tsv", "0_1\tP1\t50\t400\t400\t1\t400\t1\t400\t300\n")
    members = {"P1": Member("but")}
    ((query, (found,)),) = read_hits(lines, members)
    assert (query, found.family, found.bits, found.subject_length) == ("0_1", "but", 300.0, 400)
    with pytest.raises(EvidenceError, match="'P1' is not in the reference"):
        list(read_hits(lines, {}))
    with pytest.raises(EvidenceError, match="expected qseqid"):
        list(read_hits(write(tmp_path / "short.tsv", "0_1\tP1\t50\n"), members))


def test_hits_out_of_order_are_refused():
    proteins = [protein(index=n) for n in (1, 2)]
    right = [("0_1", [hit("but")]), ("0_2", [hit("thl")])]
    ((position, found),) = hits_by_genome(proteins, right)
    assert (position, len(found)) == (0, 2)
    with pytest.raises(EvidenceError, match="out of order"):
        list(hits_by_genome(proteins, right[::-1]))


def test_batch_tables_hold_every_genome_with_and_without_hits(tmp_path):
    called = [CalledGenome(name, "proteome", proteins=1) for name in "abc"]
    called[1] = CalledGenome("b", "", status="failed", reason="why")
    write_called(tmp_path / "called.tsv", called)
    with gzip.open(tmp_path / "p.faa.gz", "wt") as out:
        out.write(
            f"{Protein('0_1', 'x', 400).header()}\nM\n{Protein('2_1', 'y', 400).header()}\nM\n"
        )
    write(tmp_path / "hits.tsv", "2_1\tP1\t50\t400\t400\t1\t400\t1\t400\t300\n")
    tables = {t: tmp_path / f"{t}.tsv"
              for t in ("genomes", "families", "pathways", "products", "phenotypes")}  # fmt: skip
    score_batch(
        tmp_path / "called.tsv", tmp_path / "p.faa.gz", tmp_path / "hits.tsv",
        {"P1": Member("but")}, {}, CATALOGUE, tables,
    )  # fmt: skip
    assert [row["status"] for row in read_table(tables["genomes"])] == ["ok", "failed", "ok"]
    assert [(row["genome"], row["contig"]) for row in read_table(tables["families"])] == [
        ("c", "NA")
    ]
    assert {row["genome"] for row in read_table(tables["pathways"])} == {"a", "c"}
    assert [row["butyrate"] for row in read_table(tables["products"])][1] == "NA"


def test_batches_join_in_order_and_only_with_one_header(tmp_path):
    one = write(tmp_path / "1.tsv", "genome\tx\na\t1\n")
    two = write(tmp_path / "2.tsv", "genome\tx\nb\t2\n")
    join_batches([one, two], tmp_path / "all.tsv")
    assert (tmp_path / "all.tsv").read_text() == "genome\tx\na\t1\nb\t2\n"
    other = write(tmp_path / "3.tsv", "genome\ty\nb\t2\n")
    with pytest.raises(EvidenceError, match="another header"):
        join_batches([one, other], tmp_path / "all.tsv")


# Command -----------------------------------------------------------------------------------------


def test_search_of_the_command_and_of_the_workflow_are_the_same():
    text = (ROOT / "workflow/rules/genomes.smk").read_text(encoding="utf-8")
    shell = " ".join(text.partition("diamond blastp")[2].partition("fi |")[0].split())
    for flags in (" ".join(command_genomes.SEARCH[:5]), " ".join(command_genomes.SEARCH[5:])):
        assert flags in shell.replace("\\ ", "")
    assert f"--min-score {MIN_BITS}" in shell
    assert f"--outfmt 6 {' '.join(HIT_COLUMNS)}" in shell


def run_command(*words):
    parser = argparse.ArgumentParser()
    command_genomes.add_arguments(parser)
    return command_genomes.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture
def example(tmp_path):
    if shutil.which("diamond") is None:
        pytest.skip("not on PATH: diamond; `make setup` finds or installs the tools")
    shutil.copytree(ROOT / "example/data/genomes", tmp_path / "in")
    return tmp_path / "in"


def test_command_finds_the_families_that_the_example_was_built_with(example, tmp_path, capsys):
    write(example / "broken.fna", "no genome\n")
    arguments = ["--reference", ROOT / "example/data/reference",
                 "--lineages", ROOT / "example/data/lineages.tsv"]  # fmt: skip
    assert run_command(*arguments, "--out", tmp_path / "one", "--threads", "1", example) == 1
    assert "1 failed" in capsys.readouterr().out
    run_command(*arguments, "--out", tmp_path / "two", "--threads", "3", example)
    for name in ("genomes", "families", "pathways", "products", "phenotypes"):
        made = (tmp_path / "one" / f"{name}.tsv").read_bytes()
        assert made == (tmp_path / "two" / f"{name}.tsv").read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "families.tsv", "genomes.tsv", "pathways.tsv", "phenotypes.tsv", "products.tsv",
    ]  # fmt: skip
    rows = {row["genome"]: row for row in read_table(tmp_path / "one/genomes.tsv")}
    assert rows.pop("broken")["status"] == "failed"
    assert all(row["status"] == "ok" for row in rows.values())
    truth = {
        (row["genome"], row["family"])
        for row in read_table(ROOT / "example/data/truth/genomes.tsv")
        if float(row["copies"]) > 0
    }
    found = {(r["genome"], r["family"]) for r in read_table(tmp_path / "one/families.tsv")}
    targets = {(g, f) for g, f in truth if not f.startswith("decoy")}
    assert len(targets & found) / len(targets) >= 0.95


def test_missing_diamond_is_named(example, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(GenomeError, match="diamond is not on PATH"):
        run_command(
            "--reference", ROOT / "example/data/reference", "--out", tmp_path / "o", example
        )


def test_called_genomes_survive_their_table(tmp_path):
    called = [CalledGenome("a", "genome", 2, 300, 4), CalledGenome("b", "", 0, 0, 0, "failed", "x")]
    write_called(tmp_path / "called.tsv", called)
    assert read_called(tmp_path / "called.tsv") == called
