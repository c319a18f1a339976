"""The subject: the daemon as in production, which also notes every row that it committed.

``python -m tests.lab.storms.subject KUBECONFIG EXECUTOR_KUBECONFIG FOLDER`` keeps its state and its notes
(``seen.jsonl``) in FOLDER and runs until SIGTERM.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO

import msgspec

from opsagent.app import Daemon
from opsagent.clients.kube_transport import connect
from opsagent.controllers.pipeline import Step
from opsagent.model.kube import Pod
from opsagent.model.signal import RawRow, RowType
from opsagent.ports import Clock
from opsagent.runtime.clock import SystemClock
from opsagent.runtime.ids import SecureIds
from opsagent.runtime.retry import SystemChance
from opsagent.runtime.schedule import ApschedulerSchedule
from opsagent.runtime.telemetry import configure
from opsagent.settings import Settings
from opsagent.signals.redaction import redact_text
from opsagent.world import World
from tests.lab.storms.sighting import Sighting

NOTES = "seen.jsonl"


def note_into(file: IO[bytes], clock: Clock) -> Callable[[Step], None]:
    """Return a listener that writes down each committed row."""

    def note(step: Step) -> None:
        now = clock.now().timestamp()
        file.write(
            b"".join(msgspec.json.encode(sighting(row, now)) + b"\n" for row in step.batch.rows)
        )

    return note


def sighting(row: RawRow, committed_at: float = 0.0) -> Sighting:
    """Return what ``row`` says in the words that the witness uses."""
    at = row.at.timestamp()
    if row.item is None:
        return Sighting(at, row.kind, committed_at=committed_at)
    meta = row.item.meta
    return Sighting(
        at,
        row.kind,
        "/".join(filter(None, (meta.namespace, meta.name))),
        meta.uid,
        int(meta.resource_version),
        row.item.phase if isinstance(row.item, Pod) else "",
        row.type is RowType.DELETED,
        committed_at,
    )


async def main(kubeconfig: Path, executor: Path, folder: Path) -> None:
    """Run the daemon until SIGTERM."""
    clock = SystemClock()
    configure(clock, redact_text, is_json=True)
    async with AsyncExitStack() as stack:
        file = stack.enter_context((folder / NOTES).open("ab", buffering=0))
        transports = [await connect(path) for path in (kubeconfig, executor)]
        for transport in transports:
            stack.push_async_callback(transport.aclose)
        world = World(
            clock=clock,
            chance=SystemChance(),
            ids=SecureIds(),
            schedule=ApschedulerSchedule,
            cluster=transports[0],
            hands=transports[1],
            listeners=(note_into(file, clock),),
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(Daemon(Settings(state_dir=folder), world).run())
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)


if __name__ == "__main__":
    asyncio.run(main(*map(Path, sys.argv[1:4])))
