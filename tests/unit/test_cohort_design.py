import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fermentome.cohort.data import DONE, LEFT_OUT, MISSING, PARTLY, Account, Column, Metadata
from fermentome.cohort.design import Design, build_design
from fermentome.cohort.settings import Settings


def sheet(samples: int, **columns: object) -> Metadata:
    names = tuple(f"s{number:03d}" for number in range(samples))
    made = {}
    for name, cells in columns.items():
        values = tuple(
            None if str(cell).lower() in MISSING else str(cell)
            for cell in cells  # type: ignore[attr-defined]
        )
        try:
            numbers = np.array([np.nan if value is None else float(value) for value in values])
        except ValueError:
            numbers = None
        made[name] = Column(name, values, numbers)
    return Metadata(names, made, "sheet.tsv")


def built(metadata: Metadata, **changes: object) -> tuple[Design | None, Account]:
    account = Account("effects")
    return build_design(metadata, Settings(**changes), account), account  # type: ignore[arg-type]


def reason(account: Account, item: str, status: str = LEFT_OUT) -> str:
    found = [e.reason for e in account.entries if e.item == item and e.status == status]
    assert len(found) == 1, [e for e in account.entries]
    return found[0]


TWELVE = ["a", "b"] * 6


def test_levels_are_compared_with_the_reference_and_numbers_scaled() -> None:
    ages = list(range(20, 32))
    design, account = built(
        sheet(12, group=TWELVE, age=ages), covariates=("age",), reference_levels={"group": "b"}
    )
    assert design is not None
    group, age = design.contrasts
    assert (group.level, group.reference, age.level) == ("a", "b", None)
    assert design.matrix[:, group.column].tolist() == [1.0, 0.0] * 6
    # Variance of 12 consecutive numbers: 12 * 13 / 12 = 13.
    assert age.sd == pytest.approx(13**0.5)
    assert design.matrix[0, age.column] == pytest.approx(-5.5 / 13**0.5)
    assert account.entries[-1].status == DONE


def test_an_unknown_column_is_named_with_those_that_are_there() -> None:
    design, account = built(sheet(12, group=TWELVE), covariates=("Age",))
    assert design is not None and len(design.contrasts) == 1
    assert reason(account, "Age") == "no column of this name in sheet.tsv; it has 'group'"


def test_without_any_column_there_is_no_design() -> None:
    design, account = built(sheet(3))
    assert design is None
    assert "no column of this name" in reason(account, "group")
    assert build_design(sheet(0), Settings(), Account("effects")) is None


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["x"] * 12, "same value, 'x'"),
        (["NA"] * 12, "missing in all samples"),
        ([4] * 11 + ["NA"], "same value, '4'"),
        ([1] * 8 + ["old"] * 4, "most cells are numbers, but not 'old'"),
        (["u"] * 10 + ["v"] * 2, "only the level 'u' is left"),
        ([1, 2] * 2 + ["NA"] * 8, "known of 4 of the 12 samples"),
        ([float("inf")] + [1, 2] * 5 + [3], "infinite"),
    ],
)
def test_a_column_that_cannot_be_used_leaves_the_rest(cells: list[object], words: str) -> None:
    design, account = built(sheet(12, group=TWELVE, other=cells), covariates=("other",))
    assert words in reason(account, "other")
    assert design is not None and len(design.samples) == 12
    assert [contrast.term for contrast in design.contrasts] == ["group"]


def test_an_unknown_reference_level_is_said_with_the_levels() -> None:
    design, account = built(sheet(12, group=TWELVE), reference_levels={"group": "healthy"})
    assert design is None
    assert "'healthy' is not in the column; its levels are 'a', 'b'" in reason(account, "group")


def test_samples_without_a_value_are_dropped_and_counted() -> None:
    design, account = built(
        sheet(14, group=[*TWELVE, "a", "b"], age=[*range(12), "NA", "not collected"]),
        covariates=("age",),
    )
    assert design is not None and len(design.samples) == 12
    assert reason(account, "age", PARTLY) == "2 samples without a value are in no model"


def test_a_level_of_two_subjects_goes_and_the_others_stay() -> None:
    metadata = sheet(
        18,
        group=TWELVE + ["c"] * 6,
        subject=[f"p{n}" for n in range(12)] + ["p12", "p13"] * 3,
    )
    design, account = built(metadata)
    assert design is not None
    assert [contrast.level for contrast in design.contrasts] == ["b"]
    assert "level 'c' has 2 subjects, 3 expected" in reason(account, "group", PARTLY)


def test_a_group_that_is_a_batch_is_not_tested() -> None:
    metadata = sheet(12, group=TWELVE, run=["r1", "r2"] * 6, diet=["x", "x", "y", "y"] * 3)
    design, account = built(metadata, groups=("group", "diet"), batch=("run",))
    assert reason(account, "group").startswith("confounded with 'run'")
    assert design is not None
    assert [contrast.term for contrast in design.contrasts] == ["diet"]
    assert design.adjusted == ("run",)


def test_two_columns_that_say_the_same_are_one() -> None:
    metadata = sheet(12, group=TWELVE, drug=["no", "yes"] * 6)
    design, account = built(metadata, groups=("group", "drug"))
    assert reason(account, "drug").startswith("confounded with 'group'")
    assert design is not None and design.matrix.shape == (12, 2)


def test_a_level_that_is_a_batch_goes_and_the_others_are_compared() -> None:
    group = ["a", "b"] * 6 + ["c"] * 6
    run = ["r1"] * 12 + ["r2"] * 6
    design, account = built(sheet(18, group=group, run=run), batch=("run",))
    assert "confounded with 'run'" in reason(account, "group: c")
    assert design is not None
    assert [contrast.level for contrast in design.contrasts] == ["b"]
    y = np.array([1.0, 3.0] * 6 + [9.0] * 6) + np.tile([0.1, 0.1, -0.1, -0.1, 0.0, 0.0], 3)
    effect = np.linalg.lstsq(design.matrix, y, rcond=None)[0][design.contrasts[0].column]
    assert effect == pytest.approx(2.0)


def test_a_comparison_within_a_batch_that_lacks_the_reference_is_not_made() -> None:
    group = ["a"] * 6 + ["b", "c"] * 3
    design, account = built(sheet(12, group=group, run=["r1"] * 6 + ["r2"] * 6), batch=("run",))
    assert design is None
    assert "confounded with 'run'" in reason(account, "group")


def test_a_batch_per_subject_is_left_to_the_random_intercept() -> None:
    subject = [f"p{n // 2}" for n in range(24)]
    group = [["a", "b"][n // 2 % 2] for n in range(24)]
    metadata = sheet(24, group=group, subject=subject, kit=subject)
    design, account = built(metadata, batch=("kit",))
    assert "each subject is a batch of its own" in reason(account, "kit")
    assert design is not None and design.matrix.shape[1] == 2
    assert design.repeated and design.subject_count == 12


def test_batches_named_with_numbers_are_levels() -> None:
    design, _ = built(sheet(12, group=TWELVE, run=[1, 1, 2, 2, 3, 3] * 2), batch=("run",))
    assert design is not None and design.matrix.shape[1] == 4


def test_depth_is_adjusted_for_where_it_is_known_of_all() -> None:
    reads = [10 ** (5 + n % 3) for n in range(12)]
    design, _ = built(sheet(12, group=TWELVE, clean_reads=reads))
    assert design is not None and design.adjusted == ("clean_reads",)
    column = design.matrix[:, 2]
    assert sorted(set(np.round(column, 9))) == pytest.approx([-1, 0, 1])
    design, account = built(sheet(12, group=TWELVE, clean_reads=[*reads[:-2], 0, "NA"]))
    assert design is not None and design.matrix.shape == (12, 2)
    assert "in 2 of 12 samples" in reason(account, "clean_reads", PARTLY)
    design, _ = built(sheet(12, group=TWELVE, clean_reads=reads), adjust_depth=False)
    assert design is not None and design.matrix.shape == (12, 2)


def test_covariates_go_first_where_there_are_too_few_samples() -> None:
    metadata = sheet(6, group=["a", "b"] * 3, age=[1, 2, 4, 3, 5, 7], fibre=[3, 1, 2, 5, 4, 9])
    design, account = built(metadata, covariates=("age", "fibre"))
    assert "too few for 4 columns" in reason(account, "fibre")
    assert design is not None
    assert [contrast.term for contrast in design.contrasts] == ["group", "age"]
    assert "only large effects" in reason(account, "design", PARTLY)


def test_samples_without_a_subject_are_people_of_their_own() -> None:
    metadata = sheet(12, group=TWELVE, subject=["NA", "NA"] + [f"p{n}" for n in range(10)])
    design, account = built(metadata)
    assert design is not None and design.subject_count == 12
    assert "2 samples without a subject" in reason(account, "subject", PARTLY)
    _, account = built(sheet(12, group=TWELVE))
    assert "no column 'subject'" in reason(account, "subject", PARTLY)


def test_a_reference_level_that_nobody_named_is_said() -> None:
    _, account = built(sheet(12, group=TWELVE))
    said = reason(account, "group, reference level", PARTLY)
    assert "compared with 'a', the first by name" in said
    _, named = built(sheet(12, group=TWELVE), reference_levels={"group": "b"})
    assert all("first by name" not in entry.reason for entry in named.entries)


def test_the_subject_is_no_group_and_a_column_declared_twice_is_used_once() -> None:
    metadata = sheet(12, group=TWELVE, subject=[f"p{n}" for n in range(12)])
    design, account = built(metadata, groups=("subject", "group"), covariates=("group",))
    assert "random intercept" in reason(account, "subject")
    assert "declared twice" in reason(account, "group", PARTLY)
    assert design is not None and design.matrix.shape == (12, 2)


def test_a_column_that_is_left_out_costs_no_samples() -> None:
    metadata = sheet(14, group=[*TWELVE, "a", "b"], drug=[*(["n", "y"] * 6), "NA", "NA"])
    design, account = built(metadata, groups=("group", "drug"))
    assert "confounded" in reason(account, "drug")
    assert design is not None and len(design.samples) == 14


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", "NA"]), st.sampled_from(["x", "y"]),
            st.sampled_from(["1", "2", "3.5", "NA"]), st.sampled_from(["p", "q", "r", "s", "NA"]),
        ),
        min_size=1, max_size=40,
    )
)  # fmt: skip
def test_every_design_has_full_rank_and_every_contrast_a_column(
    cells: list[tuple[str, str, str, str]],
) -> None:
    group, run, age, subject = zip(*cells, strict=True)
    metadata = sheet(len(cells), group=group, run=run, age=age, subject=subject)
    design, account = built(metadata, covariates=("age",), batch=("run",))
    assert account.entries
    if design is not None:
        assert np.linalg.matrix_rank(design.matrix) == design.matrix.shape[1]
        assert len(design.matrix) == len(design.samples) == design.subjects.size
        columns = [contrast.column for contrast in design.contrasts]
        assert len(set(columns)) == len(columns) and 0 not in columns
        assert set(design.subjects) == set(range(design.subject_count))
