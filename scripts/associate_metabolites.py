"""Adapter of rule associate_metabolites."""

from typing import TYPE_CHECKING

from fermentome.cohort.settings import settings_of
from fermentome.cohort.stages import associate_metabolites, inputs_of_run
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    associate_metabolites(
        inputs=inputs_of_run(dict(snakemake.input.items()), snakemake.params.tables),
        settings=settings_of(snakemake.params.settings),
        sheet=snakemake.input.sheet,
        unit=snakemake.params.unit,
        outputs=dict(snakemake.output.items()),
    )
