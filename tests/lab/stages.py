"""How a kwok pod behaves, decided by the tag of its image.

kwok moves a pod along *stages*: the one whose condition holds is applied after its delay. Without a
special tag kwok's own stages make a pod Ready at once. An image whose tag ends in one of these fails:

====================  ==============================================================================
``-crash``            runs 1 to 2 s, exits 1; restarted at once, then CrashLoopBackOff between runs
``-oom``              the same, but killed for its memory: OOMKilled, exit 137
``-missing``          ErrImagePull and ImagePullBackOff in turn; never starts
``-slow``             runs, but its readiness probe never succeeds
====================  ==============================================================================

A fault hangs on the image alone, so putting the old image back heals, as in life. A failing container
without a readiness probe is Ready while it runs, so its rollout goes on; with a probe it never is, so
its rollout stops at the first pods: also as in life. Only the back-off is shorter than the kubelet's.
Other containers of the same pod run on undisturbed.
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
    status, ``$name`` and ``.image`` the container's, ``$meta`` the pod's metadata. ``phase`` is the pod's.
    """

    name: str
    when: str
    delay_milliseconds: tuple[int, int]
    state: str
    last_state: str = "{}"
    restart_count: str = "0"
    event: Event | None = None
    is_ready: bool = False
    phase: str = "Running"


_UNSTARTED = ".state == null"
_RUNNING = "{running: {startedAt: {{ $now | quote }}}}"
_JUST_ENDED = "{terminated: {{ $was.state.terminated | toJson }}}"
_SAME_LAST = "{{ $was.lastState | toJson }}"
_SAME_COUNT = "{{ $was.restartCount }}"
_NEXT_COUNT = "{{ add $was.restartCount 1 }}"
_STARTED = ("Normal", "Started", "Started container")


def _waiting(reason: str, message: str) -> str:
    return f"{{waiting: {{reason: {reason}, message: {{{{ {message} | quote }}}}}}}}"


def _restarting(exit_code: int, reason: str) -> tuple[Step, ...]:
    """Return the life of a container that ends again and again; the first restart is immediate."""
    ended = (
        f"{{terminated: {{exitCode: {exit_code}, reason: {reason}, "
        "startedAt: {{ $was.state.running.startedAt | quote }}, finishedAt: {{ $now | quote }}}}"
    )
    why = 'printf "back-off 10s restarting failed container=%s pod=%s_%s(%s)"'
    back_off = _waiting("CrashLoopBackOff", f"{why} $name $meta.name $meta.namespace $meta.uid")
    reported = ("Warning", "BackOff", "Back-off restarting failed container")
    at_first = ".state.terminated and .restartCount == 0"
    later = ".state.terminated and .restartCount > 0"

    def run_again(name: str, when: str, delay: tuple[int, int], last_state: str) -> Step:
        return Step(
            name, when, delay, _RUNNING, last_state, _NEXT_COUNT, event=_STARTED, is_ready=True
        )

    return (
        Step("start", _UNSTARTED, (300, 300), _RUNNING, event=_STARTED, is_ready=True),
        Step("end", ".state.running", (1000, 2000), ended, _SAME_LAST, _SAME_COUNT),
        run_again("restart", at_first, (300, 300), _JUST_ENDED),
        Step("back-off", later, (300, 300), back_off, _JUST_ENDED, _SAME_COUNT, event=reported),
        run_again("try-again", ".state.waiting", (5000, 8000), _SAME_LAST),
    )


def _unpullable() -> tuple[Step, ...]:
    """Return the life of a container whose image the registry does not have."""
    error = _waiting("ErrImagePull", 'printf "failed to resolve reference %q: not found" .image')
    back_off = _waiting("ImagePullBackOff", 'printf "Back-off pulling image %q" .image')
    failed = ("Warning", "Failed", "Failed to pull image: not found")
    backing_off = ("Normal", "BackOff", "Back-off pulling image")
    in_error = '.state.waiting.reason == "ErrImagePull"'
    in_back_off = '.state.waiting.reason == "ImagePullBackOff"'
    return (
        Step("pull", _UNSTARTED, (300, 300), error, event=failed, phase="Pending"),
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
    SLOW: (Step("start", _UNSTARTED, (300, 300), _RUNNING, event=_UNHEALTHY),),
}

# @WORD@ is filled in per step. kwok merges the result into the status: conditions by their type,
# containerStatuses as a whole. Conditions are given only when readiness changes, so that they keep the
# time at which it did.
_STATUS = """
{{ $now := Now }}
{{ $pod := . }}
{{ $meta := .metadata }}
{{ $ready := @READY@ }}
{{ $names := list }}
{{ range .spec.containers }}{{ if hasSuffix "@TAG@" .image }}
  {{ $names = append $names .name }}
  {{ if .readinessProbe }}{{ $ready = false }}{{ end }}
{{ end }}{{ end }}
{{ $word := ternary "True" "False" $ready }}
{{ $before := "" }}
{{ range .status.conditions }}{{ if eq .type "Ready" }}{{ $before = .status }}{{ end }}{{ end }}
phase: @PHASE@
startTime: {{ or .status.startTime $now | quote }}
{{ with NodeIPWith .spec.nodeName }}
hostIP: {{ . | quote }}
{{ end }}
podIP: {{ or .status.podIP (PodIPWith .spec.nodeName false $meta.uid $meta.name $meta.namespace) | quote }}
{{ if ne $word $before }}
conditions:
- type: Initialized
  status: "True"
  lastTransitionTime: {{ or .status.startTime $now | quote }}
{{ range list "Ready" "ContainersReady" }}
- type: {{ . }}
  status: {{ $word | quote }}
  lastTransitionTime: {{ $now | quote }}
  reason: {{ if $ready }}null{{ else }}ContainersNotReady{{ end }}
  message: {{ if $ready }}null{{ else }}"containers with unready status: [{{ join " " $names }}]"{{ end }}
{{ end }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
{{ $name := .name }}
{{ $was := dict "restartCount" 0 "lastState" (dict) }}
{{ range $pod.status.containerStatuses }}{{ if eq .name $name }}{{ $was = . }}{{ end }}{{ end }}
- name: {{ $name | quote }}
  image: {{ .image | quote }}
  imageID: ""
{{ if hasSuffix "@TAG@" .image }}
  ready: {{ $ready }}
  started: @STARTED@
  restartCount: @RESTART_COUNT@
  state: @STATE@
  lastState: @LAST_STATE@
{{ else }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ or $pod.status.startTime $now | quote }}}}
{{ end }}
{{ end }}
"""


def _template(tag: str, step: Step) -> str:
    words = {
        "PHASE": step.phase,
        "TAG": tag,
        "READY": json.dumps(step.is_ready),
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
