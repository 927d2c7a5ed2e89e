"""Adapter of rule check_proteins."""

from typing import TYPE_CHECKING

from fermentome.catalogue import CatalogueFiles
from fermentome.logs import log_to
from fermentome.quantify import check_proteins

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    check_proteins(
        manifest_path=snakemake.input.manifest,
        catalogue_files=CatalogueFiles(*snakemake.input.catalogue, *snakemake.input.schemas),
        table_path=snakemake.output.table,
    )
