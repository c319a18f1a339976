"""``ports.LogArchive`` on a VictoriaLogs.

It answers in lines of JSON, so what is too long is cut and still read. A tenant is ``account:project``.
Source: docs.victoriametrics.com/victorialogs, "Querying", "LogsQL", "Multitenancy".
"""

import asyncio
import datetime as dt

from opsagent.clients.archive import Reply, Row, ask, log_answer, row
from opsagent.clients.archive_query import (
    USUAL_FIELDS,
    Address,
    LogArchiveKind,
    LogFields,
    Match,
    account_and_project,
    literal,
    matches,
    nanoseconds,
)
from opsagent.clients.rest import SECONDS_MAX, RestReader
from opsagent.model.archive import LogAnswer, LogSearch

SECTION = "log_archive"
QUERY = "/select/logsql/query"
TENANT = ("accountid", "projectid")  # headers
TIME, TEXT = "_time", "_msg"
FIELDS = USUAL_FIELDS[LogArchiveKind.VICTORIALOGS]


def logsql(search: LogSearch, fields: LogFields = FIELDS) -> str:
    """Return the search in LogsQL.

    Raises:
        Terminal: it makes no sense.
    """
    filters = [_filter(each) for each in matches(search, fields)]
    filters += [f"*{literal(word)}*" for word in search.words]
    shown = ", ".join(map(literal, (TIME, TEXT, fields.pod, fields.container)))
    return f"{' '.join(filters)} | fields {shown}"


def _filter(match: Match) -> str:
    return f"{literal(match.field)}:{'~' if match.is_pattern else '='}{literal(match.text)}"


class VictoriaLogsArchive:
    """One VictoriaLogs."""

    def __init__(self, address: Address, fields: LogFields = FIELDS) -> None:
        headers = {}
        if address.tenant:
            headers = dict(zip(TENANT, account_and_project(address.tenant), strict=True))
        self._fields = fields
        self._rest = RestReader(
            SECTION,
            address.url,
            token_file=address.token_file,
            ca_file=address.ca_file,
            headers=headers,
        )

    async def search(self, search: LogSearch) -> LogAnswer:
        """Return the lines.

        Raises:
            Transient, Terminal: see ``ports.LogArchive``.
        """
        parameters = {
            "query": logsql(search, self._fields),
            "start": nanoseconds(search.start),
            "end": nanoseconds(search.end),
            "limit": str(search.lines_max + 1),  # one more tells whether there are more
            "timeout": f"{SECONDS_MAX:g}s",  # no longer than anybody waits
        }
        reply = await ask(self._rest, QUERY, parameters)
        return await asyncio.to_thread(self._answer, reply, search)

    async def aclose(self) -> None:
        """Close connections."""
        await self._rest.aclose()

    def _answer(self, reply: Reply, search: LogSearch) -> LogAnswer:
        lines = reply.body.split(b"\n")
        if reply.is_cut:
            lines.pop()
        rows = [self._row(line) for line in lines if line]
        return log_answer(self._rest, rows, search, reply.warnings)

    def _row(self, line: bytes) -> Row | None:
        found = row(line, dict[str, str])
        if found is None or TEXT not in found:
            return None
        try:
            at = dt.datetime.fromisoformat(found.get(TIME, ""))
        except ValueError:
            return None
        if at.tzinfo is None:
            return None
        fields = self._fields
        return Row(at, found.get(fields.pod, ""), found.get(fields.container, ""), found[TEXT])
