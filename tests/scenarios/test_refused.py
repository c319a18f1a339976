"""What stops a plan: nobody's answer, no right, a changed object, a late click. Nothing is written then."""

from collections.abc import Callable
from pathlib import Path

import pytest

from opsagent.model.incident import EntryKind
from tests.fakes.virtual_time import run
from tests.lab.fixture import Lab
from tests.scenarios.places import box, real
from tests.scenarios.script import check, load
from tests.scenarios.stage import Player

Over = Callable[[Player], bool]


def upon(kind: EntryKind) -> Over:
    return lambda player: player.has_seen(kind)


def answered(player: Player) -> bool:
    return bool(player.answers)


# scenario -> when it is over, the rule that refused the click ("" if the click itself counted)
CASES: dict[str, tuple[Over, str]] = {
    "nobody_answers": (upon(EntryKind.EXPIRED), ""),
    "no_right": (answered, "right.missing"),
    "denied": (upon(EntryKind.DENIED), ""),
    "changed_object": (upon(EntryKind.REFUSED), ""),
    "too_late": (answered, "plan.decided"),  # by the clock: its state is expired
}


@pytest.mark.parametrize("name", CASES)
def test_in_the_box(name: str, tmp_path: Path) -> None:
    over, rule = CASES[name]

    async def scene() -> None:
        scenario = load(f"refused/{name}")
        async with box() as stage:
            player = Player(scenario, stage, tmp_path)
            check(scenario, player.seen, await player.play(over))
        assert [answer.rule for answer in player.answers if not answer.is_accepted] == (
            [rule] if rule else []
        )

    run(scene())


@pytest.mark.lab
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["no_right", "denied", "changed_object"])
async def test_on_a_real_api_server(name: str, tmp_path: Path, lab: Lab) -> None:
    over, rule = CASES[name]
    scenario = load(f"refused/{name}")
    async with real(lab) as stage:
        player = Player(scenario, stage, tmp_path)
        check(scenario, player.seen, await player.play(over))
    assert [answer.rule for answer in player.answers if not answer.is_accepted] == (
        [rule] if rule else []
    )
