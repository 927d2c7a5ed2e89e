"""The manifest of a reference database: what it is, what it was made from, what it holds.

A database is a folder with ``manifest.yaml``. The manifest names every other file of the folder
with its SHA-256 and size; its own ``id`` is the SHA-256 of its content in canonical form. Two
folders with the same id hold the same bytes, wherever and whenever they were made: the manifest
knows no date of building and no folder of a machine.

The module itself needs the standard library only; YAML and the schema are loaded where used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fermentome.errors import ManifestError

__all__ = [
    "ENGINES",
    "KINDS",
    "MANIFEST",
    "FileRecord",
    "Manifest",
    "Problem",
    "Source",
    "check_files",
    "list_files",
    "read_manifest",
    "sha256_of",
    "write_manifest",
]

MANIFEST = "manifest.yaml"
SCHEMA = Path(__file__).resolve().parents[3] / "workflow" / "schemas" / "manifest.schema.yaml"
KINDS = ("taxonomy", "scfa_proteins", "host")
#: Engines by kind, and the files that each cannot do without: all names of one of the groups.
ENGINES: Mapping[str, Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "taxonomy": {
        "sylph": (("taxonomy.syldb", "lineages.tsv"),),
        "kraken2": (("hash.k2d", "opts.k2d", "taxo.k2d"),),
    },
    "scfa_proteins": {"diamond": (("proteins.faa.gz", "proteins.tsv"),)},
    "host": {"minimap2": (("host.fa.gz",), ("host.mmi",))},
}


@dataclass(frozen=True)
class Source:
    """Something that a database was made from.

    Attributes
    ----------
    url
        Where it came from; the plain file name of a local file, never a folder of this machine.
    release, date, licence
        As the source itself states them; empty where it does not. `date` is in ISO form.
    sha256, size
        Of the file as it came; empty and None where there is no single file.
    """

    url: str
    release: str = ""
    date: str = ""
    licence: str = ""
    sha256: str = ""
    size: int | None = None

    @classmethod
    def of_file(cls, path: Path) -> Source:
        """A local file, by its name without folder, with digest and size."""
        return cls(path.name, sha256=sha256_of(path), size=path.stat().st_size)


@dataclass(frozen=True)
class FileRecord:
    """Digest and size, in bytes, of a file of the database."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """Content of ``manifest.yaml``.

    Attributes
    ----------
    tools
        Version of each tool that made the index files, by tool.
    parameters
        What the database was built with; values as JSON knows them.
    files
        Every file of the folder but the manifest, by its path in the folder.
    memory_mb
        Memory, in megabytes, that using the database takes; 0 where it is not known.
    id
        SHA-256 of the canonical content of all else.
    """

    name: str
    version: str
    kind: str
    engine: str
    description: str
    licence: str
    sources: tuple[Source, ...]
    tools: Mapping[str, str]
    parameters: Mapping[str, Any]
    files: Mapping[str, FileRecord]
    memory_mb: int
    id: str

    @property
    def reference(self) -> str:
        """How the database is called: ``name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def size(self) -> int:
        """Bytes of all files, the manifest not counted."""
        return sum(record.size for record in self.files.values())


@dataclass(frozen=True)
class Problem:
    """Something wrong with a database.

    Attributes
    ----------
    path
        File or folder concerned.
    what
        What was found and what was expected.
    mend
        The command that mends it, as it is typed in a shell.
    """

    path: Path
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; mend it with: {self.mend}"


# --- writing --------------------------------------------------------------------------------------


def write_manifest(
    folder: Path,
    *,
    name: str,
    version: str,
    kind: str,
    engine: str,
    description: str,
    licence: str,
    sources: Iterable[Source],
    tools: Mapping[str, str],
    parameters: Mapping[str, Any],
    memory_mb: int,
) -> Manifest:
    """Write ``manifest.yaml`` for the files of a finished folder.

    Every file below `folder` but the manifest is hashed. The bytes written depend on those files
    and on the arguments alone.

    Raises
    ------
    ManifestError
        If a value breaks the schema, a file that the kind needs is missing or empty, or the
        folder holds something else than plain files and folders.
    """
    content = {
        "name": name,
        "version": version,
        "kind": kind,
        "engine": engine,
        "description": description,
        "licence": licence,
        "sources": [_source_content(source) for source in sources],
        "tools": dict(tools),
        "parameters": dict(parameters),
        "memory_mb": memory_mb,
        "files": {file: asdict(_record(folder / file)) for file in list_files(folder)},
    }
    path = folder / MANIFEST
    # Through JSON and back: what is hashed is what a reader of the YAML will see.
    content = json.loads(_canonical(content, path))
    content["id"] = _identity(content, path)
    manifest = _parse(content, path)
    import yaml

    text = yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=96)
    if yaml.safe_load(text) != content:
        raise ManifestError(
            f"{path}: a value does not survive YAML; use text, numbers, lists and mappings"
            " with text as keys"
        )
    # Replaced, not written into: an older manifest may be read-only, or linked from elsewhere.
    fresh = folder / f"{MANIFEST}.new"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return manifest


def _source_content(source: Source) -> dict[str, Any]:
    return {key: value for key, value in asdict(source).items() if value not in ("", None)}


def _record(path: Path) -> FileRecord:
    return FileRecord(sha256_of(path), path.stat().st_size)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def list_files(folder: Path) -> list[str]:
    """Paths in `folder` of all its files but the manifest, sorted, with ``/`` between names.

    Raises
    ------
    ManifestError
        If something is a link or a device, or a name would not survive another file system.
    """
    return sorted(file for file in _walk(folder, folder) if file != MANIFEST)


def _walk(folder: Path, top: Path) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ManifestError(
            f"{folder}: cannot be read ({error.strerror}); expected the folder of a database"
        ) from error
    for entry in entries:
        path = Path(entry.path)
        if not _is_plain_name(entry.name):
            raise ManifestError(
                f"{folder}: file name {entry.name!r} has characters that not every file system"
                " takes; rename the file"
            )
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            yield from _walk(path, top)
        elif stat.S_ISREG(mode):
            yield path.relative_to(top).as_posix()
        else:
            kind = "a link" if stat.S_ISLNK(mode) else "not a plain file"
            raise ManifestError(
                f"{path}: is {kind}; a database holds plain files only: put a copy in its place"
            )


def _is_plain_name(name: str) -> bool:
    return name.isprintable() and "\\" not in name and "/" not in name and name not in (".", "..")


# --- reading --------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.yaml`` of a folder; the files themselves are not looked at.

    Raises
    ------
    ManifestError
        If it is missing, not YAML, breaks the schema, or was edited after it was written.
    """
    path = folder / MANIFEST
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(
            f"{folder}: holds no {MANIFEST}; expected the folder of a database. `fermentome db"
            f" verify {shlex.quote(str(folder))}` says how to make one of it"
        ) from None
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot be read ({error.strerror}); ask its owner for the right to read it"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        words = " ".join(str(error).split())
        raise ManifestError(
            f"{path}: is not YAML ({words}); expected the manifest of a database"
        ) from error
    return _parse(content, path)


def _parse(content: Any, path: Path) -> Manifest:
    if not isinstance(content, dict):
        raise ManifestError(f"{path}: expected keys and values, found {content!r:.60}")
    _check_schema(content, path)
    expected = _identity(content, path)
    if content["id"] != expected:
        raise ManifestError(
            f"{path}: id is {content['id']}, that of its content is {expected}: it was edited or"
            " damaged after it was written"
        )
    fields = {key: value for key, value in content.items() if key not in ("sources", "files")}
    manifest = Manifest(
        **fields,
        sources=tuple(Source(**source) for source in content["sources"]),
        files={file: FileRecord(**record) for file, record in sorted(content["files"].items())},
    )
    _check_content(manifest, path)
    return manifest


def _check_schema(content: Mapping[str, Any], path: Path) -> None:
    import jsonschema
    import yaml

    validator = jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))
    errors = sorted(validator.iter_errors(content), key=lambda error: list(error.absolute_path))
    if errors:
        first = errors[0]
        place = ".".join(map(str, first.absolute_path)) or "the manifest"
        raise ManifestError(f"{path}: {place}: {first.message:.300}")


def _check_content(manifest: Manifest, path: Path) -> None:
    """Refuse what the schema cannot: wrong pairs, files outside the folder, missing files."""
    # The `$` of the schema's patterns lets a line end follow.
    for value in (manifest.name, manifest.version):
        if not value.isprintable():
            raise ManifestError(f"{path}: {value!r} is no name or version of a database")
    engines = ENGINES[manifest.kind]
    if manifest.engine not in engines:
        raise ManifestError(
            f"{path}: engine is {manifest.engine!r}, a database of kind {manifest.kind!r} has"
            f" {' or '.join(map(repr, engines))}"
        )
    for file in manifest.files:
        parts = PurePosixPath(file).parts
        if file == MANIFEST or "/".join(parts) != file or not all(map(_is_plain_name, parts)):
            raise ManifestError(f"{path}: files: {file!r} is not the path of a file in the folder")
    groups = engines[manifest.engine]
    empty = [file for group in groups for file in group if _is_empty(manifest, file)]
    if not any(set(group) <= manifest.files.keys() for group in groups) or empty:
        raise ManifestError(
            f"{path}: a database of kind {manifest.kind!r} for {manifest.engine} holds"
            f" {' or '.join(' and '.join(group) for group in groups)}, none empty; found"
            f" {', '.join(manifest.files)}"
        )


def _is_empty(manifest: Manifest, file: str) -> bool:
    return file in manifest.files and manifest.files[file].size == 0


def _identity(content: Mapping[str, Any], path: Path) -> str:
    rest = {key: value for key, value in content.items() if key != "id"}
    return hashlib.sha256(_canonical(rest, path)).hexdigest()


def _canonical(content: Mapping[str, Any], path: Path) -> bytes:
    try:
        return json.dumps(
            content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        ).encode()
    except (TypeError, ValueError) as error:
        raise ManifestError(
            f"{path}: {error}; expected text, finite numbers, true, false, null, lists and"
            " mappings with text as keys"
        ) from error


# --- checking -------------------------------------------------------------------------------------


def check_files(folder: Path, manifest: Manifest) -> list[Problem]:
    """Compare the files of a folder with its manifest; empty if all are as they were made.

    Every file is read. The command of each problem is the one for a database that a preset
    gives; who knows better where the database came from replaces it.
    """
    again = f"fermentome db fetch {manifest.reference}"
    problems = []
    for file, record in manifest.files.items():
        what = _difference(folder / file, record)
        if what:
            problems.append(Problem(folder / file, what, again))
    for path in _surplus(folder, folder, manifest):
        problems.append(Problem(path, "is not in the manifest", f"rm -r {shlex.quote(str(path))}"))
    return problems


def _difference(path: Path, record: FileRecord) -> str:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return "is not a plain file"
        if status.st_size != record.size:
            return f"has {status.st_size} bytes, the manifest says {record.size}"
        found = sha256_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if found != record.sha256:
        return f"sha256 is {found}, the manifest says {record.sha256}"
    return ""


def _surplus(folder: Path, top: Path, manifest: Manifest) -> Iterator[Path]:
    known = {MANIFEST, *manifest.files}
    try:
        paths = sorted(folder.iterdir())
    except OSError:  # the files in it are said to be missing, or not to be readable
        return
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            yield from _surplus(path, top, manifest)
        elif path.relative_to(top).as_posix() not in known:
            yield path
