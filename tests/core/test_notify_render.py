"""What a message looks like on the wire: plain, bounded, the same bytes for the same notification."""

import datetime as dt
import json

import pytest
from hypothesis import given, strategies as st

from opsagent.model.alert import Severity
from opsagent.model.notification import Notification, NotificationReason
from opsagent.notify.webhook import LINE_CHARACTERS_MAX, LINES_MAX, plain_text, render

T0 = dt.datetime(2026, 1, 5, 3, 4, 5, tzinfo=dt.UTC)


def note(title: str = "shop/cart crashes", lines: tuple[str, ...] = ("one",)) -> Notification:
    return Notification(
        "ntf_1", "inc_1", NotificationReason.WORSE, Severity.WARNING, title, lines, T0
    )


def test_the_body_says_what_a_person_needs() -> None:
    assert json.loads(render(note(), "https://opsagent.example/status")) == {
        "notification_id": "ntf_1",
        "incident_id": "inc_1",
        "reason": "worse",
        "severity": "warning",
        "title": "shop/cart crashes",
        "lines": ["one"],
        "at": "2026-01-05T03:04:05.000000Z",
        "status_url": "https://opsagent.example/status",
    }


def test_without_a_status_page_none_is_named() -> None:
    assert "status_url" not in json.loads(render(note()))


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain ünïcode ✓ 日本", "plain ünïcode ✓ 日本"),
        ("two\nlines\ttab\r", "two�lines�tab�"),
        ("\x1b[31mred\x07", "�[31mred�"),
        ("abc\u202ecba", "abc�cba"),
        ("zero\u200bwidth\ufeff", "zero�width�"),
        ("half \ud800", "half �"),
        ("", ""),
        ("x" * LINE_CHARACTERS_MAX, "x" * LINE_CHARACTERS_MAX),
        ("x" * (LINE_CHARACTERS_MAX + 1), "x" * (LINE_CHARACTERS_MAX - 1) + "…"),
    ],
)
def test_untrusted_text_cannot_steer_what_shows_it(text: str, seen: str) -> None:
    assert plain_text(text) == seen


def test_lines_left_out_are_counted() -> None:
    lines = json.loads(render(note(lines=("x",) * (LINES_MAX + 3))))["lines"]
    assert len(lines) == LINES_MAX + 1
    assert lines[-1] == "(3 more lines left out)"


@given(st.text(), st.lists(st.text(), max_size=30))
def test_any_text_renders_bounded_printable_and_the_same_twice(
    title: str, lines: list[str]
) -> None:
    body = render(note(title, tuple(lines)))
    assert body == render(note(title, tuple(lines)))
    shown = json.loads(body)
    for text in (shown["title"], *shown["lines"]):
        assert text.isprintable()
        assert len(text) <= LINE_CHARACTERS_MAX
