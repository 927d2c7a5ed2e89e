"""Adapter of rule compare_groups."""

from typing import TYPE_CHECKING

from fermentome.cohort.settings import settings_of
from fermentome.cohort.stages import compare_groups, inputs_of_run
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    compare_groups(
        inputs=inputs_of_run(dict(snakemake.input.items()), snakemake.params.tables),
        settings=settings_of(snakemake.params.settings),
        alpha=snakemake.input.alpha,
        outputs=dict(snakemake.output.items()),
    )
