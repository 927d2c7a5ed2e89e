"""Adapter of rule measure_unserved."""

from typing import TYPE_CHECKING

from fermentome.catalogue import CatalogueFiles
from fermentome.logs import log_to
from fermentome.unserved import measure_sample

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    measure_sample(
        flow_path=snakemake.input.flow,
        taxonomy_path=snakemake.input.get("taxonomy") or None,
        phenotypes_path=snakemake.input.get("phenotypes") or None,
        families_path=snakemake.input.families,
        ambiguous_path=snakemake.input.ambiguous,
        depth_path=snakemake.input.depth,
        reference_path=snakemake.input.reference,
        catalogue_files=CatalogueFiles(*snakemake.input.catalogue, *snakemake.input.schemas),
        table_path=snakemake.output.table,
    )
