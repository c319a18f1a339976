"""Start, watch and stop the lab's programs.

A pid alone may name another program by the time we come back to it. A pid together with the instant
its process began (field 22 of /proc/PID/stat) names one process for as long as the machine is up, so
nothing is ever signalled that we did not start. Linux only, standard library only.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.05
STOP_SECONDS = 10.0  # killed processes took 0.1 s


class LabError(Exception):
    """The lab cannot do what was asked; the message says what a person can do about it."""


@dataclass(frozen=True, slots=True)
class Process:
    """One program of ours. ``began`` is in clock ticks since boot, ``log`` holds its output."""

    name: str
    pid: int
    began: int
    log: str


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on (state); empty if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def start(name: str, argv: list[str], *, home: Path, log: Path) -> Process:
    """Start a program in a session of its own, its output going to ``log``.

    The environment is PATH and HOME only, so that no setting of the user's reaches it (kwok, for one,
    reads ``~/.kwok``). posix_spawn, because a Popen object complains when it is dropped alive.
    """
    output = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    pid = os.posix_spawn(
        argv[0],
        argv,
        {"PATH": os.defpath, "HOME": str(home)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), output, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Process(name, pid, int(_stat(pid)[19]), str(log))


def is_alive(process: Process) -> bool:
    """Return whether that very process still runs; one that ended but was not waited for does not."""
    fields = _stat(process.pid)
    return bool(fields) and fields[0] != "Z" and int(fields[19]) == process.began


def child_of(parent: Process, name: str) -> Process | None:
    """Return the first process that ``parent`` has started, under a name of ours; None if there is none."""
    for pid in all_pids():
        fields = _stat(pid)
        if fields and int(fields[1]) == parent.pid:
            return Process(name, pid, int(fields[19]), parent.log)
    return None


def command_line(process: Process) -> list[str]:
    """Return the program and its options, as it was started; empty if it has ended."""
    if not is_alive(process):
        return []
    return Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")[:-1]


def rss_mebibytes(process: Process) -> int:
    """Return the resident memory of a process and all below it, 0 if it has ended."""
    stats = [fields for pid in family(process) if (fields := _stat(pid))]
    return sum(int(fields[21]) for fields in stats) * os.sysconf("SC_PAGE_SIZE") // 2**20


def family(process: Process) -> frozenset[int]:
    """Return the ids of a process and all below it; empty if it has ended."""
    parents = {pid: int(fields[1]) for pid in all_pids() if (fields := _stat(pid))}
    found = {process.pid} if is_alive(process) else set()
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return frozenset(found)


def all_pids() -> list[int]:
    """Return the id of every process there is."""
    return sorted(int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal())


def stop(processes: Iterable[Process]) -> None:
    """Kill the processes and wait until they are gone.

    Nothing of a lab is kept, so nobody is asked to finish; asked politely, etcd and the API server wait
    for each other for more than 8 s. A parent of another is there to wait for it: it takes its child's
    exit status and ends by itself, which leaves no orphan to whatever process has number 1 here.
    """
    ours = [process for process in processes if is_alive(process)]
    parents = {int(_stat(process.pid)[1]) for process in ours}
    for process in ours:
        if process.pid not in parents:
            os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: all(map(_is_over, ours)), "the end", timeout_seconds=STOP_SECONDS)


def _is_over(process: Process) -> bool:
    """Return whether nothing is left of a process; take its exit status where it is our child.

    Its first thread may end before the others: until then it still holds its ports.
    """
    if is_alive(process):
        return False
    try:
        return os.waitpid(process.pid, os.WNOHANG)[0] == process.pid
    except ChildProcessError:
        return True


def tail(log: str | Path, lines: int = 15) -> str:
    """Return the last lines of a log, for an error message."""
    return "\n".join(Path(log).read_text(errors="replace").splitlines()[-lines:])


def wait_until(
    condition: Callable[[], bool],
    what: str,
    *,
    timeout_seconds: float,
    processes: Sequence[Process] = (),
) -> None:
    """Poll until ``condition`` holds.

    Raises:
        LabError: it did not hold in time, or one of ``processes`` has ended; with the tail of its log.
    """
    deadline = time.monotonic() + timeout_seconds  # noqa: TID251 - real programs take real time
    while not condition():
        for process in processes:
            if not is_alive(process):
                raise LabError(f"{process.name} ended by itself:\n{tail(process.log)}")
        if time.monotonic() > deadline:  # noqa: TID251 - real programs take real time
            logs = "".join(f"\n--- {each.name}:\n{tail(each.log)}" for each in processes)
            raise LabError(f"no sign of {what} within {timeout_seconds:.0f} s{logs}")
        time.sleep(POLL_SECONDS)  # noqa: TID251 - real programs take real time


def free_ports(count: int) -> tuple[int, ...]:
    """Return distinct loopback ports that nobody listens on.

    They lie below the range from which Linux takes the near ends of outgoing connections (32768 and
    up), else a connection of one lab program could sit on the port that the next one is to open. Where
    the search begins depends on the pid, so that labs started at the same moment do not meet.
    """
    first, last = 20_000, 32_000
    offset = os.getpid() * 64 % (last - first)
    found: list[int] = []
    for step in range(last - first):
        port = first + (offset + step) % (last - first)
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return tuple(found)
    raise LabError(f"no {count} free ports between {first} and {last} on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
