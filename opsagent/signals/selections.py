"""Which selector meets which pods, found without trying every one with every other.

Theory of operation. Pods with the same labels are alike to a selector, so pods are kept in groups by namespace and
labels. A selector that names labels is kept under one of them, its anchor: a pod can only be selected by what is
anchored at a label that it has. The anchor is the label at which the fewest others are kept already, so that a label
that all selectors name (``release=prod``) does not gather them. What names no label is kept under the namespace
itself and meets every pod of it. A new selector looks through the groups of its rarest label.

So a pod costs its own labels and the selectors that it nearly meets, a selector the groups that it nearly meets and
the pods that it does.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias, TypeVar

from opsagent.model.kube import LabelSelector
from opsagent.model.topology import Vertex

_Group: TypeAlias = tuple[str, frozenset[tuple[str, str]]]  # namespace, labels
_Place: TypeAlias = tuple[str, str, str]  # namespace, label, value; or namespace alone
K = TypeVar("K")
V = TypeVar("V")


class Selections:
    """Pods by their labels and selectors by theirs. One owner."""

    def __init__(self) -> None:
        self._pods: dict[_Group, dict[Vertex, None]] = {}
        self._groups: dict[_Place, dict[_Group, Mapping[str, str]]] = {}
        self._anchored: dict[_Place, dict[Vertex, LabelSelector]] = {}
        self._anchor_of: dict[Vertex, _Place] = {}

    def add_pod(self, pod: Vertex, labels: Mapping[str, str]) -> list[Vertex]:
        """Take in a pod; return the selectors that meet it."""
        group = (pod.namespace, frozenset(labels.items()))
        alike = self._pods.get(group)
        if alike is None:
            alike = self._pods[group] = {}
            for place in _places(group):
                self._groups.setdefault(place, {})[group] = labels
        alike[pod] = None
        return list(self._meeting(group, labels))

    def drop_pod(self, pod: Vertex, labels: Mapping[str, str]) -> list[Vertex]:
        """Forget a pod; return the selectors that met it."""
        group = (pod.namespace, frozenset(labels.items()))
        alike = self._pods[group]
        del alike[pod]
        if not alike:
            del self._pods[group]
            for place in _places(group):
                _drop(self._groups, place, group)
        return list(self._meeting(group, labels))

    def add_selector(self, owner: Vertex, selector: LabelSelector) -> list[Vertex]:
        """Take in a selector of pods in the namespace of ``owner``; return those that it meets."""
        places = [(owner.namespace, *pair) for pair in selector.labels.items()]
        anchor = min(
            places,
            key=lambda place: len(self._anchored.get(place, ())),
            default=(owner.namespace, "", ""),
        )
        self._anchored.setdefault(anchor, {})[owner] = selector
        self._anchor_of[owner] = anchor
        return list(self._met(owner, selector))

    def drop_selector(self, owner: Vertex, selector: LabelSelector) -> list[Vertex]:
        """Forget the selector of ``owner``; return the pods that it met."""
        _drop(self._anchored, self._anchor_of.pop(owner), owner)
        return list(self._met(owner, selector))

    def _meeting(self, group: _Group, labels: Mapping[str, str]) -> Iterator[Vertex]:
        for place in _places(group):
            for owner, selector in self._anchored.get(place, {}).items():
                if selector.selects(labels):
                    yield owner

    def _met(self, owner: Vertex, selector: LabelSelector) -> Iterator[Vertex]:
        places = [(owner.namespace, *pair) for pair in selector.labels.items()]
        groups = [self._groups.get(place, {}) for place in places or [(owner.namespace, "", "")]]
        for group, labels in min(groups, key=len).items():
            if selector.selects(labels):
                yield from self._pods[group]


def _places(group: _Group) -> Iterator[_Place]:
    namespace, labels = group
    yield namespace, "", ""
    for name, value in labels:
        yield namespace, name, value


def _drop(index: dict[_Place, dict[K, V]], place: _Place, key: K) -> None:
    del index[place][key]
    if not index[place]:
        del index[place]
