"""The HTTP face: tokens in headers, chunked watches, kubeconfigs; the rest is the contract's business."""

import asyncio
import json
import stat
from pathlib import Path

import httpx2

from opsagent.runtime.clock import SystemClock
from opsagent.sim import ADMIN, shop
from opsagent.sim.server import serving, write_kubeconfig
from tests.edge.sim.hand import LEASES, WEB


def client(url: str, token: str = "") -> httpx2.AsyncClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False)


async def test_a_bearer_token_is_needed() -> None:
    clock = SystemClock()
    cluster = shop(clock.now())
    async with serving(cluster, clock) as url, client(url) as http:
        assert (await http.get("/readyz")).text == "ok"
        assert (await http.get(WEB)).status_code == 401
        basic = {"authorization": f"Basic {cluster.access.token(ADMIN)}"}
        assert (await http.get(WEB, headers=basic)).status_code == 401
        bearer = {"authorization": f"Bearer {cluster.access.token(ADMIN)}"}
        answer = await http.get(WEB, headers=bearer)
        assert (answer.status_code, answer.json()["metadata"]["name"]) == (200, "web")


async def test_a_watch_arrives_as_it_happens_and_is_cut_at_the_end() -> None:
    clock = SystemClock()
    cluster = shop(clock.now())
    async with serving(cluster, clock) as url, client(url, cluster.access.token(ADMIN)) as http:
        query = {"watch": "true", "resourceVersion": str(cluster.store.version)}
        async with http.stream("GET", LEASES, params=query) as answer:
            lease = {"metadata": {"name": "a"}, "spec": {}}
            assert (await http.post(LEASES, json=lease)).status_code == 201
            lines = answer.aiter_lines()
            assert json.loads(await anext(lines))["type"] == "ADDED"
            cluster.cut_watches()
            assert [line async for line in lines] == []


async def test_answers_can_be_slow() -> None:
    clock = SystemClock()
    cluster = shop(clock.now())
    cluster.answer_delay_seconds = 0.05
    async with serving(cluster, clock) as url, client(url, cluster.access.token(ADMIN)) as http:
        began = asyncio.get_running_loop().time()
        assert (await http.get(WEB)).status_code == 200
        assert asyncio.get_running_loop().time() - began >= 0.05


def test_a_kubeconfig_is_for_its_owners_eyes(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "http://127.0.0.1:1", "secret", "alice")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = json.loads(path.read_text())
    assert config["users"] == [{"name": "alice", "user": {"token": "secret"}}]
    assert config["clusters"][0]["cluster"]["server"] == "http://127.0.0.1:1"
