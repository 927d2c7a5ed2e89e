"""Adapter of rule measure_diversity."""

from typing import TYPE_CHECKING

from fermentome.cohort.settings import settings_of
from fermentome.cohort.stages import inputs_of_run, measure_diversity
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    measure_diversity(
        inputs=inputs_of_run(dict(snakemake.input.items()), snakemake.params.tables),
        settings=settings_of(snakemake.params.settings),
        outputs=dict(snakemake.output.items()),
    )
