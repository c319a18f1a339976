"""What programs in Go, Python and Node print with their usual loggers."""

import json

from tests.corpus.dialects.shape import Dialect, Said, iso, pairs, templates

GO = {"D": "debug", "I": "info", "W": "warning", "E": "error", "F": "fatal"}
PYTHON = {"D": "DEBUG", "I": "INFO", "W": "WARNING", "E": "ERROR", "F": "CRITICAL"}
PINO = {"D": 20, "I": 30, "W": 40, "E": 50, "F": 60}


def logrus(said: Said) -> str:
    return f'time="{iso(said.at, 0)}" level={GO[said.level]} msg={json.dumps(said.text, ensure_ascii=False)}{pairs(said)}'  # fmt: skip


def python(said: Said) -> str:
    stamp = iso(said.at, 3, "", " ").replace(".", ",")
    return f"{stamp} - shop.{said.source('api', 'jobs', 'db')} - {PYTHON[said.level]} - {said.text}"


def celery(said: Said) -> str:
    process = said.source("MainProcess", "ForkPoolWorker-1", "ForkPoolWorker-2")
    return f"[{iso(said.at, 3, '', ' ').replace('.', ',')}: {PYTHON[said.level]}/{process}] {said.text}"


def pino(said: Said) -> str:
    line = {"level": PINO[said.level], "time": int(said.at.timestamp() * 1000), "pid": 1, "hostname": "web", "msg": said.text}  # fmt: skip
    return json.dumps({**line, **said.fields}, separators=(",", ":"), ensure_ascii=False)


LOGRUS = templates("""
I server listening | addr=:8080
I handled request | method={method} path={url_path} status={status} duration={dur} remote={ipv4}:{port}
W request took too long | method={method} path={url_path} duration={dur}
E failed to fetch product {int} from catalog: {err}
E failed to render template "{file}": {err}
I loaded {int} products from {path}
I reloading configuration
I worker {small} started
I worker {small} stopped after {int} jobs
D acquired lock on {word} after {dur}
D released lock on {word}
W dropping message for queue {queue}: buffer full
I shipped order {uuid} to {word}
I charged card for order {uuid}, amount {float}
E charge for order {uuid} declined: {err}
I connected to nats at {ipv4}:4222
W disconnected from nats, reconnecting in {dur}
F could not bind port {port}: address already in use
""")

PYTHON_APP = templates("""
I Booting worker with pid: {pid}
I Listening at: http://0.0.0.0:{port} ({pid})
I Imported {int} rows into {table} in {float} seconds
W Row {int} of {file} skipped: missing column '{word}'
E Could not import {file}: {pyerr}: {err}
I Connection pool for {svc} resized to {small}
I Sent mail to {user}@example.com about invoice {int}
E Sending mail to {user}@example.com failed: {err}
I Job {word} scheduled every {int} seconds
I Job {word} finished in {float}s with {int} results
E Job {word} raised {pyerr}
D cache hit for key {table}:{int}
D cache miss for key {table}:{int}
I Model {word} loaded from {path} ({float} MB)
W Request for {url_path} took {float}s
I Batch {int}/{int} loss={unit} accuracy={unit}
I Uploading {path} to s3://{word}-bucket/{word}
W Token bucket for {ipv4} is empty, {int} requests rejected
I Restarting stale connections: {numbers}
""")

CELERY = templates("""
I Task shop.tasks.send_mail[{uuid}] received
I Task shop.tasks.send_mail[{uuid}] succeeded in {float}s: None
I Task shop.tasks.resize_image[{uuid}] received
I Task shop.tasks.resize_image[{uuid}] succeeded in {float}s: '{path}'
E Task shop.tasks.charge[{uuid}] raised unexpected: {pyerr}('{err}')
W Task shop.tasks.charge[{uuid}] retry: Retry in {int}s: {pyerr}('{err}')
I Connected to amqp://{ipv4}:5672//
E consumer: Cannot connect to amqp://{ipv4}:5672//: {err}. Trying again in {float} seconds... ({small}/100)
I mingle: searching for neighbors
I mingle: sync with {small} nodes
I sync with celery@{word}-{small}
I celery@{word}-{small} ready.
W Substantial drift from celery@{word}-{small} may mean clocks are out of sync. Current drift is {int} seconds.
E Hard time limit (300s) exceeded for shop.tasks.report[{uuid}]
I missed heartbeat from celery@{word}-{small}
""")

PINO_APP = templates("""
I request completed | reqId={hex8} statusCode={status} responseTime={float}
I incoming request | reqId={hex8} method={method} url={url_path}
I server listening at http://{ipv4}:{port}
E failed to parse body of {method} {url_path}: Unexpected token {word} in JSON at position {int}
W user {user} exceeded quota of {int} requests
I user {user} signed in
I user {user} signed out
I session {uuid} created for {user}
I session {uuid} expired
I redis client ready
W redis client reconnecting in {ms} ms
E redis client error: connect ECONNREFUSED {ipv4}:6379
I websocket {uuid} opened by {user}
I websocket {uuid} closed with code {int}
E payment {uuid} rejected by provider {word}: {err}
D rendered page {url_path} in {ms} ms
W deprecated endpoint {url_path} called by {svc}
I graceful shutdown complete
""")

DIALECTS = (
    Dialect("logrus", logrus, LOGRUS),
    Dialect("python", python, PYTHON_APP),
    Dialect("celery", celery, CELERY),
    Dialect("pino", pino, PINO_APP),
)
