"""A bad rollout, from the first bad status to the verified rollback: one file, two clusters."""

from pathlib import Path

import pytest

from opsagent.model.incident import IncidentState
from tests.fakes.virtual_time import run
from tests.lab.fixture import Lab
from tests.scenarios.places import box, real
from tests.scenarios.script import check, load
from tests.scenarios.stage import Player

FAULTS = ("crash_loop", "missing_image", "oom_kill", "never_ready", "stuck_rollout")


def is_resolved(player: Player) -> bool:
    return player.state is IncidentState.RESOLVED


@pytest.mark.parametrize("fault", FAULTS)
def test_on_the_cluster_in_a_box(fault: str, tmp_path: Path) -> None:
    async def scene() -> None:
        scenario = load(f"bad_rollout/{fault}")
        async with box() as stage:
            player = Player(scenario, stage, tmp_path)
            ending = await player.play(is_resolved)
        check(scenario, player.seen, ending)

    run(scene())


@pytest.mark.lab
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS)
async def test_on_a_real_api_server(fault: str, tmp_path: Path, lab: Lab) -> None:
    scenario = load(f"bad_rollout/{fault}")
    async with real(lab) as stage:
        player = Player(scenario, stage, tmp_path)
        ending = await player.play(is_resolved)
    check(scenario, player.seen, ending)
