"""The daemon on the real world: system clock, real cluster, real receivers, until a signal.

Opens everything outside that the configuration names, in the order in which it is closed backwards.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import structlog

from opsagent.app import Daemon
from opsagent.clients.kube_transport import connect
from opsagent.clients.log_archive import open_log_archive
from opsagent.clients.model import Bounds, connect_model
from opsagent.clients.model_served import ModelServerClient
from opsagent.clients.tempo import TempoArchive
from opsagent.clients.webhook import WebhookClient
from opsagent.notify.webhook import WebhookNotifier
from opsagent.ports import Clock, Terminal
from opsagent.runtime.clock import SystemClock
from opsagent.runtime.collection import settle
from opsagent.runtime.ids import SecureIds
from opsagent.runtime.retry import SystemChance
from opsagent.runtime.schedule import ApschedulerSchedule
from opsagent.runtime.telemetry import configure
from opsagent.settings import Settings
from opsagent.signals.redaction import redact_text
from opsagent.world import World

log = structlog.get_logger(__name__)


def run_daemon(settings: Settings, announce: Callable[[str], None] | None = None) -> None:
    """Run on the real world until SIGTERM or SIGINT; ``announce`` as in :class:`World`."""
    clock = SystemClock()
    configure(clock, redact_text, is_json=settings.log_format == "json")
    settle()
    with asyncio.Runner() as runner:
        runner.run(_run_until_signal(settings, clock, announce))


async def _run_until_signal(
    settings: Settings, clock: Clock, announce: Callable[[str], None] | None
) -> None:
    async with AsyncExitStack() as stack:
        world = replace(await _real_world(settings, clock, stack), announce=announce)
        daemon = Daemon(settings, world)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(daemon.run(), name="daemon")
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, running.cancel)
    log.info("daemon.stopped")


async def _real_world(settings: Settings, clock: Clock, stack: AsyncExitStack) -> World:
    kubernetes, executor = settings.kubernetes, settings.executor
    cluster = await connect(kubernetes.kubeconfig, kubernetes.context)
    stack.push_async_callback(cluster.aclose)
    hands = None
    if executor is not None:
        hands = await connect(executor.kubeconfig, executor.context)
        stack.push_async_callback(hands.aclose)
    notifier = None
    if settings.webhook is not None:
        client = WebhookClient(settings.webhook.url, _secret(settings.webhook.secret_file))
        stack.push_async_callback(client.aclose)
        notifier = WebhookNotifier("webhook", client, clock)
    model = server = None
    if (asked := settings.model) is not None:
        key = "" if asked.api_key_file is None else _secret(asked.api_key_file)
        bounds = Bounds(asked.idle_seconds_max)
        opened = connect_model(asked.url, asked.name, key, asked.wire, bounds)
        model = await stack.enter_async_context(opened)
        server = ModelServerClient(asked.url, key)
        stack.push_async_callback(server.aclose)
    metrics = series = None
    if (section := settings.metrics) is not None:
        # Loaded only where it is used: with the library that it wraps it costs 0.2 CPU s and 20 MiB.
        from opsagent.clients.download import Place  # noqa: PLC0415
        from opsagent.clients.prometheus import PrometheusSource  # noqa: PLC0415 - only where metrics are configured
        from opsagent.clients.prometheus_series import PrometheusSeries  # noqa: PLC0415

        metrics = PrometheusSource(
            section.url, clock, token_file=section.token_file, ca_file=section.ca_file
        )
        stack.push_async_callback(metrics.aclose)
        if section.follow:
            place = Place("metrics", section.url, section.token_file, section.ca_file)
            series = PrometheusSeries(place, namespaces=settings.kubernetes.namespaces)
            stack.push_async_callback(series.aclose)
    logs = traces = None
    if (archive := settings.log_archive) is not None:
        logs = open_log_archive(archive.kind, archive.address(), archive.fields())
        stack.push_async_callback(logs.aclose)
    if (tempo := settings.trace_archive) is not None:
        traces = TempoArchive(tempo.address())
        stack.push_async_callback(traces.aclose)
    alertmanager = settings.alertmanager
    return World(
        clock=clock,
        chance=SystemChance(),
        ids=SecureIds(),
        schedule=ApschedulerSchedule,
        cluster=cluster,
        hands=hands,
        notifier=notifier,
        model=model,
        model_server=server,
        metrics=metrics,
        series=series,
        log_archive=logs,
        trace_archive=traces,
        alertmanager_token="" if alertmanager is None else _secret(alertmanager.token_file),
    )


def _secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no text"
        raise Terminal(f"cannot read the secret in {path}: {why}") from None
