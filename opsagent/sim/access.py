"""Who is asking and what they may do: tokens, rights, and the reviews that answer about them.

One rule table serves both enforcement and the access reviews, so they cannot disagree.
Deny by default: what no rule grants is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from opsagent.ports import Identity
from opsagent.sim.errors import StatusError, bad_request, invalid
from opsagent.sim.resources import (
    ACCESS_REVIEWS,
    REVIEWS,
    SELF_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
    Route,
)
from opsagent.sim.values import Obj, uid_of

ANY = "*"
API_AUDIENCE = "https://kubernetes.default.svc"
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Rule:
    """Some subjects (user names or groups) may use some verbs on some resources.

    A resource is written ``plural[.group][/subresource]``, e.g. ``deployments.apps`` or ``pods/log``.
    ``*`` among verbs, resources or namespaces means every one; no ``names`` means every name.
    """

    subjects: frozenset[str]
    verbs: frozenset[str]
    resources: frozenset[str]
    namespaces: frozenset[str] = frozenset({ANY})
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One use of a right: what RBAC is asked."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""


def _grants(rule: Rule, subjects: frozenset[str], attempt: Attempt) -> bool:
    return (
        bool(rule.subjects & subjects)
        and bool(rule.verbs & {ANY, attempt.verb})
        and bool(rule.resources & {ANY, attempt.resource})
        and bool(rule.namespaces & {ANY, attempt.namespace})
        and (not rule.names or attempt.name in rule.names)
    )


def _with_implied_groups(identity: Identity) -> Identity:
    """Add the groups that the API server itself gives."""
    implied = ["system:authenticated"]
    if identity.username.startswith(_ACCOUNT):
        namespace = identity.username.removeprefix(_ACCOUNT).partition(":")[0]
        implied = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", *implied]
    groups = dict.fromkeys([*identity.groups, *implied])
    return Identity(identity.username, tuple(groups))


@dataclass(slots=True)
class Access:
    """Identities by token, and the rule table."""

    seed: str
    rules: list[Rule] = field(default_factory=list)
    _identities: dict[str, Identity] = field(default_factory=dict)

    def token(self, username: str, groups: Sequence[str] = ()) -> str:
        """Return the bearer token of ``username``; the first call makes the identity known."""
        token = f"sim.{uid_of(self.seed, 'token', username)}"
        known = self._identities.get(token)
        if known is None:
            self._identities[token] = _with_implied_groups(Identity(username, tuple(groups)))
        return token

    def revoke(self, username: str) -> None:
        """Forget the token of ``username``."""
        self._identities.pop(self.token(username), None)

    def identify(self, token: str) -> Identity | None:
        """Return who holds ``token``, None if nobody known does."""
        return self._identities.get(token)

    def allows(self, identity: Identity, attempt: Attempt) -> bool:
        """Return whether some rule grants ``attempt``."""
        subjects = frozenset({identity.username, *identity.groups})
        return any(_grants(rule, subjects, attempt) for rule in self.rules)

    def review_token(self, spec: Obj) -> Obj:
        """Answer a TokenReview's spec with its status.

        Raises:
            StatusError: 400, there is no token.
        """
        if not spec.get("token"):
            raise bad_request("token is required for TokenReview in authentication")
        identity = self.identify(str(spec.get("token", "")))
        audiences = spec.get("audiences") or [API_AUDIENCE]
        if identity is None or API_AUDIENCE not in audiences:
            return {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
        user: Obj = {"username": identity.username, "groups": list(identity.groups)}
        user["uid"] = uid_of(self.seed, "user", identity.username)
        return {"authenticated": True, "user": user, "audiences": [API_AUDIENCE]}

    def review_access(self, spec: Obj) -> Obj:
        """Answer a SubjectAccessReview's spec with its status.

        Raises:
            StatusError: 422, it asks about nobody.
        """
        if not spec.get("user") and not spec.get("groups"):
            message = 'Invalid value: "": at least one of user or group must be specified'
            raise invalid(ACCESS_REVIEWS, "", [("spec.user", message)])
        return self._judge(Identity(spec.get("user", ""), tuple(spec.get("groups") or ())), spec)

    def review_own_access(self, identity: Identity, spec: Obj) -> Obj:
        """Answer a SelfSubjectAccessReview's spec with its status.

        Raises:
            StatusError: 422, it asks about no resource.
        """
        if "resourceAttributes" not in spec:
            message = (
                "Invalid value: null: exactly one of nonResourceAttributes or "
                "resourceAttributes must be specified"
            )
            raise invalid(SELF_ACCESS_REVIEWS, "", [("spec.resourceAttributes", message)])
        return self._judge(identity, spec)

    def _judge(self, identity: Identity, spec: Obj) -> Obj:
        asked = spec.get("resourceAttributes") or {}
        resource = ".".join(part for part in (asked.get("resource"), asked.get("group")) if part)
        if asked.get("subresource"):
            resource = f"{resource}/{asked['subresource']}"
        attempt = Attempt(
            asked.get("verb", ""), resource, asked.get("namespace", ""), asked.get("name", "")
        )
        is_allowed = self.allows(identity, attempt)
        return {"allowed": is_allowed, "reason": "allowed by rule table" if is_allowed else ""}

    def review(self, place: Route, sent: Obj, identity: Identity) -> Obj:
        """Answer a review object that ``identity`` sent."""
        assert place.resource in REVIEWS
        spec = sent.get("spec", {})
        if place.resource is TOKEN_REVIEWS:
            status = self.review_token(spec)
        elif place.resource is SELF_ACCESS_REVIEWS:
            status = self.review_own_access(identity, spec)
        else:
            status = self.review_access(spec)
        kind = {"kind": place.resource.kind, "apiVersion": place.resource.api_version}
        return kind | {"metadata": {"creationTimestamp": None}, "spec": spec, "status": status}


def attempt_of(place: Route, verb: str) -> Attempt:
    """Return the right that a request to ``place`` uses."""
    resource = place.resource.qualified
    if place.subresource:
        resource = f"{resource}/{place.subresource}"
    return Attempt(verb, resource, place.namespace, place.name)


def forbidden(identity: Identity, attempt: Attempt) -> StatusError:
    """403 in the API server's words."""
    base, _, subresource = attempt.resource.partition("/")
    plural, _, group = base.partition(".")
    shown = f"{plural}/{subresource}" if subresource else plural
    where = (
        f'in the namespace "{attempt.namespace}"' if attempt.namespace else "at the cluster scope"
    )
    named = f'{base} "{attempt.name}"' if attempt.name else base
    message = (
        f'{named} is forbidden: User "{identity.username}" cannot {attempt.verb} resource '
        f'"{shown}" in API group "{group}" {where}'
    )
    details = {"name": attempt.name, "group": group, "kind": plural}
    return StatusError(
        403, "Forbidden", message, {key: part for key, part in details.items() if part}
    )


def forbidden_path(identity: Identity, path: str) -> StatusError:
    """403 for a path that names no resource we know; who may not ask does not learn that."""
    message = f'forbidden: User "{identity.username}" cannot get path "{path}"'
    return StatusError(403, "Forbidden", message)
