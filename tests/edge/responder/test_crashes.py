"""Kill an investigation at every point: it resumes, ends once, and runs no tool twice.

The file and the model's server outlive the process. Points lie before and after every access to the
transcript, every question to the model and every run of a tool.
"""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from opsagent.model.transcript import Called, Closed, Returned
from opsagent.ports import Advice
from opsagent.responder import history
from opsagent.responder.investigator import investigation_id
from opsagent.sim.scripts import DREAMING, GOOD
from tests.fakes.deployments import Fuse
from tests.fakes.investigation import Bench, incident
from tests.fakes.virtual_time import run

pytestmark = pytest.mark.timeout(60)


async def lives(bench: Bench, burns_at: list[int]) -> Advice:
    """Die at each of the given touches in turn, then live on in peace."""
    for point in burns_at:
        advice = await bench.advice(Fuse(point))
        if advice is not None:
            return advice
    advice = await bench.advice()
    assert advice is not None
    return advice


def points(bench: Bench) -> int:
    """Return how many points a life without a crash has."""
    fuse = Fuse()
    assert run(bench.advice(fuse)) is not None
    return fuse.touched


def check(bench: Bench, advice: Advice) -> None:
    """Hold what must be true after any crashes."""
    entries = run(bench.entries(investigation_id(incident())))
    asked_for = Counter((call.name, call.arguments) for call in history.calls(entries))
    assert not Counter(bench.runs) - asked_for, "a call was run twice"
    for kind in (Called, Returned):
        numbers = [each.number for each in entries if isinstance(each, kind)]
        assert len(numbers) == len(set(numbers))
    assert sum(1 for each in entries if isinstance(each, Closed)) == 1
    assert isinstance(entries[-1], Closed)
    assert not history.waiting(entries)
    assert bench.model.refused == []
    assert advice.proposal is not None
    assert advice.proposal.action.to_revision == 1
    assert len(advice.notes) == 1


def test_killed_once_at_every_point_the_model_still_has_its_say(tmp_path: Path) -> None:
    total = points(Bench(tmp_path / "0", GOOD))
    assert total > 40
    for point in range(1, total + 1):
        bench = Bench(tmp_path / str(point), GOOD)
        advice = run(lives(bench, [point]))
        check(bench, advice)
        assert advice.notes[0].startswith("Proposed by the model"), (point, advice.notes)


def test_killed_once_at_every_point_of_one_that_dreams_the_rules_answer(tmp_path: Path) -> None:
    total = points(Bench(tmp_path / "0", DREAMING))
    for point in range(1, total + 1):
        bench = Bench(tmp_path / str(point), DREAMING)
        advice = run(lives(bench, [point]))
        check(bench, advice)
        assert bench.runs == []
        assert advice.notes[0].startswith("By rules, because nothing that the model did")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(burns_at=st.lists(st.integers(1, 48), min_size=2, max_size=12))
def test_killed_again_and_again_no_tool_runs_twice(
    tmp_path_factory: pytest.TempPathFactory, burns_at: list[int]
) -> None:
    bench = Bench(tmp_path_factory.mktemp("lives"), GOOD)
    check(bench, run(lives(bench, burns_at)))
