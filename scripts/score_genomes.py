"""Adapter of rule score_genomes."""

from typing import TYPE_CHECKING

from fermentome.catalogue import CatalogueFiles
from fermentome.genomes import score_genomes
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    score_genomes(
        called_path=snakemake.input.called,
        genes_path=snakemake.input.genes,
        hits_path=snakemake.input.hits,
        proteins_path=snakemake.input.proteins,
        lineages_path=snakemake.input.lineages or None,
        catalogue_files=CatalogueFiles(*snakemake.input.catalogue, *snakemake.input.schemas),
        tables=snakemake.output,
    )
