"""Redaction of whole API objects as JSON trees, for recordings, which keep more than the decoded fields.

Theory of operation. The store keeps the few fields that are decoded, so ``redaction`` can name each of
them. A recording keeps every field, also those of releases to come, so here the rule goes by shape:

- every text is scrubbed and cut as free text is, map keys too;
- a literal with a name beside it (an environment variable, a header of a probe) is kept only if it is
  an address, else it becomes a keyed hash;
- of a command line the program and the names of flags are kept, its values are treated like literals;
- values of maps that may hold anything (annotations, data, driver attributes) become keyed hashes, but
  for the annotations that the store keeps;
- a Secret has no business here at all and is refused by whoever writes.

Field names and short values repeat in every object, so what becomes of them is remembered: 10 times faster.

Image references stand as they are, as in the store: a tag is no secret, and ``token:v2`` would look like one.
"""

import re
from collections.abc import Mapping, Sequence

from opsagent.model.canonical import JsonValue
from opsagent.signals.redaction import ANNOTATIONS_KEPT, OWN_PREFIX
from opsagent.signals.redaction_values import clean, command_line, env_value, keyed

DEPTH_MAX = 64  # an object of the API is about 15 deep
TOO_DEEP = "[too deep]"
ANYTHING = frozenset({"annotations", "data", "binaryData", "stringData", "volumeAttributes"})
OPTIONS = "options"  # of a flexVolume a map; elsewhere a list
COMMAND_LINES = frozenset({"command", "args"})
IMAGES = frozenset({"image", "imageID", "containerID"})
_IMAGE = re.compile(r"[\w./:@-]{1,512}")


def redact_tree(tree: Mapping[str, JsonValue], key: bytes) -> dict[str, JsonValue]:
    """Return the object ``tree`` with nothing secret in it; ``key`` hashes, 32 random bytes.

    Redacting twice changes nothing more. What is nested deeper than 64 levels is left out.
    """
    return _mapping(tree, key, DEPTH_MAX)


def _mapping(tree: Mapping[str, JsonValue], key: bytes, depth: int) -> dict[str, JsonValue]:
    cleaned = {clean(name): _field(name, item, key, depth) for name, item in tree.items()}
    name, value = tree.get("name"), tree.get("value")
    if isinstance(name, str) and isinstance(value, str) and value:
        cleaned["value"] = env_value(name, value, key)
    return cleaned


def _field(name: str, value: JsonValue, key: bytes, depth: int) -> JsonValue:
    match value:
        case Mapping() if name in ANYTHING or name == OPTIONS:
            return {clean(each): _anything(each, text, key, depth) for each, text in value.items()}
        case str() if name in IMAGES and _IMAGE.fullmatch(value):
            return value
        case list() | tuple() if name in COMMAND_LINES:
            words = [word if isinstance(word, str) else str(word) for word in value]
            return list(command_line(words, key, is_program_first=name == "command"))
        case _:
            return _value(value, key, depth)


def _value(value: JsonValue, key: bytes, depth: int) -> JsonValue:
    if isinstance(value, str):
        return clean(value)
    if not isinstance(value, Mapping | Sequence):
        return value
    if depth == 0:
        return TOO_DEEP
    if isinstance(value, Mapping):
        return _mapping(value, key, depth - 1)
    return [_value(item, key, depth - 1) for item in value]


def _anything(name: str, value: JsonValue, key: bytes, depth: int) -> JsonValue:
    if not isinstance(value, str):
        return _value(value, key, depth)
    if name in ANNOTATIONS_KEPT or name.startswith(OWN_PREFIX):
        return clean(value)
    return keyed(value, key)
