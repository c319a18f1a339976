"""What proxies and web servers print."""

import json

from tests.corpus.dialects.shape import Dialect, Said, iso, templates
from tests.corpus.slots import filled


def access(said: Said) -> str:
    """Dress nothing: an access line carries its stamp inside, put there by the generator."""
    return said.text


def nginx_error(said: Said) -> str:
    level = {"D": "debug", "I": "notice", "W": "warn", "E": "error", "F": "crit"}[said.level]
    return f"{said.at:%Y/%m/%d %H:%M:%S} [{level}] 29#29: {said.text}"


def envoy(said: Said) -> str:
    level = {"D": "debug", "I": "info", "W": "warning", "E": "error", "F": "critical"}[said.level]
    return f"[{iso(said.at, 3, '', ' ')}][{said.rng.randrange(1, 40)}][{level}][{said.source('config', 'upstream', 'main')}] {said.text}"  # fmt: skip


def envoy_access(said: Said) -> str:
    """Print the fields as one object; there is no message at all."""
    return json.dumps({"start_time": iso(said.at), **said.fields}, separators=(",", ":"))


def haproxy(said: Said) -> str:
    return f"<134>{said.at:%b %e %H:%M:%S} haproxy[{filled('{pid}', said.rng)}]: {said.text}"


ACCESS = templates("""
I {ipv4} - - [STAMP] "{method} {url_path} HTTP/1.1" {status} {int} "-" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
I {ipv4} - {user} [STAMP] "{method} {url_path} HTTP/1.1" {status} {int}
I {ipv4} - - [STAMP] "-" 400 0 "-" "-"
""")

NGINX_ERROR = templates("""
E *{int} connect() failed (111: Connection refused) while connecting to upstream, client: {ipv4}, server: shop.example.com, request: "{method} {url_path} HTTP/1.1", upstream: "http://{ipv4}:8080{url_path}", host: "shop.example.com"
E *{int} upstream timed out (110: Operation timed out) while reading response header from upstream, client: {ipv4}, server: shop.example.com, request: "{method} {url_path} HTTP/1.1", upstream: "http://{ipv4}:8080{url_path}", host: "shop.example.com"
E *{int} open() "{path}/{file}" failed (2: No such file or directory), client: {ipv4}, server: _, request: "{method} {url_path} HTTP/1.1", host: "{ipv4}"
E *{int} no live upstreams while connecting to upstream, client: {ipv4}, server: shop.example.com, request: "{method} {url_path} HTTP/1.1", upstream: "http://{svc}{url_path}", host: "shop.example.com"
W *{int} a client request body is buffered to a temporary file {path}/{int}, client: {ipv4}, server: _, request: "POST {url_path} HTTP/1.1", host: "{ipv4}"
W *{int} upstream server temporarily disabled while connecting to upstream, client: {ipv4}, server: _, request: "{method} {url_path} HTTP/1.1", upstream: "http://{ipv4}:8080{url_path}", host: "{ipv4}"
I signal {small} (SIGHUP) received from {pid}, reconfiguring
I signal {small} (SIGQUIT) received from {pid}, shutting down
I start worker process {pid}
I gracefully shutting down
I exiting
I worker process {pid} exited with code 0
E *{int} SSL_do_handshake() failed (SSL: error:{hex8}:SSL routines::wrong version number) while SSL handshaking, client: {ipv4}, server: 0.0.0.0:443
I *{int} client {ipv4} closed keepalive connection
""")

ENVOY = templates("""
I cds: add {small} cluster(s), remove {small} cluster(s)
I cds: added/updated {small} cluster(s), skipped {small} unmodified cluster(s)
I lds: add/update listener 'listener_{int}'
I lds: remove listener 'listener_{int}'
W gRPC config stream to xds_cluster closed: 14, {err}
W StreamAggregatedResources gRPC config stream closed since {int}s ago: 14, {err}
D [C{int}] new stream
D [C{int}][S{big}] request end stream
D [C{int}] closing data_to_write={int} type={small}
I cm init: all clusters initialized
I all clusters initialized. initializing init manager
I starting main dispatch loop
W upstream host {ipv4}:{port} ejected from cluster {svc} after {small} consecutive errors
I upstream host {ipv4}:{port} returned to cluster {svc}
I runtime: {}
I shutting down main thread
I drained {int} connections in {dur}
""")

ENVOY_ACCESS = templates("""
I | method={method} path={url_path} protocol=HTTP/1.1 response_code={status} response_flags=- bytes_sent={int} duration={ms} upstream_host={ipv4}:{port} request_id={uuid}
I | upstream_cluster={svc} downstream_remote_address={ipv4}:{port} bytes_received={int} bytes_sent={int} duration={ms}
W | method={method} path={url_path} protocol=HTTP/2 response_code=503 response_flags=UF response_code_details=upstream_reset_before_response_started request_id={uuid}
""")

HAPROXY = templates("""
I {ipv4}:{port} [STAMP] http-in~ {svc}/{svc}-{small} {int}/0/{small}/{int}/{int} {status} {int} - - ---- {int}/{int}/{int}/{small}/0 0/0 "{method} {url_path} HTTP/1.1"
W Server {svc}/{svc}-{small} is DOWN, reason: Layer4 timeout, check duration: {ms}ms. {small} active and 0 backup servers left. {small} sessions active, 0 requeued, 0 remaining in queue.
I Server {svc}/{svc}-{small} is UP, reason: Layer4 check passed, check duration: {ms}ms. {small} active and 0 backup servers online. 0 sessions requeued, 0 total in queue.
E backend {svc} has no server available!
I Proxy {svc} started.
I Proxy {svc} stopped (cumulated conns: FE: {int}, BE: {int}).
I {ipv4}:{port} [STAMP] https-in/1: SSL handshake failure
W Health check for server {svc}/{svc}-{small} failed, reason: Layer7 wrong status, code: {int}, check duration: {ms}ms, status: {small}/3 UP.
""")

DIALECTS = (
    Dialect("nginx_access", access, ACCESS),
    Dialect("nginx_error", nginx_error, NGINX_ERROR),
    Dialect("envoy", envoy, ENVOY),
    Dialect("envoy_access", envoy_access, ENVOY_ACCESS),
    Dialect("haproxy", haproxy, HAPROXY),
)
