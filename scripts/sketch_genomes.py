"""Adapter of rule sketch_genomes."""

from typing import TYPE_CHECKING

from fermentome.lineage import read_lineages
from fermentome.logs import log_to
from fermentome.taxonomy import build_database, list_genomes

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    build_database(
        genomes=list_genomes(snakemake.input.genomes),
        lineages=read_lineages(snakemake.input.lineages),
        subsampling=snakemake.params.subsampling,
        output=snakemake.output.database,
    )
