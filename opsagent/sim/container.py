"""One container on one node: pull, run, become ready, exit, wait, run again.

Theory. A small machine on given time. ``step(now)`` does what is due and returns what there is to
report; ``next_due`` says when to call again. Its times are the kubelet's: an image pull or a crash
backs off 10 s, doubling to 300 s; the first restart is immediate; ten quiet minutes forgive.
Source: kubelet's MaxContainerBackOff and image back-off; the state names are the API's.
"""

import datetime as dt
from collections.abc import Callable
from enum import StrEnum

from opsagent.sim.events import Report
from opsagent.sim.images import HEALTHY, ImageBehaviour
from opsagent.sim.logs import ContainerLog
from opsagent.sim.quantities import parse_quantity
from opsagent.sim.values import Obj, seconds, stamp, uid_of

BACKOFF_FIRST_SECONDS = 10.0
BACKOFF_MAX_SECONDS = 300.0
FORGIVEN_AFTER = seconds(600)
SYNC = seconds(15)  # how often a waiting container is looked at and its back-off reported again
SHOWN = seconds(2)  # how long a failed pull or an exit is shown before its back-off is
OOM_EXIT_CODE = 137  # 128 + SIGKILL


class Step(StrEnum):
    """Where a container is."""

    NEW = "new"
    PULLING = "pulling"
    PULL_FAILED = "pull_failed"
    PULL_BACKOFF = "pull_backoff"
    RUNNING = "running"
    EXITED = "exited"
    CRASH_BACKOFF = "crash_backoff"


def _longer(delay_seconds: float) -> float:
    return min(max(BACKOFF_FIRST_SECONDS, 2 * delay_seconds), BACKOFF_MAX_SECONDS)


def _duration(delay_seconds: float) -> str:
    """Return a duration as Go prints it."""
    minutes, rest = divmod(int(delay_seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


class ContainerRun:
    """A container's life on its node. ``pod`` is ``name_namespace(uid)``, as messages show it."""

    def __init__(
        self,
        pod: str,
        spec: Obj,
        find_image: Callable[[str], ImageBehaviour | None],
        present: set[str],
    ) -> None:
        self.name: str = spec["name"]
        self.image: str = spec["image"]
        self.state: Obj = {"waiting": {"reason": "ContainerCreating"}}
        self.last_state: Obj = {}
        self.is_ready = False
        self.restarts = 0
        self.log: ContainerLog | None = None
        self._earlier_log: ContainerLog | None = None
        self._printed = 0
        self.next_due: dt.datetime | None = None
        self._pod = pod
        self._spec = spec
        self._find_image = find_image
        self._present = present
        self._step = Step.NEW
        self._behaviour = ImageBehaviour()
        self._pull_delay = 0.0
        self._crash_delay = 0.0
        self._retry_at: dt.datetime | None = None
        self._started_at: dt.datetime | None = None
        self._exits_at: dt.datetime | None = None
        self._ready_at: dt.datetime | None = None
        self._probe_at: dt.datetime | None = None

    @property
    def has_started(self) -> bool:
        """Whether it has run at least once."""
        return self._started_at is not None

    @property
    def previous_log(self) -> ContainerLog | None:
        """The log of the run that ``last_state`` tells of, None if it tells of none."""
        return self.log if self._step is Step.CRASH_BACKOFF else self._earlier_log

    @property
    def container_id(self) -> str:
        """The runtime's name of the present or last instance, empty before the first."""
        if not self.has_started:
            return ""
        return f"containerd://{uid_of(self._pod, self.name, str(self.restarts))}"

    def step(self, now: dt.datetime) -> list[Report]:
        """Do what is due at ``now``; return what there is to report."""
        act = {
            Step.NEW: self._begin,
            Step.PULLING: self._end_pull,
            Step.PULL_FAILED: self._back_off_pull,
            Step.PULL_BACKOFF: self._wait_for_pull,
            Step.RUNNING: self._run_on,
            Step.EXITED: self._after_exit,
            Step.CRASH_BACKOFF: self._wait_for_restart,
        }[self._step]
        found = act(now)
        path = f"spec.containers{{{self.name}}}"
        return [Report(type_, reason, message, path) for type_, reason, message in found]

    def _begin(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        if self.image in self._present:
            return [self._already_present(), *self._start(now)]
        return self._pull(now)

    def _already_present(self) -> tuple[str, str, str]:
        return "Normal", "Pulled", f'Container image "{self.image}" already present on machine'

    def _pull(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        behaviour = self._find_image(self.image)
        wait = behaviour.pull_seconds if behaviour else HEALTHY.pull_seconds
        self._step, self.next_due = Step.PULLING, now + seconds(wait)
        return [("Normal", "Pulling", f'Pulling image "{self.image}"')]

    def _end_pull(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        behaviour = self._find_image(self.image)
        if behaviour is None:
            return self._fail_pull(now)
        self._present.add(self.image)
        took = f"{behaviour.pull_seconds:g}s"
        message = f'Successfully pulled image "{self.image}" in {took} ({took} including waiting).'
        return [("Normal", "Pulled", message), *self._start(now)]

    def _fail_pull(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        cause = (
            f'failed to pull and unpack image "{self.image}": failed to resolve reference '
            f'"{self.image}": {self.image}: not found'
        )
        message = f"rpc error: code = NotFound desc = {cause}"
        self.state = {"waiting": {"reason": "ErrImagePull", "message": message}}
        self._pull_delay = _longer(self._pull_delay)
        self._retry_at = now + seconds(self._pull_delay)
        self._step, self.next_due = Step.PULL_FAILED, now + SHOWN
        failed = f'Failed to pull image "{self.image}": {message}'
        return [("Warning", "Failed", failed), ("Warning", "Failed", "Error: ErrImagePull")]

    def _back_off_pull(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        message = f'Back-off pulling image "{self.image}"'
        self.state = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
        self._wait(Step.PULL_BACKOFF, now)
        return [("Normal", "BackOff", message), ("Warning", "Failed", "Error: ImagePullBackOff")]

    def _wait_for_pull(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        return self._pull(now) if self._is_over(now) else self._back_off_pull(now)

    def _start(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        behaviour = self._find_image(self.image)
        self._behaviour = behaviour if behaviour is not None else self._behaviour
        self._earlier_log, self.log, self._printed = self.log, ContainerLog(), 0
        self.log.write(now, *(text.encode() for text in self._behaviour.log_lines))
        self.state = {"running": {"startedAt": stamp(now)}}
        self._started_at, self._exits_at = now, None
        if self._behaviour.exit_code is not None or self._exceeds_limit():
            self._exits_at = now + seconds(self._behaviour.exits_after_seconds)
        self._plan_readiness(now)
        self._step = Step.RUNNING
        self._await_next()
        created = ("Normal", "Created", f"Created container: {self.name}")
        return [created, ("Normal", "Started", f"Started container {self.name}")]

    def _plan_readiness(self, now: dt.datetime) -> None:
        """Without a probe a running container is ready; with one, when its image is, if ever."""
        probe = self._spec.get("readinessProbe")
        self.is_ready = probe is None
        self._ready_at = self._probe_at = None
        if probe is None:
            return
        self._probe_at = now + seconds(max(1, probe.get("initialDelaySeconds", 0)))
        if self._behaviour.ready_after_seconds is not None:
            ready_at = now + seconds(self._behaviour.ready_after_seconds)
            self._ready_at = max(ready_at, self._probe_at)

    def _next_print_at(self) -> dt.datetime | None:
        prints = self._behaviour.prints
        if self._printed == len(prints) or self._started_at is None:
            return None
        return self._started_at + seconds(prints[self._printed][0])

    def _print(self, now: dt.datetime) -> None:
        while (at := self._next_print_at()) is not None and at <= now:
            assert self.log is not None
            self.log.write(at, self._behaviour.prints[self._printed][1].encode())
            self._printed += 1

    def stop(self) -> None:
        """End what it prints: it is asked to end, or gone."""
        if self.log is not None:
            self.log.end()

    def _run_on(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        self._print(now)
        if self._exits_at is not None and now >= self._exits_at:
            return self._exit(now)
        if self._ready_at is not None and now >= self._ready_at:
            self.is_ready, self._ready_at, self._probe_at = True, None, None
        found = []
        if self._probe_at is not None and now >= self._probe_at:
            self._probe_at = now + seconds(self._spec["readinessProbe"]["periodSeconds"])
            message = "Readiness probe failed: HTTP probe failed with statuscode: 503"
            found.append(("Warning", "Unhealthy", message))
        self._await_next()
        return found

    def _await_next(self) -> None:
        planned = (self._exits_at, self._ready_at, self._probe_at, self._next_print_at())
        self.next_due = min((at for at in planned if at is not None), default=None)

    def _exit(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        code, reason = self._behaviour.exit_code or 0, "Error"
        if self._exceeds_limit():
            code, reason = OOM_EXIT_CODE, "OOMKilled"
        elif code == 0:
            reason = "Completed"
        started_at = self._started_at
        assert started_at is not None
        self.state = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                "startedAt": stamp(started_at),
                "finishedAt": stamp(now),
                "containerID": self.container_id,
            }
        }
        self.is_ready = False
        self.stop()
        if now - started_at >= FORGIVEN_AFTER:
            self._crash_delay = 0.0
        self._retry_at = now + seconds(self._crash_delay)
        self._step, self.next_due = Step.EXITED, now + SHOWN
        return []

    def _after_exit(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        if self._is_over(now):
            return self._restart(now)
        self.last_state = self.state
        return self._back_off_crash(now)

    def _back_off_crash(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        where = f"restarting failed container={self.name} pod={self._pod}"
        message = f"back-off {_duration(self._crash_delay)} {where}"
        self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self._wait(Step.CRASH_BACKOFF, now)
        report = f"Back-off restarting failed container {self.name} in pod {self._pod}"
        return [("Warning", "BackOff", report)]

    def _wait_for_restart(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        return self._restart(now) if self._is_over(now) else self._back_off_crash(now)

    def _restart(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        if "terminated" in self.state:
            self.last_state = self.state
        self._crash_delay = _longer(self._crash_delay)
        self.restarts += 1
        return [self._already_present(), *self._start(now)]

    def _wait(self, step: Step, now: dt.datetime) -> None:
        assert self._retry_at is not None
        self._step, self.next_due = step, min(self._retry_at, now + SYNC)

    def _is_over(self, now: dt.datetime) -> bool:
        return self._retry_at is not None and now >= self._retry_at

    def _exceeds_limit(self) -> bool:
        limit = self._spec.get("resources", {}).get("limits", {}).get("memory")
        return limit is not None and self._behaviour.memory_bytes > parse_quantity(str(limit))
