"""The tool ``metrics``. No source of metrics can be configured yet, and it says exactly that.

It stands among the tools from the beginning, because a changed list of tools invalidates the whole prefix
cache of a server, and because a model that is told "not configured" stops asking.
"""

from typing import Annotated, Literal

from pydantic import Field

from opsagent.model.transcript import ToolResult
from opsagent.ports import Case
from opsagent.tools.arguments import Reference, parsed, spec

NOT_CONFIGURED = "No metrics source is configured: nothing is known about any metric."
MINUTES_MAX = 24 * 60


class MetricArguments(Reference):
    """Read one named measure of an object over the last minutes, if a metrics source is configured."""

    measure: Literal["cpu", "memory", "restarts", "ready_replicas"]
    minutes: Annotated[int, Field(ge=1, le=MINUTES_MAX)]


class Metrics:
    """``ports.Tool``."""

    def __init__(self) -> None:
        self.spec = spec("metrics", MetricArguments)

    async def run(self, arguments: str, case: Case) -> ToolResult:  # noqa: ARG002 - the port's signature
        """Return that there is nothing to read from."""
        wanted = parsed(MetricArguments, arguments)
        return wanted if isinstance(wanted, ToolResult) else ToolResult(NOT_CONFIGURED)
