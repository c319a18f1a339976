"""Whether the configured model is the one that is served: said at the start, in status and by the doctor, never fatal."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from opsagent.clients.model import ModelClient
from opsagent.clients.model_served import MODELS_MAX, ModelServerClient
from opsagent.controllers.model_identity import (
    KEPT_SECONDS,
    QUESTION_TOKENS,
    SECONDS_MAX,
    ModelIdentity,
    trouble,
)
from opsagent.finding import Verdict
from opsagent.ports import Forbidden, ServedModel, Terminal, Transient
from opsagent.sim.model import ScriptedModel
from opsagent.sim.model_server import ScriptedTransport, serving_model
from opsagent.sim.scripts import SCRIPTS
from tests.edge.cli.child import running
from tests.edge.test_app import Replica, leads, until_so
from tests.edge.test_doctor import findings
from tests.fakes.http_server import Reply, Request, serve
from tests.fakes.served_shop import served_shop
from tests.fakes.virtual_time import LoopClock, run
from tests.scenarios.places import box

KIMI = ServedModel("kimi-k2.6", 262_144)


class ScriptedServer:
    """``ports.ModelServer``: gives or raises each answer once, the last one again and again."""

    def __init__(self, *answers: Sequence[ServedModel] | Exception | float) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def served(self) -> tuple[ServedModel, ...]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return ()
        return tuple(answer)


@pytest.mark.parametrize(
    ("served", "text"),
    [
        ([KIMI], ""),
        ([ServedModel("kimi-k2.6")], ""),
        ([ServedModel("other"), KIMI], ""),
        ([], "not served; its server has nothing"),
        ([ServedModel("Kimi-K2.6")], "not served; its server has Kimi-K2.6"),
        ([ServedModel(f"m{n}") for n in range(9)], "not served; its server has m0, m1, m2, m3, m4 and 4 more"),
        ([ServedModel("kimi-k2.6", 16_384 + QUESTION_TOKENS)], ""),
        (
            [ServedModel("kimi-k2.6", 16_384)],
            "its context of 16384 tokens is too small for answers of 16384 (model.turn_tokens_max) and questions of 8000",
        ),
    ],
)  # fmt: skip
def test_a_name_is_served_or_not_and_its_context_holds_an_answer_or_not(
    served: list[ServedModel], text: str
) -> None:
    assert trouble("kimi-k2.6", 16_384, served) == text


def identity(server: ScriptedServer) -> ModelIdentity:
    return ModelIdentity(server, "kimi-k2.6", 16_384, LoopClock().monotonic)


@pytest.mark.parametrize(
    ("answer", "text", "seconds"),
    [
        ([KIMI], "kimi-k2.6", 0),
        ([ServedModel("a")], "kimi-k2.6: not served; its server has a", 0),
        (Transient("model: ConnectError"), "kimi-k2.6: model: ConnectError; incidents go by rules", 0),
        (Forbidden("key refused"), "kimi-k2.6: key refused; incidents go by rules", 0),
        (Terminal("no such page (404)"), "kimi-k2.6: whether it is served is not known, no such page (404)", 0),
        (1e6, "kimi-k2.6: its server did not answer within 3 s; incidents go by rules", SECONDS_MAX),
    ],
)  # fmt: skip
def test_status_names_the_model_and_what_is_the_matter(
    answer: Sequence[ServedModel] | Exception | float, text: str, seconds: float
) -> None:
    async def scene() -> None:
        assert await identity(ScriptedServer(answer)).status() == text
        assert asyncio.get_running_loop().time() == seconds

    run(scene())


def test_an_answer_is_kept_for_a_minute_and_then_asked_for_anew() -> None:
    async def scene() -> None:
        server = ScriptedServer([], [KIMI])
        asked = identity(server)
        for _ in range(5):
            assert "not served" in await asked.status()
        await asyncio.sleep(KEPT_SECONDS)
        assert await asked.status() == "kimi-k2.6"
        assert server.asked == 2

    run(scene())


def test_at_the_start_it_is_logged_if_something_is_the_matter_and_only_then() -> None:
    def logged(served: Sequence[ServedModel]) -> list[str]:
        with capture_logs() as logs:
            run(identity(ScriptedServer(served)).run())
        return [each["reason"] for each in logs]

    assert logged([KIMI]) == []
    assert logged([]) == ["not served; its server has nothing"]


def test_a_daemon_whose_model_is_not_served_says_so_and_works(tmp_path: Path) -> None:
    async def scene() -> None:
        async with box() as stage:
            server = ScriptedServer([ServedModel("other")])
            model = ModelClient(ScriptedTransport(ScriptedModel(SCRIPTS["good"])), "kimi-k2.6")
            replica = Replica(stage, tmp_path, model=model, model_server=server)
            with capture_logs() as logs:
                async with replica.running() as report:
                    await until_so(lambda: leads(report))
                    status = await report.status()
            assert status["model"] == "kimi-k2.6: not served; its server has other"
            assert [each["reason"] for each in logs if each["event"] == "model.unusable"] == [
                "not served; its server has other"
            ]

    run(scene())


# Over HTTP


def cards(*models: object) -> bytes:
    return json.dumps({"object": "list", "data": models}).encode()


async def asked(
    status: int, body: bytes, key: str = ""
) -> tuple[tuple[ServedModel, ...], list[Request]]:
    async def answer(_: Request) -> Reply:
        return Reply(status, (body,))

    async with (
        serve(answer) as server,
        aclosing(ModelServerClient(f"{server.url}/v1/", key)) as client,
    ):
        return await client.served(), server.requests


async def test_what_is_served_is_read_with_its_context_where_it_is_told() -> None:
    body = cards({"id": "kimi-k2.6", "max_model_len": 262_144, "root": "/models"}, {"id": "b"})
    served, (request,) = await asked(200, body, "secret")
    assert served == (KIMI, ServedModel("b"))
    assert (request.method, request.target) == ("GET", "/v1/models")
    assert request.headers["authorization"] == "Bearer secret"
    _, (request,) = await asked(200, body)
    assert "authorization" not in request.headers


async def test_names_and_their_number_are_bounded() -> None:
    served, _ = await asked(200, cards(*[{"id": "x" * 5000}] * (MODELS_MAX + 5)))
    assert len(served) == MODELS_MAX
    assert {len(each.name) for each in served} == {200}


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (401, b"", Forbidden, "refuses the API key"),
        (403, b"", Forbidden, "refuses the API key"),
        (404, b"", Terminal, "does not list what it serves"),
        (307, b"", Terminal, "does not list what it serves"),
        (429, b"", Transient, "answered 429"),
        (503, b"", Transient, "answered 503"),
        (200, b"<html>", Terminal, "no list of models"),
        (200, b'{"data": [{"name": "x"}]}', Terminal, "no list of models"),
        (200, b'{"data": ' + b"[" * 100_000, Terminal, "no list of models"),
    ],
)
async def test_what_is_no_list_is_told_apart(
    status: int, body: bytes, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await asked(status, body)


@pytest.mark.parametrize(
    ("name", "status", "body", "verdict", "text"),
    [
        ("kimi-k2.6", 200, cards({"id": "kimi-k2.6", "max_model_len": 262_144}), Verdict.OK, "kimi-k2.6 is served, with 262144 tokens of context"),
        ("kimi-k2.6", 200, cards({"id": "kimi-k2.6"}), Verdict.OK, "kimi-k2.6 is served"),
        ("kimi", 200, cards({"id": "kimi-k2.6"}), Verdict.FAIL, "kimi: not served; its server has kimi-k2.6"),
        ("kimi-k2.6", 200, cards({"id": "kimi-k2.6", "max_model_len": 8192}), Verdict.FAIL, "kimi-k2.6: its context of 8192 tokens is too small"),
        ("kimi-k2.6", 401, b"", Verdict.FAIL, "the model's server refuses the API key (401)"),
        ("kimi-k2.6", 404, b"", Verdict.WARN, "the model's server does not list what it serves (404)"),
    ],
)  # fmt: skip
async def test_the_doctor_says_what_to_do(
    name: str, status: int, body: bytes, verdict: Verdict, text: str, tmp_path: Path
) -> None:
    async def answer(_: Request) -> Reply:
        return Reply(status, (body,))

    async with served_shop(tmp_path) as served, serve(answer) as server:
        model = {"url": f"{server.url}/v1", "name": name}
        config = served.write_config(model=model, executor=None, policy=None)
        found = (await findings(config))["model server"]
    assert (found.verdict, found.text[: len(text)]) == (verdict, text)
    assert bool(found.advice) == (verdict is not Verdict.OK)


async def test_the_doctor_finds_a_server_that_is_away_and_asks_none_without_its_key(
    tmp_path: Path,
) -> None:
    async with served_shop(tmp_path) as served:
        model = {"url": "http://127.0.0.1:9/v1", "name": "kimi-k2.6"}
        config = served.write_config(model=model, executor=None, policy=None)
        away = (await findings(config))["model server"]
        config = served.write_config(
            model=model | {"api_key_file": "gone"}, executor=None, policy=None
        )
        without_key = await findings(config)
    assert (away.verdict, "ConnectError" in away.text) == (Verdict.FAIL, True)
    assert without_key["model"].verdict is Verdict.FAIL
    assert "model server" not in without_key


async def test_the_real_daemon_says_in_its_status_that_the_name_is_not_served(
    tmp_path: Path,
) -> None:
    async with (
        served_shop(tmp_path) as served,
        serving_model(ScriptedModel(SCRIPTS["good"])) as url,
    ):
        config = served.write_config(model={"url": url, "name": "kimi-k2.6"})
        async with running(tmp_path, "run", "--config", config) as child:
            said = "kimi-k2.6: not served; its server has scripted"
            await child.until_status(served.state, lambda status: status["model"] == said, said)
            ended = await child.stop()
    assert "model.unusable" in ended.err
    assert ended.code == 0
