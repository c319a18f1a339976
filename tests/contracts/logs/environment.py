"""Where the contract of archived logs runs: a simulated Loki, a simulated VictoriaLogs, and a real VictoriaLogs.

All are asked over HTTP through the product's own clients. There is no real Loki in the lab: its half of the
suite runs on the simulated one alone, whose wire form is that of the published API documentation
(grafana.com/docs/loki, "Loki HTTP API").
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import count

import pytest

from opsagent.clients import loki, victorialogs as vl
from opsagent.clients.archive_query import Address, LogFields
from opsagent.clients.loki import LokiArchive
from opsagent.clients.victorialogs import VictoriaLogsArchive
from opsagent.model.archive import LogAnswer, LogSearch
from opsagent.model.entity import Entity, Kind
from opsagent.ports import LogArchive
from opsagent.sim.archive import LogShelf
from opsagent.sim.archive_server import archive_serving
from opsagent.sim.loki import Loki
from opsagent.sim.victorialogs import VictoriaLogs
from tests.fakes.virtual_time import EPOCH
from tests.lab.victorialogs import insert

HOUR = dt.timedelta(hours=1)
POD = "cart-6d4b75cb6d-x7k2p"
_tenants = count(1)  # each test has its own on the one real server
Start = Callable[[], str]


@dataclass(frozen=True)
class Line:
    """One line as a collector brings it; ``seconds`` after the beginning of virtual time."""

    seconds: float
    text: str
    pod: str = POD
    container: str = "cart"
    namespace: str = "shop"

    @property
    def at(self) -> dt.datetime:
        return EPOCH + dt.timedelta(seconds=self.seconds)

    def fields(self, names: LogFields) -> dict[str, str]:
        return {
            names.namespace: self.namespace,
            names.pod: self.pod,
            names.container: self.container,
        }


@dataclass
class World:
    """An archive as one tenant sees it, and as another does."""

    client: LogArchive
    stranger: LogArchive
    fill: Callable[[Sequence[Line]], None]

    async def found(self, *words: str, **more: object) -> LogAnswer:
        """Search the first hour of the pod's namespace."""
        asked = {"of": Entity(Kind.NAMESPACE, "", "shop"), "start": EPOCH, "end": EPOCH + HOUR}
        return await self.client.search(LogSearch(**(asked | {"words": words} | more)))

    async def texts(self, *words: str, **more: object) -> list[str]:
        return [line.text for line in (await self.found(*words, **more)).lines]


Environment = Callable[[Start], AbstractAsyncContextManager[World]]


def shelved(shelf: LogShelf, names: LogFields, tenant: str) -> Callable[[Sequence[Line]], None]:
    def fill(lines: Sequence[Line]) -> None:
        for each in lines:
            shelf.put(each.at, each.text, each.fields(names), tenant)

    return fill


@asynccontextmanager
async def sim_loki(_start: Start) -> AsyncIterator[World]:
    box = Loki(is_multi_tenant=True)
    async with archive_serving(box) as url:
        mine, other = LokiArchive(Address(url, "ops")), LokiArchive(Address(url, "others"))
        async with aclosing(mine), aclosing(other):
            yield World(mine, other, shelved(box.shelf, loki.FIELDS, "ops"))


@asynccontextmanager
async def sim_victorialogs(_start: Start) -> AsyncIterator[World]:
    box = VictoriaLogs()
    async with archive_serving(box) as url:
        mine, other = VictoriaLogsArchive(Address(url, "7:0")), VictoriaLogsArchive(Address(url))
        async with aclosing(mine), aclosing(other):
            yield World(mine, other, shelved(box.shelf, vl.FIELDS, "7:0"))


@asynccontextmanager
async def real_victorialogs(start: Start) -> AsyncIterator[World]:
    url, tenant = start(), f"{next(_tenants)}:5"

    def fill(lines: Sequence[Line]) -> None:
        stream = list(Line(0, "").fields(vl.FIELDS))
        rows = [
            {"_time": each.at.isoformat(), "_msg": each.text, **each.fields(vl.FIELDS)}
            for each in lines
        ]
        insert(url, rows, stream, tenant)

    mine, other = VictoriaLogsArchive(Address(url, tenant)), VictoriaLogsArchive(Address(url))
    async with aclosing(mine), aclosing(other):
        yield World(mine, other, fill)


everywhere = pytest.mark.parametrize(
    "environment",
    [sim_loki, sim_victorialogs, pytest.param(real_victorialogs, marks=pytest.mark.lab)],
)
