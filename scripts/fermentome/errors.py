"""The exceptions of the library.

Every message names the file, the row, record or id concerned, the value seen, what was expected,
and what to do. The library raises these and never prints or exits: the script or rule that calls
it decides what a failure means.
"""

from __future__ import annotations

__all__ = [
    "ArchiveError",
    "CatalogueError",
    "CohortError",
    "ConfigError",
    "DatabaseError",
    "DownloadError",
    "EvidenceError",
    "FermentomeError",
    "LineageError",
    "LiteratureError",
    "ManifestError",
    "ReadsError",
    "ReferenceFolderError",
    "RunFailedError",
    "SampleSheetError",
    "TableError",
]


class FermentomeError(Exception):
    """Anything the library can say about an input that it cannot use."""


class ConfigError(FermentomeError):
    """The configuration holds an unknown key or a value that is not allowed."""


class SampleSheetError(FermentomeError):
    """The sample sheet cannot be read, or one of its rows is wrong."""


class ReadsError(FermentomeError):
    """A FASTQ file is damaged, not FASTQ, or its mates are out of step."""


class ReferenceFolderError(FermentomeError):
    """A reference folder is incomplete, changed, or not of the declared kind."""


class DatabaseError(FermentomeError):
    """A reference database is missing, incomplete, changed, or not what it is used for."""


class ManifestError(DatabaseError):
    """The manifest of a database is missing, breaks its schema, or was edited."""


class DownloadError(DatabaseError):
    """A file could not be downloaded, or is not the one that was expected."""


class ArchiveError(DatabaseError):
    """An archive is damaged, or wants to write where it must not."""


class CatalogueError(FermentomeError):
    """The catalogue of families and pathways breaks its schema or contradicts itself."""


class EvidenceError(FermentomeError):
    """Hits, counts or scores do not fit the catalogue or each other."""


class CohortError(FermentomeError):
    """Tables, metadata or settings of a cohort do not fit each other."""


class TableError(FermentomeError):
    """A table lacks a column, or a value in it is not of the declared type."""


class LineageError(FermentomeError):
    """A lineage cannot be read, or a genome has none."""


class LiteratureError(FermentomeError):
    """A table of literature breaks its schema or its own rules."""


class RunFailedError(FermentomeError):
    """At least one sample failed, though everything else was made."""
