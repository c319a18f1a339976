"""The tool ``logs``: the last lines of one container of a pod that the inventory knows, redacted and quoted."""

from typing import Annotated

from pydantic import Field

from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import Pod
from opsagent.model.signal import LogRecord
from opsagent.model.transcript import ToolResult
from opsagent.ports import Case, ClusterReader, NotFound
from opsagent.signals.inventory import Inventory
from opsagent.signals.quotation import quoted_lines
from opsagent.signals.redaction import redact_text
from opsagent.tools.arguments import Arguments, Name, Namespace, parsed, shown, spec, unknown

LINES_MAX = 100


class LogArguments(Arguments):
    """Read the last log lines of one container; with previous, those of its run before the last restart."""

    namespace: Namespace
    pod: Name
    container: Name
    previous: bool
    lines: Annotated[int, Field(ge=1, le=LINES_MAX)]


class Logs:
    """``ports.Tool``."""

    def __init__(self, inventory: Inventory, reader: ClusterReader) -> None:
        self.spec = spec("logs", LogArguments)
        self._inventory = inventory
        self._reader = reader

    async def run(self, arguments: str, case: Case) -> ToolResult:  # noqa: ARG002 - the port's signature
        """Return the lines, oldest first."""
        wanted = parsed(LogArguments, arguments)
        if isinstance(wanted, ToolResult):
            return wanted
        entity = Entity(Kind.POD, wanted.namespace, wanted.pod)
        pod = self._inventory.known(Kind.POD).get(entity)
        if not isinstance(pod, Pod):
            return unknown(entity)
        if wanted.container not in {each.name for each in pod.containers}:
            return ToolResult(f"{entity} has no container {wanted.container}.", is_error=True)
        return await self._read(entity, wanted)

    async def _read(self, entity: Entity, wanted: LogArguments) -> ToolResult:
        which = "previous" if wanted.previous else "present"
        try:
            records = await self._reader.pod_log(
                entity, wanted.container, previous=wanted.previous, tail_lines=wanted.lines
            )
        except NotFound:
            return ToolResult(f"Container {wanted.container} of {entity} has no {which} log.")
        if not records:
            return ToolResult(f"The {which} log of container {wanted.container} is empty.")
        head = f"The last {len(records)} lines of the {which} log, oldest first:"
        return shown(f"{head}\n{quoted_lines(_line(each) for each in records)}")


def _line(record: LogRecord) -> str:
    return f"{record.at:%H:%M:%S} {redact_text(record.text)}"
