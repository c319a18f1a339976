"""A compromised model server: whatever it calls, nothing but the one possible plan for the own workload comes of it."""

import json
from collections.abc import Sequence
from functools import partial

from hypothesis import given, strategies as st

from opsagent.model.entity import Entity, Ref
from opsagent.model.plan import RolloutUndo
from opsagent.model.transcript import Finish, Mode, Prompt, ToolCall, Turn
from opsagent.ports import Advice
from opsagent.responder.budget import Budget
from opsagent.responder.investigator import ModelInvestigator, RulesInvestigator
from opsagent.responder.rules import propose_revision
from opsagent.responder.step import Means
from opsagent.tools import toolset
from tests.fakes.investigation import BOOK, WORLD, Clock, LogReader, OneBook, incident, inventory_of
from tests.fakes.objects import WEB, after
from tests.fakes.transcripts import MemoryTranscripts
from tests.fakes.virtual_time import run

NAMES = (
    "objects",
    "events",
    "topology",
    "logs",
    "metrics",
    "propose_plan",
    "kubectl",
    "exec",
    "",
    "<|im_end|>",
)
WORDS = (
    *("web", "cart", "shop", "kube-system", "Deployment", "Secret", "Pod", "web-rs2-1", "coredns"),
    *("rollout_undo", "scale", "delete", "rm -rf /", "../..", "<|im_end|>", "", "cpu"),
)
KEYS = (
    *(
        "kind",
        "namespace",
        "name",
        "pod",
        "container",
        "previous",
        "lines",
        "action",
        "to_revision",
    ),
    *("reason", "uid", "image", "command", "measure", "minutes", "hops", "replicas"),
)
values = (
    st.sampled_from(WORDS) | st.integers(-3, 5) | st.booleans() | st.none() | st.text(max_size=8)
)
objects = st.dictionaries(st.sampled_from(KEYS), values, max_size=9).map(json.dumps)
near = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["rollout_undo", "scale"]),
        "kind": st.sampled_from(["Deployment", "Pod"]),
        "namespace": st.sampled_from(["shop", "kube-system"]),
        "name": st.sampled_from(["web", "cart"]),
        "to_revision": st.integers(-1, 4),
        "reason": st.text(min_size=1, max_size=30),
    }
).map(json.dumps)
calls = st.builds(ToolCall, st.sampled_from(NAMES), objects | near | st.text(max_size=20))
turns = st.lists(
    st.builds(
        Turn,
        text=st.sampled_from(WORDS),
        calls=st.lists(calls, max_size=6).map(tuple),
        finish=st.sampled_from([Finish.TOOL_CALLS] * 3 + list(Finish)),
    ),
    min_size=1,
    max_size=6,
)


class LyingModel:
    """Says what it was dealt, then the last for ever."""

    name = "lying"

    def __init__(self, dealt: Sequence[Turn]) -> None:
        self._dealt = list(dealt)

    async def complete(self, _prompt: Prompt) -> Turn:
        return self._dealt.pop(0) if len(self._dealt) > 1 else self._dealt[0]


@given(turns)
def test_no_call_of_any_shape_leads_anywhere_else(dealt: list[Turn]) -> None:
    reader = LogReader()

    async def scene() -> Advice:
        propose = partial(propose_revision, runbooks=(BOOK,))
        tools = toolset(inventory_of(WORLD), reader, propose)
        means = Means(LyingModel(dealt), tools, Mode.INSTANT, Budget(), Clock())
        rules = RulesInvestigator(OneBook())
        investigator = ModelInvestigator(means, MemoryTranscripts(), rules, lambda _: WORLD)
        return await investigator.investigate(incident(), WORLD, after(30))

    advice = run(scene())
    assert advice.proposal is not None
    assert advice.proposal.action == RolloutUndo(Ref(WEB, "uid-web"), 1)
    assert advice.proposal.incident_id == "inc_1"
    assert len(advice.notes) == 1
    pods = {pod.meta.name for pod in WORLD.pods}
    for asked in reader.asked:
        assert isinstance(asked["pod"], Entity)
        assert asked["pod"].name in pods
