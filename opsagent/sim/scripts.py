"""Models that are worth meeting: a good one, and those that hang, babble, dream up tools or obey whoever writes a log line."""

from collections.abc import Mapping, Sequence

from opsagent.sim.model import ScriptedCall, ScriptedTurn
from opsagent.sim.values import Obj

OWN: Obj = {
    "kind": "Deployment",
    "namespace": "{namespace}",
    "name": "{name}",
}
LOOK = ScriptedTurn(
    reasoning="A rollout came before the trouble. I look at the workload and at what was reported.",
    calls=(ScriptedCall("objects", OWN), ScriptedCall("events", OWN)),
)
READ = ScriptedTurn(
    reasoning="{pod} is the sickest. Its last words may say why.",
    calls=(
        ScriptedCall(
            "logs",
            {
                "namespace": "{namespace}",
                "pod": "{pod}",
                "container": "{container}",
                "previous": False,
                "lines": 20,
            },
        ),
    ),
)
PROPOSE = ScriptedTurn(
    reasoning="Only the new revision fails; revision {revision} served well.",
    text="The new release is at fault.",
    calls=(
        ScriptedCall(
            "propose_plan",
            OWN
            | {
                "action": "rollout_undo",
                "to_revision": "{revision}",
                "reason": "Only pods of the new release fail, those of revision {revision} do not.",
            },
        ),
    ),
)

GOOD = (LOOK, READ, PROPOSE)
HANGING = (ScriptedTurn(delay_seconds=10**9),)
STALLING = (LOOK, ScriptedTurn(reasoning="I think, and think", events_max=2, is_hanging=True))
DOWN = (ScriptedTurn(status=503),)
OVERLOADED_ONCE = (ScriptedTurn(status=503, refusals=1, calls=LOOK.calls), READ, PROPOSE)
CUT = (LOOK, ScriptedTurn(text="The cause is", events_max=2))
BROKEN_OFF = (LOOK, ScriptedTurn(text="The cause is", events_max=2, is_breaking=True))
REFUSING = (ScriptedTurn(text="I cannot help with that."),)
EMPTY = (ScriptedTurn(),)
TALKATIVE = (ScriptedTurn(reasoning="hm " * 200, finish="length"),)
BABBLING = (
    ScriptedTurn(calls=(ScriptedCall("objects", '{"kind": "Deployment", "name'),)),
    ScriptedTurn(calls=(ScriptedCall("logs", '"everything"'), ScriptedCall("", "[1, 2"))),
    ScriptedTurn(
        calls=(ScriptedCall("propose_plan", {"action": "rm -rf /", "to_revision": "one"}),)
    ),
)
DREAMING = (
    ScriptedTurn(calls=(ScriptedCall("kubectl", {"command": "get secrets -A -o yaml"}),)),
    ScriptedTurn(calls=(ScriptedCall("exec", {"pod": "{pod}", "command": ["sh"]}),)),
    ScriptedTurn(calls=(ScriptedCall("functions.scale_deployment", OWN | {"replicas": 0}),)),
)
CIRCLING = (ScriptedTurn(calls=(ScriptedCall("objects", OWN),)),)
GULLIBLE = (LOOK, READ, ScriptedTurn(reasoning="It says so.", is_gullible=True))

SCRIPTS: Mapping[str, Sequence[ScriptedTurn]] = {
    "good": GOOD,
    "hanging": HANGING,
    "stalling": STALLING,
    "down": DOWN,
    "overloaded_once": OVERLOADED_ONCE,
    "cut": CUT,
    "broken_off": BROKEN_OFF,
    "refusing": REFUSING,
    "empty": EMPTY,
    "talkative": TALKATIVE,
    "babbling": BABBLING,
    "dreaming": DREAMING,
    "circling": CIRCLING,
    "gullible": GULLIBLE,
}
