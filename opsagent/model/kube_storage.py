"""Claims, volumes and classes of storage. ``storage_class`` None: not said, so the default; empty: none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opsagent.model.kube_meta import Condition, LabelSelector, ObjectMeta
from opsagent.model.kube_pod import NodeTerm


@dataclass(frozen=True, slots=True)
class PersistentVolumeClaim:
    """v1 PersistentVolumeClaim. Quantities as written; ``capacity`` is what it got."""

    meta: ObjectMeta
    storage_class: str | None = None
    access_modes: tuple[str, ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)
    selector: LabelSelector | None = None
    volume_name: str = ""
    volume_mode: str = "Filesystem"
    phase: str = ""
    capacity: Mapping[str, str] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class PersistentVolume:
    """v1 PersistentVolume. ``claim_*``: whom it is bound to or kept for. ``node_terms``: where it can be reached.

    ``type`` is the API's field of its source (``csi``, ``nfs``, ``hostPath``, ...), whose details are left out.
    """

    meta: ObjectMeta
    storage_class: str = ""
    access_modes: tuple[str, ...] = ()
    capacity: Mapping[str, str] = field(default_factory=dict)
    volume_mode: str = "Filesystem"
    reclaim_policy: str = "Retain"
    type: str = ""
    node_terms: tuple[NodeTerm, ...] = ()
    claim_namespace: str = ""
    claim_name: str = ""
    claim_uid: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class StorageClass:
    """storage.k8s.io/v1 StorageClass. ``binding_mode``: ``Immediate`` or ``WaitForFirstConsumer``."""

    meta: ObjectMeta
    provisioner: str = ""
    reclaim_policy: str = "Delete"
    binding_mode: str = "Immediate"
    may_expand: bool = False
    is_default: bool = False
