"""The sheet of measured metabolites: read, units checked, censored values kept as such.

Three forms are read, told apart by their header and by where the names of samples stand:

- wide: one row per sample, one column per metabolite, the unit in brackets: ``butyrate [umol/g]``;
- the same with metabolites as rows and samples as columns;
- long: columns ``sample``, ``metabolite``, ``value`` and ``unit``.

A cell is a number, ``<0.5`` (below a limit of detection), ``<LOD`` (below one that is not told),
``>100`` (above the range of the method), or one of the words of `fermentome.cohort.data.MISSING`.
Several rows of one sample are replicates; their mean is taken.

A metabolite without a unit is refused: a correlation of ranks does not need one, but a reader of
the figure does, and two units in one column can be seen only where units are told.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fermentome.cohort.data import Account, Numbers
from fermentome.cohort.sample_metadata import ROLES, SAMPLE_HEADS
from fermentome.cohort.text_tables import is_missing, plain_number, read_cells, shown
from fermentome.errors import CohortError

Flags = npt.NDArray[np.bool_]

DETECTED, BELOW, ABOVE = "detected", "below", "above"

LONG_COLUMNS = ("sample", "metabolite", "value")
NOT_METABOLITES = frozenset(ROLES)
"""Columns of a sample sheet that may stand in a wide sheet of metabolites; not measurements."""

COMPOUNDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    product: (frozenset(ids), frozenset(names))
    for product, ids, names in (
        ("acetate", ["C00033"], ["ethanoate"]),
        ("propionate", ["C00163"], ["propanoate"]),
        ("butyrate", ["C00246"], ["butanoate"]),
        ("isobutyrate", ["C02632"], ["2-methylpropanoate", "2-methylpropionate"]),
        ("valerate", ["C00803"], ["pentanoate"]),
        ("isovalerate", ["C08262"], ["3-methylbutanoate", "3-methylbutyrate"]),
        ("caproate", ["C01585"], ["hexanoate"]),
        ("isocaproate", [], ["4-methylpentanoate", "4-methylvalerate"]),
        ("5-aminovalerate", ["C00431"], ["5-aminopentanoate", "delta-aminovalerate"]),
        ("formate", ["C00058"], ["methanoate"]),
        ("lactate", ["C01432", "C00186", "C00256"],
         ["l-lactate", "d-lactate", "(s)-lactate", "(r)-lactate", "dl-lactate",
          "2-hydroxypropanoate"]),
        ("succinate", ["C00042"], ["butanedioate"]),
        ("ethanol", ["C00469"], ["ethyl alcohol"]),
        ("1,2-propanediol", ["C00583"], ["propane-1,2-diol", "propylene glycol"]),
        ("sulfide", ["C00283"], ["sulphide", "hydrogen sulfide", "hydrogen sulphide", "h2s"]),
        ("methane", ["C01438"], ["ch4"]),
        ("H2", ["C00282"], ["hydrogen", "dihydrogen"]),
    )
}  # fmt: skip
"""Products of routes: compounds of KEGG (https://www.genome.jp/kegg/compound/) and further names.
Forms that an assay does not tell apart, as L- and D-lactate, are one product."""

_KEGG = re.compile(r"(?<![A-Za-z0-9])C\d{5}(?![A-Za-z0-9])")
_BRACKETS = re.compile(r"^(?P<name>.*\S)\s*\[(?P<unit>[^\[\]]*)\]\s*$")
_CENSORED = re.compile(r"(?P<sign><=|>=|[<>≤≥])\s*(?P<limit>.+)")
_UNTOLD = frozenset({"lod", "loq", "lloq", "mdl"})
_BELOW_WORDS = frozenset(
    {"bdl", "blod", "bloq", "below detection", "below_detection", "below limit of detection"}
)

_PREFIXES = {"": 1.0, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "c": 1e-2,
             "d": 1e-1, "k": 1e3}  # fmt: skip
_RATIO = re.compile(
    r"(?P<top_prefix>[fpnumk]?)(?P<top>mol|g)\s*/\s*(?P<bottom_prefix>[numcdk]?)(?P<bottom>[gl])"
    r"(?P<rest>(\s+.*)?)"
)
_MOLAR = re.compile(r"(?P<prefix>[fpnum]?)M")
_SHARES = frozenset({"%", "mol%", "mol %", "percent", "ppm", "ppb"})
_ARBITRARY = frozenset(
    {"arbitrary", "arbitrary units", "a.u.", "au", "intensity", "peak area", "peak height",
     "counts", "relative", "ratio", "area ratio"}
)  # fmt: skip
UNITS_EXPECTED = (
    "an amount by mass or volume (umol/g, mmol/kg, mg/g, mmol/l, mM, ug/ml; further words after a"
    " space, as `umol/g dry`), %, mol%, ppm, or, where the source states none, arbitrary"
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measurement.

    Attributes
    ----------
    text
        As given, the micro sign written u.
    factor
        That brings values to the base unit of the dimension.
    dimension
        Units of one dimension can be brought to each other.
    """

    text: str
    factor: float
    dimension: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One cell of a sheet: a value, or a limit below or above which the value lies.

    `value` is NaN where the limit is not told.
    """

    value: float
    kind: str


@dataclass(frozen=True, slots=True)
class Metabolite:
    """One metabolite in the samples of a cohort that have a value of it.

    Attributes
    ----------
    name, unit
        As in the sheet, without the brackets.
    compound
        KEGG compound that the name tells, or empty.
    samples
        Sorted by name.
    values
        In `unit`. Below a limit: half the limit, or half the least value that was detected where
        the limit is not told; above a limit: the limit. Only for drawing: `keys` is what is ranked.
    below, above
        Whether the value lies below or above a limit.
    limits
        These limits; NaN where there is none or it is not told.
    replicates
        Measurements that the value is the mean of.
    """

    name: str
    unit: str
    compound: str
    samples: tuple[str, ...]
    values: Numbers
    below: Flags
    above: Flags
    limits: Numbers
    replicates: npt.NDArray[np.intp]

    def keys(self) -> Numbers:
        """Values whose order is what is known of the order of the samples.

        A value below a limit of 0.5 may be larger than one of 0.3. All values below the highest
        lower limit are therefore one tie at the bottom, all above the lowest upper limit one at
        the top (Helsel 2012, Statistics for Censored Environmental Data, doi:10.1002/9781118162729:
        ranks after censoring at the highest limit). No number is made up for any of them.
        """
        keys = self.values.copy()
        lower = self.limits[self.below & ~np.isnan(self.limits)]
        upper = self.limits[self.above & ~np.isnan(self.limits)]
        if lower.size:
            keys[keys < lower.max()] = -np.inf
        if upper.size:
            keys[keys > upper.min()] = np.inf
        keys[self.below] = -np.inf
        keys[self.above] = np.inf
        return keys


@dataclass(frozen=True, slots=True)
class Sheet:
    """Metabolites in the order of their names."""

    metabolites: tuple[Metabolite, ...]
    source: str


def parse_unit(text: str) -> Unit | None:
    """Unit of a text, None if it is none that is known.

    >>> parse_unit("µmol/g").factor == parse_unit("mmol/kg").factor
    True
    >>> parse_unit("mM").dimension == parse_unit("umol/ml").dimension
    True
    >>> parse_unit("umol/gram stool") is None
    True
    """
    text = " ".join(text.replace("µ", "u").replace("μ", "u").split())
    plain = re.sub(r"(?<=\w) per (?=\w)", "/", text)
    plain = re.sub(r"[ ·*](\w+)(\^?-1|⁻¹)", r"/\1", plain)
    plain = re.sub(r"(?<=[/numcd])L(?=\s|$)", "l", plain)
    if found := _RATIO.fullmatch(plain):
        factor = _PREFIXES[found["top_prefix"]] / _PREFIXES[found["bottom_prefix"]]
        rest = found["rest"].casefold().strip()
        return Unit(text, factor, f"{found['top']}/{found['bottom']} {rest}".strip())
    if found := _MOLAR.fullmatch(plain):
        return Unit(text, _PREFIXES[found["prefix"]], "mol/l")
    if text.casefold() in _SHARES | _ARBITRARY:
        return Unit(text, 1.0, text.casefold())
    return None


def parse_reading(text: str) -> Reading | None:
    """What a cell says; None if it says that the value is missing.

    Raises
    ------
    ValueError
        If the cell is none of the forms that are known.

    Examples
    --------
    >>> parse_reading("3.5"), parse_reading(" <0.5"), parse_reading("NA")
    (Reading(value=3.5, kind='detected'), Reading(value=0.5, kind='below'), None)
    """
    text = text.strip()
    word = text.casefold()
    if is_missing(text):
        return None
    if word in _BELOW_WORDS:
        return Reading(math.nan, BELOW)
    kind = DETECTED
    if found := _CENSORED.fullmatch(text):
        kind = BELOW if found["sign"] in {"<", "<=", "≤"} else ABOVE
        text = found["limit"].strip()
        if text.casefold() in _UNTOLD:
            return Reading(math.nan, kind)
    value = plain_number(text)
    if value is None:
        raise ValueError("a number, <limit, >limit or NA expected, with a point for decimals")
    if value < 0:
        raise ValueError("a measurement cannot be negative; give values before logs and scaling")
    return Reading(value, kind)


def compound_of(name: str) -> str:
    """KEGG compound that a name tells, or nothing.

    >>> compound_of("C00246_Butyrate"), compound_of("butyrate"), compound_of("HC00246x")
    ('C00246', '', '')
    """
    found = _KEGG.search(name.replace("_", " "))
    return found.group() if found else ""


def plain_name(name: str) -> str:
    """Name in one spelling: without KEGG compound, acids as their salts, in lower case.

    >>> plain_name("C00246_Butyrate"), plain_name("n-Butyric acid"), plain_name("iso-Valeric_acid")
    ('butyrate', 'butyrate', 'isovalerate')
    """
    text = _KEGG.sub(" ", name.replace("_", " ")).strip(" :;|-")
    text = " ".join(text.casefold().split())
    text = re.sub(r"ic acid$", "ate", text)
    return re.sub(r"^iso[- ]", "iso", re.sub(r"^n-", "", text))


def product_of(name: str, products: Collection[str]) -> str | None:
    """Product that a metabolite is, by its KEGG compound or its name.

    Parameters
    ----------
    name
        Of the metabolite, as in the sheet.
    products
        Names that the feature tables know.

    Raises
    ------
    ValueError
        If compound and name say two different products.

    Examples
    --------
    >>> product_of("C00186_Lactate", ["butyrate", "lactate"])
    'lactate'
    >>> product_of("isobutyrate", ["butyrate", "lactate"]) is None
    True
    """
    compound, plain = compound_of(name), plain_name(name)
    by_compound = {product for product, (ids, _) in COMPOUNDS.items() if compound in ids}
    by_name = {product for product, (_, names) in COMPOUNDS.items() if plain in names}
    by_name |= {product for product in (*COMPOUNDS, *products) if product.casefold() == plain}
    if by_compound and by_name and not by_compound & by_name:
        raise ValueError(
            f"{compound} is {', '.join(sorted(by_compound))}, the name says"
            f" {', '.join(sorted(by_name))}"
        )
    found = sorted((by_compound or by_name) & set(products))
    return found[0] if found else None


def read_sheet(
    path: str | os.PathLike[str],
    samples: Collection[str],
    account: Account,
    *,
    unit: str | None = None,
) -> Sheet:
    """Measured metabolites of the samples of a cohort.

    Parameters
    ----------
    path
        TSV, which may be gzipped.
    samples
        Of the cohort. What the sheet says of others is left out and said.
    unit
        Of metabolites whose column states none (setting ``metabolite_unit``).

    Raises
    ------
    CohortError
        If the sheet cannot be read, a metabolite has no unit or one that is not known, a cell is
        no measurement, or no sample of the cohort is in it.
    """
    header, rows = _read_rows(Path(path))
    name = Path(path).name
    lowered = [cell.casefold() for cell in header]
    if all(column in lowered for column in LONG_COLUMNS):
        found = _of_long(name, lowered, rows, unit)
    else:
        found = _of_wide(name, *_upright(header, rows, samples), account, unit)
    units, readings = found
    known = set(samples)
    in_sheet = {sample for _, sample in readings}
    _say_of_samples(name, in_sheet, known, account)
    by_metabolite: dict[str, dict[str, list[Reading]]] = defaultdict(dict)
    for (metabolite, sample), own in readings.items():
        if sample in known:
            by_metabolite[metabolite][sample] = own
    metabolites = [
        _metabolite(metabolite, units[metabolite], by_metabolite[metabolite])
        for metabolite in sorted(by_metabolite)
    ]
    for empty in sorted(set(units) - set(by_metabolite)):
        account.left_out(
            f"metabolite {empty}", f"{name}: no sample of the cohort has a value of it"
        )
    _say_of_cells(metabolites, account)
    return Sheet(tuple(metabolites), name)


Units = dict[str, str]
Readings = dict[tuple[str, str], list[Reading]]
"""By metabolite and sample, in the order of the sheet."""


@dataclass(frozen=True, slots=True)
class _Row:
    """Cells, and where they stand in the file."""

    place: str
    cells: list[str]


def _read_rows(path: Path) -> tuple[list[str], list[_Row]]:
    header, numbered = read_cells(path)
    rows = [_Row(f"line {number}", [cell.strip() for cell in cells]) for number, cells in numbered]
    if not rows:
        raise CohortError(f"{path.name}: only a header; a row per sample expected below it")
    return [cell.strip() for cell in header], rows


def _upright(
    header: list[str], rows: list[_Row], samples: Collection[str]
) -> tuple[list[str], list[_Row]]:
    """The sheet with samples as rows: turned if its header names more of them than its rows."""
    known = set(samples)
    column = _sample_column(header)
    in_rows = sum(row.cells[column] in known for row in rows)
    if sum(cell in known for cell in header) > in_rows:
        first, *rest = zip(header, *(row.cells for row in rows), strict=True)
        return list(first), [_Row(f"column {cells[0]!r}", list(cells)) for cells in rest]
    return header, rows


def _sample_column(header: Sequence[str]) -> int:
    named = [i for i, cell in enumerate(header) if cell.lstrip("#").casefold() in SAMPLE_HEADS]
    return named[0] if named else 0


def _of_wide(
    name: str,
    header: list[str],
    rows: list[_Row],
    account: Account,
    unit: str | None,
) -> tuple[Units, Readings]:
    names = _sample_column(header)
    units: Units = {}
    readings: Readings = defaultdict(list)
    for column, title in enumerate(header):
        if column == names or title.casefold() in NOT_METABOLITES:
            continue
        found = _BRACKETS.match(title)
        metabolite, own = (found["name"], found["unit"]) if found else (title, "")
        if not metabolite or metabolite in units:
            raise CohortError(
                f"{name}, header: {title!r} {'stands twice' if metabolite else 'is no name'};"
                " give each metabolite a name of its own"
            )
        parsed = [_try_reading(row.cells[column]) for row in rows]
        wrong = [reading for reading in parsed if isinstance(reading, str)]
        if wrong and not any(isinstance(reading, Reading) for reading in parsed):
            account.left_out(
                f"column {title}", f"{name}: none of its cells is a measurement; {wrong[0]}"
            )
            continue
        units[metabolite] = _unit(name, f"column {title!r}", own, unit).text
        for row, reading in zip(rows, parsed, strict=True):
            if isinstance(reading, str):
                raise CohortError(
                    f"{name}, {row.place} ({row.cells[names]}), {title!r}:"
                    f" {shown(row.cells[column])} found; {reading}"
                )
            if reading is not None:
                readings[metabolite, row.cells[names]].append(reading)
    if not units:
        raise CohortError(
            f"{name}: no column holds measurements; expected one per metabolite, as"
            " `butyrate [umol/g]`, beside the names of samples"
        )
    return units, readings


def _try_reading(cell: str) -> Reading | str | None:
    """What a cell says, or what is wrong with it."""
    try:
        return parse_reading(cell)
    except ValueError as error:
        return str(error)


def _of_long(
    name: str, header: list[str], rows: list[_Row], unit: str | None
) -> tuple[Units, Readings]:
    place = {column: header.index(column) for column in LONG_COLUMNS}
    unit_place = header.index("unit") if "unit" in header else None
    found: list[tuple[str, str, Unit, Reading | None]] = []
    for row in rows:
        sample, metabolite = row.cells[place["sample"]], row.cells[place["metabolite"]]
        if not sample or not metabolite:
            raise CohortError(
                f"{name}, {row.place}: {'sample' if not sample else 'metabolite'} is empty; every"
                " row needs both"
            )
        cell = row.cells[place["value"]]
        reading = _try_reading(cell)
        if isinstance(reading, str):
            raise CohortError(
                f"{name}, {row.place} ({sample}, {metabolite}), column value: {shown(cell)} found;"
                f" {reading}"
            )
        bracketed = _BRACKETS.match(metabolite)
        own = row.cells[unit_place] if unit_place is not None else ""
        own = "" if is_missing(own) else own
        if bracketed:
            metabolite, own = bracketed["name"], own or bracketed["unit"]
        where = f"{row.place} ({metabolite})"
        found.append((metabolite, sample, _unit(name, where, own, unit), reading))
    chosen = _one_unit(name, found)
    readings: Readings = defaultdict(list)
    for metabolite, sample, own_unit, reading in found:
        if reading is not None:
            factor = own_unit.factor / chosen[metabolite].factor
            readings[metabolite, sample].append(Reading(reading.value * factor, reading.kind))
    return {metabolite: own_unit.text for metabolite, own_unit in chosen.items()}, readings


def _one_unit(name: str, found: Iterable[tuple[str, str, Unit, object]]) -> dict[str, Unit]:
    """The most frequent unit of each metabolite, the first by name among equals."""
    seen: dict[str, Counter[Unit]] = defaultdict(Counter)
    for metabolite, _, unit, _ in found:
        seen[metabolite][unit] += 1
    chosen = {}
    for metabolite, counts in seen.items():
        units = sorted(counts, key=lambda unit: (-counts[unit], unit.text))
        other = [unit for unit in units if unit.dimension != units[0].dimension]
        if other:
            raise CohortError(
                f"{name}, metabolite {metabolite!r}: units {units[0].text!r} and {other[0].text!r}"
                " cannot be brought to each other; give one metabolite one kind of unit"
            )
        chosen[metabolite] = units[0]
    return chosen


def _unit(name: str, where: str, own: str, setting: str | None) -> Unit:
    text = own.strip() or (setting or "").strip()
    if not text:
        raise CohortError(
            f"{name}, {where}: no unit; write it in the header, as `butyrate [umol/g]`, in a column"
            f" `unit`, or set metabolite_unit for the whole sheet; expected {UNITS_EXPECTED}"
        )
    unit = parse_unit(text)
    if unit is None:
        raise CohortError(f"{name}, {where}: unit {text!r} is not known; expected {UNITS_EXPECTED}")
    return unit


def _metabolite(name: str, unit: str, by_sample: Mapping[str, Sequence[Reading]]) -> Metabolite:
    samples = tuple(sorted(by_sample))
    detected = [
        reading.value for own in by_sample.values() for reading in own if reading.kind == DETECTED
    ]
    positive = [value for value in detected if value > 0]
    untold = min(positive) / 2 if positive else math.nan
    # Sorted: the mean of replicates must not hang on the order of the rows.
    means = [mean_of(sorted(by_sample[s], key=_order), untold) for s in samples]
    return Metabolite(
        name, unit, compound_of(name), samples,
        values=np.array([value for value, _, _ in means], dtype=np.float64),
        below=np.array([kind == BELOW for _, kind, _ in means], dtype=np.bool_),
        above=np.array([kind == ABOVE for _, kind, _ in means], dtype=np.bool_),
        limits=np.array([limit for _, _, limit in means], dtype=np.float64),
        replicates=np.array([len(by_sample[s]) for s in samples], dtype=np.intp),
    )  # fmt: skip


def _order(reading: Reading) -> tuple[str, bool, float]:
    return reading.kind, math.isnan(reading.value), reading.value


def mean_of(readings: Sequence[Reading], untold: float) -> tuple[float, str, float]:
    """Mean of replicates: its value, kind and limit.

    Where all lie below a limit the mean does so too, below the highest limit. Where some do, half
    their limit stands for them (Hornung & Reed 1990, doi:10.1080/1047322X.1990.10389587). Where
    one lies above a limit, so does the mean: above the mean of what is there.

    Parameters
    ----------
    untold
        That stands for a value below a limit that is not told.

    Examples
    --------
    >>> mean_of([Reading(2.0, DETECTED), Reading(1.0, BELOW)], 0.1)
    (1.25, 'detected', nan)
    >>> mean_of([Reading(0.5, BELOW), Reading(1.0, BELOW)], 0.1)
    (0.5, 'below', 1.0)
    """
    if all(reading.kind == BELOW for reading in readings):
        told = [reading.value for reading in readings if not math.isnan(reading.value)]
        return (max(told) / 2, BELOW, max(told)) if told else (untold, BELOW, math.nan)
    values = []
    for reading in readings:
        if reading.kind == BELOW:
            values.append(untold if math.isnan(reading.value) else reading.value / 2)
        else:
            values.append(reading.value)
    mean = math.fsum(values) / len(values)
    if any(reading.kind == ABOVE for reading in readings):
        return mean, ABOVE, mean
    return mean, DETECTED, math.nan


def _say_of_samples(name: str, in_sheet: set[str], known: set[str], account: Account) -> None:
    both, foreign = in_sheet & known, sorted(in_sheet - known)
    if not both:
        raise CohortError(
            f"{name}: none of its {len(in_sheet)} samples (first: {_first(in_sheet)}) is in the"
            f" cohort (first: {_first(known)}); name the samples alike in both"
        )
    if foreign:
        account.partly(
            "samples of the sheet",
            f"{name}: {len(foreign)} samples are not in the cohort and left out, as {foreign[0]}",
            len(both),
        )
    if without := sorted(known - in_sheet):
        account.partly(
            "samples of the cohort",
            f"{name}: {len(without)} samples have no measurement, as {without[0]}",
            len(both),
        )


def _first(names: Collection[str]) -> str:
    return min(names) if names else "none"


def _say_of_cells(metabolites: Sequence[Metabolite], account: Account) -> None:
    """Say what readers must know of the measurements: replicates and limits."""
    for one in metabolites:
        reasons = []
        if repeated := int((one.replicates > 1).sum()):
            reasons.append(f"{repeated} samples have replicates, whose mean is taken")
        if one.below.any():
            tied = int(np.isneginf(one.keys()).sum())
            reasons.append(
                f"{int(one.below.sum())} values are below a limit of detection; with the detected"
                f" ones under the highest limit {tied} are tied at the bottom"
            )
        if one.above.any():
            tied = int(np.isposinf(one.keys()).sum())
            reasons.append(f"{tied} values above the range of the method are tied at the top")
        if reasons:
            account.partly(f"metabolite {one.name}", "; ".join(reasons), len(one.samples))
