"""``python -m tests.lab.recordings``: record scenarios on a real API server for tests that need none.

Each is played whole, rollback included, in a namespace of its own on a lab of its own, while ``record``
writes down what the API server says, as ``opsagent record`` would. The result replaces
``tests/recordings/<name>``; ``tests/scenarios/test_recordings.py`` replays it.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from opsagent.clients.kube_transport import connect
from opsagent.model.incident import IncidentState
from opsagent.record import Source, Wish, record
from opsagent.runtime.clock import SystemClock
from opsagent.runtime.ids import SecureIds
from opsagent.runtime.retry import SystemChance
from opsagent.sources.recording import OBJECTS_FILE
from tests.lab.cluster import IDENTITIES, down, up
from tests.lab.fixture import Lab
from tests.scenarios.places import real
from tests.scenarios.script import check, load
from tests.scenarios.stage import Player, until

FOLDER = Path(__file__).parents[1] / "recordings"
SCENARIOS = ("crash_loop", "never_ready")


async def record_scenario(name: str, lab: Lab, folder: Path, state: Path) -> None:
    """Play the scenario and record it into ``folder``.

    Raises:
        AssertionError: it did not end as its file says; nothing should be kept then.
    """
    scenario = load(f"bad_rollout/{name}")
    stop = asyncio.Event()
    transport = await connect(lab.reader)
    try:
        async with real(lab) as stage, asyncio.TaskGroup() as group:
            key = SecureIds().token().encode()
            source = Source(transport, SystemClock(), SystemChance(), key)
            wish = Wish(folder, namespaces=(stage.namespace,))
            group.create_task(record(wish, source, stop, print))

            async def has_begun() -> bool:
                path = folder / OBJECTS_FILE
                return path.exists() and b"SYNCED" in path.read_bytes()

            await until(has_begun)
            player = Player(scenario, stage, state)
            ending = await player.play(lambda each: each.state is IncidentState.RESOLVED)
            stop.set()
    finally:
        await transport.aclose()
    check(scenario, player.seen, ending)


def main() -> int:
    """Record every scenario; return the exit status."""
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        cluster = up(work / "lab")
        try:
            lab = Lab(
                cluster=cluster,
                admin=cluster.kubeconfig(),
                reader=cluster.kubeconfig("opsagent"),
                executor=cluster.kubeconfig("opsagent-executor"),
                audit_log=cluster.audit_log,
                alice_token=cluster.token("alice", IDENTITIES["alice"]),
                bob_token=cluster.token("bob", IDENTITIES["bob"]),
            )
            for name in SCENARIOS:
                asyncio.run(record_scenario(name, lab, work / name, work / f"{name}.state"))
                shutil.rmtree(FOLDER / name, ignore_errors=True)
                shutil.copytree(work / name, FOLDER / name)
        finally:
            down(work / "lab")
    return 0


if __name__ == "__main__":
    sys.exit(main())
