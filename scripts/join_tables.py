"""Adapter of rule join_tables."""

from typing import TYPE_CHECKING

from fermentome.joining import join_feature
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    join_feature(
        name=snakemake.wildcards.feature,
        samples=snakemake.params.samples,
        tables=snakemake.input.tables,
        outputs=dict(snakemake.output.items()),
    )
