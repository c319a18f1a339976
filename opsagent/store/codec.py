"""Model values to JSON text and back, strictly typed: the same value gives the same text, a text of another shape is refused.

Sets and mappings are written sorted, instants as RFC 3339 in UTC. A field that a newer version left out
takes its default; one that it added is ignored, so that going back one version still reads the file.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from opsagent.model.entity import Kind
from opsagent.model.kube import TYPES, KubeObject

T = TypeVar("T")

SHARED = frozenset({"containers", "template", "spec"})
PARTS_MAX = 4_096  # of one kind: some 8 MiB
_ENCODER = msgspec.json.Encoder(order="deterministic")
_Defaults: TypeAlias = tuple[tuple[str, object], ...]
_defaults_of: dict[type, _Defaults | None] = {}  # as many as there are types


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


class ObjectCodec(Codec[KubeObject]):
    """Text form of one kind of object: lean, because a busy cluster writes a million a day.

    What stands at its default is left out: at the top, and all through the parts that many objects share.
    Those are made into text once and remembered by identity, as redaction remembers them.
    """

    def __init__(self, type_: type[KubeObject]) -> None:
        super().__init__(type_)
        named = _defaults(type_) or ()
        self._shared = [name for name, _ in named if name in SHARED]
        self._whole = [(name, default) for name, default in named if name not in SHARED]
        self._known: dict[int, tuple[object, msgspec.Raw]] = {}

    def encode(self, value: KubeObject) -> str:
        """Return the JSON text of ``value``."""
        tree = {
            name: part for name, default in self._whole if (part := getattr(value, name)) != default
        }
        for name in self._shared:
            tree[name] = self._text(getattr(value, name))
        return _ENCODER.encode(tree).decode()

    def _text(self, part: object) -> msgspec.Raw:
        known = self._known.get(id(part))
        if known is None:
            if len(self._known) >= PARTS_MAX:
                self._known.clear()
            known = self._known[id(part)] = (part, msgspec.Raw(_ENCODER.encode(_lean(part))))
        return known[1]


def _defaults(type_: type[Any]) -> _Defaults | None:
    """Return the fields of a dataclass by name, each with its default; None of any other type."""
    if type_ not in _defaults_of:
        is_flat = not is_dataclass(type_)
        _defaults_of[type_] = (
            None if is_flat else tuple((each.name, _default(each)) for each in fields(type_))
        )
    return _defaults_of[type_]


def _default(field: Field[object]) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default  # MISSING, which is true, where there is none


def _lean(value: object) -> object:
    """Return ``value`` as a tree without what stands at its default."""
    if isinstance(value, tuple):
        return [_lean(item) for item in value]
    named = _defaults(type(value))
    if named is None:
        return value
    return {
        name: _lean(part) for name, default in named if (part := getattr(value, name)) != default
    }


_OBJECTS: Mapping[Kind, Codec[KubeObject]] = {
    kind: ObjectCodec(type_) for kind, type_ in TYPES.items()
}


def object_codec(kind: Kind) -> Codec[KubeObject]:
    """Return the codec for objects of ``kind``."""
    return _OBJECTS[kind]
