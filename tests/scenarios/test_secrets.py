"""Four thousand secrets in the log of a crashing container, and some in its template: none is found in any place to look.

Each line bears a mark of its own, and each place has to show what is not secret: so nothing passes by being empty.
The executor's own database is the one exception, and only for the template: to put it back it has to have it whole.
"""

import json
import random
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import cramjam
import pytest

from opsagent.model.incident import IncidentState
from opsagent.sim import ImageBehaviour, ImageRegistry
from opsagent.sim.model import ScriptedModel
from opsagent.sim.scripts import SCRIPTS
from opsagent.store.raw_block import opened
from tests.corpus.canaries import FORMS, Canary, planted
from tests.fakes.virtual_time import run
from tests.scenarios.places import box
from tests.scenarios.script import check, load
from tests.scenarios.stage import Player

OF_EACH_FORM = 200
ZSTD = b"\x28\xb5\x2f\xfd"


def canaries(count: int) -> list[Canary]:
    rng = random.Random(5)
    return [planted(rng, form) for form in sorted(FORMS) for _ in range(count)]


def printing(secrets: list[Canary]) -> ImageRegistry:
    """Return a registry of whose crashing images each prints all of them, each time that it starts."""
    lines = tuple(f"step{number} {each.text}" for number, each in enumerate(secrets))
    crashing = ImageBehaviour(exit_code=1, ready_after_seconds=None, log_lines=lines)
    return ImageRegistry(
        repositories=frozenset({"shop/web", "shop/cart"}), by_tag_ending={"-crash": crashing}
    )


class Careless(Player):
    """Brings secrets into the template as well, in the clear, with the bad release."""

    in_template: list[Canary]

    async def patch(self, deployment: str, container: Mapping[str, object]) -> None:
        """Add what nobody should write there."""
        texts = [each.text for each in self.in_template]
        env = [{"name": f"SETTING_{n}", "value": text} for n, text in enumerate(texts)]
        await super().patch(deployment, {**container, "env": env, "args": texts})


def databases(state: Path) -> tuple[list[Path], list[Path]]:
    """Return the executor's, and all others."""
    everyone = sorted(state.rglob("*.db"))
    ours = [path for path in everyone if path.name == "executor.db"]
    return ours, [path for path in everyone if path not in ours]


def rows(paths: Iterable[Path]) -> Iterator[str]:
    """Yield every value in databases, unpacked."""
    for path in paths:
        with closing(sqlite3.connect(path)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    yield from map(packed if table == "log_blocks" else plain, row)


def plain(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    begin = value.find(ZSTD, 0, 16)  # a checksum may come first
    unpacked = value if begin < 0 else bytes(cramjam.zstd.decompress(value[begin:]))
    return unpacked.decode(errors="replace")


def packed(value: object) -> str:
    """Return what a block of log entries holds: its numbers and ids stand apart from its words."""
    if not isinstance(value, bytes):
        return str(value)
    block = opened(value)
    return "\n".join(str(block.row(place)) for place in range(len(block)))


async def places(state: Path, secrets: list[Canary]) -> dict[str, str]:
    """Play the crash loop with a good model; return all text that is to be found afterwards, by place."""
    scenario, model = load("bad_rollout/crash_loop"), ScriptedModel(SCRIPTS["good"])
    async with box(printing(secrets)) as stage:
        player = Careless(scenario, stage, state, model)
        player.in_template = secrets[::OF_EACH_FORM]
        ending = await player.play(lambda player: player.state is IncidentState.RESOLVED)
    check(scenario, player.seen, ending)
    executors, others = databases(state)
    return {
        "databases": "\n".join(rows(others)),
        "executor": "\n".join(rows(executors)),
        "prompts": json.dumps(model.requests),
        "messages": str(list(player.notifier.received.values())),
        "incidents": str(ending.incidents),
    }


@pytest.mark.timeout(120)
def test_no_secret_is_found_in_any_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = canaries(OF_EACH_FORM)
    found = run(places(tmp_path, secrets)) | {"log": "".join(capsys.readouterr())}
    marks = [f"step{number}" for number in range(len(secrets))]
    assert not [mark for mark in marks if mark not in found["databases"]]
    for place, sign in (
        ("executor", "SETTING_0"),
        ("prompts", marks[-1]),
        ("messages", "SETTING_0"),
        ("incidents", "SETTING_0"),
        ("log", "lease.acquired"),
    ):
        assert sign in found[place], place
    for place, text in found.items():
        known = set(secrets[::OF_EACH_FORM]) if place == "executor" else set()
        leaked = [
            each.text
            for each in secrets
            if each not in known and any(part in text for part in each.secrets)
        ]
        assert not leaked, f"{len(leaked)} in {place}: {leaked[:5]}"
