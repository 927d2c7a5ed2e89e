"""Progress of a download: a bar on a terminal, else a line in the log now and then."""

from __future__ import annotations

import logging
import time
from typing import Any, NoReturn, TextIO

from tqdm import tqdm

__all__ = ["Progress"]

logger = logging.getLogger(__name__)


class Progress:
    """Show how far a download is, how fast, and how long it will take.

    Parameters
    ----------
    stream
        Where a bar is drawn if it is a terminal, such as ``sys.stderr``. Otherwise, and without a
        stream, a line goes to the log every `every` seconds.
    every
        Seconds between two lines.
    """

    def __init__(self, stream: TextIO | None = None, every: float = 30.0) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._every = every
        self._bar: tqdm[NoReturn] | None = None
        self._name = ""
        self._total: int | None = None
        self._first = self._done = 0
        self._began = self._logged = 0.0

    def start(self, name: str, total: int | None, done: int) -> None:
        """Begin, or begin again: `done` of `total` bytes of the file `name` are here already."""
        self.stop()
        self._name, self._total = name, total
        self._first = self._done = done
        self._began = self._logged = time.monotonic()
        if self._stream is not None:
            self._bar = tqdm(
                desc=name, total=total, initial=done, file=self._stream, **self._units()
            )

    def advance(self, count: int) -> None:
        """Take note of `count` further bytes."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._logged >= self._every:
            self._logged = time.monotonic()
            logger.info("%s", self._line())

    def stop(self) -> None:
        """End: the file is complete, or the connection broke."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _line(self) -> str:
        return tqdm.format_meter(
            n=self._done,
            total=self._total,  # type: ignore[arg-type]  # None is allowed, says its documentation
            elapsed=time.monotonic() - self._began,
            prefix=self._name,
            initial=self._first,
            ncols=0,
            **self._units(),
        )

    @staticmethod
    def _units() -> dict[str, Any]:
        return {"unit": "B", "unit_scale": True}
