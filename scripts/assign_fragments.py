"""Adapter of rule assign_fragments."""

from typing import TYPE_CHECKING

from fermentome.catalogue import CatalogueFiles
from fermentome.logs import log_to
from fermentome.quantify import quantify_sample

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    quantify_sample(
        flow_path=snakemake.input.flow,
        hits_path=snakemake.input.hits,
        proteins_path=snakemake.input.proteins,
        catalogue_files=CatalogueFiles(*snakemake.input.catalogue, *snakemake.input.schemas),
        min_genus_identity=snakemake.params.min_genus_identity,
        families_path=snakemake.output.families,
        ambiguous_path=snakemake.output.ambiguous,
        depth_path=snakemake.output.depth,
    )
