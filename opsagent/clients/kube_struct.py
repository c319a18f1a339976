"""The JSON shapes of the Kubernetes API, reduced to the fields that opsagent uses. Decoded in ``kube_wire``.

Here is what all kinds share; the groups of the API have files of their own beside this one. Every field may be absent or null; ``kube_wire`` gives it the API's documented default. Integers are
those of the API (int64): a larger number is a malformed object, not a Python integer.
Source: Kubernetes API reference, meta/v1.
"""

# ruff: noqa: D101 - the classes are the API's own; its reference describes them
import datetime as dt
from typing import Annotated, Generic, TypeAlias, TypeVar

import msgspec

Instant: TypeAlias = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Int: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Texts: TypeAlias = dict[str, str]
IntOrText: TypeAlias = Int | str

ABSENT = msgspec.Raw(
    b"null"
)  # an optional part that is kept undecoded; absent and null are the same


class Struct(msgspec.Struct, rename="camel", gc=False):
    """Camel-case names; no reference cycles are possible, so the collector need not look."""


class OwnerReference(Struct):
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class ManagedField(Struct):
    manager: str = ""
    operation: str = ""
    time: Instant | None = None
    subresource: str | None = None
    fields_v1: msgspec.Raw = msgspec.field(default=ABSENT, name="fieldsV1")


class Meta(Struct):
    """Parts that many objects have alike, or that few want, stay undecoded."""

    name: str = ""
    generate_name: str | None = None
    namespace: str | None = None
    uid: str = ""
    resource_version: str = ""
    generation: Int | None = None
    creation_timestamp: Instant | None = None
    deletion_timestamp: Instant | None = None
    labels: msgspec.Raw = ABSENT
    annotations: msgspec.Raw = ABSENT
    owner_references: msgspec.Raw = ABSENT
    managed_fields: msgspec.Raw = ABSENT


class ListMeta(Struct):
    resource_version: str = ""
    continue_token: str | None = msgspec.field(default=None, name="continue")


class Object(Struct):
    """What every object has."""

    metadata: Meta


class Condition(Struct):
    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None
    last_transition_time: Instant | None = None


class Requirement(Struct):
    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class LabelSelector(Struct):
    match_labels: Texts | None = None
    match_expressions: list[Requirement] | None = None


class Named(Struct):
    """A LocalObjectReference."""

    name: str | None = None


T = TypeVar("T")


class Items(Struct, Generic[T]):
    """A list answer."""

    metadata: ListMeta
    items: list[T] | None = None


class Watched(Struct, Generic[T]):
    """One line of a watch."""

    type: str
    object: T


class Bookmark(Struct):
    """The object of a BOOKMARK event: nothing but how far the watch has come."""

    metadata: ListMeta


class Status(Struct):
    """meta/v1 Status: why a request failed."""

    code: Int | None = None
    reason: str | None = None
    message: str | None = None
