"""The configuration: its mistakes in words, files on disk, keys that need each other.

The module itself needs the standard library only, since it runs while Snakemake parses the
workflow: first `check_schema`, then `snakemake.utils.validate`, which fills in the defaults, then
`check_configuration`.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from fermentome.errors import ConfigError

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["check_configuration", "check_schema", "defaults_of", "fill_sections"]

MANUAL = "config/README.md"
#: So much of the adapters' file is looked at: a file of adapters is small, a wrong one may be big.
ADAPTERS_LOOKED_AT = 64 * 1024
#: How a key that takes a percentage says so in its description.
IN_PERCENT = "in percent"
#: What a protein reference and a catalogue folder hold at least.
REFERENCE_FILES = ("manifest.yaml", "proteins.faa.gz", "proteins.tsv")
CATALOGUE_FILES = ("families.yaml", "pathways.yaml", "single_copy.yaml")
REFERENCE_COHORT_FILES = ("reference_cohort.yaml", "values.tsv")
#: What each engine takes as its database.
SYLPH_SUFFIX = ".syldb"
KRAKEN2_FILES = ("hash.k2d", "opts.k2d", "taxo.k2d")


def check_configuration(
    config: Mapping[str, Any],
    base_directory: str | os.PathLike[str] = ".",
    pending: Sequence[str] = (),
) -> None:
    """Check that the configured references exist and that keys do not contradict each other.

    Parameters
    ----------
    config
        The configuration, valid by its schema and with every default filled in.
    base_directory
        Where relative paths start: the working directory.
    pending
        Keys that name databases which are still to be fetched: these cannot be looked at.

    Raises
    ------
    ConfigError
        With one line per mistake, all mistakes at once.
    """
    base = os.fspath(base_directory)
    mistakes = [
        *_adapter_mistakes("trim.adapters", config["trim"]["adapters"], base),
        *_file_mistakes("host.reference", config["host"]["reference"], base),
        *_taxonomy_mistakes(config["taxonomy"], base),
        *_function_mistakes(config["function"], base),
        *_cohort_mistakes(config["cohort"], base),
    ]
    # Lineages come with the database.
    unseen = {*pending, *(["taxonomy.lineages"] if "taxonomy.database" in pending else [])}
    _refuse([line for line in mistakes if line.partition(",")[0] not in unseen])


def _refuse(mistakes: Sequence[str]) -> None:
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        lines = [f"configuration, {mistake}" for mistake in mistakes]
        raise ConfigError("\n".join([f"configuration: {count}", *lines]))


# Schema --------------------------------------------------------------------------------------


def check_schema(config: MutableMapping[str, Any], schema_path: str | os.PathLike[str]) -> None:
    """Check keys, types and ranges, and say in words what is wrong.

    Parameters
    ----------
    config
        The configuration as the user wrote it, defaults not filled in. Sections without keys are
        made empty ones in place, see `fill_sections`.
    schema_path
        `workflow/schemas/config.schema.yaml`.

    Raises
    ------
    ConfigError
        With one line per mistake, all mistakes at once: the key, the value, what was expected.

    Notes
    -----
    Stricter than JSON Schema in two points: 50.0 is no whole number, and NaN and infinity are no
    numbers. Either would go into a command line or through a comparison unseen.
    """
    from jsonschema import Draft202012Validator, validators

    schema = _read_schema(schema_path)
    fill_sections(config, schema_path)
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                (isinstance(value, int) and not isinstance(value, bool))
                or (isinstance(value, float) and math.isfinite(value))
            ),
        }
    )
    validator = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, type_checker=types
    )(schema)
    mistakes = [
        line for error in validator.iter_errors(config) for line in _in_words(error, schema)
    ]
    _refuse(list(dict.fromkeys(mistakes)))


def fill_sections(config: MutableMapping[str, Any], schema_path: str | os.PathLike[str]) -> None:
    """Make sections that are there without a key empty ones, in place.

    YAML reads `trim:` with all its keys commented out as null. What is meant is a section that
    keeps its defaults; so it is with the list `metadata:`.
    """
    for name, entry in _read_schema(schema_path)["properties"].items():
        if name in config and config[name] is None and entry["default"] in ({}, []):
            config[name] = type(entry["default"])()


def defaults_of(section: str, schema_path: str | os.PathLike[str]) -> dict[str, Any]:
    """Default of each key of a section, as `snakemake.utils.validate` would fill them in."""
    keys = _read_schema(schema_path)["properties"][section]["properties"]
    return {key: entry["default"] for key, entry in keys.items()}


def _read_schema(path: str | os.PathLike[str]) -> dict[str, Any]:
    # Here and not above: the module is imported in jobs that need neither.
    import yaml

    with open(path, encoding="utf-8") as handle:
        schema: dict[str, Any] = yaml.safe_load(handle)
    return schema


def _in_words(error: ValidationError, schema: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines of one error of the schema."""
    path = list(error.absolute_path)
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        section = ".".join(map(str, path))
        known = list(error.schema["properties"])  # type: ignore[index]
        for key, value in instance.items():
            if key not in known:
                yield _unknown_key(section, str(key), value, known, schema)
        return
    key = ".".join(str(part) for part in path if isinstance(part, str))
    value = _shown(instance)
    entry: Any = schema
    for part in path:
        entry = _resolved(
            entry["items"] if isinstance(part, int) else entry["properties"][part], schema
        )
    if "properties" in entry:
        keys = ", ".join(entry["properties"])
        yield (
            f"{key}, {value}: expected a section of keys. Hint: write `{key}:` and, indented on"
            f" the lines below it, any of {keys}."
        )
    elif error.validator == "uniqueItems":
        twice = [item for n, item in enumerate(instance) if item in instance[:n]]
        yield f"{key}, {_shown(twice[0])}: stands twice. Hint: delete one of them."
    elif error.validator == "not":
        yield (
            f"{key}, {value}: is a column of the tables already; expected further columns. Hint:"
            " delete it from the list, or rename the column."
        )
    else:
        yield (
            f"{key}, {value}: expected {_expected(entry, schema)}."
            f" Hint: {_value_hint(key, instance, entry)}"
        )


def _unknown_key(
    section: str, key: str, value: object, known: Sequence[str], schema: Mapping[str, Any]
) -> str:
    """Name a key that the schema does not know, with the key that was perhaps meant."""
    is_section = not section and (value is None or isinstance(value, Mapping))
    kind = "unknown section" if is_section else "unknown key"
    nested = {
        f"{name}.{child}": child
        for name, entry in schema["properties"].items()
        for child in entry.get("properties", ())
    }
    close = difflib.get_close_matches(key.lower(), known, n=1)
    alike = difflib.get_close_matches(key.lower(), sorted({*nested.values()}), n=1, cutoff=0.8)
    if key in nested:
        hint = f"write `{key.split('.')[0]}:` and, indented on the line below it, `{nested[key]}:`."
    elif close:
        hint = f"did you mean {close[0]}?"
    elif alike:
        hint = f"did you mean {' or '.join(k for k, child in nested.items() if child in alike)}?"
    else:
        hint = f"{section or 'the configuration'} takes {', '.join(known)}."
    return f"{section}{section and '.'}{key}: {kind}. Hint: {hint}"


def _resolved(entry: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the entry of a key with the definition that it refers to, if any."""
    if "$ref" not in entry:
        return entry
    return {**schema["$defs"][entry["$ref"].rsplit("/", 1)[-1]], **entry}


def _expected(entry: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Say what a key takes, from its entry in the schema."""
    entry = _resolved(entry, schema)
    if "anyOf" in entry:
        kinds = [_expected(kind, schema) for kind in entry["anyOf"]]
        return " or ".join(sorted(kinds, key=lambda kind: kind == "null"))
    if "enum" in entry:
        return f"one of {', '.join(entry['enum'])}"
    if "title" in entry:
        return str(entry["title"])
    types = [entry["type"]] if isinstance(entry["type"], str) else entry["type"]
    names = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "array": "a list, as [age, diet]",
        "string": "text",
        "null": "null",
    }
    first = names[types[0]] + _range(entry)
    return " or ".join([first, *(names[kind] for kind in types[1:])])


def _range(entry: Mapping[str, Any]) -> str:
    lowest, highest = entry.get("minimum"), entry.get("maximum")
    above = entry.get("exclusiveMinimum")
    if lowest is not None and highest is not None:
        return f" from {lowest} to {highest}"
    if lowest is not None:
        return f", {lowest} or more"
    if above is not None and highest is not None:
        return f" above {above} and up to {highest}"
    return f" above {above}" if above is not None else ""


def _value_hint(key: str, value: object, entry: Mapping[str, Any]) -> str:
    """Say what to write instead of a value of the wrong type or range."""
    types = entry.get("type", [])
    types = [types] if isinstance(types, str) else types
    if "boolean" in types and isinstance(value, str):
        return "write true or false, without quotation marks."
    if {"integer", "number"} & {*types} and isinstance(value, str) and _is_number(value):
        return "write the number without quotation marks."
    if "integer" in types and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}."
    if IN_PERCENT in entry.get("description", "") and isinstance(value, float) and 0 < value <= 1:
        return f"the value is in percent: {value * 100:g} for {value:g}."
    if "enum" in entry:
        close = difflib.get_close_matches(str(value).lower(), entry["enum"], n=1)
        if close:
            return f"did you mean {close[0]}?"
    if "default" not in entry:
        return f"{MANUAL} describes {key}."
    return (
        f"leave the key out to keep its default, {_shown(entry['default'])}; {MANUAL} describes it."
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _shown(value: object) -> str:
    """Give a value as YAML writes it; long ones are cut."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


# Files and keys that need each other ---------------------------------------------------------


def _taxonomy_mistakes(taxonomy: Mapping[str, Any], base: str) -> list[str]:
    database, genomes = taxonomy["database"], taxonomy["genomes"]
    lineages = taxonomy["lineages"]
    kraken2 = taxonomy["classifier"] == "kraken2"
    mistakes = []
    if database and genomes:
        mistakes.append(
            f"taxonomy.database, {database!r}: taxonomy.genomes is given too, {genomes!r}. Hint:"
            f" keep the ready database or the folder of genomes, and set the other to null."
        )
    if kraken2 and genomes:
        mistakes.append(
            f"taxonomy.genomes, {genomes!r}: only a sylph database is made from genomes here. Hint:"
            " make one for kraken2 with `fermentome db build kraken2` and give it as"
            " taxonomy.database, or set taxonomy.classifier to sylph."
        )
    if (database or genomes) and not (lineages or kraken2):
        mistakes.append(
            "taxonomy.lineages, null: the genomes of the taxonomy have no names without it. Hint:"
            f" give a TSV with the columns genome and lineage; {MANUAL} shows one."
        )
    if lineages and not (database or genomes):
        mistakes.append(
            f"taxonomy.lineages, {lineages!r}: there is nothing to name without taxonomy.database"
            " or taxonomy.genomes. Hint: give one of them, or set lineages to null."
        )
    mistakes += _database_mistakes(database, kraken2, base)
    mistakes += _folder_mistakes("taxonomy.genomes", genomes, (), base)
    mistakes += _file_mistakes("taxonomy.lineages", lineages, base)
    mistakes += _file_mistakes("taxonomy.phenotypes", taxonomy["phenotypes"], base)
    mistakes += _file_mistakes("taxonomy.genome_sizes", taxonomy["genome_sizes"], base)
    return mistakes


def _database_mistakes(database: str | None, kraken2: bool, base: str) -> list[str]:
    """Check that the taxonomic database is one of the engine that is to read it."""
    if database is None:
        return []
    key = "taxonomy.database"
    path = os.path.join(base, database)
    is_kraken2 = os.path.isfile(os.path.join(path, KRAKEN2_FILES[0]))
    if kraken2 and os.path.isfile(path):
        kind = "a sylph database" if path.endswith(SYLPH_SUFFIX) else "a file"
        return [
            f"{key}, {database!r}: is {kind}; expected the folder of a kraken2 database"
            f" ({', '.join(KRAKEN2_FILES)}). Hint: give that folder, or set taxonomy.classifier to"
            " sylph."
        ]
    if kraken2:
        return _folder_mistakes(key, database, KRAKEN2_FILES, base)
    if is_kraken2:
        return [
            f"{key}, {database!r}: is the folder of a kraken2 database; expected one of sylph"
            f" ({SYLPH_SUFFIX}). Hint: set taxonomy.classifier to kraken2."
        ]
    if not os.path.isdir(path) and not path.endswith(SYLPH_SUFFIX):
        return [
            f"{key}, {database!r}: expected a path that ends in {SYLPH_SUFFIX} or null. Hint:"
            f" {MANUAL} describes it."
        ]
    return _file_mistakes(key, database, base)


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


def _cohort_mistakes(cohort: Mapping[str, Any], base: str) -> list[str]:
    key = "cohort.reference_cohort"
    return [
        *_folder_mistakes(key, cohort["reference_cohort"], REFERENCE_COHORT_FILES, base),
        *_file_mistakes("cohort.metabolites", cohort["metabolites"], base),
    ]


def _adapter_mistakes(key: str, value: str | None, base: str) -> list[str]:
    """Check that the adapters are what fastp reads: FASTA that is not packed."""
    mistakes = _file_mistakes(key, value, base)
    if value is None or mistakes:
        return mistakes
    with open(os.path.join(base, value), "rb") as handle:
        start = handle.read(ADAPTERS_LOOKED_AT)
    if start.startswith(b"\x1f\x8b") or value.endswith(".gz"):
        problem, hint = "is packed; expected plain FASTA", "unpack it: fastp reads no .gz here"
    elif not start.strip():
        problem = "is empty; expected FASTA with at least one adapter"
        hint = "null takes the built-in list"
    elif not start.lstrip().startswith(b">"):
        problem = "does not start with '>'; expected FASTA"
        hint = "each adapter is a line with '>' and a name, and a line with its bases"
    elif all(line.startswith(b">") for line in start.split(b"\n") if line.strip()):
        problem = "holds names and no bases; expected FASTA with at least one adapter"
        hint = "each adapter is a line with '>' and a name, and a line with its bases"
    else:
        return []
    return [f"{key}, {value!r}: {problem}. Hint: {hint}."]


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
