"""Read the tables of other tools: which identifiers a sample holds, and how much of each.

Formats, each with the page that describes it:

- HUMAnN 3 gene families, and the same regrouped to KO or EC (``humann_regroup_table``), plain or
  stratified, of one sample or joined: https://github.com/biobakery/humann (user manual, "Gene
  families file", "humann_regroup_table", "humann_renorm_table");
- eggNOG-mapper 2 ``*.emapper.annotations``:
  https://github.com/eggnogdb/eggnog-mapper/wiki (output format of 2.1.5 to 2.1.12);
- PICRUSt2 ``pred_metagenome_unstrat.tsv``, ``pred_metagenome_contrib.tsv``, the wide
  ``pred_metagenome_strat.tsv``, and ``KO_predicted.tsv`` and ``EC_predicted.tsv``:
  https://github.com/picrust/picrust2/wiki (standard output; key output files).

Tables are streamed. What is kept grows with the identifiers of the catalogue, not with the rows.
"""

import gzip
import itertools
import math
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from fermentome.assign import UNASSIGNED
from fermentome.errors import TableError
from fermentome.evidence import COMMUNITY
from fermentome.identifiers import IdentifierIndex, Kind, Vocabulary, parse_identifier
from fermentome.lineage import clean_name

Format = Literal["auto", "humann", "eggnog", "picrust2"]
FORMATS: tuple[Format, ...] = ("auto", "humann", "eggnog", "picrust2")

UNMAPPED = frozenset({"UNMAPPED", "READS_UNMAPPED"})
UNGROUPED = frozenset({"UNGROUPED"})
SPECIAL = UNMAPPED | UNGROUPED
"""Rows that HUMAnN writes beside the features; their presence shows that nothing was cut."""

_GENE_FAMILIES = (
    "give the gene families: the *_genefamilies.tsv of HUMAnN, regrouped with"
    " 'humann_regroup_table --groups uniref90_ko' (or uniref90_level4ec), or an"
    " .emapper.annotations file, or PICRUSt2's pred_metagenome_unstrat.tsv"
)
_REFUSED: tuple[tuple[str, str], ...] = (
    (r"[dkpcofgst]__.*", "are taxa, and a taxonomic profile holds no genes"),
    (
        r".*PWY.*|UNINTEGRATED",
        "are MetaCyc pathways, not families: which genes stand behind one cannot be told from it",
    ),
    (r".*-RXN.*|RXN[-0-9].*", "are MetaCyc reactions, not families"),
    (r"(?:md:)?M\d{5}", "are KEGG modules, not families"),
    (r"(?:path:)?(?:ko|map|ec)\d{5}", "are KEGG pathways, not families"),
    (r"(?:rn:)?R\d{5}", "are KEGG reactions, not families"),
    (r"GO:\d{7}.*", "are GO terms, each of which holds many families"),
    (r"(?:pfam|PF)\d{5}.*", "are Pfam domains, each of which many families hold"),
    (r"TIGR\d{5}", "are TIGRFAM families, which the catalogue does not name"),
    (r"(?:GH|GT|PL|CE|AA|CBM)\d+(?:_\d+)?", "are CAZy families, which act on carbohydrates"),
    (
        r"(?:COG|arCOG|KOG)\d{4,5}|ENOG\S+",
        "are orthologous groups, each of which can hold a target and its look-alikes",
    ),
)
_REFUSED_PATTERN = re.compile(
    "|".join(f"(?P<refused{i}>{pattern})" for i, (pattern, _) in enumerate(_REFUSED))
)
_UNIT_SUFFIX = re.compile(r"(?:_Abundance)?-(RPK|CPM|RELAB)s?$|_Abundance$")
_UNITS = {"RPK": "RPK", "CPM": "CPM", "RELAB": "relative abundance"}
_BLOCK_CELLS = 20_000


@dataclass(slots=True)
class ForeignSample:
    """One sample of another tool's table, with the identifiers of the catalogue.

    Attributes
    ----------
    unit
        Of the values, in words.
    values
        By taxon (with `COMMUNITY`), then identifier. Zeros are left out.
    doubtful
        Genes whose identifiers name several families, by identifier.
    listed
        Identifiers that have a row in the table: a zero of these is known.
    filtered
        Why the table may have been cut, so that what is not listed is not known to be missing;
        empty if it is complete.
    vocabulary
        What the tool behind the table can know.
    gene_counts
        Whether values count the genes of a genome or an assembly, whatever their abundance.
    one_genome
        Whether the sample is one genome, as far as the format says.
    taxa_are
        What the taxa are (``genera``, ``sequences``); empty for a table without taxa.
    features, used
        Rows (or genes) above zero, and those among them with an identifier of the catalogue.
    total, used_total
        Sums of their values.
    unidentified
        Value of `SPECIAL` rows.
    lowest
        Smallest value above zero in the sample; NaN if there is none.
    """

    name: str
    source: str
    tool: str
    kind: Kind
    unit: str
    values: dict[str, dict[str, float]]
    listed: frozenset[str]
    filtered: str
    vocabulary: Vocabulary
    doubtful: dict[str, float] = field(default_factory=dict)
    gene_counts: bool = False
    one_genome: bool = False
    taxa_are: str = ""
    features: int = 0
    used: int = 0
    total: float = 0.0
    used_total: float = 0.0
    unidentified: float = 0.0
    lowest: float = math.nan


@dataclass(frozen=True, slots=True)
class _Lines:
    """Lines of a table with their numbers; text, without line ends."""

    path: Path
    numbered: Iterator[tuple[int, str]]

    def fail(self, line: int | str, problem: str) -> TableError:
        where = f"line {line}" if isinstance(line, int) else line
        return TableError(f"{self.path}, {where}: {problem}")

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Cells of each row; quotes around a cell are not part of it."""
        for number, line in self.numbered:
            if line:
                yield number, _cells(line)


def _cells(line: str) -> list[str]:
    cells = line.split("\t")
    if '"' in line:
        cells = [
            c[1:-1] if len(c) > 1 and c.startswith('"') and c.endswith('"') else c for c in cells
        ]
    return cells


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
        if magic == b"\x89HDF":
            raise TableError(
                f"{path}: is a BIOM file; write it as text with 'biom convert --to-tsv' and give"
                " --format"
            )
        opener = gzip.open if magic[:2] == b"\x1f\x8b" else open
        with opener(path, "rt", encoding="utf-8-sig") as handle:
            for number, line in enumerate(handle, start=1):
                yield number, line.rstrip("\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TableError(
            f"{path}: the gzip data is cut off or damaged ({error}); copy it anew"
        ) from error
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path}: is not UTF-8 text ({error.reason}, byte {error.start}); give a tab-separated"
            " table"
        ) from error
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_foreign_table(
    path: str | os.PathLike[str],
    indices: Mapping[Kind, IdentifierIndex],
    table_format: Format = "auto",
) -> list[ForeignSample]:
    """Samples of a table of another tool, in the order of the table.

    Parameters
    ----------
    indices
        What the catalogue knows, by kind of identifier. A table of a kind that is not there is
        refused.
    table_format
        Tool that wrote the table; ``auto`` tells it from the header.

    Raises
    ------
    TableError
        If the table is not one of KOs, EC numbers or UniRef clusters, or is damaged. The
        message says where, and what to give instead.
    """
    path = Path(path)
    lines = _Lines(path, _read_lines(path))
    header: list[str] = []
    for _, line in lines.numbered:
        # HUMAnN and eggNOG-mapper write the header itself with '#'; comments hold no tab.
        if line and not line.startswith("##") and not (line.startswith("#") and "\t" not in line):
            header = _cells(line)
            break
    if not header:
        raise TableError(f"{path}: the file is empty, a table with a header line was expected")
    if len(header) == 1:
        raise lines.fail("header", _describe_single_column(header[0]))
    found, reader = _recognise(header)
    if table_format not in {"auto", found} and not (table_format == "humann" and found == ""):
        raise lines.fail(
            "header",
            f"looks like a table of {found or 'an unknown tool'}, not of {table_format}; found"
            f" {', '.join(header[:4])}; leave --format out, or give another",
        )
    if reader == "eggnog":
        return [_read_eggnog(lines, header, indices)]
    if reader == "contributions":
        return _read_contributions(lines, header, indices)
    if reader == "genomes":
        return _read_genomes(lines, header, indices)
    return _read_wide(lines, header, indices, found, table_format == "humann")


def _describe_single_column(cell: str) -> str:
    for separator, name in ((",", "commas"), (";", "semicolons"), (" ", "blanks")):
        if separator in cell:
            return (
                f"{cell[:60]!r} is separated by {name}, or has no sample column; save the table as"
                " tab-separated text"
            )
    return f"only the column {cell[:60]!r}, no sample column; give a table with numbers"


def _recognise(header: Sequence[str]) -> tuple[str, str]:
    """Tool and reader of a table, from its header."""
    first = header[0].lower()
    if first.startswith("#query") or (first == "query" and "KEGG_ko" in header):
        return "eggnog", "eggnog"
    if "function" in header[:2] and first == "sample":
        return "picrust2", "contributions"
    if first == "sequence":
        return "picrust2", "genomes"
    if first in {"function", "pathway"}:
        return "picrust2", "wide"
    if first.startswith("# gene family") or any(_UNIT_SUFFIX.search(c) for c in header[1:]):
        return "humann", "wide"
    return "", "wide"


class _Features:
    """Checks the identifiers of a table, and knows which are of the catalogue."""

    _ENOUGH = 1000

    def __init__(self, lines: _Lines, indices: Mapping[Kind, IdentifierIndex]) -> None:
        self.lines = lines
        self.indices = indices
        self.kind: Kind | None = None
        self.vocabulary = Vocabulary()
        self.first: tuple[int | str, str] = (0, "")
        self.unknown: list[tuple[int | str, str]] = []
        self._known: dict[str, str] = {}

    def identify(self, text: str, line: int | str) -> str:
        """Plain form of an identifier; empty if the catalogue does not name it.

        Raises
        ------
        TableError
            If it is of a kind that cannot be scored, or of another kind than those before.
        """
        parsed = parse_identifier(text)
        if parsed is None:
            self._refuse(text, line)
            return ""
        kind, name = parsed
        if kind != self.kind:
            if self.kind is not None:
                raise self.lines.fail(
                    line,
                    f"{text!r} ({kind}) does not go with {self.first[1]!r} ({self.kind}) in line"
                    f" {self.first[0]}; give one table per kind of identifier",
                )
            self.kind, self.first = kind, (line, text)
            if self.unknown:
                self.fail_unknown()
            if kind not in self.indices:
                raise self.lines.fail(line, self._without_index(text))
        if name not in self._known:
            if kind != "UniRef":
                self.vocabulary.add(name)
                self._known[name] = name if name in self.indices[kind].bearers else ""
            else:  # too many clusters to remember those that the reference lacks
                return name if name in self.indices[kind].bearers else ""
        return self._known[name]

    def _without_index(self, text: str) -> str:
        return (
            f"{text!r} is a UniRef cluster, and no families of UniRef clusters are known; give"
            " --reference with a protein reference whose proteins are named by UniRef clusters"
            " (UniRef90_...), or regroup the table to KO with 'humann_regroup_table --groups"
            " uniref90_ko'"
        )

    def _refuse(self, text: str, line: int | str) -> None:
        if match := _REFUSED_PATTERN.fullmatch(text):
            number = int(str(match.lastgroup).removeprefix("refused"))
            raise self.lines.fail(line, f"{text!r}: these {_REFUSED[number][1]}; {_GENE_FAMILIES}")
        self.unknown.append((line, text))
        # A better known neighbour may tell what these are; a few rows decide.
        if self.kind is not None or len(self.unknown) >= self._ENOUGH:
            self.fail_unknown()

    def fail_unknown(self) -> None:
        """Refuse the table for the first identifier that was not understood, if there is one."""
        if self.unknown:
            line, text = self.unknown[0]
            raise self.lines.fail(
                line,
                f"{text[:60]!r} is no KO (K00001), EC number (1.1.1.1) or UniRef cluster"
                f" (UniRef90_...); {_GENE_FAMILIES}",
            )

    def finish(self) -> Kind:
        """Kind of the identifiers.

        Raises
        ------
        TableError
            If the table has none.
        """
        self.fail_unknown()
        if self.kind is None:
            raise TableError(f"{self.lines.path}: no row of a family; {_GENE_FAMILIES}")
        return self.kind


def split_feature(feature: str) -> tuple[str, str]:
    """Identifier and stratum of a row name of HUMAnN; an empty stratum for the community.

    >>> split_feature("K00001: alcohol dehydrogenase|g__Dorea.s__Dorea_longicatena")
    ('K00001', 'g__Dorea.s__Dorea_longicatena')
    """
    head, _, stratum = feature.partition("|")
    return head.partition(": ")[0].strip(), stratum


def taxon_of_stratum(stratum: str) -> str:
    """Taxon of a stratum: the genus, or the species where the genus has no name of its own.

    The genus is the unit in which routes are looked for, as in `fermentome.scoring`. Sequences
    of PICRUSt2 keep their names; each stands for one predicted genome.

    >>> taxon_of_stratum("g__Clostridium_A.s__Clostridium_A_leptum")
    'Clostridium A'
    >>> taxon_of_stratum("g__Lachnospiraceae_unclassified.s__Lachnospiraceae_bacterium_2_1")
    'Lachnospiraceae bacterium 2 1'
    >>> taxon_of_stratum("unclassified")
    'unassigned'
    """
    genus, _, species = stratum.partition(".")
    if not genus.startswith("g__"):
        if genus.startswith("s__"):
            return clean_name(genus).partition(" ")[0]
        return UNASSIGNED if stratum.lower() in {"unclassified", "unknown"} else stratum
    if "unclassified" in genus.lower() or genus == "g__":
        has_species = species.startswith("s__") and "unclassified" not in species.lower()
        return clean_name(species) if has_species else UNASSIGNED
    return clean_name(genus)


def parse_values(
    cells: Sequence[str], names: Sequence[str], lines: _Lines, line: int
) -> list[float]:
    """Numbers of a row, each at least 0.

    Raises
    ------
    TableError
        If one is missing, negative, infinite or no number.
    """
    try:
        values = list(map(float, cells))
        if min(values) >= 0 and sum(values) < math.inf:
            return values
    except ValueError:
        pass
    for cell, name in zip(cells, names, strict=True):
        problem = ""
        try:
            value = float(cell)
        except ValueError:
            problem = "is not a number"
            if not cell or cell.upper() in {"NA", "N/A", "NULL", "-"}:
                problem = "is a missing value; write 0 where nothing was found"
            elif "," in cell:
                problem = "is not a number; write decimals with a point"
        else:
            if math.isnan(value):
                problem = "is a missing value; write 0 where nothing was found"
            elif math.isinf(value):
                problem = "is infinite"
            elif value < 0:
                problem = "is negative; give abundances, not their logarithms or differences"
        if problem:
            raise lines.fail(line, f"column {name!r}: {cell!r} {problem}")
    raise lines.fail(line, "the sum of the row is not finite")


def _row_width(lines: _Lines, line: int, cells: Sequence[str], header: Sequence[str]) -> None:
    if len(cells) == len(header):
        return
    hint = ""
    if len(cells) == len(header) + 1:
        hint = "; R leaves the first name out, write with col.names = NA"
    raise lines.fail(line, f"{len(cells)} cells, the header has {len(header)}{hint}")


def _half_unit(text: str) -> float:
    """Half a unit of the last decimal that a number was written with.

    >>> _half_unit("0.25"), _half_unit("30"), _half_unit("1.5e-06")
    (0.005, 0.5, 5e-08)
    """
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2]) - (int(exponent) if exponent else 0)
    return 0.5 * 10.0**-decimals


@dataclass(slots=True)
class _Tally:
    """Sums over rows, one number per sample."""

    features: npt.NDArray[np.int64]
    total: npt.NDArray[np.float64]
    lowest: npt.NDArray[np.float64]
    rows: int = 0

    @classmethod
    def of(cls, samples: int) -> "_Tally":
        return cls(np.zeros(samples, dtype=np.int64), np.zeros(samples), np.full(samples, math.inf))

    def add(self, block: Sequence[Sequence[float]]) -> None:
        if not block:
            return
        matrix = np.array(block, dtype=float)
        self.rows += len(block)
        self.features += (matrix > 0).sum(axis=0)
        self.total += matrix.sum(axis=0)
        self.lowest = np.minimum(self.lowest, np.where(matrix > 0, matrix, math.inf).min(axis=0))


@dataclass(frozen=True, slots=True)
class _Sparse:
    """A kept row: where it is above zero, its values, and how coarsely they were written."""

    line: int
    columns: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    half_units: npt.NDArray[np.float64]


def _sample_columns(lines: _Lines, header: Sequence[str], skip: int) -> tuple[list[str], list[str]]:
    """Names of the samples of a wide table, and the units of their columns."""
    names, units = [], []
    for column in header[skip:]:
        match = _UNIT_SUFFIX.search(column)
        names.append(column[: match.start()].strip() if match else column.strip())
        units.append(_UNITS.get(match[1] or "", "") if match else "")
    for name in names:
        if not name:
            raise lines.fail("header", "a sample column has no name; name it")
        if names.count(name) > 1:
            raise lines.fail("header", f"sample {name!r} stands twice; rename one")
    return names, units


def _read_wide(
    lines: _Lines,
    header: list[str],
    indices: Mapping[Kind, IdentifierIndex],
    found: str,
    is_humann: bool,
) -> list[ForeignSample]:
    """Features by samples: HUMAnN, or the (un)stratified metagenome of PICRUSt2."""
    skip = 1
    while skip < len(header) and header[skip].lower() in {"description", "sequence"}:
        skip += 1
    stratum_column = header.index("sequence") if "sequence" in header[:skip] else None
    names, units = _sample_columns(lines, header, skip)
    if not names:
        raise lines.fail("header", "no sample column; give a table with numbers")
    features = _Features(lines, indices)
    tallies = {what: _Tally.of(len(names)) for what in ("plain", "strata", "special")}
    used = {"plain": _Tally.of(len(names)), "strata": _Tally.of(len(names))}
    blocks: dict[str, list[list[float]]] = defaultdict(list)
    used_blocks: dict[str, list[list[float]]] = defaultdict(list)
    kept: dict[tuple[str, str], _Sparse] = {}
    seen_plain: dict[str, int] = {}
    specials: set[str] = set()
    block_rows = max(1, _BLOCK_CELLS // len(names))
    pending = 0

    def flush() -> None:
        for what, block in blocks.items():
            tallies[what].add(block)
        for what, block in used_blocks.items():
            used[what].add(block)
        blocks.clear()
        used_blocks.clear()

    for line, cells in lines:
        _row_width(lines, line, cells, header)
        if cells[0][1:3] == "__":  # a taxon; its '|' part ranks, not strata
            features.identify(cells[0].partition("|")[0], line)
        code, stratum = split_feature(cells[0])
        if stratum_column is not None:
            stratum = cells[stratum_column]
        values = parse_values(cells[skip:], names, lines, line) if code in SPECIAL else None
        if values is not None:
            specials.add(code)
            if not stratum:
                blocks["special"].append(values)
            continue
        identifier = features.identify(code, line)
        try:
            values = parse_values(cells[skip:], names, lines, line)
        except TableError:
            features.fail_unknown()  # says more about a table that is none of these
            raise
        what = "strata" if stratum else "plain"
        blocks[what].append(values)
        if what == "plain" and features.kind != "UniRef" and code in seen_plain:
            raise lines.fail(
                line, f"{code!r} stands in line {seen_plain[code]} already; join the two rows"
            )
        if what == "plain" and features.kind != "UniRef":
            seen_plain[code] = line
        if identifier:
            used_blocks[what].append(values)
            if (identifier, stratum) in kept:
                raise lines.fail(
                    line,
                    f"{cells[0]!r} stands in line {kept[identifier, stratum].line} already; join"
                    " the two rows",
                )
            row = np.array(values)
            columns = np.flatnonzero(row)
            coarse = np.array([_half_unit(cells[skip + i].strip()) for i in columns])
            kept[identifier, stratum] = _Sparse(line, columns, row[columns], coarse)
        pending += 1
        if pending >= block_rows:
            flush()
            pending = 0
    flush()
    kind = features.finish()

    has_strata = tallies["strata"].rows > 0
    if found == "" and not (is_humann or specials or has_strata):
        raise lines.fail(
            "header",
            f"{header[0]!r} does not tell which tool wrote the table. If its values are"
            " normalised by gene length (RPK, CPM or relative abundance of HUMAnN), say --format"
            f" humann; found the columns {', '.join(header[:4])}",
        )
    picrust2 = found == "picrust2"
    _check_strata(lines, kept, names)
    filtered = ""
    if not specials and not picrust2:
        filtered = "the table has neither UNMAPPED nor UNGROUPED and may have been filtered"
    source = "plain" if tallies["plain"].rows else "strata"
    listed = frozenset(identifier for identifier, _ in kept)
    by_sample = _values_by_sample(kept, len(names))
    return [
        ForeignSample(
            name=name,
            source=lines.path.name,
            tool="PICRUSt2" if picrust2 else "HUMAnN",
            kind=kind,
            unit="predicted gene copies" if picrust2 else units[i] or "table units",
            values=by_sample[i],
            listed=listed,
            filtered=filtered,
            vocabulary=features.vocabulary,
            taxa_are=("sequences" if picrust2 else "genera") if has_strata else "",
            features=int(tallies[source].features[i]),
            used=int(used[source].features[i]),
            total=float(tallies[source].total[i]),
            used_total=float(used[source].total[i]),
            unidentified=float(tallies["special"].total[i]),
            lowest=_finite(tallies[source].lowest[i]),
        )
        for i, name in enumerate(names)
    ]


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else math.nan


def _check_strata(
    lines: _Lines, kept: Mapping[tuple[str, str], _Sparse], names: Sequence[str]
) -> None:
    """Refuse a table in which the strata of a feature do not add up to its total.

    Gene families of HUMAnN do, and stay so when regrouped by sum and renormalised by community
    (user manual: "individual species' abundance contributions sum to the community total").
    """
    strata: dict[str, list[_Sparse]] = defaultdict(list)
    for (identifier, stratum), row in kept.items():
        if stratum:
            strata[identifier].append(row)
    for identifier, rows in strata.items():
        whole = kept.get((identifier, ""))
        if whole is None:
            continue
        difference, tolerance = np.zeros(len(names)), np.zeros(len(names))
        difference[whole.columns] += whole.values
        tolerance[whole.columns] += whole.half_units + 1e-6 * whole.values
        for row in rows:
            difference[row.columns] -= row.values
            tolerance[row.columns] += row.half_units
        wrong = np.flatnonzero(np.abs(difference) > tolerance)
        if len(wrong):
            at = int(wrong[0])
            total = float(whole.values[whole.columns == at].sum())
            raise lines.fail(
                whole.line,
                f"{identifier} in sample {names[at]!r}: the taxa add up to"
                f" {total - difference[at]:.6g}, the total is {total:.6g}; give a table that was"
                " regrouped by sum and not renormalised by 'humann_renorm_table --mode levelwise'",
            )


def _values_by_sample(
    kept: Mapping[tuple[str, str], _Sparse], samples: int
) -> list[dict[str, dict[str, float]]]:
    """Values by sample, taxon and identifier; the community is the sum where it has no row."""
    result: list[dict[str, dict[str, float]]] = [{COMMUNITY: {}} for _ in range(samples)]
    for (identifier, stratum), row in kept.items():
        taxa = [taxon_of_stratum(stratum)] if stratum else [COMMUNITY]
        if stratum and (identifier, "") not in kept:
            taxa.append(COMMUNITY)
        for taxon in taxa:
            for column, value in zip(row.columns, row.values, strict=True):
                rows = result[int(column)].setdefault(taxon, {})
                rows[identifier] = rows.get(identifier, 0.0) + float(value)
    return result


def _read_eggnog(
    lines: _Lines, header: Sequence[str], indices: Mapping[Kind, IdentifierIndex]
) -> ForeignSample:
    """Genes of one genome or assembly, annotated by eggNOG-mapper 2.

    A gene with several KOs of one family counts once for it. One with KOs of families that
    share none is counted for no family: it may be either.
    """
    if "KEGG_ko" not in header:
        raise lines.fail(
            "header",
            f"no column 'KEGG_ko' in {', '.join(header[:6])}; give the .emapper.annotations file"
            " of eggNOG-mapper 2 (not .hits, .seed_orthologs or .orthologs)",
        )
    column = header.index("KEGG_ko")
    index = indices["KO"]
    vocabulary = Vocabulary()
    sample = ForeignSample(
        name=_eggnog_sample(lines.path),
        source=lines.path.name,
        tool="eggNOG-mapper",
        kind="KO",
        unit="genes",
        values={COMMUNITY: {}},
        listed=frozenset(),
        filtered="the last line, '## ... queries scanned', is missing: the file may be cut off",
        vocabulary=vocabulary,
        gene_counts=True,
    )
    counts = sample.values[COMMUNITY]
    genes: dict[str, int] = {}
    rows = with_ko = 0
    for line, cells in lines:
        if cells[0].startswith("#"):
            if "queries scanned" in cells[0]:
                sample.filtered = ""
            continue
        _row_width(lines, line, cells, header)
        rows += 1
        if cells[column] in {"-", ""}:
            continue
        kos = []
        for text in cells[column].split(","):
            parsed = parse_identifier(text.strip())
            if parsed is None or parsed[0] != "KO":
                raise lines.fail(line, f"column 'KEGG_ko': {text!r} is no KO such as ko:K00001")
            vocabulary.add(parsed[1])
            kos.append(parsed[1])
        with_ko += 1
        known = sorted({ko for ko in kos if ko in index.bearers})
        if not known:
            continue
        if cells[0] in genes:
            raise lines.fail(line, f"gene {cells[0]!r} stands in line {genes[cells[0]]} already")
        genes[cells[0]] = line
        common = set(index.bearers[known[0]]).intersection(*(index.bearers[ko] for ko in known))
        if not common:
            for ko in known:
                sample.doubtful[ko] = sample.doubtful.get(ko, 0.0) + 1
            continue
        for ko in {index.bearers[ko]: ko for ko in reversed(known)}.values():
            counts[ko] = counts.get(ko, 0.0) + 1
    if rows == 0:
        raise TableError(f"{lines.path}: no gene in the table; was the annotation finished?")
    if not with_ko:
        raise TableError(
            f"{lines.path}: none of {rows} genes has a KO; annotate with a database that has KOs"
        )
    sample.features, sample.total = with_ko, float(with_ko)
    sample.used, sample.used_total = len(genes), float(len(genes))
    sample.unidentified, sample.lowest = float(rows - with_ko), 1.0
    return sample


def _eggnog_sample(path: Path) -> str:
    name = path.name
    for suffix in (".gz", ".tsv", ".annotations", ".emapper"):
        name = name.removesuffix(suffix)
    return name


def _column(lines: _Lines, header: Sequence[str], name: str) -> int:
    if name not in header:
        raise lines.fail(
            "header",
            f"no column {name!r} in {', '.join(header)}; give the pred_metagenome_contrib.tsv of"
            " PICRUSt2",
        )
    return header.index(name)


def _read_contributions(
    lines: _Lines, header: Sequence[str], indices: Mapping[Kind, IdentifierIndex]
) -> list[ForeignSample]:
    """Long table of PICRUSt2: one row per sample, function and sequence."""
    places = [
        _column(lines, header, n) for n in ("sample", "function", "taxon", "taxon_function_abun")
    ]
    features = _Features(lines, indices)
    samples: dict[str, ForeignSample] = {}
    seen: set[tuple[str, str, str]] = set()
    listed: set[str] = set()
    for line, cells in lines:
        _row_width(lines, line, cells, header)
        name, function, taxon, abundance = (cells[place] for place in places)
        identifier = features.identify(function, line)
        (value,) = parse_values([abundance], ["taxon_function_abun"], lines, line)
        sample = samples.get(name)
        if sample is None:
            if not name:
                raise lines.fail(line, "the sample has no name")
            sample = samples[name] = ForeignSample(
                name=name,
                source=lines.path.name,
                tool="PICRUSt2",
                kind=features.kind or "KO",
                unit="predicted gene copies",
                values={COMMUNITY: {}},
                listed=frozenset(),
                filtered="",
                vocabulary=features.vocabulary,
                taxa_are="sequences",
            )
        if value:
            sample.features += 1
            sample.total += value
            sample.lowest = value if math.isnan(sample.lowest) else min(sample.lowest, value)
        if not identifier:
            continue
        listed.add(identifier)
        if (name, identifier, taxon) in seen:
            raise lines.fail(line, f"{function} of {taxon!r} in {name!r} stands twice")
        seen.add((name, identifier, taxon))
        if value:
            sample.used += 1
            sample.used_total += value
            for key in (COMMUNITY, taxon):
                rows = sample.values.setdefault(key, {})
                rows[identifier] = rows.get(identifier, 0.0) + value
    kind = features.finish()
    for sample in samples.values():
        sample.kind, sample.listed = kind, frozenset(listed)
    return list(samples.values())


def _read_genomes(
    lines: _Lines, header: Sequence[str], indices: Mapping[Kind, IdentifierIndex]
) -> list[ForeignSample]:
    """Predicted genomes of PICRUSt2: one row per sequence, one column per function."""
    features = _Features(lines, indices)
    columns = [
        position
        for position, name in enumerate(header)
        if position and not name.startswith(("metadata_", "closest_reference"))
    ]
    identifiers = [features.identify(header[c], f"header, column {c + 1}") for c in columns]
    kind = features.finish()
    wanted = [(place, name) for place, name in enumerate(identifiers) if name]
    listed = [name for _, name in wanted]
    for name in listed:
        if listed.count(name) > 1:
            raise lines.fail("header", f"{name} stands twice; join the two columns")
    names = [header[c] for c in columns]
    samples: dict[str, ForeignSample] = {}
    for line, cells in lines:
        _row_width(lines, line, cells, header)
        if cells[0] in samples:
            raise lines.fail(line, f"sequence {cells[0]!r} stands twice; rename one")
        values = parse_values([cells[c] for c in columns], names, lines, line)
        counts = {name: values[place] for place, name in wanted if values[place]}
        above = [value for value in values if value]
        samples[cells[0]] = ForeignSample(
            name=cells[0],
            source=lines.path.name,
            tool="PICRUSt2",
            kind=kind,
            unit="predicted genes",
            values={COMMUNITY: counts},
            listed=frozenset(listed),
            filtered="",
            vocabulary=features.vocabulary,
            gene_counts=True,
            one_genome=True,
            features=len(above),
            used=len(counts),
            total=sum(above),
            used_total=sum(counts.values()),
            lowest=min(above, default=math.nan),
        )
    if not samples:
        raise TableError(f"{lines.path}: no row below the header; give a table with genomes")
    return list(samples.values())


def read_foreign_tables(
    paths: Sequence[str | os.PathLike[str]],
    indices: Mapping[Kind, IdentifierIndex],
    table_format: Format = "auto",
) -> list[ForeignSample]:
    """Samples of several tables, sorted by name.

    Raises
    ------
    TableError
        If a table cannot be used, or two hold a sample of the same name.
    """
    samples: dict[str, ForeignSample] = {}
    files = itertools.chain.from_iterable(
        ((path, s) for s in read_foreign_table(path, indices, table_format)) for path in paths
    )
    where: dict[str, str] = {}
    for path, sample in files:
        if sample.name in samples:
            raise TableError(
                f"{path}: sample {sample.name!r} is also in {where[sample.name]}; give each sample"
                " once, or rename one"
            )
        samples[sample.name], where[sample.name] = sample, str(path)
    return [samples[name] for name in sorted(samples)]
