"""A Deployment with everything that belongs to it, as detection, incidents and responder look at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opsagent.model.entity import Entity
from opsagent.model.kube import Deployment, KubeEvent, Pod, ReplicaSet
from opsagent.model.signal import Change


@dataclass(frozen=True, slots=True)
class Workload:
    """One Deployment joined with what it owns.

    ``replica_sets``: highest revision first. ``pods``: of all its ReplicaSets, by name. ``events``:
    about any of these objects, newest first, bounded. ``changes``: of the Deployment, newest first,
    bounded. ``pointers``: entity -> pointer of its newest raw row.
    """

    deployment: Deployment
    replica_sets: tuple[ReplicaSet, ...] = ()
    pods: tuple[Pod, ...] = ()
    events: tuple[KubeEvent, ...] = ()
    changes: tuple[Change, ...] = ()
    pointers: Mapping[Entity, str] = field(default_factory=dict)
