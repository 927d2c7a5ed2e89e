"""Adapter of rule call_genes."""

from typing import TYPE_CHECKING

from fermentome.genomes import call_batch
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    call_batch(
        genome_paths=snakemake.input.genomes,
        proteins_path=snakemake.output.proteins,
        called_path=snakemake.output.called,
        threads=snakemake.threads,
    )
