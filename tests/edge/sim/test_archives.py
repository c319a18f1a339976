"""The simulated archives refuse what the real ones refuse, so that a client that errs does not pass."""

import datetime as dt
import json

import httpx2
import pytest
from hypothesis import given, strategies as st

from opsagent.sim.archive import unquoted
from opsagent.sim.archive_server import archive_serving
from opsagent.sim.loki import Loki
from opsagent.sim.tempo import SimSpan, Tempo
from opsagent.sim.victorialogs import VictoriaLogs
from tests.fakes.virtual_time import EPOCH

SPAN = {"start": "0", "end": "9000000000000000000", "limit": "10"}
LOKI, VICTORIALOGS = "/loki/api/v1/query_range", "/select/logsql/query"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (r'"plain"', "plain"),
        (r'"\a\b\f\n\r\t\v\\\""', '\a\b\f\n\r\t\v\\"'),
        (r'"\x41\u00e9\U0001f600"', "Aé😀"),
    ],
)
def test_a_string_means_what_it_means_in_go(text: str, meaning: str) -> None:
    assert unquoted(text) == meaning


@pytest.mark.parametrize("text", [r'"\q"', r'"\x4"', r'"\ud800"', r'"\U00110000"'])
def test_what_go_does_not_know_is_no_string(text: str) -> None:
    with pytest.raises(ValueError, match="escape"):
        unquoted(text)


@pytest.mark.parametrize(
    "query",
    ["", "{}", '{a="b"', '{a="b"} | json', '{a=""}', r'{a="\q"}', '{a="b"} |= x', '{a!="b"}'],
)
def test_loki_refuses_what_is_no_query(query: str) -> None:
    answer = Loki().handle(LOKI, SPAN | {"query": query}, {})
    assert answer.status == 400


def test_loki_wants_numbers_its_own_path_and_a_tenant_if_it_has_several() -> None:
    asked = SPAN | {"query": '{a="b"}'}
    assert Loki().handle(LOKI, asked | {"limit": "x"}, {}).status == 400
    assert Loki().handle("/api/v1/query_range", asked, {}).status == 404
    shared = Loki(is_multi_tenant=True)
    assert shared.handle(LOKI, asked, {}).status == 401
    assert shared.handle(LOKI, asked, {"x-scope-orgid": "ops"}).status == 200


def test_loki_tells_lines_by_stream_the_newest_first_and_its_warnings() -> None:
    loki = Loki()
    loki.warnings.append("one querier is away")
    for number, pod in enumerate("abab"):
        loki.shelf.put(EPOCH, f"{number}", {"app": "x", "pod": pod}, "fake")
    found = json.loads(loki.handle(LOKI, SPAN | {"query": '{app="x"}', "limit": "3"}, {}).body)
    streams = found["data"]["result"]
    assert [[line for _, line in each["values"]] for each in streams] == [["2"], ["3", "1"]]
    assert found["warnings"] == ["one querier is away"]
    other = json.loads(loki.handle(LOKI, SPAN | {"query": '{app="y"}'}, {}).body)
    assert other["data"]["result"] == []


@pytest.mark.parametrize(
    "query", ["", "x", '"a":="b"', r'"a":="\q" | fields "a"', '"a":="b" or * | fields "a"']
)
def test_victorialogs_refuses_what_is_no_query(query: str) -> None:
    answer = VictoriaLogs().handle(VICTORIALOGS, SPAN | {"query": query}, {})
    assert answer.status == 400


def test_victorialogs_wants_numbers_and_its_own_path() -> None:
    asked = SPAN | {"query": '"a":="b" | fields "a"'}
    box = VictoriaLogs()
    assert box.handle(VICTORIALOGS, asked, {"accountid": "x"}).status == 400
    assert box.handle(VICTORIALOGS, asked | {"start": "x"}, {}).status == 400
    assert box.handle(LOKI, asked, {}).status == 400


def test_victorialogs_finds_by_pattern_and_by_word() -> None:
    box = VictoriaLogs()
    box.shelf.put(EPOCH, "one two", {"pod": "a-1"}, "0:0")
    for query, count in (
        ('"pod":~"^a-[0-9]$" *"e t"* | fields "_msg"', 1),
        ('"pod":~"^b" | fields "_msg"', 0),
        ('"pod":="a-1" | fields "_msg", "none"', 1),
    ):
        body = box.handle(VICTORIALOGS, SPAN | {"query": query}, {}).body
        assert body == b'{"_msg":"one two"}\n' * count


@given(st.text(max_size=40))
def test_no_query_of_any_shape_breaks_them(query: str) -> None:
    for box, path, name in (
        (Loki(), LOKI, "query"),
        (VictoriaLogs(), VICTORIALOGS, "query"),
        (Tempo(), "/api/search", "q"),
    ):
        assert box.handle(path, SPAN | {name: query}, {}).status in {200, 400}


def test_tempo_refuses_what_is_no_query_and_knows_two_paths() -> None:
    tempo = Tempo()
    for query in ("", "{}", "{ true }", '{ resource.service.name = "x" || true }'):
        assert tempo.handle("/api/search", SPAN | {"q": query}, {}).status == 400
    assert tempo.handle("/api/echo", {}, {}).status == 404
    assert tempo.handle("/api/traces/1f", {}, {}).status == 404


def test_tempo_tells_of_a_trace_whose_root_is_not_there_yet() -> None:
    tempo = Tempo()
    tempo.put(SimSpan("1f", "ab" * 8, "cart", "x", EPOCH, dt.timedelta(0), parent_id="cd" * 8))
    asked = {"q": '{ resource.service.name = "cart" }'} | SPAN
    (found,) = json.loads(tempo.handle("/api/search", asked, {}).body)["traces"]
    assert found["rootServiceName"] == "<root span not yet received>"
    assert found["traceID"] == "1f"
    assert "durationMs" not in found


async def test_over_http_it_may_want_a_token() -> None:
    async with archive_serving(Loki(), token="secret") as url, httpx2.AsyncClient() as http:
        asked = SPAN | {"query": '{a="b"}'}
        assert (await http.get(url + LOKI, params=asked)).status_code == 401
        headers = {"authorization": "Bearer secret"}
        answer = await http.get(url + LOKI, params=asked, headers=headers)
        assert answer.json()["data"]["result"] == []
