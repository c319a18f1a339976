"""Events as components report them: counted when they repeat, limited when they flood, gone after an hour.

Two spellings exist in life and both reach a reader: kubelet and controllers count
(``count``, ``firstTimestamp``, ``lastTimestamp``), the scheduler writes a series (``eventTime``,
``series``). Source: client-go tools/record (burst 25, one more each 300 s per source and object)
and tools/events; the hour is kube-apiserver's ``--event-ttl``.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass

from opsagent.sim.ownership import Write
from opsagent.sim.resources import EVENTS
from opsagent.sim.store import ObjectStore
from opsagent.sim.timers import Timers
from opsagent.sim.values import Obj, copy_of, micro_stamp, stamp

EVENT_TTL = dt.timedelta(hours=1)
BURST = 25
REFILL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports: a component, on a host if it lives on one. ``writes_series`` as the scheduler does."""

    component: str
    host: str = ""
    writes_series: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What is reported. ``field_path`` names the part of the object, empty for the whole."""

    type: str
    reason: str
    message: str
    field_path: str = ""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: dt.datetime


class EventRecorder:
    """Writes Events into the store."""

    def __init__(self, store: ObjectStore, timers: Timers) -> None:
        self._store = store
        self._timers = timers
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}
        self.suppressed_total = 0

    def report(self, reporter: Reporter, about: Obj, what: Report, now: dt.datetime) -> None:
        """Write or count up the Event; one over the limit is only counted in ``suppressed_total``."""
        meta = about["metadata"]
        if not self._admits((reporter.component, reporter.host, meta["uid"]), now):
            self.suppressed_total += 1
            return
        identity = (reporter.component, reporter.host, meta["uid"], *_words(what))
        digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16]
        namespace, name = meta.get("namespace") or "default", f"{meta['name']}.{digest}"
        write = Write(reporter.component, now)
        known = self._store.find(EVENTS, namespace, name)
        if known is None:
            item = _event(reporter, about, what, now)
            item["metadata"] = {"name": name, "namespace": namespace}
            self._store.create(EVENTS, item, write)
        else:
            self._store.update(EVENTS, _repeated(known, now), write)
        self._timers.set(("event", namespace, name), now + EVENT_TTL)

    def expire(self, namespace: str, name: str, now: dt.datetime) -> None:
        """Remove an Event whose time is over."""
        known = self._store.find(EVENTS, namespace, name)
        if known is not None:
            self._store.remove(EVENTS, known, now)

    def forget(self, uid: str) -> None:
        """Drop the limits of an object that is gone."""
        for key in [key for key in self._buckets if key[2] == uid]:
            del self._buckets[key]

    def _admits(self, key: tuple[str, str, str], now: dt.datetime) -> bool:
        bucket = self._buckets.setdefault(key, _Bucket(BURST, now))
        gained = (now - bucket.at).total_seconds() / REFILL_SECONDS
        bucket.tokens, bucket.at = min(bucket.tokens + gained, BURST), now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _words(what: Report) -> tuple[str, ...]:
    return what.type, what.reason, what.message, what.field_path


def _event(reporter: Reporter, about: Obj, what: Report, now: dt.datetime) -> Obj:
    meta = about["metadata"]
    involved = {
        "kind": about["kind"],
        "namespace": meta.get("namespace", ""),
        "name": meta["name"],
        "uid": meta["uid"],
        "apiVersion": about["apiVersion"],
        "resourceVersion": meta["resourceVersion"],
        "fieldPath": what.field_path,
    }
    source = {"component": reporter.component, "host": reporter.host}
    item: Obj = {
        "involvedObject": {key: value for key, value in involved.items() if value},
        "reason": what.reason,
        "message": what.message,
        "type": what.type,
        "reportingComponent": reporter.component,
        "reportingInstance": reporter.host,
    }
    if reporter.writes_series:
        times: Obj = {"eventTime": micro_stamp(now), "action": "Scheduling", "source": {}}
        return item | times | {"firstTimestamp": None, "lastTimestamp": None}
    times = {"firstTimestamp": stamp(now), "lastTimestamp": stamp(now), "count": 1}
    named_source = {key: value for key, value in source.items() if value}
    return item | times | {"eventTime": None, "source": named_source}


def _repeated(known: Obj, now: dt.datetime) -> Obj:
    item = copy_of(known)
    if item["eventTime"] is None:
        item["count"] += 1
        item["lastTimestamp"] = stamp(now)
    else:
        count = item.get("series", {}).get("count", 1) + 1
        item["series"] = {"count": count, "lastObservedTime": micro_stamp(now)}
    return item
