"""What prometheus-api-client cannot ask: a Prometheus' version, the state of its rules, its firing alerts.

A server that lacks one of these paths (others speak only the query part of the API) is no trouble: the
fact stays empty.
"""

from typing import TypeVar

import msgspec

from opsagent.clients.prometheus_wire import UNKNOWN_FORM, warnings_of
from opsagent.clients.rest import RestReader
from opsagent.model.metrics import MetricsHealth
from opsagent.ports import Terminal

RULES_NAMED_MAX = 10
_NOT_FOUND = 404

Form = TypeVar("Form", bound=msgspec.Struct)


class _Build(msgspec.Struct):
    version: str = ""


class _Rule(msgspec.Struct):
    name: str = ""
    health: str = "ok"
    type: str = ""
    state: str = ""


class _Group(msgspec.Struct):
    rules: list[_Rule] = []


class _Groups(msgspec.Struct):
    groups: list[_Group] = []


class _BuildBody(msgspec.Struct):
    data: _Build


class _RulesBody(msgspec.Struct):
    data: _Groups


class PrometheusRest:
    """The rest of one Prometheus' API."""

    def __init__(self, rest: RestReader) -> None:
        self._rest = rest

    async def health(self) -> MetricsHealth:
        """Return what there is to know.

        Raises:
            Transient, Terminal: see ``ports.MetricsSource``.
        """
        build = await self._get("/api/v1/status/buildinfo", _BuildBody)
        rules = await self._get("/api/v1/rules", _RulesBody)
        groups = [] if rules is None else rules.data.groups
        found = [rule for group in groups for rule in group.rules]
        failing = sorted({rule.name for rule in found if rule.health == "err"})
        firing = sum(1 for rule in found if rule.type == "alerting" and rule.state == "firing")
        version = "" if build is None else build.data.version
        return MetricsHealth(version, firing, tuple(failing[:RULES_NAMED_MAX]))

    async def aclose(self) -> None:
        """Close connections."""
        await self._rest.aclose()

    async def _get(self, path: str, form: type[Form]) -> Form | None:
        """Return what is at ``path``, None if there is no such path."""
        status, body = await self._rest.get(path)
        if status == _NOT_FOUND:
            return None
        warnings_of(status, body)
        try:
            return msgspec.json.decode(body, type=form)
        except msgspec.DecodeError as error:
            raise Terminal(UNKNOWN_FORM) from error
