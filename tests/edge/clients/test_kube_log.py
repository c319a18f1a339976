"""Following a log over a transport: what is asked for, chunks as they come, failures by their names."""

import datetime as dt

import pytest

from opsagent.clients.kube_log import IDLE_SECONDS, KubeLogs
from opsagent.model.entity import Entity, Kind
from opsagent.ports import Forbidden, NotFound, Transient
from tests.fakes.scripted_transport import ScriptedTransport, Stream

POD = Entity(Kind.POD, "shop", "web-1")
AT = dt.datetime(2026, 1, 5, 1, 0, 0, 999_999, tzinfo=dt.timezone(dt.timedelta(hours=1)))


async def test_a_log_is_followed_with_stamps_and_patience_and_comes_as_it_is():
    transport = ScriptedTransport(Stream(chunks=(b"a", b"\xff\n\n", b"rest")))
    async with KubeLogs(transport).follow_log(POD, "web") as chunks:
        assert [chunk async for chunk in chunks] == [b"a", b"\xff\n\n", b"rest"]
    (asked,) = transport.asked
    assert asked.path == "/api/v1/namespaces/shop/pods/web-1/log"
    assert asked.query == {"container": "web", "follow": "true", "timestamps": "true"}
    assert transport.idle_seconds == IDLE_SECONDS
    assert transport.closed_streams == 1


async def test_it_begins_with_a_whole_second_in_utc_and_may_be_that_of_before():
    transport = ScriptedTransport(Stream())
    async with KubeLogs(transport).follow_log(POD, "web", AT, is_previous=True) as chunks:
        assert [chunk async for chunk in chunks] == []
    (asked,) = transport.asked
    assert (asked.query["sinceTime"], asked.query["previous"]) == ("2026-01-05T00:00:00Z", "true")


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, NotFound), (404, NotFound), (403, Forbidden), (401, Forbidden), (500, Transient)],
)
async def test_a_refusal_is_told_by_its_name_before_the_first_chunk(status, error):
    transport = ScriptedTransport(Stream(status, (b"because",)))
    with pytest.raises(error):
        async with KubeLogs(transport).follow_log(POD, "web"):
            pytest.fail("there is no log")
    assert transport.closed_streams == 1


async def test_a_name_that_is_none_reaches_no_server():
    transport = ScriptedTransport(Stream())
    with pytest.raises(NotFound):
        async with KubeLogs(transport).follow_log(Entity(Kind.POD, "shop", ".."), "web"):
            pytest.fail("there is no log")
    assert transport.asked == []


async def test_a_connection_that_breaks_is_transient_and_closed():
    transport = ScriptedTransport(Stream(chunks=(b"half", Transient("cut"))))
    with pytest.raises(Transient):
        async with KubeLogs(transport).follow_log(POD, "web") as chunks:
            assert [chunk async for chunk in chunks] == []
    assert transport.closed_streams == 1
