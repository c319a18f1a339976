"""The catalogue of writing actions: class, scope and the range of each argument.

No action has a free string among its arguments: a target is a name that Kubernetes would accept, bound
to a uid, a revision is a bounded number. What the catalogue does not list does not exist.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from opsagent.model.entity import Kind
from opsagent.model.plan import Action, ActionClass, ActionType

# Source: Kubernetes, "Object Names and IDs": RFC 1123 label and subdomain, at most 63 and 253 characters.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN_CHARACTERS_MAX = 253
_UID = re.compile(
    r"[A-Za-z0-9-]{1,64}"
)  # a UUID on a real server; no other character is ever needed
REVISION_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One action: its class, the one part of the object that it may change, its tool's version.

    A dry run whose diff leaves ``scope`` (a JSON pointer) is refused: the stored inverse would not
    restore it.
    """

    action_class: ActionClass
    scope: str
    tool_version: str


CATALOGUE: Mapping[ActionType, Entry] = MappingProxyType(
    {
        ActionType.ROLLOUT_UNDO: Entry(
            ActionClass.REVERSIBLE, scope="/spec/template", tool_version="rollout_undo/1"
        )
    }
)


def argument_problem(action: Action) -> str:
    """Return what is wrong with the arguments of ``action``, '' if nothing is."""
    entity = action.target.entity
    if entity.kind is not Kind.DEPLOYMENT:
        return f"the target is a {entity.kind}, not a Deployment"
    if not _LABEL.fullmatch(entity.namespace):
        return "the namespace is not a valid name"
    if not _is_subdomain(entity.name):
        return "the target is not a valid name"
    if not _UID.fullmatch(action.target.uid):
        return "the target has no valid uid"
    if not 1 <= action.to_revision <= REVISION_MAX:
        return f"the revision is not in 1 to {REVISION_MAX}"
    return ""


def _is_subdomain(name: str) -> bool:
    return len(name) <= _SUBDOMAIN_CHARACTERS_MAX and all(
        _LABEL.fullmatch(label) for label in name.split(".")
    )
