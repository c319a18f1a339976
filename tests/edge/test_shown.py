"""The words of the overview: first whether something is wrong, then what that answer is worth."""

import dataclasses
import datetime as dt

import pytest

from opsagent.api.shown import LAG_SECONDS_MAX, is_open, overview, relative
from opsagent.model.alert import Severity
from opsagent.model.incident import IncidentState
from tests.fakes.incidents import PLAIN
from tests.fakes.plans import NOW

SEEN_WELL = {"objects": 3, "is_synced": True, "lag_seconds": 18.0, "last_error": ""}
WELL = {"is_leader": True, "unready": [], "sources": {"Pod": SEEN_WELL, "Node": SEEN_WELL}}
MILD = dataclasses.replace(PLAIN, severity=Severity.WARNING)


@pytest.mark.parametrize(
    ("incidents", "waiting", "sentence"),
    [
        ((), 0, "Nothing is wrong."),
        ((), 2, "Nothing is wrong. 2 plans wait for a decision."),
        ((MILD,), 0, "1 incident is open."),
        ((PLAIN,), 1, "1 incident is open, and it is critical. 1 plan waits for a decision."),
        ((MILD, MILD), 0, "2 incidents are open."),
        ((PLAIN, MILD), 0, "2 incidents are open, 1 of them critical."),
    ],
)
def test_the_first_sentence_says_whether_something_is_wrong(
    incidents: tuple[object, ...], waiting: int, sentence: str
) -> None:
    told = overview(WELL, incidents, waiting, ())
    assert told.sentence == sentence
    assert told.limits == ()


@pytest.mark.parametrize(
    ("change", "overdue", "limit"),
    [
        ({"is_leader": False}, (), "another replica leads: this one only stands by"),
        ({"unready": ["no first list yet"]}, (), "no first list yet"),
        ({}, ("watch Pod: silent for 190 s",), "watch Pod: silent for 190 s"),
        (
            {"restarts": {"fold": {"restarts": 3, "last_error": "OSError: x"}}},
            (),
            "fold was started anew 3 times; last: OSError: x",
        ),
        (
            {"sources": {"Pod": SEEN_WELL | {"last_error": "403"}}},
            (),
            "Pod: cannot be read: 403",
        ),
        (
            {"sources": {"Pod": SEEN_WELL | {"is_synced": False}}},
            (),
            "Pod: not listed whole yet",
        ),
        (
            {"sources": {"Pod": SEEN_WELL | {"lag_seconds": LAG_SECONDS_MAX + 1}}},
            (),
            "Pod: nothing was heard for too long",
        ),
        (
            {"sources": {"Pod": SEEN_WELL | {"lag_seconds": None}}},
            (),
            "Pod: nothing was heard for too long",
        ),
    ],
)  # fmt: skip
def test_a_limited_view_never_says_that_nothing_is_wrong(
    change: dict[str, object], overdue: tuple[str, ...], limit: str
) -> None:
    told = overview(WELL | change, (), 0, overdue)
    assert told.sentence == "No incident is open, but what I see is limited."
    assert told.limits == (limit,)


def test_how_fresh_the_view_is_follows_the_oldest_news() -> None:
    late = SEEN_WELL | {"lag_seconds": 59.9}
    told = overview(WELL | {"sources": {"Pod": SEEN_WELL, "Node": late}}, (), 0, ())
    assert (
        told.sight == "2 kinds of objects are watched; the last news of each is at most 59 s old."
    )
    assert [(each.kind, each.objects, each.heard) for each in told.sources] == [
        ("Pod", "3", "18 s ago"),
        ("Node", "3", "59 s ago"),
    ]


def test_before_anything_is_watched_that_is_said() -> None:
    told = overview({"is_leader": True, "sources": {"Pod": "0 s ago"}}, (), 0, ())
    assert told.sight == "Nothing is watched yet."
    assert told.sources[0].heard == "never"


def test_facts_are_plain_names_and_values() -> None:
    tree = {
        "cluster": "demo",
        "messages_to": "on call",
        "is_leader": True,
        "stored": {"rows": 44, "facts": 0},
        "other": [1],
    }
    assert overview(tree, (), 0, ()).facts == (
        ("cluster", "demo"),
        ("messages to", "on call"),
        ("is leader", "yes"),
        ("stored", "rows 44, facts 0"),
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "now"), (0.4, "now"), (-0.4, "now"), (41, "41 s ago"), (300, "5 min ago"), (-300, "in 5 min"), (3 * 86_400, "3 d ago")],
)  # fmt: skip
def test_times_are_relative(seconds: float, words: str) -> None:
    assert relative(NOW - dt.timedelta(seconds=seconds), NOW) == words


def test_an_incident_is_open_until_it_is_over() -> None:
    states = {state: is_open(dataclasses.replace(PLAIN, state=state)) for state in IncidentState}
    assert [state.value for state, is_still_open in states.items() if not is_still_open] == [
        "resolved",
        "closed",
    ]
