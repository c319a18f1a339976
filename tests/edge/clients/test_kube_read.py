"""The reader over a transport: queries, framing of watches, bounded logs, errors by their names."""

import datetime as dt
import itertools
import json

import pytest
from hypothesis import given, strategies as st

from opsagent.clients.kube_path import collection_path, object_path, segment
from opsagent.clients.kube_read import (
    EVENT_BYTES_MAX,
    LOG_BYTES_MAX,
    KubeReader,
    LineFraming,
    parse_stamp,
)
from opsagent.model.entity import Entity, Kind
from opsagent.model.signal import LogRecord, RowType
from opsagent.ports import (
    Conflict,
    Forbidden,
    Gone,
    KubeAnswer,
    NotFound,
    Terminal,
    Transient,
    WatchEvent,
)
from opsagent.runtime.retry import RetryLater
from tests.fakes import wire
from tests.fakes.scripted_transport import Asked, ScriptedTransport, Stream, answer

POD = Entity(Kind.POD, "shop", "web-1")
AT = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def page(*items: object, token: str = "") -> KubeAnswer:
    return answer({"metadata": {"resourceVersion": "9", "continue": token}, "items": list(items)})


async def test_a_page_is_asked_for_with_limit_namespace_and_continuation():
    transport = ScriptedTransport(page(wire.pod(), token="more"))
    found = await KubeReader(transport).list_page(Kind.POD, namespace="shop", continue_token="t")
    assert [item.meta.name for item in found.items] == ["web-1"]
    assert (found.resource_version, found.continue_token) == ("9", "more")
    (asked,) = transport.asked
    assert asked == Asked(
        "GET", "/api/v1/namespaces/shop/pods", {"limit": "500", "continue": "t"}, None
    )


async def test_malformed_items_are_counted():
    reader = KubeReader(ScriptedTransport(page(wire.pod(), {"metadata": 5}, {"metadata": {}})))
    assert (await reader.list_page(Kind.POD)).malformed == 2
    assert reader.malformed_total == 2


async def test_a_list_that_is_none_is_transient():
    reader = KubeReader(ScriptedTransport(KubeAnswer(200, b"<html>")))
    with pytest.raises(Transient, match="list of Pod is no list"):
        await reader.list_page(Kind.POD)
    assert reader.malformed_total == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Gone),
        (429, Transient),
        (503, Transient),
        (400, Terminal),
    ],
)
async def test_a_status_is_an_error_of_its_own_name(status: int, error: type[Exception]):
    with pytest.raises(error, match="why"):
        await KubeReader(ScriptedTransport(answer({"message": "why"}, status))).list_page(Kind.POD)
    refused = Stream(status, (b'{"message": "why"}',))
    with pytest.raises(error, match="why"):
        await anext(KubeReader(ScriptedTransport(refused)).watch(Kind.POD, "1"))


async def test_retry_after_is_kept():
    busy = answer({}, 429, **{"retry-after": "7"})
    with pytest.raises(RetryLater) as caught:
        await KubeReader(ScriptedTransport(busy)).list_page(Kind.POD)
    assert caught.value.retry_after_seconds == 7.0


async def test_one_object_is_read_by_its_path():
    transport = ScriptedTransport(answer(wire.deployment()))
    item = await KubeReader(transport).get(Entity(Kind.DEPLOYMENT, "shop", "web"))
    assert item.meta.name == "web"
    assert transport.asked[0].path == "/apis/apps/v1/namespaces/shop/deployments/web"


async def test_an_object_that_cannot_be_decoded_is_transient_and_counted():
    reader = KubeReader(ScriptedTransport(answer({"metadata": 5})))
    with pytest.raises(Transient, match=r"v1/Pod/shop/web-1 cannot be decoded"):
        await reader.get(POD)
    assert reader.malformed_total == 1


def line(event_type: str, content: object) -> bytes:
    return json.dumps({"type": event_type, "object": content}).encode() + b"\n"


async def watched(*chunks: bytes | Exception) -> tuple[list[WatchEvent], KubeReader]:
    transport = ScriptedTransport(Stream(200, chunks))
    reader = KubeReader(transport)
    events = [event async for event in reader.watch(Kind.POD, "5", namespace="shop")]
    assert transport.closed_streams == 1
    return events, reader


async def test_a_watch_asks_for_bookmarks_from_the_given_version():
    transport = ScriptedTransport(Stream())
    assert [event async for event in KubeReader(transport).watch(Kind.NODE, "5")] == []
    (asked,) = transport.asked
    assert asked.path == "/api/v1/nodes"
    assert asked.query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "5",
        "timeoutSeconds": "600",
    }


async def test_events_come_out_whole_however_the_bytes_are_cut():
    content = line("ADDED", wire.pod("a")) + b"\n" + line("BOOKMARK", {"metadata": {}})
    content += line("DELETED", wire.pod("b"))
    whole, _ = await watched(content)
    bytewise, _ = await watched(*[content[i : i + 1] for i in range(len(content))])
    assert whole == bytewise
    assert [event.type for event in whole] == [RowType.ADDED, None, RowType.DELETED]


async def test_broken_lines_are_counted_and_the_watch_goes_on():
    events, reader = await watched(b"{\n", line("ADDED", {}), line("ADDED", wire.pod()))
    assert len(events) == 1
    assert reader.malformed_total == 2


async def test_a_tap_sees_the_lines_that_hold_something():
    lines = [line("ADDED", wire.pod("a")), b"{\n", line("ADDED", wire.pod("b"))]
    seen: list[bytes] = []
    reader = KubeReader(ScriptedTransport(Stream(200, (b"".join(lines),))), tap=seen.append)
    events = [event async for event in reader.watch(Kind.POD, "1")]
    assert (len(events), reader.malformed_total) == (2, 1)
    assert [text + b"\n" for text in seen] == [lines[0], lines[2]]


async def test_half_a_line_at_the_end_is_not_an_event():
    events, reader = await watched(line("ADDED", wire.pod()) + b'{"type": "ADD')
    assert len(events) == 1
    assert reader.malformed_total == 0


async def test_a_line_beyond_the_limit_is_dropped_counted_and_not_kept_in_memory():
    chunk = b"x" * (1024 * 1024)
    events, reader = await watched(
        *[chunk] * (EVENT_BYTES_MAX // len(chunk) + 3), b"\n", line("ADDED", wire.pod())
    )
    assert len(events) == 1
    assert reader.malformed_total == 1


async def test_gone_as_an_event_is_gone():
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    with pytest.raises(Gone):
        await watched(line("ADDED", wire.pod()), line("ERROR", gone))


async def test_a_connection_that_breaks_is_transient_after_what_came_before():
    events = KubeReader(
        ScriptedTransport(Stream(200, (line("ADDED", wire.pod()), Transient("reset"))))
    ).watch(Kind.POD, "5")
    assert (await anext(events)).type is RowType.ADDED
    with pytest.raises(Transient, match="reset"):
        await anext(events)


async def test_a_log_is_asked_for_with_stamps_and_bounds_and_comes_oldest_first():
    content = (
        b"2026-01-05T00:00:00.000000001Z starting\n"
        b"2026-01-05T01:00:01.5+01:00 caf\xe9 \xff\r\n"
        b"2026-01-05T00:00:02Z\n"
        b"no stamp at all\n"
    )
    transport = ScriptedTransport(Stream(200, (content[:10], content[10:])))
    reader = KubeReader(transport)
    records = await reader.pod_log(POD, "web", previous=True, tail_lines=7)
    assert records == (
        LogRecord(AT, POD, "web", "starting"),
        LogRecord(AT + dt.timedelta(seconds=1.5), POD, "web", "caf\ufffd \ufffd"),
        LogRecord(AT + dt.timedelta(seconds=2), POD, "web", ""),
    )
    assert reader.malformed_total == 1
    (asked,) = transport.asked
    assert asked.path == "/api/v1/namespaces/shop/pods/web-1/log"
    assert asked.query == {
        "container": "web",
        "timestamps": "true",
        "tailLines": "7",
        "limitBytes": str(LOG_BYTES_MAX),
        "previous": "true",
    }


async def test_no_more_of_a_log_is_read_than_the_limit():
    long_line = b"2026-01-05T00:00:00Z " + b"x" * 1000 + b"\n"
    endless = Stream(200, (long_line,) * 400)
    transport = ScriptedTransport(endless)
    records = await KubeReader(transport).pod_log(POD, "web")
    assert len(records) == LOG_BYTES_MAX // len(long_line)  # the cut line is left out
    assert transport.closed_streams == 1


@pytest.mark.parametrize("status", [400, 404])
async def test_a_container_without_a_log_has_none(status: int):
    refused = Stream(status, (b'{"message": "waiting to start"}',))
    with pytest.raises(NotFound):
        await KubeReader(ScriptedTransport(refused)).pod_log(POD, "web")


async def test_a_log_that_is_not_ours_to_read_is_forbidden():
    with pytest.raises(Forbidden):
        await KubeReader(ScriptedTransport(Stream(403))).pod_log(POD, "web")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../secrets/x", "a?b", "A", "a b", "-a", "a" * 254, "a\n", "é"]
)
def test_what_is_no_name_reaches_no_path(name: str):
    with pytest.raises(NotFound):
        segment(name)
    with pytest.raises(NotFound):
        object_path(Entity(Kind.POD, "shop", name))
    with pytest.raises(NotFound):
        object_path(Entity(Kind.POD, name, "web"))


def test_paths():
    assert collection_path(Kind.REPLICA_SET) == "/apis/apps/v1/replicasets"
    assert collection_path(Kind.EVENT, "shop") == "/api/v1/namespaces/shop/events"
    assert collection_path(Kind.NODE, "shop") == "/api/v1/nodes"
    assert object_path(Entity(Kind.NODE, "", "n1.example")) == "/api/v1/nodes/n1.example"


def test_a_stamp_that_is_none():
    for stamp in (b"", b"yesterday", b"2026-01-05", b"\xff", b"9999-12-31T23:59:59-23:59"):
        assert parse_stamp(stamp) is None


@given(
    lines=st.lists(st.binary(min_size=1, max_size=12).filter(lambda text: b"\n" not in text)),
    cuts=st.lists(st.integers(min_value=0, max_value=200)),
)
def test_framing_does_not_depend_on_how_the_bytes_arrive(lines: list[bytes], cuts: list[int]):
    content = b"".join(text + b"\n" for text in lines)
    edges = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    framing = LineFraming(bytes_max=8)
    blocks = [block for a, b in itertools.pairwise(edges) for block in framing.feed(content[a:b])]
    out = [text for block in blocks for text in bytes(block).split(b"\n") if text]
    assert out == [text for text in lines if len(text) <= 8]
    assert framing.dropped_total == sum(len(text) > 8 for text in lines)
