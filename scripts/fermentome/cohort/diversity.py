"""Diversity within samples: richness, Shannon, Simpson, Faith; standardised where reads allow it.

richness
    Features seen.
shannon
    Entropy with the natural logarithm, nats.
simpson
    1 - sum of squared shares: probability that two cells drawn are of different features.
faith_pd
    Faith's diversity (doi:10.1016/0006-3207(92)91201-3) on the tree of lineages, steps between
    ranks (`fermentome.cohort.tree`).

More reads find more features. Where the table has reads by feature, richness and Faith's
diversity are also given as expected at equal depth, without a random draw: Hurlbert 1971
(doi:10.2307/1934145) and Heck et al. 1975 (doi:10.2307/1934716), and Nipperess and Matsen 2013
(doi:10.1111/2041-210X.12042) for branches of a tree. Beside them stands Good's coverage
(doi:10.1093/biomet/40.3-4.237), the share of the community that belongs to features seen: an upper
bound, as it rests on the features of one read, and profilers report few of these or none. Where
there are no reads this is said: ``not standardised``. Shannon and Simpson are given for what was
seen; they depend on common features and hardly on depth.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse
from scipy.special import gammaln
from skbio.diversity import alpha, alpha_diversity

from fermentome.cohort.data import TAXA, Account, Cohort, FeatureTable, Numbers
from fermentome.cohort.settings import Settings
from fermentome.cohort.tree import LineageTree, tree_of
from fermentome.tables import Cell

RICHNESS, SHANNON, SIMPSON, FAITH = "richness", "shannon", "simpson", "faith_pd"
RICHNESS_AT_DEPTH, FAITH_AT_DEPTH = "richness_at_depth", "faith_pd_at_depth"
COVERAGE = "coverage"
ALPHA_METRICS = (
    RICHNESS, SHANNON, SIMPSON, FAITH, RICHNESS_AT_DEPTH, FAITH_AT_DEPTH, COVERAGE,
)  # fmt: skip
ALPHA_UNITS = {
    RICHNESS: "features", SHANNON: "nats", SIMPSON: "probability", FAITH: "steps between ranks",
    RICHNESS_AT_DEPTH: "features", FAITH_AT_DEPTH: "steps between ranks", COVERAGE: "share",
}  # fmt: skip
ALPHA_COLUMNS = ("sample", "metric", "value", "depth_reads", "standardisation")
KEPT = 0.9
"""Share of the samples that the depth of standardisation keeps: a compromise between reads and
samples thrown away; ours, as any. `Settings.rarefaction_depth` overrides it."""
NOT_STANDARDISED = "not standardised"
AT_DEPTH, TOO_SHALLOW, NO_READS = "expected at this depth", "fewer reads than this", "no reads"


def expected_seen(reads: Numbers, total: float, depth: int) -> Numbers:
    """Probability that each part is among `depth` reads drawn without replacement.

    Parameters
    ----------
    reads
        Of each part (feature, or branch of a tree) of one sample, whole numbers.
    total
        Reads of the sample, at least `depth`.

    Examples
    --------
    Of 4 reads, 2 drawn: a part of 1 is missed in 3 of 6 draws, one of 3 in none.

    >>> expected_seen(np.array([1.0, 3.0, 0.0]), 4, 2).round(9).tolist()
    [0.5, 1.0, 0.0]
    """
    rest = total - reads
    result = np.ones_like(reads)
    missable = rest >= depth
    some = rest[missable]
    log_missed = (
        gammaln(some + 1) - gammaln(some - depth + 1)
        - gammaln(total + 1) + gammaln(total - depth + 1)
    )  # fmt: skip
    result[missable] = np.where(reads[missable] > 0, -np.expm1(np.minimum(log_missed, 0.0)), 0.0)
    return result


def common_depth(totals: Numbers, wanted: int | None) -> int | None:
    """Reads to which all samples are standardised; `None` where no sample has any."""
    if wanted is not None:
        return wanted
    usable = np.sort(totals[totals > 0])
    if not len(usable):
        return None
    return int(math.floor(usable[len(usable) - math.ceil(KEPT * len(usable))]))


def _branches(tree: LineageTree, features: int) -> tuple[sparse.csr_array, Numbers]:
    """Which features lie below each branch of a tree, and how long the branch is."""
    branches, tips, lengths = [], [], []
    place: dict[int, int] = {}
    for number, node in enumerate(tree.root.postorder(include_self=False)):
        place[id(node)] = number
        lengths.append(float(node.length))
    for tip in tree.root.tips():
        node = tip
        while node.parent is not None:
            branches.append(place[id(node)])
            tips.append(int(tip.name))
            node = node.parent
    shape = (len(lengths), features)
    below = sparse.csr_array((np.ones(len(tips)), (branches, tips)), shape=shape)
    return below, np.array(lengths)


def _as_seen(table: FeatureTable, tree: LineageTree) -> dict[str, Numbers]:
    """The four indices as seen, NaN for samples of which a feature is not known."""
    values = np.full((4, len(table.samples)), np.nan)
    rows = np.flatnonzero(~np.isnan(table.values).any(axis=1))
    for row in rows:
        shares = table.values[row]
        values[0, row] = alpha.sobs(shares)
        if shares.sum() > 0:
            values[1, row] = alpha.shannon(shares, base=math.e) + 0.0
            values[2, row] = alpha.simpson(shares)
    if len(tree.placed) and len(rows):
        # Whole numbers, and not validated: see `fermentome.cohort.tree`.
        present = (table.values[np.ix_(rows, tree.placed)] > 0).astype(np.int64)
        values[3, rows] = alpha_diversity(
            "faith_pd", present, validate=False, taxa=tree.tips, tree=tree.root
        ).to_numpy()
    return dict(zip((RICHNESS, SHANNON, SIMPSON, FAITH), values, strict=True))


def _at_depth(table: FeatureTable, tree: LineageTree, depth: int) -> dict[str, Numbers]:
    """Richness and Faith's diversity expected at a depth, and coverage.

    NaN where too shallow, or not known. Reads of features without a lineage are part of the depth.
    """
    values = np.full((3, len(table.samples)), np.nan)
    below, lengths = _branches(tree, len(table.features))
    for row, own in enumerate(_whole_reads(table)):
        total = float(own.sum())
        if not total > 0:
            continue
        values[2, row] = alpha.goods_coverage(own.astype(np.int64))
        if total >= depth:
            values[0, row] = expected_seen(own, total, depth).sum()
            if len(lengths):
                values[1, row] = float(expected_seen(below @ own, total, depth) @ lengths)
    return dict(zip((RICHNESS_AT_DEPTH, FAITH_AT_DEPTH, COVERAGE), values, strict=True))


def _whole_reads(table: FeatureTable) -> Numbers:
    """Reads by feature as whole numbers; 0 throughout where those of a sample are not known."""
    if table.counts is None:
        return np.zeros((len(table.samples), 0))
    known = ~np.isnan(table.counts).any(axis=1, keepdims=True)
    return np.where(known, np.rint(table.counts), 0.0)


def alpha_of(cohort: Cohort, settings: Settings, account: Account) -> list[dict[str, Cell]]:
    """Rows of `ALPHA_COLUMNS`: every metric of every sample, in that order.

    ``depth_reads`` is the depth that a value refers to: the reads of the sample, or the common
    depth. Without a table of taxa there are no rows.
    """
    if TAXA not in cohort.tables:
        account.left_out("alpha diversity", "there is no table of taxa")
        return []
    table = cohort.tables[TAXA]
    tree = tree_of(table)
    values = _as_seen(table, tree)
    totals = _whole_reads(table).sum(axis=1)
    depth = common_depth(totals, settings.rarefaction_depth)
    if depth is not None:
        values |= _at_depth(table, tree, depth)
    _say(account, table, tree, values, totals, depth)
    rows: list[dict[str, Cell]] = []
    for i, sample in enumerate(table.samples):
        for metric in ALPHA_METRICS:
            if metric in values:
                row: dict[str, Cell] = {"sample": sample, "metric": metric}
                row["value"] = float(values[metric][i])
                rows.append(row | _standard(metric, float(totals[i]), depth))
    return rows


def _standard(metric: str, reads: float, depth: int | None) -> dict[str, Cell]:
    """Cells that say to how many reads a value refers."""
    own = int(reads) if reads > 0 else None
    if metric == COVERAGE:
        return {"depth_reads": own, "standardisation": "coverage of the reads of the sample"}
    if metric not in {RICHNESS_AT_DEPTH, FAITH_AT_DEPTH}:
        return {"depth_reads": own, "standardisation": NOT_STANDARDISED}
    if own is None or depth is None:
        return {"depth_reads": depth, "standardisation": NO_READS}
    return {"depth_reads": depth, "standardisation": AT_DEPTH if own >= depth else TOO_SHALLOW}


def _say(
    account: Account,
    table: FeatureTable,
    tree: LineageTree,
    values: dict[str, Numbers],
    totals: Numbers,
    depth: int | None,
) -> None:
    """Say what was made and what was not."""
    made = int((~np.isnan(values[RICHNESS])).sum())
    missing = len(table.samples) - made
    if made and missing:
        account.partly(
            "alpha diversity",
            f"taxa are not known in {missing} of {len(table.samples)} samples",
            made,
        )
    elif made:
        account.done("alpha diversity", made)
    else:
        account.left_out("alpha diversity", "no sample has taxa that are known")
    unplaced = len(table.features) - len(tree.placed)
    if not len(tree.placed):
        account.left_out("faith_pd", "no taxon has a lineage; lineages in the table are needed")
    elif unplaced:
        account.partly(
            "faith_pd",
            f"left out, as they have no lineage: {unplaced} of {len(table.features)} taxa",
            made,
        )
    if depth is None:
        account.left_out(
            "richness and faith_pd at equal depth",
            "the table has no reads by taxon: values are not standardised, and differ with depth",
        )
        return
    kept = int((~np.isnan(values[RICHNESS_AT_DEPTH])).sum())
    item = f"richness and faith_pd at {depth} reads"
    if kept == len(table.samples):
        account.done(item, kept)
        return
    shallow = int((totals < depth).sum())
    reason = f"{shallow} of {len(table.samples)} samples have fewer reads, or none that are known"
    if kept:
        account.partly(item, reason, kept)
    else:
        hint = "give reads by taxon, or a lower rarefaction_depth"
        account.left_out(item, f"{reason}; {hint}")
