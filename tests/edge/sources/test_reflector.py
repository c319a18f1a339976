"""A reflector tells differences, survives every answer, never runs hot, and says how old its picture is."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import KubeObject, Node, ObjectMeta, Pod, kind_of
from opsagent.model.signal import RowType
from opsagent.ports import Forbidden, Gone, ListPage, NotFound, Terminal, Transient, WatchEvent
from opsagent.runtime.retry import RetryLater
from opsagent.sources.reflector import Reflector, Target
from tests.fakes import virtual_time
from tests.fakes.beset import SteppingClock
from tests.fakes.chance import MiddleChance
from tests.fakes.cluster import ScriptedCluster
from tests.fakes.virtual_time import EPOCH, LoopClock

ADDED, MODIFIED, DELETED = RowType.ADDED, RowType.MODIFIED, RowType.DELETED


def pod(name: str, version: str = "1", uid: str = "", namespace: str = "shop") -> Pod:
    return Pod(ObjectMeta(namespace, name, uid or f"uid-{name}", version))


def page(*items: Pod, version: str = "10", token: str = "", malformed: int = 0) -> ListPage:
    return ListPage(items, version, token, malformed)


def event(row_type: RowType, item: Pod) -> WatchEvent:
    return WatchEvent(row_type, item.meta.resource_version, item)


def bookmark(version: str) -> WatchEvent:
    return WatchEvent(None, version)


class Heard:
    """The sink: what it was told, in short words."""

    def __init__(self) -> None:
        self.rows: list[tuple[dt.datetime, RowType, KubeObject | None]] = []

    async def sink(
        self, at: dt.datetime, row_type: RowType, kind: Kind, item: KubeObject | None
    ) -> None:
        assert item is None or kind_of(item) is kind
        self.rows.append((at, row_type, item))

    @property
    def words(self) -> list[str]:
        return [f"{kind} {item.meta.name}" if item else kind.value for _, kind, item in self.rows]


def reflector(
    cluster: ScriptedCluster, heard: Heard, target: Target | None = None, **options: Any
) -> Reflector:
    return Reflector(
        cluster,
        target or Target(Kind.POD),
        heard.sink,
        clock=LoopClock(),
        chance=MiddleChance(),
        **options,
    )


def follow(cluster: ScriptedCluster, *, seconds: float = 3600, **target: Any) -> tuple[Heard, Any]:
    """Run a reflector on virtual time for ``seconds``; return what it told and its last status."""
    heard = Heard()
    made = reflector(cluster, heard, Target(Kind.POD, **target))

    async def scenario() -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await made.run()
        assert cluster.open_watches == 0
        return made.status()

    return heard, virtual_time.run(scenario())


def test_a_list_in_pages_is_told_and_closed_by_synced_then_the_watch_goes_on():
    cluster = ScriptedCluster(
        [page(pod("a"), token="next"), page(pod("b"), version="11")],
        [[5.0, event(ADDED, pod("c", "12")), event(MODIFIED, pod("a", "13")), 1e9]],
    )
    heard, status = follow(cluster)
    assert heard.words == ["ADDED a", "ADDED b", "SYNCED", "ADDED c", "MODIFIED a"]
    assert cluster.starts("list") == ["", "next"]
    assert cluster.starts("watch") == ["11"]
    assert heard.rows[3][0] == EPOCH + dt.timedelta(seconds=5)
    assert (status.is_synced, status.objects) == (True, 3)


def test_after_a_restart_only_differences_are_told():
    known = (pod("same"), pod("changed"), pod("gone"), pod("reborn", uid="old"))
    cluster = ScriptedCluster([page(pod("same"), pod("changed", "2"), pod("reborn", uid="new"))])
    heard, _ = follow(cluster, known=known)
    assert heard.words == [
        "MODIFIED changed",
        "DELETED reborn",
        "ADDED reborn",
        "DELETED gone",
        "SYNCED",
    ]
    assert heard.rows[3][2] == pod("gone")  # the last thing known about it


def test_gone_lists_again_and_tells_only_differences():
    cluster = ScriptedCluster(
        [page(pod("a"), pod("b")), page(pod("a"), pod("c"), version="20")],
        [[60.0, Gone("too old")], [1e9]],
    )
    heard, status = follow(cluster)
    assert heard.words == ["ADDED a", "ADDED b", "SYNCED", "ADDED c", "DELETED b", "SYNCED"]
    assert cluster.starts("watch") == ["10", "20"]
    assert status.counters.gone_total == 1
    assert status.last_error == ""


def test_gone_in_the_middle_of_a_list_begins_it_anew():
    cluster = ScriptedCluster(
        [page(pod("a"), token="t"), Gone("expired"), page(pod("a"), pod("b"))]
    )
    heard, _ = follow(cluster)
    assert heard.words == ["ADDED a", "ADDED b", "SYNCED"]
    assert cluster.starts("list") == ["", "t", ""]


def test_a_watch_that_ends_in_the_ordinary_way_goes_on_from_the_last_version_at_once():
    cluster = ScriptedCluster(
        [page()],
        [
            [event(ADDED, pod("a", "12")), 300.0],
            [200.0, bookmark("30"), 100.0],
            [1e9],
        ],
    )
    _, status = follow(cluster)
    assert cluster.starts("list") == [""]
    assert cluster.starts("watch") == ["10", "12", "30"]
    assert cluster.times("watch") == [0.0, 300.0, 600.0]
    assert status.counters.bookmarks_total == 1


@pytest.mark.parametrize(
    "ending",
    [
        (),
        (Gone("too old"),),
        (Transient("reset"),),
        (Forbidden("no"),),
        (NotFound("no such kind"),),
        (Terminal("400"),),
    ],
    ids=["closed", "gone", "transient", "forbidden", "not found", "terminal"],
)
def test_a_server_that_ends_every_watch_at_once_is_asked_ever_more_rarely(
    ending: Sequence[Exception],
):
    cluster = ScriptedCluster([page(pod("a"))], [ending])
    heard, _ = follow(cluster, seconds=3600)
    # 0.75, 1.5, 3 ... up to 22.5 s: about 160 an hour, where a hot loop would ask millions of times.
    assert 150 <= len(cluster.times("watch")) <= 170
    assert heard.words[:2] == ["ADDED a", "SYNCED"]
    assert set(heard.words[2:]) <= {"SYNCED"}


def test_a_server_that_refuses_every_list_is_asked_ever_more_rarely():
    cluster = ScriptedCluster([Transient("down")])
    heard, status = follow(cluster, seconds=3600)
    assert 150 <= len(cluster.times("list")) <= 170
    assert heard.rows == []
    assert (status.is_synced, status.observed_at, status.lag_seconds) == (False, None, None)
    assert status.last_error == "Transient: down"


def test_a_short_watch_that_told_something_is_not_held_against_the_server():
    chatter = [[event(ADDED, pod(f"p{number}", str(number)))] for number in range(20)]
    cluster = ScriptedCluster([page()], [*chatter, [1e9]])
    follow(cluster, seconds=3600)
    gaps = [b - a for a, b in zip(cluster.times("watch"), cluster.times("watch")[1:], strict=False)]
    assert max(gaps) == 0.75


def test_gone_after_an_outage_lists_soon():
    outage = [[Transient("down")]] * 8
    cluster = ScriptedCluster(
        [page(pod("a")), page(pod("b"), version="20")], [*outage, [Gone("too old")], [1e9]]
    )
    follow(cluster)
    assert cluster.times("list")[1] - cluster.times("watch")[8] == 0.75


def test_gone_and_failures_in_turn_are_met_ever_more_rarely():
    cluster = ScriptedCluster([page(pod("a"))], [[Transient("down")], [Gone("too old")]] * 100)
    follow(cluster, seconds=3600)
    assert 150 <= len(cluster.times("watch")) <= 170


def test_retry_after_is_honoured():
    cluster = ScriptedCluster([RetryLater("busy", 17.0), page()])
    follow(cluster, seconds=100)
    assert cluster.times("list") == [0.0, 17.0]


def test_after_trouble_that_passed_the_waits_are_short_again_and_the_error_is_gone():
    trouble = [[Transient("reset")]] * 6
    cluster = ScriptedCluster(
        [page()], [*trouble, [bookmark("11"), 300.0], [Transient("x")], [1e9]]
    )
    _, status = follow(cluster, seconds=3600)
    times = cluster.times("watch")
    assert times[-1] - times[-2] == 0.75
    assert cluster.starts("list") == [""]  # a broken watch is no reason to list again
    assert status.counters.failures_total == 7


def test_what_is_told_twice_by_the_server_is_told_once():
    cluster = ScriptedCluster(
        [page(pod("a"))],
        [
            [
                event(ADDED, pod("a")),
                event(DELETED, pod("never seen")),
                event(DELETED, pod("a", uid="an older life")),
                event(ADDED, pod("a", "2")),
                event(MODIFIED, pod("b", "3")),
                1e9,
            ]
        ],
    )
    heard, status = follow(cluster)
    assert heard.words == ["ADDED a", "SYNCED", "MODIFIED a", "ADDED b"]
    assert status.counters.repeats_total == 3


def test_a_deletion_carries_what_the_watch_says_last():
    last = replace(pod("a", "2"), phase="Failed")
    cluster = ScriptedCluster([page(pod("a"))], [[event(DELETED, last), 1e9]])
    heard, status = follow(cluster)
    assert heard.words == ["ADDED a", "SYNCED", "DELETED a"]
    assert heard.rows[-1][2] == last
    assert status.objects == 0


def test_a_new_life_under_an_old_name_ends_the_old_one_first():
    cluster = ScriptedCluster([page(pod("a"))], [[event(ADDED, pod("a", "2", uid="new")), 1e9]])
    heard, _ = follow(cluster)
    assert heard.words == ["ADDED a", "SYNCED", "DELETED a", "ADDED a"]
    assert [item and item.meta.uid for _, _, item in heard.rows[2:]] == ["uid-a", "new"]


def test_who_is_missing_beside_an_unreadable_item_is_asked_for_before_it_is_called_deleted():
    class Cautious(ScriptedCluster):
        async def get(self, entity: Entity) -> KubeObject:
            if entity.name == "unreadable":
                raise Transient("cannot be decoded")
            return await super().get(entity)

    cluster = Cautious([page(malformed=1)])
    known = (pod("unreadable"), pod("gone"))
    heard, status = follow(cluster, known=known)
    assert heard.words == ["DELETED gone", "SYNCED"]
    assert status.objects == 1


def test_who_is_missing_but_there_when_asked_for_stays():
    class Contradicting(ScriptedCluster):
        async def get(self, entity: Entity) -> KubeObject:
            return pod(entity.name)

    heard, _ = follow(Contradicting([page(malformed=1)]), known=(pod("a"),))
    assert heard.words == ["SYNCED"]


def test_several_namespaces_are_watched_apart_and_synced_together():
    cluster = ScriptedCluster(
        [page(pod("a", namespace="one")), page(pod("b", namespace="two")), Transient("down")],
        [[1e9], [60.0, Gone("old")], [1e9]],
    )
    heard, status = follow(cluster, namespaces=("one", "two"), known=(pod("c", namespace="two"),))
    assert heard.words == ["ADDED a", "ADDED b", "DELETED c", "SYNCED"]
    assert {read.namespace for read in cluster.reads} == {"one", "two"}
    assert status.is_synced
    assert status.last_error == "Transient: down"


def test_until_all_namespaces_are_listed_the_kind_is_not_synced():
    cluster = ScriptedCluster([page(pod("a", namespace="one")), Forbidden("not there")])
    heard, status = follow(cluster, namespaces=("one", "two"))
    assert heard.words == ["ADDED a"]
    assert not status.is_synced


def test_kinds_without_a_namespace_are_followed_everywhere():
    node = Node(ObjectMeta("", "n1", "u", "1"))
    cluster = ScriptedCluster([ListPage((node,), "5", "")])
    heard = Heard()
    made = reflector(cluster, heard, Target(Kind.NODE, namespaces=("one", "two")))

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await made.run()

    virtual_time.run(scenario())
    assert heard.words == ["ADDED n1", "SYNCED"]
    assert {read.namespace for read in cluster.reads} == {""}


def test_the_status_says_how_old_the_picture_is():
    cluster = ScriptedCluster([page(pod("a"))], [[60.0, bookmark("11"), 1e9]])
    _, status = follow(cluster, seconds=100)
    assert status.observed_at == EPOCH + dt.timedelta(seconds=60)
    assert status.lag_seconds == 40.0
    assert status.kind is Kind.POD
    assert (status.counters.lists_total, status.counters.watches_total) == (1, 1)


def test_a_clock_that_is_set_makes_the_picture_neither_older_nor_younger():
    clock = SteppingClock()

    async def scenario() -> None:
        made = Reflector(
            ScriptedCluster([page(pod("a"))], [[1e9]]),
            Target(Kind.POD),
            Heard().sink,
            clock=clock,
            chance=MiddleChance(),
        )
        running = asyncio.ensure_future(made.run())
        for hours in (1, -24):
            await asyncio.sleep(20)
            clock.step = dt.timedelta(hours=hours)
        assert made.status().lag_seconds == 40.0
        running.cancel()

    virtual_time.run(scenario())


def test_every_sign_of_life_is_a_heartbeat():
    beats: list[float] = []
    cluster = ScriptedCluster([page()], [[60.0, bookmark("11"), 60.0], [1e9]])
    heard = Heard()

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        made = reflector(cluster, heard, beat=lambda: beats.append(loop.time()))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(200):
                await made.run()

    virtual_time.run(scenario())
    assert sorted(set(beats)) == [0.0, 60.0, 120.0]


def test_what_the_sink_could_not_take_is_told_again():
    cluster = ScriptedCluster(
        [page(pod("a"))],
        [[event(MODIFIED, pod("a", "11")), event(DELETED, pod("a", "12")), 1e9]],
    )
    heard = Heard()
    refusals = iter([False, False, True, False, True, False])

    async def moody(
        at: dt.datetime, row_type: RowType, kind: Kind, item: KubeObject | None
    ) -> None:
        if next(refusals):
            raise OSError("the disk is full")
        await heard.sink(at, row_type, kind, item)

    made = Reflector(cluster, Target(Kind.POD), moody, clock=LoopClock(), chance=MiddleChance())

    async def scenario() -> None:
        for _ in range(2):
            with pytest.raises(ExceptionGroup):
                await made.run()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await made.run()

    virtual_time.run(scenario())
    assert heard.words == ["ADDED a", "SYNCED", "MODIFIED a", "DELETED a"]
    assert cluster.starts("list") == [""]
