"""Species profile of a sample by the engine that the configuration names, from files to files."""

import os
from functools import partial
from pathlib import Path

from fermentome.kraken2 import Kraken2Rule, profile_with_kraken2
from fermentome.taxonomy import Paths, profile_with_sylph, write_profile

KRAKEN2 = "kraken2"


def profile_sample(
    classifier: str,
    flow_path: str | os.PathLike[str],
    paired: Paths,
    single: Paths,
    database: str | os.PathLike[str],
    lineages_path: str | os.PathLike[str],
    minimum_ani: float,
    minimum_kmers: int,
    counts: Paths,
    tables: Paths,
    minimum_reads: int,
    minimum_evenness: float,
    low_depth_abundance: float,
    table_path: str | os.PathLike[str],
    status_path: str | os.PathLike[str],
) -> None:
    """Profile the species of a sample.

    Parameters
    ----------
    classifier
        ``sylph`` or ``kraken2``.
    flow_path
        Counts of the sample, see `fermentome.flow`.
    paired, single, lineages_path, minimum_ani, minimum_kmers
        For sylph, see `fermentome.taxonomy.profile_reads`.
    database
        The sylph database, or ``taxo.k2d`` of the kraken2 database.
    counts
        For kraken2: fragments and minimizers by taxon, as the rule classify_reads wrote them.
    tables, minimum_reads, minimum_evenness
        For kraken2, see `fermentome.kraken2`.
    low_depth_abundance, table_path, status_path
        See `fermentome.taxonomy.write_profile`.
    """
    if classifier == KRAKEN2:
        profile = partial(
            profile_with_kraken2,
            counts_path=counts[0],
            minimizers_path=counts[1],
            taxonomy_path=database,
            tables=tables,
            rule=Kraken2Rule(minimum_reads, minimum_evenness),
        )
    else:
        profile = partial(
            profile_with_sylph,
            paired=paired,
            single=single,
            database=database,
            lineages_path=lineages_path,
            minimum_ani=minimum_ani,
            minimum_kmers=minimum_kmers,
        )
    write_profile(
        flow_path,
        profile,
        name_of_database(database, classifier),
        low_depth_abundance,
        table_path,
        status_path,
    )


def name_of_database(path: str | os.PathLike[str], classifier: str) -> str:
    """Name that the tables give a database.

    Its name and version if its folder has a manifest; else the name of the sylph file or of the
    kraken2 folder.
    """
    manifest = Path(path).parent / "manifest.yaml"
    if manifest.is_file():
        import yaml

        content = yaml.safe_load(manifest.read_text(encoding="utf-8"))
        if isinstance(content, dict) and {"name", "version"} <= content.keys():
            return f"{content['name']}@{content['version']}"
    return Path(path).absolute().parent.name if classifier == KRAKEN2 else Path(path).name
