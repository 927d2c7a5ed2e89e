"""Figures of people over time: what they say, and that nothing in a name or a gap breaks them."""

import re

import pytest
from matplotlib.figure import Figure

from fermentome.cohort.people import PERSON_COLUMNS, PHASE_COLUMNS
from fermentome.cohort.recovery import RECOVERY_COLUMNS
from fermentome.cohort.swaps import SWAP_COLUMNS
from fermentome.cohort.timeline_figures import (
    MOST_CARRIERS,
    MOST_PEOPLE_SHOWN,
    TIMELINE_COLUMNS,
    cells_of,
    chosen_carriers,
    chosen_measures,
    counts_of,
    is_logarithmic,
    last_sample,
    overview_figure,
    people_of,
    person_figure,
    plot_people,
    plot_timelines,
    readout,
)
from fermentome.cohort.trajectories import TRAJECTORY_COLUMNS
from fermentome.drawing import MOST_HEIGHT
from fermentome.tables import read_table, write_table

DAYS = (-14.0, -7.0, 0.0, 4.0, 8.0, 30.0, 60.0)
PHASES = ("baseline",) * 3 + ("during",) * 2 + ("after",) * 2
FALL = (0.4, 0.4, 0.4, 0.1, 0.0, 0.2, 0.4)
HOSTILE = "../<b>$x_1$ \u202eאב\U0001f9d1 " + "long " * 60


def person_rows(subject, measure, values, calls, *, unit="copies per genome", scale="log2", **more):
    rows = []
    for i, (day, phase, value, call) in enumerate(zip(DAYS, PHASES, values, calls, strict=True)):
        row = dict.fromkeys(PERSON_COLUMNS)
        row.update(
            subject=subject, sample=f"s{i}", samples=1, timepoint=f"visit {i}", days=day + 14,
            days_since_baseline=day, time_unit="days", phase=phase,
            event=None if phase == "baseline" else "antibiotic",
            episode=None if phase == "baseline" else 1, measure=measure, unit=unit, scale=scale,
            value=value, ci_low=value and 0.8 * value, ci_high=value and 1.2 * value,
            below_detection=value == 0, baseline=0.4, baseline_samples=3, band_low=0.3,
            band_high=0.5, noise_sd=0.1, noise_source="own", noise_df=9.0,
            difference=None if phase == "baseline" else -2.0 + 0.1 * i,
            difference_unit="log2 fold change", change=call, note="",
        )  # fmt: skip
        rows.append({**row, **more})
    return rows


QUIET = ("not_called",) * 3
FELL = (*QUIET, "down", "down", "down", "no")
CALM = (*QUIET, "no", "no", "no", "no")


def one_person(subject="Person 7"):
    rows = person_rows(subject, "product:butyrate", FALL, FELL)
    rows += person_rows(subject, "product:acetate", (0.4,) * 7, CALM)
    rows += person_rows(subject, "diversity:shannon", (3.0,) * 7, CALM, unit="nats", scale="linear")
    for number in range(8):
        rows += person_rows(subject, f"carrier:butyrate|Genus{number}",
                            [v / (number + 2) for v in FALL], FELL)  # fmt: skip
    return rows


def recovery_row(subject, returned, days, low):
    row = dict.fromkeys(RECOVERY_COLUMNS)
    row.update(subject=subject, episode=1, event="antibiotic", measure="product:butyrate",
               returned=returned, days_to_return=days, days_to_return_low=low)  # fmt: skip
    return row


def distance_rows(subject):
    rows = []
    for i, (day, phase) in enumerate(zip(DAYS, PHASES, strict=True)):
        row = dict.fromkeys(TRAJECTORY_COLUMNS)
        row.update(
            subject=subject, sample=f"s{i}", days=day + 14, days_since_baseline=day, phase=phase,
            metric="braycurtis", to_baseline=0.2 + 0.5 * (phase == "during"), band_high=0.4,
            beyond_band={"baseline": "not_called", "during": "yes", "after": "no"}[phase],
            reference="diagnosis=well", to_reference=0.6, reference_limit=0.7,
            beyond_reference="no",
        )  # fmt: skip
        rows.append(row)
    return rows


def swap_row(subject):
    row = dict.fromkeys(SWAP_COLUMNS)
    row.update(subject=subject, sample="s5", fits_best="Person 9", verdict="pair")
    return row


def written(folder, people=(), trajectories=(), recovery=(), swaps=(), phases=()):
    tables = {
        "people": (PERSON_COLUMNS, people), "trajectories": (TRAJECTORY_COLUMNS, trajectories),
        "recovery": (RECOVERY_COLUMNS, recovery), "swaps": (SWAP_COLUMNS, swaps),
        "phases": (PHASE_COLUMNS, phases),
    }  # fmt: skip
    paths = {}
    for name, (columns, rows) in tables.items():
        paths[name] = folder / f"{name}.tsv"
        write_table(paths[name], columns, rows)
    return paths


def texts(figure: Figure):
    """All that is written in a figure."""
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        legend = axes.get_legend()
        found += [text.get_text() for text in legend.get_texts()] if legend else []
    return found


def drawn(folder, **tables):
    (person,) = people_of(written(folder, **tables))
    return person, texts(person_figure(person))


def test_a_fall_and_the_way_back_are_said_beside_the_panel(tmp_path):
    _, found = drawn(tmp_path, people=one_person(),
                     recovery=[recovery_row("Person 7", "yes", 52.0, 22.0)])  # fmt: skip
    assert "beyond noise in 3 of 4 samples" in found
    assert "back after 22–52 days" in found
    assert "antibiotic" in found
    assert "no change called (n = 4)" in found


@pytest.mark.parametrize(
    ("returned", "days", "low", "line"),
    [
        ("no", None, 52.0, "not back 52 days"),
        ("provisional", 52.0, 22.0, "back after 22–52 days"),
        ("yes", 8.0, None, "back after 8 days"),
    ],
)
def test_what_is_known_of_the_return_is_said(tmp_path, returned, days, low, line):
    _, found = drawn(tmp_path, people=one_person(),
                     recovery=[recovery_row("Person 7", returned, days, low)])  # fmt: skip
    assert line in found


def test_a_change_names_its_size_and_day(tmp_path):
    rows = person_rows("p", "product:butyrate", (0.4,) * 3 + (0.1,) * 4, FELL)
    person, _ = drawn(tmp_path, people=rows)
    # The largest difference is -1.7 at day 4: 2 ** 1.7 = 3.2.
    assert readout("product:butyrate", person.points["product:butyrate"], person)[0] == (
        "▼ ÷3.2 at day 4", True,
    )  # fmt: skip


def test_what_is_not_detected_has_no_fold_change(tmp_path):
    rows = person_rows("p", "product:butyrate", (0.4,) * 3 + (0.0,) * 4, FELL)
    _, found = drawn(tmp_path, people=rows)
    assert "▼ not detected at day 4" in found


def test_where_the_person_stands_now_is_said(tmp_path):
    person, _ = drawn(tmp_path, people=one_person())
    assert (
        last_sample(person) == "Last sample, day 60: no change beyond noise in the 3 measures shown"
    )
    rows = person_rows("p", "product:butyrate", FALL, (*QUIET, "no", "no", "no", "down"))
    person, _ = drawn(tmp_path, people=rows)
    assert last_sample(person).endswith("beyond noise in ▼ butyrate (1 of 1 measures)")


def test_values_beyond_the_band_that_may_be_chance_are_no_calls(tmp_path):
    rows = person_rows("p", "product:butyrate", FALL, CALM)
    _, found = drawn(tmp_path, people=rows)
    assert "2 outside the band, may be chance" in found
    assert "not detected in 1" in found


def test_distances_name_the_reference_and_count_what_is_far(tmp_path):
    _, found = drawn(tmp_path, people=one_person(), trajectories=distance_rows("Person 7"))
    assert "own baseline: far in 2 of 4" in found
    assert "well: far in 0 of 7" in found


def test_a_suspect_sample_is_named(tmp_path):
    _, found = drawn(tmp_path, people=one_person(), swaps=[swap_row("Person 7")])
    assert any("s5 looks like a sample of Person 9." in text for text in found)


def test_the_largest_carriers_are_stacked_and_the_others_summed(tmp_path):
    person, found = drawn(tmp_path, people=one_person())
    product, measures = chosen_carriers(person)
    assert product == "butyrate"
    assert measures[0] == "carrier:butyrate|Genus0"
    assert f"{8 - MOST_CARRIERS} more" in found
    assert "Genus5" in found
    assert "Genus6" not in found


def test_diversity_and_products_come_first_and_in_order(tmp_path):
    person, _ = drawn(tmp_path, people=one_person())
    assert chosen_measures(person) == ["diversity:shannon", "product:butyrate", "product:acetate"]


def test_a_wide_range_has_a_logarithmic_axis(tmp_path):
    wide = person_rows("p", "product:butyrate", (0.4,) * 6 + (0.001,), CALM)
    person, _ = drawn(tmp_path, people=wide)
    assert is_logarithmic(person.points["product:butyrate"])
    person, _ = drawn(tmp_path, people=one_person())
    assert not is_logarithmic(person.points["product:butyrate"])


@pytest.mark.parametrize("values", [(0.0,) * 7, (0.4,) * 7, (None,) * 6 + (0.4,), (1e-9,) * 7])
def test_constant_empty_and_unknown_values_are_drawn(tmp_path, values):
    rows = person_rows("p", "product:butyrate", values, CALM)
    tables = written(tmp_path, people=rows)
    plot_timelines(tables, tmp_path / "figures", tmp_path / "index.tsv")
    assert (tmp_path / "figures/person_001.png").stat().st_size > 5000


def test_a_person_without_times_gets_a_message(tmp_path):
    rows = person_rows("p", "product:butyrate", FALL, CALM, days=None, days_since_baseline=None)
    _, found = drawn(tmp_path, people=rows)
    assert any("no value with a known time" in text for text in found)


def test_timepoints_without_a_time_are_counted(tmp_path):
    rows = one_person()
    for row in rows:
        if row["sample"] == "s6":
            row["days"] = row["days_since_baseline"] = None
    _, found = drawn(tmp_path, people=rows)
    assert any("1 timepoints without a known time are not drawn." in text for text in found)


def test_one_sample_is_drawn(tmp_path):
    rows = person_rows("p", "product:butyrate", FALL, CALM)[:1]
    _, found = drawn(tmp_path, people=rows)
    assert "no later sample" in found


def test_without_days_the_timepoints_keep_their_words(tmp_path):
    rows = person_rows("p", "product:butyrate", FALL, FELL, time_unit="order")
    person, found = drawn(tmp_path, people=rows)
    axes = person_figure(person).axes[-1]
    assert [label.get_text() for label in axes.get_xticklabels()][:2] == ["visit 0", "visit 1"]
    assert "distances in time are not known" in axes.get_xlabel()
    assert any(text.endswith("at visit 3") or "at visit" in text for text in found)


def test_names_of_people_are_no_names_of_files(tmp_path):
    rows = [*one_person("zz"), *one_person(HOSTILE)]
    tables = written(tmp_path, people=rows)
    folder = tmp_path / "figures"
    plot_timelines(tables, folder, tmp_path / "index.tsv")
    assert sorted(path.name for path in folder.iterdir()) == [
        "person_001.png", "person_001.svg", "person_002.png", "person_002.svg",
    ]  # fmt: skip
    index = read_table(tmp_path / "index.tsv", TIMELINE_COLUMNS)
    assert [row["subject"] for row in index] == [HOSTILE, "zz"]
    assert [row["file"] for row in index] == ["person_001.png", "person_002.png"]
    assert index[1]["samples"] == "7"
    assert index[1]["called"] == "27"
    assert "\u202e" not in (folder / "person_001.svg").read_text()


def test_same_tables_same_bytes(tmp_path):
    tables = written(tmp_path, people=one_person(), trajectories=distance_rows("Person 7"))
    for name in ("first", "second"):
        plot_timelines(tables, tmp_path / name, tmp_path / f"{name}.tsv")
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_figures_fit_the_width_of_a_page(tmp_path):
    rows = one_person("W" * 200)
    for row in rows:
        if row["event"]:
            row["event"] = "W" * 200
    tables = written(tmp_path, people=rows, trajectories=distance_rows("W" * 200),
                     recovery=[recovery_row("W" * 200, "yes", 52.0, 22.0)])  # fmt: skip
    plot_timelines(tables, tmp_path / "figures", tmp_path / "index.tsv")
    svg = (tmp_path / "figures/person_001.svg").read_text()
    width, height = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg).groups()
    assert float(width) <= 72 * 7.4
    assert float(height) <= 72 * 11


def test_no_people_no_figures(tmp_path):
    tables = written(tmp_path)
    assert plot_timelines(tables, tmp_path / "figures", tmp_path / "index.tsv") == []
    plot_people(tables, [tmp_path / "all.png"])
    assert (tmp_path / "all.png").stat().st_size > 1000


def phase_row(subject, phase, change, difference, measure="product:butyrate"):
    row = dict.fromkeys(PHASE_COLUMNS)
    row.update(subject=subject, episode=1, event="x", phase=phase, measure=measure, change=change,
               difference=difference)  # fmt: skip
    return row


def test_all_people_are_counted_also_those_without_room(tmp_path):
    phases = [phase_row(f"p{i:03d}", "during", "down" if i < 70 else "no", -1.0) for i in range(99)]
    tables = written(tmp_path, phases=phases)
    figure = overview_figure(read_table(tables["phases"]), [])
    found = texts(figure)
    assert {"70", "0", "99"} <= set(found)
    assert any(f"Not shown: {99 - MOST_PEOPLE_SHOWN} people" in text for text in found)
    assert figure.get_figheight() < MOST_HEIGHT


def test_people_are_counted_by_their_event(tmp_path):
    phases = [phase_row(f"a{i}", "during", "down", -1.0) for i in range(3)]
    phases += [{**phase_row(f"b{i}", "during", "up", 2.0), "event": "y"} for i in range(5)]
    phases += [{**phase_row("b9", "during", "below_detection", None), "event": "y"}]
    for row in phases:
        row["difference_unit"] = "log2 fold change"
    tables = written(tmp_path, phases=phases)
    cells = cells_of(read_table(tables["phases"]), [])
    assert cells.people == ["a0", "a1", "a2", "b0", "b1", "b2", "b3", "b4", "b9"]
    assert counts_of({"a0", "a1", "a2"}, cells) == [["3"], ["0"], ["3"]]
    # What is detected neither before nor then could not be called.
    assert counts_of({"b0", "b1", "b2", "b3", "b4", "b9"}, cells) == [["0"], ["5"], ["5"]]
    found = texts(overview_figure(read_table(tables["phases"]), []))
    assert {"x: ▼ fell", "y: ▼ fell"} <= set(found)
    assert any("up to butyrate ×4" in text for text in found)


def test_people_without_a_later_sample_are_said(tmp_path):
    rows = [*one_person("B"), *one_person("A")[:1]]
    tables = written(tmp_path, people=rows)
    found = texts(overview_figure([], read_table(tables["people"])))
    assert any("1 person without a later sample of known time" in text for text in found)


def test_who_has_no_value_of_known_time_has_no_figure(tmp_path):
    lost = one_person("A")
    for row in lost:
        row["days"] = row["days_since_baseline"] = None
    tables = written(tmp_path, people=[*lost, *one_person("B")])
    plot_timelines(tables, tmp_path / "figures", tmp_path / "index.tsv")
    index = read_table(tmp_path / "index.tsv", TIMELINE_COLUMNS)
    assert [row["file"] for row in index] == ["NA", "person_001.png"]
    assert not (tmp_path / "figures/person_002.png").exists()


def test_of_two_episodes_the_called_one_is_shown(tmp_path):
    phases = [phase_row("p", "after", "no", -3.0), phase_row("p", "after", "down", -1.0)]
    tables = written(tmp_path, phases=phases)
    cells = cells_of(read_table(tables["phases"]), [])
    assert cells.rows["p", "product:butyrate", "after"]["change"] == "down"


def test_people_without_an_event_are_shown_by_their_latest_sample(tmp_path):
    tables = written(tmp_path, people=one_person())
    cells = cells_of([], read_table(tables["people"]))
    assert cells.people == ["Person 7"]
    assert {phase for _, phase in cells.columns} == {"latest"}
    assert cells.rows["Person 7", "product:butyrate", "latest"]["sample"] == "s6"
