"""JSON values as the sim keeps them, and the few spellings that Kubernetes gives to time and chance.

A stored object is never changed in place: whoever wants to change one clones it first. Names and
uids come from counters through SHA-256, so that the same history gives the same names.
"""

import datetime as dt
import hashlib
from typing import Any, TypeAlias

import msgspec

Obj: TypeAlias = dict[str, Any]  # a JSON object; its shape is the Kubernetes API's

SAFE_ALPHABET = (
    "bcdfghjklmnpqrstvwxz2456789"  # Source: apimachinery util/rand: no vowels, no look-alikes
)


def clone(value: Any) -> Any:  # noqa: ANN401 - a JSON value of any shape, the same shape back
    """Return a deep copy of a JSON value; by way of its bytes, which is the fastest."""
    return msgspec.json.decode(msgspec.json.encode(value))


def copy_of(item: Obj) -> Obj:
    """Return a deep copy of a JSON object."""
    copied: Obj = clone(item)
    return copied


def encode(value: Obj) -> bytes:
    """Return compact UTF-8 JSON."""
    return msgspec.json.encode(value)


def stamp(at: dt.datetime) -> str:
    """Return metav1.Time: RFC 3339 with whole seconds."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp(at: dt.datetime) -> str:
    """Return metav1.MicroTime: RFC 3339 with microseconds."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_stamp(text: str) -> dt.datetime:
    """Read either spelling back as an aware instant."""
    return dt.datetime.fromisoformat(text)


def seconds(count: float) -> dt.timedelta:
    """Return a duration of ``count`` seconds."""
    return dt.timedelta(seconds=count)


def safe_name(length: int, *parts: str) -> str:
    """Return ``length`` safe characters that depend on ``parts`` alone."""
    number = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest(), "big")
    letters = []
    for _ in range(length):
        number, index = divmod(number, len(SAFE_ALPHABET))
        letters.append(SAFE_ALPHABET[index])
    return "".join(letters)


def uid_of(*parts: str) -> str:
    """Return a uid in the form of a version 4 UUID that depends on ``parts`` alone."""
    digits = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"
