"""Links and sessions: opened once, ended in time, bounded, and never kept in a form that opens anything."""

import dataclasses

import pytest

from opsagent.api.session import (
    LINK_SECONDS,
    LINKS_MAX,
    SESSION_SECONDS,
    SESSIONS_MAX,
    Sessions,
)
from opsagent.runtime.ids import SecureIds


class Stopwatch:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def sessions(watch: Stopwatch) -> Sessions:
    return Sessions(SecureIds(), watch)


def opened(sessions: Sessions) -> str:
    secret = sessions.redeem(sessions.link())
    assert secret is not None
    return secret


def test_a_link_becomes_a_session_once(sessions: Sessions) -> None:
    link = sessions.link()
    secret = sessions.redeem(link)
    assert secret is not None
    assert secret != link
    assert sessions.find(secret) is not None
    assert sessions.redeem(link) is None
    assert sessions.find(link) is None


@pytest.mark.parametrize("guess", ["", "x", "x" * 43, "é", "\x00"])
def test_a_guess_opens_nothing(sessions: Sessions, guess: str) -> None:
    opened(sessions)
    assert sessions.redeem(guess) is None
    assert sessions.find(guess) is None


def test_a_link_that_nobody_opened_gets_too_old(sessions: Sessions, watch: Stopwatch) -> None:
    link = sessions.link()
    watch.seconds += LINK_SECONDS
    assert sessions.redeem(link) is None
    watch.seconds -= LINK_SECONDS
    assert sessions.redeem(link) is None, "an old link is spent, too"


def test_a_session_ends_after_twelve_hours(sessions: Sessions, watch: Stopwatch) -> None:
    secret = opened(sessions)
    watch.seconds += SESSION_SECONDS - 1
    assert sessions.find(secret) is not None
    watch.seconds += 1
    assert sessions.find(secret) is None
    watch.seconds -= SESSION_SECONDS
    assert sessions.find(secret) is None, "what ended does not come back"


def test_of_too_many_the_oldest_goes(sessions: Sessions) -> None:
    links = [sessions.link() for _ in range(LINKS_MAX + 1)]
    assert sessions.redeem(links[0]) is None
    assert sessions.redeem(links[1]) is not None
    secrets = [opened(sessions) for _ in range(SESSIONS_MAX + 1)]
    assert sessions.find(secrets[0]) is None
    assert sessions.find(secrets[1]) is not None


def test_each_session_has_a_form_token_of_its_own(sessions: Sessions) -> None:
    first, second = sessions.find(opened(sessions)), sessions.find(opened(sessions))
    assert first is not None
    assert second is not None
    assert first.has_form(first.form_token)
    assert not first.has_form(second.form_token)
    assert not first.has_form("")
    assert not first.has_form("é")


def test_nothing_that_is_kept_opens_anything(sessions: Sessions) -> None:
    link, secret = sessions.link(), opened(sessions)
    kept = repr(vars(sessions))
    assert link not in kept
    assert secret not in kept
    session = sessions.find(secret)
    assert session is not None
    assert session.form_token not in repr(session)
    assert dataclasses.is_dataclass(session)
