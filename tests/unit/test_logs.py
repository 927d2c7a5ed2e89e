"""The log file of a script."""

import logging
import warnings

import pytest

from fermentome.logs import log_to


def test_messages_of_the_library_go_to_the_file(tmp_path):
    with log_to(tmp_path / "log"):
        logging.getLogger("fermentome.x").info("%d reads", 3)
    assert "INFO 3 reads" in (tmp_path / "log").read_text()


def test_exception_is_logged_and_goes_on(tmp_path):
    with pytest.raises(ValueError, match="too short"), log_to(tmp_path / "log"):
        raise ValueError("too short")
    text = (tmp_path / "log").read_text()
    assert "ValueError: too short" in text
    assert "Traceback" in text


def test_interruption_is_logged_too(tmp_path):
    with pytest.raises(KeyboardInterrupt), log_to(tmp_path / "log"):
        raise KeyboardInterrupt
    assert "KeyboardInterrupt" in (tmp_path / "log").read_text()


def test_warnings_go_to_the_file(tmp_path):
    with warnings.catch_warnings(), log_to(tmp_path / "log"):
        warnings.simplefilter("always")
        warnings.warn("odd reads", UserWarning, stacklevel=1)
    assert "odd reads" in (tmp_path / "log").read_text()


def test_file_is_written_anew_and_in_utf8(tmp_path):
    (tmp_path / "log").write_text("of an earlier attempt")
    with log_to(tmp_path / "log"):
        logging.getLogger().info("Bjørn")
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert "Bjørn" in text
    assert "earlier" not in text


def test_logging_is_as_before_afterwards(tmp_path):
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with log_to(tmp_path / "log"):
        pass
    logging.getLogger().error("after")
    assert (root.level, list(root.handlers)) == before
    assert (tmp_path / "log").read_text() == ""
