"""The places of the configuration that take a database, and what stands in them.

A place takes a path, the folder of a database, or a database of the store by its name. Names and
folders are turned into paths while Snakemake parses the workflow, so this needs the standard
library only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fermentome.databases.manifest import MANIFEST
from fermentome.databases.store import Store, is_reference
from fermentome.errors import ConfigError, DatabaseError, ManifestError
from fermentome.tables import write_table

__all__ = ["Slot", "place_databases", "warnings_of", "write_used"]

SYLPH, KRAKEN2 = "sylph", "kraken2"

USED_COLUMNS = ("key", "database", "version", "kind", "engine", "id", "memory_mb")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of the configuration with what it held.

    Attributes
    ----------
    key
        As ``host.reference``.
    written
        What the user wrote.
    folder
        Folder of the database; empty for a file that belongs to none.
    pending
        Whether it is a name that the store does not hold.
    """

    key: str
    written: str
    folder: str
    pending: bool = False


def place_databases(config: MutableMapping[str, Any], store: Store) -> list[Slot]:
    """Replace folders and names of databases by the paths that the rules use.

    Parameters
    ----------
    config
        The configuration with its defaults, changed in place: ``host.reference`` becomes a file,
        ``taxonomy.database`` a file (sylph) or a folder (Kraken2), with the lineages and
        phenotypes of the folder where the user gives no others, and ``function.reference`` a
        folder.
    store
        Where names are looked up.

    Returns
    -------
    list of Slot
        The places that hold something. A pending one has the path that its database would have.

    Raises
    ------
    ConfigError
        If a name is of several databases, or a folder holds no database of the kind wanted.
    """
    slots = []
    for section, key in (
        ("host", "reference"),
        ("taxonomy", "database"),
        ("function", "reference"),
    ):
        written = config[section][key]
        if written is None:
            continue
        slot = _find(f"{section}.{key}", written, store)
        slots.append(slot)
        if slot.folder and section == "host":
            config[section][key] = _host_file(slot)
        elif slot.folder and section == "taxonomy":
            _place_taxonomy(config[section], slot)
        elif slot.folder:
            config[section][key] = slot.folder
    return slots


def _find(key: str, written: str, store: Store) -> Slot:
    # As `fermentome db`: a name of the store goes before a folder that is called like it.
    if not (is_reference(written) and written in store):
        if os.path.isdir(written):
            return Slot(key, written, written)
        if os.path.exists(written) or not is_reference(written):
            return Slot(key, written, "")
        return Slot(key, written, str(store.folder_of(written)), pending=True)
    try:
        return Slot(key, written, str(store.path_of(written)))
    except DatabaseError as error:
        raise ConfigError(f"configuration, {key}: {error}") from error


def _host_file(slot: Slot) -> str:
    """The index of a host database, else its sequences."""
    names = ("host.mmi", "host.fa.gz")
    return _first_file(slot, names, "host")


def _place_taxonomy(taxonomy: MutableMapping[str, Any], slot: Slot) -> None:
    if taxonomy["classifier"] == KRAKEN2:
        _first_file(slot, ("hash.k2d",), "Kraken2")
        taxonomy["database"] = slot.folder
    else:
        taxonomy["database"] = _first_file(slot, ("taxonomy.syldb",), "sylph")
    for key in ("lineages", "phenotypes"):
        path = os.path.join(slot.folder, f"{key}.tsv")
        comes = slot.pending and key == "lineages" and taxonomy["classifier"] == SYLPH
        if taxonomy[key] is None and (comes or os.path.isfile(path)):
            taxonomy[key] = path


def _first_file(slot: Slot, names: Sequence[str], kind: str) -> str:
    paths = [os.path.join(slot.folder, name) for name in names]
    for path in paths:
        if os.path.isfile(path):
            return path
    if slot.pending:
        return paths[0]
    raise ConfigError(
        f"configuration, {slot.key}, {slot.written!r}: the folder holds no {' or '.join(names)};"
        f" expected a {kind} database. Hint: {_what_it_is(slot)}"
    )


def _what_it_is(slot: Slot) -> str:
    """Say what a folder holds instead, if it says so itself."""
    from fermentome.databases.manifest import read_manifest

    try:
        manifest = read_manifest(Path(slot.folder))
    except ManifestError:
        return "docs/databases.md says what such a folder holds."
    return f"{manifest.reference} is a database of kind {manifest.kind} for {manifest.engine}."


def warnings_of(slots: Sequence[Slot], store: Store) -> list[str]:
    """What to say of each slot whose database is still to be fetched."""
    return [
        f"{slot.key}: {slot.written} is not in the store {store.root}."
        " `snakemake --cores 1 fetch_databases` fetches it; before, nothing that needs it runs."
        for slot in slots
        if slot.pending
    ]


def write_used(slots: Sequence[Mapping[str, str]], table_path: str | os.PathLike[str]) -> None:
    """Write which databases a run uses.

    Parameters
    ----------
    slots
        `key`, `written` and `folder` of each `Slot`.
    table_path
        Table to write. A file that belongs to no database folder has its name only.

    Raises
    ------
    ManifestError
        If a folder has a manifest that cannot be read.
    """
    from fermentome.databases.manifest import read_manifest

    rows = []
    for slot in slots:
        row: dict[str, Any] = dict.fromkeys(USED_COLUMNS)
        row |= {"key": slot["key"], "database": Path(slot["written"]).name}
        folder = Path(slot["folder"]) if slot["folder"] else None
        if folder and (folder / MANIFEST).is_file():
            manifest = read_manifest(folder)
            row |= {
                "database": manifest.name,
                "version": manifest.version,
                "kind": manifest.kind,
                "engine": manifest.engine,
                "id": manifest.id,
                "memory_mb": manifest.memory_mb,
            }
        rows.append(row)
    write_table(table_path, USED_COLUMNS, rows)
