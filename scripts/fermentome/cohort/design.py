"""The design of the models of a cohort: which columns can be told apart with these samples.

All columns are checked before anything is fitted. What cannot be used is left out, each with its
reason in the account, and the rest is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fermentome.cohort.data import DEPTH_COLUMN, SUBJECT, Account, Column, Metadata, Numbers
from fermentome.cohort.mixed import Codes, constant_within
from fermentome.cohort.settings import Settings
from fermentome.cohort.text_tables import plain_number

Flags = npt.NDArray[np.bool_]
GROUP, COVARIATE, BATCH, DEPTH = "group", "covariate", "batch", "depth"
LEAST_SUBJECTS = 3
"""Subjects of a level that is compared: the least of which a variance can be seen with one to
spare. Such a comparison finds only what is large; its interval says so."""
LEAST_FREEDOM = 3
"""Degrees of freedom that must be left: with 3 an interval is 1.6 times as wide as with many,
with 1 6.5 times (quantiles of the t distribution)."""
LEAST_KNOWN = 0.5
"""Share of the samples that a further column must be known of. A model uses the samples of which
all its columns are known, so one sparse column would cost the others their samples. Ours: more
than half stay."""
NOTHING_NEW = 1e-8
"""Share of a column that others leave of it, by length, below which it is rounding."""
FEW_SUBJECTS = 10
"""Subjects per column of the design below which a warning is given (Harrell 2015,
doi:10.1007/978-3-319-19425-7, section 4.4: 10 to 20)."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """One effect that is reported.

    Attributes
    ----------
    term, role
        Column of the metadata, and `GROUP` or `COVARIATE`.
    level, reference
        Levels that are compared; `None` for numbers.
    column
        Of the matrix of the design.
    sd
        Standard deviation of a numeric column, in its own unit; NaN for levels. The effect is
        that of one of them.
    """

    term: str
    role: str
    level: str | None
    reference: str | None
    column: int
    sd: float


@dataclass(frozen=True, slots=True)
class Design:
    """The design of all models of one table.

    Attributes
    ----------
    samples
        That all columns are known of.
    subjects
        Number of the subject of each sample.
    matrix
        Shape (samples, columns), of full rank, the intercept first.
    contrasts
        What is reported, in the order of the settings.
    levels
        Level of each sample, by column that is compared; none for numbers.
    adjusted
        Columns that are adjusted for and not reported.
    """

    samples: tuple[str, ...]
    subjects: Codes
    matrix: Numbers
    contrasts: tuple[Contrast, ...]
    levels: Mapping[str, tuple[str, ...]]
    adjusted: tuple[str, ...]

    @property
    def subject_count(self) -> int:
        """Number of subjects."""
        return int(self.subjects.max()) + 1

    @property
    def repeated(self) -> bool:
        """Whether a subject has several samples."""
        return self.subject_count < len(self.samples)


@dataclass(frozen=True, slots=True)
class _Part:
    """A column that may enter the design."""

    column: Column
    role: str
    numeric: bool
    reference: str | None = None

    @property
    def name(self) -> str:
        return self.column.name

    def known(self) -> Flags:
        return np.array([value is not None for value in self.column.values])


def _named(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _subjects(metadata: Metadata, account: Account) -> tuple[str, ...]:
    """Name of the subject of each sample; a sample without one is its own."""
    values = metadata.column(SUBJECT).values
    missing = sum(value is None for value in values)
    if missing == len(values):
        account.partly(
            "subject",
            "no column 'subject': every sample is taken for another person. Give the column if"
            " a person has several samples",
            len(values),
        )
    elif missing:
        account.partly(
            "subject",
            f"{missing} samples without a subject: each is taken for a person of its own",
            missing,
        )
    return metadata.people


def _mostly_numbers(column: Column) -> str | None:
    """First cell that is no number in a column of which most cells are."""
    known = [value for value in column.values if value is not None]
    words = [value for value in known if plain_number(value) is None]
    return words[0] if words and len(words) < 0.5 * len(known) else None


def _part(metadata: Metadata, name: str, role: str, settings: Settings) -> _Part | str:
    """A column that can be used, or the reason why it cannot."""
    if name == SUBJECT:
        return "the column names the persons: it is in every model as the random intercept"
    if name not in metadata.columns:
        return (
            f"no column of this name in {metadata.source}; it has {_named(list(metadata.columns))}"
        )
    column = metadata.columns[name]
    if not column.levels:
        return "the value is missing in all samples"
    numeric = role == COVARIATE and column.numbers is not None
    if len(column.levels) == 1:
        return f"all samples have the same value, {column.levels[0]!r}: nothing to compare"
    if role == COVARIATE and not numeric and (word := _mostly_numbers(column)) is not None:
        return (
            f"most cells are numbers, but not {word!r}: leave such cells empty, or declare the"
            " column as a group"
        )
    reference = None
    if not numeric and role != BATCH:
        reference = settings.reference_levels.get(name, column.levels[0])
        if reference not in column.levels:
            return (
                f"the reference level {reference!r} is not in the column; its levels are"
                f" {_named(column.levels)}"
            )
    return _Part(column, role, numeric, reference)


def _wanted(metadata: Metadata, settings: Settings, account: Account) -> list[_Part]:
    parts: list[_Part] = []
    seen: set[str] = set()
    lists = ((GROUP, settings.groups), (COVARIATE, settings.covariates), (BATCH, settings.batch))
    for role, names in lists:
        for name in names:
            if name in seen:
                account.partly(name, f"declared twice: not used as a {role} as well", None)
                continue
            seen.add(name)
            part = _part(metadata, name, role, settings)
            if isinstance(part, str):
                account.left_out(name, part)
            else:
                parts.append(part)
                if part.reference is not None and name not in settings.reference_levels:
                    account.partly(
                        f"{name}, reference level",
                        f"levels are compared with {part.reference!r}, the first by name;"
                        f" reference_levels names another one, as {name}=LEVEL",
                        None,
                    )
    return parts


def _subjects_of(subjects: Sequence[str], rows: Flags) -> int:
    return len({subject for subject, own in zip(subjects, rows, strict=True) if own})


def _rows_of_level(part: _Part, level: str) -> Flags:
    return np.array([value == level for value in part.column.values])


def _small_levels(part: _Part, keep: Flags, subjects: Sequence[str]) -> dict[str, int]:
    """Subjects of the levels that are there but too small."""
    numbers = {
        level: _subjects_of(subjects, keep & _rows_of_level(part, level))
        for level in part.column.levels
    }
    return {level: n for level, n in numbers.items() if 0 < n < LEAST_SUBJECTS}


def _unusable(part: _Part, keep: Flags) -> str | None:
    """Why a column cannot be used with the samples that are kept."""
    if part.numeric and part.column.numbers is not None:
        values = part.column.numbers[keep]
        if not np.isfinite(values).all():
            return "a value is infinite: no effect per unit can be given"
        if values.size < 2 or np.ptp(values) == 0:
            return "all samples that are left have the same value"
        return None
    left = [level for level in part.column.levels if (keep & _rows_of_level(part, level)).any()]
    if part.reference is not None and part.reference not in left:
        return (
            f"the reference level {part.reference!r} has fewer than {LEAST_SUBJECTS} subjects;"
            " name another one in reference_levels"
        )
    if len(left) < 2:
        return (
            f"only the level {_named(left)} is left: at least 2 levels with {LEAST_SUBJECTS}"
            " subjects each are needed"
        )
    return None


Note = tuple[str, str, int]
"""Column, what its samples are left out for, and how many they are."""


def _usable(
    parts: list[_Part], subjects: Sequence[str], account: Account
) -> tuple[list[_Part], Flags, list[Note]]:
    """Columns that can be used together, and the samples that all of them are known of."""
    while True:
        keep = np.ones(len(subjects), dtype=bool)
        notes: list[Note] = []
        failed: tuple[_Part, str] | None = None
        for number, part in enumerate(parts):
            known = keep & part.known()
            if number and known.sum() < LEAST_KNOWN * keep.sum():
                failed = (
                    part,
                    (
                        f"known of {int(known.sum())} of the {int(keep.sum())} samples that the"
                        f" other columns are known of, {LEAST_KNOWN:.0%} expected: the samples"
                        " without it would be lost to all models"
                    ),
                )
                break
            if known.sum() < keep.sum():
                lost = int(keep.sum() - known.sum())
                notes.append((part.name, f"{lost} samples without a value are in no model", lost))
            keep = known
        changed = failed is None
        while changed:
            changed = False
            for part in parts:
                if part.numeric or part.role == BATCH:
                    continue
                for level, number in _small_levels(part, keep, subjects).items():
                    rows = keep & _rows_of_level(part, level)
                    notes.append((
                        part.name,
                        f"level {level!r} has {number} subjects, {LEAST_SUBJECTS} expected: its"
                        " samples are in no model",
                        int(rows.sum()),
                    ))  # fmt: skip
                    keep = keep & ~rows
                    changed = True
        for part in parts if failed is None else []:
            reason = _unusable(part, keep)
            if reason is not None:
                failed = part, reason
                break
        if failed is None:
            return parts, keep, notes
        account.left_out(failed[0].name, failed[1])
        # Without the column its missing cells and small levels cost no samples any more.
        parts = [part for part in parts if part is not failed[0]]


@dataclass(frozen=True, slots=True)
class _Term:
    """Columns of the matrix that one column of the metadata makes."""

    part: _Part
    levels: tuple[str, ...]
    columns: Numbers
    sd: float


def _term(part: _Part, rows: Flags) -> _Term:
    if part.numeric and part.column.numbers is not None:
        values = part.column.numbers[rows]
        sd = float(values.std(ddof=1))
        return _Term(part, (), ((values - values.mean()) / sd)[:, None], sd)
    cells = tuple(v for v, own in zip(part.column.values, rows, strict=True) if own)
    left = sorted({cell for cell in cells if cell is not None})
    first = part.reference if part.reference is not None else left[0]
    levels = tuple(level for level in left if level != first)
    columns = np.array([[cell == level for level in levels] for cell in cells], dtype=float)
    columns = columns.reshape(len(cells), len(levels))
    return _Term(part, levels, columns, float("nan"))


def _depth_term(metadata: Metadata, rows: Flags) -> _Term | str | None:
    """Log10 of the clean reads, or why it is not adjusted for."""
    column = metadata.column(DEPTH_COLUMN)
    if column.numbers is None:
        return f"not adjusted for: no column {DEPTH_COLUMN!r} with numbers"
    reads = column.numbers[rows]
    unknown = int((~(reads > 0)).sum())
    if unknown:
        return f"not adjusted for: not known, or 0, in {unknown} of {reads.size} samples"
    logs = np.log10(reads)
    if np.ptp(logs) < 1e-9:
        return None
    return _Term(_Part(column, DEPTH, True), (), (logs - logs.mean())[:, None], float("nan"))


def _estimable(matrix: Numbers) -> Flags:
    """Which coefficients the data determine: those of which no null vector has a part."""
    scaled = matrix / np.linalg.norm(matrix, axis=0)
    # The triangular factor has the same null vectors, and as many rows as columns, not as samples.
    _, values, vectors = np.linalg.svd(np.linalg.qr(scaled, mode="r"))
    least = values.max() * max(matrix.shape) * np.finfo(float).eps * 100
    null = vectors[int((values > least).sum()) :]
    return np.asarray((np.abs(null) < 1e-8).all(axis=0))


def _joined(terms: Sequence[_Term], samples: int) -> Numbers:
    return np.hstack([np.ones((samples, 1)), *(term.columns for term in terms)])


def _culprit(term: _Term, others: Sequence[_Term], samples: int) -> str:
    """Name of what a column cannot be told apart from."""
    others = [other for other in others if other is not term]
    for other in others:
        if not _estimable(_joined([other, term], samples))[-term.columns.shape[1] :].all():
            return repr(other.part.name)
    return "the other columns together: " + _named([other.part.name for other in others])


def _technical_first(parts: Sequence[_Part]) -> list[_Part]:
    return sorted(parts, key=lambda part: part.role != BATCH)


def _last(parts: Sequence[_Part]) -> _Part:
    """What is given up first: covariates, then batches, then groups, each from the end."""
    order = {COVARIATE: 0, BATCH: 1, GROUP: 2}
    return min(reversed(parts), key=lambda part: order[part.role])


def _unfit(terms: Sequence[_Term], subjects: Codes) -> tuple[_Part, str] | None:
    """First column that cannot be told apart from those before it, and why."""
    samples, persons = len(subjects), int(subjects.max()) + 1
    kept: list[_Term] = []
    for term in terms:
        if term.part.role == BATCH:
            # Batches that repeat each other are no harm: none of them is interpreted.
            if (
                persons < samples
                and len(term.levels) + 1 == persons
                and constant_within(term.columns, subjects).all()
            ):
                return term.part, (
                    "each subject is a batch of its own: the random intercept per subject stands"
                    " for it, and what is constant within subjects cannot be told from it"
                )
            kept.append(term)
            continue
        before = _flags(kept, samples)
        after = _flags([*kept, term], samples)
        harmed = any(
            (was & ~now).any()
            for other, was, now in zip(kept, before, after, strict=False)
            if other.part.role != BATCH
        )
        if harmed or not after[-1].any():
            return term.part, (
                f"confounded with {_culprit(term, kept, samples)}: these samples cannot tell"
                " their effects apart. Samples that differ in one and not in the other are needed"
            )
        kept.append(term)
    return None


def _flags(terms: Sequence[_Term], samples: int) -> list[Flags]:
    """Which columns of each term can be estimated beside all others."""
    flags = _estimable(_joined(terms, samples))
    ends = 1 + np.cumsum([0, *(term.columns.shape[1] for term in terms)])
    return [flags[a:b] for a, b in zip(ends, ends[1:], strict=False)]


def _assembled(
    terms: Sequence[_Term], flags: Sequence[Flags], samples: int
) -> tuple[Numbers, list[Contrast]]:
    """Matrix of full rank that spans all terms; columns that are reported are in it."""
    matrix = np.ones((samples, 1))
    contrasts: list[Contrast] = []
    for term, own in zip(terms, flags, strict=True):
        if term.part.role in (BATCH, DEPTH):
            continue
        for place in np.flatnonzero(own):
            level = term.levels[place] if term.levels else None
            contrasts.append(
                Contrast(
                    term.part.name, term.part.role, level,
                    term.part.reference if level is not None else None, matrix.shape[1], term.sd,
                )
            )  # fmt: skip
            matrix = np.hstack([matrix, term.columns[:, [place]]])
    rest = [
        term.columns[:, [place]]
        for term, own in zip(terms, flags, strict=True)
        for place in range(term.columns.shape[1])
        if term.part.role in (BATCH, DEPTH) or not own[place]
    ]
    # What is estimable is the same whichever of the dependent columns are dropped.
    kept = [matrix]
    basis = np.linalg.qr(matrix)[0]
    for column in rest:
        left = column - basis @ (basis.T @ column)
        left = left - basis @ (basis.T @ left)  # what rounding left of the first time
        if np.linalg.norm(left) > NOTHING_NEW * np.linalg.norm(column):
            kept.append(column)
            basis = np.hstack([basis, left / np.linalg.norm(left)])
    return np.hstack(kept), contrasts


def _enough(matrix: Numbers, subjects: Codes) -> str | None:
    """Why there are too few samples or subjects for a matrix."""
    between = int(constant_within(matrix, subjects).sum())
    persons, samples = int(subjects.max()) + 1, len(matrix)
    if persons - between < LEAST_FREEDOM or samples - matrix.shape[1] < LEAST_FREEDOM:
        return (
            f"{persons} subjects and {samples} samples are too few for {matrix.shape[1]} columns"
            f" of the design, {between} of them constant within subjects: {LEAST_FREEDOM} more"
            " of each are needed"
        )
    return None


def _reordered(contrasts: Sequence[Contrast], settings: Settings) -> tuple[Contrast, ...]:
    order = {name: i for i, name in reversed([*enumerate(settings.groups + settings.covariates)])}
    return tuple(sorted(contrasts, key=lambda contrast: (order[contrast.term], contrast.column)))


def build_design(
    metadata: Metadata,
    settings: Settings,
    account: Account,
    samples: Sequence[str] | None = None,
) -> Design | None:
    """Design of the groups, covariates, batches and the depth that the settings name.

    Parameters
    ----------
    samples
        Those that have features; all without it.

    Returns
    -------
    Design or None
        `None` where there is nothing to compare; the account has the reasons.

    Notes
    -----
    Levels are compared with the reference level of their column. Numbers are centred and divided
    by their standard deviation. Depth is log10 of the clean reads. Batches and depth come first:
    what cannot be told apart from a batch is not tested.
    """
    metadata = metadata.select(metadata.samples if samples is None else samples)
    if not metadata.samples:
        account.left_out("design", "no sample has features")
        return None
    names = _subjects(metadata, account)
    parts = _wanted(metadata, settings, account)
    while True:
        # Without a column that is left out, its missing cells and small levels cost no samples
        # any more, so that what is left is looked at again from the start.
        parts, rows, notes = _usable(parts, names, account)
        if not any(part.role in (GROUP, COVARIATE) for part in parts):
            account.left_out("design", "no group and no covariate can be compared", len(names))
            return None
        own_names = [name for name, own in zip(names, rows, strict=True) if own]
        subjects = np.unique(own_names, return_inverse=True)[1].astype(np.intp)
        persons, number = int(subjects.max()) + 1, len(own_names)
        terms = [_term(part, rows) for part in _technical_first(parts)]
        unfit = _unfit(terms, subjects)
        if unfit is None:
            depth = _depth_term(metadata, rows) if settings.adjust_depth else None
            if isinstance(depth, _Term):
                terms = [depth, *terms]
            flags = _flags(terms, number)
            matrix, contrasts = _assembled(terms, flags, number)
            reason = _enough(matrix, subjects)
            if reason is None:
                break
            unfit = _last(parts), reason
        account.left_out(unfit[0].name, unfit[1])
        parts = [part for part in parts if part is not unfit[0]]
    for name, reason, lost in notes:
        account.partly(name, reason, lost)
    if isinstance(depth, str):
        account.partly(DEPTH_COLUMN, depth, number)
    for term, own in zip(terms, flags, strict=True):
        for level, possible in zip(term.levels, own, strict=False):
            if not possible and term.part.role in (GROUP, COVARIATE):
                account.left_out(
                    f"{term.part.name}: {level}",
                    f"confounded with {_culprit(term, terms, number)}: its difference to"
                    f" {term.part.reference!r} cannot be estimated",
                )
    if persons < FEW_SUBJECTS * (matrix.shape[1] - 1):
        account.partly(
            "design",
            f"{persons} subjects for {matrix.shape[1] - 1} columns of the design, fewer than"
            f" {FEW_SUBJECTS} per column: only large effects can be seen",
            number, persons,
        )  # fmt: skip
    account.done("design", number, persons)
    used = {contrast.term for contrast in contrasts}
    return Design(
        samples=tuple(s for s, own in zip(metadata.samples, rows, strict=True) if own),
        subjects=subjects,
        matrix=matrix,
        contrasts=_reordered(contrasts, settings),
        levels={
            part.name: tuple(str(v) for v, own in zip(part.column.values, rows, strict=True) if own)
            for part in parts
            if part.name in used and not part.numeric
        },
        adjusted=tuple(
            term.part.name
            for term in terms
            if term.part.name not in used and np.linalg.norm(term.columns) > 0
        ),
    )
