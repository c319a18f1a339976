"""Nothing secret gets past redaction, and what is needed to join objects does."""

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from opsagent.model.canonical import canonical
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import (
    Condition,
    Container,
    ContainerState,
    Deployment,
    EnvVar,
    KubeObject,
    Namespace,
    Node,
    Phase,
    Pod,
    ReplicaSet,
)
from opsagent.signals.redaction import TEXT_LENGTH_MAX, redact, redact_text
from tests.fakes.objects import (
    after,
    deployment,
    event,
    meta,
    pod,
    replica_set,
    restarted,
    running,
    terminated,
)

KEY = b"k" * 32
OTHER_KEY = b"o" * 32


def joined(*parts: str) -> str:
    """Return a made-up secret; in pieces, so that no scanner takes this file for a leak."""
    return "".join(parts)


JWT = joined("eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiJwbGFudGVkIn0", ".c2lnbmF0dXJlLXBsYW50ZWQ")
TOKENS = {
    "jwt": JWT,
    "aws key id": joined("AKIA", "PLANTEDPLANTED00"),
    "aws session key id": joined("ASIA", "PLANTEDPLANTED00"),
    "github": joined("ghp_", "plantedplantedplantedplanted123456"),
    "github fine-grained": joined("github_pat_", "11PLANTED0planted_planted0planted"),
    "gitlab": joined("glpat-", "planted-planted-planted1"),
    "slack": joined("xoxb-", "123456789012-planted"),
    "slack app": joined("xapp-", "1-PLANTED-planted-planted"),
    "slack hook": joined("hooks.slack.com/", "services/T000/B000/plantedplanted"),
    "google": joined("AIza", "plantedplantedplantedplantedplanted"),
    "google oauth": joined("ya29.", "planted-planted_planted"),
    "stripe": joined("sk_live_", "plantedplantedplanted"),
    "standard webhook": joined("whsec_", "cGxhbnRlZHBsYW50ZWQ="),
    "model vendor": joined("sk-", "proj-planted-planted-planted"),
    "npm": joined("npm_", "plantedplantedplantedplantedplanted0"),
    "pypi": joined("pypi-", "AgEIplantedplantedplanted"),
    "sendgrid": joined("SG.", "plantedplanted-planted", ".plantedplanted"),
    "vault": joined("hvs.", "plantedplantedplantedplanted"),
    "age": joined("AGE-SECRET-KEY-1", "PLANTEDPLANTEDPLANTEDPLANTED"),
}
SHAPES = {
    "pair": "password=planted-7f3a",
    "pair with space": "db_password : planted-7f3a",
    "quoted with spaces": 'secret: "planted 7f3a with spaces"',
    "single quotes": "api_key='planted 7f3a'",
    "json": json.dumps({"password": "planted-7f3a", "user": "cart"}),
    "json in json": json.dumps({"body": json.dumps({"token": "planted 7f3a"})}),
    "arrow": "access-key => planted-7f3a",
    "longer name": "AWS_SECRET_ACCESS_KEY=planted-7f3a",
    "docker auth": '{"auth": "planted-7f3a"}',
    "bearer": "sent Bearer planted-7f3a-planted",
    "authorization": "Authorization: Basic planted-7f3a",
    "cookie": "Set-Cookie: id=planted-7f3a; Path=/",
    "url": "dial postgres://cart:planted-7f3a@db:5432/cart failed",
    "url with slash": "dial postgres://cart:planted/7f3a@db:5432/cart failed",
    "url with at": "dial amqp://cart:planted@7f3a@queue failed",
    "url user only": "clone https://planted-7f3a@git.example.com/x",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nplanted\n7f3a\n-----END RSA PRIVATE KEY-----",
    "pem cut short": "-----BEGIN PRIVATE KEY-----\nplanted7f3a",
    "signature": "GET /blob?x=1&X-Amz-Signature=planted7f3a&y=2",
}


@pytest.mark.parametrize("secret", TOKENS.values(), ids=TOKENS.keys())
@pytest.mark.parametrize(
    "around", ["{}", "error {} refused", "key={},", "«{}»", "/{}?x", "\\n{}\\n", "%3D{}", "({})"]
)
def test_a_token_of_a_known_format_is_taken_out_of_any_text(secret: str, around: str) -> None:
    text = redact_text(around.format(secret))
    assert secret not in text
    assert "planted" not in text.lower()


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES.keys())
def test_a_value_in_a_secrets_place_is_taken_out(text: str) -> None:
    assert "planted" in text
    redacted = redact_text(text)
    assert "planted" not in redacted
    assert "7f3a" not in redacted
    assert "[redacted]" in redacted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Back-off restarting failed container web in pod web-5d4f_shop(7d0c)",
        'Failed to pull image "shop/web:v9": manifest unknown',
        'MountVolume.SetUp failed for volume "cfg" : secret "db-password" not found',
        "failed to sync secret cache: timed out waiting for the condition",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
        "0/5 nodes are available: 5 Insufficient memory.",
        "Error: couldn't find key token in Secret shop/cart",
        "monkeyJumpingAround task-runner-with-a-long-name disk-pressure-eviction",
        "http://cart.shop.svc:8080/healthz returned 500",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_ordinary_messages_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == text


def test_a_long_text_is_cut_and_says_so() -> None:
    text = redact_text("x" * 5000)
    assert len(text) == TEXT_LENGTH_MAX
    assert text.endswith("…")


def test_a_secret_across_the_cut_leaves_nothing_behind() -> None:
    for start in range(TEXT_LENGTH_MAX - 40, TEXT_LENGTH_MAX + 1):
        text = redact_text("x" * start + " " + TOKENS["github"] + " " + "y" * 3000)
        assert "planted" not in text


HOSTILE = [
    "://a:",
    "eyJ",
    "password",
    'token="',
    "token=\\",
    "-----BEGIN A-----",
    "secret" + "_" * 60,
    "a.",
    "bearer ",
    "cookie:",
    "AKIA",
    "'\"",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_no_text_makes_redaction_slow(unit: str) -> None:
    text = unit * 5000
    began = time.perf_counter()
    redact_text(text)
    assert time.perf_counter() - began < 0.5


fragments = st.sampled_from(
    [
        *TOKENS.values(),
        *SHAPES.values(),
        *HOSTILE,
        " ",
        "\n",
        ",",
        "@",
        "[redacted]",
        "x" * 600,
        "…",
    ]
)
texts = st.one_of(
    st.text(max_size=80), st.lists(fragments | st.text(max_size=8), max_size=12).map("".join)
)


@given(texts)
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once
    assert len(once) <= TEXT_LENGTH_MAX


@given(st.text(max_size=200), st.sampled_from(sorted(TOKENS.values())), st.text(max_size=200))
def test_a_token_between_blanks_never_survives(before: str, secret: str, behind: str) -> None:
    assert secret not in redact_text(f"{before} {secret} {behind}")


def env_of(name: str, value: str, key: bytes = KEY) -> str:
    """Return what becomes of one environment value."""
    item = deployment(containers=(Container("web", "shop/web:v1", env=(EnvVar(name, value),)),))
    redacted = redact(item, key)
    assert isinstance(redacted, Deployment)
    return redacted.containers[0].env[0].value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CART_HOST", "cart"),
        ("CART_HOST", "cart.shop.svc.cluster.local"),
        ("CART_ADDR", "cart:8080"),
        ("CART_ADDRESSES", "10.0.0.7:8080"),
        ("BIND_ADDR", "[::1]:8080"),
        ("AUTH_SERVICE_URL", "http://auth.shop:8080"),
        ("PAYMENT_URL", "https://payment/"),
        ("ANYTHING", "redis://cache:6379"),
        ("ANYTHING", "cache.shop.svc:6379"),
        ("PORT", "8080"),
        ("CART_SERVICE_PORT", "80"),
        ("EMPTY", ""),
    ],
)
def test_addresses_are_kept_because_causes_are_found_by_joining_them(name: str, value: str) -> None:
    assert env_of(name, value) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODE", "production"),
        ("PIN", "1234"),
        ("ADMIN", "root:12345"),
        ("DB_PASSWORD", "cache.shop.svc:6379"),
        ("SESSION_KEY", "http://cart:8080"),
        ("CART_HOST", "Not A Host"),
        ("CART_URL", "http://cart:8080/x y"),
        ("CART_PORT", "808080"),
        ("CART_PORT", "x"),
        ("DSN", "postgres://cart:planted-7f3a@db:5432/cart"),
        ("CART_URL", "http://cart:planted-7f3a@cart:8080"),
        ("CART_HOST", TOKENS["github"].lower()),
        ("BIG", "x" * 5000),
    ],
)
def test_any_other_value_becomes_a_keyed_hash(name: str, value: str) -> None:
    hashed = env_of(name, value)
    assert hashed.startswith("hmac:")
    assert len(hashed) == len("hmac:") + 16
    assert hashed == env_of(name, value)
    assert hashed != env_of(name, value, OTHER_KEY)
    assert hashed != env_of(name, value + "!")


def test_of_a_url_the_origin_stays_and_the_path_is_hashed() -> None:
    kept = env_of("HOOK_URL", "https://hooks.example.com/services/T0/B0/planted7f3a")
    assert kept.startswith("https://hooks.example.com/hmac:")
    assert "planted" not in kept
    assert kept != env_of("HOOK_URL", "https://hooks.example.com/services/T0/B0/other")


def test_a_reference_to_a_secret_stays_readable() -> None:
    reference = EnvVar("DB_PASSWORD", source="secretKeyRef:db/password")
    item = deployment(containers=(Container("web", "shop/web:v1", env=(reference,)),))
    redacted = redact(item, KEY)
    assert isinstance(redacted, Deployment)
    assert redacted.containers[0].env[0] == reference


def test_only_known_annotations_pass() -> None:
    annotations = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"spec": "planted"}',
        "vendor.example.com/blob": "planted",
        "deployment.kubernetes.io/revision": "3",
        "kubernetes.io/change-cause": "kubectl set image --token=planted",
        "opsagent.io/action-id": "pln_1",
    }
    redacted = redact(Namespace(meta("shop", namespace="", annotations=annotations)), KEY)
    assert redacted.meta.annotations == {
        "deployment.kubernetes.io/revision": "3",
        "kubernetes.io/change-cause": "kubectl set image --token=[redacted]",
        "opsagent.io/action-id": "pln_1",
    }


def test_digests_of_templates_are_keyed_so_that_nobody_guesses_at_them() -> None:
    raw = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    mine = redact(deployment(template_digest=raw), KEY)
    same = redact(deployment(template_digest=raw), KEY)
    other = redact(deployment(template_digest=raw), OTHER_KEY)
    owned = redact(replica_set(deployment(), template_digest=raw), KEY)
    assert isinstance(mine, Deployment)
    assert isinstance(same, Deployment)
    assert isinstance(other, Deployment)
    assert isinstance(owned, ReplicaSet)
    assert mine.template_digest.startswith("hmac:")
    assert mine.template_digest == same.template_digest == owned.template_digest
    assert mine.template_digest != other.template_digest


def planted(secret: str) -> list[KubeObject]:
    """Return one object of every kind with ``secret`` in every place that takes free text."""
    text = f"it says {secret} here"
    marks = {"labels": {"app": secret}, "annotations": {"opsagent.io/note": text, "x/y": text}}
    condition = Condition("Ready", "False", "Because", text)
    web = Container("web", "shop/web:v1", env=(EnvVar("A", secret), EnvVar("B_HOST", secret)))
    owner = deployment(meta=meta("web", **marks), containers=(web,), conditions=(condition,))
    owned = replica_set(owner, containers=(web,))
    last = replace(terminated(after(1)), message=text)
    status = replace(
        restarted(after(2), ended=last), state=ContainerState(Phase.WAITING, "Error", text)
    )
    sick = pod(owned, 1, status, containers=(web,), conditions=(condition,))
    return [
        owner,
        owned,
        sick,
        pod(owned, 2, running()),
        event(sick, "Failed", text, at=after(3)),
        Node(meta("node-1", namespace="", **marks), conditions=(condition,)),
        Namespace(meta("shop", namespace="", **marks)),
    ]


@pytest.mark.parametrize("secret", TOKENS.values(), ids=TOKENS.keys())
def test_nothing_planted_survives_in_any_kind_and_twice_is_once(secret: str) -> None:
    for item in planted(secret):
        redacted = redact(item, KEY)
        assert secret.encode() not in canonical(redacted), type(item).__name__
        assert redact(redacted, KEY) == redacted


def test_names_states_and_times_pass_unchanged() -> None:
    item = planted(JWT)[2]
    assert isinstance(item, Pod)
    redacted = redact(item, KEY)
    assert isinstance(redacted, Pod)
    assert Entity(Kind.POD, redacted.meta.namespace, redacted.meta.name).name == item.meta.name
    assert redacted.container_statuses[0].state.reason == "Error"
    assert redacted.container_statuses[0].last_state is not None
    assert redacted.container_statuses[0].last_state.exit_code == 1
    assert redacted.meta.uid == item.meta.uid
