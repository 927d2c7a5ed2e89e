"""Adapter of rule join_genomes."""

from typing import TYPE_CHECKING

from fermentome.genomes import join_genomes
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    join_genomes(parts=snakemake.input, tables=snakemake.output)
