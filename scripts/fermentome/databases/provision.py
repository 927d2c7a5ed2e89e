"""What the workflow asks of the databases: fetch what is named, verify what is used."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from fermentome.databases.fetch import fetch
from fermentome.databases.registry import load_registry
from fermentome.databases.store import Store
from fermentome.databases.verify import remarks, verify_entry, verify_folder
from fermentome.errors import DatabaseError
from fermentome.tables import Cell, write_table

__all__ = ["fetch_databases", "verify_databases"]

logger = logging.getLogger(__name__)

FETCHED_COLUMNS = ("database", "version", "kind", "engine", "id", "size_bytes", "path")
VERIFIED_COLUMNS = ("key", "database", "result")
#: What each place of the configuration takes.
KIND_OF = {
    "host.reference": "host",
    "taxonomy.database": "taxonomy",
    "function.reference": "scfa_proteins",
}


def fetch_databases(
    slots: Sequence[Mapping[str, str]],
    store_root: str | os.PathLike[str],
    threads: int,
    table_path: str | os.PathLike[str],
) -> None:
    """Fetch the databases that the configuration names; those that are there are left alone.

    Parameters
    ----------
    slots
        `key`, `written` and `folder` of each `fermentome.databases.slots.Slot`; folders and files
        stay where they are.
    store_root
        Folder of the store.
    threads
        For databases that are built from what is fetched.
    table_path
        Table to write: where each database stands.

    Raises
    ------
    DatabaseError
        If a name is unknown or of another kind, which is found before anything is fetched, or if
        one cannot be fetched.
    """
    store = Store(store_root)
    registry = load_registry()
    named = [slot for slot in slots if slot["folder"] and slot["folder"] != slot["written"]]
    for slot in named:
        if slot["written"] not in store:
            _check_kind(slot, registry.find(slot["written"]).kind)
    rows: list[dict[str, Cell]] = []
    for slot in named:
        reference = slot["written"]
        # What is there is not read through: that is what verify_databases is for.
        if reference in store:
            logger.info("%s: is in the store %s", reference, store.root)
            entry = store.entry(reference)
        else:
            entry = fetch(reference, store, threads=threads, registry=registry)
        _check_kind(slot, entry.kind)
        rows.append(
            {
                "database": entry.name,
                "version": entry.version,
                "kind": entry.kind,
                "engine": entry.engine,
                "id": entry.id,
                "size_bytes": entry.size,
                "path": str(entry.path),
            }
        )
    write_table(table_path, FETCHED_COLUMNS, rows)


def _check_kind(slot: Mapping[str, str], kind: str) -> None:
    wanted = KIND_OF[slot["key"]]
    if kind != wanted:
        raise DatabaseError(
            f"{slot['key']}, {slot['written']}: is a database of kind {kind}, {wanted} is wanted"
            " there; `fermentome db list` shows the kinds"
        )


def verify_databases(
    slots: Sequence[Mapping[str, str]],
    store_root: str | os.PathLike[str],
    table_path: str | os.PathLike[str],
) -> None:
    """Hold the databases of a run against their manifests and their places.

    Parameters
    ----------
    slots
        `key`, `written` and `folder` of each `fermentome.databases.slots.Slot`.
    store_root
        Folder of the store.
    table_path
        Table to write, if nothing is wrong. What merely differs is logged.

    Raises
    ------
    DatabaseError
        With one line per problem: what is wrong, and the command that mends it.
    """
    store = Store(store_root)
    rows = []
    lines = []
    for slot in slots:
        result = "no manifest: a file or folder of your own"
        if slot["folder"]:
            folder, kind = Path(slot["folder"]), KIND_OF[slot["key"]]
            if slot["folder"] == slot["written"]:
                problems = verify_folder(folder, kind=kind)
            else:
                problems = verify_entry(store, slot["written"], kind=kind)
            for remark in remarks(folder):
                logger.warning("%s, %s", slot["key"], remark)
            lines += [f"{slot['key']}, {problem}" for problem in problems]
            result = "ok"
        rows.append({"key": slot["key"], "database": Path(slot["written"]).name, "result": result})
    if lines:
        raise DatabaseError("\n".join(lines))
    write_table(table_path, VERIFIED_COLUMNS, rows)
