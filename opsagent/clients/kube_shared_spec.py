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
"""

from typing import NamedTuple

import msgspec

from opsagent.clients.kube_convert_spec import TOKEN_VOLUME, containers, pod_spec
from opsagent.clients.kube_known import Known
from opsagent.clients.kube_struct_pod import PodSpec
from opsagent.model import kube

SPECS_MAX = 2_048  # some 15 MiB with what became of them
SPEC_BYTES_MAX = 16_384

_NODE = b'"nodeName":"'
_TOKEN = f'"{TOKEN_VOLUME}'.encode()
_decoder = msgspec.json.Decoder(PodSpec)


class Spec(NamedTuple):
    """What a spec says but for the node."""

    containers: tuple[kube.Container, ...] = ()
    rest: kube.PodSpec = kube.UNSAID


def spec_of(raw: msgspec.Raw) -> tuple[str, Spec]:
    """Return the node's name and the rest of a pod's spec.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError: it is none.
    """
    content = bytes(raw)
    node_name, normal = _normal(content)
    known = _known[normal]
    if known is not None:
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
        name = content[begin:end]
        if b"\\" not in name:
            node = name.decode()
            parts.append(content[done:begin])
            done = end
    parts.append(content[done:])
    return node, b"".join(parts)


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
