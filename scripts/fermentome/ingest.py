"""Ingest: one pass over the read files of a run before anything else touches them.

Each file is opened once and read once, in constant memory. Its bytes as stored are hashed and
counted on their way to the gzip reader, the FASTQ parser and the checks. A damaged or wrong file is
a result with a reason, not an exception: its sample stops and the others go on. Tools further down
the road are lenient (fastp can end quietly at a broken record), so this is where damage is seen.

A reason names the file and the record where it breaks. It never quotes a read or its name: the
reads of people do not belong in reports.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import itertools
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

import numpy as np
from dnaio import FastqFormatError, SequenceRecord
from dnaio.readers import FastqReader
from xopen import xopen

from fermentome.errors import ReadsError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["IngestReport", "ReadFile", "Status", "ingest_run", "write_ingest_report"]

logger = logging.getLogger(__name__)

Status = Literal["ok", "empty", "failed"]

#: Longest line, in characters, that is still a read of a short-read sequencer. It bounds memory: a
#: damaged file can hold a "line" of its whole length.
LONGEST_LINE = 100_000

_CHUNK = 128 * 1024
_BATCH = 1024
_GZIP_MAGIC = b"\x1f\x8b"
#: IUPAC codes of DNA, in upper case only: fastp trims reads in lower case otherwise. Of one file it
#: kept 6,762 reads as they were and 7,452 in lower case.
_LETTERS = b"ACGTNRYSWKMBDHV"
#: Qualities are printable characters; 33 is Q0 of Sanger and Illumina 1.8+.
_LOWEST_QUALITY, _HIGHEST_QUALITY = 33, 126
#: Solexa's lowest quality, -5 with offset 64: nothing lower occurs in phred64 (Cock 2010,
#: 10.1093/nar/gkp1137).
_LOWEST_PHRED64 = 59
#: Q50 with offset 33, above the best that short-read sequencers report. A file with nothing below
#: `_LOWEST_PHRED64` and something above this is phred64; trimmed phred33 reads stay below.
_HIGHEST_PHRED33 = 83

#: How foreign files begin, after unpacking.
_FOREIGN = (
    (b">", "FASTA", "give the FASTQ files: qualities are needed for trimming"),
    (_GZIP_MAGIC, "packed with gzip twice", "unpack it once"),
    (b"BZh", "packed with bzip2", "pack it with gzip instead"),
    (b"\xfd7zXZ\x00", "packed with xz", "pack it with gzip instead"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "pack it with gzip instead"),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"BAM\x01", "BAM", "turn it into FASTQ with `samtools fastq`"),
    (b"CRAM", "CRAM", "turn it into FASTQ with `samtools fastq`"),
    (b"NCBI.sra", "an SRA archive", "unpack it with `fasterq-dump --split-files`"),
    (b"<", "a web page or XML", "the download failed: fetch the file again"),
    (b"\xef\xbb\xbf", "text with a byte order mark", "save it without the mark"),
    (b"\xff\xfe", "UTF-16 text", "save it as plain ASCII text"),
)
_ANEW = "copy or download the file again and compare its checksum with the source's"

_ILLUMINA_COMMENT = re.compile(r"([12]):[YN]:\d")


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A read file as stored: base name, SHA-256, size in bytes, and whether it is gzip."""

    path_name: str
    sha256: str
    bytes: int
    gzip: bool


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one pass over the files of a run found.

    `reads` counts mates singly; `length_histogram` is the number of reads by length. In a failed
    run these cover what was checked before the break: how far it went, not a result.
    `quality_encoding` is `None` where no read or no decision was reached.
    """

    sample: str
    run: str
    layout: Literal["paired", "single"]
    status: Status
    reason: str
    files: tuple[ReadFile, ...]
    reads: int
    bases: int
    length_histogram: dict[int, int]
    quality_encoding: Literal["phred33", "phred64"] | None

    @property
    def length(self) -> dict[str, float | int | None]:
        """Shortest, mean (two decimals) and longest read; `None` without reads."""
        if not self.reads:
            return {"min": None, "mean": None, "max": None}
        return {
            "min": min(self.length_histogram),
            "mean": round(self.bases / self.reads, 2),
            "max": max(self.length_histogram),
        }

    def to_json(self) -> str:
        """Give the report as JSON, with its keys in a fixed order and lengths ascending."""
        return (
            json.dumps(
                {
                    "sample": self.sample,
                    "run": self.run,
                    "layout": self.layout,
                    "status": self.status,
                    "reason": self.reason,
                    "files": [
                        {
                            "path_name": file.path_name,
                            "sha256": file.sha256,
                            "bytes": file.bytes,
                            "gzip": file.gzip,
                        }
                        for file in self.files
                    ],
                    "reads": self.reads,
                    "bases": self.bases,
                    "length": self.length,
                    "length_histogram": {
                        str(length): self.length_histogram[length]
                        for length in sorted(self.length_histogram)
                    },
                    "quality_encoding": self.quality_encoding,
                },
                indent=2,
                ensure_ascii=False,
            )
            + "\n"
        )


def write_ingest_report(
    report: IngestReport,
    report_path: str | os.PathLike[str],
    status_path: str | os.PathLike[str],
) -> None:
    """Write `report` as JSON, and its status as one word with a line end."""
    with open(report_path, "w", encoding="utf-8") as handle:
        handle.write(report.to_json())
    with open(status_path, "w", encoding="utf-8") as handle:
        handle.write(f"{report.status}\n")


def ingest_run(sample: str, run: str, reads: Sequence[str | os.PathLike[str]]) -> IngestReport:
    """Read the one or two files of a run and report what they hold.

    Parameters
    ----------
    sample, run
        Names for the report.
    reads
        One file (single end) or two (first and second mates, in step).

    Returns
    -------
    IngestReport
        With status `ok`; `empty` where the files hold no record; or `failed` with the reason.

    Raises
    ------
    ReadsError
        If a file is missing or the system does not let it be read: no fault of its content.
    ValueError
        If `reads` has neither one nor two files.
    """
    if len(reads) not in (1, 2):
        raise ValueError(f"a run has one or two read files, got {len(reads)}")
    tally = _Tally()
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(closing(_Stream(os.fspath(path)))) for path in reads]
        try:
            reason = _read_through(streams, tally)
            files = tuple(stream.finish() for stream in streams)
        except OSError as error:
            names = " and ".join(stream.name for stream in streams)
            raise ReadsError(
                f"{names}: reading broke off ({error}). Hint: the disk or network failed, not the"
                f" content; run again."
            ) from error
    if not reason and len(files) == 2 and tally.reads and files[0].sha256 == files[1].sha256:
        reason = (
            f"{files[1].path_name} has the same content as {files[0].path_name}. Hint: reads2 holds"
            f" the second mates; leave it empty for single-end reads."
        )
    report = IngestReport(
        sample=sample,
        run=run,
        layout="paired" if len(reads) == 2 else "single",
        status="failed" if reason else "ok" if tally.reads else "empty",
        reason=reason,
        files=files,
        reads=tally.reads,
        bases=tally.bases,
        length_histogram=dict(tally.lengths),
        quality_encoding=tally.encoding,
    )
    logger.info("%s run %s: %s, %d reads. %s", sample, run, report.status, report.reads, reason)
    return report


def _read_through(streams: Sequence[_Stream], tally: _Tally) -> str:
    """Read all records into `tally`; give the reason why that was not possible, else nothing."""
    try:
        for batches in _batches_in_step(streams):
            for stream, batch in zip(streams, batches, strict=True):
                tally.add(stream, batch)
        tally.check_encoding(" and ".join(stream.name for stream in streams))
    except _BrokenReadsError as broken:
        return str(broken)
    return ""


class _BrokenReadsError(Exception):
    """What is wrong with the content of a file; it becomes the reason of a failed run."""

    def __init__(self, name: str, place: str, problem: str, hint: str) -> None:
        super().__init__(f"{name}{place and ', ' + place}: {problem}. Hint: {hint}.")


@dataclass(slots=True)
class _Tally:
    """Sums over the batches of a run."""

    reads: int = 0
    bases: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    lowest: int = 255
    highest: int = 0
    encoding: Literal["phred33", "phred64"] | None = None

    def add(self, stream: _Stream, batch: Sequence[SequenceRecord]) -> None:
        """Check the letters and qualities of a batch, then count it."""
        _check_letters(stream, batch)
        qualities = np.frombuffer(
            "".join([cast(str, record.qualities) for record in batch]).encode("ascii"), np.uint8
        )
        if qualities.size:
            lowest, highest = int(qualities.min()), int(qualities.max())
            if lowest < _LOWEST_QUALITY or highest > _HIGHEST_QUALITY:
                raise _quality_problem(stream, batch)
            self.lowest = min(self.lowest, lowest)
            self.highest = max(self.highest, highest)
        lengths = list(map(len, batch))
        self.lengths.update(lengths)
        self.reads += len(lengths)
        self.bases += sum(lengths)
        stream.records += len(lengths)

    def check_encoding(self, name: str) -> None:
        """Tell phred64 by all qualities of the run together."""
        if not self.bases:
            return
        if self.lowest >= _LOWEST_PHRED64 and self.highest > _HIGHEST_PHRED33:
            self.encoding = "phred64"
            raise _BrokenReadsError(
                name,
                "",
                f"qualities run from {chr(self.lowest)!r} to {chr(self.highest)!r}, as in phred64"
                f" (Illumina 1.3 to 1.7); expected phred33",
                "convert the files, for example with `fastp --phred64` or `seqtk seq -Q64 -V`",
            )
        self.encoding = "phred33"


def _check_letters(stream: _Stream, batch: Sequence[SequenceRecord]) -> None:
    joined = "".join([record.sequence for record in batch]).encode("ascii")
    if not joined.translate(None, _LETTERS):
        return
    for number, record in enumerate(batch, start=stream.records + 1):
        foreign = record.sequence.encode("ascii").translate(None, _LETTERS)
        if foreign and foreign[:1].upper() in _LETTERS:
            raise _BrokenReadsError(
                stream.name,
                _place(number, 2),
                f"the sequence holds {chr(foreign[0])!r}, a base in lower case; expected upper"
                " case",
                "write the bases in upper case, for example with `seqtk seq -U`: fastp trims them"
                " otherwise in lower case",
            )
        if foreign:
            raise _BrokenReadsError(
                stream.name,
                _place(number, 2),
                f"the sequence holds {chr(foreign[0])!r}; expected letters of DNA (A C G T N and"
                f" the IUPAC codes)",
                "the file is damaged or does not hold DNA reads",
            )


def _quality_problem(stream: _Stream, batch: Sequence[SequenceRecord]) -> _BrokenReadsError:
    allowed = bytes(range(_LOWEST_QUALITY, _HIGHEST_QUALITY + 1))
    number, foreign = next(
        (number, rest[0])
        for number, record in enumerate(batch, start=stream.records + 1)
        if (rest := cast(str, record.qualities).encode("ascii").translate(None, allowed))
    )
    return _BrokenReadsError(
        stream.name,
        _place(number, 4),
        f"a quality is the character number {foreign}; expected {_LOWEST_QUALITY} ('!') to"
        f" {_HIGHEST_QUALITY} ('~')",
        _ANEW,
    )


def _place(record: int, line_of_record: int = 1) -> str:
    return f"record {record} (line {4 * (record - 1) + line_of_record})"


# Pairs ---------------------------------------------------------------------------------------


def _batches_in_step(
    streams: Sequence[_Stream],
) -> Iterator[tuple[list[SequenceRecord], ...]]:
    """Read batches of the same records from each stream, with the mates' names compared."""
    first = True
    separator = ""
    only_second_mates = len(streams) == 1
    while True:
        batches = tuple(stream.batch() for stream in streams)
        if not any(batches):
            if only_second_mates and not first:
                raise _second_mates_problem(streams[0])
            return
        only_second_mates = only_second_mates and all(map(_is_second_mate, batches[0]))
        if first and len(batches) == 1:
            _refuse_interleaved(streams[0], batches[0])
        elif first and all(batches):
            separator = _mate_separator(streams, batches[0], batches[1])
        if len(batches) == 2:
            _check_mates(streams, batches[0], batches[1], separator)
        first = False
        yield batches


def _mate_separator(
    streams: Sequence[_Stream], first: Sequence[SequenceRecord], second: Sequence[SequenceRecord]
) -> str:
    """Find what stands before the mate's number in the first pair; empty if the names are equal.

    Refuses files that are swapped, or that both hold the same mates.
    """
    names = f"{streams[0].name} and {streams[1].name}"
    mates = _mate_number(first[0]), _mate_number(second[0])
    if mates == (2, 1):
        hint = "swap reads1 and reads2 in the sample sheet"
        problem = "the first holds the second mates and the second the first"
        raise _BrokenReadsError(names, "record 1", problem, hint)
    if mates[0] is not None and mates[0] == mates[1]:
        problem = f"both hold mates number {mates[0]}"
        hint = "name the file of the other mates in the sample sheet"
        raise _BrokenReadsError(names, "record 1", problem, hint)
    # `run.1` and `run.2` can be the first two reads of an archive's file as well as two mates: the
    # second names of both files tell.
    for separator in "/._":
        if all(record.id.endswith(f"{separator}1") for record in first[:2]) and all(
            record.id.endswith(f"{separator}2") for record in second[:2]
        ):
            return separator
    return ""


def _mate_number(record: SequenceRecord) -> int | None:
    """1 or 2 if the name says which mate this is: `/1` at its end, or Illumina's `1:N:0:…`."""
    if record.id.endswith(("/1", "/2")):
        return int(record.id[-1])
    comment = _ILLUMINA_COMMENT.match(record.comment or "")
    return int(comment[1]) if comment else None


def _is_second_mate(record: SequenceRecord) -> bool:
    # Archives put the sequencer's name, with its `/2`, behind their own.
    return _mate_number(record) == 2 or (record.comment or "").endswith("/2")


def _second_mates_problem(stream: _Stream) -> _BrokenReadsError:
    """Say that a single-end file holds second mates.

    As a row beside that of the first mates, every fragment would count twice.
    """
    return _BrokenReadsError(
        stream.name,
        "",
        "every read is the second mate of a pair by its name; expected single-end reads, since"
        " the sheet gives no reads2",
        "put the file into reads2 of the row with the first mates: as a row of its own it would"
        " count every fragment twice",
    )


def _check_mates(
    streams: Sequence[_Stream],
    first: Sequence[SequenceRecord],
    second: Sequence[SequenceRecord],
    separator: str,
) -> None:
    """Compare the names of two batches record by record, and their number of records.

    The way in which the first pair is named holds for all, so that files out of step cannot pass
    by names that look like mates by chance.
    """
    ids1 = [record.id for record in first]
    ids2 = [record.id for record in second]
    if ids1 != ids2 or separator:
        suffixes = (f"{separator}1", f"{separator}2") if separator else ("", "")
        for number, (id1, id2) in enumerate(zip(ids1, ids2), start=streams[0].records + 1):  # noqa: B905 - the shorter one decides
            stems = id1.removesuffix(suffixes[0]), id2.removesuffix(suffixes[1])
            numbered = id1.endswith(suffixes[0]) and id2.endswith(suffixes[1])
            if stems[0] != stems[1] or not numbered:
                raise _BrokenReadsError(
                    f"{streams[0].name} and {streams[1].name}",
                    _place(number),
                    "the names are not those of two mates; expected the same reads in the same"
                    " order in both files",
                    "the files belong to different runs, were filtered one by one, or one of them"
                    " is damaged; see the names with `zcat FILE | sed -n"
                    f" {4 * (number - 1) + 1}p`",
                )
    if len(first) != len(second):
        short, long = (0, 1) if len(first) < len(second) else (1, 0)
        last = streams[short].records + min(len(first), len(second))
        raise _BrokenReadsError(
            streams[short].name,
            f"after record {last}",
            f"the file ends here and {streams[long].name} goes on; expected as many records in"
            f" both",
            _ANEW,
        )


def _refuse_interleaved(stream: _Stream, batch: Sequence[SequenceRecord]) -> None:
    if len(batch) < 2:
        return
    mates = [_mate_number(record) for record in batch[:2]]
    stems = {
        record.id[:-2] if record.id[-2:] in ("/1", "/2") else record.id for record in batch[:2]
    }
    if mates == [1, 2] and len(stems) == 1:
        raise _BrokenReadsError(
            stream.name,
            _place(2),
            "records 1 and 2 are the mates of one pair; expected single-end reads, since the sheet"
            " gives no reads2",
            "the file is interleaved: split it, for example with `seqtk seq -1` and `seqtk seq -2`",
        )


# Files ---------------------------------------------------------------------------------------


class _HashedFile(io.RawIOBase):
    """The bytes of a file as stored, hashed and counted as they are read."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
        self._sha256 = hashlib.sha256()
        self.bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        n_bytes = self._file.readinto(buffer)
        self._sha256.update(memoryview(buffer)[:n_bytes])
        self.bytes += n_bytes
        return n_bytes

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def close(self) -> None:
        self._file.close()
        super().close()


class _Stream:
    """A read file: its records in batches, and in the end its facts."""

    def __init__(self, path: str) -> None:
        self.name = os.path.basename(path)
        #: Records of the batches counted so far.
        self.records = 0
        self.gzip = False
        self._named_gzip = path.endswith(".gz")
        self._text: _Text | None = None
        self._reader: FastqReader | None = None
        try:
            self._hashed = _HashedFile(path)
        except OSError as error:
            raise ReadsError(
                f"{path}: cannot be opened ({error.strerror}); expected a FASTQ file. Hint: it was"
                f" there when the sample sheet was checked; see whether it was moved."
            ) from error
        self._stored = io.BufferedReader(self._hashed, _CHUNK)

    def batch(self) -> list[SequenceRecord]:
        """Read the next records, none at the end of the file."""
        if self._text is None:
            self._text = self._unpack()
        try:
            if self._reader is None:
                self._reader = FastqReader(cast(BinaryIO, self._text), buffer_size=_CHUNK)
            return list(itertools.islice(self._reader, _BATCH))
        except FastqFormatError as error:
            # A damaged gzip block can unpack into nonsense before its checksum is reached: the
            # first cause is the one to tell.
            try:
                self._text.drain()
            except _GzipError as damage:
                raise self._gzip_problem(damage) from damage
            raise self._format_problem(error) from error
        except _GzipError as damage:
            raise self._gzip_problem(damage) from damage

    def _unpack(self) -> _Text:
        start = self._stored.peek(len(_GZIP_MAGIC))
        self.gzip = start.startswith(_GZIP_MAGIC)
        if start and self.gzip != self._named_gzip:
            problem, hint = (
                ("is gzip, but its name does not say so", "rename it to end with .gz")
                if self.gzip
                else ("is not gzip, but its name says so", "rename it without .gz, or pack it")
            )
            raise _BrokenReadsError(self.name, "", f"the file {problem}", hint)
        if not self.gzip:
            return _Text(self.name, cast(io.BufferedReader, self._stored))
        unpacked = xopen(self._stored, "rb", threads=0, format="gz")
        return _Text(self.name, cast(io.BufferedReader, unpacked))

    def _gzip_problem(self, damage: _GzipError) -> _BrokenReadsError:
        place = f"after record {self._records_read}" if damage.inside else ""
        return _BrokenReadsError(self.name, place, damage.problem, _ANEW)

    @property
    def _records_read(self) -> int:
        return self._reader.number_of_records if self._reader else 0

    def _format_problem(self, error: FastqFormatError) -> _BrokenReadsError:
        record = self._records_read + 1
        line = 4 * (record - 1) + 1 if error.line is None else error.line + 1
        message = error.message
        hint = _ANEW
        found = re.search(r"'(@|\+)', but found '(.+)'$", message)
        if message.startswith("Premature end"):
            if re.search(r"was: '(?:\\r|\\n)*'$", message):
                problem, hint = "blank lines follow the last record", "delete them"
            else:
                problem = "the file ends in the middle of this record"
        elif found and found[2] in (r"\n", r"\r"):
            problem = f"a blank line stands where {found[1]!r} was expected"
            hint = "delete blank lines"
        elif found:
            problem = f"the line starts with {found[2][:2]!r} where {found[1]!r} was expected"
        elif message.startswith("Length of sequence"):
            problem = "sequence and qualities differ in length; expected one quality per base"
        elif message.startswith("Sequence descriptions"):
            problem = "the name after '+' differs from the record's; expected none or the same"
        else:
            problem = "this is not a FASTQ record"
        return _BrokenReadsError(self.name, f"record {record} (line {line})", problem, hint)

    def finish(self) -> ReadFile:
        """Read what is left, so that the hash is that of the whole file, and give the facts."""
        buffer = bytearray(_CHUNK)
        while self._hashed.readinto(buffer):
            pass
        return ReadFile(self.name, self._hashed.sha256, self._hashed.bytes, self.gzip)

    def close(self) -> None:
        """Close the file."""
        if self._text is not None:
            self._text.close()
        self._stored.close()


class _GzipError(Exception):
    """Damage of gzip data: `inside` them, or behind."""

    def __init__(self, problem: str, *, inside: bool = True) -> None:
        super().__init__(problem)
        self.problem = problem
        self.inside = inside


class _Text:
    """The unpacked text of a file, checked as it flows to the parser.

    Has the one method that the parser calls. Refuses what the parser would not place (characters
    beyond ASCII) or not survive (a line as long as the file).
    """

    def __init__(self, name: str, unpacked: io.BufferedReader) -> None:
        self._name = name
        self._unpacked = unpacked
        self._started = False
        self._lines = 0
        self._line_length = 0

    def read(self, size: int) -> bytes:
        chunk = self._unpack(size)
        if chunk and not self._started:
            self._started = True
            self._refuse_foreign(chunk)
        self._refuse_beyond_ascii(chunk)
        self._measure_lines(chunk)
        return chunk

    def _unpack(self, size: int) -> bytes:
        try:
            return self._unpacked.read1(size)
        except EOFError as error:
            raise _GzipError("the gzip data end too early: the file is truncated") from error
        except gzip.BadGzipFile as error:
            if str(error).startswith("Not a gzipped file"):
                problem = "the gzip data are followed by bytes that are not gzip"
                raise _GzipError(problem, inside=False) from error
            problem = "the gzip checksum does not fit the data: the file is damaged"
            raise _GzipError(problem) from error
        except (OSError, MemoryError):
            raise
        except Exception as error:
            # zlib.error and its likes in isal and zlib-ng have no base class in common.
            raise _GzipError("the gzip data are damaged") from error

    def drain(self) -> None:
        """Unpack the rest, to see whether the gzip data are sound."""
        while self._unpack(_CHUNK):
            pass

    def _refuse_foreign(self, chunk: bytes) -> None:
        if chunk.startswith(b"@"):
            return
        for magic, kind, hint in _FOREIGN:
            if chunk.startswith(magic):
                problem = f"the file is {kind}; expected FASTQ"
                raise _BrokenReadsError(self._name, "record 1 (line 1)", problem, hint)
        start = "is blank" if chunk[:1] in b"\r\n" else f"starts with {ascii(chr(chunk[0]))}"
        problem = f"the line {start} where '@' was expected"
        hint = "give FASTQ files, whole ones from the first record on"
        raise _BrokenReadsError(self._name, "record 1 (line 1)", problem, hint)

    def _refuse_beyond_ascii(self, chunk: bytes) -> None:
        if chunk.isascii():
            return
        position = next(i for i, byte in enumerate(chunk) if byte > 127)
        line = self._lines + chunk.count(b"\n", 0, position) + 1
        raise _BrokenReadsError(
            self._name,
            _place((line - 1) // 4 + 1, (line - 1) % 4 + 1),
            f"the byte {chunk[position]:#04x} is no character of FASTQ",
            _ANEW,
        )

    def _measure_lines(self, chunk: bytes) -> None:
        self._lines += chunk.count(b"\n")
        last = chunk.rfind(b"\n")
        self._line_length = len(chunk) - last - 1 + (self._line_length if last < 0 else 0)
        if self._line_length > LONGEST_LINE:
            raise _BrokenReadsError(
                self._name,
                _place(self._lines // 4 + 1, self._lines % 4 + 1),
                f"the line is longer than {LONGEST_LINE:,} characters; expected short reads",
                "give reads of a short-read sequencer, or fetch the file again if it is one",
            )

    def close(self) -> None:
        self._unpacked.close()
