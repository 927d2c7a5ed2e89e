"""The registry: which databases are known by name, where they come from, and who says so.

The registry is a table that people edit (``workflow/resources/databases.yaml``). What a public
page does not state stays empty there: no address, size or checksum is guessed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from fermentome.databases.manifest import ENGINES
from fermentome.databases.memory import reckon_memory
from fermentome.defaults import WORKFLOW
from fermentome.errors import DatabaseError

__all__ = ["UNVERIFIED", "Preset", "Recipe", "Registry", "SourceFile", "load_registry"]

REGISTRY = WORKFLOW / "resources" / "databases.yaml"
SCHEMA = WORKFLOW / "schemas" / "databases.schema.yaml"

UNVERIFIED = "unverified source: nobody has downloaded this through Fermentome yet"
"""Said by `list` and `fetch` of a preset that has never been downloaded."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that a preset is made from.

    Attributes
    ----------
    urls
        The source and its mirrors, first choice first. ``repository:`` stands for a file of this
        repository.
    target
        Name in the folder of the database; empty for an archive that holds several.
    unpack
        Whether the file is such an archive.
    optional
        Whether the database can be used without the file.
    convert
        ``lineages`` for a table of genomes and lineages that is to be rewritten; else empty.
    sha256, md5
        As the source publishes them; empty where it does not.
    md5_list
        Address of a list of MD5 sums of the archive and of the files in it; empty where none is.
    size
        Bytes as the source publishes them; None where it does not.
    release, date, licence
        As the source states them; empty where it does not.
    """

    urls: tuple[str, ...]
    target: str = ""
    unpack: bool = False
    optional: bool = False
    convert: str = ""
    sha256: str = ""
    md5: str = ""
    md5_list: str = ""
    size: int | None = None
    release: str = ""
    date: str = ""
    licence: str = ""


UNIPROT = "uniprot"
#: How UniProt names its releases, as 2026_03.
RELEASE = re.compile(r"\d{4}_\d{2}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a preset is made for which nobody offers the files ready.

    Attributes
    ----------
    name
        ``folder``, ``genomes``, ``representatives`` or ``uniprot``.
    values
        All else that the registry says, by key.
    """

    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Preset:
    """A database known by name.

    Attributes
    ----------
    default
        Whether the name alone means this version.
    licence_page, page, further_pages
        Where the licence and the sources are documented.
    stated_memory_mb
        Memory that using it takes, as the page says; None where none does.
    download_gb, disk_gb
        Size of the download and on disk in 10^9 bytes, rounded as on the page; None where no
        page says it.
    verified
        Whether somebody has downloaded it through Fermentome.
    note
        What the user should know; empty for nothing.
    parameters
        What the source built it with.
    files, recipe
        One of the two.
    """

    name: str
    version: str
    kind: str
    engine: str
    description: str
    licence: str
    page: str
    verified: bool
    default: bool = False
    licence_page: str = ""
    further_pages: tuple[str, ...] = ()
    stated_memory_mb: int | None = None
    download_gb: float | None = None
    disk_gb: float | None = None
    note: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[SourceFile, ...] = ()
    recipe: Recipe | None = None

    @property
    def reference(self) -> str:
        """How the database is called: ``name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def warning(self) -> str:
        """What to say before anything is downloaded; empty for nothing."""
        return "" if self.verified else UNVERIFIED

    @property
    def memory_mb(self) -> int | None:
        """Memory that using it takes, stated or reckoned; None where not even a size is stated."""
        if self.stated_memory_mb is not None:
            return self.stated_memory_mb
        sizes = {item.target: item.size for item in self.files if item.size is not None}
        if self.engine == "kraken2" and self.disk_gb is not None:
            # Nearly all of such a database is its hash table.
            sizes["hash.k2d"] = round(self.disk_gb * 1e9)
        if self.engine == "sylph" and self.download_gb is not None:
            sizes.setdefault("taxonomy.syldb", round(self.download_gb * 1e9))
        return reckon_memory(self.engine, sizes) if sizes else None

    @property
    def download_bytes(self) -> int | None:
        """Bytes that are downloaded, as far as the sources say; None where none does."""
        if self.download_gb is not None:
            return round(self.download_gb * 1e9)
        # Where only some of the sizes are published, it is those of the large files.
        return sum(item.size or 0 for item in self.files) or None

    def takes_release(self, version: str) -> bool:
        """Whether `version` is a release of the source, which the database is then made of."""
        made_of_uniprot = self.recipe is not None and self.recipe.name == UNIPROT
        return made_of_uniprot and RELEASE.fullmatch(version) is not None

    def of_release(self, version: str) -> Preset:
        """The same preset, to be made of one release and no other."""
        assert self.recipe is not None
        values = {**self.recipe.values, "release": version}
        return replace(self, version=version, recipe=Recipe(self.recipe.name, values))


@dataclass(frozen=True, slots=True)
class Registry:
    """All presets, in the order of the file, and the names of sets of them."""

    presets: tuple[Preset, ...]
    path: Path
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def members(self, reference: str) -> tuple[str, ...]:
        """The databases of a set; anything else stands for itself."""
        return self.sets.get(reference, (reference,))

    def find(self, reference: str) -> Preset:
        """Preset of a name, or of a name with its version.

        Parameters
        ----------
        reference
            ``name`` for the default version, or ``name@version``.

        Raises
        ------
        DatabaseError
            If there is none; names near to it are given.
        """
        name, _, version = reference.partition("@")
        same = [preset for preset in self.presets if preset.name == name]
        if not same:
            names = list(dict.fromkeys(preset.name for preset in self.presets))
            near = difflib.get_close_matches(name, names, n=3)
            hint = f"did you mean {' or '.join(near)}" if near else f"known are {', '.join(names)}"
            raise DatabaseError(
                f"{reference}: no database of this name is known; {hint}. `fermentome db list"
                " --presets` shows them all; for a database of your own give its folder, archive"
                " or URL"
            )
        for preset in same:
            if preset.version == version or (not version and preset.default):
                return preset
            if preset.takes_release(version):
                return preset.of_release(version)
        versions = ", ".join(preset.version for preset in same)
        raise DatabaseError(f"{reference}: {name} has no version {version!r}; known are {versions}")

    def knows(self, reference: str) -> bool:
        """Whether `reference` is the name of a preset, with a version that exists or with none."""
        name, _, version = reference.partition("@")
        return any(
            preset.name == name
            and (version in ("", preset.version) or preset.takes_release(version))
            for preset in self.presets
        )


def load_registry(path: Path | None = None) -> Registry:
    """Read and check the registry.

    Parameters
    ----------
    path
        Another registry of the same form; None for the repository's.

    Raises
    ------
    DatabaseError
        If it is missing, is not YAML, breaks the schema or contradicts itself; every problem is
        named.
    """
    path = path or REGISTRY
    content = _read_yaml(path)
    problems = [*_schema_problems(content)]
    presets: tuple[Preset, ...] = ()
    sets: dict[str, tuple[str, ...]] = {}
    if not problems:
        presets = tuple(_preset(entry) for entry in content["databases"])
        sets = {name: tuple(members) for name, members in content.get("sets", {}).items()}
        problems = [*_contradictions(presets), *_set_problems(sets, Registry(presets, path))]
    if problems:
        raise DatabaseError(f"{path}: " + "; ".join(problems))
    return Registry(presets, path, sets)


def _set_problems(sets: Mapping[str, tuple[str, ...]], registry: Registry) -> Iterable[str]:
    for name, members in sets.items():
        if any(preset.name == name for preset in registry.presets):
            yield f"{name}: is the name of a set and of a database; rename one"
        for member in members:
            if not registry.knows(member):
                yield f"set {name}: {member} is no database of the registry"


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise DatabaseError(f"{path}: is not YAML ({' '.join(str(error).split())})") from error


def _schema_problems(content: Any) -> Iterable[str]:
    validator = jsonschema.Draft202012Validator(_read_yaml(SCHEMA))
    for error in sorted(validator.iter_errors(content), key=lambda item: str(item.json_path)):
        yield f"{_place(content, error)}: {error.message:.200}"


def _place(content: Any, error: jsonschema.ValidationError) -> str:
    steps = list(error.absolute_path)
    if len(steps) > 1 and steps[0] == "databases":
        entry = content["databases"][steps[1]]
        if isinstance(entry, dict):
            named = f"{entry.get('name', steps[1])}@{entry.get('version', '?')}"
            return ".".join([named, *map(str, steps[2:])])
    return ".".join(map(str, steps)) or "the registry"


def _preset(entry: Mapping[str, Any]) -> Preset:
    recipe = entry.get("recipe")
    return Preset(
        **{key: value for key, value in entry.items() if key not in _NESTED},
        stated_memory_mb=entry.get("memory_mb"),
        further_pages=tuple(entry.get("further_pages", ())),
        files=tuple(_source_file(item) for item in entry.get("files", ())),
        recipe=None if recipe is None else _recipe(recipe),
    )


#: Keys of an entry that `_preset` does not take over as they are.
_NESTED = ("files", "recipe", "further_pages", "memory_mb")


def _source_file(item: Mapping[str, Any]) -> SourceFile:
    known = {key: value for key, value in item.items() if value is not None and key != "urls"}
    return SourceFile(urls=tuple(item["urls"]), **known)


def _recipe(content: Mapping[str, Any]) -> Recipe:
    return Recipe(content["name"], {key: content[key] for key in content if key != "name"})


def _contradictions(presets: tuple[Preset, ...]) -> Iterable[str]:
    seen: set[str] = set()
    for preset in presets:
        if preset.reference in seen:
            yield f"{preset.reference} stands twice"
        seen.add(preset.reference)
        if preset.engine not in ENGINES[preset.kind]:
            yield f"{preset.reference}: no {preset.kind} database is made for {preset.engine}"
    for name in dict.fromkeys(preset.name for preset in presets):
        defaults = [item.version for item in presets if item.name == name and item.default]
        if len(defaults) != 1:
            said = " and ".join(defaults) or "none"
            yield f"{name}: exactly one version must be the default, found {said}"
