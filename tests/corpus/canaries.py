"""Secrets to plant: twenty formats, each with the part that must never be seen again.

The texts are put together from pieces, so that no scanner takes this file for a leak.
"""

import base64
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

ALNUM = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Canary:
    """``text`` goes into a line; none of ``secrets`` may come out."""

    form: str
    text: str
    secrets: tuple[str, ...]


def drawn(rng: random.Random, length: int, letters: str = ALNUM) -> str:
    return "".join(rng.choices(letters, k=length))


def _prefixed(prefix: str, length: int, letters: str = ALNUM) -> Callable[[random.Random], tuple[str, str]]:  # fmt: skip
    def make(rng: random.Random) -> tuple[str, str]:
        body = drawn(rng, length, letters)
        return f"using {prefix}{body} for this call", body

    return make


def _around(before: str, behind: str = "", length: int = 20) -> Callable[[random.Random], tuple[str, str]]:  # fmt: skip
    def make(rng: random.Random) -> tuple[str, str]:
        body = drawn(rng, length)
        return f"{before}{body}{behind}", body

    return make


def _jwt(rng: random.Random) -> tuple[str, str]:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    claims = base64.urlsafe_b64encode(json.dumps({"sub": drawn(rng, 12)}).encode()).decode()
    body = f"{claims.rstrip('=')}.{drawn(rng, 43)}"
    return f"verified {head}.{body} of caller", body


def _quoted(rng: random.Random) -> tuple[str, str]:
    body = f"{drawn(rng, 6)} {drawn(rng, 6)} {drawn(rng, 6)}"
    return f'with passphrase: "{body}" from file', body


def _basic(rng: random.Random) -> tuple[str, str]:
    body = base64.b64encode(f"user:{drawn(rng, 16)}".encode()).decode().rstrip("=")
    return f"header Authorization: Basic {body}", body


def _json(rng: random.Random) -> tuple[str, str]:
    body = drawn(rng, 18)
    return json.dumps({"user": "cart", "password": body, "ok": True}), body


def _aws(rng: random.Random) -> tuple[str, str]:
    body = drawn(rng, 40, ALNUM + "+/")
    return f"signing with {body} now", body


FORMS: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "jwt": _jwt,
    "aws key id": _prefixed("AKIA", 16, string.ascii_uppercase + string.digits),
    "aws secret key, bare": _aws,
    "github": _prefixed("ghp_", 36),
    "gitlab": _prefixed("glpat-", 20),
    "slack": _prefixed("xoxb-123456789012-", 24),
    "google": _prefixed("AIza", 35),
    "stripe": _prefixed("sk_live_", 24),
    "model vendor": _prefixed("sk-", 32),
    "npm": _prefixed("npm_", 36),
    "vault": _prefixed("hvs.", 24),
    "password=": _around("login failed password=", "&next=1"),
    "secret: value": _around("client_secret: ", " accepted"),
    "key with equals": _around("AccountName=shop;AccountKey=", "==;EndpointSuffix=core", 64),
    "environment": _around("env DB_PASSWORD='", "' set"),
    "quoted with blanks": _quoted,
    "basic": _basic,
    "bearer": _around("sent Bearer ", " upstream", 32),
    "url": _around("dial postgres://cart:", "@db.shop.svc:5432/cart failed"),
    "json": _json,
    "cookie": _around("Cookie: sid=", "; theme=dark", 26),
    "signed url": _around("GET /blob?X-Amz-Signature=", "&v=1", 40),
}


def planted(rng: random.Random, form: str = "") -> Canary:
    """Return one canary of ``form``, of any if empty."""
    form = form or rng.choice(tuple(FORMS))
    text, body = FORMS[form](rng)
    return Canary(form, text, (body,))
