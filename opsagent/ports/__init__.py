"""Every Protocol between the core and the world, a file a field; import them from here.

The core decides; these are the only ways in which a decision meets a clock, a disk or a network.
Each port has one contract suite in ``tests/contracts`` that its real and its fake form both pass.
Whoever wants to know what opsagent touches reads this folder, and nothing else.
"""

from opsagent.ports.cluster import (
    AccessReviewer,
    ClusterReader,
    ClusterWriter,
    Identity,
    KubeAnswer,
    KubeTransport,
    Leadership,
    ListPage,
    LogSource,
    RawDeployment,
    WatchEvent,
)
from opsagent.ports.errors import (
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    Terminal,
    Transient,
    Unwritable,
)
from opsagent.ports.model import (
    Advice,
    Case,
    Investigator,
    Model,
    ModelServer,
    RunbookLibrary,
    ServedModel,
    Tool,
    TranscriptStore,
)
from opsagent.ports.notify import AlertIntake, Notifier
from opsagent.ports.plans import Approval, ApprovalDesk, Executor, Intent, Move, PlanStore
from opsagent.ports.stores import Batch, BinStore, LogStore, Snapshot, Store
from opsagent.ports.telemetry import LogArchive, MetricsSource, SeriesSource, TraceArchive
from opsagent.ports.timing import Chance, Clock, IdSource, Schedule, Trigger

__all__ = [
    "AccessReviewer",
    "Advice",
    "AlertIntake",
    "Approval",
    "ApprovalDesk",
    "Batch",
    "BinStore",
    "Case",
    "Chance",
    "Clock",
    "ClusterReader",
    "ClusterWriter",
    "Conflict",
    "Executor",
    "Forbidden",
    "Gone",
    "IdSource",
    "Identity",
    "Intent",
    "Investigator",
    "KubeAnswer",
    "KubeTransport",
    "Leadership",
    "ListPage",
    "LogArchive",
    "LogSource",
    "LogStore",
    "MetricsSource",
    "Model",
    "ModelServer",
    "Move",
    "NotFound",
    "Notifier",
    "PlanStore",
    "RawDeployment",
    "RunbookLibrary",
    "Schedule",
    "SeriesSource",
    "ServedModel",
    "Snapshot",
    "Store",
    "Terminal",
    "Tool",
    "TraceArchive",
    "TranscriptStore",
    "Transient",
    "Trigger",
    "Unwritable",
    "WatchEvent",
]
