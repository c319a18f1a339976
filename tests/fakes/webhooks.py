"""Webhook bodies of Alertmanager, version 4, as a test wants them."""

import json
from typing import Any

ZERO = "0001-01-01T00:00:00Z"


def told(status: str = "firing", /, **labels: str) -> dict[str, Any]:
    """Return one alert of a body."""
    named = {"alertname": "KubePodCrashLooping", "namespace": "shop", "severity": "warning"}
    return {
        "status": status,
        "labels": named | labels,
        "annotations": {"summary": "Pod is crash looping.", "runbook_url": "https://runbooks/x"},
        "startsAt": "2026-01-05T00:00:50.123456789Z",
        "endsAt": ZERO if status == "firing" else "2026-01-05T00:02:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "0123456789abcdef",
    }


def body(*alerts: dict[str, Any], **changes: Any) -> bytes:
    """Return a body that holds ``alerts``."""
    whole = {
        "receiver": "opsagent",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": '{}:{alertname="x"}',
        "truncatedAlerts": 0,
    }
    return json.dumps(whole | changes).encode()
