"""Protobuf's wire format, as much as one message of ours needs: numbers, doubles, and what has a length.

There is no schema: whoever reads knows which field is what. Source: protobuf.dev, "Encoding".
"""

import struct
from collections.abc import Iterator
from typing import TypeAlias

Bytes: TypeAlias = bytes | bytearray | memoryview
Content: TypeAlias = int | float | bytes

_BITS = 7
_HIGH_BIT = 0x80
_VARINT_BYTES_MAX = 10
_NUMBER, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_DOUBLE = struct.Struct("<d")


def varint(number: int) -> bytes:
    """Return ``number``, 0 or more, in variable length."""
    encoded = bytearray()
    while number >= _HIGH_BIT:
        encoded.append(number & (_HIGH_BIT - 1) | _HIGH_BIT)
        number >>= _BITS
    return bytes([*encoded, number])


def field(number: int, content: Content) -> bytes:
    """Return one field; what is zero is left out by those who write like others do, not here."""
    if isinstance(content, int):
        return varint(number << 3 | _NUMBER) + varint(content)
    if isinstance(content, float):
        return varint(number << 3 | _EIGHT_BYTES) + _DOUBLE.pack(content)
    return varint(number << 3 | _LENGTH) + varint(len(content)) + content


def read_varint(message: Bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at ``at``, and where it ends.

    Raises:
        IndexError: the message ends before it does.
        ValueError: it is longer than any number.
    """
    number = 0
    for position in range(_VARINT_BYTES_MAX):
        byte = message[at + position]
        number |= (byte & (_HIGH_BIT - 1)) << _BITS * position
        if byte < _HIGH_BIT:
            return number, at + position + 1
    raise ValueError("a number of more than ten bytes")


def fields(message: bytes) -> Iterator[tuple[int, Content]]:
    """Yield number and content of each field: an int of up to 70 bits, a float, or bytes.

    Raises:
        IndexError: the message ends before a field does.
        ValueError: a field is none.
    """
    at, stop = 0, len(message)
    while at < stop:
        key, at = read_varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _NUMBER:
            content, at = read_varint(message, at)
            yield number, content
            continue
        length = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind)
        if kind == _LENGTH:
            length, at = read_varint(message, at)
        if length is None:
            raise ValueError(f"no kind of field: {kind}")
        first, at = at, at + length
        if at > stop:
            raise IndexError("a field that is longer than its message")
        part = message[first:at]
        yield number, _DOUBLE.unpack(part)[0] if kind == _EIGHT_BYTES else part
