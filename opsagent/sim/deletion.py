"""Deleting: pods gracefully, what they own in turn, everything else at once."""

import datetime as dt

from opsagent.sim.resources import DEPLOYMENTS, NAMESPACES, PODS, REPLICA_SETS, STORED, Resource
from opsagent.sim.store import ObjectStore
from opsagent.sim.values import Obj

_DEPENDENTS = {DEPLOYMENTS.plural: REPLICA_SETS, REPLICA_SETS.plural: PODS}


def delete(
    store: ObjectStore, resource: Resource, item: Obj, now: dt.datetime, grace: int | None = None
) -> Obj:
    """Delete ``item`` and return its last state.

    A pod on a node is only marked: its kubelet stops it and then takes it out. ``grace`` is in
    seconds, None for the pod's own; 0 takes it out at once.
    """
    if resource is PODS and item["spec"].get("nodeName"):
        own = item["spec"]["terminationGracePeriodSeconds"]
        if (patience := own if grace is None else grace) > 0:
            return store.mark_deleting(resource, item, patience, now)
    if resource is NAMESPACES:
        _empty(store, item["metadata"]["name"], now)
    return store.remove(resource, item, now)


def delete_dependents(store: ObjectStore, resource: Resource, uid: str, now: dt.datetime) -> None:
    """Delete what the object with ``uid``, which is gone, owned."""
    if dependents := _DEPENDENTS.get(resource.plural):
        for item in store.owned_by(dependents, uid):
            delete(store, dependents, item, now)


def _empty(store: ObjectStore, namespace: str, now: dt.datetime) -> None:
    for resource in STORED:
        for item in store.objects(resource, namespace):
            store.remove(resource, item, now)
