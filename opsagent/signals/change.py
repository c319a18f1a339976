"""Two observations of one object -> the changes that somebody made between them.

Only what a person or a program *writes* is a change: the fields of ``difference``, the object's birth and
end. Status is never one, nor an object of a kind that only controllers write. The writer of a field is the
newest manager that managedFields know to own it and that wrote after the observation before; where they do
not tell, the newest that wrote anything but status.
"""

import datetime as dt
import re
from itertools import islice

from opsagent.model.canonical import content_id
from opsagent.model.kube import (
    Deployment,
    FieldManager,
    Job,
    KubeObject,
    ObjectMeta,
    entity_of,
)
from opsagent.model.signal import Change, ChangeType
from opsagent.signals.difference import FieldDifference, differences, is_written, summary

TEXT_LENGTH_MAX = 200  # of an old or new value: an image reference with its digest fits
CHANGES_MAX = 40  # of one observation; who writes more at once has written another object
_MEMBER = re.compile(r"\[[^\]]*\]")


def changes(
    old: KubeObject | None, new: KubeObject | None, at: dt.datetime, pointer: str
) -> tuple[Change, ...]:
    """Return what was changed from ``old`` to ``new``, template first; no more than 40.

    Args:
        old: the observation before, None if there was none.
        new: the observation now, None if the object is gone.
        at: when ``new`` (or the absence) was observed. A change carries the instant of the write
            instead, where managedFields tell a believable one.
        pointer: the raw row of the observation.
    """
    if old is not None and new is not None:
        if old.meta.uid != new.meta.uid:
            return changes(old, None, at, pointer) + changes(None, new, at, pointer)
        return _edits(old, new, at, pointer)
    item = new or old
    if item is None or not is_written(item) or _is_run(item):
        return ()
    if new is None:
        ended = FieldDifference(ChangeType.DELETED, "", summary(item), "")
        return (_change(item, ended, None, at, pointer),)
    created = FieldDifference(ChangeType.CREATED, "", "", summary(item))
    return (_change(item, created, _writer(item.meta), item.meta.created_at or at, pointer),)


def _is_run(item: KubeObject) -> bool:
    """Return whether it is one of many runs that a CronJob or another controller starts."""
    return isinstance(item, Job) and item.meta.owner is not None


def _edits(old: KubeObject, new: KubeObject, at: dt.datetime, pointer: str) -> tuple[Change, ...]:
    if not is_written(new) or type(old) is not type(new):
        return ()
    found: list[Change] = []
    for difference in islice(differences(old, new), CHANGES_MAX):
        writer = _writer_of(difference.path, old.meta, new.meta)
        found.append(_change(new, difference, writer, _when(old.meta, writer, at), pointer))
    return tuple(found)


def _writer_of(path: str, old: ObjectMeta, new: ObjectMeta) -> FieldManager | None:
    """Return who wrote the field at ``path`` after ``old`` was written."""
    before = _writer(old)
    plain = f"{_MEMBER.sub('', path)}."
    owners = [
        each
        for each in _writers(new)
        if any(plain.startswith(f"{own}.") or f"{own}.".startswith(plain) for own in each.owns)
        and (before is None or _stamp(each) >= _stamp(before))
    ]
    return _newest(owners) or _writer(new)


def _writers(meta: ObjectMeta) -> list[FieldManager]:
    return [each for each in meta.managers if each.subresource != "status" and each.at]


def _writer(meta: ObjectMeta) -> FieldManager | None:
    """Return who wrote anything but status last."""
    return _newest(_writers(meta))


def _newest(managers: list[FieldManager]) -> FieldManager | None:
    """Return the newest; the API server stamps whole seconds, later entries win ties."""
    return max(reversed(managers), key=_stamp, default=None)


def _stamp(manager: FieldManager) -> dt.datetime:
    assert manager.at is not None  # entries without one are left out before
    return manager.at


def _when(old: ObjectMeta, writer: FieldManager | None, at: dt.datetime) -> dt.datetime:
    """Return the instant of the write: not after it was seen, not before the write it replaced."""
    before = _writer(old)
    if writer is None or _stamp(writer) > at:
        return at
    if before is not None and _stamp(writer) < _stamp(before):
        return at
    return _stamp(writer)


def _change(
    item: KubeObject,
    difference: FieldDifference,
    writer: FieldManager | None,
    at: dt.datetime,
    pointer: str,
) -> Change:
    """Make the change; its id names the object's version and the field, so one write seen twice is one."""
    meta = item.meta
    identity = [meta.uid, meta.resource_version, difference.type, difference.path]
    return Change(
        change_id=content_id("chg", identity),
        at=at,
        entity=entity_of(item),
        type=difference.type,
        path=difference.path,
        old=difference.old[:TEXT_LENGTH_MAX],
        new=difference.new[:TEXT_LENGTH_MAX],
        manager="" if writer is None else writer.manager,
        revision=item.revision if isinstance(item, Deployment) else 0,
        pointer=pointer,
    )
