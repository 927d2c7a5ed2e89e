"""What the JSON Schema of the configuration cannot say: files on disk, keys that need each other.

Standard library only, since it runs while Snakemake parses the workflow, after
`snakemake.utils.validate` has checked types and filled in defaults.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fermentome.errors import ConfigError

__all__ = ["check_configuration"]

MANUAL = "config/README.md"
#: What a protein reference and a catalogue folder hold at least.
REFERENCE_FILES = ("manifest.yaml", "proteins.faa.gz", "proteins.tsv")
CATALOGUE_FILES = ("families.yaml", "pathways.yaml", "single_copy.yaml")


def check_configuration(
    config: Mapping[str, Any], base_directory: str | os.PathLike[str] = "."
) -> None:
    """Check that the configured references exist and that keys do not contradict each other.

    Parameters
    ----------
    config
        The configuration, valid by its schema and with every default filled in.
    base_directory
        Where relative paths start: the working directory.

    Raises
    ------
    ConfigError
        With one line per mistake, all mistakes at once.
    """
    base = os.fspath(base_directory)
    mistakes = [
        *_file_mistakes("trim.adapters", config["trim"]["adapters"], base),
        *_file_mistakes("host.reference", config["host"]["reference"], base),
        *_taxonomy_mistakes(config["taxonomy"], base),
        *_function_mistakes(config["function"], base),
    ]
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ConfigError("\n".join([f"configuration: {count}", *mistakes]))


def _taxonomy_mistakes(taxonomy: Mapping[str, Any], base: str) -> list[str]:
    database, genomes = taxonomy["database"], taxonomy["genomes"]
    lineages = taxonomy["lineages"]
    mistakes = []
    if database and genomes:
        mistakes.append(
            f"taxonomy.database, {database!r}: taxonomy.genomes is given too, {genomes!r}. Hint:"
            f" keep the ready database or the folder of genomes, and set the other to null."
        )
    if (database or genomes) and not lineages:
        mistakes.append(
            "taxonomy.lineages, null: the genomes of the taxonomy have no names without it. Hint:"
            f" give a TSV with the columns genome and lineage; {MANUAL} shows one."
        )
    if lineages and not (database or genomes):
        mistakes.append(
            f"taxonomy.lineages, {lineages!r}: there is nothing to name without taxonomy.database"
            " or taxonomy.genomes. Hint: give one of them, or set lineages to null."
        )
    mistakes += _file_mistakes("taxonomy.database", database, base)
    mistakes += _folder_mistakes("taxonomy.genomes", genomes, (), base)
    mistakes += _file_mistakes("taxonomy.lineages", lineages, base)
    return mistakes


def _function_mistakes(function: Mapping[str, Any], base: str) -> list[str]:
    reference, catalogue = function["reference"], function["catalogue"]
    mistakes = _folder_mistakes("function.reference", reference, REFERENCE_FILES, base)
    if reference is None:
        mistakes.append(
            "function.reference, null: expected the folder of a protein reference"
            f" ({', '.join(REFERENCE_FILES)}). Hint: {MANUAL} says what it holds; `make demo` runs"
            " an example with a small one."
        )
    mistakes += _folder_mistakes("function.catalogue", catalogue, CATALOGUE_FILES, base)
    return mistakes


def _file_mistakes(key: str, value: str | None, base: str) -> list[str]:
    if value is None:
        return []
    path = os.path.join(base, value)
    if os.path.isfile(path) and os.access(path, os.R_OK):
        return []
    if not os.path.exists(path):
        problem = "does not exist"
    elif os.path.isdir(path):
        problem = "is a folder; expected a file"
    else:
        problem = "is not a file that can be read"
    return [f"{key}, {value!r}: {problem}. Hint: {_path_hint(value)}."]


def _folder_mistakes(key: str, value: str | None, files: tuple[str, ...], base: str) -> list[str]:
    if value is None:
        return []
    path = os.path.join(base, value)
    if not os.path.isdir(path):
        problem = "is a file; expected a folder" if os.path.exists(path) else "does not exist"
        return [f"{key}, {value!r}: {problem}. Hint: {_path_hint(value)}."]
    lacking = [name for name in files if not os.path.isfile(os.path.join(path, name))]
    if not lacking:
        return []
    return [
        f"{key}, {value!r}: the folder lacks {', '.join(lacking)}. Hint: {MANUAL} describes what it"
        " holds."
    ]


def _path_hint(value: str) -> str:
    if value.startswith("~"):
        return "`~` is not expanded, write the folder in full"
    if os.path.isabs(value):
        return "check the spelling and the rights"
    return "relative paths start in the directory where snakemake runs"
