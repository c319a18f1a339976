"""``ports.LogArchive`` on a Grafana Loki, or on what speaks its API.

The labels of namespace, pod and container have to be labels of its streams, as collectors for Kubernetes
make them. Source: grafana.com/docs/loki, "Loki HTTP API", query_range, and "Log queries".
"""

import asyncio

import msgspec

from opsagent.clients.archive import (
    Reply,
    Row,
    ask,
    instant,
    log_answer,
    row,
    unknown_form,
    whole,
)
from opsagent.clients.archive_query import (
    USUAL_FIELDS,
    Address,
    LogArchiveKind,
    LogFields,
    check_labels,
    literal,
    matches,
    nanoseconds,
)
from opsagent.clients.rest import RestReader
from opsagent.model.archive import LogAnswer, LogSearch

SECTION = "log_archive"
QUERY_RANGE = "/loki/api/v1/query_range"
FIELDS = USUAL_FIELDS[LogArchiveKind.LOKI]


class _Entry(msgspec.Struct, array_like=True):
    at: int  # Unix nanoseconds, as text; structured metadata may follow the line
    line: str


class _Stream(msgspec.Struct):
    stream: dict[str, str]
    values: list[msgspec.Raw]


class _Streams(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[_Stream]


class _Body(msgspec.Struct):
    data: _Streams
    warnings: list[str] = []


def logql(search: LogSearch, fields: LogFields = FIELDS) -> str:
    """Return the search in LogQL.

    Raises:
        Terminal: it makes no sense.
    """
    pairs = (
        f"{each.field}{'=~' if each.is_pattern else '='}{literal(each.text)}"
        for each in matches(search, fields)
    )
    return " |= ".join([f"{{{', '.join(pairs)}}}", *map(literal, search.words)])


class LokiArchive:
    """One Loki."""

    def __init__(self, address: Address, fields: LogFields = FIELDS) -> None:
        check_labels(fields)
        self._fields = fields
        self._rest = RestReader(
            SECTION,
            address.url,
            token_file=address.token_file,
            ca_file=address.ca_file,
            headers={"x-scope-orgid": address.tenant} if address.tenant else None,
        )

    async def search(self, search: LogSearch) -> LogAnswer:
        """Return the lines.

        Raises:
            Transient, Terminal: see ``ports.LogArchive``.
        """
        parameters = {
            "query": logql(search, self._fields),
            "start": nanoseconds(search.start),
            "end": nanoseconds(search.end),
            "limit": str(search.lines_max + 1),  # one more tells whether there are more
            "direction": "backward",
        }
        reply = await ask(self._rest, QUERY_RANGE, parameters)
        return await asyncio.to_thread(self._answer, reply, search)

    async def aclose(self) -> None:
        """Close connections."""
        await self._rest.aclose()

    def _answer(self, reply: Reply, search: LogSearch) -> LogAnswer:
        body = whole(self._rest, reply, _Body)
        if body.data.result_type != "streams":
            raise unknown_form(self._rest)
        rows = [self._row(each.stream, value) for each in body.data.result for value in each.values]
        return log_answer(self._rest, rows, search, (*reply.warnings, *body.warnings))

    def _row(self, labels: dict[str, str], raw: msgspec.Raw) -> Row | None:
        entry = row(raw, _Entry)
        if entry is None:
            return None
        try:
            at = instant(entry.at)
        except OverflowError:
            return None
        fields = self._fields
        return Row(at, labels.get(fields.pod, ""), labels.get(fields.container, ""), entry.line)
