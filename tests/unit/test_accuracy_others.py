"""The judge's truth, and the rules of other tools as it applies them."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("pyrodigal")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks/accuracy"))

import annotation  # noqa: E402
import others  # noqa: E402
import others_reads  # noqa: E402
import peers  # noqa: E402
import phenotypes  # noqa: E402

GMM = [
    "M1\tfirst",
    "K00001,K00002\tK00003",
    "K00004",
    "K00005",
    "///",
    "M2\tsecond",
    "K00006",
    "///",
]


def organism(name: str, measured: set[str] | None) -> phenotypes.Organism:
    return phenotypes.Organism("G1", name, None if measured is None else frozenset(measured), "r")


@pytest.mark.parametrize(
    ("found", "coverage"),
    [
        (set(), 0.0),
        ({"K00001"}, 0.0),  # one part of a complex is no step
        ({"K00001", "K00002"}, 1 / 3),
        ({"K00003", "K00005"}, 2 / 3),
        ({"K00001", "K00002", "K00003", "K00004", "K00005"}, 1.0),
    ],
)
def test_coverage_of_a_module_is_the_share_of_steps_with_a_whole_alternative(
    found: set[str], coverage: float
) -> None:
    module = peers.parse_modules(GMM)["M1"]
    assert module.coverage(frozenset(found)) == pytest.approx(coverage)


def test_two_thirds_of_three_steps_reach_a_cut_off_of_two_thirds() -> None:
    modules = peers.parse_modules(GMM)
    found = frozenset({"K00003", "K00005"})
    assert peers.modules_called(modules, ["M1", "M2"], found, 2 / 3) == ["M1"]
    assert peers.modules_called(modules, ["M1", "M2"], found, 1.0) == []


def test_a_row_of_the_form_is_lit_by_any_of_its_ids() -> None:
    form = peers.parse_form(["function_name\tfunction_ids", 'x\t"K00001, EC:1.1.1.1"', "y\tK00002"])
    assert peers.rows_lit(form, ["x", "y"], frozenset({"EC:1.1.1.1"})) == ["x"]


def test_humann_pathways_are_read_without_strata_and_leftovers(tmp_path: Path) -> None:
    table = tmp_path / "t.tsv"
    table.write_text(
        "# Pathway\ts_Abundance\nUNMAPPED\t5\nUNINTEGRATED\t2\nP1: a name\t1.5\nP1: a name|g\t1.5\n"
        "P2\t0\n"
    )
    assert peers.read_abundance(table) == {"P1": 1.5}


def test_every_rule_and_pattern_of_the_repository_is_well_formed() -> None:
    rules = peers.read_rules()
    assert set(rules) == {"humann", "gmm", "dram"}
    assert all({"butyrate", "propionate"} <= set(products) for products in rules.values())
    tables = peers.read_names(None)
    assert tables.identifiers("alpha-L-fucosidase") == {"K01206"}
    assert "2.8.3.8" in tables.identifiers("butyryl-CoA:acetate CoA-transferase")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("acetic acid", "acetate"),
        ("DL-lactic acid", "lactate"),
        (" n-butanol", "butanol"),
        ("H2", "H2"),
    ],
)
def test_measured_products_get_the_names_of_the_catalogue(name: str, slug: str) -> None:
    assert phenotypes.product_slug(name) == slug


def test_a_list_of_products_denies_acids_that_are_never_overlooked_and_no_others() -> None:
    truth = phenotypes.read_truth(
        [organism("Genus species", {"acetate"})], ["butyrate", "acetate", "ethanol"], []
    )
    made = {product: fact.made for (_, product), fact in truth.items()}
    assert made == {"butyrate": "no", "acetate": "yes", "ethanol": "not_listed"}


def test_literature_overrules_the_table_and_nothing_is_known_of_others() -> None:
    facts = [{"organism": "A b|C d", "product": "propionate", "made": "debated", "source": "doi:x"}]
    products = ["propionate", "butyrate"]
    of_named = phenotypes.read_truth([organism("[C] d ATCC 1", {"propionate"})], products, facts)
    assert of_named["G1", "propionate"].made == "debated"
    unknown = phenotypes.read_truth([organism("C dd", None)], products, facts)
    assert {fact.made for fact in unknown.values()} == {"not_listed"}


@pytest.mark.parametrize(
    ("made", "called", "verdict"),
    [
        ("yes", True, "true_positive"),
        ("yes", False, "false_negative"),
        ("no", True, "false_positive"),
        ("no", False, "true_negative"),
        ("debated", True, "debated"),
        ("not_listed", True, "not_listed"),
    ],
)
def test_verdicts(made: phenotypes.Made, called: bool, verdict: str) -> None:
    assert phenotypes.verdict(made, called) == verdict


def test_close_relatives_need_identity_and_half_of_the_reference_protein(tmp_path: Path) -> None:
    hits = tmp_path / "hits.tsv"
    # qseqid sseqid pident qlen slen qstart qend sstart send bitscore
    hits.write_text(
        "0_1\tP1\t90.0\t100\t100\t1\t100\t1\t100\t200\n"
        "0_1\tP2\t89.9\t100\t100\t1\t100\t1\t100\t190\n"
        "0_2\tP3\t99.0\t100\t200\t1\t99\t1\t99\t180\n"
        "1_1\tP3\t99.0\t100\t200\t1\t100\t1\t100\t180\n"
    )
    assert annotation.close_relatives(hits, 90) == {0: {"P1"}, 1: {"P3"}}


def test_errors_are_what_is_missed_and_what_is_too_many() -> None:
    rows = [
        {"reference": "full", "tool": "GMM v1.07, complete", "product": product, "verdict": verdict,
         "called": called}
        for product, verdict, called in [
            ("butyrate", "false_negative", "no"),
            ("propionate", "false_positive", "yes"),
            ("propionate", "true_positive", "yes"),
            ("acetate", "false_negative", "no"),
            ("acetate", "not_listed", "yes"),
            ("acetate", "no_rule", None),
        ]
    ]  # fmt: skip
    errors = {row["product"]: row["errors"] for row in others.summarise(rows)}
    assert errors == {
        "all": 3,
        "acetate": 1,
        "butyrate": 1,
        "propionate": 1,
        "butyrate and propionate": 2,
    }


def test_a_community_makes_what_a_member_makes_and_nothing_is_denied_unless_all_are_known() -> None:
    members = tuple(phenotypes.Organism(name, name, None, "") for name in ("a", "b"))
    community = others_reads.Community("c", members)

    def made(first: phenotypes.Made, second: phenotypes.Made) -> phenotypes.Made:
        truth = {
            ("a", "butyrate"): phenotypes.Fact(first, ""),
            ("b", "butyrate"): phenotypes.Fact(second, ""),
        }
        return others_reads.community_truth(community, "butyrate", truth)

    assert made("no", "yes") == "yes"
    assert made("no", "no") == "no"
    assert made("no", "debated") == "debated"
    assert made("no", "not_listed") == "not_listed"


def test_fragments_kept_by_humann_are_those_aligned_and_not_among_the_rest(tmp_path: Path) -> None:
    temp = tmp_path / "reads_humann_temp"
    temp.mkdir()
    names = [f"SIM:1:A:1:1101:1000:{n}{mate}:N:0:ACGT" for n in (1000, 1001) for mate in (1, 2)]
    aligned = "".join(f"{name}|150\tP1\t90\n" for name in names)
    (temp / "reads_diamond_aligned.tsv").write_text(aligned)
    unaligned = f">{names[1]}\nACGT\n>{names[2]}\nACGT\n>{names[3]}\nACGT\n"
    (temp / "reads_diamond_unaligned.fa").write_text(unaligned)
    assert others_reads.count_aligned(tmp_path) == 1
