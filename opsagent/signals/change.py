"""Two observations of one Deployment -> the changes that somebody made between them.

Only what a person or a program *writes* is a change: the pod template, the replicas, the object's birth
and end. Status is never one. Values are those of redacted objects, so an environment value shows as its
keyed hash. A template that differs only in fields that are not decoded shows as ``spec.template``.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opsagent.model.canonical import content_id
from opsagent.model.kube import Container, Deployment, FieldManager, entity_of
from opsagent.model.signal import Change, ChangeType

TEXT_LENGTH_MAX = 200  # of an old or new value: an image reference with its digest fits
TEMPLATE = "spec.template"
REPLICAS = "spec.replicas"


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field that differs; ``old`` or ``new`` is empty where the field is absent."""

    path: str
    old: str
    new: str


def changes(
    old: Deployment | None, new: Deployment | None, at: dt.datetime, pointer: str
) -> tuple[Change, ...]:
    """Return what was changed from ``old`` to ``new``, template first.

    Args:
        old: the observation before, None if there was none.
        new: the observation now, None if the object is gone.
        at: when ``new`` (or the absence) was observed. A change carries the instant of the write
            instead, where managedFields tell a believable one.
        pointer: the raw row of the observation.
    """
    if old is not None and new is not None and old.meta.uid != new.meta.uid:
        return changes(old, None, at, pointer) + changes(None, new, at, pointer)
    if new is None:
        if old is None:
            return ()
        ended = FieldDifference("", _images(old), "")
        return (_change(ChangeType.DELETED, old, ended, at, pointer),)
    if old is None:
        created = FieldDifference("", "", _images(new))
        return (_change(ChangeType.CREATED, new, created, new.meta.created_at or at, pointer),)
    return _edits(old, new, _when(old, new, at), pointer)


def _edits(old: Deployment, new: Deployment, at: dt.datetime, pointer: str) -> tuple[Change, ...]:
    found = tuple(
        _change(ChangeType.ROLLOUT, new, difference, at, pointer)
        for difference in template_differences(old, new)
    )
    if old.replicas_desired == new.replicas_desired:
        return found
    scaled = FieldDifference(REPLICAS, str(old.replicas_desired), str(new.replicas_desired))
    return (*found, _change(ChangeType.SCALE, new, scaled, at, pointer))


def template_differences(old: Deployment, new: Deployment) -> tuple[FieldDifference, ...]:
    """Return the fields of the pod template that differ, in the order of the containers."""
    found = tuple(container_differences(old.containers, new.containers))
    if not found and old.template_digest != new.template_digest:
        return (FieldDifference(TEMPLATE, old.template_digest, new.template_digest),)
    return found


def container_differences(
    old: tuple[Container, ...], new: tuple[Container, ...]
) -> Iterator[FieldDifference]:
    """Yield the decoded fields that differ: containers of ``new`` in their order, then those that went."""
    before = {container.name: container for container in old}
    after = {container.name: container for container in new}
    for name in [*after, *(name for name in before if name not in after)]:
        path = f"{TEMPLATE}.spec.containers[{name}]"
        left, right = before.get(name), after.get(name)
        if left is not None and right is not None:
            yield from _container(path, left, right)
        else:
            yield FieldDifference(path, left.image if left else "", right.image if right else "")


def _container(path: str, old: Container, new: Container) -> Iterator[FieldDifference]:
    if old.image != new.image:
        yield FieldDifference(f"{path}.image", old.image, new.image)
    old_env = {env.name: env.value or env.source for env in old.env}
    new_env = {env.name: env.value or env.source for env in new.env}
    yield from _mapping(f"{path}.env", old_env, new_env)
    yield from _mapping(f"{path}.resources.requests", old.requests, new.requests)
    yield from _mapping(f"{path}.resources.limits", old.limits, new.limits)
    if (old.readiness_probe is None) != (new.readiness_probe is None):
        texts = [
            "" if each is None else "present" for each in (old.readiness_probe, new.readiness_probe)
        ]
        yield FieldDifference(f"{path}.readinessProbe", *texts)


def _mapping(
    path: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[FieldDifference]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield FieldDifference(f"{path}[{name}]", old.get(name, ""), new.get(name, ""))


def _writer(item: Deployment) -> FieldManager | None:
    """Return who wrote the spec last; the API server stamps whole seconds, later entries win ties."""
    spec = [each for each in item.meta.managers if each.subresource != "status" and each.at]
    return max(reversed(spec), key=_stamp, default=None)


def _stamp(manager: FieldManager) -> dt.datetime:
    assert manager.at is not None  # entries without one are left out before
    return manager.at


def _when(old: Deployment, new: Deployment, at: dt.datetime) -> dt.datetime:
    """Return the instant of the write: not after it was seen, not before the write it replaced."""
    last, before = _writer(new), _writer(old)
    if last is None or _stamp(last) > at:
        return at
    if before is not None and _stamp(last) < _stamp(before):
        return at
    return _stamp(last)


def _images(item: Deployment) -> str:
    return ", ".join(container.image for container in item.containers)


def _change(
    change_type: ChangeType,
    item: Deployment,
    difference: FieldDifference,
    at: dt.datetime,
    pointer: str,
) -> Change:
    """Make the change; its id names the object's version and the field, so one write seen twice is one."""
    identity = [item.meta.uid, item.meta.resource_version, change_type, difference.path]
    writer = None if change_type is ChangeType.DELETED else _writer(item)
    return Change(
        change_id=content_id("chg", identity),
        at=at,
        entity=entity_of(item),
        type=change_type,
        path=difference.path,
        old=difference.old[:TEXT_LENGTH_MAX],
        new=difference.new[:TEXT_LENGTH_MAX],
        manager="" if writer is None else writer.manager,
        revision=item.revision,
        pointer=pointer,
    )
