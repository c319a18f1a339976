"""A word above suspicion begins no secret; digits make no difference; chance is told from names."""

import random
import string
import time

import pytest
from hypothesis import example, given, strategies as st

from opsagent.signals.logs.scrubbing import Scrubber
from opsagent.signals.logs.words import alike
from opsagent.signals.secrets import MARK, Suspicion, scrub, suspicion
from tests.core.test_redaction import HOSTILE, SHAPES, TOKENS

AWS_KINDS = ["A3TA", "AKIA", "ASIA", "AGPA", "AIDA", "AROA", "ANPA", "ANVA", "AIPA", "ABIA", "ACCA"]
BASE64 = string.ascii_letters + string.digits + "+/"

pieces = st.one_of(
    st.sampled_from([*TOKENS.values(), *SHAPES.values(), *HOSTILE]),
    st.sampled_from([" ", "  ", "\t", "\xa0", "\x1c", "\x85", ":", "=", "=>", '"', "'", "\\", "\\\"", ",", "@", "\n"]),
    st.sampled_from(["password", "Passwort", "token", "TOKEN", "api-key", "auth", "Auth", "Basic", "bearer", "cookie", "\u017fecret"]),
    st.sampled_from(["user", "ok", "12", "a1B2c3", "://u:p", "://", "x@y", "-----BEGIN", "eyJ", "sk-", "A3T", "{", "}"]),
    st.text(max_size=6),
    st.text("aB3+/_-", min_size=28, max_size=44),
)  # fmt: skip
texts = st.lists(pieces, max_size=8).map("".join)


@given(texts)
def test_a_text_of_words_above_suspicion_is_left_as_it_is(text: str) -> None:
    judged = [suspicion(word) for word in text.split()]
    if all(each is Suspicion.NONE for each in judged):
        assert scrub(text) == text


@pytest.mark.parametrize("text", [*TOKENS.values(), *SHAPES.values()])
def test_a_text_that_holds_a_secret_has_a_word_under_suspicion(text: str) -> None:
    assert any(suspicion(word) is not Suspicion.NONE for word in text.split())


@example("token :12")
@example("password :0xff.")
@example("api-key =00 and")
@given(texts)
def test_looking_words_up_finds_what_looking_at_the_whole_finds(text: str) -> None:
    scrubber = Scrubber()
    assert scrubber.scrubbed(text)[0] == scrub(text)
    assert scrubber.scrubbed(text)[0] == scrub(text)  # the second time from memory


@given(texts)
def test_a_harmless_text_holds_nothing(text: str) -> None:
    if Scrubber().is_harmless(alike(text)):
        assert scrub(text) == text


@given(texts)
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    assert scrub(scrub(text)) == scrub(text)


@given(texts | st.sampled_from([*TOKENS.values(), *SHAPES.values()]))
@example("token: a")
@example(" ".join(f"{kind}ABCDEFGHIJ12" for kind in AWS_KINDS))
@example("API_KEY=a, pwd=b, Private-Key: c, 'auth': d")
@example("Cookie: a\nproxy-authorization: b\nBASIC a1b2c3d4 and bearer a1b2c3d4")
def test_a_letter_beyond_ascii_in_a_line_before_makes_no_difference(text: str) -> None:
    """Such a letter has all patterns tried everywhere, not at their hints."""
    assert scrub(f"\xe9\n{text}") == f"\xe9\n{scrub(text)}"


@given(texts)
def test_no_digit_makes_a_difference_to_suspicion(text: str) -> None:
    alike = text.translate(str.maketrans("123456789", "000000000"))
    assert [suspicion(word) for word in text.split()] == [suspicion(word) for word in alike.split()]


def test_what_chance_drew_is_taken_for_a_secret() -> None:
    rng = random.Random(1)
    missed = [
        secret
        for secret in ("".join(rng.choices(BASE64, k=40)) for _ in range(5000))
        if scrub(f"signing with {secret} now") != f"signing with {MARK} now"
    ]
    assert len(missed) <= 10


@pytest.mark.parametrize(
    "text",
    [
        "org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerAdapter",
        "OAuth2AuthorizedClientArgumentResolver refused",
        "X-Envoy-Upstream-Service-Time-2024-and-more",
        "image sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "uid 7d0c1d3e-66a1-4c1e-9d0e-0f1e2d3c4b5a",
        "Accepted publickey for root: RSA SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
        "/var/lib/kubelet/pods/volumes/kubernetes.io~projected/kube-api-access",
        "basic authentication failed",
        "0123456789012345678901234567890123456789",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKL",
    ],
)
def test_names_paths_and_digests_are_not(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("unit", [*HOSTILE, "://a:b ", "Aa1", "Basic ", "-----BEGIN A-----END "])
def test_scrubbing_is_linear_in_the_text(unit: str) -> None:
    text = (unit * 40_000)[:40_000]
    began = time.process_time()
    scrub(text)
    assert time.process_time() - began < 2.0
