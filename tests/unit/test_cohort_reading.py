import gzip
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake_runs import ROOT

from fermentome.cohort.data import CARRIERS, PATHWAYS, PRODUCTS, TAXA, Account
from fermentome.cohort.ranks import at_rank
from fermentome.cohort.reading import UNCLASSIFIED_SHARE, load_cohort
from fermentome.cohort.text_tables import amounts
from fermentome.errors import CohortError

DATA = ROOT.parent / "shared/data/cohort"
VULGATUS = "k__Bacteria|p__B|c__B|o__B|f__B|g__Bacteroides|s__Bacteroides_vulgatus"
UNIFORMIS = "k__Bacteria|p__B|c__B|o__B|f__B|g__Bacteroides|s__Bacteroides_uniformis"
GENUS = "k__Bacteria|p__B|c__B|o__B|f__B|g__Bacteroides"
DOREA = "k__Bacteria|p__F|c__C|o__C|f__L|g__Dorea"


def write(path, rows, end="\n"):
    text = "".join("\t".join(map(str, row)) + end for row in rows)
    path.write_bytes(text.encode())
    return path


def load(tmp_path, taxa, metadata=None, **options):
    """Cohort of a taxa table and metadata given as rows, and its account."""
    account = Account("reading")
    path = write(tmp_path / "taxa.tsv", taxa)
    sheet = None if metadata is None else write(tmp_path / "metadata.tsv", metadata)
    return load_cohort({TAXA: path}, sheet, account, **options), account


def said(account):
    return "\n".join(f"{e.item}: {e.status}: {e.reason}" for e in account.entries)


SIMPLE = [["taxon", "a", "b"], ["Dorea longicatena", 0.25, 0], ["Blautia obeum", 0.75, 1]]
SHEET = [["sample", "subject"], ["a", "x"], ["b", "y"]]


# --- which way round, and which units -------------------------------------------------------------


def test_samples_may_be_columns_or_rows(tmp_path):
    one, _ = load(tmp_path, SIMPLE, SHEET)
    other, _ = load(tmp_path, [list(row) for row in zip(*SIMPLE, strict=True)], SHEET)
    for cohort in (one, other):
        table = cohort.tables[TAXA]
        assert table.samples == ("a", "b")
        assert table.features == ("Blautia obeum", "Dorea longicatena")
        assert table.values.tolist() == [[0.75, 0.25], [1, 0]]


def test_a_head_that_says_sample_does_not_outweigh_names_of_the_metadata(tmp_path):
    cohort, _ = load(tmp_path, [["Sample", "a", "b"], *SIMPLE[1:]], SHEET)
    assert cohort.samples == ("a", "b")


def test_lineages_tell_the_way_round_without_metadata(tmp_path):
    cohort, _ = load(tmp_path, [["Sample", "a", "b"], [VULGATUS, 10, 20], [UNIFORMIS, 90, 80]])
    assert cohort.samples == ("a", "b")
    assert cohort.tables[TAXA].values[0].tolist() == [0.9, 0.1]


def test_a_table_of_which_nothing_tells_the_way_round_is_refused(tmp_path):
    with pytest.raises(CohortError, match=r"taxa\.tsv, header: cannot tell.*call the first column"):
        load(tmp_path, [["x", "a", "b"], ["one", 1, 2]])


@pytest.mark.parametrize(
    ("values", "share", "rest"),
    [
        ([[0.2], [0.6]], [0.25, 0.75], 0.2),  # shares
        ([[20.0], [60.5]], [20 / 80.5, 60.5 / 80.5], 0.195),  # percent
        ([[200], [600]], [0.25, 0.75], 0.0),  # counts
        ([[3.5], [10.5]], [0.25, 0.75], 0.0),  # neither
    ],
)
def test_shares_percent_and_counts_are_closed_over_what_is_known(tmp_path, values, share, rest):
    rows = [["taxon", "a"], ["A a", *values[0]], ["B b", *values[1]]]
    cohort, _ = load(tmp_path, rows)
    assert cohort.tables[TAXA].values[0] == pytest.approx(share)
    assert cohort.metadata.column(UNCLASSIFIED_SHARE).numbers[0] == pytest.approx(rest)


def test_counts_are_kept_for_standardisation(tmp_path):
    cohort, _ = load(tmp_path, [["taxon", "b", "a"], ["A a", 20, 500], ["B b", 60, 0]])
    assert cohort.tables[TAXA].counts.tolist() == [[500, 0], [20, 60]]
    cohort, _ = load(tmp_path, SIMPLE)
    assert cohort.tables[TAXA].counts is None


def test_the_unclassified_are_no_taxon_but_part_of_the_whole(tmp_path):
    for name in ("unclassified", "UNKNOWN", "Unassigned"):
        cohort, _ = load(tmp_path, [["taxon", "a"], ["A a", 0.4], [name, 0.6]])
        assert cohort.tables[TAXA].features == ("A a",)
        assert cohort.tables[TAXA].values.tolist() == [[1.0]]
        assert cohort.metadata.of(UNCLASSIFIED_SHARE, "a") == "0.6"


def test_a_sample_of_which_nothing_is_classified_has_no_known_make_up(tmp_path):
    cohort, account = load(tmp_path, [["taxon", "a", "b"], ["A a", 0, 1], ["unclassified", 1, 0]])
    assert np.isnan(cohort.tables[TAXA].values[0]).all()
    assert cohort.tables[TAXA].known_samples() == ("b",)
    assert cohort.metadata.of(UNCLASSIFIED_SHARE, "a") == "1"
    assert "no species is known" in said(account)


def test_columns_of_metaphlan_beside_the_samples_are_no_samples(tmp_path):
    path = tmp_path / "merged.tsv"
    head = "#mpa_v30_CHOCOPhlAn_201901\n#clade_name\tNCBI_tax_id\ta_metaphlan\n"
    text = f"{head}{VULGATUS}\t2|9\t98.5\n"
    path.write_text(text, encoding="utf-8")
    cohort = load_cohort({TAXA: path}, None, Account("reading"))
    assert cohort.samples == ("a",)
    assert cohort.tables[TAXA].features == ("Bacteroides vulgatus",)
    assert cohort.metadata.of(UNCLASSIFIED_SHARE, "a") == "0.015"


# --- ranks ----------------------------------------------------------------------------------------


def test_totals_of_a_genus_are_not_counted_beside_its_species(tmp_path):
    rows = [
        ["ID", "a", "b"],
        [GENUS, 60, 100],
        [VULGATUS, 40, 100],
        [UNIFORMIS, 20, 0],
        [DOREA, 40, 0],
    ]
    cohort, account = load(tmp_path, rows, SHEET)
    table = cohort.tables[TAXA]
    assert table.features == ("Bacteroides uniformis", "Bacteroides vulgatus")
    assert table.values[0] == pytest.approx([20 / 60, 40 / 60])
    # Dorea is of no species: 40 % of sample a
    assert cohort.metadata.of(UNCLASSIFIED_SHARE, "a") == "0.4"
    assert "2 of genus" in said(account)
    assert "'Dorea'" in said(account)


def test_a_rest_of_a_genus_is_part_of_the_whole(tmp_path):
    # 10 reads could be told no further than the genus; less than its species, so no total
    rows = [["ID", "a"], [GENUS, 10], [VULGATUS, 70], [UNIFORMIS, 20]]
    cohort, _ = load(tmp_path, rows)
    assert cohort.tables[TAXA].values[0] == pytest.approx([20 / 90, 70 / 90])
    assert cohort.metadata.column(UNCLASSIFIED_SHARE).numbers[0] == pytest.approx(0.1)
    genera, _ = load(tmp_path, rows, rank="genus")
    assert genera.tables[TAXA].values.tolist() == [[1.0]]


def test_strains_are_parts_of_their_species(tmp_path):
    rows = [["ID", "a"], [VULGATUS, 100], [f"{VULGATUS}|t__SGB1", 60], [f"{VULGATUS}|t__SGB2", 40]]
    cohort, _ = load(tmp_path, rows)
    assert cohort.tables[TAXA].values.tolist() == [[1.0]]
    assert cohort.metadata.of(UNCLASSIFIED_SHARE, "a") == "0"


def test_species_are_added_up_where_a_higher_rank_is_asked_for(tmp_path):
    rows = [["ID", "a"], [VULGATUS, 30], [UNIFORMIS, 20], [f"{DOREA}|s__Dorea_longicatena", 50]]
    cohort, _ = load(tmp_path, rows, rank="genus")
    assert cohort.tables[TAXA].features == ("Bacteroides", "Dorea")
    assert cohort.tables[TAXA].values[0].tolist() == [0.5, 0.5]


def test_a_table_without_the_rank_keeps_the_deepest_that_it_has(tmp_path):
    cohort, account = load(tmp_path, [["ID", "a"], [GENUS, 60], [DOREA, 40]])
    assert cohort.tables[TAXA].features == ("Bacteroides", "Dorea")
    assert cohort.tables[TAXA].lineages["Dorea"].endswith("g__Dorea;s__")
    assert "unclassified" not in said(account)


def test_variants_of_one_species_are_added_up_by_the_column_of_their_taxonomy(tmp_path):
    rows = [
        ["#OTU ID", "a", "taxonomy"],
        ["v1", 30, "k__Bacteria; p__B; c__B; o__B; f__B; g__Prevotella; s__copri"],
        ["v2", 20, "k__Bacteria; p__B; c__B; o__B; f__B; g__Prevotella; s__copri"],
        ["v3", 200, "k__Bacteria; p__B; c__B; o__B; f__B; g__Prevotella; s__"],
    ]
    cohort, _ = load(tmp_path, rows)
    assert cohort.tables[TAXA].features == ("Prevotella copri",)
    assert cohort.tables[TAXA].counts.tolist() == [[50]]
    assert cohort.metadata.of(UNCLASSIFIED_SHARE, "a") == "0.8"


@settings(deadline=None, max_examples=50)
@given(st.permutations(range(5)))
def test_the_order_of_rows_changes_nothing(order):
    texts = [GENUS, VULGATUS, UNIFORMIS, DOREA, "UNKNOWN"]
    values = np.array([[60.0, 5], [40, 30], [20, 30], [30, 0], [10, 40]])
    first = at_rank(texts, values, "species")
    other = at_rank([texts[i] for i in order], values[list(order)], "species")
    assert first.names == other.names
    assert first.values.tolist() == other.values.tolist()
    assert (first.total.tolist(), first.without) == (other.total.tolist(), other.without)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(6)), st.permutations(range(3)))
def test_the_order_of_rows_and_columns_of_a_file_changes_no_bit(tmp_path_factory, rows, columns):
    folder = tmp_path_factory.mktemp("orders")
    names = [GENUS, VULGATUS, UNIFORMIS, f"{VULGATUS}|t__1", f"{VULGATUS}|t__2", "UNKNOWN"]
    values = np.random.default_rng(1).random((6, 3))
    body = [[name, *row] for name, row in zip(names, values.tolist(), strict=True)]
    first, _ = load(folder, [["ID", "a", "b", "c"], *body])
    order = [0, *(i + 1 for i in columns)]
    shuffled = [["ID", "a", "b", "c"], *(body[i] for i in rows)]
    other, _ = load(folder, [[row[i] for i in order] for row in shuffled])
    assert other.samples == first.samples
    assert other.tables[TAXA].values.tolist() == first.tables[TAXA].values.tolist()
    assert other.metadata.columns[UNCLASSIFIED_SHARE].values == (
        first.metadata.columns[UNCLASSIFIED_SHARE].values
    )


# --- the project's own tables ---------------------------------------------------------------------

TAXA_HEAD = ["sample", "taxon", "rank", "lineage", "relative_abundance", "reads"]
COPRI = "d__Bacteria;p__B;c__B;o__B;f__P;g__Segatella;s__Segatella copri"
PATHWAY_HEAD = ["sample", "pathway", "taxon", "product", "direction", "copies_per_genome", "ci_low",
                "ci_high", "call", "detection_limit"]  # fmt: skip
OWN_PATHWAYS = [
    PATHWAY_HEAD,
    ["a", "BUT", "community", "butyrate", "formation", 0.5, 0.4, 0.6, "present", 0.1],
    ["a", "BUT", "Roseburia", "butyrate", "formation", 0.3, "NA", "NA", "indeterminate", "NA"],
    ["a", "BUT", "unassigned", "butyrate", "formation", 0.2, "NA", "NA", "indeterminate", "NA"],
    ["a", "BUK", "community", "butyrate", "formation", 0, 0, 0.2, "below_detection", 0.3],
    ["a", "USE", "community", "lactate", "consumption", 0.9, 0.5, 1, "present", 0.01],
    ["b", "BUT", "community", "butyrate", "formation", 0, 0, 0.2, "below_detection", 0.4],
    ["b", "BUK", "community", "butyrate", "formation", 0.1, 0, 0.2, "indeterminate", 0.05],
    ["b", "BUK", "Dorea", "butyrate", "formation", 0.1, "NA", "NA", "present", "NA"],
    ["c", "BUT", "community", "butyrate", "formation", "NA", "NA", "NA", "NA", "NA"],
]
OWN_PRODUCTS = [
    ["sample", "product", "copies_per_genome", "ci_low", "ci_high"],
    ["a", "butyrate", 0.5, 0.4, 0.6],
    ["b", "butyrate", 0, "NA", "NA"],
    ["c", "butyrate", "NA", "NA", "NA"],
]


def own(tmp_path, **tables):
    account = Account("reading")
    paths = {name: write(tmp_path / f"{name}.tsv", rows) for name, rows in tables.items()}
    return load_cohort(paths, None, account), account


def test_own_taxa_are_closed_and_keep_their_reads(tmp_path):
    rows = [
        TAXA_HEAD,
        ["a", "Segatella copri", "species", COPRI, 0.3, 30],
        ["a", "Dorea sp.", "species", COPRI.replace("Segatella copri", "Dorea sp."), 0.1, 10],
        ["a", "unclassified", "unclassified", "", 0.6, 60],
        ["b", "Segatella copri", "species", COPRI, 0.5, 5],
        ["b", "unclassified", "unclassified", "", 0.5, 5],
        ["c", "Segatella copri", "species", COPRI, "NA", "NA"],
    ]
    cohort, _ = own(tmp_path, taxa=rows)
    table = cohort.tables[TAXA]
    assert table.features == ("Dorea sp.", "Segatella copri")
    assert table.values[:2].tolist() == [[pytest.approx(0.25), pytest.approx(0.75)], [0, 1]]
    assert np.isnan(table.values[2]).all()
    assert table.counts[:2].tolist() == [[10, 30], [0, 5]]
    assert cohort.metadata.column(UNCLASSIFIED_SHARE).values == ("0.6", "0.5", None)
    assert table.lineages["Segatella copri"] == COPRI


def test_zero_not_known_and_no_row_are_three_things(tmp_path):
    cohort, _ = own(tmp_path, products=[*OWN_PRODUCTS, ["d", "acetate", 1, 0.5, 2]])
    table = cohort.tables[PRODUCTS]
    assert table.features == ("acetate", "butyrate")
    butyrate = table.values[:, 1]
    assert butyrate[:2].tolist() == [0.5, 0]
    assert math.isnan(butyrate[2])  # failed
    assert butyrate[3] == 0  # looked at, and not listed
    assert math.isnan(table.values[2, 0])


def test_the_most_sensitive_route_gives_the_limit_of_a_product(tmp_path):
    cohort, _ = own(tmp_path, pathways=OWN_PATHWAYS, products=OWN_PRODUCTS)
    limits = cohort.tables[PRODUCTS].limits[:, 0]
    assert limits[:2].tolist() == [0.1, 0.05]
    assert math.isnan(limits[2])
    assert cohort.tables[PRODUCTS].low[0, 0] == 0.4


def test_rows_of_genera_are_carriers_and_no_pathways(tmp_path):
    cohort, _ = own(tmp_path, pathways=OWN_PATHWAYS)
    assert cohort.tables[PATHWAYS].features == ("BUK", "BUT", "USE")
    assert cohort.tables[PATHWAYS].unit == "copies per genome"
    assert not cohort.tables[PATHWAYS].compositional
    assert cohort.tables[CARRIERS].features == ("butyrate|Roseburia", "butyrate|unassigned")


def test_a_failed_sample_of_a_wide_table_has_no_unclassified_share(tmp_path):
    rows = [["taxon", "a", "b", "c"], ["A a", 0.5, "NA", ""], ["B b", 0.25, "NA", ""]]
    cohort, _ = load(tmp_path, rows)
    assert cohort.metadata.column(UNCLASSIFIED_SHARE).values == ("0.25", None, None)
    assert cohort.tables[TAXA].known_samples() == ("a",)


def test_a_table_of_the_unclassified_alone_has_samples_and_no_features(tmp_path):
    rows = [TAXA_HEAD, ["a", "unclassified", "unclassified", "", 1, 10]]
    cohort, account = own(tmp_path, taxa=rows)
    assert (cohort.samples, cohort.tables[TAXA].features) == (("a",), ())
    assert cohort.metadata.of(UNCLASSIFIED_SHARE, "a") == "1"
    assert "taxa: partly: 1 samples have no known value in it" in said(account)


def test_tables_with_a_header_alone_hold_no_sample(tmp_path):
    with pytest.raises(CohortError, match=r"taxa\.tsv: no sample in any table"):
        own(tmp_path, taxa=[TAXA_HEAD])
    cohort, _ = own(tmp_path, taxa=[TAXA_HEAD], products=OWN_PRODUCTS)
    assert cohort.samples == ("a", "b", "c")
    assert cohort.tables[TAXA].values.shape == (3, 0)


def test_a_row_without_a_sample_is_refused(tmp_path):
    with pytest.raises(CohortError, match=r"products\.tsv, line 5: no sample in the row"):
        own(tmp_path, products=[*OWN_PRODUCTS, ["", "acetate", 1, 1, 1]])


def test_tables_of_other_samples_are_not_known_there(tmp_path):
    cohort, account = own(
        tmp_path, taxa=[["taxon", "a", "z"], ["A a", 1, 1]], products=OWN_PRODUCTS
    )
    assert cohort.samples == ("a", "b", "c", "z")
    assert np.isnan(cohort.tables[PRODUCTS].values[3]).all()
    assert "products: partly: 2 samples have no known value in it" in said(account)


def test_older_tables_without_direction_are_of_formation(tmp_path):
    drop = PATHWAY_HEAD.index("direction")
    rows = [row[:drop] + row[drop + 1 :] for row in OWN_PATHWAYS if row[1] != "USE"]
    cohort, _ = own(tmp_path, pathways=rows, products=OWN_PRODUCTS)
    assert cohort.tables[CARRIERS].features == ("butyrate|Roseburia", "butyrate|unassigned")
    assert cohort.tables[PRODUCTS].limits[0, 0] == 0.1


def test_own_wide_tables_are_copies_per_genome(tmp_path):
    rows = [["pathway", "a", "b", "c"], ["BUT_4AB", 0.5, "", "NA"], ["ACE_WL", 0.1, "", "NA"]]
    table = own(tmp_path, pathways=rows)[0].tables[PATHWAYS]
    assert table.unit == "copies per genome"
    assert table.values[0].tolist() == [0.1, 0.5]
    assert table.known_samples() == ("a",)


def test_pathways_of_other_tools_are_closed_without_their_strata(tmp_path):
    rows = [
        ["# Pathway", "a_Abundance-CPM"],
        ["UNMAPPED", 900], ["PWY-1: one", 30], ["PWY-1: one|g__Dorea.s__Dorea_x", 30],
        ["PWY-2: two", 10],
    ]  # fmt: skip
    cohort, account = own(tmp_path, pathways=rows)
    table = cohort.tables[PATHWAYS]
    assert (table.samples, table.features) == (("a",), ("PWY-1: one", "PWY-2: two"))
    assert table.values.tolist() == [[0.75, 0.25]]
    assert table.compositional
    assert "closed to 1 over the features of the table" in said(account)


def test_a_unit_that_is_given_keeps_the_values(tmp_path):
    path = write(tmp_path / "ko.tsv", [["function", "a"], ["K00001", 0.5], ["K00002", 2.5]])
    cohort = load_cohort(
        {"families": path}, None, Account("reading"), units={"families": "copies per genome"}
    )
    assert cohort.tables["families"].values.tolist() == [[0.5, 2.5]]
    assert not cohort.tables["families"].compositional


def test_a_table_of_fermentome_table_without_copies_gives_its_own_unit(tmp_path):
    rows = [
        ["sample", "product", "direction", "copies_per_genome", "table_value", "table_unit"],
        ["a", "butyrate", "formation", "NA", 12.5, "CPM"],
        ["a", "lactate", "consumption", "NA", 3, "CPM"],
    ]
    cohort, account = own(tmp_path, products=rows)
    table = cohort.tables[PRODUCTS]
    assert (table.features, table.unit, table.values.tolist()) == (("butyrate",), "CPM", [[12.5]])
    assert "no copies per genome" in said(account)


def test_a_table_of_another_kind_is_refused(tmp_path):
    with pytest.raises(CohortError, match=r"is a table of products, given as pathways"):
        own(tmp_path, pathways=OWN_PRODUCTS)
    with pytest.raises(CohortError, match=r"first column is 'product'.*given as taxa"):
        own(tmp_path, taxa=[["product", "a"], ["butyrate", 1]])


def test_a_long_table_with_a_column_twice_is_refused(tmp_path):
    with pytest.raises(CohortError, match="column 'copies_per_genome' stands twice"):
        own(tmp_path, products=[[*row, row[2]] for row in OWN_PRODUCTS])


def test_a_feature_that_stands_twice_in_a_sample_is_refused(tmp_path):
    with pytest.raises(CohortError, match=r"line 5: product 'butyrate' of sample 'a' stands twice"):
        own(tmp_path, products=[*OWN_PRODUCTS, OWN_PRODUCTS[1]])


# --- values that no table should hold -------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("-1", "not logarithms"), ("inf", "correct"), ("1e999", "correct"), ("high", "correct"),
        ("0,5", "decimals with a point"), ("=A1+A2", "formulas"), ("1_000", "correct"),
        ("١", "correct"), ("1 000", "correct"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_named_with_its_place(tmp_path, cell, advice):
    with pytest.raises(CohortError) as caught:
        load(tmp_path, [["taxon", "a", "b"], ["A a", 1, 0], ["B b", 0.5, cell]])
    for part in ("taxa.tsv, line 3", "column 'b'", repr(cell), "expected a number", advice):
        assert part in str(caught.value)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=4))
def test_cells_are_amounts_or_refused(cells):
    try:
        values = amounts("t", 1, cells, [f"c{i}" for i in range(len(cells))])
    except CohortError:
        return
    assert not (values < 0).any()
    assert not np.isinf(values).any()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file is empty"),
        (b"taxon\ta\n", "header without rows"),
        (b"taxon,a\nx,1\n", "separated by commas"),
        (b"PK\x03\x04abc", "Excel workbook"),
        (b"\xff\xfet\0", "UTF-16"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"taxon\ta\n\xe9\t1\n", "not UTF-8"),
        (b"taxon\ta\nx\t1\t2\t3\n", "line 2: 4 cells, 2 expected"),
        (b"taxon\ta\ta\nx\t1\t2\n", "'a' stands twice"),
        (b"taxon\ta\nx\t1\nx\t2\n", r"line 3: 'x' stands twice \(first in line 2\)"),
        (b"taxon\ta\t\nx\t1\t2\n", "column 3 has no name"),
        (b"taxon\ta\n\t1\n", "first cell is empty"),
        (b"taxon\ta\nx\0y\t1\n", "NUL"),
        (gzip.compress(b"taxon\ta\n" + b"x\t1\n" * 999)[:-20], "cut off or damaged"),
    ],
)
def test_what_is_no_table_is_refused_with_its_name(tmp_path, content, message):
    path = tmp_path / "taxa.tsv"
    path.write_bytes(content)
    with pytest.raises(CohortError, match=message) as caught:
        load_cohort({TAXA: path}, None, Account("reading"))
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CohortError, match=r"gone\.tsv: cannot be read"):
        load_cohort({TAXA: tmp_path / "gone.tsv"}, None, Account("reading"))


def test_gzip_byte_order_mark_carriage_returns_and_quotes_are_read(tmp_path):
    text = '\ufefftaxon\t"a"\tb\r\n"A a"\t"1"\t0\r\nB b\t0\t1\r\n'
    path = tmp_path / "taxa.tsv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    cohort = load_cohort({TAXA: path}, None, Account("reading"))
    assert cohort.samples == ("a", "b")
    assert cohort.tables[TAXA].features == ("A a", "B b")


def test_a_header_of_r_without_a_name_for_the_first_column_is_read(tmp_path):
    cohort, _ = load(tmp_path, [["a", "b"], ["A a", 0.5, 1], ["B b", 0.5, 0]], SHEET)
    assert cohort.samples == ("a", "b")


# --- metadata -------------------------------------------------------------------------------------


def test_metadata_may_have_samples_as_columns(tmp_path):
    cohort, account = load(tmp_path, SIMPLE, [["sample", "b", "a"], ["age", 40, "NA"]])
    assert cohort.metadata.column("age").values == (None, "40")
    assert cohort.metadata.column("age").numbers[1] == 40
    assert "samples are columns" in said(account)


def test_the_column_of_samples_is_found_by_their_names(tmp_path):
    sheet = [["", "run", "subject"], ["1", "a", "x"], ["2", "b", "y"]]
    cohort, account = load(tmp_path, SIMPLE, sheet)
    assert cohort.metadata.column("subject").values == ("x", "y")
    assert "metadata column 1: left_out: it has no name" in said(account)


def test_where_people_are_named_as_their_samples_the_column_sample_is_taken(tmp_path):
    cohort, _ = load(tmp_path, SIMPLE, [["subject", "sample"], ["a", "a"], ["b", "b"]])
    assert cohort.metadata.column("subject").values == ("a", "b")


def test_samples_of_one_side_alone_are_said(tmp_path):
    cohort, account = load(tmp_path, SIMPLE, [["sample", "age"], ["a", 1], ["c", 2]])
    assert cohort.samples == ("a", "b")
    assert cohort.metadata.column("age").values == ("1", None)
    assert "1 samples of the metadata are in no table: 'c'" in said(account)
    assert "1 samples of the tables are not in the metadata: 'b'" in said(account)


def test_metadata_without_any_sample_of_the_tables_is_refused_with_examples(tmp_path):
    with pytest.raises(CohortError, match=r"none of the 2 samples.*'a', 'b'.*'A1'"):
        load(tmp_path, SIMPLE, [["sample", "age"], ["A1", 1]])


def test_words_for_missing_and_errors_of_spreadsheets_are_missing(tmp_path):
    sheet = [["sample", "age", "site"], ["a", "Not collected", "#N/A"], ["b", "12", "x"]]
    cohort, account = load(tmp_path, SIMPLE, sheet)
    assert cohort.metadata.column("age").values == (None, "12")
    assert cohort.metadata.column("age").numbers[1] == 12
    assert cohort.metadata.column("site").values == (None, "x")
    assert "error of a spreadsheet" in said(account)


@pytest.mark.parametrize("cell", ["1_000", "inf", "12,5", "0x10", "٣"])
def test_a_column_with_other_text_is_no_column_of_numbers(tmp_path, cell):
    cohort, _ = load(tmp_path, SIMPLE, [["sample", "x"], ["a", 1], ["b", cell]])
    assert cohort.metadata.column("x").numbers is None
    assert cohort.metadata.of("x", "b") == cell


def test_a_column_without_a_value_has_no_numbers(tmp_path):
    cohort, _ = load(tmp_path, SIMPLE, [["sample", "x"], ["a", ""], ["b", "NA"]])
    assert cohort.metadata.column("x").numbers is None
    assert cohort.metadata.column("x").missing == 2


def test_a_formula_in_the_metadata_is_no_value_and_is_said_with_its_place(tmp_path):
    cohort, account = load(tmp_path, SIMPLE, [["sample", "x"], ["a", 1], ["b", "=B1*2"]])
    assert cohort.metadata.column("x").values == ("1", None)
    assert "1 cells hold a formula" in said(account)
    assert "line 3, column 'x'" in said(account)


def test_samples_that_stand_twice_alike_are_kept_once_and_unlike_refused(tmp_path):
    cohort, account = load(tmp_path, SIMPLE, [*SHEET, ["a", "x"]])
    assert cohort.metadata.column("subject").values == ("x", "y")
    assert "1 rows stand twice alike" in said(account)
    with pytest.raises(CohortError, match=r"sample 'a': stands twice, with subject 'x' and 'z'"):
        load(tmp_path, SIMPLE, [*SHEET, ["a", "z"]])


def test_columns_that_stand_twice_alike_are_kept_once_and_unlike_refused(tmp_path):
    cohort, _ = load(tmp_path, SIMPLE, [["sample", "x", "x"], ["a", 1, 1], ["b", 2, 2]])
    assert list(cohort.metadata.columns) == ["x", UNCLASSIFIED_SHARE]
    with pytest.raises(CohortError, match=r"column 'x' stands twice with different values"):
        load(tmp_path, SIMPLE, [["sample", "x", "x"], ["a", 1, 1], ["b", 2, 3]])


def test_columns_that_the_analyses_know_are_found_in_any_case(tmp_path):
    cohort, _ = load(tmp_path, SIMPLE, [["Sample", "Subject"], ["a", "x"], ["b", "y"]])
    assert cohort.metadata.column("subject").levels == ("x", "y")


def test_tabs_and_line_breaks_within_quotation_marks_belong_to_the_cell(tmp_path):
    path = tmp_path / "metadata.tsv"
    path.write_text('sample\tnote\na\t"one\ttwo\nthree"\nb\t"say ""so"""\n', encoding="utf-8")
    cohort = load_cohort({TAXA: write(tmp_path / "taxa.tsv", SIMPLE)}, path, Account("reading"))
    assert cohort.metadata.column("note").values == ("one two three", 'say "so"')


def test_a_lone_quotation_mark_is_part_of_its_cell(tmp_path):
    cohort, _ = load(tmp_path, SIMPLE, [["sample", "x"], ["a", '5" tube'], ["b", '"open']])
    assert cohort.metadata.column("x").values == ('5" tube', '"open')


def test_metadata_with_byte_order_mark_and_carriage_returns_are_read(tmp_path):
    path = tmp_path / "metadata.tsv"
    path.write_bytes(b"\xef\xbb\xbfsample\tsubject\r\na\tx\r\n\r\nb\ty\r\n")
    cohort = load_cohort({TAXA: write(tmp_path / "taxa.tsv", SIMPLE)}, path, Account("reading"))
    assert cohort.metadata.column("subject").values == ("x", "y")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file is empty"),
        (b"sample\tx\n", "header without rows"),
        (b"sample,x\na,1\n", "separated by commas"),
        (b"sample\tx\na\t1\t2\t3\n", "line 2: 4 cells, 2 expected"),
        (b"sample\tx\na\t1\n\t2\n", "line 3: no sample in column 'sample'"),
        (gzip.compress(b"sample\tx\n" + b"a\t1\n" * 999)[:-20], "cut off or damaged"),
    ],
)
def test_metadata_that_are_no_table_are_refused(tmp_path, content, message):
    path = tmp_path / "metadata.tsv"
    path.write_bytes(content)
    with pytest.raises(CohortError, match=message) as caught:
        load_cohort({TAXA: write(tmp_path / "taxa.tsv", SIMPLE)}, path, Account("reading"))
    assert str(path) in str(caught.value)


def test_a_thousand_columns_are_read(tmp_path):
    names = [f"v{i}" for i in range(1000)]
    cohort, _ = load(
        tmp_path, SIMPLE, [["sample", *names], ["a", *range(1000)], ["b", *range(1000)]]
    )
    assert len(cohort.metadata.columns) == 1001
    assert cohort.metadata.of("v999", "b") == "999"


def test_counts_of_reads_stand_beside_the_metadata(tmp_path):
    account = Account("reading")
    reads = write(tmp_path / "reads.tsv", [["sample", "clean_reads", "subject"], ["a", 9, "r"]])
    cohort = load_cohort(
        {TAXA: write(tmp_path / "taxa.tsv", SIMPLE)}, write(tmp_path / "m.tsv", SHEET), account,
        reads=reads,
    )  # fmt: skip
    assert cohort.metadata.column("clean_reads").values == ("9", None)
    assert cohort.metadata.column("subject").values == ("x", "y")


def test_one_sample_without_metadata_is_a_cohort(tmp_path):
    cohort, account = load(tmp_path, [["taxon", "only"], ["A a", 1]])
    assert cohort.samples == ("only",)
    assert "metadata: left_out" in said(account)


def test_arguments_that_mean_nothing_are_refused(tmp_path):
    with pytest.raises(CohortError, match="'species' is no feature table"):
        load_cohort({"species": tmp_path}, None, Account("reading"))
    with pytest.raises(CohortError, match="none is given"):
        load_cohort({}, None, Account("reading"))
    with pytest.raises(CohortError, match="'kingdom' is no rank"):
        load(tmp_path, SIMPLE, rank="kingdom")


CELL = st.sampled_from(
    ["", "a", "b", "sample", "taxon", "0", "1", "-1", "0.5", "NA", "inf", '"', '"x', "#", "=1",
     "s__", "k__B|s__x", "unclassified", "relative_abundance", "lineage", "product",
     "copies_per_genome", "\r", "\x0b", "\u2028", "1e999"]
)  # fmt: skip
CONTENT = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.lists(st.lists(CELL, max_size=4), max_size=5).map(
        lambda rows: "\n".join("\t".join(row) for row in rows).encode()
    ),
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["taxa", "families", "products", "pathways"]), CONTENT, CONTENT)
def test_any_file_is_read_or_refused(tmp_path_factory, name, table, metadata):
    folder = tmp_path_factory.mktemp("any")
    (folder / "table.tsv").write_bytes(table)
    (folder / "metadata.tsv").write_bytes(metadata)
    for sheet in (None, folder / "metadata.tsv"):
        try:
            cohort = load_cohort({name: folder / "table.tsv"}, sheet, Account("reading"))
        except CohortError:
            continue
        for found in cohort.tables.values():
            assert found.samples == cohort.samples == tuple(sorted(cohort.samples))
            assert found.features == tuple(sorted(found.features))
            known = found.values[~np.isnan(found.values)]
            assert (known >= 0).all()
            assert np.isfinite(known).all()


# --- real cohorts ---------------------------------------------------------------------------------


def test_the_longitudinal_cohort_is_read_whole():
    folder = DATA / "hmp2_longitudinal"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    account = Account("reading")
    cohort = load_cohort(
        {TAXA: folder / "metaphlan_taxonomic_profiles.tsv.gz",
         PATHWAYS: folder / "humann_pathabundance_relab.tsv.gz"},
        folder / "metadata.tsv.gz", account,
    )  # fmt: skip
    # the data's own description: 1,595 samples of 130 people
    assert len(cohort.samples) == 1595
    assert len(cohort.metadata.column("subject").levels) == 130
    assert cohort.metadata.column("dysbiosis").numbers is not None
    assert cohort.metadata.column("diagnosis").levels == ("CD", "UC", "nonIBD")
    known = cohort.tables[TAXA].known_samples()
    sums = cohort.tables[TAXA].select(known).values.sum(axis=1)
    assert sums == pytest.approx(np.ones(len(known)))
    assert "16 of genus" in said(account)
    assert "samples are columns" in said(account)


def test_the_cross_sectional_cohort_is_read_whole():
    folder = DATA / "yachida_crc_2019"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    cohort = load_cohort(
        {TAXA: folder / "species.tsv.gz"}, folder / "metadata.tsv", Account("reading")
    )
    assert len(cohort.samples) == 347
    table = cohort.tables[TAXA]
    # a family whose genus has no name in the file
    assert "Erysipelotrichaceae bacterium 3 1 53" in table.features
    assert table.lineages["Dorea longicatena"].startswith("d__Bacteria;p__Firmicutes;")
    assert len(table.known_samples()) == 347
