"""Everything outside the daemon, as one value: what production, demo and tests differ in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from opsagent.controllers.pipeline import Step
from opsagent.ports import (
    Chance,
    Clock,
    IdSource,
    KubeTransport,
    LogArchive,
    MetricsSource,
    Model,
    ModelServer,
    Notifier,
    Schedule,
    SeriesSource,
    TraceArchive,
)


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside the daemon. ``hands`` is None when it may only suggest.

    ``series`` is followed if the configuration has a metrics section, ``trace_archive`` if that has one of its own. ``model_server`` is asked whether it serves ``model``, None if nobody can tell. ``schedule`` makes a fresh one for each term. ``is_serving``: whether REST and pages listen on loopback.
    ``announce`` is told a link to the pages, once they are up; it opens once.
    """

    clock: Clock
    chance: Chance
    ids: IdSource
    schedule: Callable[[], Schedule]
    cluster: KubeTransport
    hands: KubeTransport | None = None
    notifier: Notifier | None = None
    model: Model | None = None
    model_server: ModelServer | None = None
    metrics: MetricsSource | None = None
    series: SeriesSource | None = None
    log_archive: LogArchive | None = None
    trace_archive: TraceArchive | None = None
    alertmanager_token: str = field(default="", repr=False)  # empty: no Alertmanager may report
    is_serving: bool = True
    announce: Callable[[str], None] | None = None
    listeners: Sequence[Callable[[Step], None]] = field(default=())
