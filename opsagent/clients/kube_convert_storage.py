"""Claims, volumes and classes: from ``kube_struct_storage`` to the model's values. See ``kube_convert``."""

from opsagent.clients import kube_struct_storage as struct
from opsagent.clients.kube_convert import conditions, meta, selector, texts
from opsagent.clients.kube_convert_spec import node_terms
from opsagent.model import kube

DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_SOURCES = (
    ("csi", "csi"),
    ("nfs", "nfs"),
    ("hostPath", "host_path"),
    ("local", "local"),
    ("iscsi", "iscsi"),
    ("fc", "fc"),
)


def persistent_volume_claim(item: struct.PersistentVolumeClaim) -> kube.PersistentVolumeClaim:
    """Convert a v1 PersistentVolumeClaim."""
    spec = item.spec or struct.FullClaimSpec()
    status = item.status or struct.ClaimStatus()
    return kube.PersistentVolumeClaim(
        meta(item.metadata),
        storage_class=spec.storage_class_name,
        access_modes=tuple(spec.access_modes or ()),
        requests=texts(spec.resources.requests if spec.resources else None),
        selector=selector(spec.selector),
        volume_name=spec.volume_name or "",
        volume_mode=spec.volume_mode or "Filesystem",
        phase=status.phase or "",
        capacity=texts(status.capacity),
        conditions=conditions(status.conditions),
    )


def persistent_volume(item: struct.PersistentVolume) -> kube.PersistentVolume:
    """Convert a v1 PersistentVolume."""
    spec = item.spec or struct.VolumeSpec()
    status = item.status or struct.VolumeStatus()
    claim = spec.claim_ref or struct.ClaimRef()
    kinds = [word for word, field in _SOURCES if getattr(spec, field) is not None]
    return kube.PersistentVolume(
        meta(item.metadata),
        storage_class=spec.storage_class_name or "",
        access_modes=tuple(spec.access_modes or ()),
        capacity=texts(spec.capacity),
        volume_mode=spec.volume_mode or "Filesystem",
        reclaim_policy=spec.persistent_volume_reclaim_policy or "Retain",
        type=kinds[0] if kinds else "",
        node_terms=node_terms(spec.node_affinity.required if spec.node_affinity else None),
        claim_namespace=claim.namespace or "",
        claim_name=claim.name or "",
        claim_uid=claim.uid or "",
        phase=status.phase or "",
        reason=status.reason or "",
        message=status.message or "",
    )


def storage_class(item: struct.StorageClass) -> kube.StorageClass:
    """Convert a storage.k8s.io/v1 StorageClass."""
    about = meta(item.metadata)
    return kube.StorageClass(
        about,
        provisioner=item.provisioner or "",
        reclaim_policy=item.reclaim_policy or "Delete",
        binding_mode=item.volume_binding_mode or "Immediate",
        may_expand=bool(item.allow_volume_expansion),
        is_default=any(about.annotations.get(name) == "true" for name in DEFAULT_ANNOTATIONS),
    )
