"""Settings of the analyses of a cohort: the sections `cohort` and `model` of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """Section ``cohort`` of the configuration, one attribute per key.

    Attributes
    ----------
    groups
        Columns whose levels are compared.
    covariates
        Columns along which effects are estimated, beside the groups.
    batch
        Columns of technical origin (run, site, kit): adjusted for, never interpreted.
    reference_levels
        Level that the others of a column are compared with; else the first by name. Which name
        means a control is not guessed.
    adjust_depth
        Whether log10 of the clean reads is adjusted for, where known.
    reference_group
        Level of the first group column (or ``column=level``) to which people are compared.
    baseline
        Timepoint that is the baseline of a person; ``None``: all before the first event, or the
        first one where there is no event.
    prevalence
        Least share of samples in which a feature must be seen to be tested.
    permutations
        Of each permutation test.
    band
        Coverage of the noise band of a person.
    fdr
        False discovery rate up to which something is called.
    rarefaction_depth
        Reads to which richness is standardised; ``None``: the lowest depth that keeps 90 % of
        the samples.
    seed
        Of all that is random.
    """

    groups: tuple[str, ...] = ("group",)
    covariates: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    reference_levels: Mapping[str, str] = field(default_factory=dict)
    adjust_depth: bool = True
    reference_group: str | None = None
    baseline: str | None = None
    prevalence: float = 0.1
    permutations: int = 999
    band: float = 0.95
    fdr: float = 0.05
    rarefaction_depth: int | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Section ``model`` of the configuration. Without a target there is no model.

    Attributes
    ----------
    target
        Column of the metadata to predict; two or more levels, or numbers.
    tables
        Feature tables that the model may use.
    metadata
        Columns of the metadata-only baseline.
    folds, inner_folds, repeats
        Of the nested cross-validation.
    permutations
        Of the null: shufflings of the target between subjects.
    reject
        Share of samples that may be left undecided, the least certain ones.
    """

    target: str | None = None
    tables: tuple[str, ...] = ("taxa", "pathways")
    metadata: tuple[str, ...] = ()
    folds: int = 5
    inner_folds: int = 3
    repeats: int = 1
    permutations: int = 100
    reject: float = 0.2


def settings_of(section: Mapping[str, Any]) -> Settings:
    """Settings from the section ``cohort`` of a configuration with its defaults.

    Parameters
    ----------
    section
        Keys that are no setting, as the paths of files, are passed over.
    """
    values = _known(section, Settings)
    levels = values.pop("reference_levels", ())
    return Settings(**values, reference_levels=dict(text.split("=", 1) for text in levels))


def model_settings_of(section: Mapping[str, Any]) -> ModelSettings:
    """Settings from the section ``model`` of a configuration with its defaults."""
    return ModelSettings(**_known(section, ModelSettings))


def _known(
    section: Mapping[str, Any], kind: type[Settings] | type[ModelSettings]
) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in section.items()
        if key in names
    }
