"""The tree of lineages, on which Faith's diversity and the UniFrac distances are measured.

Taxa of shotgun profiles come with a lineage and without a phylogeny of their own, so the tree is
that of the ranks. Steps between ranks are of length 1, as in the taxonomic distinctness of Clarke
and Warwick (doi:10.1046/j.1365-2664.1998.3540523.x). All tips are equally far from the root. A
rank without a name joins nothing: the branch above the next rank that has one is longer by it.

Faith's diversity on this tree counts the different domains, phyla, ... and species of a sample.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from skbio import TreeNode

from fermentome.cohort.data import FeatureTable, Numbers

DEPTHS = {"d": 1, "k": 1, "p": 2, "c": 3, "o": 4, "f": 5, "g": 6, "s": 7, "t": 8}
"""Steps from the root, by the first letter of a rank."""
SCALE = 1e12
"""skbio 0.7.4 sums what lies below a node in whole numbers and so takes shares for zero
(measured: weighted UniFrac of shares is 0). They are given to it in parts of 10^12."""
_RANK = re.compile(r"([dkpcofgst])__(.*)", re.DOTALL)
Path = tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class LineageTree:
    """Tree of the features of a table.

    Attributes
    ----------
    root
        Tips are named by the number of their feature: names of features may hold anything.
    placed
        Numbers of the features that have a lineage, ascending.
    """

    root: Any
    placed: npt.NDArray[np.intp]

    @property
    def tips(self) -> list[str]:
        """Names of the tips, in the order of `placed`."""
        return [str(number) for number in self.placed]


def path_of(lineage: str) -> Path:
    """Depth and name of the ranks that have a name.

    >>> path_of("d__Bacteria;p__Bacillota;c__;s__X")
    ((1, 'd__Bacteria'), (2, 'p__Bacillota'), (7, 's__X'))
    """
    path = []
    for position, field in enumerate(re.split(r"[;|]", lineage), start=1):
        text = field.strip()
        match = _RANK.fullmatch(text)
        if match is None:
            if text:
                path.append((position, text))
        elif match[2].strip():
            path.append((DEPTHS[match[1]], text))
    return tuple(path)


def lineage_tree(lineages: Sequence[str | None]) -> LineageTree:
    """The tree of features with these lineages; a feature without one is not in it."""
    paths = [path_of(lineage or "") for lineage in lineages]
    placed = [number for number, path in enumerate(paths) if path]
    deepest = max((paths[number][-1][0] for number in placed), default=1)
    root = TreeNode()
    nodes: dict[Path, Any] = {(): root}

    def node_of(path: Path) -> Any:
        if path not in nodes:
            above = path[-2][0] if len(path) > 1 else 0
            nodes[path] = TreeNode(length=float(path[-1][0] - above))
            node_of(path[:-1]).append(nodes[path], uncache=False)
        return nodes[path]

    for number in placed:
        # The last rank that has a name is the feature itself: two features never are one tip.
        above = paths[number][:-1]
        length = deepest - (above[-1][0] if above else 0)
        tip = TreeNode(name=str(number), length=float(length))
        node_of(above).append(tip, uncache=False)
    return LineageTree(root, np.array(placed, dtype=np.intp))


def tree_of(table: FeatureTable) -> LineageTree:
    """The tree of a table of taxa."""
    return lineage_tree([table.lineages.get(name) for name in table.features])


def whole_parts(shares: Numbers) -> npt.NDArray[np.int64]:
    """Shares in whole parts of 10^12, at least one part where the share is not 0."""
    totals = shares.sum(axis=1, keepdims=True)
    closed = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
    parts = np.rint(closed * SCALE).astype(np.int64)
    return np.where((parts == 0) & (shares > 0), 1, parts)
