"""Adapter of rule list_routes."""

from typing import TYPE_CHECKING

from fermentome.catalogue import CatalogueFiles
from fermentome.logs import log_to
from fermentome.quantify import list_routes

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    list_routes(
        catalogue_files=CatalogueFiles(*snakemake.input.catalogue, *snakemake.input.schemas),
        table_path=snakemake.output.table,
    )
