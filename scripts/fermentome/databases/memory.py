"""Memory that using a database takes, reckoned from the size of its files."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["reckon_memory"]

MEGABYTE = 1_000_000
#: By engine: megabytes at rest, megabytes per megabyte of file, and the files that count, of which
#: the first that is there is taken.
_NEEDS: Mapping[str, tuple[int, tuple[tuple[str, float], ...]]] = {
    # pysylph 0.1.3 takes 1.0 bytes for each byte of a sketch file (17 and 85 genomes, 47 and
    # 233 MB: 45 and 222 MB), 6 to 30 % of that again while it profiles, and 32 MB for the program;
    # the rest is for the sample.
    "sylph": (500, (("taxonomy.syldb", 1.3),)),
    # The hash table is read into memory as it is; see `fermentome.databases.kraken2_build`.
    "kraken2": (1000, (("hash.k2d", 1.05),)),
    # Rules index_proteins and search_reads.
    "diamond": (1000, (("proteins.faa.gz", 10),)),
    # 3.1 Gb of human genome, 0.9 GB packed, take 11 GB (rule index_host); an index is held as is.
    "minimap2": (500, (("host.mmi", 1.1), ("host.fa.gz", 15))),
}


def reckon_memory(engine: str, sizes: Mapping[str, int]) -> int:
    """Megabytes that an engine takes with a database.

    Parameters
    ----------
    engine
        ``sylph``, ``kraken2``, ``diamond`` or ``minimap2``.
    sizes
        Bytes of each file of the database, by name.

    >>> reckon_memory("kraken2", {"hash.k2d": 8_000_000_000})
    9400
    """
    rest, files = _NEEDS[engine]
    needed = next((factor * sizes[name] for name, factor in files if name in sizes), 0)
    return rest + round(needed / MEGABYTE)
