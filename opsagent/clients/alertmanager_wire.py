"""Alertmanager's two languages in values of ours: the webhook body it sends, version 4, and its API v2.

Everything in them is somebody's text. Labels and annotations are bounded in number and length: what is
longer is cut, and what is too many is left out, the same every time, so that one alert keeps one name.
Keys that we do not know are ignored, because newer versions add some.
Source: prometheus.io/docs, "webhook_config"; api/v2/openapi.yaml of Alertmanager.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from opsagent.model.alert import AlertState, ReportedAlert, Silence, StandingAlert
from opsagent.model.canonical import JsonValue, instant
from opsagent.ports import Terminal

ALERTS_MAX = 1000  # of one body
LABELS_MAX = 64  # of one alert; Prometheus users limit theirs to 30 or so
NAME_CHARACTERS_MAX = 128
VALUE_CHARACTERS_MAX = 1024
_KNOWN = frozenset({"version", "alerts", "status", "labels", "startsAt", "endsAt"})


class _Alert(BaseModel):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")


class _Notice(BaseModel):
    version: Literal["4"]
    alerts: list[_Alert] = Field(max_length=ALERTS_MAX)


class _Status(BaseModel):
    state: str
    silenced_by: list[str] = Field(default=[], alias="silencedBy")
    inhibited_by: list[str] = Field(default=[], alias="inhibitedBy")


class _Standing(BaseModel):
    status: _Status
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: AwareDatetime = Field(alias="startsAt")


class _Matcher(BaseModel):
    name: str
    value: str
    is_regex: bool = Field(alias="isRegex")
    is_equal: bool = Field(default=True, alias="isEqual")


class _SilenceStatus(BaseModel):
    state: Literal["active", "pending", "expired"]


class _Silence(BaseModel):
    id: str
    status: _SilenceStatus
    matchers: list[_Matcher]
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime = Field(alias="endsAt")
    created_by: str = Field(default="", alias="createdBy")
    comment: str = ""


_STANDING = TypeAdapter(list[_Standing])
_SILENCES = TypeAdapter(list[_Silence])


def reported(body: bytes) -> tuple[ReportedAlert, ...]:
    """Return the alerts of a webhook body.

    Raises:
        Terminal: it is none of version 4, or has too many alerts; what was sent is not repeated.
    """
    try:
        notice = _Notice.model_validate_json(body)
    except ValidationError as error:
        raise Terminal(f"no webhook body of version 4: {_fault(error)}") from None
    return tuple(map(_reported, notice.alerts))


def webhook(alerts: Sequence[ReportedAlert]) -> Mapping[str, JsonValue]:
    """Return the webhook body of version 4 that tells ``alerts``, at most ``ALERTS_MAX``; :func:`reported` reads it."""
    return {
        "version": "4",
        "alerts": [
            {
                "status": each.state.value,
                "labels": dict(each.labels),
                "annotations": dict(each.annotations),
                "startsAt": instant(each.starts_at),
                "endsAt": None if each.ends_at is None else instant(each.ends_at),
            }
            for each in alerts
        ],
    }


def standing(body: bytes) -> tuple[StandingAlert, ...]:
    """Return the alerts of ``GET /api/v2/alerts``.

    Raises:
        Terminal: it is no such list.
    """
    try:
        found = _STANDING.validate_json(body)
    except ValidationError as error:
        raise Terminal(f"alertmanager: no list of alerts: {_fault(error)}") from None
    return tuple(
        StandingAlert(
            ReportedAlert(
                _bounded(each.labels),
                _bounded(each.annotations),
                AlertState.FIRING,
                _utc(each.starts_at),
                None,
            ),
            silenced_by=tuple(each.status.silenced_by),
            inhibited_by=tuple(each.status.inhibited_by),
        )
        for each in found
    )


def silences(body: bytes) -> tuple[Silence, ...]:
    """Return the silences of ``GET /api/v2/silences`` that have not expired.

    Raises:
        Terminal: it is no such list.
    """
    try:
        found = _SILENCES.validate_json(body)
    except ValidationError as error:
        raise Terminal(f"alertmanager: no list of silences: {_fault(error)}") from None
    return tuple(_silence(each) for each in found if each.status.state != "expired")


def _silence(each: _Silence) -> Silence:
    return Silence(
        silence_id=each.id,
        matchers=tuple(map(_matcher_text, each.matchers)),
        is_active=each.status.state == "active",
        starts_at=each.starts_at,
        ends_at=each.ends_at,
        author=each.created_by[:NAME_CHARACTERS_MAX],
        comment=each.comment[:VALUE_CHARACTERS_MAX],
    )


def _matcher_text(matcher: _Matcher) -> str:
    sign = ("=" if matcher.is_equal else "!") + ("~" if matcher.is_regex else "=")
    sign = "=" if sign == "==" else sign
    return f'{matcher.name[:NAME_CHARACTERS_MAX]}{sign}"{matcher.value[:VALUE_CHARACTERS_MAX]}"'


def _reported(alert: _Alert) -> ReportedAlert:
    is_firing = alert.status == "firing"
    ends_at = None if is_firing else alert.ends_at
    return ReportedAlert(
        labels=_bounded(alert.labels),
        annotations=_bounded(alert.annotations),
        state=AlertState.FIRING if is_firing else AlertState.RESOLVED,
        starts_at=_utc(alert.starts_at),
        ends_at=None if ends_at is None else _utc(ends_at),
    )


def _bounded(texts: Mapping[str, str]) -> Mapping[str, str]:
    kept = [name for name in sorted(texts) if len(name) <= NAME_CHARACTERS_MAX]
    return {name: texts[name][:VALUE_CHARACTERS_MAX] for name in kept[:LABELS_MAX]}


def _utc(at: dt.datetime) -> dt.datetime:
    try:
        return at.astimezone(dt.UTC)
    except OverflowError:
        return at.replace(tzinfo=dt.UTC)


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"] if part in _KNOWN or isinstance(part, int))
    return ": ".join(filter(None, (place, first["msg"])))
