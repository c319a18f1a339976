"""Secrets are gone before anything is stored: objects and texts with every known secret taken out.

Theory of operation. Two rules, by where a value stands:

- *Literal environment values* become keyed hashes, ``hmac:`` and 16 hex digits of HMAC-SHA256 under the
  install's key. Equal values stay equal, so a change is seen, but a guess cannot be checked without the
  key. Kept as they are: addresses (host, host:port, port, URL), because root causes are found by joining
  them with Services. A bare host or port must stand under a name that ends in a word for one; under a
  name that speaks of a secret and not of an address nothing is kept. A URL's path is hashed.
- *Free text* (messages, kept annotations, label values, log lines) is scrubbed of tokens of known
  formats and of values behind names of secrets, then cut to a length.

It refuses unknown annotations: only those in ``ANNOTATIONS_KEPT`` or below ``opsagent.io/`` pass, so that
``last-applied-configuration``, which repeats the whole object, never does.

Both functions are idempotent. Patterns start at literals, their repeats run over one character class or
over alternatives that begin differently, and the text they see is short: no input makes them slow.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from opsagent.model.kube import (
    Condition,
    Container,
    ContainerState,
    ContainerStatus,
    Deployment,
    EnvVar,
    KubeEvent,
    KubeObject,
    Namespace,
    Node,
    ObjectMeta,
    Pod,
    ReplicaSet,
)
from opsagent.signals.secrets import TEXT_LENGTH_MAX, redact_text

__all__ = ("TEXT_LENGTH_MAX", "redact", "redact_text")  # whoever redacts finds all of it here

ANNOTATIONS_KEPT = frozenset({"deployment.kubernetes.io/revision", "kubernetes.io/change-cause"})
OWN_PREFIX = "opsagent.io/"

_HASHED = re.compile(r"hmac:[0-9a-f]{16}")

_ADDRESS_NAME = re.compile(
    r"(?i)(?:host|hostname|addr|address|endpoint|url|uri|server|service|peer|upstream|broker"
    r"|backend|proxy)(?:e?s)?$"
)
_SECRET_NAME = re.compile(r"(?i)pass|pwd|secret|token|credential|key|auth|dsn|salt|cookie|session")
_PORT_NAME = re.compile(r"(?i)port$")
_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL}){{0,8}}"
_ADDRESS = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?|\[[0-9a-f:]{{2,45}}\]:[0-9]{{1,5}}")
_DOTTED_WITH_PORT = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{1,8}}:[0-9]{{1,5}}")
_URL = re.compile(rf"([a-z][a-z0-9+.-]{{1,15}}://{_HOST}(?::[0-9]{{1,5}})?)(/[^\s]*)?")


def redact(item: KubeObject, key: bytes) -> KubeObject:
    """Return ``item`` with nothing secret in it; ``key`` is the install's, 32 random bytes."""
    meta = _meta(item.meta)
    match item:
        case Pod():
            statuses = tuple(_container_status(status) for status in item.container_statuses)
            return replace(
                item,
                meta=meta,
                containers=_containers(item.containers, key),
                conditions=_conditions(item.conditions),
                container_statuses=statuses,
            )
        case Deployment():
            return replace(
                item,
                meta=meta,
                containers=_containers(item.containers, key),
                template_digest=keyed(item.template_digest, key),
                conditions=_conditions(item.conditions),
            )
        case ReplicaSet():
            return replace(
                item,
                meta=meta,
                containers=_containers(item.containers, key),
                template_digest=keyed(item.template_digest, key),
            )
        case KubeEvent():
            return replace(item, meta=meta, message=redact_text(item.message))
        case Node():
            return replace(item, meta=meta, conditions=_conditions(item.conditions))
        case Namespace():
            return replace(item, meta=meta)
        case _:
            assert_never(item)


def _meta(meta: ObjectMeta) -> ObjectMeta:
    annotations = {
        name: redact_text(value)
        for name, value in meta.annotations.items()
        if name in ANNOTATIONS_KEPT or name.startswith(OWN_PREFIX)
    }
    return replace(meta, labels=_values(meta.labels), annotations=annotations)


def _values(texts: Mapping[str, str]) -> Mapping[str, str]:
    return {name: redact_text(value) for name, value in texts.items()}


def _conditions(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(replace(each, message=redact_text(each.message)) for each in conditions)


def _container_status(status: ContainerStatus) -> ContainerStatus:
    last = status.last_state
    return replace(
        status, state=_state(status.state), last_state=None if last is None else _state(last)
    )


def _state(state: ContainerState) -> ContainerState:
    return replace(state, message=redact_text(state.message)) if state.message else state


def _containers(containers: tuple[Container, ...], key: bytes) -> tuple[Container, ...]:
    return tuple(
        replace(each, env=tuple(_env(env, key) for env in each.env)) for each in containers
    )


def _env(env: EnvVar, key: bytes) -> EnvVar:
    return replace(env, value=env_value(env.name, env.value, key)) if env.value else env


def env_value(name: str, value: str, key: bytes) -> str:
    """Return the address that ``value`` is, else its keyed hash."""
    is_address_name = _ADDRESS_NAME.search(name) is not None
    if len(value) > TEXT_LENGTH_MAX or redact_text(value) != value:
        return keyed(value, key)
    if _SECRET_NAME.search(name) and not is_address_name:
        return keyed(value, key)
    if url := _URL.fullmatch(value):
        path = (url[2] or "").removeprefix("/")
        return url[1] + (f"/{keyed(path, key)}" if url[2] else "")
    if _PORT_NAME.search(name) and _PORT.fullmatch(value):
        return value
    form = _ADDRESS if is_address_name else _DOTTED_WITH_PORT
    return value if form.fullmatch(value) else keyed(value, key)


def keyed(value: str, key: bytes) -> str:
    """Return the keyed hash of ``value``; of what is empty or a hash already, itself."""
    if not value or _HASHED.fullmatch(value):
        return value
    return f"hmac:{hmac.digest(key, value.encode(), 'sha256').hex()[:16]}"
