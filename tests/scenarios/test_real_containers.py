"""The same files again, with nothing pretended: real containers on a real node, their real words and ends.

The stuck rollout is left out: no container of it ever starts, so a pretended node shows all there is.
"""

from pathlib import Path

import pytest

from opsagent.model.alert import EvidenceKind
from opsagent.model.incident import Incident, IncidentState
from tests.lab.fixture import Lab
from tests.lab.image import CRASH_LINE, OOM_LINE
from tests.scenarios.places import real
from tests.scenarios.script import check, load
from tests.scenarios.stage import Player

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(300, func_only=True),
    pytest.mark.usefixtures("real_node"),
]


def is_resolved(player: Player) -> bool:
    return player.state is IncidentState.RESOLVED


async def played(fault: str, lab: Lab, folder: Path) -> Incident:
    """Play a scenario on the real node; return its one incident."""
    scenario = load(f"bad_rollout/{fault}")
    async with real(lab, "real") as stage:
        player = Player(scenario, stage, folder)
        ending = await player.play(is_resolved)
    check(scenario, player.seen, ending)
    return ending.incidents[0]


def logged(incident: Incident) -> str:
    """Return the log lines that support its diagnoses."""
    evidence = [each for diagnosis in incident.diagnoses for each in diagnosis.evidence]
    return "\n".join(each.text for each in evidence if each.kind is EvidenceKind.LOG)


async def test_a_crashing_container_is_quoted_without_its_secrets(lab: Lab, tmp_path: Path):
    said = logged(await played("crash_loop", lab, tmp_path))
    assert "FATAL: cannot open postgres://" in said
    assert "connection refused" in said
    assert "hunter2" in CRASH_LINE
    assert "hunter2" not in said


async def test_a_container_killed_for_its_memory_is_quoted(lab: Lab, tmp_path: Path):
    incident = await played("oom_kill", lab, tmp_path)
    assert OOM_LINE in logged(incident)
    seen = [each.text for diagnosis in incident.diagnoses for each in diagnosis.evidence]
    assert any("exit code 137 (OOMKilled)" in text for text in seen)


@pytest.mark.parametrize("fault", ["missing_image", "never_ready"])
async def test_a_container_that_does_not_serve_is_rolled_back(fault: str, lab: Lab, tmp_path: Path):
    await played(fault, lab, tmp_path)
