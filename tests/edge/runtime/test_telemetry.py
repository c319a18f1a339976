"""Log lines: constant event, keys sorted, stamped by the clock, redacted last, whoever logs."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from opsagent.runtime.telemetry import configure
from tests.fakes.virtual_time import EPOCH


class StoppedClock:
    def now(self):
        return EPOCH

    def monotonic(self) -> float:
        return 0.0


def hide(text: str) -> str:
    return text.replace("sesame", "[redacted]")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def set_up(*, is_json: bool = True, level: int = logging.INFO) -> io.StringIO:
    stream = io.StringIO()
    configure(StoppedClock(), hide, is_json=is_json, level=level, stream=stream)
    return stream


def only_line(stream: io.StringIO) -> dict[str, object]:
    (line,) = stream.getvalue().splitlines()
    content: dict[str, object] = json.loads(line)
    return content


def test_a_line_is_json_with_the_clocks_stamp():
    stream = set_up()
    structlog.get_logger("opsagent.test").info("incident.opened", pods=3, names=("a", "b"))
    assert only_line(stream) == {
        "event": "incident.opened",
        "level": "info",
        "logger": "opsagent.test",
        "names": ["a", "b"],
        "pods": 3,
        "timestamp": "2026-01-05T00:00:00.000000Z",
    }


def test_every_text_is_redacted_however_deep_and_in_whatever_type():
    stream = set_up()

    class Thing:
        def __str__(self) -> str:
            return "a sesame thing"

    structlog.get_logger("t").warning(
        "seen", list=["sesame"], map={"sesame": {"x": ("sesame",)}}, thing=Thing(), at=EPOCH
    )
    assert "sesame" not in stream.getvalue()
    line = only_line(stream)
    assert line["thing"] == "a [redacted] thing"
    assert line["at"] == "2026-01-05T00:00:00.000000Z"


def test_tracebacks_are_redacted_too():
    stream = set_up()
    try:
        int("open sesame")
    except ValueError as error:
        structlog.get_logger("t").error("task.failed", exc_info=error)
    assert "sesame" not in stream.getvalue()
    assert "open [redacted]" in str(only_line(stream)["exception"])


def test_what_libraries_log_takes_the_same_road():
    stream = set_up()
    logging.getLogger("some.library").warning("password is %s", "sesame")
    line = only_line(stream)
    assert line["event"] == "password is [redacted]"
    assert line["timestamp"] == "2026-01-05T00:00:00.000000Z"


def test_chatty_libraries_are_heard_from_warning_on():
    stream = set_up()
    logging.getLogger("apscheduler.scheduler").info("Added job")
    logging.getLogger("uvicorn.error").info("Started")
    assert stream.getvalue() == ""
    logging.getLogger("kubernetes.client").error("broken")
    assert only_line(stream)["event"] == "broken"


def test_what_is_below_the_level_is_not_written():
    stream = set_up(level=logging.WARNING)
    structlog.get_logger("t").info("quiet")
    assert stream.getvalue() == ""


def test_contextvars_are_on_every_line():
    stream = set_up()
    with structlog.contextvars.bound_contextvars(incident_id="inc_1"):
        structlog.get_logger("t").info("step")
    assert only_line(stream)["incident_id"] == "inc_1"


def test_an_endless_structure_is_cut_off():
    stream = set_up()
    endless: list[object] = []
    endless.append(endless)
    structlog.get_logger("t").info("deep", value=endless)
    assert "..." in str(only_line(stream)["value"])


def test_on_a_terminal_lines_are_plain_text():
    stream = set_up(is_json=False)
    structlog.get_logger("t").info("incident.opened", who="sesame")
    text = stream.getvalue()
    assert "incident.opened" in text
    assert "who=[redacted]" in text.replace("'", "")
