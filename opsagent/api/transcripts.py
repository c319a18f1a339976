"""A model's investigation as people read it: what it was told, what it had run, what came back, in order. Pure.

A row's head is ours. What stands in ``said`` was written by others (a model, a log, an object) and is only
ever quoted; it is as it was said, so who shows it has to cut it and to make it harmless. A call is told in the row
of its result; one without a result was cut off by a restart, or still runs; one that was not even begun is told
with the answer that asked for it.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from opsagent.api.views import Tree
from opsagent.incidents.words import count
from opsagent.model.canonical import instant
from opsagent.model.printable import printable
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
)

ROWS_MAX = 60  # of one page
TEXTS_MAX = 120
SAID_MAX = 12  # of one row


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happened; ``said`` are pairs of a label of ours and a text of others."""

    at: dt.datetime
    head: str
    said: tuple[tuple[str, str], ...] = ()


def rows(entries: Sequence[Entry]) -> tuple[Row, ...]:
    """Return what happened, oldest first."""
    return tuple(_Reader(entries).rows())


def summary(entries: Sequence[Entry]) -> str:
    """Return how much was asked, run and spent so far."""
    turns = [each.turn for each in entries if isinstance(each, Answered)]
    steps = sum(isinstance(each, Asked) for each in entries)
    calls = sum(isinstance(each, Returned) for each in entries)
    read = sum(turn.usage.input_tokens for turn in turns)
    written = sum(turn.usage.output_tokens for turn in turns)
    return (
        f"{count(steps, 'question')}, {count(calls, 'tool call')}; "
        f"{read} tokens read, {written} written"
    )


def investigation_tree(investigation_id: str, entries: Sequence[Entry]) -> Tree:
    """Return an investigation for REST; texts are whole, but for what cannot be printed."""
    return {
        "investigation_id": investigation_id,
        "summary": summary(entries),
        "rows": [
            {
                "at": instant(row.at),
                "head": row.head,
                "said": [
                    {"label": label, "text": printable(text, kept="\n\t")}
                    for label, text in row.said
                ],
            }
            for row in rows(entries)
        ],
    }


def newest(found: Sequence[Row]) -> tuple[Row, ...]:
    """Return the last rows that one page may hold, each with a bounded number of texts; what is cut is counted."""
    kept: list[Row] = []
    texts = 0
    for row in reversed(found[-ROWS_MAX:]):
        left_out = len(row.said) - SAID_MAX
        if left_out > 0:
            head = f"{row.head} {count(left_out, 'text')} more, left out here."
            row = Row(row.at, head, row.said[:SAID_MAX])  # noqa: PLW2901 - the row as it is shown
        texts += len(row.said)
        if texts > TEXTS_MAX:
            break
        kept.insert(0, row)
    return tuple(kept)


class _Reader:
    """Goes through a transcript once and remembers what later entries refer to."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._done = {each.number for each in entries if isinstance(each, Returned)}
        self._told = {each.number for each in entries if isinstance(each, Called | Returned)}
        self._calls: list[ToolCall] = []
        self._begun: dict[int, dt.datetime] = {}
        self._asked_at: dt.datetime | None = None
        self._questions = 0

    def rows(self) -> Iterator[Row]:
        for entry in self._entries:
            match entry:
                case Opened():
                    said = _said(("instructions", entry.system), ("question", entry.question))
                    yield Row(
                        entry.at, f"The model {printable(entry.model)} was given the case.", said
                    )
                case Asked():
                    self._questions += 1
                    self._asked_at = entry.at
                    head = f"Question {self._questions}, of at most {entry.input_tokens} tokens."
                    yield Row(entry.at, head)
                case Answered():
                    yield self._answered(entry)
                case Called():
                    self._begun[entry.number] = entry.at
                    if entry.number not in self._done:
                        head = f"Call {entry.number} was begun; there is no result."
                        yield Row(entry.at, head, self._call(entry.number))
                case Returned():
                    yield self._returned(entry)
                case Closed():
                    yield _closed(entry)
                case _:
                    assert_never(entry)

    def _answered(self, entry: Answered) -> Row:
        turn = entry.turn
        said = [("thinking", turn.reasoning), ("answer", turn.text)]
        for call in turn.calls:
            text, number = f"{call.name} {call.arguments}", len(self._calls)
            if turn.finish is not Finish.TOOL_CALLS:
                said.append(("call that does not count", text))
                continue
            self._calls.append(call)
            if number not in self._told:
                said.append((f"call {number}, not begun", text))
        how = {Finish.LENGTH: ", cut off for its length", Finish.OTHER: ", broken off"}
        head = (
            f"Answer after {_seconds(self._asked_at, entry.at)}{how.get(turn.finish, '')}; "
            f"{turn.usage.input_tokens} tokens read, {turn.usage.output_tokens} written."
        )
        return Row(entry.at, head, _said(*said))

    def _returned(self, entry: Returned) -> Row:
        result, begun = entry.result, self._begun.get(entry.number)
        outcome = "an error" if result.is_error else "a result"
        if result.proposal is not None:
            outcome = "an accepted proposal"
        head = f"Call {entry.number}: {outcome} after {_seconds(begun, entry.at)}."
        return Row(entry.at, head, (*self._call(entry.number), *_said(("result", result.text))))

    def _call(self, number: int) -> tuple[tuple[str, str], ...]:
        """Return what was called; nothing for a number that nobody gave."""
        return _said(
            *(
                ("tool", f"{call.name} {call.arguments}")
                for call in self._calls[number : number + 1]
            )
        )


def _closed(entry: Closed) -> Row:
    if entry.proposal is None:
        return Row(entry.at, "It ended without a proposal.", _said(("because", entry.reason)))
    return Row(entry.at, "It ended with a proposal.", _said(("because", entry.proposal.reason)))


def _said(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the pairs that say something."""
    return tuple((label, text) for label, text in pairs if text.strip())


def _seconds(since: dt.datetime | None, until: dt.datetime) -> str:
    return "an unknown time" if since is None else f"{(until - since).total_seconds():.1f} s"
