"""How the world fails, in the few ways in which opsagent answers it. A client maps its remote's zoo onto them once."""


class Transient(Exception):
    """The world failed in a way that may pass: retry later."""


class Terminal(Exception):
    """The world refused for good: do not retry, tell a person."""


class Unwritable(Terminal):
    """Our own state can no longer be written or trusted: nothing may be done until a person has repaired it."""


class Gone(Exception):
    """The resource version is too old (410): list again."""


class Conflict(Exception):
    """The object changed since it was read (409)."""


class NotFound(Exception):
    """No such object (404)."""


class Forbidden(Exception):
    """The identity has no right to this (401, 403)."""
