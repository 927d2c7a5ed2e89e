"""Adapter of rule place_percentiles."""

from typing import TYPE_CHECKING

from fermentome.cohort.stages import inputs_of_run, place_percentiles
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    place_percentiles(
        inputs=inputs_of_run(dict(snakemake.input.items()), snakemake.params.tables),
        alpha=snakemake.input.alpha,
        reference=snakemake.params.reference,
        processing=snakemake.input.processing,
        outputs=dict(snakemake.output.items()),
    )
