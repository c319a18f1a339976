"""The way of logs in one term: pods that the inventory knows -> streams -> entries -> the raw store."""

from collections.abc import Awaitable, Callable, Iterator

from opsagent.clients.kube_log import KubeLogs
from opsagent.controllers.pipeline import Pipeline, Step
from opsagent.controllers.remember_logs import LogRetention, RememberLogs, logs_status
from opsagent.controllers.report import Tree
from opsagent.model.entity import Kind
from opsagent.model.kube import Pod
from opsagent.ports import LogStore
from opsagent.settings import Settings
from opsagent.sources.pod_logs import LogPlan, PodLogs
from opsagent.world import World


class Logs:
    """Follows the logs of the pods of ``pipeline`` and keeps what they say in ``store``."""

    def __init__(
        self, settings: Settings, world: World, pipeline: Pipeline, store: LogStore
    ) -> None:
        asked = settings.logs
        self._pipeline = pipeline
        retention = LogRetention(asked.retention_days, asked.retention_bytes_max)
        self._keeping = RememberLogs(store, world.clock, world.chance, retention)
        self._following = PodLogs(
            KubeLogs(world.cluster),
            self._pods,
            self._keeping.take,
            plan=LogPlan(
                since=world.clock.now(),
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
        """Take note of pods that changed."""
        if any(row.kind is Kind.POD for row in step.batch.rows):
            self._following.notice()

    async def retain(self) -> None:
        """Delete what is too old or too much."""
        await self._keeping.retain()

    def status(self) -> Tree:
        """Return how well logs are followed and kept."""
        return logs_status(self._following.status(), self._keeping.status())

    def _pods(self) -> Iterator[Pod]:
        known = self._pipeline.inventory.known(Kind.POD).values()
        return (pod for pod in known if isinstance(pod, Pod))
