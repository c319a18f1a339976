"""What a stranger can get wrong: each ends with its exit code and a message that helps, and nothing is lost."""

import asyncio
import base64
import json
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from opsagent.model.series import Selection
from opsagent.sim import OPSAGENT, Fault, fault_patch
from opsagent.sim.receiver import Receiver, receiving
from opsagent.sim.server import write_kubeconfig
from opsagent.sources.recording import Recording
from opsagent.terminal import Exit
from tests.edge.cli.child import Child, Ended, opsagent, running
from tests.fakes.http_server import Reply, Request, serve
from tests.fakes.served_shop import Served, served_shop
from tests.fakes.small_disk import fill, small_disk

pytestmark = pytest.mark.timeout(180)  # whole programs, on a machine that may be busy


def failed(ended: Ended, code: Exit, *words: str) -> None:
    """Assert the exit code and that the last line of stderr says all ``words``; no traceback."""
    assert ended.code == code, ended
    last = ended.err[ended.err.rindex("opsagent: ") :]
    for word in words:
        assert word in last, ended.err
    assert "Traceback" not in ended.err


async def test_an_unknown_key_is_named_with_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "opsagent.yaml"
    path.write_text("polcy: {}\n")
    for command in (("run", "--config"), ("config", "validate")):
        ended = await opsagent(tmp_path, *command, path)
        failed(
            ended, Exit.FAILED, "opsagent.yaml: 1 fault", "polcy: unknown key; did you mean policy"
        )


async def test_an_unreadable_kubeconfig_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        config = served.write_config(kubernetes={"kubeconfig": "nowhere"})
        ended = await opsagent(tmp_path, "run", "--config", config)
    failed(ended, Exit.FAILED, "nowhere cannot be read", "check kubernetes.kubeconfig")
    assert not served.state.exists()


async def test_a_server_that_is_away_is_waited_for_and_said_to_be_away(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        config, state = served.config, served.state
    async with running(tmp_path, "run", "--config", config) as child:
        await child.until_status(state, lambda status: status["unready"], "unready")
        shown = await opsagent(tmp_path, "status", "--state", state)
        ended = await child.stop()
    assert "the cluster cannot be asked who is the leader" in shown.out
    assert served.url in shown.out
    assert "lease.not_acquired" in ended.err
    assert ended.code == Exit.DONE


@pytest.mark.parametrize(
    ("command", "code"),
    [(("record", "out", "--kubeconfig"), Exit.FAILED), (("doctor", "--config"), Exit.FINDINGS)],
)
async def test_who_looks_only_is_told_that_the_server_is_away(
    command: tuple[str, ...], code: Exit, tmp_path: Path
) -> None:
    async with served_shop(tmp_path) as served:
        path = served.kubeconfig if "record" in command else served.config
    ended = await opsagent(tmp_path, *command, path)
    assert ended.code == code, ended
    assert served.url in ended.out + ended.err
    assert "Cannot connect" in ended.out + ended.err


async def _page(_request: Request) -> Reply:
    return Reply(200, (b"<html>welcome to the proxy</html>",))


async def test_a_prometheus_that_is_out_of_reach_holds_up_no_end(tmp_path: Path) -> None:
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # who comes now is neither let in nor sent away
            caller = waiting.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        async with served_shop(tmp_path) as served:
            config = served.write_config(
                metrics={"url": f"http://127.0.0.1:{full.getsockname()[1]}"}
            )
            async with running(tmp_path, "run", "--config", config) as child:
                await child.until_ready(served.state)
                async with asyncio.timeout(15):  # its time-outs are of 10 and 30 s
                    ended = await child.stop()
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("is_there", "words", "numbers", "advice"),
    [
        (
            False,
            "metrics: ConnectionError",
            "metrics: ConnectionRefusedError",
            "-> check that metrics.url is right and can be reached from here",
        ),
        (
            True,
            "in no known form: check metrics.url",
            "an answer of remote read in no known form",
            "-> correct the metrics section, or leave it out",
        ),
    ],
)
async def test_a_prometheus_that_is_away_or_is_none_is_said_to_be_and_the_daemon_goes_on(
    is_there: bool, words: str, numbers: str, advice: str, tmp_path: Path
) -> None:
    async with serve(_page) as page, served_shop(tmp_path) as served:
        url = page.url if is_there else "http://127.0.0.1:9"
        config = served.write_config(metrics={"url": url})
        async with running(tmp_path, "run", "--config", config) as child:
            await child.until_ready(served.state)
            await child.until_status(
                served.state, lambda status: numbers in str(status["series"]), "numbers"
            )
            shown = await opsagent(tmp_path, "status", "--state", served.state)
            looked = await opsagent(tmp_path, "doctor", "--config", config)
            await served.patch(fault_patch(Fault.MISSING_IMAGE))
            await child.until_status(
                served.state, lambda status: status["incidents_open"] == 1, "found"
            )
            ended = await child.stop()
    assert shown.code == Exit.DONE
    assert words in shown.out
    assert "advice: check the metrics section" in shown.out
    assert shown.out.count(numbers) >= len(Selection)
    assert numbers in ended.err
    assert looked.code == Exit.FINDINGS
    assert "fail  metrics" in looked.out
    assert words in looked.out
    assert advice in looked.out
    assert ended.code == Exit.DONE
    assert "Traceback" not in ended.err


async def test_a_prometheus_that_never_answers_is_said_to_be_silent_and_nobody_waits_for_it(
    tmp_path: Path,
) -> None:
    async def silence(_request: Request) -> Reply:
        await asyncio.Event().wait()
        return Reply()

    async with serve(silence) as page, served_shop(tmp_path) as served:
        config = served.write_config(metrics={"url": page.url})
        async with running(tmp_path, "run", "--config", config) as child:
            await child.until_ready(served.state)
            await served.patch(fault_patch(Fault.MISSING_IMAGE))
            await child.until_status(
                served.state, lambda status: status["incidents_open"] == 1, "found"
            )
            shown = await opsagent(tmp_path, "status", "--state", served.state)
            ended = await child.stop()
    assert shown.code == Exit.DONE
    assert "no answer within 3 s" in shown.out
    assert "advice: check the metrics section" in shown.out
    assert len({request.target.partition("?")[0] for request in page.requests}) > 1
    assert ended.code == Exit.DONE
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", ["run", "record"])
async def test_an_expired_token_is_refused_with_the_likely_cause(
    command: str, tmp_path: Path
) -> None:
    async with served_shop(tmp_path) as served:
        served.cluster.access.revoke(OPSAGENT)
        arguments = {
            "run": ("--config", served.config),
            "record": (tmp_path / "out", "--kubeconfig", served.kubeconfig),
        }[command]
        ended = await opsagent(tmp_path, command, *arguments)
    failed(ended, Exit.REFUSED, "401", "a token may have expired")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as place:
        yield place


def is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_full_disk_stops_the_daemon_which_says_so_once_and_loses_nothing(
    disk: Path, tmp_path: Path
) -> None:
    state, receiver = disk / "state", Receiver(b"k" * 32)
    (tmp_path / "secret").write_text(base64.b64encode(receiver.secret).decode())
    async with served_shop(tmp_path) as served, receiving(receiver) as hook:
        webhook = {"url": hook, "secret_file": "secret"}
        config = served.write_config(state_dir=str(state), webhook=webhook)
        async with running(tmp_path, "run", "--config", config) as child:
            await child.until_ready(state)
            ballast = fill(disk)
            await served.patch(fault_patch(Fault.MISSING_IMAGE))
            ended = await child.ended()
        failed(ended, Exit.FAILED, "daemon.db", "full")
        again = await opsagent(tmp_path, "run", "--config", config)
        failed(again, Exit.FAILED, "daemon.db", "full")
        assert receiver.reasons == ["unwritable"]
        assert receiver.repeated_total == 1, "an id for an interval, not for a start"
        ballast.unlink()
        assert is_sound(state / "daemon.db")
        assert is_sound(state / "executor.db")
        async with running(tmp_path, "run", "--config", config) as child:
            await child.until_status(state, lambda status: status["incidents_open"] == 1, "found")
            ended = await child.stop()
    assert ended.code == Exit.DONE


async def test_a_full_disk_ends_a_recording_that_can_still_be_played(
    disk: Path, tmp_path: Path
) -> None:
    out = disk / "out"
    async with (
        served_shop(tmp_path) as served,
        running(tmp_path, "record", out, "--kubeconfig", served.kubeconfig) as child,
    ):
        await child.until(lambda: "web" in _text(out / "kube.jsonl"), "the first objects")
        fill(disk)
        await served.patch(fault_patch(Fault.MISSING_IMAGE))
        ended = await child.ended()
    failed(ended, Exit.FAILED, "cannot write", "No space left", "can be replayed")
    played = await opsagent(tmp_path, "replay", out)
    assert played.code == Exit.DONE
    assert list(Recording(out).observations())


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _lines_after(path: Path, word: str) -> int:
    return _text(path).partition(word)[2].count("\n")


def garbage(path: Path) -> None:
    path.write_bytes(b"this is not a database, it is a letter" * 1000)


def torn(path: Path) -> None:
    """Overwrite all pages but the first of a real database."""
    head = path.read_bytes()[:4096]
    path.write_bytes(head + b"\xa5" * (path.stat().st_size - len(head)))


@pytest.mark.parametrize(
    ("damage", "words"), [(garbage, "is not a database"), (torn, "the file is corrupt")]
)
@pytest.mark.parametrize("name", ["daemon.db", "executor.db"])
async def test_a_corrupt_database_is_left_as_it_is(
    name: str, damage: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    async with served_shop(tmp_path) as served:
        async with running(tmp_path, "run", "--config", served.config) as child:
            await child.until_ready(served.state)
            await child.stop()
        damage(served.state / name)
        before = (served.state / name).read_bytes()
        ended = await opsagent(tmp_path, "run", "--config", served.config)
    failed(ended, Exit.FAILED, name, words, "restore a copy")
    assert (served.state / name).read_bytes() == before


async def test_a_second_daemon_on_one_state_is_refused_and_the_first_goes_on(
    tmp_path: Path,
) -> None:
    async with (
        served_shop(tmp_path) as served,
        running(tmp_path, "run", "--config", served.config) as first,
    ):
        await first.until_ready(served.state)
        ended = await opsagent(tmp_path, "run", "--config", served.config)
        failed(ended, Exit.FAILED, f"already open in process {first.process.pid}", "stop it")
        await first.until_ready(served.state)
        looked = await opsagent(tmp_path, "doctor", "--config", served.config)
        assert f"process {first.process.pid} runs on this state folder" in looked.out
        ended = await first.stop()
    assert ended.code == Exit.DONE


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with served_shop(tmp_path) as served:
            config = served.write_config(api={"port": port})
            ended = await opsagent(tmp_path, "run", "--config", config)
    failed(ended, Exit.FAILED, f"cannot listen on 127.0.0.1 port {port}", "choose another api.port")


async def recorded(served: Served, out: Path, end: int) -> Child:
    """Record a rollout of a missing image into ``out`` and end it by the signal ``end``."""
    async with running(served.folder, "record", out, "--kubeconfig", served.kubeconfig) as child:
        await child.until(lambda: "web" in _text(out / "kube.jsonl"), "the first objects")
        await served.patch(fault_patch(Fault.MISSING_IMAGE))
        await child.until(
            # One line more than the failure: the last one may be cut off later.
            lambda: _lines_after(out / "kube.jsonl", "ImagePullBackOff") > 1,
            "a failure",
        )
        ended = await child.stop(end)
        assert ended.code == (Exit.DONE if end == signal.SIGINT else -end), ended
    return child


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
async def test_a_recording_that_was_ended_or_killed_replays_to_the_incident(
    end: int, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    async with served_shop(tmp_path) as served:
        child = await recorded(served, out, end)
    assert "recording into" in child.out
    assert ("observations in" in child.out) == (end == signal.SIGINT)
    played = await opsagent(tmp_path, "replay", out)
    (incident,) = [json.loads(line) for line in played.out.splitlines()]
    assert incident["diagnoses"][0]["cause"] == "incorrect_image_reference"
    assert (played.code, played.err) == (Exit.DONE, "")


async def test_a_truncated_recording_is_played_up_to_the_cut(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with served_shop(tmp_path) as served:
        await recorded(served, out, signal.SIGINT)
    path = out / "kube.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    played = await opsagent(tmp_path, "replay", out)
    assert played.code == Exit.DONE
    assert len(played.out.splitlines()) == 1
    assert f"line {len(lines)} skipped" in played.err
    assert f"1 of {len(lines)} lines could not be read" in played.err


async def test_a_folder_without_a_recording_is_named(tmp_path: Path) -> None:
    ended = await opsagent(tmp_path, "replay", tmp_path)
    failed(ended, Exit.FAILED, "recording.yaml cannot be read")


async def test_a_folder_without_a_daemon_is_named(tmp_path: Path) -> None:
    ended = await opsagent(tmp_path, "status", "--state", tmp_path)
    failed(ended, Exit.FAILED, "no daemon runs on the state folder", "opsagent run")


async def test_wrong_usage_is_code_two(tmp_path: Path) -> None:
    ended = await opsagent(tmp_path, "record", tmp_path / "out", "--for", "10x")
    assert ended.code == Exit.USAGE
    assert "90s, 10m, 2h, 1d" in ended.err


async def test_a_token_of_somebody_else_s_daemon_is_refused(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        write_kubeconfig(served.kubeconfig, served.url, "no-token-of-ours")
        ended = await opsagent(tmp_path, "run", "--config", served.config)
    failed(ended, Exit.REFUSED, "401")


async def test_an_open_incident_is_code_three(tmp_path: Path) -> None:
    async with (
        served_shop(tmp_path) as served,
        running(tmp_path, "run", "--config", served.config) as child,
    ):
        await child.until_ready(served.state)
        calm = await opsagent(tmp_path, "status", "--check", "--state", served.state)
        await served.patch(fault_patch(Fault.MISSING_IMAGE))
        await child.until_status(
            served.state, lambda status: status["incidents_open"], "an incident"
        )
        ended = await opsagent(tmp_path, "status", "--check", "--state", served.state)
    assert (calm.code, ended.code) == (Exit.DONE, Exit.FINDINGS)
