"""What identifies the processing of a run, and what differs between two of them.

Two numbers can be compared if the same was done to the reads of both. What was done is a set of
facts: databases by their id, classifier and search with their settings, the host that was
removed, the catalogue of routes, and how long the reads were. Fermentome records the facts of its
own runs; for tables of other tools the user writes the same file, with the facts of those tools.

A database with a manifest is identified by the id of the manifest. A file without one is
identified by its SHA-256, a folder by the SHA-256 over the names and SHA-256 of its files. Equal
content in other bytes, as genomes gzipped and not, counts as different: a refusal that was not
needed costs a second look, a comparison that was not allowed costs a wrong answer.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import yaml

from fermentome.cohort.carriers import BY_ORGANISMS
from fermentome.cohort.measures import (
    CARRIER,
    DIVERSITY,
    KINDS,
    ORGANISM,
    PATHWAY,
    PRODUCT,
    Measure,
)
from fermentome.databases.manifest import MANIFEST, read_manifest, sha256_of
from fermentome.errors import CohortError, ManifestError
from fermentome.lineage import is_genome_file
from fermentome.tables import Cell, read_table

__all__ = [
    "READ_LENGTH_TOLERANCE",
    "Difference",
    "Processing",
    "differences_between",
    "fits_read_length",
    "made_like",
    "parse_processing",
    "processing_of_run",
    "unit_of",
    "read_processing",
    "write_processing",
]

AnyPath: TypeAlias = str | os.PathLike[str]
Fact: TypeAlias = str | int | float | bool

SCHEMA = Path(__file__).resolve().parents[3] / "workflow/schemas/reference_cohort.schema.yaml"

READ_LENGTH_TOLERANCE = 0.10
"""By how much the mean read length of a sample may differ from that of a reference, as a share.

Shorter reads find fewer of the distant members of a family, and not equally fewer than of the
single-copy families that copies are divided by. From 100 to 150 nt the ratio of the two recalls,
hence the copies, falls by 11 % in the median family and changes by up to 18 % in nine of ten
(88 families with reads enough, no relative above 70 % identity in the reference:
benchmarks/accuracy/results/reads.tsv). Spread over the logarithm of the length this is up to 4 %
for a tenth of it, 5 % from 75 to 100 nt: below what counting noise allows to see.
"""

_AT_DEPTH = "_at_depth"
"""End of the names of metrics that `fermentome.cohort.diversity` gives at equal depth."""
NOT_STATED = "not stated"
NO_HOST = "none"

_GENES = (PRODUCT, PATHWAY, CARRIER)
_SPECIES = (DIVERSITY, ORGANISM)

_CONCERNS: Mapping[str, tuple[str, ...]] = {
    "taxonomy.phenotypes": (ORGANISM,),
    "taxonomy": _SPECIES,
    "function": _GENES,
    "scoring": _GENES,
    # Says at which depth richness was standardised: part of its unit, see `unit_of`.
    "diversity": (),
    # The routes are what organisms are said to carry, too.
    "catalogue": (*_GENES, ORGANISM),
}
"""Which kinds of measures depend on a fact, by key or by section; all others concern all."""

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    DIVERSITY: ("host.reference", "taxonomy.classifier", "taxonomy.database"),
    ORGANISM: (
        "host.reference", "taxonomy.classifier", "taxonomy.database", "taxonomy.phenotypes",
        "catalogue.version",
    ),
    **dict.fromkeys(_GENES, ("host.reference", "function.reference", "catalogue.version")),
}  # fmt: skip
"""Facts without which nobody can say that two values of a kind were made alike."""


@dataclass(frozen=True, slots=True)
class Processing:
    """What was done to the reads of a run.

    Attributes
    ----------
    content
        Facts by section, as in the file: text, numbers, yes or no; a database may be a mapping
        of ``id`` with ``name`` and ``version``, of which the id counts.
    read_length
        Shortest and longest mean length, nt, where the user states it for samples whose metadata
        do not; ``None`` else.
    source
        File that it came from, for messages.
    """

    content: Mapping[str, Mapping[str, Any]]
    read_length: tuple[float, float] | None = None
    source: str = "processing"

    @property
    def facts(self) -> dict[str, Fact]:
        """What is compared: facts by ``section.key``, databases by their ids."""
        return {
            key: value["id"] if isinstance(value, Mapping) else value
            for key, value in self._entries()
            if value is not None
        }

    @property
    def words(self) -> dict[str, str]:
        """What is said of each fact; databases by name, version and the start of their ids."""
        return {key: _words(value) for key, value in self._entries() if value is not None}

    @property
    def depth_reads(self) -> int | None:
        """Reads to which diversity was standardised, where that was done."""
        depth = self.content.get("diversity", {}).get("depth_reads")
        return None if depth is None else int(depth)

    def with_depth(self, alpha: Iterable[Mapping[str, Cell]]) -> Processing:
        """The same with the depth to which rows of diversity were standardised."""
        depths = {
            int(float(str(row["depth_reads"])))
            for row in alpha
            if str(row["metric"]).endswith(_AT_DEPTH)
            and str(row["depth_reads"]) not in {"None", "NA", ""}
        }
        if len(depths) != 1:
            return self
        return replace(self, content={**self.content, "diversity": {"depth_reads": depths.pop()}})

    def _entries(self) -> Iterator[tuple[str, Any]]:
        for section in sorted(self.content):
            for key in sorted(self.content[section]):
                yield f"{section}.{key}", self.content[section][key]


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that is not the same, or not known, for two runs.

    Attributes
    ----------
    key
        As ``taxonomy.database``.
    reference, here
        What is said of it on either side.
    concerns
        Kinds of measures that cannot be compared for it.
    """

    key: str
    reference: str
    here: str
    concerns: tuple[str, ...]

    @property
    def unstated(self) -> bool:
        """Whether neither side says anything of it."""
        return self.reference == self.here == NOT_STATED

    def __str__(self) -> str:
        return f"{self.key}: {self.reference} in the reference, {self.here} here"


def made_like(measure: Measure) -> str:
    """Kind of measure whose facts a measure depends on: its own, with one exception.

    Carriers come from genes, or from species and their phenotypes where there are no genes.
    """
    if measure.kind == CARRIER and measure.unit == BY_ORGANISMS:
        return ORGANISM
    return measure.kind


def unit_of(measure: Measure, processing: Processing) -> str | None:
    """Unit of a measure with all that belongs to it.

    Richness at a depth is another number at another depth. `None` where the depth is not stated.
    """
    if not measure.name.endswith(_AT_DEPTH):
        return measure.unit
    depth = processing.depth_reads
    return None if depth is None else f"{measure.unit} in {depth} reads"


# --- comparing ------------------------------------------------------------------------------------


def differences_between(
    reference: Processing, here: Processing, kinds: Iterable[str] = KINDS
) -> list[Difference]:
    """Every fact that differs between two runs, or that one does not state.

    A fact that neither states is a difference where values of a kind cannot be compared without
    it: not known is not the same as not known.

    Parameters
    ----------
    kinds
        Kinds of measures that are to be compared; facts that concern none of them are not looked
        at.

    Returns
    -------
    list of Difference
        By key; empty if all that is compared was made alike.
    """
    wanted = tuple(kind for kind in KINDS if kind in set(kinds))
    required = {key for kind in wanted for key in _REQUIRED[kind]}
    ours, theirs = here.facts, reference.facts
    said, told = here.words, reference.words
    found = []
    for key in sorted(required | ours.keys() | theirs.keys()):
        concerns = tuple(kind for kind in concerned_by(key) if kind in wanted)
        known = key in ours and key in theirs
        if concerns and not (known and _same(ours[key], theirs[key])):
            left, right = told.get(key, NOT_STATED), said.get(key, NOT_STATED)
            found.append(Difference(key, left, right, concerns))
    return found


def concerned_by(key: str) -> tuple[str, ...]:
    """Kinds of measures that depend on a fact.

    >>> concerned_by("taxonomy.database"), concerned_by("catalogue.version")[-1]
    (('diversity', 'organisms'), 'organisms')
    """
    return _CONCERNS.get(key, _CONCERNS.get(key.split(".", 1)[0], KINDS))


def fits_read_length(length: float, reference: float) -> bool:
    """Whether two mean read lengths, nt, are near enough for values to be compared.

    Nearness is a ratio, so that it is the same from both sides.

    >>> fits_read_length(140.0, 150.0), fits_read_length(100.0, 150.0)
    (True, False)
    """
    return abs(math.log(length / reference)) <= math.log1p(READ_LENGTH_TOLERANCE)


def _same(left: Fact, right: Fact) -> bool:
    # True equals 1 in Python, but `yes` is not a number.
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        name = " ".join(str(value[key]) for key in ("name", "version") if value.get(key))
        short = str(value["id"])
        short = short if len(short) <= 16 else f"{short[:12]}…"
        return f"{name} (id {short})" if name else f"id {short}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


# --- reading and writing --------------------------------------------------------------------------


def read_processing(path: AnyPath) -> Processing:
    """Read the processing of a run, recorded or written by hand.

    Raises
    ------
    CohortError
        If it cannot be read, is not YAML or breaks the schema.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CohortError(
            f"{path}: cannot be read ({error.strerror}); expected a YAML file that says how the"
            " samples were processed"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise CohortError(
            f"{path}: is not YAML ({' '.join(str(error).split()):.300}); expected sections such"
            " as host and taxonomy with their keys"
        ) from error
    return parse_processing(content, str(path))


def parse_processing(content: Any, source: str) -> Processing:
    """Processing from the content of its file.

    Raises
    ------
    CohortError
        If it breaks the schema.
    """
    check_schema(content, "processing", source)
    length = content.get("read_length")
    if isinstance(length, Mapping):
        bounds = float(length["low"]), float(length["high"])
        if bounds[0] > bounds[1]:
            raise CohortError(
                f"{source}: read_length: low is {bounds[0]:g}, above high, {bounds[1]:g}; expected"
                " the shortest mean length first"
            )
    else:
        bounds = (float(length), float(length)) if length is not None else (math.nan, math.nan)
    sections = {key: value for key, value in content.items() if isinstance(value, Mapping)}
    sections.pop("read_length", None)
    return Processing(sections, None if math.isnan(bounds[0]) else bounds, source)


def write_processing(processing: Processing, path: AnyPath) -> None:
    """Write the processing of a run as YAML; the same facts give the same bytes."""
    content: dict[str, Any] = json.loads(json.dumps(processing.content))
    if processing.read_length:
        low, high = processing.read_length
        content["read_length"] = {"low": float(low), "high": float(high)}
    check_schema(content, "processing", str(path))
    text = yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=96)
    Path(path).write_text(text, encoding="utf-8")


def check_schema(content: Any, part: str, source: str) -> None:
    """Check a file, or a part of one, against the schema of reference cohorts.

    Raises
    ------
    CohortError
        Naming the first place that breaks it.
    """
    errors = sorted(
        _validator(part).iter_errors(content), key=lambda error: list(map(str, error.absolute_path))
    )
    if errors:
        first = errors[0]
        place = ".".join(map(str, first.absolute_path)) or "the file"
        raise CohortError(
            f"{source}: {place}: {first.message:.300}; what is expected is in"
            f" workflow/schemas/{SCHEMA.name}"
        )


@cache
def _validator(part: str) -> Any:
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    if part:
        schema = {"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]}
    return jsonschema.Draft202012Validator(schema)


# --- recording ------------------------------------------------------------------------------------


def processing_of_run(
    config: Mapping[str, Any],
    names: Mapping[str, str],
    catalogue: Mapping[str, AnyPath],
    adapters: AnyPath,
    phenotypes: AnyPath | None = None,
    software: Mapping[str, str] | None = None,
    used: AnyPath | None = None,
) -> Processing:
    """Facts of a run of the workflow.

    Settings that change how fast or with how much memory a number is made are not among them.

    Parameters
    ----------
    config
        The configuration with its defaults, after `databases.slots.place_databases` has put
        paths in its places.
    names
        What the user wrote in each place, by key, for databases that have no manifest; only
        the name of the file or folder is kept.
    catalogue
        Paths of ``families``, ``pathways`` and ``single_copy``.
    adapters, phenotypes
        The files that the run used.
    software
        Versions that must be the same, by name.
    used
        ``results/databases/used.tsv`` of the run, to be sure that the databases are still those.

    Raises
    ------
    CohortError
        If a database is gone, or is no longer the one that the run used.
    """
    trim, host = config["trim"], config["host"]
    function, scoring = config["function"], config["scoring"]
    content: dict[str, dict[str, Any]] = {
        "trim": {key: trim[key] for key in ("min_length", "quality", "poly_g")}
        | {"cut_mean_quality": trim["cut_mean_quality"] or "no cutting"}
        | {"adapters": identify(adapters)},
        "host": {"reference": NO_HOST},
        "function": {
            "reference": identify(function["reference"], names.get("function.reference")),
            "engine": "diamond",
            "sensitivity": function["sensitivity"],
            "minimum_identity_for_genus": function["minimum_identity_for_genus"],
        },
        "catalogue": identify_catalogue(catalogue),
        "scoring": {
            key: scoring[key]
            for key in ("detectable_copies", "minimum_fragments", "minimum_positions")
        },
    }
    if host["reference"]:
        content["host"]["reference"] = identify(host["reference"], names.get("host.reference"))
    taxonomy = _taxonomy_facts(config["taxonomy"], names, phenotypes)
    if taxonomy:
        content["taxonomy"] = taxonomy
    if software:
        content["software"] = dict(software)
    if used is not None:
        _check_used(content, used)
    return Processing(content, source="this run")


def _check_used(content: Mapping[str, Mapping[str, Any]], used: AnyPath) -> None:
    """Refuse databases that were replaced after the run."""
    for row in read_table(used, ("key", "id")):
        section, _, key = row["key"].partition(".")
        found = content.get(section, {}).get(key)
        if row["id"] != "NA" and isinstance(found, Mapping) and found["id"] != row["id"]:
            raise CohortError(
                f"{used}, {row['key']}: the run used the database of id {row['id']}, the"
                f" configuration now names {found['id']}; run the workflow again, or name the one"
                " that was used"
            )


_SYLPH_SETTINGS = ("minimum_ani", "minimum_kmers")
_KRAKEN2_SETTINGS = ("confidence", "minimum_hit_groups", "minimum_reads", "minimum_evenness")


def _taxonomy_facts(
    taxonomy: Mapping[str, Any], names: Mapping[str, str], phenotypes: AnyPath | None
) -> dict[str, Any]:
    """Facts of the species profile; empty where there is none."""
    if not (taxonomy["database"] or taxonomy["genomes"]):
        return {}
    kraken2 = taxonomy["classifier"] == "kraken2"
    facts: dict[str, Any] = {"classifier": taxonomy["classifier"]}
    if taxonomy["genomes"]:
        # A sketch holds the paths of its genomes, so its bytes differ between folders.
        facts["database"] = identify(taxonomy["genomes"])
        facts["subsampling"] = taxonomy["subsampling"]
    else:
        facts["database"] = identify(taxonomy["database"], names.get("taxonomy.database"))
    facts |= {key: taxonomy[key] for key in (_KRAKEN2_SETTINGS if kraken2 else _SYLPH_SETTINGS)}
    tables = {"lineages": taxonomy["lineages"], "phenotypes": phenotypes}
    if kraken2:
        tables["genome_sizes"] = taxonomy["genome_sizes"]
    return facts | {key: identify(path) for key, path in tables.items() if path}


def identify(path: AnyPath, written: str | None = None) -> dict[str, str]:
    """Identity of a database, a file or a folder of genomes: its id, with name and version.

    Raises
    ------
    CohortError
        If nothing is there, or a manifest was edited.
    """
    path = Path(path)
    for folder in (path, path.parent):
        if (folder / MANIFEST).is_file():
            try:
                manifest = read_manifest(folder)
            except ManifestError as error:
                raise CohortError(f"{error}; the run cannot be identified by it") from error
            if folder == path or path.name in manifest.files:
                return {"id": manifest.id, "name": manifest.name, "version": manifest.version}
    name = Path(written).name if written else path.name
    if path.is_dir():
        return {"id": _folder_id(path), "name": name}
    if path.is_file():
        return {"id": sha256_of(path), "name": name}
    raise CohortError(
        f"{path}: is not there; expected the database that the run used, which identifies it"
    )


_KRAKEN2_PATTERNS = ("*.k2d", "database*mers.kmer_distrib", "genome_sizes.tsv", "inspect.txt")


def _folder_id(folder: Path) -> str:
    """SHA-256 over the names and SHA-256 of the genomes, or of what kraken2 reads, of a folder."""
    files = sorted(path for path in folder.iterdir() if is_genome_file(path.name))
    files = files or sorted(path for glob in _KRAKEN2_PATTERNS for path in folder.glob(glob))
    if not files:
        raise CohortError(
            f"{folder}: holds neither genomes nor a database of kraken2; expected the folder that"
            " the run used, which identifies it"
        )
    lines = "".join(f"{sha256_of(path)}  {path.name}\n" for path in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def identify_catalogue(files: Mapping[str, AnyPath]) -> dict[str, str]:
    """Version of a catalogue, and the SHA-256 of what its files say.

    The version alone would miss a catalogue of the user's own that was edited. Comments and the
    order of keys do not count.
    """
    content = {
        name: yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        for name, path in sorted(files.items())
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    version = str(content["families"]["version"])
    return {"version": version, "content": hashlib.sha256(text.encode()).hexdigest()}
