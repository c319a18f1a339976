"""From what a client sends to what is stored: metadata, generation, ownership, preconditions.

Pure functions; the store gives uid and resource version. Dry run stops right after them.
"""

from opsagent.sim.defaults import fill_defaults, validate
from opsagent.sim.errors import conflict, invalid
from opsagent.sim.ownership import Write, entry_of, managed_fields
from opsagent.sim.resources import (
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    Resource,
)
from opsagent.sim.values import Obj, copy_of, stamp

_CLIENT_META = ("name", "namespace", "generateName", "labels", "annotations", "ownerReferences")
_FIXED_META = (
    "name", "namespace", "generateName", "uid", "creationTimestamp", "generation",
    "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip
_WITHOUT_GENERATION = (EVENTS, LEASES, NAMESPACES, NODES)


def _first_status(resource: Resource, item: Obj) -> None:
    """Set the status that a new object starts with."""
    if resource is PODS:
        item["status"] = {"phase": "Pending", "qosClass": _qos_class(item)}
    elif resource is NAMESPACES:
        item["status"] = {"phase": "Active"}
    elif resource is DISRUPTION_BUDGETS:
        counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        item["status"] = dict.fromkeys(counts, 0)
    elif "status" in resource.subresources and resource is not NODES:
        item["status"] = {}


def _qos_class(pod: Obj) -> str:
    """Source: the rules of Pod Quality of Service Classes, for cpu and memory."""
    parts = [container.get("resources", {}) for container in pod["spec"]["containers"]]
    both = {"cpu", "memory"}
    if not any(part.get("requests") or part.get("limits") for part in parts):
        return "BestEffort"
    is_equal = all(
        part.get("requests") == part.get("limits") and both <= part.get("limits", {}).keys()
        for part in parts
    )
    return "Guaranteed" if is_equal else "Burstable"


def _typed(resource: Resource, item: Obj) -> Obj:
    """Return ``item`` with its kind and version in front."""
    typed: Obj = {"kind": resource.kind, "apiVersion": resource.api_version}
    return typed | item


def prepare_create(resource: Resource, sent: Obj, uid: str, write: Write) -> Obj:
    """Return what a create would store, without resource version.

    Raises:
        StatusError: 422.
    """
    item = copy_of(sent)
    meta = item.get("metadata", {})
    if not meta.get("name"):
        causes = [("metadata.name", "Required value: name or generateName is required")]
        raise invalid(resource, "", causes)
    item["metadata"] = {key: meta[key] for key in _CLIENT_META if key in meta}
    item["metadata"] |= {"uid": uid, "creationTimestamp": stamp(write.at)}
    if resource not in _WITHOUT_GENERATION:
        item["metadata"]["generation"] = 1
    item = _typed(resource, item)
    fill_defaults(resource, item)
    validate(resource, item, None)
    _first_status(resource, item)
    item["metadata"]["managedFields"] = managed_fields(None, item, write)
    return item


def prepare_update(resource: Resource, old: Obj, sent: Obj, write: Write) -> Obj:
    """Return what an update would store, without its new resource version; ``old`` itself if nothing changes.

    Raises:
        StatusError: 409 the writer's version or uid is not the stored one, 422 broken rules.
    """
    was, meta = old["metadata"], sent.get("metadata", {})
    if meta.get("resourceVersion", was["resourceVersion"]) not in {"", was["resourceVersion"]}:
        raise conflict(resource, was["name"])
    if meta.get("uid", was["uid"]) != was["uid"]:
        raise conflict(resource, was["name"])
    if write.subresource == "status":
        new = _updated_status(resource, old, copy_of(sent))
    else:
        new = _updated_main(resource, old, copy_of(sent))
    if new == old and not _claims_more(old, write):
        return old
    new["metadata"] = dict(new["metadata"])
    if write.subresource != "status" and _starts_generation(resource, old, new):
        new["metadata"]["generation"] = was.get("generation", 0) + 1
    new["metadata"]["managedFields"] = managed_fields(old, new, write)
    return new


def _claims_more(old: Obj, write: Write) -> bool:
    """Say whether an apply names other fields than its manager did before."""
    if write.applied is None:
        return False
    entry = entry_of(old, write)
    return entry is None or entry["fieldsV1"] != write.applied


def _updated_status(resource: Resource, old: Obj, new: Obj) -> Obj:
    """Return ``old`` with the status of ``new``; a Deployment's annotations can be written with it."""
    status = {"status": new.get("status", {})}
    if resource is not DEPLOYMENTS:
        return old | status
    meta = {key: value for key, value in old["metadata"].items() if key != "annotations"}
    annotations = new["metadata"].get("annotations")
    return old | status | {"metadata": meta | ({"annotations": annotations} if annotations else {})}


def _updated_main(resource: Resource, old: Obj, new: Obj) -> Obj:
    """Return ``new`` with everything that a main write may not touch taken from ``old``."""
    was, meta = old["metadata"], new.setdefault("metadata", {})
    kept = {key: meta[key] for key in _CLIENT_META if key in meta}
    fixed = {key: was[key] for key in _FIXED_META if key in was}
    rest = {key: was[key] for key in ("resourceVersion", "managedFields") if key in was}
    sent_version = {"resourceVersion": meta.get("resourceVersion", "")}
    new = _typed(resource, new)
    if "status" in resource.subresources:
        new.pop("status", None)
        new |= {"status": old["status"]} if "status" in old else {}
    fill_defaults(resource, new)
    new["metadata"] = kept | fixed | sent_version
    validate(resource, new, old)
    new["metadata"] = kept | fixed | rest
    return new


def _starts_generation(resource: Resource, old: Obj, new: Obj) -> bool:
    """Say whether the write is a new generation. A Deployment's also rises with its annotations."""
    if "generation" not in old["metadata"]:
        return False
    if old.get("spec") != new.get("spec"):
        return True
    annotations = (item["metadata"].get("annotations") for item in (old, new))
    return resource is DEPLOYMENTS and next(annotations) != next(annotations)
