"""Specs of pods, decoded and converted once and then shared by all that look alike.

Theory. The pods of a workload differ in name, stamps, status, node and in the random name of the token
volume that admission adds; the rest of their specs is the same bytes. So a spec is kept undecoded by
``kube_struct_pod``, and what became of it is remembered by its bytes: a pod that is seen again, or one of a
template that was seen, costs a look into a table instead of some thirty values. What is shared is never
changed by anybody. It saves as much memory as it saves time.

The bytes are brought to a normal form first: the node's name is cut out and the token volume's name
shortened. Both are found by searching, so whether they stood where such names belong is checked when the
normal form is decoded; specs of equal normal forms are equal everywhere else, hence also in that. A spec
that fails the check, or is too large to be kept, is decoded as it is.

Even the normal form is seldom made: pods of one origin nearly always have the same one. So one that came twice
in a row is kept as the parts between its cuts, and a spec that is these parts with names in between is known
by a comparison, without a search and without a hash.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from opsagent.clients.kube_convert_spec import TOKEN_VOLUME, containers, pod_spec
from opsagent.clients.kube_known import Known
from opsagent.clients.kube_struct_pod import PodSpec
from opsagent.model import kube

SPECS_MAX = 2_048  # some 15 MiB with what became of them
SPEC_BYTES_MAX = 16_384
NODES_MAX = 8_192  # some 2 MiB; a cluster may have 5,000
NAME_MAX = 253  # characters or bytes: names are those of DNS

_NODE = b'"nodeName":"'
_TOKEN = f'"{TOKEN_VOLUME}'.encode()
_TOKENS = re.compile(re.escape(_TOKEN))
_decoder = msgspec.json.Decoder(PodSpec)


@dataclass(frozen=True, slots=True)
class Spec:
    """What a spec says but for the node."""

    containers: tuple[kube.Container, ...] = ()
    rest: kube.PodSpec = kube.UNSAID


@dataclass(slots=True)
class _Template:
    """A normal form with a node. All of ``parts`` end where a token's name goes on, but the last: there is the node's."""

    parts: tuple[memoryview, ...]
    tail: bytes
    spec: Spec

    def node_in(self, content: bytes) -> str | None:
        """Return the node's name if ``content`` is of this normal form; None if it is not, or may not be."""
        parts = self.parts
        begin = len(parts[0])
        token = content[begin : content.find(b'"', begin, begin + NAME_MAX)]
        if len(parts) > 1 and not token.isalnum():
            return None
        front = token.join(parts)
        begin, end = len(front), len(content) - len(self.tail)
        if begin >= end or not (content.startswith(front) and content.endswith(self.tail)):
            return None
        return _nodes[content[begin:end]]


@dataclass(slots=True)
class _Family:
    """What pods of one origin are like: what was found last, of which normal form, and a template to be tried first."""

    spec: Spec | None = None
    normal: bytes = b""
    template: _Template | None = None


def spec_of(raw: msgspec.Raw, origin: str = "") -> tuple[str, Spec]:
    """Return the node's name and the rest of a pod's spec.

    ``origin``: what pods of one template have alike and others mostly have not, as ``generateName`` is.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError: it is none.
    """
    content = bytes(raw)
    family = _families[origin]
    if family.template is not None:
        node = family.template.node_in(content)
        if node is not None:
            return node, family.template.spec
    node_name, normal = _normal(content)
    known = _known[normal]
    if known is not None:
        if known is not family.spec:
            family.spec, family.normal = known, normal
        elif node_name:
            # Of the bytes that came first: the table of normal forms mostly holds the same ones.
            family.template = _template(family.normal, known)
        return node_name, known
    if content == b"null":
        return "", Spec()
    item = _decoder.decode(content)
    return item.node_name or "", _converted(item)


def _normal(content: bytes) -> tuple[str, bytes]:
    """Return the node's name and the spec without it and with a short name of the token volume.

    In one pass, in the order that the API server writes: volumes, containers, node.
    """
    parts = []
    done = 0
    at = content.find(_TOKEN)
    if at >= 0:
        token = content[at : content.index(b'"', at + 1)]
        while at >= 0:
            parts.append(content[done : at + len(_TOKEN)])
            done = at + len(token)
            at = content.find(token, done)
    node = ""
    at = content.rfind(_NODE, done)
    if at >= 0:
        begin = at + len(_NODE)
        end = content.index(b'"', begin)
        node = _nodes[content[begin:end]] or ""
        if node:
            parts.append(content[done:begin])
            done = end
    parts.append(content[done:])
    return node, b"".join(parts)


def _template(normal: bytes, spec: Spec) -> _Template:
    """Cut ``normal``, which has one node, and has each token where it belongs: see ``_shared``."""
    node = normal.index(_NODE) + len(_NODE)
    cuts = [0, *(each.end() for each in _TOKENS.finditer(normal, 0, node)), node]
    seen = memoryview(normal)
    return _Template(tuple(seen[at:end] for at, end in pairwise(cuts)), normal[node:], spec)


def _node(name: bytes) -> str | None:
    """Return the text of ``name`` as it stands between quotation marks; None if it does not end there."""
    return None if b'"' in name or b"\\" in name else name.decode()


def _shared(normal: bytes) -> Spec | None:
    """Return what the normal form of a spec holds; None if names were cut where no such names belong."""
    try:
        item = _decoder.decode(normal)
    except msgspec.MsgspecError:
        return None
    made = _converted(item)
    volumes = [each.name for each in item.volumes or ()]
    boxes = [*(item.containers or ()), *(item.init_containers or ())]
    mounts = [mount.name for box in boxes for mount in box.volume_mounts or ()]
    nodes = normal.count(_NODE)
    is_node_cut = item.node_name == "" if nodes == 1 else nodes == 0
    is_token_cut = [*volumes, *mounts].count(TOKEN_VOLUME) == normal.count(_TOKEN)
    is_token_left_out = TOKEN_VOLUME not in [each.name for each in made.rest.volumes]
    return made if is_node_cut and is_token_cut and is_token_left_out else None


def _converted(item: PodSpec) -> Spec:
    return Spec(containers(item.containers), pod_spec(item))


_known = Known(_shared, SPECS_MAX, SPEC_BYTES_MAX)
_nodes = Known(_node, NODES_MAX, NAME_MAX)
_families: Known[str, _Family] = Known(lambda _: _Family(), SPECS_MAX, NAME_MAX)
