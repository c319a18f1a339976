"""Values for the places in a template: ``{ipv4}`` and the like, drawn from a seeded generator."""

import random
import re
from collections.abc import Callable, Sequence

Draw = Callable[[random.Random], str]

HEX = "0123456789abcdef"
SERVICES = (
    "cart",
    "checkout",
    "payment",
    "catalog",
    "frontend",
    "shipping",
    "search",
    "billing",
    "accounts",
    "mailer",
)
USERS = (
    "alice",
    "bob",
    "root",
    "admin",
    "deploy",
    "postgres",
    "oracle",
    "git",
    "ubuntu",
    "nagios",
    "ftpuser",
    "carol",
)
SPACES = ("default", "shop", "kube-system", "monitoring", "payments", "staging", "prod")
TABLES = ("orders", "customers", "invoices", "line_items", "sessions", "products", "audit_log")
TOPICS = ("orders", "payments", "clicks", "audit-events", "__consumer_offsets", "invoices")
QUEUES = ("orders.new", "mail.outbound", "thumbnails", "celery", "invoices.retry")
FILES = ("index.html", "app.js", "favicon.ico", "logo.png", "config.yaml", "report.pdf")
WORDS = (
    "apple",
    "violet",
    "harbor",
    "meadow",
    "copper",
    "lantern",
    "willow",
    "granite",
    "ember",
    "raven",
    "cobalt",
    "maple",
)
CLASSES = (
    "CartController",
    "OrderRepository",
    "PaymentClient",
    "UserMapper",
    "ReportJob",
    "StockCache",
)
EXCEPTIONS = (
    "java.lang.NullPointerException",
    "java.io.IOException",
    "java.net.SocketTimeoutException",
    "java.lang.IllegalStateException",
)
PY_ERRORS = ("ValueError", "KeyError", "ConnectionResetError", "TimeoutError", "PermissionError")
ERRORS = (
    "connection refused",
    "i/o timeout",
    "context deadline exceeded",
    "EOF",
    "no route to host",
    "dial tcp {ipv4}:{port}: connect: connection refused",
    "read tcp {ipv4}:{port}->{ipv4}:{port}: read: connection reset by peer",
    'Get "https://{ipv4}:443/api/v1/nodes/{node}": net/http: TLS handshake timeout',
    "rpc error: code = Unavailable desc = transport is closing",
    "lookup {svc}.{ns}.svc on {ipv4}:53: no such host",
    "x509: certificate has expired or is not yet valid",
    "the server could not find the requested resource",
)


def choice(values: Sequence[str]) -> Draw:
    return lambda rng: values[int(rng.random() * len(values))]


def number(low: int, high: int) -> Draw:
    return lambda rng: str(int(low + rng.random() * (high - low + 1)))


def decimal(high: float, digits: int) -> Draw:
    return lambda rng: f"{rng.random() * high:.{digits}f}"


def hexadecimal(length: int) -> Draw:
    return lambda rng: f"{rng.getrandbits(4 * length):0{length}x}"


def name(length: int) -> Draw:
    """Return a draw of a suffix as Kubernetes makes them: no vowels, so no words."""
    return lambda rng: "".join(rng.choices("bcdfghjklmnpqrstvwxz2456789", k=length))


def ipv4(rng: random.Random) -> str:
    bits = rng.getrandbits(24)
    return f"10.{bits >> 16}.{bits >> 8 & 255}.{bits & 255}"


def uuid(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def go_duration(rng: random.Random) -> str:
    kind = int(rng.random() * 4)
    value = rng.random() * 1000
    return (
        f"{value:.6f}ms",
        f"{value / 100:.9f}s",
        f"{value:.3f}µs",
        f"{int(value) // 60 + 1}m{int(value) % 60}s",
    )[kind]


def addresses(rng: random.Random) -> str:
    return ", ".join(f"{ipv4(rng)}:{8000 + i}" for i in range(1 + int(rng.random() * 5)))


def numbers(rng: random.Random) -> str:
    return ", ".join(str(int(rng.random() * 40)) for _ in range(1 + int(rng.random() * 6)))


def path(rng: random.Random) -> str:
    parts = rng.choices(
        ("var", "lib", "data", "srv", "app", "cache", "tmp", *WORDS), k=2 + int(rng.random() * 3)
    )
    return "/" + "/".join(parts)


def web_path(rng: random.Random) -> str:
    root = choice(("cart", "api/v1/orders", "products", "static", "healthz", "login"))(rng)
    tail = choice(
        (
            "",
            f"/{int(rng.random() * 9999)}",
            f"?page={int(rng.random() * 50)}",
            "/" + choice(FILES)(rng),
        )
    )(rng)
    return f"/{root}{tail}"


DRAWS: dict[str, Draw] = {
    "ipv4": ipv4,
    "port": number(1024, 65535),
    "uuid": uuid,
    "hex4": hexadecimal(4),
    "hex8": hexadecimal(8),
    "hex12": hexadecimal(12),
    "hex16": hexadecimal(16),
    "hex32": hexadecimal(32),
    "hex40": hexadecimal(40),
    "hex64": hexadecimal(64),
    "small": number(0, 9),
    "int": number(0, 9999),
    "big": number(10_000, 9_999_999_999),
    "pid": number(1, 32768),
    "pct": decimal(100, 1),
    "float": decimal(1000, 3),
    "unit": decimal(1, 4),
    "dur": go_duration,
    "ms": number(1, 5000),
    "svc": choice(SERVICES),
    "user": choice(USERS),
    "ns": choice(SPACES),
    "table": choice(TABLES),
    "topic": choice(TOPICS),
    "queue": choice(QUEUES),
    "word": choice(WORDS),
    "file": choice(FILES),
    "class": choice(CLASSES),
    "exc": choice(EXCEPTIONS),
    "pyerr": choice(PY_ERRORS),
    "path": path,
    "url_path": web_path,
    "addresses": addresses,
    "numbers": numbers,
    "suffix": name(5),
    "method": choice(("GET", "POST", "PUT", "DELETE")),
    "status": choice(("200", "201", "204", "304", "400", "404", "500", "502", "503")),
    "bool": choice(("true", "false")),
    "err": choice(ERRORS),
    "device": choice(("sda1", "nvme0n1p1", "dm-0", "vdb")),
    "nic": choice(("eth0", "ens5", "cali{hex8}", "veth{hex8}")),
    "node": choice(("node-{small}", "ip-10-0-{small}-{int}", "worker{small}")),
    "pod": choice(tuple(f"{service}-{{hex8}}-{{suffix}}" for service in SERVICES)),
    "image": choice(
        tuple(f"registry.example.com/shop/{service}:v1.{{small}}.{{small}}" for service in SERVICES)
    ),
    "host": choice(tuple(f"{service}-{{small}}.{{ns}}.svc.cluster.local" for service in SERVICES)),
    "thread": choice(
        ("main", "http-nio-8080-exec-{small}", "pool-{small}-thread-{small}", "scheduling-1")
    ),
}


_SLOT = re.compile(r"\{([a-z]\w*)\}")


def filled(template: str, rng: random.Random) -> str:
    """Return ``template`` with every ``{slot}`` drawn, and the slots in what was drawn too."""
    return _SLOT.sub(lambda found: filled(DRAWS[found[1]](rng), rng), template)
