"""Joins the executor's parts. The one importer of the client that writes to a cluster."""

from dataclasses import dataclass

from opsagent.clients.kube_write import KubeWriter
from opsagent.executor.desk import Desk
from opsagent.executor.engine import Engine
from opsagent.executor.execution import Execution
from opsagent.executor.journal import Journal
from opsagent.executor.numbers import Numbers
from opsagent.executor.rollback import Rollback
from opsagent.executor.survey import Survey, SymptomsOf
from opsagent.executor.undo import UndoTool
from opsagent.executor.verification import Verification
from opsagent.guard.policy import Policy
from opsagent.ports import (
    AccessReviewer,
    Clock,
    ClusterReader,
    ClusterWriter,
    KubeTransport,
    MetricsSource,
    PlanStore,
)


@dataclass(frozen=True, slots=True)
class ExecutorConfig:
    """What the executor obeys.

    ``agents``: the usernames of opsagent's own identities, which never decide on a plan.
    ``symptoms_of``: detection's own judgement of a workload, so that verification and alerts agree.
    ``metrics``: a second witness for verification, scraped at least every ``scrape_seconds``; None: none.
    """

    policy: Policy
    agents: frozenset[str]
    symptoms_of: SymptomsOf
    metrics: MetricsSource | None = None
    scrape_seconds: float = 30.0


def build(
    transport: KubeTransport,
    *,
    reader: ClusterReader,
    reviewer: AccessReviewer,
    store: PlanStore,
    clock: Clock,
    config: ExecutorConfig,
) -> tuple[Desk, Engine]:
    """Return desk and engine over one store; ``transport`` carries the executor's own identity.

    ``reader`` should carry it too: what the executor rests on is what it may see itself.
    """
    return assemble(
        KubeWriter(transport),
        reader=reader,
        reviewer=reviewer,
        store=store,
        clock=clock,
        config=config,
    )


def assemble(
    writer: ClusterWriter,
    *,
    reader: ClusterReader,
    reviewer: AccessReviewer,
    store: PlanStore,
    clock: Clock,
    config: ExecutorConfig,
) -> tuple[Desk, Engine]:
    """Return desk and engine over any writer."""
    journal = Journal(store, clock)
    tool = UndoTool(writer)
    numbers = None
    if config.metrics is not None:
        numbers = Numbers(config.metrics, clock, config.scrape_seconds)
    survey = Survey(writer, reader, store, clock, config.symptoms_of, numbers=numbers)
    desk = Desk(journal, tool, survey, reviewer, policy=config.policy, agents=config.agents)
    execution = Execution(journal, tool, survey, reviewer, config.policy)
    verification = Verification(journal, survey)
    return desk, Engine(journal, execution, verification, Rollback(journal, tool))
