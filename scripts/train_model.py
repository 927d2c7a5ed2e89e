"""Adapter of rule train_model."""

from typing import TYPE_CHECKING

from fermentome.cohort.settings import model_settings_of, settings_of
from fermentome.cohort.stages import inputs_of_run, train_model
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    train_model(
        inputs=inputs_of_run(dict(snakemake.input.items()), snakemake.params.tables),
        settings=settings_of(snakemake.params.settings),
        model=model_settings_of(snakemake.params.model),
        outputs=dict(snakemake.output.items()),
    )
