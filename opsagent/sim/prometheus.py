"""A Prometheus that has watched the simulated cluster since it was made, for the named expressions and selections alone.

Theory. Nothing polls: the cluster's changes are kept as they come, and the scrapes that were due in the
meantime are made when somebody asks, each from the objects as they were at its instant. So quiet days
cost nothing, and what is found does not depend on when it is asked for. Scrapes beyond the retention
are never made.

It answers by template and by selection, in process and over HTTP. Any other expression is a 400, as one that
cannot be parsed is. Trouble, for tests: ``refusals`` are the statuses of the next answers, ``warnings`` come with
every answer until taken away, ``set_down`` takes the targets of a job away, ``has_remote_read`` takes that away.
Rules and alerts: none.
"""

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from opsagent.clients import prometheus_selections as selections
from opsagent.clients.prometheus_remote import READ
from opsagent.clients.prometheus_templates import recognise
from opsagent.clients.prometheus_wire import (
    POINTS_MAX,
    QUERY,
    QUERY_RANGE,
    answer_of,
    instant_parameters,
    range_parameters,
)
from opsagent.model.metrics import MetricAnswer, MetricArguments, MetricsHealth, MetricTemplate
from opsagent.ports import Clock, KubeAnswer
from opsagent.sim.cluster import Cluster
from opsagent.sim.exposition import JOBS, Scene, exposed
from opsagent.sim.metric_answers import Vector, answer
from opsagent.sim.remote_read import answer_to, read_question
from opsagent.sim.resources import DEPLOYMENTS, NODES, PODS, REPLICA_SETS
from opsagent.sim.selected import samples_of, seen
from opsagent.sim.store import Entry
from opsagent.sim.tsdb import Labels, Tsdb
from opsagent.sim.values import Obj, encode, seconds

VERSION = "2.42.0"
SCRAPE_SECONDS = 15
RETENTION_SECONDS = 3600
PENDING_MAX = 10_000  # changes that wait for the scrapes before them
_WATCHED = (NODES, DEPLOYMENTS, REPLICA_SETS, PODS)
_JSON = {"content-type": "application/json"}
_TEXT = {"content-type": "text/plain; version=0.0.4"}
_PROTOBUF = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
_STATUS_WORDS = {400: "bad_data", 422: "execution", 503: "timeout"}


class Prometheus:
    """See the module's docstring. Times asked for must not run backwards beyond the retention."""

    def __init__(self, cluster: Cluster, *, scrape_seconds: int = SCRAPE_SECONDS) -> None:
        self.warnings: list[str] = []
        self.refusals: deque[int] = deque()
        self.has_remote_read = True
        self.answer_delay_seconds = 0.0
        self._cluster = cluster
        self._interval = seconds(scrape_seconds)
        self._scraped_at = cluster.now - self._interval
        self._db = Tsdb(RETENTION_SECONDS * 1000)
        self._down: set[str] = set()
        self._pending: deque[tuple[dt.datetime, Entry]] = deque()
        self._objects: dict[str, dict[tuple[str, str], Obj]] = {
            each.plural: {_name(item): item for item in cluster.store.objects(each)}
            for each in _WATCHED
        }
        cluster.store.on_change(self._note)

    # Trouble

    def set_down(self, job: str, *, is_down: bool) -> None:
        """Let the targets of ``job`` fail to answer from now on, or answer again."""
        assert job in JOBS
        self.scrape_until(self._cluster.now)
        (self._down.add if is_down else self._down.discard)(job)

    # Scrapes

    def scrape_until(self, now: dt.datetime) -> None:
        """Make every scrape that is due up to ``now`` and not older than the retention."""
        oldest = now - seconds(RETENTION_SECONDS)
        while (at := self._scraped_at + self._interval) <= now:
            self._scraped_at = at
            self._apply_until(at)
            if at >= oldest:
                self._db.append(_ms(at), exposed(self._scene(at), self._down))
        self._apply_until(now)

    def _note(self, entry: Entry, at: dt.datetime) -> None:
        if entry.resource.plural in self._objects:
            self._pending.append((at, entry))
            if len(self._pending) > PENDING_MAX:
                self.scrape_until(at)

    def _apply_until(self, at: dt.datetime) -> None:
        while self._pending and self._pending[0][0] <= at:
            _, entry = self._pending.popleft()
            items = self._objects[entry.resource.plural]
            if entry.type == "DELETED":
                items.pop(_name(entry.item), None)
            else:
                items[_name(entry.item)] = entry.item

    def _scene(self, at: dt.datetime) -> Scene:
        objects = {plural: list(items.values()) for plural, items in self._objects.items()}
        return Scene(at, objects, self._cluster.registry.find)

    def exposition(self, now: dt.datetime) -> str:
        """Return what its targets would show at ``now``, in the text format, job and instance included."""
        self.scrape_until(now)
        scene = self._scene(now)
        lines = [_line(each.metric, each.labels, each.value) for each in exposed(scene, self._down)]
        return "\n".join([*sorted(lines), ""])

    def samples(
        self, now: dt.datetime
    ) -> Iterator[tuple[str, Labels, list[tuple[int, float | None]]]]:
        """Yield metric, labels and samples (Unix ms, value) of every series; None is a stale mark."""
        self.scrape_until(now)
        return self._db.everything()

    def openmetrics(self, now: dt.datetime) -> Iterator[str]:
        """Yield all samples as lines of OpenMetrics text, a series after the other; it has no stale marks."""
        for metric, labels, samples in self.samples(now):
            for stamp, value in samples:
                if value is not None:
                    yield f"{_line(metric, labels, value)} {stamp / 1000:.3f}\n"
        yield "# EOF\n"

    # Answers

    def handle(
        self, path: str, parameters: Mapping[str, str], now: dt.datetime, body: bytes = b""
    ) -> KubeAnswer:
        """Answer one request at ``now``."""
        if self.refusals:
            return _refusal(self.refusals.popleft(), "as a test wants it")
        self.scrape_until(now)
        if path == READ and self.has_remote_read:
            return self._read(body)
        answers = {
            QUERY: self._query,
            QUERY_RANGE: self._query_range,
            "/api/v1/status/buildinfo": lambda *_: self._good({"version": VERSION}),
            "/api/v1/rules": lambda *_: self._good({"groups": []}),
            "/-/ready": lambda *_: KubeAnswer(200, b"Prometheus Server is Ready.\n"),
            "/metrics": lambda *_: KubeAnswer(200, self.exposition(now).encode(), _TEXT),
        }
        found = answers.get(path)
        if found is None:
            return KubeAnswer(404, b"404 page not found\n")
        return found(parameters, now)

    def _query(self, parameters: Mapping[str, str], now: dt.datetime) -> KubeAnswer:
        asked = recognise(parameters.get("query", ""))
        if asked is None:
            return _refusal(400, 'invalid parameter "query": no expression that is known here')
        stamp = round(float(parameters.get("time", now.timestamp())) * 1000)
        found = answer(*asked, self._db, stamp)
        result = [
            {"metric": dict(labels), "value": [stamp / 1000, _text(value)]}
            for labels, value in found.items()
        ]
        return self._good({"resultType": "vector", "result": result})

    def _query_range(self, parameters: Mapping[str, str], _now: dt.datetime) -> KubeAnswer:
        vector_at = self._expression(parameters.get("query", ""))
        if vector_at is None:
            return _refusal(400, 'invalid parameter "query": no expression that is known here')
        first, last, step = (
            round(float(parameters[name]) * 1000) for name in ("start", "end", "step")
        )
        if (last - first) // step >= POINTS_MAX:
            return _refusal(400, "exceeded maximum resolution of 11,000 points per timeseries.")
        lines: dict[Labels, list[list[object]]] = {}
        for stamp in range(first, last + 1, step):
            for labels, value in vector_at(stamp).items():
                lines.setdefault(labels, []).append([stamp / 1000, _text(value)])
        result = [{"metric": dict(labels), "values": values} for labels, values in lines.items()]
        return self._good({"resultType": "matrix", "result": result})

    def _expression(self, text: str) -> Callable[[int], Vector] | None:
        """Return what evaluates ``text`` at a stamp in Unix ms, None if it is not known."""
        asked = recognise(text)
        if asked is not None:
            return partial(answer, *asked, self._db)
        wanted = selections.recognise(text)
        return None if wanted is None else partial(seen, self._db, wanted)

    def _read(self, body: bytes) -> KubeAnswer:
        try:
            asked = read_question(body)
        except (ValueError, IndexError) as error:
            return KubeAnswer(400, f"{error}\n".encode(), _TEXT)
        if not selections.is_known(asked.matchers):
            return KubeAnswer(400, b"no selection that is known here\n", _TEXT)
        found = samples_of(self._db, asked.matchers, asked.start_ms, asked.end_ms)
        return KubeAnswer(200, answer_to(found), _PROTOBUF)

    def _good(self, data: Obj) -> KubeAnswer:
        body: Obj = {"status": "success", "data": data}
        if self.warnings:
            body["warnings"] = list(self.warnings)
        return KubeAnswer(200, encode(body), _JSON)


class SimMetrics:
    """``ports.MetricsSource`` on a Prometheus in the same process."""

    def __init__(self, prometheus: Prometheus, clock: Clock) -> None:
        self._prometheus = prometheus
        self._clock = clock

    async def query(
        self, template: MetricTemplate, arguments: MetricArguments, at: dt.datetime
    ) -> MetricAnswer:
        """Return one point a series, at ``at``."""
        return self._ask(QUERY, instant_parameters(template, arguments, at))

    async def query_range(
        self,
        template: MetricTemplate,
        arguments: MetricArguments,
        *,
        start: dt.datetime,
        end: dt.datetime,
        step: dt.timedelta,
    ) -> MetricAnswer:
        """Return a point each ``step`` from ``start`` to ``end``."""
        asked = range_parameters(template, arguments, start=start, end=end, step=step)
        return self._ask(QUERY_RANGE, asked)

    async def health(self) -> MetricsHealth:
        """Return the version; there are no rules."""
        return MetricsHealth(VERSION)

    def _ask(self, path: str, parameters: Mapping[str, str]) -> MetricAnswer:
        found = self._prometheus.handle(path, parameters, self._clock.now())
        return answer_of(found.status, found.body)


def _name(item: Obj) -> tuple[str, str]:
    meta = item["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _ms(at: dt.datetime) -> int:
    return round(at.timestamp() * 1000)


def _line(metric: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{name}="{text}"' for name, text in labels)
    return f"{metric}{{{shown}}} {value!r}"


def _text(value: float) -> str:
    """Return a number as Prometheus spells it."""
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN is the one value unlike itself
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    return repr(value)


def _refusal(status: int, words: str) -> KubeAnswer:
    kind = _STATUS_WORDS.get(status, "internal")
    body = {"status": "error", "errorType": kind, "error": words}
    return KubeAnswer(status, encode(body), _JSON)
