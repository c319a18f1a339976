"""The daemon as a process: it stops when told to and quickly, keeps its state, and says its link to a person alone."""

import asyncio
import base64
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from opsagent.ports import Terminal
from opsagent.production import run_daemon
from opsagent.settings import load
from opsagent.sim.receiver import Receiver, receiving
from opsagent.sim.server import write_kubeconfig
from tests.edge.cli.child import Child, ask_status
from tests.fakes.served_shop import served_shop

pytestmark = pytest.mark.timeout(180)  # whole programs, on a machine that may be busy
STOP_SECONDS_MAX = 10.0


@asynccontextmanager
async def daemon(folder: Path, config: Path, stdout: int | None = None) -> AsyncIterator[Child]:
    """Run ``python -m opsagent run`` in this process's own environment, so that coverage sees it."""
    place = Path(tempfile.mkdtemp(prefix="child-", dir=folder))
    with (place / "stdout").open("wb") as out, (place / "stderr").open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "opsagent", "run", "--config", str(config),
            stdin=asyncio.subprocess.DEVNULL, stdout=out if stdout is None else stdout, stderr=err,
        )  # fmt: skip
    try:
        yield Child(process, place)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_within_seconds_and_goes_on_from_its_state(
    number: signal.Signals, tmp_path: Path
) -> None:
    async with served_shop(tmp_path) as served:
        rows, identities = [], []
        for _ in range(2):
            async with daemon(tmp_path, served.config) as child:
                await child.until_ready(served.state)
                status = await asyncio.to_thread(ask_status, served.state)
                async with asyncio.timeout(STOP_SECONDS_MAX):
                    ended = await child.stop(number)
            assert ended.code == 0, ended.err
            assert "daemon.stopped" in ended.err
            assert "Traceback" not in ended.err
            rows.append(status["stored"]["rows"])
            identities.append((served.state / "identity").read_bytes())
        assert rows[1] >= rows[0] > 0
        assert identities[0] == identities[1]
        assert not [path.name for path in served.state.glob("*-wal")], "checkpointed and closed"


async def test_on_a_terminal_it_prints_a_link_that_opens_the_pages_once(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    try:
        async with (
            served_shop(tmp_path) as served,
            daemon(tmp_path, served.config, stdout=theirs) as child,
            httpx2.AsyncClient(trust_env=False) as browser,
        ):
            await child.until_ready(served.state)
            said = os.read(ours, 4096).decode()
            (link,) = re.findall(r"http://127\.0\.0\.1:\S+", said)
            assert [(await browser.get(link)).status_code for _ in range(2)] == [303, 403]
            await child.stop()
    finally:
        os.close(ours)
        os.close(theirs)


async def test_what_goes_into_a_file_holds_no_link(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served, daemon(tmp_path, served.config) as child:
        await child.until_ready(served.state)
        ended = await child.stop()
    assert "/open/" not in ended.out + ended.err


async def test_everything_that_can_be_configured_is_said_in_the_status(tmp_path: Path) -> None:
    receiver = Receiver(b"s" * 32)
    (tmp_path / "secret").write_text(base64.b64encode(receiver.secret).decode() + "\n")
    (tmp_path / "key").write_text("sk-test\n")
    async with served_shop(tmp_path) as served, receiving(receiver) as hook:
        config = served.write_config(
            cluster="shop",
            webhook={"url": hook, "secret_file": "secret"},
            model={"url": "http://127.0.0.1:9/v1", "name": "kimi", "api_key_file": "key"},
            metrics={"url": "http://127.0.0.1:9"},
            log_archive={"kind": "loki", "url": "http://127.0.0.1:9"},
            trace_archive={"url": "http://127.0.0.1:9"},
            alertmanager={"token_file": "key"},
            api={"host": "::1"},
            log_format="console",
        )
        async with daemon(tmp_path, config) as child:
            await child.until_ready(served.state)
            status = await asyncio.to_thread(ask_status, served.state)
            ended = await child.stop()
    assert ended.code == 0, ended.err
    assert status["cluster"] == "shop"
    assert status["messages_to"] == "webhook"
    assert status["model"].startswith("kimi")  # nobody listens there, which may be known by now
    assert status["actions"] == "approve"
    assert status["metrics"]["last_error"] == "metrics: ConnectionError"
    assert status["alertmanager"] == "may report to /v1/alertmanager"
    assert not ended.err.startswith("{")


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ({"webhook": {"url": "https://hooks.example/x", "secret_file": "secret"}}, "secret"),
        ({"model": {"url": "http://m/v1", "name": "kimi", "api_key_file": "key"}}, "key"),
        ({"alertmanager": {"token_file": "hook"}}, "hook"),
    ],
)
@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_secret_that_cannot_be_read_is_named_before_anything_is_made(
    section: dict[str, Any], name: str, content: bytes | None, tmp_path: Path
) -> None:
    write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9", "token")
    config = tmp_path / "opsagent.yaml"
    config.write_text(json.dumps({"kubernetes": {"kubeconfig": "kubeconfig"}} | section))
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Terminal) as caught:
        run_daemon(load(config))
    why = "No such file or directory" if content is None else "it holds no text"
    assert str(caught.value) == f"cannot read the secret in {tmp_path / name}: {why}"
    assert not (tmp_path / "state").exists()
