from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from fermentome.cohort.data import (
    LEFT_OUT,
    PARTLY,
    PRODUCTS,
    TAXA,
    Account,
    Cohort,
    Column,
    FeatureTable,
    Metadata,
    Numbers,
)
from fermentome.cohort.effect_figures import plot_effects
from fermentome.cohort.effects import (
    ABUNDANCE,
    DETECTION,
    DIVERSITY,
    EFFECT_COLUMNS,
    LEAST_FEATURES,
    analyse_effects,
    on_log_scale,
    with_diversity,
    write_effects,
    write_rows,
)
from fermentome.cohort.reading import load_cohort
from fermentome.cohort.settings import Settings
from fermentome.drawing import MOST_HEIGHT
from fermentome.tables import Cell

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "cohort"
Row = dict[str, Cell]


def text_column(name: str, cells: object) -> Column:
    return Column(name, tuple(str(cell) for cell in cells), None)  # type: ignore[attr-defined]


def cohort_of(values: object, *, name: str = TAXA, group: object = None, **more: object) -> Cohort:
    values = np.asarray(values, dtype=np.float64)
    samples = tuple(f"s{number:03d}" for number in range(len(values)))
    features = tuple(f"f{number:02d}" for number in range(values.shape[1]))
    compositional = name == TAXA
    table = FeatureTable(
        name, samples, features, values, "share" if compositional else "copies per genome",
        compositional, **{k: v for k, v in more.items() if k in {"limits"}},  # type: ignore[arg-type]
    )  # fmt: skip
    columns = {
        key: column for key, column in more.items() if isinstance(column, Column)
    }  # fmt: skip
    if group is not None:
        columns["group"] = text_column("group", group)
    return Cohort(Metadata(samples, columns), {name: table})


def effects_of(cohort: Cohort, **changes: object) -> tuple[list[Row], Account]:
    account = Account("effects")
    found = analyse_effects(cohort, Settings(**changes), account)  # type: ignore[arg-type]
    return found.rows, account


def one(rows: list[Row], feature: str, kind: str = ABUNDANCE) -> Row:
    (row,) = [row for row in rows if row["feature"] == feature and row["kind"] == kind]
    return row


TEN = ["a"] * 5 + ["b"] * 5


def test_copies_per_genome_are_compared_as_in_a_t_test_of_their_logs() -> None:
    copies = [[0.25], [0.5], [1], [2], [4], [1], [2], [4], [8], [16]]
    rows, account = effects_of(cohort_of(copies, name=PRODUCTS, group=TEN))
    row = one(rows, "f00")
    # By hand: logs -2..2 and 0..4, difference 2, both variances 2.5, error sqrt(2.5 * 2 / 5) = 1,
    # 8 degrees of freedom: t = 2, p = 0.0805; the quantile is 2.306 (any table of t).
    assert row["effect"] == pytest.approx(2)
    assert row["p"] == pytest.approx(0.0805, abs=5e-5)
    assert row["ci_low"] == pytest.approx(2 - 2.306, abs=5e-4)
    assert row["ci_high"] == pytest.approx(2 + 2.306, abs=5e-4)
    assert row["q"] == row["p"]
    assert (row["level"], row["reference"]) == ("b", "a")
    assert row["mean_reference"] == pytest.approx(1.55)
    assert row["mean_level"] == pytest.approx(6.2)
    assert row["unit"] == "log2 fold change"
    assert row["method"] == "log2, linear model"
    assert row["samples"] == row["subjects"] == 10


def test_the_difference_in_detection_stands_beside() -> None:
    copies = [[0], [0], [0], [0], [1], [0], [1], [1], [1], [1]]
    rows, _ = effects_of(cohort_of(copies, name=PRODUCTS, group=TEN))
    row = one(rows, "f00", DETECTION)
    # 1 of 5 and 4 of 5 samples. Variances 0.2 both: error sqrt(0.4 / 5), t = 2.1213, p = 0.0667.
    assert row["effect"] == pytest.approx(0.6)
    assert (row["mean_reference"], row["mean_level"]) == pytest.approx((0.2, 0.8))
    assert row["p"] == pytest.approx(0.0667, abs=5e-5)
    assert row["ci_high"] == 1.0
    assert row["prevalence"] == 0.5


def test_zeros_stand_for_half_the_limit_or_half_the_least_value() -> None:
    values = np.array([[0.0, 4.0], [2.0, 0.0], [8.0, 1.0]])
    cohort = cohort_of(values, name=PRODUCTS)
    assert on_log_scale(cohort.tables[PRODUCTS]) == pytest.approx(
        np.array([[0, 2], [1, -1], [3, 0]])
    )
    limits = np.array([[0.5, 0.5], [0.5, 0.25], [0.5, np.nan]])
    cohort = cohort_of(values, name=PRODUCTS, limits=limits)
    assert on_log_scale(cohort.tables[PRODUCTS]) == pytest.approx(
        np.array([[-2, 2], [1, -3], [3, 0]])
    )


def test_a_zero_of_a_sample_too_shallow_to_show_what_others_have_is_not_known() -> None:
    values = np.array([[0.0], [0.0], [0.1], [0.2], [0.4]])
    limits = np.array([[1.3], [0.3], [0.02], [0.02], [0.02]])
    logs = on_log_scale(cohort_of(values, name=PRODUCTS, limits=limits).tables[PRODUCTS])
    # Half of 1.3 lies above the median of what is seen, 0.2; half of 0.3 does not.
    assert np.isnan(logs[0, 0])
    assert logs[1, 0] == pytest.approx(np.log2(0.15))


def test_shares_are_centred_and_unknown_samples_stay_unknown() -> None:
    values = np.array([[0.5, 0.25, 0.25], [np.nan] * 3, [0.1, 0.8, 0.1]])
    logs = on_log_scale(cohort_of(values).tables[TAXA])
    assert logs[0] == pytest.approx([2 / 3, -1 / 3, -1 / 3])
    assert np.isnan(logs[1]).all()
    assert logs[2] == pytest.approx([-1, 2, -1])


def drawn(seed: int, samples: int = 40, features: int = 30) -> Numbers:
    draw = np.random.default_rng(seed)
    counts = 2.0 ** (draw.normal(0, 2, features) + draw.normal(0, 1, (samples, features)))
    return np.asarray(counts)


def test_a_bloom_does_not_make_others_fall() -> None:
    group = ["a", "b"] * 20
    counts = drawn(1)
    counts[1::2, :3] *= 64
    shares = counts / counts.sum(axis=1, keepdims=True)
    rows, _ = effects_of(cohort_of(shares, group=group))
    found = np.array([one(rows, f"f{n:02d}")["effect"] for n in range(30)], dtype=float)
    assert found[:3] == pytest.approx(6, abs=1.2)
    # Uncorrected, the others would fall by 3 * 6 / 30 = 0.6 by the centring alone.
    assert np.median(found) == pytest.approx(0, abs=1e-9)
    called = [row["feature"] for row in rows if row["kind"] == ABUNDANCE and row["q"] <= 0.05]  # type: ignore[operator]
    assert called == ["f00", "f01", "f02"]


def test_few_features_are_not_corrected_and_that_is_said() -> None:
    counts = drawn(2, features=LEAST_FEATURES - 1)
    rows, account = effects_of(cohort_of(counts, group=["a", "b"] * 20))
    assert {row["method"] for row in rows if row["kind"] == ABUNDANCE} == {"clr, linear model"}
    assert any(e.status == PARTLY and "fewer than 10" in e.reason for e in account.entries)
    found = [row["effect"] for row in rows if row["kind"] == ABUNDANCE]
    assert sum(found) == pytest.approx(0, abs=1e-9)  # type: ignore[arg-type]


def test_a_number_has_the_effect_of_one_standard_deviation() -> None:
    age = np.array([20.0, 30, 40, 50, 60, 70])
    copies = (2.0 ** (age / 10 + np.array([0.1, -0.1, 0, 0, -0.1, 0.1])))[:, None]
    column = Column("age", tuple(str(a) for a in age), age)
    rows, _ = effects_of(
        cohort_of(copies, name=PRODUCTS, age=column), groups=(), covariates=("age",)
    )
    row = one(rows, "f00")
    # Sum of squares of 20..70 is 1750, so the SD is sqrt(350); 0.1 log2 per year.
    assert row["sd"] == pytest.approx(350**0.5)
    assert row["effect"] == pytest.approx(0.1 * 350**0.5, rel=0.01)
    assert row["unit"] == "log2 fold change per SD"
    assert row["level"] is None and row["mean_level"] is None


def test_untested_features_have_a_row_with_the_reason() -> None:
    counts = drawn(3)
    counts[:, 5] = 0
    counts[:, 6] = 0
    counts[0, 6] = 1
    counts[::2, 7] = 0
    rows, account = effects_of(cohort_of(counts, name=PRODUCTS, group=["a", "b"] * 20))
    assert {row["feature"] for row in rows} == {f"f{n:02d}" for n in range(30)} - {"f05", "f06"}
    assert any("2 seen in fewer than 10%" in entry.reason for entry in account.entries)
    everywhere = one(rows, "f00", DETECTION)
    assert np.isnan(everywhere["p"]) and "seen in all samples" in str(everywhere["reason"])  # type: ignore[arg-type]
    perfect = one(rows, "f07", DETECTION)
    assert perfect["mean_level"] == 1.0 and perfect["mean_reference"] == 0.0
    # 2 of 20-out-of-40 ways to share out the people.
    assert perfect["p"] == pytest.approx(2 / 137846528820) and perfect["effect"] == 1.0


def by_people(seed: int, people: int, samples: int, features: int) -> tuple[Numbers, Numbers]:
    """Copies of features that people have for good, most of them, and whose they are."""
    draw = np.random.default_rng(seed)
    subject = np.repeat(np.arange(people), samples)
    size = (people, features), (people * samples, features)
    has = (draw.random(size[0]) < 0.4)[subject] ^ (draw.random(size[1]) < 0.02)
    logs = draw.normal(size=size[0])[subject] + draw.normal(size=size[1])
    return np.where(has, 2.0**logs, 0.0), subject


def test_what_few_people_have_is_never_surer_than_their_number_allows() -> None:
    copies, subject = by_people(8, 6, 5, 300)
    people, group = text_column("subject", subject), np.where(subject < 3, "a", "b")
    rows, _ = effects_of(cohort_of(copies, name=PRODUCTS, group=group, subject=people))
    p = np.array([row["p"] for row in rows if row["kind"] == DETECTION], dtype=float)
    # Of the 20 ways to take 3 of 6 people, two part them as this one does.
    assert np.nanmin(p) >= 0.1 - 1e-12
    p = np.array([row["p"] for row in rows if row["kind"] == ABUNDANCE], dtype=float)
    # Nothing differs: of 300 features, 5 at 0.001 come out in 2 of 10^5 cohorts.
    assert (p <= 0.001).sum() < 5


def test_intervals_agree_with_p_where_few_people_have_a_feature() -> None:
    copies, subject = by_people(9, 8, 4, 60)
    people, group = text_column("subject", subject), np.where(subject < 4, "a", "b")
    rows, _ = effects_of(cohort_of(copies, name=PRODUCTS, group=group, subject=people))
    tested = [row for row in rows if not np.isnan(row["p"])]  # type: ignore[arg-type]
    assert len(tested) > 100
    for row in tested:
        apart = not row["ci_low"] <= 0 <= row["ci_high"]  # type: ignore[operator]
        assert apart == (row["p"] < 0.05)  # type: ignore[operator]


def test_a_feature_of_one_group_alone_has_a_difference_in_detection() -> None:
    copies = np.outer(np.array([0] * 15 + [1] * 15), [1.0, 2.0])
    subject = np.repeat(np.arange(10), 3)
    people, group = text_column("subject", subject), np.where(subject < 5, "a", "b")
    rows, _ = effects_of(cohort_of(copies, name=PRODUCTS, group=group, subject=people))
    row = one(rows, "f01", DETECTION)
    # 2 of 5-out-of-10 = 252 ways.
    assert row["effect"] == 1.0 and row["p"] == pytest.approx(2 / 252)
    assert 0 < row["ci_low"] < row["ci_high"] == 1.0  # type: ignore[operator]
    assert "describe it fully" in str(one(rows, "f01")["reason"])


def test_values_that_are_not_known_cost_their_samples_only() -> None:
    counts = drawn(4, features=3)
    counts[:6, 1] = np.nan
    counts[4:, 2] = np.nan
    rows, _ = effects_of(cohort_of(counts, name=PRODUCTS, group=["a", "b"] * 20))
    assert one(rows, "f00")["samples"] == 40
    assert one(rows, "f01")["samples"] == 34
    assert "known in 4 samples only" in str(one(rows, "f02")["reason"])
    logs = np.log2(counts[6:, 1])
    assert one(rows, "f01")["effect"] == pytest.approx(logs[1::2].mean() - logs[::2].mean())


def test_a_table_of_rare_features_and_a_missing_group_are_said() -> None:
    counts = np.zeros((40, 2))
    rows, account = effects_of(cohort_of(counts, name=PRODUCTS, group=["a", "b"] * 20))
    assert not rows
    assert "none of 2 features" in account.entries[-1].reason
    rows, account = effects_of(cohort_of(counts))
    assert not rows and account.entries[-1].status == LEFT_OUT
    rows, account = effects_of(cohort_of(np.ones((1, 3)), group=["a"]))
    assert not rows and account.entries[-1].status == LEFT_OUT
    rows, account = effects_of(cohort_of(np.full((12, 3), np.nan), group=["a", "b"] * 6))
    assert not rows and account.entries


def test_people_are_counted_once_whatever_their_samples() -> None:
    draw = np.random.default_rng(5)
    subject = np.repeat(np.arange(12), 10)
    own = draw.normal(0, 1, (12, 400))[subject] + draw.normal(0, 0.3, (120, 400))
    people = text_column("subject", subject)
    group = np.where(subject % 2 == 0, "a", "b")
    rows, _ = effects_of(cohort_of(2.0**own, name=PRODUCTS, group=group, subject=people))
    p = np.array([row["p"] for row in rows if row["kind"] == ABUNDANCE], dtype=float)
    # 99.9 % of such shares lie within 0.05 -+ 3.3 sqrt(0.05 0.95 / 400) = 0.036.
    assert abs((p <= 0.05).mean() - 0.05) < 0.036
    rows, _ = effects_of(cohort_of(2.0**own, name=PRODUCTS, group=group))
    p = np.array([row["p"] for row in rows if row["kind"] == ABUNDANCE], dtype=float)
    assert (p <= 0.05).mean() > 0.3


@example_settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_order_of_samples_and_features_changes_nothing(seed: int) -> None:
    counts = drawn(seed)
    counts[counts < 0.3] = 0
    cohort = cohort_of(counts, group=["a", "b"] * 20, subject=text_column("s", np.arange(40) // 2))
    draw = np.random.default_rng(seed)
    samples = [cohort.samples[n] for n in draw.permutation(40)]
    table = cohort.tables[TAXA]
    features = [table.features[n] for n in draw.permutation(30)]
    other = Cohort(cohort.metadata.select(samples), {TAXA: table.select(samples, features)})
    for row, again in zip(effects_of(cohort)[0], effects_of(other)[0], strict=True):
        assert row["feature"] == again["feature"] and row["reason"] == again["reason"]
        for key in ("effect", "ci_low", "p", "q"):
            assert row[key] == pytest.approx(again[key], rel=1e-5, abs=1e-7, nan_ok=True)


def test_the_table_and_its_figure_are_written_the_same_twice(tmp_path: Path) -> None:
    counts = drawn(6)
    counts[::2, :4] *= 20
    cohort = cohort_of(counts, group=["a", "b"] * 20)
    for run in ("1", "2"):
        outputs = {"effects": tmp_path / f"effects{run}.tsv"}
        write_effects(cohort, Settings(), Account("effects"), outputs)
        pictures = [tmp_path / f"{run}.png", tmp_path / f"{run}.svg"]
        plot_effects(outputs["effects"], pictures, table=TAXA, term="group")
    assert (tmp_path / "effects1.tsv").read_bytes() == (tmp_path / "effects2.tsv").read_bytes()
    for kind in ("png", "svg"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()
    svg = (tmp_path / "1.svg").read_text(encoding="utf-8")
    assert "b against a" in svg and "f00" in svg
    assert "The first 20 of each comparison are drawn" in svg


def alpha_rows(samples: tuple[str, ...]) -> list[dict[str, str]]:
    return [
        {"sample": sample, "metric": metric, "value": value, "depth_reads": "NA",
         "standardisation": ""}
        for number, sample in enumerate(samples)
        for metric, value in (
            ("shannon", str(number // 5 + 0.1 * (number % 5))), ("coverage", "0.9"),
            ("richness_at_depth", "NA"),
        )
    ]  # fmt: skip


def test_diversity_is_compared_in_its_own_unit(tmp_path: Path) -> None:
    cohort = cohort_of(np.ones((10, 1)), name=PRODUCTS, group=TEN)
    rows, _ = effects_of(with_diversity(cohort, alpha_rows(cohort.samples)))
    (row,) = [row for row in rows if row["table"] == DIVERSITY]
    assert (row["feature"], row["unit"]) == ("shannon", "difference, nats")
    # Variances of 0, 0.1 .. 0.4 are 0.025: difference 1, error sqrt(0.05 / 5) = 0.1.
    assert row["effect"] == pytest.approx(1)
    assert row["ci_low"] == pytest.approx(1 - 0.2306, abs=5e-5)
    assert (row["mean_reference"], row["mean_level"]) == pytest.approx((0.2, 1.2))
    write_rows(tmp_path / "effects.tsv", rows)
    svg = tmp_path / "d.svg"
    plot_effects(tmp_path / "effects.tsv", [svg], table=DIVERSITY, term="group")
    assert "difference, nats" in svg.read_text(encoding="utf-8")
    nothing = [row | {"value": "NA"} for row in alpha_rows(cohort.samples)]
    assert with_diversity(cohort, nothing).tables.keys() == {PRODUCTS}


def test_a_figure_of_nothing_says_so(tmp_path: Path) -> None:
    write_rows(tmp_path / "effects.tsv", [])
    svg = tmp_path / "none.svg"
    plot_effects(tmp_path / "effects.tsv", [svg], table=TAXA, term="$a$ <b>")
    assert "nothing was tested" in svg.read_text(encoding="utf-8")


def test_hostile_names_and_many_levels_fit_into_a_figure(tmp_path: Path) -> None:
    levels = [f"$x_{n}$ <&> \u202eרמה {'long ' * 40}" for n in range(60)]
    base: Row = dict.fromkeys(EFFECT_COLUMNS, None)
    rows = [
        base | {
            "table": TAXA, "feature": f"$f^{n}$ 🦠 {'x' * 200}", "term": "$t$", "level": level,
            "reference": "r" * 200, "kind": kind, "effect": 0.1 * n, "ci_low": 0.0, "ci_high": 1.0,
            "p": 0.01, "q": 0.04, "samples": 9, "subjects": 9, "reason": "",
        }
        for level in levels for n in range(4) for kind in (ABUNDANCE, DETECTION)
    ]  # fmt: skip
    write_rows(tmp_path / "effects.tsv", rows)
    outputs = [tmp_path / "many.svg"]
    plot_effects(tmp_path / "effects.tsv", outputs, table=TAXA, term="$t$")
    head = outputs[0].read_text(encoding="utf-8").split("<svg", 1)[1].split(">", 1)[0]
    height = float(head.split('height="', 1)[1].split("pt", 1)[0]) / 72
    assert height < MOST_HEIGHT + 1
    assert "48 further levels not drawn" in outputs[0].read_text(encoding="utf-8")


def shared(name: str, table: str, sheet: str) -> Cohort:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    cohort = load_cohort({TAXA: folder / table}, folder / sheet, Account("reading"))
    known = cohort.tables[TAXA].known_samples()
    return Cohort(cohort.metadata.select(known), {TAXA: cohort.tables[TAXA].select(known)})


def hmp2() -> Cohort:
    return shared("hmp2_longitudinal", "metaphlan_taxonomic_profiles.tsv.gz", "metadata.tsv.gz")


def yachida() -> Cohort:
    return shared("yachida_crc_2019", "species.tsv.gz", "metadata.tsv")


BUTYRATE = (
    "Faecalibacterium_prausnitzii", "Eubacterium_rectale", "Roseburia_inulinivorans",
    "Roseburia_hominis", "Roseburia_faecis", "Anaerostipes_hadrus", "Eubacterium_hallii",
)  # fmt: skip
"""Producers of butyrate of the human gut (Louis and Flint 2009,
doi:10.1111/j.1574-6968.2009.01514.x)."""


def named(rows: list[Row], species: str) -> dict[str, Row]:
    plain = species.replace("_", " ")
    return {
        str(row["kind"]): row
        for row in rows
        if str(row["feature"]).replace("_", " ").endswith(plain)
    }


def test_butyrate_carriers_fall_along_dysbiosis_in_hmp2() -> None:
    rows, _ = effects_of(
        hmp2(), groups=("diagnosis", "antibiotics"), covariates=("dysbiosis",),
        reference_levels={"diagnosis": "nonIBD"},
    )  # fmt: skip
    along = [row for row in rows if row["term"] == "dysbiosis"]
    for species in BUTYRATE:
        for row in named(along, species).values():
            assert row["effect"] < 0 and row["q"] <= 0.05, row  # type: ignore[operator]
    # Escherichia coli rises in dysbiosis (Lloyd-Price et al. 2019, doi:10.1038/s41586-019-1237-9).
    assert named(along, "Escherichia_coli")[ABUNDANCE]["ci_low"] > 0  # type: ignore[operator]
    drugs = [row for row in rows if row["term"] == "antibiotics"]
    for species in ("Roseburia_hominis", "Roseburia_inulinivorans"):
        row = named(drugs, species)[ABUNDANCE]
        assert row["effect"] < -1 and row["q"] <= 0.05, row  # type: ignore[operator]


def test_the_marks_of_colorectal_cancer_rise_in_yachida() -> None:
    rows, _ = effects_of(
        yachida(), groups=("Study.Group", "Gender"), covariates=("Age",),
        reference_levels={"Study.Group": "Healthy"},
    )  # fmt: skip
    late = [row for row in rows if row["level"] == "Stage_III_IV"]
    # Yachida et al. 2019, doi:10.1038/s41591-019-0458-7; Wirbel et al. 2019,
    # doi:10.1038/s41591-019-0406-6.
    for species in ("Fusobacterium_nucleatum", "Parvimonas_micra", "Peptostreptococcus_stomatis"):
        for row in named(late, species).values():
            assert row["ci_low"] > 0 and row["q"] <= 0.05, row  # type: ignore[operator]


@pytest.mark.parametrize("name", ["hmp2", "yachida"])
def test_shuffled_people_give_uniform_p(name: str) -> None:
    cohort, column, level = (
        (hmp2(), "diagnosis", "nonIBD") if name == "hmp2" else (yachida(), "Study.Group", "Healthy")
    )
    people = [str(value) for value in cohort.metadata.column("subject").values]
    _, first, own = np.unique(people, return_index=True, return_inverse=True)
    truth = np.array([cohort.metadata.column(column).values[n] == level for n in first])
    draw = np.random.default_rng(1)
    shares, middles = [], []
    for _ in range(10):
        cells = np.where(draw.permutation(truth)[own], "yes", "no")
        columns = {**cohort.metadata.columns, "group": text_column("group", cells)}
        shuffled = Cohort(replace(cohort.metadata, columns=columns), cohort.tables)
        rows, _ = effects_of(shuffled)
        p = np.array([row["p"] for row in rows if row["p"] == row["p"]], dtype=float)
        shares.append((p <= 0.05).mean())
        middles.append(np.median(p))
    # Features of one shuffling depend on each other, so the rounds are the unit: the mean of 10
    # lies within 3.5 of its standard errors, as they are seen, of what uniform p give.
    for found, expected in ((shares, 0.05), (middles, 0.5)):
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found) - expected) < 3.5 * error
        assert error < 0.25 * (expected if expected < 0.5 else 0.5)
