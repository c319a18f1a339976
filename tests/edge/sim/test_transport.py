"""The in-process face on virtual time: streams wake when something changes, and can be stopped."""

import asyncio
import json
from collections.abc import AsyncIterator

from opsagent.sim import ADMIN, Cluster, Fault, SimTransport, drive, fault_patch, shop
from opsagent.sim.resources import PODS as POD_RESOURCE
from tests.edge.sim.hand import LEASES, PODS, WEB
from tests.fakes.virtual_time import EPOCH, LoopClock, run

LEASE = json.dumps({"metadata": {"name": "a"}, "spec": {}}).encode()
MERGE = "application/strategic-merge-patch+json"


def transport(cluster: Cluster) -> SimTransport:
    return SimTransport(cluster, cluster.access.token(ADMIN), LoopClock())


def now() -> float:
    return asyncio.get_running_loop().time()


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    async for chunk in chunks:
        for line in chunk.splitlines():
            yield json.loads(line)["type"]


def test_a_stream_wakes_at_the_moment_of_a_change() -> None:
    async def main() -> None:
        api = transport(shop(EPOCH))
        heard: list[tuple[str, float]] = []

        async def listen() -> None:
            query = {"watch": "true", "resourceVersion": "0", "timeoutSeconds": "30"}
            async with api.stream(LEASES, query=query) as (status, chunks):
                assert status == 200
                heard.extend([(type_, now()) async for type_ in events(chunks)])

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            await asyncio.sleep(7)
            assert (await api.request("POST", LEASES, body=LEASE)).status == 201
        assert heard == [("ADDED", 7.0)]
        assert now() == 30

    run(main())


def test_the_driver_wakes_early_for_work_that_a_request_made() -> None:
    async def main() -> None:
        cluster = shop(EPOCH)
        api = transport(cluster)
        async with asyncio.TaskGroup() as group:
            driver = group.create_task(drive(cluster, LoopClock()))
            await asyncio.sleep(100)
            body = json.dumps(fault_patch(Fault.CRASH_LOOP)).encode()
            await api.request("PATCH", WEB, body=body, content_type=MERGE)
            await asyncio.sleep(1)
            pods = cluster.store.objects(POD_RESOURCE)
            driver.cancel()
        assert len(pods) == 6

    run(main())


def test_closing_the_transport_ends_its_streams() -> None:
    async def main() -> None:
        api = transport(shop(EPOCH))

        async def listen() -> None:
            query = {"watch": "true", "resourceVersion": "0"}
            async with api.stream(LEASES, query=query) as (_, chunks):
                assert [type_ async for type_ in events(chunks)] == []

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            await asyncio.sleep(5)
            await api.aclose()
        assert now() == 5

    run(main())


def test_a_cancelled_reader_leaves_nothing_behind() -> None:
    async def main() -> None:
        cluster = shop(EPOCH)
        api = transport(cluster)

        async def listen() -> None:
            async with api.stream(PODS, query={"watch": "true"}) as (_, chunks):
                async for _ in chunks:
                    pass

        async with asyncio.TaskGroup() as group:
            task = group.create_task(listen())
            await asyncio.sleep(5)
            task.cancel()
        assert not cluster._subscribers
        assert now() == 5

    run(main())


def test_cut_watches_end_without_a_word() -> None:
    async def main() -> None:
        cluster = shop(EPOCH)
        api = transport(cluster)

        async def listen() -> list[str]:
            query = {"watch": "true", "resourceVersion": "0"}
            async with api.stream(LEASES, query=query) as (_, chunks):
                return [type_ async for type_ in events(chunks)]

        async with asyncio.TaskGroup() as group:
            task = group.create_task(listen())
            await asyncio.sleep(5)
            cluster.cut_watches()
        assert (task.result(), now()) == ([], 5)

    run(main())


def test_a_refused_stream_carries_the_refusal() -> None:
    async def main() -> None:
        cluster = shop(EPOCH)
        cluster.refuse_next(1, 429)
        async with transport(cluster).stream(PODS, query={"watch": "true"}) as (status, chunks):
            body = b"".join([chunk async for chunk in chunks])
        assert (status, json.loads(body)["reason"]) == (429, "TooManyRequests")

    run(main())


def test_a_log_can_be_streamed() -> None:
    async def main() -> None:
        cluster = shop(EPOCH)
        name = json.loads((await transport(cluster).request("GET", PODS)).body)["items"][0]
        path = f"{PODS}/{name['metadata']['name']}/log"
        async with transport(cluster).stream(path) as (status, chunks):
            assert (status, [chunk async for chunk in chunks]) == (200, [b"listening on :8080\n"])
        async with transport(cluster).stream(path, query={"tailLines": "0"}) as (_, chunks):
            assert [chunk async for chunk in chunks] == []

    run(main())


def test_a_watch_as_a_request_is_read_to_its_end() -> None:
    async def main() -> None:
        answer = await transport(shop(EPOCH)).request(
            "GET", PODS, query={"watch": "true", "timeoutSeconds": "20"}
        )
        assert (answer.status, len(answer.body.splitlines()), now()) == (200, 5, 20)

    run(main())


def test_answers_can_be_slow() -> None:
    async def main() -> None:
        cluster = shop(EPOCH)
        cluster.answer_delay_seconds = 3
        assert (await transport(cluster).request("GET", WEB)).status == 200
        assert now() == 3
        async with transport(cluster).stream(WEB) as (status, _):
            assert (status, now()) == (200, 6)

    run(main())
