"""The file under every store: one writer, whole transactions, clear refusals."""

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest
from sqlite_utils import Database as Schema, Migrations
from structlog.testing import capture_logs

from opsagent.ports import Terminal
from opsagent.store.database import Database, fatal_reason, has_wal_reset_bug
from tests.fakes.virtual_time import run


def schema() -> Migrations:
    migrations = Migrations("test")

    @migrations()
    def m001_notes(db: Schema) -> None:
        db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")

    return migrations


async def opened(path: Path) -> Database:
    return await Database.open(path, schema(), synchronous="FULL")


def insert(text: str | None):
    return lambda db: db.execute("INSERT INTO notes (text) VALUES (?)", (text,)).lastrowid


def texts(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT text FROM notes ORDER BY id")]


async def test_what_was_written_is_read_back_after_reopening(tmp_path):
    path = tmp_path / "deep" / "state.sqlite"
    database = await opened(path)
    assert await database.write(insert("first")) == 1
    assert await database.read(texts) == ["first"]
    await database.aclose()
    again = await opened(path)
    assert await again.read(texts) == ["first"]
    await again.aclose()


def test_it_runs_inline_on_virtual_time(tmp_path):
    async def main() -> list[str]:
        database = await opened(tmp_path / "state.sqlite")
        await database.write(insert("inline"))
        await asyncio.sleep(86400)
        rows = await database.read(texts)
        await database.aclose()
        return rows

    assert run(main()) == ["inline"]


async def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(tmp_path):
    database = await opened(tmp_path / "state.sqlite")

    def half(db: sqlite3.Connection) -> None:
        insert("half")(db)
        insert(None)(db)

    with pytest.raises(sqlite3.IntegrityError):
        await database.write(half)
    await database.write(insert("whole"))
    assert await database.read(texts) == ["whole"]
    await database.aclose()


async def test_concurrent_writes_are_all_there_one_after_the_other(tmp_path):
    database = await opened(tmp_path / "state.sqlite")
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(database.write(insert(str(number))))
    assert sorted(await database.read(texts), key=int) == [str(number) for number in range(50)]
    await database.aclose()


async def test_a_reader_cannot_write(tmp_path):
    database = await opened(tmp_path / "state.sqlite")
    with pytest.raises(Terminal, match="not writable"):
        await database.read(insert("no"))
    assert await database.read(texts) == []
    await database.aclose()


async def test_a_second_writer_is_refused_and_told_who_holds_the_file(tmp_path):
    path = tmp_path / "state.sqlite"
    database = await opened(path)
    with pytest.raises(Terminal, match=rf"state\.sqlite is already open in process {os.getpid()}"):
        await opened(path)
    await database.aclose()
    await database.aclose()  # twice is nothing
    await (await opened(path)).aclose()


async def test_the_files_belong_to_the_owner_alone(tmp_path):
    database = await opened(tmp_path / "state.sqlite")
    await database.write(insert("x"))
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    await database.aclose()


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
async def test_the_durability_asked_for_is_the_one_in_force(tmp_path, synchronous):
    database = await Database.open(tmp_path / "s.sqlite", schema(), synchronous=synchronous)
    level = await database.write(lambda db: db.execute("PRAGMA synchronous").fetchone()[0])
    journal = await database.write(lambda db: db.execute("PRAGMA journal_mode").fetchone()[0])
    await database.aclose()
    assert (level, journal) == ({"NORMAL": 1, "FULL": 2}[synchronous], "wal")


async def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"this is not a database, it is a letter" * 100)
    with pytest.raises(Terminal, match=r"state\.sqlite: the file is not a database"):
        await opened(path)
    path.unlink()
    await (await opened(path)).aclose()  # the refusal released the lock


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Terminal, match=r"file/state\.sqlite: "):
        await opened(tmp_path / "file" / "state.sqlite")


async def test_a_path_that_is_a_folder_is_named(tmp_path):
    (tmp_path / "state.sqlite").mkdir()
    with pytest.raises(Terminal, match=r"state\.sqlite: Is a directory"):
        await opened(tmp_path / "state.sqlite")


async def test_a_migration_that_fails_leaves_the_file_closed_and_unlocked(tmp_path):
    broken = Migrations("test")

    @broken()
    def m001_wrong(_db: Schema) -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await Database.open(tmp_path / "state.sqlite", broken)
    await (await opened(tmp_path / "state.sqlite")).aclose()


async def test_a_full_disk_is_terminal_and_names_the_path(tmp_path):
    database = await opened(tmp_path / "state.sqlite")
    await database.write(lambda db: db.execute("PRAGMA max_page_count=8").fetchone())
    with pytest.raises(Terminal, match=r"state\.sqlite: the disk is full"):
        await database.write(insert("x" * 100_000))
    await database.write(lambda db: db.execute("PRAGMA max_page_count=800").fetchone())
    await database.write(insert("after space was made"))
    assert await database.read(texts) == ["after space was made"]
    await database.aclose()


def test_only_errors_of_the_file_are_fatal():
    with pytest.raises(sqlite3.ProgrammingError) as without_code:
        sqlite3.connect(":memory:").execute("SELECT ?", ())
    assert fatal_reason(without_code.value) == ""


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [
        ((3, 40, 1), True),
        ((3, 44, 6), False),
        ((3, 44, 7), True),  # not a listed back-port: warn rather than guess
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_versions_with_the_wal_reset_bug(version, is_affected):
    assert has_wal_reset_bug(version) is is_affected


async def test_an_affected_sqlite_is_warned_about_by_name(tmp_path):
    with capture_logs() as logs:
        await (await opened(tmp_path / "state.sqlite")).aclose()
    warned = [line["event"] for line in logs] == ["store.sqlite_wal_reset_bug"]
    assert warned is has_wal_reset_bug(sqlite3.sqlite_version_info)
