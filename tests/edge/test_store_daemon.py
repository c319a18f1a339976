"""What only the SQLite file can get wrong: other writers, damaged or full disks, foreign bytes, sudden death."""

import asyncio
import datetime as dt
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from opsagent.model.alert import Severity
from opsagent.model.entity import Kind
from opsagent.model.kube import Container, EnvVar, ObjectMeta, Pod
from opsagent.model.notification import Notification, NotificationReason
from opsagent.model.signal import RawRow, RowType
from opsagent.ports import Batch, Snapshot, Terminal
from opsagent.store.codec import object_codec
from opsagent.store.daemon import LIMIT_MAX, MIGRATIONS, RETAIN_CHUNK, SqliteStore
from opsagent.store.database import Database

T0 = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def pod_row(seq: int, name: str = "a", type_: RowType = RowType.ADDED, text: str = "") -> RawRow:
    return RawRow(seq, T0, type_, Kind.POD, Pod(ObjectMeta("shop", name, "u", str(seq)), text))


async def test_a_second_open_of_the_same_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "daemon.db"
    first = await SqliteStore.open(path)
    with pytest.raises(Terminal, match=str(path)):
        await SqliteStore.open(path)
    await first.aclose()
    await (await SqliteStore.open(path)).aclose()


async def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "state" / "daemon.db")
    await store.aclose()
    mode = stat.S_IMODE((tmp_path / "state" / "daemon.db").stat().st_mode)
    assert mode == 0o600


async def test_a_file_that_is_no_database_is_refused_by_path(tmp_path: Path) -> None:
    path = tmp_path / "daemon.db"
    path.write_bytes(b"not a database, but long enough to look like one. " * 40)
    with pytest.raises(Terminal, match=str(path)):
        await SqliteStore.open(path)


async def test_a_page_that_was_overwritten_is_found_by_path(tmp_path: Path) -> None:
    path = tmp_path / "daemon.db"
    store = await SqliteStore.open(path)
    await store.commit(Batch(tuple(pod_row(seq, f"p{seq}") for seq in range(1, 400))))
    await store.aclose()
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * (size - 4096))
    with pytest.raises(Terminal, match=str(path)):
        await _loaded(path)


async def _loaded(path: Path) -> Snapshot:
    store = await SqliteStore.open(path)
    try:
        return await store.load()
    finally:
        await store.aclose()


async def test_a_full_disk_is_terminal_and_leaves_the_last_commit(tmp_path: Path) -> None:
    path = tmp_path / "daemon.db"
    database = await Database.open(path, MIGRATIONS, synchronous="NORMAL")
    store = SqliteStore(database)
    await store.commit(Batch((pod_row(1),)))

    def fill(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    await database.write(fill)
    with pytest.raises(Terminal, match=f"{path}.*full"):
        await store.commit(Batch((pod_row(2, text="x" * 100_000),)))
    assert (await store.load()).seq == 1
    await store.aclose()


@pytest.mark.parametrize(
    ("column", "value"), [("body", "{"), ("body", '{"meta": 1}'), ("kind", "Secret"), ("at", "now")]
)
async def test_a_stored_value_of_another_shape_is_terminal_and_says_what_to_do(
    tmp_path: Path, column: str, value: str
) -> None:
    path = tmp_path / "daemon.db"
    database = await Database.open(path, MIGRATIONS, synchronous="NORMAL")
    store = SqliteStore(database)
    await store.commit(Batch((pod_row(1),)))
    await database.write(
        lambda connection: connection.execute(f"UPDATE rows SET {column} = ?", (value,)).close()
    )
    with pytest.raises(Terminal, match=f"{path}: a stored value cannot be read.*restore a copy"):
        await store.row(1)
    with pytest.raises(Terminal, match="a stored value"):
        await store.load()
    await store.aclose()


async def test_retention_works_in_bounded_steps(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "daemon.db")
    total = RETAIN_CHUNK + 2
    await store.commit(
        Batch(tuple(pod_row(seq, "a", RowType.MODIFIED) for seq in range(1, total + 1)))
    )
    assert await store.retain(T0 + dt.timedelta(seconds=1)) == total - 1
    assert (await store.counts())["rows"] == 1
    await store.aclose()


async def test_no_limit_reads_more_than_the_bound(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "daemon.db")
    assert await store.facts(limit=-1) == ()
    assert await store.facts(limit=LIMIT_MAX * 1000) == ()
    await store.aclose()


async def test_the_first_fate_of_a_message_stands(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "daemon.db", MIGRATIONS, synchronous="NORMAL")
    store = SqliteStore(database)
    await store.commit(Batch(notifications=(_note(),)))
    await store.mark_delivered("ntf_1", T0)
    await store.mark_given_up("ntf_1", T0 + dt.timedelta(hours=24))
    fates = await database.read(
        lambda connection: connection.execute(
            "SELECT fate, closed_at FROM notifications"
        ).fetchall()
    )
    assert fates == [("delivered", "2026-01-05T00:00:00.000000Z")]
    await store.aclose()


def _note() -> Notification:
    return Notification("ntf_1", "inc_1", NotificationReason.OPENED, Severity.INFO, "title", (), T0)


VICTIM = """
import asyncio, sys
from pathlib import Path
from opsagent.ports import Batch
from opsagent.store.daemon import SqliteStore
from tests.edge.test_store_daemon import pod_row

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    for seq in range(1, 100_000, 3):
        rows = tuple(pod_row(seq + step, f"p{(seq + step) % 7}") for step in range(3))
        await store.commit(Batch(rows))
        print(seq + 2, flush=True)

asyncio.run(main())
"""


def test_a_killed_writer_loses_no_whole_commit_and_leaves_no_half_one(tmp_path: Path) -> None:
    path = tmp_path / "daemon.db"
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as victim:
        assert victim.stdout is not None
        told = 0
        for line in victim.stdout:
            told = int(line) if line.strip().isdigit() else told  # the rest is its log
            if told >= 60:
                break
        os.kill(victim.pid, signal.SIGKILL)
        victim.stdout.read()
    snapshot = asyncio.run(_loaded(path))
    assert snapshot.seq >= told
    assert snapshot.seq % 3 == 0
    assert [item.seq for item in snapshot.rows] == list(range(snapshot.seq - 6, snapshot.seq + 1))


TEXT = st.text(max_size=20)
INSTANTS = st.datetimes(timezones=st.just(dt.UTC))
PODS = st.builds(
    Pod,
    st.builds(
        ObjectMeta,
        TEXT,
        TEXT,
        TEXT,
        TEXT,
        labels=st.dictionaries(TEXT, TEXT, max_size=3),
        created_at=st.none() | INSTANTS,
    ),
    containers=st.tuples(
        st.builds(Container, TEXT, TEXT, st.tuples(st.builds(EnvVar, TEXT, TEXT)))
    ),
)


@given(PODS)
def test_what_is_encoded_is_decoded_and_the_text_is_one(pod: Pod) -> None:
    codec = object_codec(Kind.POD)
    text = codec.encode(pod)
    assert codec.decode(text) == pod
    assert codec.encode(codec.decode(text)) == text
