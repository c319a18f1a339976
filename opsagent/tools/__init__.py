"""The hands of a model: tools that read and one that proposes. None writes, none takes a query, a path or a command.

Arguments are references to objects that the inventory knows, and bounded numbers. What a tool shows of
the cluster stands in quotation, redacted before; what it says itself does not.
"""

from collections.abc import Iterator

from opsagent.ports import ClusterReader, LogArchive, MetricsSource, Tool, TraceArchive
from opsagent.signals.inventory import Inventory
from opsagent.tools.archived_logs import ArchivedLogs
from opsagent.tools.events import Events
from opsagent.tools.logs import Logs
from opsagent.tools.metrics import Metrics
from opsagent.tools.objects import Objects
from opsagent.tools.propose import Propose, ProposePlan
from opsagent.tools.topology import Neighbours
from opsagent.tools.traces import Traces


def toolset(
    inventory: Inventory,
    reader: ClusterReader,
    propose: Propose,
    *,
    metrics: MetricsSource | None = None,
    log_archive: LogArchive | None = None,
    trace_archive: TraceArchive | None = None,
) -> tuple[Tool, ...]:
    """Return all tools, in the order in which a model is told of them; for one installation it never changes.

    Those of archives are there only where an archive is.
    """
    return (
        Objects(inventory),
        Events(inventory),
        Neighbours(inventory),
        Logs(inventory, reader),
        Metrics(metrics),
        *_of_archives(inventory, log_archive, trace_archive),
        ProposePlan(propose),
    )


def _of_archives(
    inventory: Inventory, log_archive: LogArchive | None, trace_archive: TraceArchive | None
) -> Iterator[Tool]:
    if log_archive is not None:
        yield ArchivedLogs(inventory, log_archive)
    if trace_archive is not None:
        yield Traces(inventory, trace_archive)
