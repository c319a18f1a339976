"""The tool ``archived_logs``: old lines of a workload or a pod that the inventory knows, redacted and quoted.

A workload stands for all pods that it ever had, so those that are gone are reached through it. What is looked for
are fixed words, never an expression.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from opsagent.model.archive import ArchivedLine, LogAnswer, LogSearch
from opsagent.model.entity import Entity, Kind
from opsagent.model.transcript import ToolResult
from opsagent.ports import Case, LogArchive
from opsagent.signals.inventory import Inventory
from opsagent.signals.quotation import quoted_lines
from opsagent.tools.arguments import Arguments, Name, Namespace, parsed, shown, spec, unknown

LINES_MAX = 100
LINE_CHARACTERS_MAX = 500
MINUTES_AGO_MAX = 7 * 24 * 60
MINUTES_MAX = 24 * 60


class ArchivedLogArguments(Arguments):
    """Search the archived logs of a Deployment, also of pods it no longer has, or of one Pod. Only lines that hold every word are shown, the newest of them."""

    kind: Literal["Deployment", "Pod"]
    namespace: Namespace
    name: Name
    container: Annotated[
        str,
        Field(
            pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$",
            description="one container; empty for all",
        ),
    ]
    words: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=100)]],
        Field(max_length=8, description="texts that must stand in the line, as written"),
    ]
    minutes_ago: Annotated[
        int, Field(ge=1, le=MINUTES_AGO_MAX, description="where the period begins")
    ]
    minutes: Annotated[int, Field(ge=1, le=MINUTES_MAX, description="how long the period is")]
    lines: Annotated[int, Field(ge=1, le=LINES_MAX)]


class ArchivedLogs:
    """``ports.Tool``."""

    def __init__(self, inventory: Inventory, archive: LogArchive) -> None:
        self.spec = spec("archived_logs", ArchivedLogArguments)
        self._inventory = inventory
        self._archive = archive

    async def run(self, arguments: str, case: Case) -> ToolResult:
        """Return the lines, oldest first."""
        wanted = parsed(ArchivedLogArguments, arguments)
        if isinstance(wanted, ToolResult):
            return wanted
        entity = Entity(Kind(wanted.kind), wanted.namespace, wanted.name)
        if entity not in self._inventory.known(entity.kind):
            return unknown(entity)
        start = case.now - dt.timedelta(minutes=wanted.minutes_ago)
        search = LogSearch(
            of=entity,
            start=start,
            end=min(case.now, start + dt.timedelta(minutes=wanted.minutes)),
            container=wanted.container,
            words=tuple(wanted.words),
            lines_max=wanted.lines,
        )
        return shown("\n".join(_answer(search, await self._archive.search(search))))


def _answer(search: LogSearch, answer: LogAnswer) -> Iterator[str]:
    span = f"{search.start:%m-%d %H:%M:%S} to {search.end:%m-%d %H:%M:%S}"
    order = ", oldest first" if answer.lines else ""
    yield f"{len(answer.lines)} archived lines of {search.of} from {span}{order}."
    if answer.is_partial:
        yield f"Some may be missing:\n{quoted_lines(answer.warnings)}"
    if answer.lines:
        yield quoted_lines(map(_line, answer.lines))


def _line(line: ArchivedLine) -> str:
    text = f"{line.at:%m-%d %H:%M:%S} {line.pod} {line.container}: {line.text}"
    return text[:LINE_CHARACTERS_MAX]
