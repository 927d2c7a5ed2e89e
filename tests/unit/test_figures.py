"""Figures: any number of samples, any name, every status, the same bytes each time."""

import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from fermentome.drawing import looks_of, sample_marks, shorten
from fermentome.figures import (
    leading_genera,
    plot_carriers,
    plot_pathways,
    plot_reads,
    plot_taxa,
)
from fermentome.flow import STATUS_COLUMNS
from fermentome.quantify import PATHWAY_COLUMNS, PRODUCT_COLUMNS
from fermentome.tables import write_table
from fermentome.taxonomy import TAXONOMY_COLUMNS
from fermentome.unserved import UNSERVED_COLUMNS, Limits
from fermentome.unserved_figure import plot_unserved

FIGURES = ("reads", "taxa", "pathways", "carriers", "unserved")
# Those whose panels a solver places.
LAID_OUT = ("taxa", "pathways", "carriers", "unserved")
PATHWAYS = {"ACE_A": "acetate", "BUT_A": "butyrate", "BUT_B": "butyrate", "PROP_A": "propionate"}
READ_COLUMNS = ("sample", "status", "raw_reads", "host_reads", "clean_reads")
STAGES = ("ingest", "trim", "host", "taxonomy", "function", "pathways", "databases")
LIMITS = Limits(0.5, 0.1, 0.75, 0.1, None)
# What a name of a species can hold that is not for the eye.
MARKUP = "<script>alert('x')</script> & co"
FORMULA = r"$x$ and $\alpha^2$"
RIGHT_TO_LEFT = "\u200fabc\u202edef"
LONG = "n" * 64


def blank(columns, **values):
    return dict.fromkeys(columns) | values


def pathway_rows(sample, number, genus):
    for index, (pathway, product) in enumerate(PATHWAYS.items()):
        call = ("present", "absent", "indeterminate", "below_detection")[(number + index) % 4]
        copies = 0.3 + 0.1 * index + 0.01 * number if call in {"present", "indeterminate"} else 0.0
        common = {"sample": sample, "pathway": pathway, "product": product, "call": call}
        common["direction"] = "formation"
        yield blank(
            PATHWAY_COLUMNS, **common, taxon="community", copies_per_genome=copies,
            ci_low=copies * 0.8, ci_high=copies * 1.2, detection_limit=0.05,
        )  # fmt: skip
        # Carriers differ in number, so that the panels of the products differ in height.
        others = [f"Other {n}" for n in range({"butyrate": 7, "acetate": 4}.get(product, 0))]
        shares = {genus: 0.5, "unassigned": 0.5 - 0.05 * len(others)} | dict.fromkeys(others, 0.05)
        for taxon, share in shares.items():
            yield blank(
                PATHWAY_COLUMNS, **common, taxon=taxon, copies_per_genome=copies * share
            )  # fmt: skip


class Tables:
    """The joined tables of some samples, written to a folder.

    `statuses` names the samples that are not ok: empty, failed, low_depth or underserved. `shares`
    are further cells of the table of unserved shares.
    """

    def __init__(self, folder, samples, statuses=None, name="Genus one", shares=None):
        self.folder = folder
        self.statuses = statuses or {}
        self.shares = shares or {}
        folder.mkdir(parents=True, exist_ok=True)
        kinds = ("reads", "taxa", "pathways", "products", "unserved", "status")
        self.rows = {kind: [] for kind in kinds}
        for number, sample in enumerate(samples):
            self.add(sample, number, name)
        columns = {
            "reads": READ_COLUMNS,
            "taxa": TAXONOMY_COLUMNS,
            "pathways": PATHWAY_COLUMNS,
            "products": PRODUCT_COLUMNS,
            "unserved": UNSERVED_COLUMNS,
            "status": STATUS_COLUMNS,
        }
        for kind, rows in self.rows.items():
            write_table(self.path(kind), columns[kind], rows)

    def add(self, sample, number, name):
        status = self.statuses.get(sample, "ok")
        counts = {
            "failed": (None, None, None),
            "empty": (2000, 1900, 0),
        }.get(status, (10_000 + number, 500, 9_000))
        word = "ok" if status in {"low_depth", "underserved"} else status
        self.rows["reads"].append(dict(zip(READ_COLUMNS, (sample, word, *counts), strict=True)))
        self.rows["status"] += [
            blank(STATUS_COLUMNS, sample=sample, stage=stage, reason="because",
                  status="ok" if (status == "underserved") != (stage == "databases")
                  and status in {"underserved", "low_depth"} else status)
            for stage in STAGES
        ]  # fmt: skip
        if status != "empty":
            self.rows["unserved"].append(self.unserved_row(sample, number, status))
        if status == "failed":
            self.rows["taxa"].append(
                blank(TAXONOMY_COLUMNS, sample=sample, taxon="unclassified", rank="unclassified")
            )
            for pathway, product in PATHWAYS.items():
                self.rows["pathways"].append(
                    blank(PATHWAY_COLUMNS, sample=sample, pathway=pathway, product=product,
                          taxon="community")
                )  # fmt: skip
            for product in sorted(set(PATHWAYS.values())):
                self.rows["products"].append(blank(PRODUCT_COLUMNS, sample=sample, product=product))
        elif status != "empty":
            shares = {name: 0.6, f"Second {number % 15}": 0.3, "unclassified": 0.1}
            self.rows["taxa"] += [
                blank(TAXONOMY_COLUMNS, sample=sample, taxon=taxon, relative_abundance=share)
                for taxon, share in shares.items()
            ]
            self.rows["pathways"] += pathway_rows(sample, number, name)
            self.add_products(sample)

    def unserved_row(self, sample, number, status):
        if status == "failed":
            return blank(UNSERVED_COLUMNS, sample=sample)
        over = status == "underserved"
        return blank(
            UNSERVED_COLUMNS, sample=sample, unclassified_share=0.64 if over else 0.1,
            no_phenotype_share=0.05, open_phenotype_cell_share=0.03, no_lineage_share=0.2,
            ambiguous_share=0.0, hit_share=0.04, target_fragments=200, no_lineage_fragments=40,
            ambiguous_fragments=0, mean_clean_read_length=150, unserved_routes="",
        ) | {key: values[number] for key, values in self.shares.items()}  # fmt: skip

    def add_products(self, sample):
        for product in sorted(set(PATHWAYS.values())):
            value = sum(
                row["copies_per_genome"]
                for row in self.rows["pathways"]
                if (row["sample"], row["product"], row["taxon"], row["call"])
                == (sample, product, "community", "present")
            )
            values = {"copies_per_genome": value, "ci_low": value * 0.8, "ci_high": value * 1.2}
            self.rows["products"].append(
                blank(PRODUCT_COLUMNS, sample=sample, product=product)
                | {key: number for key, number in values.items() if key in PRODUCT_COLUMNS}
            )

    def path(self, kind):
        return self.folder / f"{kind}.tsv"

    def draw(self, figure, folder=None):
        """Draw one figure; returns the PNG and the SVG."""
        folder = folder or self.folder
        outputs = (folder / f"{figure}.png", folder / f"{figure}.svg")
        match figure:
            case "reads":
                plot_reads(self.path("reads"), True, outputs)
            case "taxa":
                plot_taxa(*map(self.path, ("taxa", "status", "unserved")), LIMITS, outputs)
            case "pathways":
                plot_pathways(*map(self.path, ("pathways", "status", "unserved")), LIMITS, outputs)
            case "unserved":
                plot_unserved(self.path("unserved"), self.path("status"), LIMITS, outputs)
            case "carriers":
                plot_carriers(
                    table_path=self.path("pathways"),
                    products_path=self.path("products"),
                    status_path=self.path("status"),
                    unserved_path=self.path("unserved"),
                    limits=LIMITS,
                    outputs=outputs,
                )
        return outputs


def texts(svg):
    """Texts of a figure, each as a reader sees it."""
    root = ElementTree.parse(svg).getroot()
    return ["".join(node.itertext()).strip()
            for node in root.iter("{http://www.w3.org/2000/svg}text")]  # fmt: skip


def names(count):
    return [f"sample_{number:02d}" for number in range(count)]


each_figure = pytest.mark.parametrize("figure", FIGURES)


# Any number of samples ---------------------------------------------------------------------------


@each_figure
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_any_number_of_samples_is_drawn(tmp_path, figure, count):
    png, svg = Tables(tmp_path, names(count)).draw(figure)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert png.stat().st_size > 5_000
    assert texts(svg)


@pytest.mark.parametrize("figure", ["reads", "taxa", "carriers"])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_every_sample_has_its_row(tmp_path, figure, count):
    shown = texts(Tables(tmp_path, names(count)).draw(figure)[1])
    assert set(names(count)) <= set(shown)


def test_few_samples_have_a_panel_each_and_many_share_one(tmp_path):
    few = texts(Tables(tmp_path / "few", names(12)).draw("pathways")[1])
    many = texts(Tables(tmp_path / "many", names(13)).draw("pathways")[1])
    assert set(names(12)) <= set(few)
    assert set(names(13)).isdisjoint(many)
    assert any("median" in text for text in many)


@each_figure
def test_picture_of_many_samples_keeps_within_bounds(tmp_path, figure):
    """At 200 dots per inch 150 rows of 0.26 inch would take 8,000 of them."""
    png, _ = Tables(tmp_path, names(150)).draw(figure)
    width, height = struct.unpack(">II", png.read_bytes()[16:24])
    panels = len(set(PATHWAYS.values())) if figure == "carriers" else 1
    assert width < 4_000
    assert height < 5_000 * panels


@each_figure
@pytest.mark.parametrize("status", ["failed", "empty"])
def test_run_without_any_result_is_drawn(tmp_path, figure, status):
    statuses = dict.fromkeys(names(3), status)
    _, svg = Tables(tmp_path, names(3), statuses).draw(figure)
    assert texts(svg)


# Any name ----------------------------------------------------------------------------------------


@each_figure
@pytest.mark.parametrize(
    "name", [MARKUP, FORMULA, RIGHT_TO_LEFT], ids=["markup", "formula", "right to left"]
)
def test_name_of_a_taxon_is_text_and_nothing_else(tmp_path, figure, name):
    _, svg = Tables(tmp_path, names(2), name=name).draw(figure)
    content = svg.read_text(encoding="utf-8")
    assert "<script" not in content
    if figure in {"taxa", "carriers"}:
        assert shorten(name, 40) in texts(svg)


@each_figure
def test_sample_of_sixty_four_letters_is_drawn(tmp_path, figure):
    _, svg = Tables(tmp_path, [LONG]).draw(figure)
    assert all(len(text) <= 120 for text in texts(svg))


@each_figure
def test_long_names_that_differ_at_their_end_can_be_told_apart(tmp_path, figure):
    """As names of a project with a number behind do."""
    samples = [f"{'project_of_a_long_name_' * 2}{number:03d}" for number in (1, 2)]
    shown = [text for text in texts(Tables(tmp_path, samples).draw(figure)[1])
             if text.startswith("project")]  # fmt: skip
    assert len(set(shown)) == 2


def test_short_names_stay_whole():
    assert shorten("sample") == "sample"
    assert shorten("n" * 28) == "n" * 28
    assert len(shorten("n" * 29)) == 28


# Failed and empty --------------------------------------------------------------------------------


@each_figure
def test_failed_empty_and_shallow_samples_are_marked(tmp_path, figure):
    samples = ["sound", "broken", "void", "thin"]
    statuses = {"broken": "failed", "void": "empty", "thin": "low_depth"}
    shown = " ".join(texts(Tables(tmp_path, samples, statuses).draw(figure)[1]))
    assert "sound (" not in shown
    assert "broken (failed)" in shown
    assert "void (empty)" in shown
    # Depth says nothing about the counts of reads.
    assert ("thin (low depth)" in shown) == (figure != "reads")


def test_failed_sample_is_not_drawn_as_zero(tmp_path):
    samples, statuses = ["sound", "broken"], {"broken": "failed"}
    tables = Tables(tmp_path, samples, statuses)
    assert "NA" in texts(tables.draw("pathways")[1])
    assert "NA" in texts(tables.draw("carriers")[1])
    assert "failed: see status.tsv" in texts(tables.draw("reads")[1])


def test_host_is_left_out_where_none_was_looked_for(tmp_path):
    tables = Tables(tmp_path, names(2))
    outputs = (tmp_path / "r.png", tmp_path / "r.svg")
    plot_reads(tables.path("reads"), False, outputs)
    shown = texts(outputs[1])
    assert "host, removed" not in shown
    assert any("host reads were not looked for" in text for text in shown)


RESULT_FIGURES = ("taxa", "pathways", "carriers")


@pytest.mark.parametrize("figure", [*RESULT_FIGURES, "unserved"])
def test_unserved_shares_stand_beside_each_sample(tmp_path, figure):
    shares = {"unclassified_share": [0.12, 0.64], "no_lineage_share": [0.23, 0.34]}
    tables = Tables(tmp_path, ["sound", "other"], {"other": "underserved"}, shares=shares)
    shown = texts(tables.draw(figure)[1])
    assert "other (underserved)" in " ".join(shown)
    assert "sound (" not in " ".join(shown)
    # An exclamation mark says above the limit without colour.
    assert {"12 %", "64 % !", "23 %", "34 %", "above the limit (!)", "limit"} <= set(shown)
    for what in ("unclassified", "no phenotype", "no lineage"):
        assert any(text.startswith(what) for text in shown)


def test_unserved_shares_of_many_samples_are_a_distribution_over_the_pathways(tmp_path):
    statuses = {"sample_05": "underserved"}
    shown = texts(Tables(tmp_path, names(13), statuses).draw("pathways")[1])
    assert "unclassified (reads)" in shown
    assert "hollow: underserved sample" in shown
    plain = texts(Tables(tmp_path / "plain", names(13)).draw("pathways")[1])
    assert "hollow: underserved sample" not in plain


@pytest.mark.parametrize("figure", [*RESULT_FIGURES, "unserved"])
def test_share_that_no_sample_knows_is_not_drawn(tmp_path, figure):
    """Without a species profile nothing is unclassified, and nothing is not."""
    shares = {"unclassified_share": [None] * 3, "no_phenotype_share": [None] * 3}
    shown = texts(Tables(tmp_path, names(3), shares=shares).draw(figure)[1])
    assert any(text.startswith("no lineage") for text in shown)
    assert not any(text.startswith("unclassified (") for text in shown)
    assert not any(text.startswith("no phenotype") for text in shown)


def test_share_that_one_sample_lacks_says_so(tmp_path):
    shares = {"unclassified_share": [0.1, None]}
    assert "NA" in texts(Tables(tmp_path, names(2), shares=shares).draw("unserved")[1])
    assert "NA" not in texts(Tables(tmp_path / "whole", names(2)).draw("unserved")[1])


def test_switched_off_limit_is_not_drawn(tmp_path):
    tables = Tables(tmp_path, names(2), {"sample_01": "underserved"})
    outputs = (tmp_path / "u.png", tmp_path / "u.svg")
    off = Limits(None, None, None, None, None)
    plot_unserved(tables.path("unserved"), tables.path("status"), off, outputs)
    shown = texts(outputs[1])
    assert "64 %" in shown
    assert "limit" not in shown


def test_sample_for_which_the_run_fails_is_marked_underserved():
    """Its results are there; only the configuration lets the run fail for it."""
    rows = [
        {"sample": "a", "stage": "pathways", "status": "low_depth"},
        {"sample": "a", "stage": "databases", "status": "failed"},
        {"sample": "b", "stage": "ingest", "status": "failed"},
        {"sample": "b", "stage": "databases", "status": "failed"},
    ]
    assert sample_marks(rows, "pathways") == {"a": "low depth, underserved", "b": "failed"}


def test_marks_are_those_of_the_stage():
    rows = [
        {"sample": "a", "stage": "taxonomy", "status": "low_depth"},
        {"sample": "a", "stage": "pathways", "status": "ok"},
        {"sample": "b", "stage": "pathways", "status": "failed"},
    ]
    assert sample_marks(rows, "pathways") == {"b": "failed"}
    assert sample_marks(rows, "taxonomy") == {"a": "low depth"}


# What is drawn -----------------------------------------------------------------------------------


def test_rare_species_are_drawn_together(tmp_path):
    """Fifteen seconds and one first: twelve are named, four are others."""
    shown = texts(Tables(tmp_path, names(30)).draw("taxa")[1])
    assert "Genus one" in shown
    assert sum(text.startswith("Second") for text in shown) == 11
    assert "other species" in shown
    assert "unclassified" in shown


def test_no_two_parts_look_the_same():
    looks = looks_of([f"part {number}" for number in range(18)])
    assert len(set(looks.values())) == 18


def test_leading_genera_are_those_with_the_most_copies():
    copies = {
        "butyrate": {
            "A": {"s": 1.0}, "B": {"s": 2.0}, "unassigned": {"s": 9.0}, "Z": {"s": 0.0},
        },
        "acetate": {"A": {"s": 3.0}},
    }  # fmt: skip
    assert leading_genera(copies) == ["A", "B"]


# The same bytes ----------------------------------------------------------------------------------


@each_figure
def test_same_tables_give_the_same_bytes(tmp_path, figure):
    tables = Tables(tmp_path, names(3))
    first = [path.read_bytes() for path in tables.draw(figure)]
    (tmp_path / "again").mkdir()
    second = [path.read_bytes() for path in tables.draw(figure, tmp_path / "again")]
    assert first == second


PROGRAM = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import test_figures
tables = test_figures.Tables(Path(sys.argv[1]), test_figures.names(3))
for figure in test_figures.LAID_OUT:
    tables.draw(figure)
"""


def test_another_process_draws_the_same_bytes(tmp_path):
    """Hashes and addresses differ from process to process, and so could what depends on them."""
    here = Path(__file__).parent
    drawn = set()
    for number in range(6):
        folder = tmp_path / str(number)
        arguments = [folder, here, here.parents[1] / "scripts"]
        subprocess.run([sys.executable, "-c", PROGRAM, *map(str, arguments)], check=True)
        files = sorted(folder.glob("*.[ps][nv]g"))
        assert len(files) == 2 * len(LAID_OUT)
        drawn.add(tuple((path.name, path.read_bytes()) for path in files))
    assert len(drawn) == 1


@each_figure
def test_figure_holds_no_date_and_no_program_version(tmp_path, figure):
    png, svg = Tables(tmp_path, names(2)).draw(figure)
    assert b"Software" not in png.read_bytes()
    assert "<dc:date>" not in svg.read_text(encoding="utf-8")
