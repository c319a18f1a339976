"""Logs that are followed: lines as they are printed, from a second on, until the run ends; rotated, cut, of before."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from opsagent.sim import ADMIN, Cluster, ImageBehaviour, ImageRegistry, SimTransport, drive, shop
from tests.edge.sim.hand import PODS, Hand
from tests.fakes.virtual_time import EPOCH, LoopClock, run

TALKS = ImageBehaviour(log_lines=("hello",), prints=((2.0, "two"), (2.0, "two"), (5.5, "five")))
ENDS = ImageBehaviour(
    exit_code=3, exits_after_seconds=4, log_lines=("born",), prints=((4.0, "dies"), (9.0, "never"))
)
LINES = {"talks": "shop/talks:1", "ends": "shop/ends:1"}


@asynccontextmanager
async def living(image: str) -> AsyncIterator[tuple[Cluster, SimTransport]]:
    """The shop with one more pod, ``one``, of ``image``; it starts at second 1."""
    registry = ImageRegistry(
        {LINES["talks"]: TALKS, LINES["ends"]: ENDS}, frozenset({"shop/web", "shop/cart"})
    )
    cluster, clock = shop(EPOCH, registry=registry), LoopClock()
    pod = {
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": LINES[image]}]},
    }
    Hand(cluster).create(PODS, pod)
    async with asyncio.TaskGroup() as group:
        driver = group.create_task(drive(cluster, clock))
        await asyncio.sleep(3)
        yield cluster, SimTransport(cluster, cluster.access.token(ADMIN), clock)
        driver.cancel()


async def followed(api: SimTransport, **query: str) -> list[tuple[float, bytes]]:
    """Return what came, each with the loop's time."""
    found = []
    async with api.stream(f"{PODS}/one/log", query={"follow": "true"} | query) as (status, chunks):
        assert status == 200
        async for chunk in chunks:
            found.append((round(asyncio.get_running_loop().time(), 1), chunk))  # noqa: PERF401 - as it comes
    return found


def played(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run(play())


def test_lines_come_when_they_are_printed_and_the_end_when_the_run_ends() -> None:
    async def play() -> None:
        async with living("ends") as (_, api):
            assert await followed(api) == [(3.0, b"born\n"), (5.1, b"dies\n")]

    played(play)


def test_a_follower_hears_nothing_twice_and_stays_until_the_pod_is_gone() -> None:
    async def play() -> None:
        async with living("talks") as (cluster, api), asyncio.TaskGroup() as group:
            task = group.create_task(followed(api))
            await asyncio.sleep(60)
            cluster.log("shop", "one", "c").write(cluster.now, b"more", b"\xff")
            await asyncio.sleep(1)
            await api.request("DELETE", f"{PODS}/one")
        texts = [chunk for _, chunk in task.result()]
        assert texts == [b"hello\n", b"two\ntwo\n", b"five\n", b"more\n\xff\n"]

    played(play)


def test_since_counts_in_whole_seconds_and_is_inclusive() -> None:
    async def play() -> None:
        async with living("talks") as (_, api):
            await asyncio.sleep(60)
            answer = await api.request("GET", f"{PODS}/one/log", query={"timestamps": "true"})
            stamps = [line.split()[0].decode() for line in answer.body.splitlines()]
            assert len(stamps[0]) == len("2026-01-05T00:00:00.000000000Z")
            for since, count in ((stamps[1], 3), (f"{stamps[1][:19]}.999Z", 3), (stamps[3], 1)):
                answer = await api.request(
                    "GET", f"{PODS}/one/log", query={"sinceTime": since, "timestamps": "true"}
                )
                assert len(answer.body.splitlines()) == count

    played(play)


def test_of_a_rotated_log_only_who_followed_before_has_it_all() -> None:
    async def play() -> None:
        async with living("talks") as (cluster, api), asyncio.TaskGroup() as group:
            log = cluster.log("shop", "one", "c")
            before = group.create_task(followed(api))
            await asyncio.sleep(10)
            log.rotate()
            log.write(cluster.now, b"new")
            after = group.create_task(followed(api))
            await asyncio.sleep(1)
            cluster.cut_watches()
        assert [chunk for _, chunk in before.result()][-2:] == [b"five\n", b"new\n"]
        assert [chunk for _, chunk in after.result()] == [b"new\n"]

    played(play)


def test_no_more_bytes_come_than_were_asked_for() -> None:
    async def play() -> None:
        async with living("talks") as (_, api):
            chunks = [chunk for _, chunk in await followed(api, limitBytes="8")]
            assert chunks == [b"hello\n", b"tw"]

    played(play)


def test_a_tail_is_followed_on() -> None:
    async def play() -> None:
        async with living("talks") as (cluster, api), asyncio.TaskGroup() as group:
            await asyncio.sleep(10)
            task = group.create_task(followed(api, tailLines="1"))
            await asyncio.sleep(1)
            cluster.log("shop", "one", "c").write(cluster.now, b"more")
            await asyncio.sleep(1)
            await api.aclose()
        assert [chunk for _, chunk in task.result()] == [b"five\n", b"more\n"]

    played(play)


def test_while_it_waits_to_run_again_before_is_what_ran_last() -> None:
    hand = Hand(shop(EPOCH, registry=ImageRegistry({LINES["ends"]: ENDS})))
    spec = {"containers": [{"name": "c", "image": LINES["ends"]}]}
    hand.create(PODS, {"metadata": {"name": "one"}, "spec": spec})
    states = {}
    for _ in range(40):
        hand.wait(0.5)
        state = hand.get(f"{PODS}/one")["status"]["containerStatuses"][0]
        answers = [
            hand.send("GET", f"{PODS}/one/log", previous=word, timestamps="true")
            for word in ("false", "true")
        ]
        if answers[0][0] == 200:
            name = state["state"].get("waiting", {}).get("reason", next(iter(state["state"])))
            states[name, state["restartCount"]] = answers
    now, before = states["running", 0]
    assert before[0] == 400
    assert "dies" not in now[1]
    now, before = states["CrashLoopBackOff", 1]
    assert now == before
    assert now[1].endswith("dies\n")


def test_words_cannot_be_put_into_the_mouth_of_who_never_ran() -> None:
    hand = Hand(shop(EPOCH, registry=ImageRegistry()))
    spec = {"containers": [{"name": "c", "image": "nowhere:1"}]}
    hand.create(PODS, {"metadata": {"name": "one"}, "spec": spec})
    hand.wait(1)
    with pytest.raises(AssertionError, match="c has not run yet"):
        hand.cluster.log("shop", "one", "c")
