import argparse
import gzip
import math
import tempfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_catalogue import make_family, make_pathway, make_step

from fermentome import command_table
from fermentome.catalogue import Catalogue, SingleCopyFamily, load_catalogue
from fermentome.defaults import catalogue_files
from fermentome.errors import CatalogueError, ReferenceFolderError, TableError
from fermentome.foreign import (
    read_foreign_table,
    read_foreign_tables,
    split_feature,
    taxon_of_stratum,
)
from fermentome.foreign_scoring import (
    Sight,
    TableEvidence,
    family_values,
    score_table_products,
    score_table_sample,
)
from fermentome.identifiers import (
    Vocabulary,
    catalogue_identifiers,
    index_identifiers,
    parse_identifier,
    read_reference_names,
    read_single_copy_identifiers,
)
from fermentome.tables import read_table

SINGLE_COPY = {
    "COG1": {"KO": ("K02950",), "EC": ("6.1.1.4",)},
    "COG2": {"KO": ("K02992",), "EC": ("6.1.1.9",)},
    "COG3": {"KO": ("K02967",), "EC": ("6.1.1.11",)},
}


def family(name, ko=None, ec=(), **others):
    return replace(make_family(name, **others), ko_logic=ko, ec=ec)


def catalogue():
    families = [
        family("thl", "K00626", ("2.3.1.9",), tier="C"),
        family("but", None, ("2.8.3.8",), tier="A"),
        family("ptb", "K00634", ("2.3.1.19",)),
        family("buk", "K00929|K99999", ("2.7.2.7",)),
        family("ato", "K01034", ("2.8.3.8",)),
        family("gctA", "K01039", ("2.8.3.12",)),
        family("gctB", "K01040", ("2.8.3.12",)),
        family("mut", "K01847|K01848", ("5.4.99.2",)),
        family("decoy_sco", "K01034", (), role="decoy", tier="D"),
        family("decoy_ydiF", "K19709", ("2.8.3.8",), role="decoy", tier="D"),
    ]
    thl = make_step("thl", ("thl",))
    pathways = [
        make_pathway("BUT", (thl, make_step("but", ("but",), diagnostic=True)), (("but",),)),
        make_pathway(
            "BUK",
            (
                thl,
                make_step("ptb", ("ptb",), diagnostic=True),
                make_step("buk", ("buk",), diagnostic=True),
            ),
            (("ptb", "buk"),),
            scope="taxon",
            veto=("Bacillales", "Listeria"),
        ),
        make_pathway("ATO", (thl, make_step("ato", ("ato",), diagnostic=True)), (("ato",),)),
        make_pathway(
            "GCT", (make_step("gct", ("gctA", "gctB"), diagnostic=True),), (("gctA", "gctB"),)
        ),
        make_pathway(
            "MUT",
            (make_step("mut", ("mut",), diagnostic=True), thl),
            (("mut",),),
            scope="taxon_preferred",
        ),
    ]
    single_copy = [SingleCopyFamily(name, name, name, name) for name in SINGLE_COPY]
    return Catalogue(
        version="test",
        families={f.id: f for f in families},
        pathways={p.id: p for p in pathways},
        single_copy={f.id: f for f in single_copy},
        default_acceptance=families[0].acceptance,
    )


CATALOGUE = catalogue()
INDICES = catalogue_identifiers(CATALOGUE, SINGLE_COPY)
HEAD = "# Gene Family\tS1_Abundance-RPKs"
# A newer KO than any of the catalogue, so that zeros are known.
DEPTH = {"K02950": 10.0, "K02992": 10.0, "K02967": 10.0, "K99999": 0.0, "K00001": 0.5}


def table(rows, header=HEAD, special=True):
    """Text of a HUMAnN table."""
    lines = [header, *(["UNMAPPED\t100.0", "UNGROUPED\t50.0"] if special else [])]
    return "\n".join([*lines, *(f"{name}\t{value}" for name, value in rows.items())]) + "\n"


def read(tmp_path, text, name="table.tsv", **options):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return read_foreign_table(path, INDICES, **options)


def score(sample, ranks=None, indices=INDICES):
    evidence = TableEvidence(sample, indices[sample.kind], CATALOGUE)
    return {(s.pathway, s.taxon): s for s in score_table_sample(evidence, ranks or {})}


def score_text(tmp_path, rows, ranks=None, **options):
    (sample,) = read(tmp_path, table(rows, **options))
    return score(sample, ranks)


# ---- identifiers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("K00001", ("KO", "K00001")),
        ("ko:K00001", ("KO", "K00001")),
        ("EC:2.8.3.8", ("EC", "2.8.3.8")),
        ("EC.2.8.3.8", ("EC", "2.8.3.8")),
        ("1.1.1.-", ("EC", "1.1.1.-")),
        ("3.1.3.n1", ("EC", "3.1.3.n1")),
        ("UniRef90_A0A000", ("UniRef", "UniRef90_A0A000")),
        ("K0001", None),
        ("K001895", None),
        ("M00001", None),
    ],
)
def test_identifiers_are_told_by_their_form(text, expected):
    assert parse_identifier(text) == expected


def test_identifier_of_a_decoy_is_shared():
    assert INDICES["KO"].shared("ato") == ("K01034",)
    assert INDICES["KO"].others("ato", "K01034") == ("decoy_sco",)


def test_identifier_of_two_chains_of_one_step_is_own_to_both_and_split():
    index = INDICES["EC"]
    assert index.own["gctA"] == index.own["gctB"] == {"2.8.3.12"}
    assert index.chains["2.8.3.12"] == 2


def test_identifier_of_two_diagnostic_steps_is_own_to_neither():
    steps = tuple(make_step(name, (name,), diagnostic=True) for name in ("ptb", "buk"))
    both = replace(CATALOGUE, pathways={"P": make_pathway("P", steps, (("ptb", "buk"),))})
    index = index_identifiers("EC", {"ptb": ["2.3.1.19"], "buk": ["2.3.1.19"]}, both)
    assert not index.own["ptb"]
    assert not index.own["buk"]


def test_partial_ec_numbers_identify_nothing():
    families = CATALOGUE.families | {"but": family("but", None, ("2.8.3.-",))}
    index = catalogue_identifiers(replace(CATALOGUE, families=families), SINGLE_COPY)["EC"]
    assert "but" not in index.identifiers


def test_vocabulary_ends_at_the_newest_number_of_a_group():
    vocabulary = Vocabulary()
    for name in ("K20784", "4.2.1.150"):
        vocabulary.add(name)
    assert vocabulary.reaches("K20784")
    assert not vocabulary.reaches("K20903")
    assert not vocabulary.reaches("4.2.1.167")
    assert not vocabulary.reaches("7.2.4.3")


def test_single_copy_identifiers_cover_the_built_in_families():
    files = catalogue_files(None)
    found = read_single_copy_identifiers(
        str(files.families).replace("families.yaml", "single_copy_identifiers.tsv")
    )
    assert list(found) == list(load_catalogue(files).single_copy)
    assert all(names["KO"] for names in found.values())
    # Each identifier is of one family only, and RNA polymerase's shared EC is of none.
    for kind in ("KO", "EC"):
        names = [name for row in found.values() for name in row[kind]]
        assert len(names) == len(set(names))
    assert "2.7.7.6" not in names


def test_single_copy_identifier_that_is_none_is_named(tmp_path):
    path = tmp_path / "s.tsv"
    path.write_text("family\tko\tec\nCOG1\tK1\t\n")
    with pytest.raises(CatalogueError, match="line 2: 'K1' is not a full KO"):
        read_single_copy_identifiers(path)


# ---- HUMAnN


def test_rows_of_humann_are_split_into_identifier_name_and_stratum():
    assert split_feature("K00626: acetyl-CoA: thing|g__A.s__A_b") == ("K00626", "g__A.s__A_b")


@pytest.mark.parametrize(
    ("stratum", "taxon"),
    [
        ("g__Bacteroides.s__Bacteroides_dorei", "Bacteroides"),
        ("g__Clostridium_A.s__Clostridium_A_x", "Clostridium A"),
        ("g__Firmicutes_unclassified.s__Firmicutes_bacterium", "Firmicutes bacterium"),
        ("g__Firmicutes_unclassified", "unassigned"),
        ("s__Dorea_longicatena", "Dorea"),
        ("unclassified", "unassigned"),
        ("ASV_1", "ASV_1"),
    ],
)
def test_strata_become_genera(stratum, taxon):
    assert taxon_of_stratum(stratum) == taxon


def test_sample_names_and_units_come_from_the_header(tmp_path):
    text = "# Gene Family\ta_Abundance-RPKs\tb_Abundance-CPM\tc_Abundance\nK00626\t1\t2\t3\n"
    samples = read(tmp_path, text)
    assert [(s.name, s.unit) for s in samples] == [
        ("a", "RPK"), ("b", "CPM"), ("c", "table units"),
    ]  # fmt: skip


def test_copies_are_values_over_the_median_single_copy_family(tmp_path):
    rows = DEPTH | {"K02967": 40.0, "K01847": 3.0, "K01848": 2.0, "K00626": 20.0}
    # median(10, 10, 40) = 10; mut = 3 + 2, thl = 20: min(harmonic(.5, 2), .5) = .5
    found = score_text(tmp_path, rows)["MUT", "community"]
    assert (found.call, found.value, found.copies) == ("present", 5.0, 0.5)
    assert found.identifiers_used == "K01847 (mut), K01848 (mut), K00626 (thl)"
    assert found.reason == "pooled evidence: the table names no taxa"


def test_family_without_identifier_is_never_absent(tmp_path):
    found = score_text(tmp_path, DEPTH)["BUT", "community"]
    assert found.call == "indeterminate"
    assert found.reason == "no KO exists for but: give reads or genomes"
    assert math.isnan(found.copies)
    assert "but: no KO" in found.cannot_separate


def test_shared_identifier_leaves_a_route_open(tmp_path):
    found = score_text(tmp_path, DEPTH | {"K01034": 5.0, "K00626": 5.0})["ATO", "community"]
    assert found.call == "indeterminate"
    assert found.reason == "KO K01034 is shared by ato, decoy_sco"
    assert math.isnan(found.copies)
    assert "K01034" not in found.identifiers_used


def test_shared_identifier_that_is_not_there_rules_the_route_out(tmp_path):
    found = score_text(tmp_path, DEPTH)["ATO", "community"]
    assert (found.call, found.copies) == ("absent", 0.0)


def test_ec_of_a_complex_is_divided_by_its_chains(tmp_path):
    rows = {"6.1.1.4": 10, "6.1.1.9": 10, "6.1.1.11": 10, "2.8.3.12": 8, "2.8.3.16": 1}
    found = score_text(tmp_path, rows)["GCT", "community"]
    assert (found.call, found.copies) == ("present", pytest.approx(0.4))
    assert "2.8.3.12 names gctA, gctB together" in found.cannot_separate


def test_ec_of_look_alikes_leaves_a_route_open(tmp_path):
    rows = {"6.1.1.4": 10, "6.1.1.9": 10, "6.1.1.11": 10, "2.8.3.8": 8, "2.3.1.9": 3}
    found = score_text(tmp_path, rows)["BUT", "community"]
    assert found.call == "indeterminate"
    assert found.reason == "EC number 2.8.3.8 is shared by ato, but, decoy_ydiF"


def test_identifier_that_the_tool_is_too_old_for_is_not_missing(tmp_path):
    rows = {"6.1.1.4": 10, "6.1.1.9": 10, "6.1.1.11": 10, "2.8.3.1": 1}
    found = score_text(tmp_path, rows)["GCT", "community"]
    assert found.call == "indeterminate"
    assert "newer than any EC number of its group" in found.reason
    rows["2.8.3.20"] = 1  # now the tool is known to know the group that far
    assert score_text(tmp_path, rows)["GCT", "community"].call == "absent"


def test_what_a_filtered_table_lacks_is_not_missing(tmp_path):
    whole = score_text(tmp_path, DEPTH)
    cut = score_text(tmp_path, DEPTH, special=False)
    assert whole["MUT", "community"].call == "absent"
    assert cut["MUT", "community"].call == "indeterminate"
    assert "may have been filtered" in cut["MUT", "community"].reason
    listed = score_text(tmp_path, DEPTH | {"K01847": 0, "K01848": 0}, special=False)
    assert listed["MUT", "community"].call == "absent"


def test_absence_needs_depth(tmp_path):
    shallow = {name: value for name, value in DEPTH.items() if name != "K00001"}
    found = score_text(tmp_path, shallow | {"K00001": 2.0})["MUT", "community"]
    # 2 of 10 is 0.2 copies per genome: a route of 0.1 copies would not have shown.
    assert found.call == "below_detection"
    assert "lowest value 0.2 copies per genome" in found.reason


def test_without_single_copy_families_there_are_no_copies_but_calls(tmp_path):
    rows = {"K01847": 3.0, "K00626": 3.0, "K99999": 0.0}
    found = score_text(tmp_path, rows)
    assert (found["MUT", "community"].call, found["MUT", "community"].value) == ("present", 3.0)
    assert math.isnan(found["MUT", "community"].copies)
    assert found["GCT", "community"].call == "below_detection"
    assert "depth not known" in found["GCT", "community"].reason


def test_two_genera_do_not_make_a_route_of_one(tmp_path):
    a, b = "g__Aa.s__Aa_x", "g__Bb.s__Bb_y"
    rows = DEPTH | {
        "K00634": 4.0, f"K00634|{a}": 4.0,
        "K00929": 4.0, f"K00929|{b}": 4.0,
        "K00626": 4.0, f"K00626|{a}": 4.0,
    }  # fmt: skip
    ranks = {name: frozenset({name}) for name in ("Aa", "Bb")}
    found = score_text(tmp_path, rows, ranks)["BUK", "community"]
    assert (found.call, found.copies) == ("indeterminate", 0.0)
    assert found.reason == "no one taxon holds all markers and enough steps"


def one_genus(genus):
    stratum = f"g__{genus}.s__{genus}_x"
    rows = dict(DEPTH)
    for ko in ("K00634", "K00929", "K00626"):
        rows |= {ko: 6.0, f"{ko}|{stratum}": 4.0, f"{ko}|unclassified": 2.0}
    return rows


def test_route_of_one_genus_is_present_in_a_stratified_table(tmp_path):
    found = score_text(tmp_path, one_genus("Aa"), {"Aa": frozenset({"Aa", "Oscillospirales"})})
    assert found["BUK", "community"].call == found["BUK", "Aa"].call == "present"
    assert found["BUK", "community"].copies == pytest.approx(0.4)
    assert found["BUK", "unassigned"].copies == 0


def test_route_of_one_genus_cannot_be_judged_in_a_plain_table(tmp_path):
    rows = {name: value for name, value in one_genus("Aa").items() if "|" not in name}
    found = score_text(tmp_path, rows)["BUK", "community"]
    assert found.call == "indeterminate"
    assert "give a stratified table" in found.reason


def test_veto_of_an_order_needs_lineages(tmp_path):
    open_ = score_text(tmp_path, one_genus("Aa"))
    assert open_["BUK", "community"].call == open_["BUK", "Aa"].call == "indeterminate"
    assert "the lineage of Aa is not known; give --reference" in open_["BUK", "community"].reason
    vetoed = score_text(tmp_path, one_genus("Aa"), {"Aa": frozenset({"Aa", "Bacillales"})})
    # The pooled rest (unclassified) holds all genes, but is no organism.
    assert vetoed["BUK", "community"].call == "indeterminate"
    assert vetoed["BUK", "community"].copies == 0
    assert ("BUK", "Aa") not in vetoed


def test_veto_of_a_genus_needs_no_lineages(tmp_path):
    rows = {k: 4.0 if "unclassified" not in k and k[:6] in {"K00634", "K00929", "K00626"} else v
            for k, v in one_genus("Listeria").items() if "unclassified" not in k}  # fmt: skip
    found = score_text(tmp_path, rows)["BUK", "community"]
    assert found.call == "indeterminate"
    assert found.reason == "markers only in Listeria: never called there"


def test_copies_of_taxa_add_up_to_the_community(tmp_path):
    a, b = "g__Aa.s__Aa_x", "g__Bb.s__Bb_y"
    rows = DEPTH | {
        "K01847": 8.0, f"K01847|{a}": 4.0, f"K01847|{b}": 3.0, "K01847|unclassified": 1.0,
        "K00626": 8.0, f"K00626|{a}": 8.0,
    }  # fmt: skip
    found = score_text(tmp_path, rows)
    parts = {taxon: s.copies for (route, taxon), s in found.items() if route == "MUT"}
    whole = parts.pop("community")
    assert parts == pytest.approx({"Aa": whole / 2, "Bb": whole * 3 / 8, "unassigned": whole / 8})
    assert found["MUT", "Bb"].reason == "not seen: thl"


def test_only_stratified_rows_are_summed_for_the_community(tmp_path):
    rows = {"UNGROUPED|unclassified": 4, "K00626|g__A.s__x": 2.5, "K00626|g__B.s__y": 1.5}
    (sample,) = read(tmp_path, table(rows, special=False))
    assert sample.values["community"] == {"K00626": 4.0}
    assert sample.values["A"] == {"K00626": 2.5}
    assert not sample.filtered


def test_strata_that_do_not_add_up_are_refused(tmp_path):
    rows = {"K00626": "4.00", "K00626|g__A.s__x": "2.50", "K00626|g__B.s__y": "1.40"}
    with pytest.raises(TableError, match=r"K00626 in sample 'S1': the taxa add up to 3.9, the t"):
        read(tmp_path, table(rows))


def test_rounding_of_strata_is_allowed(tmp_path):
    rows = {"K00626": "4.00", "K00626|g__A.s__x": "2.33", "K00626|g__B.s__y": "1.66"}
    (sample,) = read(tmp_path, table(rows))
    assert sample.values["community"] == {"K00626": 4.0}


# ---- forms of text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_line_ends_byte_order_marks_and_quotes_change_nothing(tmp_path, end, mark, quote):
    cells = [[HEAD.split("\t")[0], HEAD.split("\t")[1]], ["UNMAPPED", "1"], ["K00626: x", "2.5"]]
    text = mark + end.join("\t".join(f"{quote}{c}{quote}" for c in row) for row in cells) + end
    (sample,) = read(tmp_path, text)
    assert (sample.name, sample.values) == ("S1", {"community": {"K00626": 2.5}})


def test_gzipped_table_is_read_by_its_content(tmp_path):
    path = tmp_path / "no_suffix"
    path.write_bytes(gzip.compress(table({"K00626": 2}).encode()))
    (sample,) = read_foreign_table(path, INDICES)
    assert sample.values["community"] == {"K00626": 2.0}


def test_cut_gzip_is_refused(tmp_path):
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(gzip.compress(table(dict.fromkeys(DEPTH, 1.234)).encode())[:-12])
    with pytest.raises(TableError, match="cut off or damaged"):
        read_foreign_table(path, INDICES)


def test_biom_to_tsv_is_read_when_its_tool_is_named(tmp_path):
    text = "# Constructed from biom file\n#OTU ID\tS1\nK00626\t2.0\n"
    with pytest.raises(TableError, match="does not tell which tool wrote the table"):
        read(tmp_path, text)
    (sample,) = read(tmp_path, text, table_format="humann")
    assert sample.values["community"] == {"K00626": 2.0}


# ---- refusals


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("ANAEROFRUCAT-PWY: homolactic fermentation", "MetaCyc pathways"),
        ("UNINTEGRATED", "MetaCyc pathways"),
        ("RXN-11667", "MetaCyc reactions"),
        ("k__Bacteria|p__Firmicutes", "taxa"),
        ("M00001", "KEGG modules"),
        ("ko00010", "KEGG pathways"),
        ("R00001", "KEGG reactions"),
        ("GO:0000001", "GO terms"),
        ("PF00001", "Pfam domains"),
        ("GH13_5", "CAZy families"),
        ("COG0001", "orthologous groups"),
        ("K001895: a typing error", "is no KO"),
    ],
)
def test_other_identifiers_are_refused_with_what_to_give(tmp_path, row, what):
    with pytest.raises(TableError, match=f"(?s)line 4.*{what}.*humann_regroup_table"):
        read(tmp_path, table({row: 1}))


def test_pathways_are_recognised_below_rows_that_are_not(tmp_path):
    with pytest.raises(TableError, match="MetaCyc pathways"):
        read(tmp_path, "Sample\tS1\nREDCITCYC: TCA cycle\t1\nPWY-5676\t2\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (f"{HEAD}\n", "no row of a family"),
        (f"{HEAD}\nUNMAPPED\t1\n", "no row of a family"),
        ("# Gene Family\nK00626\n", "no sample column"),
        ("function,S1\nK00626,1\n", "separated by commas"),
        (f"{HEAD}\nK00626\tNA\n", "line 2: column 'S1': 'NA' is a missing value"),
        (f"{HEAD}\nK00626\tnan\n", "is a missing value"),
        (f"{HEAD}\nK00626\t\n", "is a missing value"),
        (f"{HEAD}\nK00626\t-1\n", "'-1' is negative"),
        (f"{HEAD}\nK00626\tinf\n", "is infinite"),
        (f"{HEAD}\nK00626\t0,5\n", "decimals with a point"),
        (f"{HEAD}\nK00626\thigh\n", "'high' is not a number"),
        (f"{HEAD}\nK00626\t1\nK00626: again\t2\n", "line 3: 'K00626' stands in line 2"),
        (f"{HEAD}\nK00001\t1\nK00001\t2\n", "line 3: 'K00001' stands in line 2"),
        (
            f"{HEAD}\nK00626\t1\n2.8.3.8\t2\n",
            r"'2.8.3.8' \(EC\) does not go with 'K00626' \(KO\) in line 2",
        ),
        (f"{HEAD}\nK00626\t1\nTotal\t2\n", "line 3: 'Total' is no KO"),
        (f"{HEAD}\nK00626\t1\t2\n", "3 cells, the header has 2; R leaves"),
        (f"{HEAD}\tS1_Abundance-CPM\nK00626\t1\t2\n", "sample 'S1' stands twice"),
        (f"{HEAD}\nUniRef90_A\t1\n", "give --reference"),
        ("KO\tS1\nK00626\t1\n", "does not tell which tool wrote the table"),
    ],
)
def test_damaged_or_unsuitable_tables_are_refused(tmp_path, text, message):
    with pytest.raises(TableError, match="(?s)table.tsv.*" + message):
        read(tmp_path, text)


def test_format_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(TableError, match="looks like a table of humann, not of eggnog"):
        read(tmp_path, table({"K00626": 1}), table_format="eggnog")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(TableError, match="none.tsv: cannot be read"):
        read_foreign_table(tmp_path / "none.tsv", INDICES)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "t.tsv").write_bytes("é".encode("utf-16"))
    with pytest.raises(TableError, match="is not UTF-8 text"):
        read_foreign_table(tmp_path / "t.tsv", INDICES)


def test_sample_in_two_tables_is_refused(tmp_path):
    for name in ("a.tsv", "b.tsv"):
        (tmp_path / name).write_text(table({"K00626": 1}))
    with pytest.raises(TableError, match=r"b.tsv: sample 'S1' is also in .*a.tsv"):
        read_foreign_tables([tmp_path / "a.tsv", tmp_path / "b.tsv"], INDICES)


# ---- eggNOG-mapper

EGGNOG_HEAD = "#query\tseed_ortholog\tevalue\tscore\tDescription\tEC\tKEGG_ko\tPFAMs"
EGGNOG_END = "## 7 queries scanned\n## Total time (seconds): 1.0\n"


def eggnog(*kos, end=EGGNOG_END):
    rows = "".join(
        f"g{number}\t1.x\t1e-9\t100\ttext\t-\t{ko}\t-\n" for number, ko in enumerate(kos)
    )
    return f"## Fri Nov 20\n## emapper-2.1.12\n##\n{EGGNOG_HEAD}\n{rows}{end}"


WHOLE_GENOME = ("ko:K02950", "ko:K02992", "ko:K02967", "ko:K99999")


def test_genes_of_eggnog_mapper_are_counted(tmp_path):
    text = eggnog("ko:K00626", "ko:K00626,ko:K00627", "-", "ko:K01847,ko:K01848")
    (sample,) = read(tmp_path, text, "bin.1.emapper.annotations")
    assert sample.name == "bin.1"
    assert (sample.unit, sample.features, sample.unidentified) == ("genes", 3, 1)
    # One gene with two KOs of one family is one copy of it.
    assert sample.values["community"] == {"K00626": 2.0, "K01847": 1.0}
    assert not sample.filtered


def test_gene_with_kos_of_two_families_counts_for_neither(tmp_path):
    text = eggnog(*WHOLE_GENOME, "ko:K00634,ko:K19709")
    (sample,) = read(tmp_path, text)
    assert sample.doubtful == {"K00634": 1.0, "K19709": 1.0}
    assert "K00634" not in sample.values["community"]
    found = score(sample)["BUK", "community"]
    assert found.call == "indeterminate"
    assert "genes with K00634 (ptb) bear other families' too" in found.reason


def test_whole_genome_can_lack_a_route_and_half_a_genome_cannot(tmp_path):
    (whole,) = read(tmp_path, eggnog(*WHOLE_GENOME))
    (half,) = read(tmp_path, eggnog(*WHOLE_GENOME[1:]))
    assert score(whole)["MUT", "community"].call == "absent"
    found = score(half)["MUT", "community"]
    assert found.call == "below_detection"
    assert "2 of 3 universal single-copy families found" in found.reason


def test_genes_of_one_genome_are_of_one_organism(tmp_path):
    rows = (*WHOLE_GENOME, "ko:K01847", "ko:K00626")
    (genome,) = read(tmp_path, eggnog(*rows))
    (assembly,) = read(tmp_path, eggnog(*rows, *rows), "assembly")
    assert score(genome)["MUT", "community"].call == "present"
    assert score(genome)["MUT", "community"].reason == ""
    assert score(assembly)["MUT", "community"].reason.startswith("pooled evidence")
    assert score(assembly)["MUT", "community"].copies == 1.0


def test_cut_annotation_file_leaves_absence_open(tmp_path):
    (sample,) = read(tmp_path, eggnog(*WHOLE_GENOME, end=""))
    found = score(sample)["MUT", "community"]
    assert found.call == "indeterminate"
    assert "queries scanned" in found.reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#query\tseed_ortholog\tevalue\ng1\tx\t1\n", "no column 'KEGG_ko'"),
        (f"{EGGNOG_HEAD}\n{EGGNOG_END}", "no gene in the table"),
        (eggnog("-", "-"), "none of 2 genes has a KO"),
        (eggnog("map00010"), "'map00010' is no KO"),
    ],
)
def test_unsuitable_annotation_files_are_refused(tmp_path, text, message):
    with pytest.raises(TableError, match=message):
        read(tmp_path, text)


# ---- PICRUSt2


def test_unstratified_metagenome_of_picrust2_is_whole(tmp_path):
    rows = "".join(f"{name}\tsome enzyme\t{value}\n" for name, value in DEPTH.items())
    (sample,) = read(tmp_path, f"function\tdescription\tS1\n{rows}")
    assert (sample.tool, sample.unit, sample.filtered) == ("PICRUSt2", "predicted gene copies", "")
    assert score(sample)["MUT", "community"].call == "absent"


def test_wide_stratified_metagenome_of_picrust2_keeps_its_sequences(tmp_path):
    text = "function\tsequence\tS1\tS2\nK00626\tasv1\t1\t0\nK00626\tasv2\t2\t5\n"
    first, second = read(tmp_path, text)
    assert first.values["community"] == {"K00626": 3.0}
    assert second.values == {"community": {"K00626": 5.0}, "asv2": {"K00626": 5.0}}


def test_ec_prefix_of_picrust2_is_read(tmp_path):
    (sample,) = read(tmp_path, "function\tS1\nEC:2.8.3.12\t3.0\n")
    assert (sample.kind, sample.values["community"]) == ("EC", {"2.8.3.12": 3.0})


CONTRIB = "sample\tfunction\ttaxon\ttaxon_abun\ttaxon_rel_abun\tgenome_function_count"
CONTRIB += "\ttaxon_function_abun\ttaxon_rel_function_abun\n"


def contributions(*rows):
    return CONTRIB + "".join(f"{s}\t{f}\t{t}\t1\t1\t1\t{v}\t1\n" for s, f, t, v in rows)


def test_contributions_of_picrust2_add_up(tmp_path):
    text = contributions(
        ("S1", "K00626", "asv1", 2), ("S1", "K00626", "asv2", 3), ("S2", "K00626", "asv1", 7)
    )
    first, second = read(tmp_path, text)
    assert first.values == {
        "community": {"K00626": 5.0}, "asv1": {"K00626": 2.0}, "asv2": {"K00626": 3.0},
    }  # fmt: skip
    assert second.values["community"] == {"K00626": 7.0}
    assert first.taxa_are == "sequences"


def test_contribution_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(TableError, match="K00626 of 'asv1' in 'S1' stands twice"):
        read(tmp_path, contributions(("S1", "K00626", "asv1", 2), ("S1", "K00626", "asv1", 2)))


def test_contributions_without_abundance_are_refused(tmp_path):
    with pytest.raises(TableError, match="no column 'taxon_function_abun'"):
        read(tmp_path, "sample\tfunction\ttaxon\nS1\tK00626\tasv1\n")


def test_predicted_genomes_are_samples(tmp_path):
    text = (
        "sequence\tK00626\tK01847\tK02950\tK02992\tK02967\tK99999\tmetadata_NSTI\n"
        "asv1\t1\t1\t1\t1\t1\t0\t0.01\nasv2\t0\t0\t1\t1\t1\t0\t0.5\n"
    )
    first, second = read(tmp_path, text)
    assert (first.name, first.one_genome) == ("asv1", True)
    assert score(first)["MUT", "community"].call == "present"
    assert score(second)["MUT", "community"].call == "absent"


def test_table_of_marker_copies_is_refused(tmp_path):
    with pytest.raises(TableError, match="no row of a family|is no KO"):
        read(tmp_path, "sequence\t16S_rRNA_Count\tmetadata_NSTI\nasv1\t2\t0.1\n")


# ---- UniRef


def test_memory_does_not_grow_with_rows_that_are_not_of_the_catalogue(tmp_path):
    _, indices = uniref_indices(tmp_path)
    peaks = []
    for count in (25_000, 75_000):
        path = tmp_path / f"{count}.tsv"
        path.write_text(table({f"UniRef90_X{number}|g__A.s__b": 1 for number in range(count)}))
        tracemalloc.start()
        read_foreign_table(path, indices)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def uniref_indices(tmp_path):
    rows = [("UniRef90_BUT", "but"), ("UniRef90_THL", "thl"), ("UniRef90_S1", "COG1")]
    (tmp_path / "proteins.tsv").write_text(
        "protein\tfamily\tlength_aa\tlineage\tsource\taccession\n"
        + "".join(f"{p}\t{f}\t1\td__Bacteria;o__Lachnospirales;g__Dorea\tx\tx\n" for p, f in rows)
    )
    names = read_reference_names(tmp_path)
    return names, {**INDICES, "UniRef": index_identifiers("UniRef", names.uniref, CATALOGUE)}


def test_uniref_clusters_of_a_reference_tell_families_apart(tmp_path):
    names, indices = uniref_indices(tmp_path)
    path = tmp_path / "t.tsv"
    path.write_text(table({"UniRef90_BUT: x": 2, "UniRef90_THL": 4, "UniRef90_S1": 4,
                           "UniRef90_other": 9}))  # fmt: skip
    (sample,) = read_foreign_table(path, indices)
    found = score(sample, names.ranks, indices)
    assert (found["BUT", "community"].call, found["BUT", "community"].copies) == ("present", 0.5)
    assert (sample.features, sample.used) == (4, 3)
    assert names.ranks["Dorea"] == {"Bacteria", "Lachnospirales", "Dorea"}


def test_uniref_clusters_never_make_a_route_absent(tmp_path):
    _, indices = uniref_indices(tmp_path)
    path = tmp_path / "t.tsv"
    path.write_text(table({"UniRef90_THL": 4, "UniRef90_S1": 4}))
    (sample,) = read_foreign_table(path, indices)
    found = score(sample, {}, indices)
    assert found["BUT", "community"].call == found["GCT", "community"].call == "indeterminate"
    assert "none of the 1 UniRef clusters of but" in found["BUT", "community"].reason
    assert "holds no UniRef cluster of gctA" in found["GCT", "community"].reason


def test_folder_that_is_no_reference_is_named(tmp_path):
    with pytest.raises(ReferenceFolderError, match="give the folder of a protein reference"):
        read_reference_names(tmp_path)


# ---- properties

POSITIVE = st.floats(min_value=0.01, max_value=1e6)
KOS = ("K00626", "K00634", "K00929", "K01034", "K01039", "K01040", "K01847", "K01848")
RANK = {"absent": 0, "below_detection": 0, "indeterminate": 1, "present": 2}


def make_sample(values, strata=None):
    with tempfile.TemporaryDirectory() as folder:
        (sample,) = read(Path(folder), table(DEPTH | values | (strata or {})))
    return sample


@given(
    st.dictionaries(st.sampled_from(KOS), POSITIVE),
    st.sampled_from(KOS),
    st.floats(min_value=0.01, max_value=1e6),
)
def test_more_of_a_family_never_lowers_a_route(values, ko, more):
    before = score(make_sample(values))
    after = score(make_sample(values | {ko: values.get(ko, 0.0) + more}))
    for key, old in before.items():
        new = after[key]
        assert RANK[new.call] >= RANK[old.call]
        # A shared step that was missing took the value of the others, and may be scarcer.
        if ko in values and not (math.isnan(old.copies) or math.isnan(new.copies)):
            assert new.copies >= old.copies * (1 - 1e-9)


@given(
    st.dictionaries(
        st.tuples(
            st.sampled_from(KOS),
            st.sampled_from(["g__Aa.s__Aa_x", "g__Aa.s__Aa_y", "g__Bb.s__Bb_z", "unclassified"]),
        ),
        st.integers(min_value=1, max_value=10**6).map(lambda n: n / 100),
        min_size=1,
    )
)
def test_taxa_add_up_to_the_community(strata):
    totals = {}
    for (ko, _), value in strata.items():
        totals[ko] = round(totals.get(ko, 0.0) + value, 2)
    rows = {f"{ko}|{taxon}": value for (ko, taxon), value in strata.items()}
    sample = make_sample({ko: f"{v:.2f}" for ko, v in totals.items()}, rows)
    for ko, total in totals.items():
        parts = [taxa.get(ko, 0.0) for taxon, taxa in sample.values.items() if taxon != "community"]
        assert sum(parts) == pytest.approx(total)
    found = score(sample, {name: frozenset({name}) for name in ("Aa", "Bb")})
    for pathway in CATALOGUE.pathways:
        whole = found[pathway, "community"].copies
        parts = [s.copies for (p, t), s in found.items() if p == pathway and t != "community"]
        if parts and not math.isnan(whole):
            assert sum(parts) == pytest.approx(whole)


# ---- the command


def run(tmp_path, *arguments):
    parser = argparse.ArgumentParser()
    command_table.add_arguments(parser)
    out = tmp_path / "out"
    code = command_table.run(parser.parse_args(["--out", str(out), *map(str, arguments)]))
    return code, out


def built_in_rows():
    """A table with every KO that the built-in catalogue names, and the newest of all."""
    index = catalogue_identifiers(
        load_catalogue(catalogue_files(None)),
        read_single_copy_identifiers(
            str(catalogue_files(None).families).replace(
                "families.yaml", "single_copy_identifiers.tsv"
            )
        ),
    )["KO"]
    return dict.fromkeys(index.bearers, 1.0)


def test_command_writes_four_tables(tmp_path, capsys):
    (tmp_path / "t.tsv").write_text(table(built_in_rows()))
    code, out = run(tmp_path, tmp_path / "t.tsv")
    assert code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "families.tsv", "pathways.tsv", "products.tsv", "status.tsv",
    ]  # fmt: skip
    assert capsys.readouterr().out.startswith("1 of 1 samples scored")
    pathways = {row["pathway"]: row for row in read_table(out / "pathways.tsv")}
    # The project's own example of what identifiers cannot say: there is no KO for but.
    assert pathways["BUT_ACOA_BUT"]["call"] == "indeterminate"
    assert "no KO exists for but" in pathways["BUT_ACOA_BUT"]["reason"]
    assert pathways["BUT_GLUTARATE"]["call"] == "present"
    products = {(r["product"], r["direction"]): r for r in read_table(out / "products.tsv")}
    assert products["butyrate", "formation"]["call"] == "present"
    (status,) = read_table(out / "status.tsv")
    assert (status["status"], status["single_copy_median"]) == ("ok", "1")


def test_command_gives_the_same_bytes_again_in_any_order(tmp_path):
    rows = list(built_in_rows().items())
    (tmp_path / "t.tsv").write_text(table(dict(rows)))
    _, out = run(tmp_path, tmp_path / "t.tsv")
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    (tmp_path / "t.tsv").write_text(table(dict(reversed(rows))))
    run(tmp_path, tmp_path / "t.tsv")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first


def test_sample_of_zeros_is_an_error_state_and_has_no_rows(tmp_path, capsys):
    rows = {name: f"{value}\t0" for name, value in built_in_rows().items()}
    (tmp_path / "t.tsv").write_text(table(rows, special=False, header=f"{HEAD}\tS2_Abundance-RPKs"))
    code, out = run(tmp_path, tmp_path / "t.tsv")
    assert code == 1
    assert "S2: empty" in capsys.readouterr().out
    assert {r["sample"]: r["status"] for r in read_table(out / "status.tsv")} == {
        "S1": "ok", "S2": "empty",
    }  # fmt: skip
    assert {r["sample"] for r in read_table(out / "pathways.tsv")} == {"S1"}


def test_sample_without_any_identifier_of_the_catalogue_fails(tmp_path):
    (tmp_path / "t.tsv").write_text(table({"K99998": 5}))
    code, out = run(tmp_path, tmp_path / "t.tsv")
    assert code == 1
    (status,) = read_table(out / "status.tsv")
    assert status["status"] == "failed"
    assert "none of 1 KO features" in status["reason"]


def test_uniref_table_that_the_reference_does_not_know_fails(tmp_path):
    (tmp_path / "proteins.tsv").write_text("protein\tfamily\tlineage\nUniRef90_B\tbut\t\n")
    (tmp_path / "t.tsv").write_text(table({"UniRef50_X": 5, "UniRef50_Y": 1}))
    code, out = run(tmp_path, "--reference", tmp_path, tmp_path / "t.tsv")
    assert code == 1
    (status,) = read_table(out / "status.tsv")
    assert (status["status"], status["share_used"]) == ("failed", "0")
    assert "none of 2 UniRef clusters is in the reference" in status["reason"]


def test_nothing_is_written_when_a_table_is_refused(tmp_path):
    (tmp_path / "t.tsv").write_text(table({"PWY-5676": 5}))
    with pytest.raises(TableError, match="MetaCyc pathways"):
        run(tmp_path, tmp_path / "t.tsv")
    assert not (tmp_path / "out").exists()


def test_products_sum_the_present_routes_only(tmp_path):
    rows = DEPTH | {"K01847": 4.0, "K00626": 4.0, "K01039": 2.0, "K01040": 3.0}
    (sample,) = read(tmp_path, table(rows))
    (product,) = score_table_products(list(score(sample).values()))
    assert product.present == ("GCT", "MUT")
    assert product.value == 6.0
    assert product.copies == pytest.approx(0.6)


def test_unknown_families_have_no_value(tmp_path):
    (sample,) = read(tmp_path, table(DEPTH | {"K01034": 5.0}))
    rows = {r.family: r for r in family_values(TableEvidence(sample, INDICES["KO"], CATALOGUE))}
    assert math.isnan(rows["but"].value)
    assert (rows["ato"].sight, rows["ato"].shared_value) == (Sight.UNKNOWN, 5.0)
    assert (rows["mut"].sight, rows["mut"].value) == (Sight.MISSING, 0.0)
