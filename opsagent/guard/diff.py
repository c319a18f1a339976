"""The exact difference between two Kubernetes objects: what people approve and what execution must repeat.

Lines are JSON pointers to leaves (RFC 6901), in document order of sorted keys. Lists are compared by
position, as the API server does. What the server keeps for itself (status, managedFields, versions)
and our own mark are left out.

For people, values are canonical JSON, cleaned of what looks like a secret, and shortened. What may be one and need
not look like it is masked: the literal value of an environment variable, and in a command line all but the program
and the names of flags. For the machine, a digest covers every line unmasked and uncut, so that two
differences that look the same on paper are told apart.

Refuses to show a part: a difference of too many lines is an error, not a shortened list.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from opsagent.model.canonical import JsonValue, canonical, digest
from opsagent.model.plan import FieldChange

ACTION_ID_ANNOTATION = "opsagent.io/action-id"
LINES_MAX = 200  # more than a person reads before a click
VALUE_CHARACTERS_MAX = 500
MASK = "***"

_ABSENT = ""
_COMMAND_LINES = (("command",), ("args",))
_FLAG = re.compile(r"--?[A-Za-z][\w.-]{0,63}(?:(?==)|$)")
# What the server changes by itself, or what carries our own mark.
_IGNORED = (
    ("status",),
    ("metadata", "managedFields"),
    ("metadata", "generation"),
    ("metadata", "resourceVersion"),
    ("metadata", "annotations", ACTION_ID_ANNOTATION),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """The lines as people see them, and the digest over what they really are."""

    changes: tuple[FieldChange, ...]
    touched_digest: str


def difference(old: JsonValue, new: JsonValue, clean: Callable[[str], str]) -> Difference | str:
    """Return how ``new`` differs from ``old``, or why that cannot be shown in full; ``clean`` takes secrets out of a text."""
    counted = (line for line in _lines((), old, new) if not _is_ignored(line[0]))
    lines = list(islice(counted, LINES_MAX + 1))
    if len(lines) > LINES_MAX:
        return f"the change has more than {LINES_MAX} lines"
    changes = tuple(
        FieldChange(_pointer(path), _shown(path, before, clean), _shown(path, after, clean))
        for path, before, after in lines
    )
    return Difference(changes, digest(lines))


def out_of_scope(changes: Sequence[FieldChange], scope: str) -> tuple[str, ...]:
    """Return the paths of ``changes`` that are not below the JSON pointer ``scope``."""
    return tuple(item.path for item in changes if not f"{item.path}/".startswith(f"{scope}/"))


def _is_ignored(path: tuple[str, ...]) -> bool:
    return any(path[: len(prefix)] == prefix for prefix in _IGNORED)


def _lines(
    path: tuple[str, ...], old: JsonValue, new: JsonValue
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield path, old and new of each leaf that differs; an absent side is the empty text."""
    before, after = _children(old), _children(new)
    if before is None and after is None:
        # Compared as text: to Python, 1 and True are equal.
        texts = canonical(old).decode(), canonical(new).decode()
        if texts[0] != texts[1]:
            yield path, *texts
    elif (
        before is None or after is None or isinstance(old, Mapping) is not isinstance(new, Mapping)
    ):
        yield from ((leaf, text, _ABSENT) for leaf, text in _leaves(path, old))
        yield from ((leaf, _ABSENT, text) for leaf, text in _leaves(path, new))
    else:
        yield from _children_lines(path, before, after)


def _children_lines(
    path: tuple[str, ...], before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    for key in sorted(before.keys() | after.keys(), key=_document_order):
        below = (*path, key)
        if key not in after:
            yield from ((leaf, text, _ABSENT) for leaf, text in _leaves(below, before[key]))
        elif key not in before:
            yield from ((leaf, _ABSENT, text) for leaf, text in _leaves(below, after[key]))
        else:
            yield from _lines(below, before[key], after[key])


def _leaves(path: tuple[str, ...], value: JsonValue) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every leaf of a part that exists on one side only; an empty part is a leaf."""
    children = _children(value)
    if not children:
        yield path, canonical(value).decode()
        return
    for key in sorted(children, key=_document_order):
        yield from _leaves((*path, key), children[key])


def _children(value: JsonValue) -> Mapping[str, JsonValue] | None:
    match value:
        case Mapping():
            return value
        case list() | tuple():
            return {str(index): item for index, item in enumerate(value)}
        case _:
            return None


def _document_order(key: str) -> tuple[int, str]:
    """Sort list positions as numbers: 2 before 10."""
    return (len(key), key) if key.isdecimal() else (0, key)


def _pointer(path: tuple[str, ...]) -> str:
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)


def _shown(path: tuple[str, ...], text: str, clean: Callable[[str], str]) -> str:
    if text == _ABSENT:
        return text
    if path[-3::2] == ("env", "value"):
        return MASK
    value = json.loads(text)
    if isinstance(value, str):
        text = canonical(_shown_text(path, value, clean)).decode()
    if len(text) > VALUE_CHARACTERS_MAX:
        return f"{text[:VALUE_CHARACTERS_MAX]}... ({len(text)} characters)"
    return text


def _shown_text(path: tuple[str, ...], text: str, clean: Callable[[str], str]) -> str:
    if path[-2:-1] not in _COMMAND_LINES or path[-2:] == ("command", "0"):
        return clean(text)
    flag = _FLAG.match(text)
    if flag is None:
        return MASK
    return flag[0] if flag[0] == text else f"{flag[0]}={MASK}"
