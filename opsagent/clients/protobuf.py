"""Protobuf's wire format, as much as one message of ours needs: numbers, doubles, and what has a length.

There is no schema: whoever reads knows which field is what. Source: protobuf.dev, "Encoding".
"""

import struct
from collections.abc import Iterator
from typing import TypeAlias

Bytes: TypeAlias = bytes | bytearray | memoryview
Content: TypeAlias = int | float | bytes

_BITS = 7
_BITS_MASK = 0x7F
_HIGH_BIT = 0x80
_SHIFT_MAX = 63
_NUMBER, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_DOUBLE = struct.Struct("<d")


def varint(number: int) -> bytes:
    """Return ``number``, 0 or more, in variable length."""
    encoded = bytearray()
    while number >= _HIGH_BIT:
        encoded.append(number & _BITS_MASK | _HIGH_BIT)
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
    byte = message[at]
    number, shift = byte & _BITS_MASK, 0
    while byte >= _HIGH_BIT:
        at += 1
        shift += _BITS
        if shift > _SHIFT_MAX:
            raise ValueError("a number of more than ten bytes")
        byte = message[at]
        number |= (byte & _BITS_MASK) << shift
    return number, at + 1


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
