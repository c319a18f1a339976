"""One request to the API, and what it says about itself."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from opsagent.sim.applying import APPLY_PATCH
from opsagent.sim.errors import StatusError, bad_patch_option, bad_request, invalid
from opsagent.sim.logs import LogQuery
from opsagent.sim.resources import Route
from opsagent.sim.values import parse_stamp

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
WRITES = frozenset(_VERBS.values())


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent. ``query`` holds the last value of each parameter."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = "application/json"
    token: str = ""
    user_agent: str = ""

    @property
    def is_watch(self) -> bool:
        """Whether it asks for changes instead of a list."""
        return self.query.get("watch", "") in {"true", "1"}

    @property
    def manager(self) -> str:
        """The field manager: as named, else the client's own name."""
        return self.query.get("fieldManager") or self.user_agent.partition("/")[0] or "unknown"

    def number(self, name: str) -> int | None:
        """Return a whole-number parameter, None if it is absent.

        Raises:
            StatusError: 400, it is no whole number or negative.
        """
        text = self.query.get(name, "")
        if not text:
            return None
        if not text.isdigit():
            raise bad_request(f"invalid value for {name}: {text!r}")
        return int(text)

    def instant(self, name: str) -> dt.datetime | None:
        """Return a parameter that is an instant, None if it is absent.

        Raises:
            StatusError: 400, it is none, or has no zone.
        """
        text = self.query.get(name, "")
        if not text:
            return None
        try:
            at = parse_stamp(text)
        except ValueError as error:
            raise bad_request(f"invalid value for {name}: {text!r}") from error
        if at.tzinfo is None:
            raise bad_request(f"invalid value for {name}: {text!r}")
        return at

    def verb(self, place: Route) -> str:
        """Return the verb in RBAC's words."""
        if self.method in _VERBS:
            return _VERBS[self.method]
        if place.name:
            return "get"
        return "watch" if self.is_watch else "list"

    def is_dry_run(self, place: Route) -> bool:
        """Return whether nothing is to be stored.

        Raises:
            StatusError: 422, a mode that does not exist: a guess would write.
        """
        mode = self.query.get("dryRun", "")
        if mode not in {"", "All"}:
            causes = [("dryRun", f'Unsupported value: "{mode}": supported values: "All"')]
            raise invalid(place.resource, place.name, causes)
        return bool(mode)

    @property
    def is_apply(self) -> bool:
        """Whether it is a server-side apply."""
        return self.method == "PATCH" and self.content_type.partition(";")[0] == APPLY_PATCH

    @property
    def is_forced(self) -> bool:
        """Whether an apply is to take over what others own."""
        return self.query.get("force") in {"true", "1"}

    def check_patch_options(self) -> None:
        """Check what goes with a patch of its kind.

        Raises:
            StatusError: 422, an apply by nobody, or force without an apply.
        """
        if self.is_apply and not self.query.get("fieldManager"):
            message = "Required value: is required for apply patch"
            raise bad_patch_option("fieldManager", "FieldValueRequired", message)
        if self.is_forced and not self.is_apply:
            message = "Forbidden: may not be specified for non-apply patch"
            raise bad_patch_option("force", "FieldValueForbidden", message)

    def log_query(self) -> LogQuery:
        """Read the parameters of a log request.

        Raises:
            StatusError: 400, an unreadable number or time.
        """
        return LogQuery(
            container=self.query.get("container", ""),
            is_previous=self.query.get("previous") == "true",
            is_followed=self.query.get("follow") == "true",
            since=self.instant("sinceTime"),
            tail_lines=self.number("tailLines"),
            has_timestamps=self.query.get("timestamps") == "true",
            limit_bytes=self.number("limitBytes"),
        )


def bad_version(asked: int, current: int) -> StatusError:
    """504 for a version that is not there yet."""
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return StatusError(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})
