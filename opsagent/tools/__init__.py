"""The hands of a model: four tools that read and one that proposes. None writes, none takes a query, a path or a command.

Arguments are references to objects that the inventory knows, and bounded numbers. What a tool shows of
the cluster stands in quotation, redacted before; what it says itself does not.
"""

from opsagent.ports import ClusterReader, Tool
from opsagent.signals.inventory import Inventory
from opsagent.tools.events import Events
from opsagent.tools.logs import Logs
from opsagent.tools.metrics import Metrics
from opsagent.tools.objects import Objects
from opsagent.tools.propose import Propose, ProposePlan


def toolset(inventory: Inventory, reader: ClusterReader, propose: Propose) -> tuple[Tool, ...]:
    """Return all tools, in the order in which a model is told of them; the order never changes."""
    return (
        Objects(inventory),
        Events(inventory),
        Logs(inventory, reader),
        Metrics(),
        ProposePlan(propose),
    )
