"""Single values: what of an environment variable or of a command line may be kept, and what becomes a keyed hash.

A keyed hash is ``hmac:`` and 16 hex digits of HMAC-SHA256 under the install's key. Equal values stay
equal, so a change is seen, but a guess cannot be checked without the key. Kept as they are: addresses
(host, host:port, port, URL), because root causes are found by joining them with Services. A bare host or
port must stand under a name that ends in a word for one; under a name that speaks of a secret and not of
an address nothing is kept. A URL's path is hashed. Of a command line the program and the names of flags
are kept.

All functions are idempotent. Patterns start at literals, their repeats run over one character class or
over alternatives that begin differently, and the text they see is short: no input makes them slow.
"""

import hmac
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from opsagent.signals.secrets import TEXT_LENGTH_MAX, redact_text

SHORT = 64  # characters of a text that is worth remembering
REMEMBERED = 16_384  # texts: 2 MiB or so
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
_FLAG = re.compile(r"--[A-Za-z][\w.-]{0,63}|-[A-Za-z]")


def clean(text: str) -> str:
    """Return ``text`` without secrets, cut. Short ones repeat in every object, so what became of them is remembered."""
    return _short(text) if len(text) <= SHORT else redact_text(text)


@lru_cache(REMEMBERED)
def _short(text: str) -> str:
    return redact_text(text)


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


def command_line(words: Sequence[str], key: bytes, *, is_program_first: bool) -> Iterator[str]:
    """Yield the words of a command line: flags by name, their values and all others as literals."""
    flag = ""
    for position, word in enumerate(words):
        if position == 0 and is_program_first:
            yield clean(word)
            continue
        name, equals, value = word.partition("=")
        if _FLAG.fullmatch(name):
            flag = name.strip("-")
            hidden = env_value(flag, value, key) if value else ""
            yield f"{clean(name)}{equals}{hidden}"
        else:
            yield env_value(flag, word, key)
            flag = ""
