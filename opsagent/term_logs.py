"""The way of logs in one term: pods that the inventory knows -> streams -> entries -> the raw store."""

import datetime as dt
from collections.abc import Awaitable, Callable, Iterator

from opsagent.clients.kube_log import KubeLogs
from opsagent.controllers.pipeline import Pipeline, Step
from opsagent.controllers.remember_logs import LogRetention, RememberLogs, logs_status
from opsagent.controllers.report import Tree
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import Pod, entity_of
from opsagent.model.signal import RawRow, RowType
from opsagent.ports import LogStore
from opsagent.settings import Settings
from opsagent.sources.pod_logs import LogPlan, PodLogs
from opsagent.world import World

AWAY_MAX = dt.timedelta(hours=1)
# A line reaches the store in a quarter of a second, most of them sooner.
ON_ITS_WAY = dt.timedelta(seconds=1)


class Logs:
    """Follows the logs of the pods of ``pipeline`` and keeps what they say in ``store``.

    What was printed behind the newest entry of ``store`` is read too, since nobody led or what was read died with its
    process: of the last hour at the most. ``last_seen``, when the cluster was last heard, stands for an empty store.
    """

    def __init__(
        self,
        settings: Settings,
        world: World,
        pipeline: Pipeline,
        store: LogStore,
        last_seen: dt.datetime | None,
    ) -> None:
        now = world.clock.now()
        kept = last_seen or now if store.newest is None else store.newest - ON_ITS_WAY
        asked = settings.logs
        self._pipeline = pipeline
        self._judged: dict[Entity, tuple[object, ...]] = {}
        retention = LogRetention(asked.retention_days, asked.retention_bytes_max)
        self._keeping = RememberLogs(store, world.clock, world.chance, retention)
        self._following = PodLogs(
            KubeLogs(world.cluster),
            self._pods,
            self._keeping.take,
            plan=LogPlan(
                since=min(now, max(kept, now - AWAY_MAX)),
                streams_max=asked.streams_max,
                namespaces=asked.namespaces or settings.kubernetes.namespaces,
            ),
            clock=world.clock,
            chance=world.chance,
        )

    def parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the loops by name, in the order of their start."""
        return {"log store": self._keeping.run, "pod logs": self._following.run}

    def notice(self, step: Step) -> None:
        """Take note of pods that came, went, or are in another state: a choice looks at all of them."""
        news = [self._is_news(row) for row in step.batch.rows if row.kind is Kind.POD]
        if any(news):  # each of them was looked at
            self._following.notice()

    def _is_news(self, row: RawRow) -> bool:
        """Return whether something that a choice looks at differs from what was last seen."""
        if not isinstance(row.item, Pod):
            return False
        pod, entity = row.item, entity_of(row.item)
        if row.type is RowType.DELETED:
            return self._judged.pop(entity, None) is not None
        statuses = (pod.init_statuses, pod.container_statuses)
        state = (pod.meta.uid, pod.meta.deleted_at, pod.phase, *statuses)
        is_news = self._judged.get(entity) != state
        self._judged[entity] = state
        return is_news

    async def retain(self) -> None:
        """Delete what is too old or too much."""
        await self._keeping.retain()

    def status(self) -> Tree:
        """Return how well logs are followed and kept."""
        return logs_status(self._following.status(), self._keeping.status())

    def _pods(self) -> Iterator[Pod]:
        known = self._pipeline.inventory.known(Kind.POD).values()
        return (pod for pod in known if isinstance(pod, Pod))
