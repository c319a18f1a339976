"""How Prometheus and its neighbours are set, and why so. Everything listens on loopback only."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tests.lab.options import MANIFESTS, Options

INTERVAL = "5s"  # between scrapes, and between evaluations: what a test waits for
RETENTION = "400d"  # room for a past that is written by hand
SWITCHES = (
    "--web.enable-lifecycle",  # reload by POST
    "--web.enable-admin-api",  # delete series by POST
    "--web.enable-remote-write-receiver",
)


def prometheus_flags(state: Path, assets: Path, address: str) -> Options:
    return {
        "config.file": state / "prometheus.yml",
        "storage.tsdb.path": state / "prometheus",
        "storage.tsdb.retention.time": RETENTION,
        "web.listen-address": address,
        "web.external-url": f"http://{address}",  # in links, instead of the machine's name
        "web.local-assets": assets,
        "log.level": "warn",
        # An alert that fires before Alertmanager is found is lost; by default it is sent again after a minute.
        "rules.alert.resend-delay": INTERVAL,
    }


def alertmanager_flags(state: Path, address: str) -> Options:
    return {
        "config.file": state / "alertmanager.yml",
        "storage.path": state / "alertmanager",
        "web.listen-address": address,
        "web.external-url": f"http://{address}",  # in links, instead of the machine's name
        "cluster.listen-address": "",  # there is one
        "log.level": "warn",
    }


def state_metrics_flags(state: Path, port: int, own_port: int) -> Options:
    return {
        "kubeconfig": state / "kubeconfig" / "admin",
        "host": "127.0.0.1",
        "port": port,
        "telemetry-host": "127.0.0.1",
        "telemetry-port": own_port,
    }


def prometheus(state: Path, urls: Mapping[str, str]) -> Options:
    """Return the content of its file. ``urls``: job -> where it serves."""
    addresses = {job: urlsplit(url).netloc for job, url in urls.items()}
    jobs = [
        {"job_name": job, "honor_labels": True, "static_configs": [_target(job, address)]}
        for job, address in addresses.items()
    ]
    # Not /metrics/resource: it has cAdvisor's series a second time.
    jobs += [_kubelet_job(state, path) for path in ("/metrics", "/metrics/cadvisor")]
    alertmanager = {"static_configs": [{"targets": [addresses["alertmanager"]]}]}
    return {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(MANIFESTS / "rules.yaml")],
        "alerting": {"alertmanagers": [alertmanager]},
        "scrape_configs": jobs,
    }


def _target(job: str, address: str) -> Options:
    labels = {"node": "real-1"} if job == "node-exporter" else {}  # it measures the same machine
    return {"targets": [address], "labels": labels}


def _kubelet_job(state: Path, path: str) -> Options:
    keys = state / "pki"
    return {
        "job_name": f"kubelet{path}",
        "scheme": "https",
        "metrics_path": path,
        "honor_timestamps": False,  # cAdvisor's are up to 15 s old, and a container that is gone would linger
        "tls_config": {
            "cert_file": str(keys / "kubelet-client.crt"),
            "key_file": str(keys / "kubelet-client.key"),
            "insecure_skip_verify": True,  # the kubelet signs its own
        },
        "file_sd_configs": [{"files": [str(state / "kubelets.json")]}],
        "relabel_configs": [
            {"target_label": "job", "replacement": "kubelet"},
            {"source_labels": ["__metrics_path__"], "target_label": "metrics_path"},
        ],
    }


def alertmanager(webhook: str) -> Options:
    """Return the content of its file. An empty ``webhook`` means that nobody is told."""
    receiver: Options = {"name": "webhook"}
    if webhook:
        receiver["webhook_configs"] = [{"url": webhook, "send_resolved": True}]
    route = {
        "receiver": "webhook",
        "group_by": ["alertname", "namespace"],
        "group_wait": "1s",
        "group_interval": "5s",
        "repeat_interval": "1h",
    }
    return {"route": route, "receivers": [receiver]}
