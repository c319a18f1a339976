"""Who owns which fields: fieldsV1 of managedFields, boiled down to what tells the managers of an object apart.

Of each manager the shortest paths are kept below which it alone has written; where several have written the
same field each of them has it. Keys of lists are left out, ``f:containers`` of any name is ``containers``. So an
object with one manager costs a few words, and one whose replicas an autoscaler sets a few more, instead of a
name for each field. Status belongs to controllers and is not looked at.

What cannot be read, or is too much, owns nothing: fieldsV1 is nobody's contract but the API server's.
Source: Kubernetes API reference, FieldsV1 ("f:<name>", "k:<keys>", "v:<value>", "i:<index>", ".").
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from opsagent.clients import kube_struct as struct
from opsagent.clients.kube_known import Known

OWNS_MAX = 16  # paths of one manager
DEPTH_MAX = 8  # spec.template.spec.containers.resources.limits.cpu
MANAGERS_MAX = 16
BYTES_MAX = 65_536  # of all entries of an object; an ordinary one has 3 KiB
OBJECTS_MAX = 2_048  # whose owners are known at a time: some 10 MiB

Paths: TypeAlias = tuple[str, ...]
Field: TypeAlias = tuple[str, ...]  # names from the top
_tree = msgspec.json.Decoder(dict[str, msgspec.Raw])


def owned(entries: Sequence[struct.ManagedField]) -> tuple[Paths, ...]:
    """Return for each entry what its manager owns; nothing for entries about status."""
    contents = [b"" if each.subresource == "status" else bytes(each.fields_v1) for each in entries]
    if not 0 < len(contents) <= MANAGERS_MAX or sum(map(len, contents)) > BYTES_MAX:
        return ((),) * len(contents)
    return _known[b"\0".join(contents)]


def _owned(content: bytes) -> tuple[Paths, ...]:
    """Judge all entries, which stand with a NUL between them: JSON has none."""
    fields = [set(_leaves(part)) for part in content.split(b"\0")]
    return tuple(
        _shortened(own, set().union(*fields[:number], *fields[number + 1 :]))
        for number, own in enumerate(fields)
    )


def _leaves(content: bytes) -> Iterator[Field]:
    """Yield the paths of fields, as tuples of names, without keys of lists."""
    waiting: list[tuple[Field, bytes, int]] = [((), content, 0)]
    while waiting:
        path, raw, depth = waiting.pop()
        try:
            members: Mapping[str, msgspec.Raw] = _tree.decode(raw) if raw else {}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        inner = {name: part for name, part in members.items() if name != "."}
        if path and (not inner or depth == DEPTH_MAX):
            yield path
            continue
        for name, part in inner.items():
            below = (*path, name[2:]) if name.startswith("f:") else path
            waiting.append((below, bytes(part), depth + 1))


def _shortened(own: set[Field], others: set[Field]) -> Paths:
    """Return the shortest paths below which nobody else owns anything, else the fields themselves."""
    foreign = {path[:length] for path in others for length in range(1, len(path) + 1)}
    shortest = {
        next((path[:n] for n in range(1, len(path) + 1) if path[:n] not in foreign), path)
        for path in own
    }
    return tuple(sorted(".".join(path) for path in shortest)[:OWNS_MAX])


_known = Known(_owned, OBJECTS_MAX, BYTES_MAX // 4)
