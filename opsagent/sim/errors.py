"""Refusals as an API server words them: code, reason, message, details."""

from collections.abc import Sequence

from opsagent.sim.resources import Resource
from opsagent.sim.values import Obj


class StatusError(Exception):
    """A refusal that is answered as a ``v1 Status``."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def status(self) -> Obj:
        """Return the Status object."""
        found: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        }
        if self.reason:
            found["reason"] = self.reason
        if self.details:
            found["details"] = self.details
        return found


def _details(resource: Resource, name: str) -> Obj:
    found: Obj = {"name": name, "kind": resource.plural}
    if resource.group:
        found["group"] = resource.group
    return found


def success(resource: Resource, item: Obj) -> Obj:
    """Return the Status that answers a delete which was carried out at once."""
    meta = item["metadata"]
    details = _details(resource, meta["name"]) | {"uid": meta["uid"]}
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
    return head | {"status": "Success", "details": details}


def not_found(resource: Resource, name: str) -> StatusError:
    """404: there is no such object."""
    message = f'{resource.qualified} "{name}" not found'
    return StatusError(404, "NotFound", message, _details(resource, name))


def no_such_path() -> StatusError:
    """404: the server serves nothing there."""
    return StatusError(404, "NotFound", "the server could not find the requested resource")


def already_exists(resource: Resource, name: str) -> StatusError:
    """409: a create met an object of that name."""
    message = f'{resource.qualified} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str) -> StatusError:
    """409: the object is not the one that the writer has read."""
    message = (
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": the object has been '
        "modified; please apply your changes to the latest version and try again"
    )
    return StatusError(409, "Conflict", message, _details(resource, name))


def invalid(resource: Resource, name: str, causes: Sequence[tuple[str, str]]) -> StatusError:
    """422: the object breaks rules; ``causes`` are (field, message) pairs."""
    listed = ", ".join(f"{field}: {message}" for field, message in causes)
    listed = f"[{listed}]" if len(causes) > 1 else listed
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = _details(resource, name) | {
        "kind": resource.kind,
        "causes": [{"field": field, "message": message} for field, message in causes],
    }
    return StatusError(422, "Invalid", f'{kind} "{name}" is invalid: {listed}', details)


def unprocessable(message: str) -> StatusError:
    """422: a JSON patch that does not apply."""
    return StatusError(422, "Invalid", message)


def bad_request(message: str) -> StatusError:
    """400: the request makes no sense."""
    return StatusError(400, "BadRequest", message)


def too_many_disruptions(cause: str, retry_after_seconds: int = 0) -> StatusError:
    """429: a disruption budget does not allow an eviction now."""
    details: Obj = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
    if retry_after_seconds:
        details["retryAfterSeconds"] = retry_after_seconds
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return StatusError(429, "TooManyRequests", message, details)


def apply_conflict(conflicts: Sequence[tuple[str, str]]) -> StatusError:
    """409: an apply wants fields otherwise than their owners; ``conflicts`` are (path, owner) pairs."""
    if len(conflicts) == 1:
        ((path, owner),) = conflicts
        shown = f"1 conflict: conflict with {owner}: {path}"
    else:
        lines = []
        for name in sorted({owner for _, owner in conflicts}):
            lines.append(f"conflicts with {name}:")
            lines += [f"- {path}" for path, owner in conflicts if owner == name]
        shown = f"{len(conflicts)} conflicts: " + "\n".join(lines)
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": path}
        for path, owner in conflicts
    ]
    return StatusError(409, "Conflict", f"Apply failed with {shown}", {"causes": causes})


def bad_patch_option(field: str, reason: str, message: str) -> StatusError:
    """422: an option of a patch is missing or not allowed."""
    cause = {"reason": reason, "message": message, "field": field}
    details = {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [cause]}
    shown = f'PatchOptions.meta.k8s.io "" is invalid: {field}: {message}'
    return StatusError(422, "Invalid", shown, details)


def unauthorized() -> StatusError:
    """401: nobody known asks."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> StatusError:
    """405: the resource is served, but not so."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message)


def unsupported_media_type(content_type: str) -> StatusError:
    """415: a patch in a language that is not spoken here."""
    message = f"the body of the request was in an unknown format: {content_type}"
    return StatusError(415, "UnsupportedMediaType", message)


def expired(message: str) -> StatusError:
    """410: the history that was asked for is gone."""
    return StatusError(410, "Expired", message)
