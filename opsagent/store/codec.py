"""Model values to JSON text and back, strictly typed: the same value gives the same text, a text of another shape is refused.

Sets and mappings are written sorted, instants as RFC 3339 in UTC. A field that a newer version left out
takes its default; one that it added is ignored, so that going back one version still reads the file.
"""

from typing import Generic, TypeVar

import msgspec

from opsagent.model.entity import Kind
from opsagent.model.kube import TYPES, KubeObject

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder(order="deterministic")


class Codec(Generic[T]):
    """Text form of one type of value."""

    def __init__(self, type_: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(type_)

    def encode(self, value: T) -> str:
        """Return the JSON text of ``value``."""
        return _ENCODER.encode(value).decode()

    def decode(self, text: str) -> T:
        """Return the value that ``text`` holds.

        Raises:
            ValueError: the text is not JSON, or not of this type.
        """
        return self._decoder.decode(text)


_OBJECTS: dict[Kind, Codec[KubeObject]] = {
    kind: Codec[KubeObject](type_) for kind, type_ in TYPES.items()
}


def object_codec(kind: Kind) -> Codec[KubeObject]:
    """Return the codec for objects of ``kind``."""
    return _OBJECTS[kind]
