"""One SQLite file with one writer: transactions, readers, migrations, and the lock that keeps others out.

Theory of operation. A file is opened once. All writes and checkpoints go through one connection on a
one-thread executor, so transactions never overlap and never wait for each other inside SQLite. Reads
go through a second, query-only connection on its own thread: in WAL mode they see the last commit
and never block the writer. Both are reached by ``loop.run_in_executor``, hence a loop that runs
executor jobs inline (virtual time in tests) gets the same order without threads.

An advisory lock on ``<file>.lock`` is held while the file is open and vanishes with the process,
also after kill -9. A second writer, in this process or another, is refused.

Conventions for migrations. Each schema is one ``sqlite_utils.Migrations`` next to its SQL, its
functions are named ``m001_<what>``, ``m002_<what>`` and get a ``sqlite_utils.Database``; a released
one is never edited. A migration and its record commit together.

What this module refuses: a second writer (``Terminal``); beginning or continuing on a full, corrupt or
unwritable file (``Unwritable``), both with the path in the message. Whether it can be written is tried when it
is opened, not only at the first commit. Other SQL errors are programming errors and pass through.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import structlog

from opsagent.ports import Terminal, Unwritable
from opsagent.store.schema import Migrations, Schema

T = TypeVar("T")
Synchronous = Literal["NORMAL", "FULL"]

# Source: sqlite.org/wal.html, "The WAL-Reset Bug": 3.7.0 to 3.51.2, fixed in 3.51.3 and two back-ports.
WAL_RESET_FIXED = (3, 51, 3)
WAL_RESET_BACK_PORTS = frozenset({(3, 50, 7), (3, 44, 6)})

# Primary result codes after which going on could only lose data. Source: sqlite.org/rescode.html
_BEGIN_ANEW = "restore a copy of it, or move it and its -wal and -shm away to begin anew"
_FATAL = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space; what was committed is kept",
    sqlite3.SQLITE_CORRUPT: f"the file is corrupt: {_BEGIN_ANEW}",
    sqlite3.SQLITE_NOTADB: f"the file is not a database: {_BEGIN_ANEW}",
    sqlite3.SQLITE_IOERR: "the disk failed, or is full: look at the system's log; what was committed is kept",
    sqlite3.SQLITE_READONLY: "the file is not writable: check its owner and its mount",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: check its owner and its mount",
}
MAGIC = b"SQLite format 3\x00"  # Source: sqlite.org/fileformat.html, "Magic Header String"

log = structlog.get_logger(__name__)


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Return whether this SQLite can lose commits when two connections meet at a WAL reset."""
    return version < WAL_RESET_FIXED and version not in WAL_RESET_BACK_PORTS


def fatal_reason(error: sqlite3.Error) -> str:
    """Return why ``error`` means that the file can no longer be trusted, '' if it does not.

    The low byte of SQLite's extended code is the primary one. An error that Python itself raises
    (a closed connection, a wrong parameter) has no code.
    """
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return "" if code is None else _FATAL.get(code & 0xFF, "")


def sqlite_version() -> tuple[str, bool]:
    """Return the linked SQLite's version and whether it has the WAL-reset bug."""
    version = sqlite3.sqlite_version_info
    return sqlite3.sqlite_version, has_wal_reset_bug((version[0], version[1], version[2]))


def holder(path: Path) -> str:
    """Return which process has the file at ``path`` open as its writer, '' if none has.

    For people who look from outside. The lock is shared for an instant to find out; who opens the
    file in that very instant is refused and starts again.
    """
    try:
        descriptor = os.open(_lock_path(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(descriptor)
    finally:
        os.close(descriptor)
    return ""


def is_damaged(path: Path) -> bool:
    """Return whether the file at ``path`` is there and does not begin like a database; it is not opened as one."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except FileNotFoundError:
        return False
    return head not in (b"", MAGIC)


def _lock_path(path: Path) -> Path:
    return Path(f"{path}.lock")


def _pid_in(descriptor: int) -> str:
    return os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"


def _lock(path: Path) -> int:
    """Take ``<path>.lock`` and write our pid into it, for people; return its descriptor.

    Raises:
        Terminal: another process, or another part of this one, holds it.
    """
    lock_path = _lock_path(path)
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = _pid_in(descriptor)
        os.close(descriptor)
        raise Terminal(
            f"{path} is already open in process {pid}, which holds {lock_path}: "
            "stop it, or use another state folder"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _connect(path: Path) -> sqlite3.Connection:
    # isolation_level None: BEGIN and COMMIT are ours. The thread check is off because the
    # one-thread executor already gives what it would check, and an inline one has no thread.
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _open_writer(
    path: Path, migrations: Migrations, synchronous: Synchronous
) -> sqlite3.Connection:
    # Made with owner-only rights first: SQLite gives -wal and -shm the rights of the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = _connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")
        # No plug-ins: nothing that happens to be installed may run on our connections.
        migrations.apply(Schema(connection, execute_plugins=False))
        connection.execute("PRAGMA user_version=0")  # a page to the log, also if it says so already
    except BaseException:
        connection.close()
        raise
    return connection


def _open_reader(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    connection.execute("PRAGMA query_only=ON")
    return connection


@dataclass(frozen=True, slots=True)
class _Lane:
    """One connection and the one thread it is used on."""

    connection: sqlite3.Connection
    thread: ThreadPoolExecutor


class Database:
    """One open SQLite file. Make it with :meth:`open`; it is not shared between event loops."""

    def __init__(self, path: Path, lock: int, writer: _Lane, reader: _Lane) -> None:
        self.path = path
        self._lock = lock
        self._writer = writer
        self._reader = reader
        self._is_closed = False

    @classmethod
    async def open(
        cls, path: Path, migrations: Migrations, *, synchronous: Synchronous = "NORMAL"
    ) -> "Database":
        """Lock, open and migrate the file; missing folders are made.

        Args:
            path: the database file. Never on a network file system: WAL needs shared memory.
            migrations: the schema, brought up to date before this returns.
            synchronous: FULL syncs every commit to the disk; NORMAL may lose the last ones in a
                power cut, never in a crash of the process.

        Raises:
            Terminal: somebody else has it open.
            Unwritable: the file or its folder cannot be used.
        """
        version, is_risky = sqlite_version()
        if is_risky:
            log.warning("store.sqlite_wal_reset_bug", sqlite_version=version, path=str(path))
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = _lock(path)
        except OSError as error:
            raise Unwritable(f"{path}: {error.strerror}") from error
        threads = [ThreadPoolExecutor(1, f"{path.name}-{role}") for role in ("writer", "reader")]
        loop = asyncio.get_running_loop()
        try:
            writer = await loop.run_in_executor(
                threads[0], _open_writer, path, migrations, synchronous
            )
            reader = await loop.run_in_executor(threads[1], _open_reader, path)
        except BaseException as error:
            os.close(lock)
            for thread in threads:
                thread.shutdown(wait=False)
            if isinstance(error, OSError | sqlite3.Error):
                raise Unwritable(f"{path}: {_reason(error)}") from error
            raise
        return cls(path, lock, _Lane(writer, threads[0]), _Lane(reader, threads[1]))

    async def write(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``fn`` in one transaction of the writer; commit if it returns, roll back if it raises.

        Cancelling the caller does not stop ``fn``: what it began is committed or rolled back whole.

        Raises:
            Unwritable: the file can no longer be trusted.
        """

        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = fn(connection)
                connection.execute("COMMIT")
            except BaseException:
                # SQLite has already rolled back after some errors, a full disk among them.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        return await self._run(self._writer, transaction)

    async def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``fn`` on one consistent state, the last commit or a later one; it cannot write.

        Raises:
            Unwritable: the file can no longer be trusted.
        """

        def snapshot(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            try:
                return fn(connection)
            finally:
                connection.execute("ROLLBACK")

        return await self._run(self._reader, snapshot)

    async def _run(self, lane: _Lane, fn: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(lane.thread, fn, lane.connection)
        except sqlite3.Error as error:
            reason = fatal_reason(error)
            if reason:
                raise Unwritable(f"{self.path}: {reason}") from error
            raise

    async def aclose(self) -> None:
        """Checkpoint, close and release the lock. Closing twice is nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._reader.thread, self._reader.connection.close)
        # The last connection to close checkpoints and removes the WAL.
        await loop.run_in_executor(self._writer.thread, self._writer.connection.close)
        for lane in (self._reader, self._writer):
            lane.thread.shutdown(wait=False)
        os.close(self._lock)


def _reason(error: OSError | sqlite3.Error) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return fatal_reason(error) or str(error)
