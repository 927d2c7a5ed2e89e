"""Batches of a sorted list of names that one more name leaves as they were.

A batch of genomes is one job. Were batches counted off, one more genome would shift all that follow
and every job would run again. Here the names themselves say where a batch begins: at a name whose
hash is the smallest among its neighbours, as in content-defined chunking. One more name changes
the batch that it falls into, and at most splits it; all others keep their names and members.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence

__all__ = ["batches_of_files", "stable_batches"]


def stable_batches(names: Sequence[str], size: int) -> dict[str, list[str]]:
    """Consecutive batches of names.

    Parameters
    ----------
    names
        Sorted and unique.
    size
        Names in a batch on the average; each but the first has at least half of it.

    Returns
    -------
    dict
        By sixteen hexadecimal digits that the first name of a batch gives, in the order of `names`.

    Raises
    ------
    ValueError
        If `size` is below 1.

    >>> [len(batch) for batch in stable_batches(["a", "b", "c"], 25).values()]
    [3]
    """
    if size < 1:
        raise ValueError(f"batches of {size} names were asked for; expected 1 or more")
    if not names:
        return {}
    hashes = [hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest() for name in names]
    # The smallest of 2 w + 1 hashes is any of them with the same chance: one in 2 w + 1 begins a
    # batch, and two beginnings are more than w apart.
    reach = (size - 1) // 2
    starts = [0]
    for position in range(max(reach, 1), len(names) - reach):
        around = hashes[position - reach : position + reach + 1]
        if hashes[position] == min(around):
            starts.append(position)
    ends = [*starts[1:], len(names)]
    return {
        hashes[start][:16]: list(names[start:end]) for start, end in zip(starts, ends, strict=True)
    }


def batches_of_files(paths: Iterable[str], size: int) -> dict[str, list[str]]:
    """Batches of files by their names without folder, which are unique; see `stable_batches`.

    >>> list(batches_of_files(["g/b.fna", "g/a.fna"], 25).values())
    [['g/a.fna', 'g/b.fna']]
    """
    files = {os.path.basename(path): path for path in paths}
    batches = stable_batches(sorted(files), size)
    return {batch: [files[name] for name in names] for batch, names in batches.items()}
