"""Pods: from ``kube_struct_pod`` to the model's values. See ``kube_convert``. This is the hottest path of all."""

from opsagent.clients import kube_struct_pod as struct
from opsagent.clients.kube_convert import bare_meta, conditions, utc
from opsagent.clients.kube_shared_spec import spec_of
from opsagent.model import kube
from opsagent.model.quick import quick

_Pod = quick(kube.Pod)
_ContainerStatus = quick(kube.ContainerStatus)
_ContainerState = quick(kube.ContainerState)
_NO_STATUS = struct.PodStatus()
_RUNNING, _TERMINATED = kube.Phase.RUNNING, kube.Phase.TERMINATED
# The API: "If none of them is specified, the default one is ContainerStateWaiting."
_WAITING = kube.ContainerState(kube.Phase.WAITING)


def pod(item: struct.Pod) -> kube.Pod:
    """Convert a v1 Pod."""
    status = item.status or _NO_STATUS
    node_name, spec = spec_of(item.spec, item.metadata.generate_name or "")
    return _Pod(
        bare_meta(item.metadata),
        node_name,
        spec.containers,
        status.phase or "",
        status.reason or "",
        conditions(status.conditions),
        _statuses(status.container_statuses),
        _statuses(status.init_container_statuses),
        spec.rest,
        status.message or "",
        status.pod_ip or "",
        status.qos_class or "",
        utc(status.start_time),
    )


def _statuses(items: list[struct.ContainerStatus] | None) -> tuple[kube.ContainerStatus, ...]:
    if not items:
        return ()
    return tuple(
        [
            _ContainerStatus(
                entry.name,
                bool(entry.ready),
                entry.restart_count or 0,
                _state(entry.state) or _WAITING,
                _state(entry.last_state),
            )
            for entry in items
        ]
    )


def _state(state: struct.ContainerState | None) -> kube.ContainerState | None:
    if state is None:
        return None
    if state.running is not None:
        return _state_of(_RUNNING, state.running)
    if state.terminated is not None:
        return _state_of(_TERMINATED, state.terminated)
    if state.waiting is not None:
        return _state_of(kube.Phase.WAITING, state.waiting)
    return None


def _state_of(phase: kube.Phase, detail: struct.StateDetail) -> kube.ContainerState:
    return _ContainerState(
        phase,
        detail.reason or "",
        detail.message or "",
        detail.exit_code,
        detail.started_at and utc(detail.started_at),
        detail.finished_at and utc(detail.finished_at),
    )
