"""Text for a terminal: harmless whatever it says, on one line, and no longer than a person reads."""

import pytest
from hypothesis import given, strategies as st

from opsagent.model.canonical import plain
from opsagent.terminal import (
    LENGTH_MAX,
    TEXT_MAX,
    approval_lines,
    finding_lines,
    incident_line,
    incident_lines,
    safe,
    seconds,
    tree_lines,
)
from tests.fakes.incidents import PLAIN

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\n\u202egnp.exe\u2066\x9b31m\x00"
texts = st.text(max_size=2 * LENGTH_MAX)


@given(texts)
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    shown = safe(text)
    assert shown.isprintable()
    assert len(shown) <= LENGTH_MAX


def test_what_cannot_be_printed_leaves_a_mark() -> None:
    assert safe("a\x1b[31mb") == "a\N{REPLACEMENT CHARACTER}[31mb"


@pytest.mark.parametrize("length", [LENGTH_MAX - 1, LENGTH_MAX])
def test_what_fits_is_left_alone(length: int) -> None:
    assert safe("x" * length) == "x" * length


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    assert safe("abcdef", 4) == "abc\N{HORIZONTAL ELLIPSIS}"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "None"), (True, "True"), (3, "3"), (0.5, "0.5")]
)
def test_values_of_other_types_are_shown_as_they_are(value: object, text: str) -> None:
    assert safe(value) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("0s", 0)],
)
def test_a_duration_is_a_whole_number_and_a_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "10", "m", "1.5h", "-1s", "1w", "1s ", "\u0661s", "9" * 10 + "s", "1m30s"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="90s, 10m, 2h, 1d"):
        seconds(text)


def test_a_tree_is_indented() -> None:
    tree = {"cluster": "shop", "stored": {"rows": 3, "deeper": {"yes": True}}, "empty": {}}
    assert list(tree_lines(tree)) == [
        "cluster: shop",
        "stored:",
        "  rows: 3",
        "  deeper:",
        "    yes: True",
        "empty:",
    ]


@given(
    st.dictionaries(texts, st.one_of(texts, st.dictionaries(texts, texts, max_size=2)), max_size=3)
)
def test_neither_names_nor_values_of_a_tree_break_its_lines(tree: dict) -> None:  # fmt: skip
    assert all(line.isprintable() for line in tree_lines(tree))


def incident(**changes: object) -> dict:
    tree = plain(PLAIN)
    assert isinstance(tree, dict)
    return tree | changes


def test_an_incident_is_one_line_with_what_it_waits_for() -> None:
    assert incident_line(incident()).endswith("shop/cart is crash looping  (waits for approval)")
    assert incident_line(incident(waiting_for="")).endswith("shop/cart is crash looping")


def test_an_incident_whole_shows_causes_evidence_and_timeline() -> None:
    lines = list(incident_lines(incident()))
    assert lines[1:4] == [
        "  cause bad_rollout (95%): rolled out just before the first symptom",
        "    change raw:18: image v1 -> v2",
        "    log : fatal: no configuration",
    ]
    assert len([line for line in lines if line.startswith("  2026-01-05T12:00")]) == 9


@pytest.mark.parametrize("key", ["incident_id", "severity", "state", "title", "waiting_for"])
def test_a_hostile_incident_stays_one_line(key: str) -> None:
    assert incident_line(incident(**{key: HOSTILE})).isprintable()


def test_a_hostile_timeline_or_cause_stays_on_its_lines() -> None:
    evidence = {"kind": HOSTILE, "pointer": HOSTILE, "text": HOSTILE}
    diagnosis = {"cause": HOSTILE, "reason": HOSTILE, "confidence": 1, "evidence": [evidence]}
    entry = dict.fromkeys(("at", "actor", "kind", "text"), HOSTILE)
    lines = list(incident_lines(incident(diagnoses=[diagnosis], timeline=[entry])))
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


APPROVAL = {
    "diff": [{"path": "/spec/x", "old": "", "new": '"v1"'}, {"path": "/y", "old": "1", "new": ""}],
    **dict.fromkeys(
        ("target", "action", "action_class", "undo", "success", "expires_at", "reason", "incident_id", "plan_id"),
        HOSTILE,
    ),
}  # fmt: skip


def test_what_is_new_or_gone_is_said_to_be_absent_on_the_other_side() -> None:
    assert list(approval_lines(APPROVAL))[:6] == [
        "  /spec/x",
        "    - (absent)",
        '    + "v1"',
        "  /y",
        "    - 1",
        "    + (absent)",
    ]


def test_a_hostile_plan_shows_nothing_that_hides_a_line() -> None:
    lines = list(approval_lines(APPROVAL))
    assert all(line.isprintable() for line in lines)
    assert len(lines) == 6 + 9


def test_a_finding_says_what_was_found_and_what_to_do() -> None:
    finding = {"verdict": "fail", "check": "state", "text": "no space\nleft", "advice": "delete"}
    assert list(finding_lines(finding)) == [
        "fail  state: no space",
        "      left",
        "      -> delete",
    ]


def test_a_finding_without_advice_ends_there_and_may_be_long() -> None:
    finding = {"verdict": "ok", "check": "x", "text": "y" * 2 * TEXT_MAX, "advice": ""}
    (line,) = finding_lines(finding)
    assert len(line) == len("ok    x: ") + TEXT_MAX
