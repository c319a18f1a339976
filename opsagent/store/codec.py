"""Model values to JSON text and back, strictly typed: the same value gives the same text, a text of another shape is refused.

Sets and mappings are written sorted, instants as RFC 3339 in UTC. A field that a newer version left out
takes its default; one that it added is ignored, so that going back one version still reads the file.
"""

from typing import Generic, TypeVar

import msgspec

from opsagent.model.entity import Kind
from opsagent.model.kube import (
    Deployment,
    KubeEvent,
    KubeObject,
    Namespace,
    Node,
    Pod,
    ReplicaSet,
)

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
    Kind.NAMESPACE: Codec[KubeObject](Namespace),
    Kind.NODE: Codec[KubeObject](Node),
    Kind.POD: Codec[KubeObject](Pod),
    Kind.REPLICA_SET: Codec[KubeObject](ReplicaSet),
    Kind.DEPLOYMENT: Codec[KubeObject](Deployment),
    Kind.EVENT: Codec[KubeObject](KubeEvent),
}


def object_codec(kind: Kind) -> Codec[KubeObject]:
    """Return the codec for objects of ``kind``."""
    return _OBJECTS[kind]
