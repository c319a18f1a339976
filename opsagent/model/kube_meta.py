"""What objects of every kind share: metadata, conditions, selectors."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OwnerRef:
    """The controlling owner (``controller: true``) of an object."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class FieldManager:
    """One entry of managedFields: who wrote last, how and when.

    ``owns``: the shortest paths below which this manager alone wrote, in Kubernetes notation without
    keys of lists (``spec.template``); bounded, and empty where it is not kept.
    """

    manager: str
    operation: str
    at: dt.datetime | None
    subresource: str = ""
    owns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """metadata. ``managers`` are in the API's order; of kinds that only controllers write they are left out."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int = 0
    created_at: dt.datetime | None = None
    deleted_at: dt.datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner: OwnerRef | None = None
    managers: tuple[FieldManager, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """A status condition."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    transition_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """One expression of a selector or of a node's affinity. ``operator`` is the API's: ``In``, ``Exists``, ..."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Return whether ``labels`` fulfil it. An operator that nobody knows admits nothing."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt" | "Lt":
                return self._compares(value)
            case _:
                return False

    def _compares(self, value: str | None) -> bool:
        """Source: NodeSelectorRequirement: one value, an integer, as the label's must be."""
        texts = (value or "", self.values[0] if self.values else "")
        if not all(text.lstrip("-").isdecimal() for text in texts):
            return False
        left, right = map(int, texts)
        return left > right if self.operator == "Gt" else left < right


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A LabelSelector. Without labels and expressions it selects everything; where the API has none it is None."""

    labels: Mapping[str, str] = field(default_factory=dict)
    expressions: tuple[Requirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Return whether an object with ``labels`` is selected."""
        return self.labels.items() <= labels.items() and all(
            each.admits(labels) for each in self.expressions
        )


EVERYTHING = LabelSelector()
