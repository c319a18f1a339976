"""Canonical JSON and content-addressed ids: same value, same bytes, same id, on every machine.

Canonical form: UTF-8 JSON, keys sorted, no white space, no NaN or Infinity, instants as RFC 3339.
An id is a prefix and the first 16 hex digits of the SHA-256 of that form.
"""

import dataclasses
import datetime as dt
import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Source: Crockford base 32, as ULID uses it


def instant(at: dt.datetime) -> str:
    """Return an aware instant as RFC 3339 in UTC with microseconds, e.g. ``2026-01-05T00:00:00.000000Z``."""
    in_utc = at if at.tzinfo is dt.UTC else at.astimezone(dt.UTC)
    return in_utc.isoformat("T", "microseconds")[:-6] + "Z"  # half of what strftime takes


def plain(value: object) -> JsonValue:
    """Turn a model value (dataclass, enum, instant, tuple, mapping) into plain JSON values.

    Raises:
        TypeError: the value is of a type that has no canonical form.
    """
    match value:
        case enum.Enum():
            return plain(value.value)
        case None | bool() | int() | float() | str():
            return value
        case dt.datetime():
            return instant(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _ if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return {field.name: plain(getattr(value, field.name)) for field in fields}
        case _:
            raise TypeError(f"no canonical form for {type(value).__name__}")


def canonical(value: object) -> bytes:
    """Return the canonical bytes of ``value``.

    Raises:
        TypeError: see :func:`plain`.
        ValueError: the value holds NaN or Infinity.
    """
    return _ENCODER.encode(plain(value)).encode()


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical form, 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def content_id(prefix: str, value: object) -> str:
    """Return ``<prefix>_<16 hex digits>`` for ``value``."""
    return f"{prefix}_{digest(value)[:16]}"


def ordered_id(prefix: str, at: dt.datetime, value: object) -> str:
    """Return ``<prefix>_<ULID>``: sorts by ``at``, and its random part is taken from ``value``.

    A true ULID draws 80 random bits; here they come from the value's digest, so that a replay or a
    restart in the middle gives the same id. Source: the ULID layout, 48 bits of Unix ms, 80 bits.
    """
    milliseconds = int(at.timestamp() * 1000)
    number = (milliseconds << 80) | int(digest(value)[:20], 16)
    return f"{prefix}_{''.join(CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))}"
