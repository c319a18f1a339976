"""A VictoriaLogs in a box: ``/select/logsql/query``, as far as the product asks it.

Filters ``field:=``, ``field:~`` and ``*substring*``, then ``fields``. Held against the real one in the lab.
Source: docs.victoriametrics.com/victorialogs, "Querying", "LogsQL".
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping

from opsagent.ports import KubeAnswer
from opsagent.sim.archive import EPOCH, STRING, LogShelf, ShelvedLine, strings, unquoted
from opsagent.sim.values import encode

_FILTER = rf"({STRING}):([=~])({STRING})|\*({STRING})\*"
_QUERY = re.compile(
    rf"\s*((?:(?:{_FILTER})\s+)+)\|\s*fields\s+(?P<fields>{STRING}(?:\s*,\s*{STRING})*)\s*"
)
_NANOSECONDS = 10**9


class VictoriaLogs:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.shelf = LogShelf()

    def handle(
        self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]
    ) -> KubeAnswer:
        """Answer one GET."""
        if path != "/select/logsql/query":
            return _refusal(f'unsupported path requested: "{path}"')
        query = parameters.get("query", "")
        if not query:
            return _refusal("`query` arg cannot be empty")
        try:
            account, project = (int(headers.get(name, 0)) for name in ("accountid", "projectid"))
            filters, names = _parsed(query)
            found = self.shelf.newest(
                parameters, f"{account}:{project}", lambda each: all(fit(each) for fit in filters)
            )
        except ValueError as error:
            return _refusal(f"cannot parse `query` arg [{query}]: {error}")
        lines = [encode(_shown(each, names)) for each in found]
        body = b"".join(line + b"\n" for line in lines)
        return KubeAnswer(200, body, {"content-type": "application/stream+json"})


def _parsed(query: str) -> tuple[list[Callable[[ShelvedLine], bool]], list[str]]:
    found = _QUERY.fullmatch(query)
    if found is None:
        raise ValueError("unexpected unparsed tail")
    filters = [_filter(*parts) for parts in re.findall(_FILTER, found[1])]
    return filters, strings(found["fields"])


def _filter(field: str, sign: str, text: str, word: str) -> Callable[[ShelvedLine], bool]:
    if word:
        part = unquoted(word)
        return lambda line: part in line.text
    name, wanted = unquoted(field), unquoted(text)
    if sign == "=":
        return lambda line: line.fields.get(name, "") == wanted
    pattern = re.compile(wanted)
    return lambda line: pattern.search(line.fields.get(name, "")) is not None


def _shown(line: ShelvedLine, names: list[str]) -> dict[str, str]:
    seconds, rest = divmod(line.at, _NANOSECONDS)
    stamp = (EPOCH + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    whole = {**line.fields, "_time": f"{stamp}{fraction}Z", "_msg": line.text}
    return {name: whole[name] for name in names if whole.get(name)}


def _refusal(words: str) -> KubeAnswer:
    return KubeAnswer(400, f"{words}\n".encode(), {"content-type": "text/plain; charset=utf-8"})
