"""Figures: any number of samples, any name, every status, the same bytes each time."""

import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from fermentome.figures import (
    leading_genera,
    looks_of,
    plot_carriers,
    plot_pathways,
    plot_reads,
    plot_taxa,
    sample_marks,
    shorten,
)
from fermentome.flow import STATUS_COLUMNS
from fermentome.quantify import PATHWAY_COLUMNS, PRODUCT_COLUMNS
from fermentome.tables import write_table
from fermentome.taxonomy import TAXONOMY_COLUMNS

FIGURES = ("reads", "taxa", "pathways", "carriers")
# Those whose panels a solver places.
LAID_OUT = ("pathways", "carriers")
PATHWAYS = {"ACE_A": "acetate", "BUT_A": "butyrate", "BUT_B": "butyrate", "PROP_A": "propionate"}
READ_COLUMNS = ("sample", "status", "raw_reads", "host_reads", "clean_reads")
STAGES = ("ingest", "trim", "host", "taxonomy", "function", "pathways")
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

    `statuses` names the samples that are not ok: empty, failed or low_depth.
    """

    def __init__(self, folder, samples, statuses=None, name="Genus one"):
        self.folder = folder
        self.statuses = statuses or {}
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = {kind: [] for kind in ("reads", "taxa", "pathways", "products", "status")}
        for number, sample in enumerate(samples):
            self.add(sample, number, name)
        columns = {
            "reads": READ_COLUMNS,
            "taxa": TAXONOMY_COLUMNS,
            "pathways": PATHWAY_COLUMNS,
            "products": PRODUCT_COLUMNS,
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
        word = "ok" if status == "low_depth" else status
        self.rows["reads"].append(dict(zip(READ_COLUMNS, (sample, word, *counts), strict=True)))
        self.rows["status"] += [
            blank(STATUS_COLUMNS, sample=sample, stage=stage, status=status, reason="because")
            for stage in STAGES
        ]
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
                plot_taxa(self.path("taxa"), self.path("status"), outputs)
            case "pathways":
                plot_pathways(self.path("pathways"), self.path("status"), outputs)
            case "carriers":
                plot_carriers(
                    table_path=self.path("pathways"),
                    products_path=self.path("products"),
                    status_path=self.path("status"),
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
