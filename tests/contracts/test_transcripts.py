"""What every transcript store promises: the same suite runs on the SQLite file and on the fake in memory."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from opsagent.model.entity import Ref
from opsagent.model.plan import Proposal, RolloutUndo, VerifySpec
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
from opsagent.ports import Terminal, TranscriptStore
from opsagent.responder.rules import SYMPTOMS
from opsagent.store.daemon import SqliteStore
from tests.fakes.objects import T0, WEB, after
from tests.fakes.transcripts import MemoryTranscripts

PROPOSAL = Proposal(
    "inc_1", RolloutUndo(Ref(WEB, "uid-web"), 1), "", "because", SYMPTOMS, VerifySpec()
)
TURN = Turn(
    "text",
    "reasoning \N{SNOWMAN}",
    (ToolCall("objects", '{"broken'), ToolCall("", "")),
    Finish.TOOL_CALLS,
    Usage(12, 3),
)
STORY: tuple[Entry, ...] = (
    Opened(T0, "kimi-k2.6", "system", "question\n| quoted"),
    Asked(after(1), 1000),
    Answered(after(2), TURN),
    Called(after(3), 0),
    Returned(after(4), 0, ToolResult("text", is_error=True)),
    Returned(after(5), 1, ToolResult("asked", proposal=PROPOSAL)),
    Closed(after(6), PROPOSAL, ""),
)


@pytest_asyncio.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TranscriptStore]:
    if request.param == "memory":
        yield MemoryTranscripts()
        return
    opened = await SqliteStore.open(tmp_path / "daemon.db")
    yield opened.transcripts()
    await opened.aclose()


async def test_what_was_never_opened_is_empty(store: TranscriptStore) -> None:
    assert await store.entries("inv_1") == ()


async def test_entries_come_back_as_they_were_added(store: TranscriptStore) -> None:
    for entry in STORY:
        await store.append("inv_1", entry)
    assert await store.entries("inv_1") == STORY


async def test_transcripts_do_not_mix(store: TranscriptStore) -> None:
    await store.append("inv_1", STORY[0])
    await store.append("inv_2", STORY[1])
    await store.append("inv_1", STORY[2])
    assert await store.entries("inv_1") == (STORY[0], STORY[2])
    assert await store.entries("inv_2") == (STORY[1],)


async def test_the_file_keeps_them_over_a_restart(tmp_path: Path) -> None:
    for entry in STORY:  # one life for each entry
        opened = await SqliteStore.open(tmp_path / "daemon.db")
        await opened.transcripts().append("inv_1", entry)
        await opened.aclose()
    opened = await SqliteStore.open(tmp_path / "daemon.db")
    assert await opened.transcripts().entries("inv_1") == STORY
    await opened.aclose()


async def test_retention_drops_whole_transcripts(tmp_path: Path) -> None:
    opened = await SqliteStore.open(tmp_path / "daemon.db")
    kept, old = opened.transcripts(), "inv_old"
    for entry in STORY:
        await kept.append("inv_1", entry)
    await kept.append(old, STORY[0])
    await opened.retain(T0 + dt.timedelta(seconds=3))
    assert await kept.entries(old) == ()
    assert await kept.entries("inv_1") == STORY
    await opened.aclose()


async def test_an_entry_that_cannot_be_read_names_file_and_transcript(tmp_path: Path) -> None:
    opened = await SqliteStore.open(tmp_path / "daemon.db")
    kept = opened.transcripts()
    await kept.append("inv_1", STORY[0])
    await kept.append("inv_2", STORY[0])
    await kept.append("inv_2", STORY[1])
    for change in ("body = '{}' WHERE investigation_id = 'inv_1'", "type = 'x' WHERE seq = 1"):
        statement = f"UPDATE transcripts SET {change}"
        await opened._database.write(lambda db, sql=statement: db.execute(sql).close())
    for name in ("inv_1", "inv_2"):
        with pytest.raises(Terminal, match=rf"daemon\.db: the transcript {name} cannot be read"):
            await kept.entries(name)
    await opened.aclose()
