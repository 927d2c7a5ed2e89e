"""Lineages of NCBI taxids from a taxdump (https://ftp.ncbi.nih.gov/pub/taxonomy/).

Of the millions of taxa only the parents and ranks are held, in arrays; names are read for the
taxa that are asked for. NCBI renamed the rank of Bacteria, Archaea and Eukaryota from
``superkingdom`` to ``domain`` in March 2025, and gave Viruses ``acellular root``: all three are
taken for the domain. Ranks between the seven are passed over.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from pathlib import Path

from fermentome.errors import LineageError
from fermentome.lineage import RANKS, Lineage, clean_name

__all__ = ["read_taxid_lineages"]

ROOT = 1
#: Position in `RANKS` of NCBI's ranks.
RANK_OF = {
    **{rank: position for position, rank in enumerate(RANKS)},
    "superkingdom": 0,
    "acellular root": 0,
}
NO_RANK = 255
MOST_LEVELS = 200
"""More levels than any lineage has: a circle is noticed."""


def read_taxid_lineages(folder: Path, taxids: Collection[str]) -> dict[str, Lineage]:
    """Lineages of taxids.

    Parameters
    ----------
    folder
        ``nodes.dmp``, ``names.dmp`` and, if it is there, ``merged.dmp``.
    taxids
        As text. Those that the taxdump does not hold are left out.

    Raises
    ------
    LineageError
        If a file is missing or not of a taxdump, or the tree has a circle.
    """
    parents, ranks = _read_nodes(folder / "nodes.dmp")
    merged = _read_merged(folder / "merged.dmp", taxids)
    paths: dict[str, list[int]] = {}
    for taxid in sorted(taxids):
        node = merged.get(taxid, int(taxid))
        if node < len(parents) and parents[node]:
            paths[taxid] = _ranked_path(node, parents, ranks, folder)
    wanted = {node for path in paths.values() for node in path if node}
    names = _read_names(folder / "names.dmp", wanted)
    return {
        taxid: tuple(names[node] if node else "" for node in path) for taxid, path in paths.items()
    }


def _fields(path: Path) -> Iterator[tuple[int, list[str]]]:
    r"""Fields of the lines of a file, which are separated by ``\t|\t`` and end with ``\t|``."""
    if not path.is_file():
        raise LineageError(
            f"{path}: no such file; expected an unpacked taxdump with nodes.dmp and names.dmp"
        )
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            yield number, line.rstrip("\n").removesuffix("\t|").split("\t|\t", 3)


def _damaged(path: Path, number: int) -> LineageError:
    return LineageError(
        f"{path}, line {number}: not a line of a taxdump; expected numbers separated by '|'."
        " Hint: unpack the archive again"
    )


def _read_nodes(path: Path) -> tuple[array[int], bytearray]:
    """Parent of each taxid, 0 where there is no such taxon, and position of its rank."""
    parents: array[int] = array("I", [0])
    ranks = bytearray([NO_RANK])
    for number, fields in _fields(path):
        try:
            node, parent, rank = int(fields[0]), int(fields[1]), fields[2]
        except (ValueError, IndexError):
            raise _damaged(path, number) from None
        if node >= len(parents):
            more = node + 1 - len(parents)
            parents.extend([0] * more)
            ranks.extend(bytes([NO_RANK]) * more)
        parents[node] = parent
        ranks[node] = RANK_OF.get(rank, NO_RANK)
    return parents, ranks


def _read_merged(path: Path, taxids: Collection[str]) -> dict[str, int]:
    """Present taxid of each taxid of those given that was merged into another."""
    if not path.is_file():
        return {}
    merged: dict[str, int] = {}
    for number, fields in _fields(path):
        if fields[0] in taxids:
            try:
                merged[fields[0]] = int(fields[1])
            except (ValueError, IndexError):
                raise _damaged(path, number) from None
    return merged


def _ranked_path(node: int, parents: array[int], ranks: bytearray, folder: Path) -> list[int]:
    """Taxon at each of the seven ranks above a taxon and at it; 0 where there is none."""
    path = [0] * len(RANKS)
    start = node
    for _ in range(MOST_LEVELS):
        if ranks[node] != NO_RANK:
            path[ranks[node]] = node
        if node == ROOT:
            return path
        parent = parents[node]
        if not 0 < parent < len(parents) or not parents[parent]:
            raise LineageError(
                f"{folder / 'nodes.dmp'}: taxon {node} has the parent {parent}, which is not in the"
                " file. Hint: unpack the archive again"
            )
        node = parent
    raise LineageError(
        f"{folder / 'nodes.dmp'}: the parents of taxon {start} do not lead to the root. Hint:"
        " unpack the archive again"
    )


def _read_names(path: Path, wanted: Collection[int]) -> dict[int, str]:
    """Scientific names of taxa.

    Raises
    ------
    LineageError
        If one has none.
    """
    names: dict[int, str] = {}
    for number, fields in _fields(path):
        if len(fields) != 4:
            raise _damaged(path, number)
        if fields[3] == "scientific name" and fields[0].isdecimal() and int(fields[0]) in wanted:
            names[int(fields[0])] = clean_name(fields[1].replace(";", ","))
    missing = sorted(set(wanted) - names.keys())
    if missing:
        raise LineageError(
            f"{path}: taxon {missing[0]} has no scientific name; take nodes.dmp and names.dmp of"
            " one archive"
        )
    return names
