"""JSON shapes of claims, volumes and storage classes; see ``kube_struct``.

Source: Kubernetes API reference, core/v1, storage.k8s.io/v1.
"""

# ruff: noqa: D101 - the classes are the API's own; its reference describes them
from opsagent.clients.kube_struct import Condition, LabelSelector, Object, Struct, Texts
from opsagent.clients.kube_struct_pod import Anything, NodeSelector
from opsagent.clients.kube_struct_workload import ClaimSpec


class FullClaimSpec(ClaimSpec):
    selector: LabelSelector | None = None
    volume_name: str | None = None
    volume_mode: str | None = None


class ClaimStatus(Struct):
    phase: str | None = None
    capacity: Texts | None = None
    conditions: list[Condition] | None = None


class PersistentVolumeClaim(Object):
    spec: FullClaimSpec | None = None
    status: ClaimStatus | None = None


class ClaimRef(Struct):
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None


class VolumeAffinity(Struct):
    required: NodeSelector | None = None


class VolumeSpec(Struct):
    """The sources are told apart by name alone."""

    storage_class_name: str | None = None
    access_modes: list[str] | None = None
    capacity: Texts | None = None
    volume_mode: str | None = None
    persistent_volume_reclaim_policy: str | None = None
    node_affinity: VolumeAffinity | None = None
    claim_ref: ClaimRef | None = None
    csi: Anything | None = None
    nfs: Anything | None = None
    host_path: Anything | None = None
    local: Anything | None = None
    iscsi: Anything | None = None
    fc: Anything | None = None


class VolumeStatus(Struct):
    phase: str | None = None
    reason: str | None = None
    message: str | None = None


class PersistentVolume(Object):
    spec: VolumeSpec | None = None
    status: VolumeStatus | None = None


class StorageClass(Object):
    provisioner: str | None = None
    reclaim_policy: str | None = None
    volume_binding_mode: str | None = None
    allow_volume_expansion: bool | None = None
