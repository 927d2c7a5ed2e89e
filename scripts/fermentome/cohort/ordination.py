"""Distances between samples, and principal coordinates of them.

Distances
---------
braycurtis
    Bray and Curtis 1957 (doi:10.2307/1942268), on shares of taxa or copies per genome.
aitchison
    Euclidean distance after the centred log-ratio, natural logarithm (Gloor et al. 2017,
    doi:10.3389/fmicb.2017.02224). Zeros are replaced multiplicatively
    (Martín-Fernández et al. 2003, doi:10.1023/A:1023866030544) by 0.65 of the least share seen
    in the table, which stands for the detection limit; 0.65 is that paper's figure and the
    default of R's zCompositions. The value is the same in all samples, so that two zeros differ
    in no depth. All zeros of a sample together take at most a tenth of it.
unweighted_unifrac, weighted_unifrac
    On the tree of lineages (`fermentome.cohort.tree`); the weighted one is normalised, 0 to 1
    (Lozupone et al. 2007, doi:10.1128/AEM.01996-06).
log_euclidean
    Euclidean distance of log2 copies per genome, for functions; zeros are half the least value
    above zero of the feature.

Features that no sample has are left out, so they change no distance.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist, squareform
from skbio import DistanceMatrix
from skbio.diversity import beta_diversity
from skbio.stats.composition import clr, multi_replace
from skbio.stats.ordination import pcoa

from fermentome.cohort.data import FAMILIES, PATHWAYS, TAXA, FeatureTable, Numbers
from fermentome.cohort.measures import floors_of, log2_with_floors
from fermentome.cohort.tree import tree_of, whole_parts
from fermentome.errors import CohortError
from fermentome.tables import Cell

BRAYCURTIS, AITCHISON = "braycurtis", "aitchison"
UNWEIGHTED, WEIGHTED, LOG_EUCLIDEAN = "unweighted_unifrac", "weighted_unifrac", "log_euclidean"
METRICS = {
    TAXA: (BRAYCURTIS, AITCHISON, UNWEIGHTED, WEIGHTED),
    PATHWAYS: (BRAYCURTIS, LOG_EUCLIDEAN),
    FAMILIES: (BRAYCURTIS, LOG_EUCLIDEAN),
}
TREE_METRICS = frozenset({UNWEIGHTED, WEIGHTED})
ZERO_SHARE = 0.65
"""Part of the detection limit that stands for zero (doi:10.1023/A:1023866030544)."""
MOST_ZEROS = 0.1
"""Share of a sample that replaced zeros may take together; ours, binds in wide shallow tables."""
KNOWN = 0.5
"""Least share of features that must be known in a sample that is compared with others."""
AXES = 10


@dataclass(frozen=True, slots=True)
class Comparable:
    """What of a table can be compared between samples.

    Attributes
    ----------
    rows, columns
        Of samples and features kept.
    unknown_samples
        With fewer than half of the features known.
    empty_samples
        Known, but zero throughout.
    unknown_features
        Not known in at least one of the samples kept.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    unknown_samples: tuple[str, ...]
    empty_samples: tuple[str, ...]
    unknown_features: tuple[str, ...]


def comparable(table: FeatureTable) -> Comparable:
    """Samples and features of a table between which a distance can be computed."""
    values = table.values
    known = ~np.isnan(values)
    # A route that the reference cannot show is not known of any sample, and says nothing of one.
    ever = known.any(axis=0)
    enough = np.zeros(len(table.samples), dtype=bool)
    if ever.any():
        enough = known[:, ever].mean(axis=1) >= KNOWN
    everywhere = np.asarray(known[enough].all(axis=0))
    seen = everywhere & (np.nan_to_num(values[enough]) > 0).any(axis=0)
    filled = enough & (np.nan_to_num(values[:, everywhere]) > 0).any(axis=1)

    def names(mask: npt.NDArray[np.bool_], of: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(of[i] for i in np.flatnonzero(mask))

    return Comparable(
        np.flatnonzero(filled), np.flatnonzero(seen), names(~enough, table.samples),
        names(enough & ~filled, table.samples), names(~everywhere, table.features),
    )  # fmt: skip


def replaced_zeros(shares: Numbers) -> Numbers:
    """Closed shares without zeros: see the module."""
    closed: Numbers = shares / shares.sum(axis=1, keepdims=True)
    zero = closed == 0
    if not zero.any():
        return closed
    delta = ZERO_SHARE * closed[~zero].min()
    most = int(zero.sum(axis=1).max())
    # multi_replace drops a dimension of a single row.
    replaced = multi_replace(closed, delta=min(delta, MOST_ZEROS / most))
    return np.asarray(replaced, dtype=np.float64).reshape(closed.shape)


def log_copies(values: Numbers) -> Numbers:
    """log2 of copies per genome, zeros at half the least value above zero of the feature."""
    return log2_with_floors(values, floors_of(values, None))


def _tree_distances(table: FeatureTable, metric: str) -> Numbers:
    """UniFrac distances; NaN for samples none of whose features has a lineage."""
    tree = tree_of(table)
    values = table.values[:, tree.placed]
    rows = np.flatnonzero((values > 0).any(axis=1))
    result = np.full((len(table.samples),) * 2, np.nan)
    if not len(rows):
        return result
    more = {"normalized": True} if metric == WEIGHTED else {}
    # validate=False: skbio asks for a root of two branches, and lineages have as many domains
    # as they have. What it would check is so by construction.
    matrix = beta_diversity(
        metric, whole_parts(values[rows]), [str(row) for row in rows], validate=False,
        taxa=tree.tips, tree=tree.root, **more,
    )  # fmt: skip
    result[np.ix_(rows, rows)] = matrix.data
    return result


def _known_distances(table: FeatureTable, metric: str) -> Numbers:
    """Distances of a table without unknown values, empty samples or empty features."""
    if metric in TREE_METRICS:
        return _tree_distances(table, metric)
    if metric == BRAYCURTIS:
        names = [str(i) for i in range(len(table.samples))]
        matrix = beta_diversity("braycurtis", table.values, names, validate=False)
        return np.asarray(matrix.data, dtype=np.float64)
    if metric == AITCHISON:
        points = np.asarray(clr(replaced_zeros(table.values)), dtype=np.float64)
    else:
        points = log_copies(table.values)
    return np.asarray(squareform(pdist(points)), dtype=np.float64)


def distances(table: FeatureTable, metric: str) -> Numbers:
    """Distances between all samples of a table, in the order of ``table.samples``.

    Parameters
    ----------
    metric
        One of `METRICS`.

    Returns
    -------
    ndarray
        Square and symmetric. A sample that cannot be compared (`comparable`; for UniFrac, none
        of its features has a lineage) is NaN throughout, on the diagonal too.

    Raises
    ------
    CohortError
        If there is no such metric.
    """
    known = sorted({name for names in METRICS.values() for name in names})
    if metric not in known:
        raise CohortError(f"distance {metric!r}: one of {', '.join(known)} was expected")
    kept = comparable(table)
    result = np.full((len(table.samples),) * 2, np.nan)
    if not len(kept.rows) or not len(kept.columns):
        return result
    part = table.select(
        [table.samples[i] for i in kept.rows], [table.features[i] for i in kept.columns]
    )
    result[np.ix_(kept.rows, kept.rows)] = _known_distances(part, metric)
    return result


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Principal coordinates of some samples.

    Attributes
    ----------
    samples
        That have coordinates.
    points
        Of shape (samples, axes).
    eigenvalues
        Of the axes kept.
    explained
        Share of each axis in the sum of the positive eigenvalues.
    negative
        Sum of the negative eigenvalues over that of the positive ones, as a positive number: 0
        for distances that fit into a Euclidean space.
    """

    samples: tuple[str, ...]
    points: Numbers
    eigenvalues: Numbers
    explained: Numbers
    negative: float


def principal_coordinates(matrix: Numbers, samples: Iterable[str]) -> Coordinates:
    """Principal coordinates (Gower 1966, doi:10.1093/biomet/53.3-4.325) of a square of distances.

    Samples that are NaN are left out. Axes of negative eigenvalues are not real and are dropped;
    shares are of the positive ones, so that they add up to 1 at most. The sign of an axis is such
    that the coordinate farthest from zero is positive. Axes of equal eigenvalues have no direction
    of their own, and may be turned on another machine.
    """
    names = tuple(samples)
    rows = np.flatnonzero(~np.isnan(np.diag(matrix)))
    kept = tuple(names[i] for i in rows)
    square = matrix[np.ix_(rows, rows)]
    nothing = np.zeros(0)
    if len(rows) < 2 or not square.any():
        return Coordinates(kept, np.zeros((len(rows), 0)), nothing, nothing, 0.0)
    with warnings.catch_warnings():
        # All axes are asked for, to add up the positive ones; how much is negative we say.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = pcoa(DistanceMatrix(square), warn_neg_eigval=False)
    values = result.eigvals.to_numpy()
    positive = float(values.sum())
    squares = square**2
    # The trace of the centred matrix is the sum of all eigenvalues, those dropped included.
    trace = float(squares.mean() * len(rows) / 2)
    axes = min(AXES, int((values > values[0] * 1e-9).sum()))
    points = result.samples.to_numpy()[:, :axes]
    # What is below the noise of the arithmetic is zero, or its digits would depend on the machine.
    points = np.where(np.abs(points) < 1e-9 * np.abs(points).max(), 0.0, points)
    farthest = np.argmax(np.round(np.abs(points) / np.abs(points).max(axis=0), 6), axis=0)
    signs = np.where(points[farthest, np.arange(axes)] < 0, -1.0, 1.0)
    negative = max(positive - trace, 0.0) / positive
    return Coordinates(
        kept, points * signs + 0.0, values[:axes], values[:axes] / positive,
        negative if negative > 1e-9 else 0.0,
    )  # fmt: skip


AXIS_NAMES = tuple(f"axis_{i}" for i in range(1, AXES + 1))
ORDINATION_COLUMNS = ("table", "metric", "sample", *AXIS_NAMES)
AXES_COLUMNS = ("table", "metric", "axis", "eigenvalue", "explained", "negative", "samples")


def coordinate_rows(table: str, metric: str, found: Coordinates) -> list[dict[str, Cell]]:
    """Rows of `ORDINATION_COLUMNS`; axes that are not there are not known."""
    rows: list[dict[str, Cell]] = []
    for sample, point in zip(found.samples, found.points, strict=True):
        row: dict[str, Cell] = {"table": table, "metric": metric, "sample": sample}
        for i, axis in enumerate(AXIS_NAMES):
            row[axis] = float(point[i]) if i < len(point) else None
        rows.append(row)
    return rows


def axis_rows(table: str, metric: str, found: Coordinates) -> list[dict[str, Cell]]:
    """Rows of `AXES_COLUMNS`."""
    return [
        {
            "table": table, "metric": metric, "axis": axis, "eigenvalue": float(value),
            "explained": float(share), "negative": found.negative,
            "samples": len(found.samples),
        }
        for axis, value, share in zip(
            AXIS_NAMES, found.eigenvalues, found.explained, strict=False
        )
    ]  # fmt: skip
