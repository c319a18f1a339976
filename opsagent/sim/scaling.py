"""The scale subresource of a Deployment: its replicas as an object of their own. Pure."""

from opsagent.sim.errors import bad_request, invalid
from opsagent.sim.resources import Resource
from opsagent.sim.values import Obj

SCALE = Resource("autoscaling", "v1", "scales", "Scale")
_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(deployment: Obj) -> Obj:
    """Return the Scale of ``deployment``."""
    spec, meta = deployment["spec"], deployment["metadata"]
    labels = sorted(spec["selector"]["matchLabels"].items())
    return {
        "kind": SCALE.kind,
        "apiVersion": SCALE.api_version,
        "metadata": {key: meta[key] for key in _META},
        "spec": {"replicas": spec["replicas"]},
        "status": {
            "replicas": deployment["status"].get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in labels),
        },
    }


def scaled(deployment: Obj, scale: Obj) -> Obj:
    """Return ``deployment`` with the replicas, and the preconditions, of ``scale``.

    Raises:
        StatusError: 400 not the Scale of this Deployment, 422 no possible number.
    """
    name, meta = deployment["metadata"]["name"], scale.get("metadata") or {}
    if scale.get("kind") != SCALE.kind:
        raise bad_request(f"{scale.get('kind')} cannot be handled as a Scale")
    if meta.get("name") != name:
        sent = meta.get("name", "")
        raise bad_request(
            f"the name of the object ({sent}) does not match the name on the URL ({name})"
        )
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(SCALE, name, [("spec.replicas", message)])
    wanted = {key: meta[key] for key in ("uid", "resourceVersion") if key in meta}
    return deployment | {
        "metadata": deployment["metadata"] | {"resourceVersion": ""} | wanted,
        "spec": deployment["spec"] | {"replicas": replicas},
    }
