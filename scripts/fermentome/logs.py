"""Send a script's messages and tracebacks to its rule's log file."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

__all__ = ["log_to"]

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def log_to(path: str | os.PathLike[str]) -> Iterator[None]:
    """Write log records, warnings, and the traceback of an exception to `path`.

    The file is written anew. An exception goes on to the caller after it was logged. Afterwards
    logging is as it was before.
    """
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    except BaseException as error:
        logger.exception("%s: %s", type(error).__name__, error)
        raise
    finally:
        logging.captureWarnings(False)
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
