"""The receiver of messages takes what the holder of the secret sent, once; it judges by its own arithmetic."""

import asyncio
import base64
import hashlib
import hmac
import json

import httpx2
import pytest

from opsagent.sim.receiver import Receiver, receiving
from tests.fakes.virtual_time import run

SECRET = b"s" * 32
BODY = json.dumps({"reason": "opened"}).encode()


def signature(message_id: str, timestamp: str, body: bytes, secret: bytes = SECRET) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()}"


GOOD = signature("ntf_1", "1700000000", BODY)


def test_what_the_holder_of_the_secret_sent_is_taken() -> None:
    receiver = Receiver(SECRET)
    assert receiver.take("ntf_1", "1700000000", GOOD, BODY) == 204
    assert receiver.messages == {"ntf_1": {"reason": "opened"}}
    assert receiver.reasons == ["opened"]


def test_of_several_signatures_one_is_enough() -> None:
    receiver = Receiver(SECRET)
    assert receiver.take("ntf_1", "1700000000", f"v1,b2xk v1a,x {GOOD}", BODY) == 204


def test_the_same_message_again_is_taken_and_counted_not_kept_twice() -> None:
    receiver = Receiver(SECRET)
    for _ in range(3):
        assert receiver.take("ntf_1", "1700000000", GOOD, BODY) == 204
    assert len(receiver.messages) == 1
    assert receiver.repeated_total == 2


@pytest.mark.parametrize(
    ("message_id", "timestamp", "given", "body"),
    [
        ("ntf_2", "1700000000", GOOD, BODY),
        ("ntf_1", "1700000001", GOOD, BODY),
        ("ntf_1", "1700000000", GOOD, BODY + b" "),
        ("ntf_1", "1700000000", GOOD.removeprefix("v1,"), BODY),
        ("ntf_1", "1700000000", "", BODY),
        ("ntf_1", "1700000000", signature("ntf_1", "1700000000", BODY, b"x" * 32), BODY),
    ],
)
def test_anything_else_is_refused_and_counted(
    message_id: str, timestamp: str, given: str, body: bytes
) -> None:
    receiver = Receiver(SECRET)
    assert receiver.take(message_id, timestamp, given, body) == 401
    assert (receiver.refused_total, receiver.messages) == (1, {})


async def test_it_listens_on_loopback_and_reads_the_standard_headers() -> None:
    receiver = Receiver(SECRET)
    headers = {"webhook-id": "ntf_1", "webhook-timestamp": "1700000000", "webhook-signature": GOOD}
    async with receiving(receiver) as url, httpx2.AsyncClient(trust_env=False) as http:
        assert (await http.post(url, content=BODY, headers=headers)).status_code == 204
        assert (await http.post(url, content=BODY)).status_code == 401
        assert (await http.get(url)).status_code == 405
    assert url.startswith("http://127.0.0.1:")
    assert (len(receiver.messages), receiver.refused_total) == (1, 1)


def test_its_secret_is_in_no_repr() -> None:
    assert "sss" not in repr(Receiver(SECRET))


def test_who_waits_for_messages_is_told_when_all_are_there_and_not_kept_for_ever() -> None:
    async def scene() -> None:
        receiver = Receiver(SECRET)
        assert await receiver.until_taken(set(), 1)
        async with asyncio.TaskGroup() as group:
            one = group.create_task(receiver.until_taken({"ntf_1"}, 60))
            both = group.create_task(receiver.until_taken({"ntf_1", "ntf_2"}, 60))
            await asyncio.sleep(1)
            receiver.take("ntf_1", "1700000000", GOOD, BODY)
            await asyncio.sleep(1)
            assert (one.done(), both.done()) == (True, False)
        assert (one.result(), both.result()) == (True, False)

    run(scene())
