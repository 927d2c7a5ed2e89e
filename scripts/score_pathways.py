"""Adapter of rule score_pathways."""

from typing import TYPE_CHECKING

from fermentome.catalogue import CatalogueFiles
from fermentome.logs import log_to
from fermentome.quantify import score_pathways
from fermentome.scoring import ScoringRule

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    score_pathways(
        flow_path=snakemake.input.flow,
        families_path=snakemake.input.families,
        depth_path=snakemake.input.depth,
        ambiguous_path=snakemake.input.ambiguous,
        taxonomy_path=snakemake.input.get("taxonomy") or None,
        phenotypes_path=snakemake.input.get("phenotypes") or None,
        unserved_path=snakemake.input.unserved,
        proteins_path=snakemake.input.proteins,
        catalogue_files=CatalogueFiles(*snakemake.input.catalogue, *snakemake.input.schemas),
        rule=ScoringRule(**snakemake.params.scoring),
        pathways_path=snakemake.output.pathways,
        products_path=snakemake.output.products,
        status_path=snakemake.output.status,
    )
