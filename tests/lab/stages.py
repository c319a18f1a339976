"""How a kwok pod behaves, decided by the tag of its image.

kwok moves a pod along *stages*: the one whose condition holds is applied after its delay. Without a
special tag kwok's own stages make a pod Ready at once. An image whose tag ends in one of these fails:

====================  ==============================================================================
``-crash``            runs 1 to 2 s, exits 1; restarted at once, then CrashLoopBackOff between runs
``-oom``              the same, but killed for its memory: OOMKilled, exit 137
``-missing``          ErrImagePull and ImagePullBackOff in turn; never starts
``-slow``             runs, but its readiness probe never succeeds
====================  ==============================================================================

A fault hangs on the image alone, so putting the old image back heals, as in life. A pod whose container
starts is Ready until the container ends, also as in life: a rollout of a crashing image goes on.
Only the back-off is shorter than the kubelet's. Other containers of the same pod run on undisturbed.
A fifth fault, the stuck rollout, needs no stage: no node has the 64 CPUs that it asks for.
"""

import json
from dataclasses import dataclass

CRASH, OOM, MISSING, SLOW = FAULT_TAGS = ("-crash", "-oom", "-missing", "-slow")

Event = tuple[str, str, str]  # type, reason, message


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the faulty container.

    ``when`` is a jq condition on its status ({} while it has none). ``state``, ``last_state`` and
    ``restart_count`` are the new values, as templates: ``$now`` is the present instant, ``$was`` the old
    status. ``is_ready`` is None where readiness does not change, so that the pod's conditions keep the
    time at which it did. ``phase`` is the pod's.
    """

    name: str
    when: str
    delay_milliseconds: tuple[int, int]
    state: str
    last_state: str = "{}"
    restart_count: str = "0"
    event: Event | None = None
    is_ready: bool | None = None
    phase: str = "Running"


_UNSTARTED = ".state == null"
_RUNNING = "{running: {startedAt: {{ $now | Quote }}}}"
_JUST_ENDED = "{terminated: {{ $was.state.terminated | toJson }}}"
_SAME_LAST = "{{ $was.lastState | toJson }}"
_SAME_COUNT = "{{ $was.restartCount }}"
_NEXT_COUNT = "{{ add $was.restartCount 1 }}"
_STARTED = ("Normal", "Started", "Started container")


def _restarting(exit_code: int, reason: str) -> tuple[Step, ...]:
    """Return the life of a container that ends again and again; the first restart is immediate."""
    ended = (
        f"{{terminated: {{exitCode: {exit_code}, reason: {reason}, "
        "startedAt: {{ $was.state.running.startedAt | Quote }}, finishedAt: {{ $now | Quote }}}}"
    )
    back_off = (
        "{waiting: {reason: CrashLoopBackOff, message: back-off 10s restarting failed container}}"
    )
    return (
        Step("start", _UNSTARTED, (300, 300), _RUNNING, event=_STARTED, is_ready=True),
        Step("end", ".state.running", (1000, 2000), ended, _SAME_LAST, _SAME_COUNT, is_ready=False),
        Step(
            "restart",
            ".state.terminated and .restartCount == 0",
            (300, 300),
            _RUNNING,
            _JUST_ENDED,
            _NEXT_COUNT,
            event=_STARTED,
            is_ready=True,
        ),
        Step(
            "back-off",
            ".state.terminated and .restartCount > 0",
            (300, 300),
            back_off,
            _JUST_ENDED,
            _SAME_COUNT,
            event=("Warning", "BackOff", "Back-off restarting failed container"),
        ),
        Step(
            "try-again",
            ".state.waiting",
            (5000, 8000),
            _RUNNING,
            _SAME_LAST,
            _NEXT_COUNT,
            event=_STARTED,
            is_ready=True,
        ),
    )


def _unpullable() -> tuple[Step, ...]:
    """Return the life of a container whose image the registry does not have."""
    error = "{waiting: {reason: ErrImagePull, message: manifest unknown}}"
    back_off = "{waiting: {reason: ImagePullBackOff, message: Back-off pulling image}}"
    failed = ("Warning", "Failed", "Failed to pull image: manifest unknown")
    backing_off = ("Normal", "BackOff", "Back-off pulling image")
    in_error = '.state.waiting.reason == "ErrImagePull"'
    in_back_off = '.state.waiting.reason == "ImagePullBackOff"'
    return (
        Step("pull", _UNSTARTED, (300, 300), error, event=failed, is_ready=False, phase="Pending"),
        Step("back-off", in_error, (1500, 1500), back_off, event=backing_off, phase="Pending"),
        Step("try-again", in_back_off, (10_000, 10_000), error, event=failed, phase="Pending"),
    )


_UNHEALTHY = (
    "Warning",
    "Unhealthy",
    "Readiness probe failed: HTTP probe failed with statuscode: 503",
)

STEPS: dict[str, tuple[Step, ...]] = {
    CRASH: _restarting(1, "Error"),
    OOM: _restarting(137, "OOMKilled"),
    MISSING: _unpullable(),
    SLOW: (Step("start", _UNSTARTED, (300, 300), _RUNNING, event=_UNHEALTHY, is_ready=False),),
}

# @WORD@ is filled in per step. kwok merges the result into the status: conditions by their type,
# containerStatuses as a whole.
_STATUS = """
{{ $now := Now }}
{{ $pod := . }}
phase: @PHASE@
startTime: {{ or .status.startTime $now | Quote }}
{{ with NodeIPWith .spec.nodeName }}
hostIP: {{ . | Quote }}
{{ end }}
{{ $meta := .metadata }}
podIP: {{ or .status.podIP (PodIPWith .spec.nodeName false $meta.uid $meta.name $meta.namespace) | Quote }}
@CONDITIONS@
containerStatuses:
{{ range .spec.containers }}
{{ $name := .name }}
{{ $was := dict "restartCount" 0 "lastState" (dict) }}
{{ range $pod.status.containerStatuses }}{{ if eq .name $name }}{{ $was = . }}{{ end }}{{ end }}
- name: {{ $name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
{{ if hasSuffix "@TAG@" .image }}
  ready: @READY@
  started: @STARTED@
  restartCount: @RESTART_COUNT@
  state: @STATE@
  lastState: @LAST_STATE@
{{ else }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ or $pod.status.startTime $now | Quote }}}}
{{ end }}
{{ end }}
"""
_CONDITIONS = """
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ or .status.startTime $now | Quote }}}
- {type: Ready, lastTransitionTime: {{ $now | Quote }}, @FACTS@}
- {type: ContainersReady, lastTransitionTime: {{ $now | Quote }}, @FACTS@}
"""
_READY = 'status: "True", reason: null, message: null'
_NOT_READY = 'status: "False", reason: ContainersNotReady, message: containers with unready status'


def _template(tag: str, step: Step) -> str:
    conditions = ""
    if step.is_ready is not None:
        conditions = _CONDITIONS.replace("@FACTS@", _READY if step.is_ready else _NOT_READY)
    words = {
        "CONDITIONS": conditions,
        "PHASE": step.phase,
        "TAG": tag,
        "READY": json.dumps(step.is_ready is True),
        "STARTED": json.dumps(step.state == _RUNNING),
        "RESTART_COUNT": step.restart_count,
        "STATE": step.state,
        "LAST_STATE": step.last_state,
    }
    text = _STATUS
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _selector(tag: str, step: Step) -> str:
    """Return a jq program that is true for the pods to which the step applies."""
    faulty = f'select(.image | endswith("{tag}"))'
    return (
        ".metadata.deletionTimestamp == null"
        f" and ([.spec.containers[] | {faulty}] | length > 0)"
        f" and ([.status.containerStatuses[]? | {faulty}][0] // {{}} | ({step.when}) // false | . != false)"
    )


def _stage(tag: str, step: Step) -> dict[str, object]:
    shortest, longest = step.delay_milliseconds
    following: dict[str, object] = {"statusTemplate": _template(tag, step)}
    if step.event:
        following["event"] = dict(zip(("type", "reason", "message"), step.event, strict=True))
    is_next = {"key": _selector(tag, step), "operator": "In", "values": ["true"]}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": f"pod{tag}-{step.name}"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "weight": 1,  # kwok's own stages have 0, which loses to any other
            "selector": {"matchExpressions": [is_next]},
            "delay": {"durationMilliseconds": shortest, "jitterDurationMilliseconds": longest},
            "next": following,
        },
    }


def kwok_stages() -> str:
    """Return our stages as documents of a kwok configuration file."""
    stages = [_stage(tag, step) for tag, steps in STEPS.items() for step in steps]
    return "\n---\n".join(json.dumps(stage) for stage in stages)
