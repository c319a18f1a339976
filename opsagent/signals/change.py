"""Two observations of one object -> the changes that somebody made between them.

Only what a person or a program *writes* is a change: the fields of ``difference``, the object's birth and
end. Status is never one, nor an object of a kind that only controllers write. The writer of a field is who owns
it by managedFields; of a field that nobody owns, because it was taken away or because they do not tell, the
newest whose entry is new since the observation before.
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
from opsagent.model.quick import quick
from opsagent.model.signal import Change, ChangeType
from opsagent.signals.difference import FieldDifference, differences, is_written, summary

TEXT_LENGTH_MAX = 200  # of an old or new value: an image reference with its digest fits
CHANGES_MAX = 40  # of one observation; who writes more at once has written another object
_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)
_Change = quick(Change)
_MEMBER = re.compile(
    r"\[[^\]]*(?:\]|\Z)"
)  # one that never ends too, or each bracket would be tried


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
    """Return who wrote the field at ``path`` after ``old`` was written, None if nothing tells."""
    plain = _MEMBER.sub("", path)
    writers = [each for each in new.managers if each.subresource != "status"]
    fresh = [each for each in writers if each not in old.managers]
    owners = [each for each in writers if any(_is_below(plain, own) for own in each.owns)]
    if owners:
        return _newest([each for each in owners if each in fresh] or owners)
    # Nobody owns a field that was taken away. Only who wrote near it may have done that.
    return _newest([each for each in fresh if not each.owns or _is_near(plain, each.owns)])


def _is_below(path: str, own: str) -> bool:
    """Return whether one of the two is the other, or below it."""
    return f"{path}.".startswith(f"{own}.") or f"{own}.".startswith(f"{path}.")


def _is_near(path: str, owns: tuple[str, ...]) -> bool:
    return path.partition(".")[0] in {own.partition(".")[0] for own in owns}


def _writer(meta: ObjectMeta) -> FieldManager | None:
    """Return who wrote anything but status last."""
    return _newest([each for each in meta.managers if each.subresource != "status" and each.at])


def _newest(managers: list[FieldManager]) -> FieldManager | None:
    """Return the newest; the API server stamps whole seconds, later entries win ties. Undated ones are the last resort.

    The API server dates no writes of the scale subresource.
    """
    return max(reversed(managers), key=lambda each: each.at or _NEVER, default=None)


def _when(old: ObjectMeta, writer: FieldManager | None, at: dt.datetime) -> dt.datetime:
    """Return the instant of the write: not after it was seen, not before the write it replaced."""
    before = _writer(old)
    if writer is None or writer.at is None or writer.at > at:
        return at
    if before is not None and before.at is not None and writer.at < before.at:
        return at
    return writer.at


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
    return _Change(
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
