"""An Alertmanager in a box: takes alerts and silences by API v2, groups, and says what it would post to a webhook.

Theory. Alerts are named by their labels and grouped by some of them. A group is flushed a ``group_wait``
after its first alert and every ``group_interval`` from then on; a flush is told to the webhook if an
alert in it is new, came back or ended since the last time, or if what fires was last told a
``repeat_interval`` ago. Muted alerts are as if they were not there. An alert that is not posted again
ends after ``resolve_timeout``. Source: prometheus.io/docs, "Alerting overview" and "configuration".

Sans-IO: it is given the time, and gives back bodies to send. What is not simulated: inhibition, routes,
several replicas.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from opsagent.ports import KubeAnswer
from opsagent.sim.values import Obj, encode, micro_stamp, parse_stamp, uid_of

ZERO = "0001-01-01T00:00:00Z"  # Source: Go's zero time, the endsAt of what still fires
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Timing:
    """When groups are told. Source of the defaults: Alertmanager's own, but for the shorter wait."""

    group_by: tuple[str, ...] = ("alertname", "namespace")
    group_wait: dt.timedelta = dt.timedelta(seconds=10)
    group_interval: dt.timedelta = dt.timedelta(seconds=300)
    repeat_interval: dt.timedelta = dt.timedelta(seconds=4 * 3600)
    resolve_timeout: dt.timedelta = dt.timedelta(seconds=300)


@dataclass(frozen=True, slots=True)
class _Held:
    """An alert as posted; it fires until ``ends_at``."""

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: dt.datetime
    ends_at: dt.datetime
    updated_at: dt.datetime
    generator: str


@dataclass(slots=True)
class _Group:
    """Alerts that are told together. ``told``: fingerprint -> whether it fired when last told."""

    labels: Mapping[str, str]
    flush_at: dt.datetime
    alerts: dict[str, _Held] = field(default_factory=dict)
    told: dict[str, bool] = field(default_factory=dict)
    told_at: dt.datetime | None = None


class Alertmanager:
    """See the module's docstring."""

    def __init__(self, timing: Timing | None = None, receiver: str = "opsagent") -> None:
        self._timing = timing or Timing()
        self._receiver = receiver
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._silences: dict[str, Obj] = {}

    # API v2

    def handle(self, method: str, path: str, body: bytes, now: dt.datetime) -> KubeAnswer:
        """Answer one request of API v2."""
        match method, path.strip("/").split("/"):
            case "POST", ["api", "v2", "alerts"]:
                for each in msgspec.json.decode(body):
                    self._post(each, now)
                return KubeAnswer(200, b"")
            case "GET", ["api", "v2", "alerts"]:
                return _json([self._standing(each, now) for each in self._firing(now)])
            case "POST", ["api", "v2", "silences"]:
                return _json({"silenceID": self._mute(msgspec.json.decode(body), now)})
            case "GET", ["api", "v2", "silences"]:
                return _json([self._silence(name, now) for name in self._silences])
            case "DELETE", ["api", "v2", "silence", name] if name in self._silences:
                self._silences[name]["endsAt"] = micro_stamp(now)
                return KubeAnswer(200, b"")
            case _:
                return KubeAnswer(404, b"404 page not found\n")

    def _post(self, sent: Obj, now: dt.datetime) -> None:
        labels: Mapping[str, str] = sent["labels"]
        fingerprint = _fingerprint(labels)
        timing = self._timing
        key = tuple(labels.get(name, "") for name in timing.group_by)
        grouped = {name: labels[name] for name in timing.group_by if name in labels}
        group = self._groups.setdefault(key, _Group(grouped, now + timing.group_wait))
        known = group.alerts.get(fingerprint)
        is_going_on = known is not None and known.ends_at > now
        starts_at = parse_stamp(sent["startsAt"]) if sent.get("startsAt") else now
        group.alerts[fingerprint] = _Held(
            fingerprint=fingerprint,
            labels=labels,
            annotations=sent.get("annotations", {}),
            starts_at=min(starts_at, known.starts_at) if known and is_going_on else starts_at,
            ends_at=parse_stamp(sent["endsAt"])
            if sent.get("endsAt")
            else now + timing.resolve_timeout,
            updated_at=now,
            generator=sent.get("generatorURL", ""),
        )

    def _firing(self, now: dt.datetime) -> list[_Held]:
        held = [each for group in self._groups.values() for each in group.alerts.values()]
        return [each for each in held if each.ends_at > now]

    def _standing(self, alert: _Held, now: dt.datetime) -> Obj:
        muting = self._muting(alert, now)
        state = "suppressed" if muting else "active"
        return {
            "annotations": dict(alert.annotations),
            "endsAt": micro_stamp(alert.ends_at),
            "fingerprint": alert.fingerprint,
            "receivers": [{"name": self._receiver}],
            "startsAt": micro_stamp(alert.starts_at),
            "status": {"inhibitedBy": [], "silencedBy": muting, "state": state},
            "updatedAt": micro_stamp(alert.updated_at),
            "generatorURL": alert.generator,
            "labels": dict(alert.labels),
        }

    def _mute(self, sent: Obj, now: dt.datetime) -> str:
        name = uid_of("silence", str(len(self._silences)))
        self._silences[name] = sent | {"id": name, "updatedAt": micro_stamp(now)}
        return name

    def _silence(self, name: str, now: dt.datetime) -> Obj:
        silence = self._silences[name]
        if parse_stamp(silence["endsAt"]) <= now:
            state = "expired"
        else:
            state = "active" if parse_stamp(silence["startsAt"]) <= now else "pending"
        matchers = [{"isEqual": True} | each for each in silence["matchers"]]
        return silence | {"matchers": matchers, "status": {"state": state}}

    def _muting(self, alert: _Held, now: dt.datetime) -> list[str]:
        """Return the silences that are active and match ``alert``."""
        found = [self._silence(name, now) for name in self._silences]
        return [
            silence["id"]
            for silence in found
            if silence["status"]["state"] == "active"
            and all(_matches(each, alert.labels) for each in silence["matchers"])
        ]

    # Webhook

    def next_due(self) -> dt.datetime | None:
        """Return when the next group is flushed, None if there is no group."""
        return min((group.flush_at for group in self._groups.values()), default=None)

    def flush(self, now: dt.datetime) -> list[bytes]:
        """Return the bodies that are to be posted now; they count as told."""
        bodies = []
        for key, group in list(self._groups.items()):
            if group.flush_at > now:
                continue
            group.flush_at = now + self._timing.group_interval
            shown = [each for each in group.alerts.values() if not self._muting(each, now)]
            if self._is_news(group, shown, now):
                bodies.append(encode(self._notice(group, shown, now)))
                group.told_at = now
                group.told = {each.fingerprint: each.ends_at > now for each in shown}
            ended = [name for name, each in group.alerts.items() if each.ends_at <= now]
            for name in ended:
                del group.alerts[name]
                group.told.pop(name, None)
            if not group.alerts:
                del self._groups[key]
        return bodies

    def _is_news(self, group: _Group, shown: list[_Held], now: dt.datetime) -> bool:
        for each in shown:
            is_firing = each.ends_at > now
            if is_firing and not group.told.get(each.fingerprint, False):
                return True
            if not is_firing and group.told.get(each.fingerprint, False):
                return True
        at = group.told_at
        is_due = at is None or now >= at + self._timing.repeat_interval
        return is_due and any(each.ends_at > now for each in shown)

    def _notice(self, group: _Group, shown: list[_Held], now: dt.datetime) -> Obj:
        alerts = [_told(each, now) for each in shown]
        is_firing = any(each["status"] == "firing" for each in alerts)
        grouped = ", ".join(f'{name}="{text}"' for name, text in sorted(group.labels.items()))
        return {
            "receiver": self._receiver,
            "status": "firing" if is_firing else "resolved",
            "alerts": alerts,
            "groupLabels": dict(group.labels),
            "commonLabels": _common([each.labels for each in shown]),
            "commonAnnotations": _common([each.annotations for each in shown]),
            "externalURL": "http://sim-alertmanager:9093",
            "version": "4",
            "groupKey": f"{{}}:{{{grouped}}}",
            "truncatedAlerts": 0,
        }


def _told(alert: _Held, now: dt.datetime) -> Obj:
    is_firing = alert.ends_at > now
    return {
        "status": "firing" if is_firing else "resolved",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": micro_stamp(alert.starts_at),
        "endsAt": ZERO if is_firing else micro_stamp(alert.ends_at),
        "generatorURL": alert.generator,
        "fingerprint": alert.fingerprint,
    }


def _common(texts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the pairs that all have."""
    first, *others = texts
    return {
        name: text for name, text in first.items() if all(each.get(name) == text for each in others)
    }


def _matches(matcher: Obj, labels: Mapping[str, str]) -> bool:
    text = labels.get(matcher["name"], "")
    is_same = (
        re.fullmatch(matcher["value"], text) is not None
        if matcher["isRegex"]
        else text == matcher["value"]
    )
    return bool(is_same is matcher["isEqual"])


def _fingerprint(labels: Mapping[str, str]) -> str:
    return uid_of(*(text for pair in sorted(labels.items()) for text in pair)).replace("-", "")[:16]


def _json(value: object) -> KubeAnswer:
    return KubeAnswer(200, msgspec.json.encode(value), _JSON)
