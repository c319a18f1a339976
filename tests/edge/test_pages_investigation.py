"""What a model did, as people read it: in order, with times and tokens, and every text of others only quoted."""

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from itertools import cycle

import pytest

from opsagent.api.transcripts import (
    ROWS_MAX,
    SAID_MAX,
    TEXTS_MAX,
    investigation_tree,
    newest,
    rows,
    summary,
)
from opsagent.model.incident import EntryKind, TimelineEntry
from opsagent.model.transcript import (
    Answered,
    Asked,
    Called,
    Closed,
    Entry,
    Finish,
    Opened,
    Returned,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
)
from opsagent.terminal import LINES_MAX, investigation_lines
from tests.edge.test_pages_hostile import PAGE_BYTES_MAX, assert_harmless
from tests.fakes.browser import furnished, stranger, taken_apart, visitor, words
from tests.fakes.hostile import FLOODS, MARKUP, STEERING_CHARACTERS, TEXTS
from tests.fakes.incidents import PLAIN
from tests.fakes.plans import NOW, PROPOSAL

NAME = "inv_0123456789abcdef"
PAGE = "/incidents/inc_1/investigation"


def at(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


LOOK = Turn(
    "", "Let me look.", (ToolCall("logs", '{"pod": "cart-1"}'),), Finish.TOOL_CALLS, Usage(1200, 80)
)
TRANSCRIPT: tuple[Entry, ...] = (
    Opened(at(0), "kimi-k2.6", "You investigate.", "Why does shop/cart crash?"),
    Asked(at(0), 3000),
    Answered(at(4.2), LOOK),
    Called(at(4.2), 0),
    Returned(at(5), 0, ToolResult("fatal: no configuration")),
    Asked(at(5), 4000),
    Answered(at(9), dataclasses.replace(LOOK, calls=(ToolCall("propose_plan", "{}"),))),
    Called(at(9), 1),
    Returned(at(9.5), 1, ToolResult("accepted", proposal=PROPOSAL)),
    Closed(at(9.5), PROPOSAL, ""),
)


def view_of(entries: Sequence[Entry], **changes: object):
    return furnished(investigations={"inc_1": NAME}, transcripts={NAME: tuple(entries)}, **changes)


async def test_an_investigation_is_told_in_order_with_times_and_tokens() -> None:
    async with visitor(view_of(TRANSCRIPT)) as client:
        seen = words(await client.get(PAGE))
    parts = (
        "What the model did", "2 questions, 2 tool calls; 2400 tokens read, 160 written", "The incident",
        "12:00:00 The model kimi-k2.6 was given the case.", "instructions You investigate.", "question Why does shop/cart crash?",
        "Question 1, of at most 3000 tokens.", "12:00:04 Answer after 4.2 s; 1200 tokens read, 80 written.",
        "thinking Let me look.", "12:00:05 Call 0: a result after 0.8 s.",
        'tool logs {"pod": "cart-1"}', "result fatal: no configuration", "Call 1: an accepted proposal after 0.5 s.",
        "It ended with a proposal.", PROPOSAL.reason, NAME,
    )  # fmt: skip
    places = [seen.find(each) for each in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


@pytest.mark.parametrize("path", [PAGE, f"/investigations/{NAME}"])
async def test_it_is_shown_to_those_with_a_session_alone(path: str) -> None:
    async with stranger(view_of(TRANSCRIPT)) as client:
        answer = await client.get(path)
    assert answer.status_code == 403
    assert "kimi" not in answer.text
    async with visitor(view_of(TRANSCRIPT)) as client:
        assert (await client.get(path)).status_code == 200
        assert (await client.get(path, headers={"host": "evil.example"})).status_code == 421


@pytest.mark.parametrize(
    "path",
    ["/incidents/inc_none/investigation", "/incidents/inc_1/investigation", "/investigations/x"],
)
async def test_where_there_is_none_that_is_said(path: str) -> None:
    async with visitor(furnished()) as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert "There is no such investigation" in words(answer)


async def test_the_incident_leads_to_it_and_so_does_each_line_of_the_timeline() -> None:
    line = TimelineEntry(NOW, "opsagent", EntryKind.INVESTIGATED, "Proposed by the model.", NAME)
    incident = dataclasses.replace(PLAIN, timeline=(*PLAIN.timeline, line))
    async with visitor(view_of(TRANSCRIPT, shown=(incident,))) as client:
        with_one = taken_apart((await client.get("/incidents/inc_1")).text)
    async with visitor(furnished()) as client:
        without = taken_apart((await client.get("/incidents/inc_1")).text)
    links = {each["href"] for each in with_one.of("a")}
    assert {PAGE, f"/investigations/{NAME}"} <= links
    assert not any("investigation" in str(each["href"]) for each in without.of("a"))


def hostile(texts: Iterator[str], turns: int = 40, calls: int = 3) -> tuple[Entry, ...]:
    """Return a long transcript in which whoever may say anything says the next of ``texts``."""
    entries: list[Entry] = [Opened(at(0), next(texts), next(texts), next(texts))]
    number = 0
    for _ in range(turns):
        asked = tuple(ToolCall(next(texts), next(texts)) for _ in range(calls))
        entries += [
            Asked(at(1), 5),
            Answered(at(2), Turn(next(texts), next(texts), asked, Finish.TOOL_CALLS)),
        ]
        for _ in range(calls):
            result = ToolResult(next(texts), is_error=True)
            entries += [Called(at(3), number), Returned(at(4), number, result)]
            number += 1
    return (*entries, Closed(at(5), None, next(texts)))


@pytest.mark.parametrize("text", [*MARKUP, *FLOODS], ids=lambda text: ascii(text)[:20])
@pytest.mark.parametrize(("turns", "calls"), [(2, 1), (40, 3), (5, 500)])
async def test_no_text_becomes_markup_and_no_length_a_large_page(
    text: str, turns: int, calls: int
) -> None:
    async with visitor(view_of(hostile(cycle([text]), turns, calls))) as client:
        page = (await client.get(PAGE)).text
    assert len(page.encode()) < PAGE_BYTES_MAX
    markup = taken_apart(page)
    assert_harmless(markup)
    assert all(each["class"] == "raw" for each in markup.of("pre"))


async def test_every_hostile_text_stays_a_text() -> None:
    for first in range(0, len(TEXTS), 8):
        texts = cycle(TEXTS[first:] + TEXTS[:first])
        async with visitor(view_of(hostile(texts, 4, 2))) as client:
            page = (await client.get(PAGE)).text
        assert_harmless(taken_apart(page))
        assert not STEERING_CHARACTERS & set(page)


async def test_a_short_transcript_is_shown_whole_and_a_long_one_says_what_it_lacks() -> None:
    long = (*TRANSCRIPT[:4], Returned(at(5), 0, ToolResult("line\n" * 8000)))
    async with visitor(view_of(TRANSCRIPT)) as client:
        assert "cut:" not in words(await client.get(PAGE))
    async with visitor(view_of(long)) as client:
        assert "of 40000 characters" in words(await client.get(PAGE))
    async with visitor(view_of(hostile(cycle(["x"])))) as client:
        assert "older steps are left out." in words(await client.get(PAGE))


def test_a_page_holds_the_newest_rows_and_counts_what_a_row_lost() -> None:
    begun, *_ = hostile(cycle(["x"]), turns=0)
    asked = Turn("x", "x", (ToolCall("x", "x"),) * (SAID_MAX + 5), Finish.TOOL_CALLS)
    many = newest(rows((begun, Asked(at(1), 5), Answered(at(2), asked))))
    assert many[1].head == "Question 1, of at most 5 tokens."
    assert many[2].head.endswith("7 texts more, left out here.")
    assert len(many[2].said) == SAID_MAX
    talkative = [Answered(at(second), asked) for second in range(100)]
    assert [len(row.said) for row in newest(rows(talkative))] == [SAID_MAX] * (
        TEXTS_MAX // SAID_MAX
    )
    quiet = [Asked(at(second), 5) for second in range(100)]
    assert [row.at for row in newest(rows(quiet))] == [at(40 + n) for n in range(ROWS_MAX)]


def heads(*entries: Entry) -> list[str]:
    return [row.head for row in rows(entries)]


@pytest.mark.parametrize(
    ("entry", "head"),
    [
        (Answered(at(3), Turn(finish=Finish.LENGTH)), "Answer after an unknown time, cut off for its length; 0 tokens read, 0 written."),
        (Answered(at(3), Turn(finish=Finish.OTHER)), "Answer after an unknown time, broken off; 0 tokens read, 0 written."),
        (Returned(at(3), 7, ToolResult("x", is_error=True)), "Call 7: an error after an unknown time."),
        (Called(at(3), 7), "Call 7 was begun; there is no result."),
        (Closed(at(3), None, "late"), "It ended without a proposal."),
    ],
)  # fmt: skip
def test_each_step_says_what_it_came_to(entry: Entry, head: str) -> None:
    assert heads(entry) == [head]


def test_a_call_of_a_turn_that_was_cut_off_has_no_number() -> None:
    cut = dataclasses.replace(LOOK, finish=Finish.LENGTH)
    found = rows((Answered(at(1), cut), Answered(at(2), LOOK), Called(at(3), 0)))
    assert [label for row in found for label, _ in row.said] == [
        "thinking", "call that does not count", "thinking", "tool",
    ]  # fmt: skip


def test_a_call_that_waits_is_told_with_the_answer_that_asked_for_it() -> None:
    (row,) = rows((Answered(at(1), LOOK),))
    assert row.said[-1] == ("call 0, not begun", 'logs {"pod": "cart-1"}')


def test_nothing_is_said_of_what_has_not_begun() -> None:
    assert rows(()) == ()
    assert summary(()) == "0 questions, 0 tool calls; 0 tokens read, 0 written"


def test_a_terminal_gets_lines_that_steer_nothing_and_says_what_is_cut() -> None:
    long = ToolResult("\n".join(f"line {n}" for n in range(LINES_MAX + 3)))
    entries = (*TRANSCRIPT[:4], Returned(at(5), 0, long), *hostile(cycle(TEXTS), 3, 2))
    lines = list(investigation_lines(investigation_tree(NAME, entries)))
    assert lines[0] == f"{NAME}: 4 questions, 7 tool calls; 1200 tokens read, 80 written"
    assert lines[1] == "2026-01-05T12:00:00.000000Z  The model kimi-k2.6 was given the case."
    assert lines[2:4] == ["  instructions:", "    | You investigate."]
    assert "    (3 more lines; --json has them)" in lines
    assert not STEERING_CHARACTERS & set("".join(lines))
    assert not any("\n" in line for line in lines)
    json.dumps(investigation_tree(NAME, entries)).encode()
