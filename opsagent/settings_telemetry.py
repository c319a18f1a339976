"""The sections of the configuration that name a server of telemetry: metrics, archived logs, archived traces."""

import re
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from opsagent.clients.archive_query import (
    USUAL_FIELDS,
    Address,
    LogArchiveKind,
    LogFields,
    account_and_project,
    check_labels,
)
from opsagent.ports import Terminal

_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|\[::1\]|localhost)(?:[:/]|$)")
_URL = r"^https?://[^/?#\s]"
# Source: what Loki and Tempo take for a tenant's name, several joined by |; VictoriaLogs joins numbers by a colon.
_TENANT = r"^[A-Za-z0-9!._*'()|:-]{0,150}$"


class Section(BaseModel):
    """A part of the configuration: frozen, and an unknown key in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TelemetrySettings(Section):
    """One server that is only read."""

    url: str = Field(pattern=_URL, description="base of the API")
    token_file: Path | None = Field(
        default=None, description="file with a bearer token, if it wants one; read for each request"
    )
    ca_file: Path | None = Field(
        default=None, description="file with the authority of its certificate, if that is private"
    )

    @model_validator(mode="after")
    def _tokens_travel_encrypted(self) -> Self:
        is_open = self.url.startswith("http://") and not _LOOPBACK.match(self.url)
        if self.token_file is not None and is_open:
            raise ValueError("a token over plain http would be readable on the way: use https")
        return self

    def rooted(self, folder: Path) -> Self:
        """Return the section with the paths in it taken from ``folder``."""
        paths = {"token_file": self.token_file, "ca_file": self.ca_file}
        return self.model_copy(
            update={name: path and folder / path for name, path in paths.items()}
        )


class MetricsSettings(TelemetrySettings):
    """A Prometheus, or what speaks its API: a second witness for verification. Without it there is one witness less."""

    url: str = Field(pattern=_URL, description="base of the API, what stands before /api/v1")
    scrape_seconds: float = Field(
        default=30,
        ge=1,
        le=300,
        description="the longest time between two scrapes of kube-state-metrics",
    )
    follow: bool = Field(
        default=True,
        description="whether named sets of series are followed and summed up each ten minutes",
    )
    retention_days: int = Field(
        default=30,
        ge=1,
        le=400,
        description="how long these sums are kept; some 7 MiB a day for 5,000 series",
    )


class LogArchiveSettings(TelemetrySettings):
    """Where a collector brings logs. Without it the model sees those that the cluster still has."""

    kind: LogArchiveKind = Field(description="whose API it speaks: loki or victorialogs")
    url: str = Field(
        pattern=_URL, description="base of the API, what stands before /loki or /select"
    )
    tenant: str = Field(
        default="",
        pattern=_TENANT,
        description="whose logs, if it has several tenants; of VictoriaLogs account:project",
    )
    namespace_field: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="what the collector calls a pod's namespace; by default `namespace` in Loki, `kubernetes.pod_namespace` in VictoriaLogs",
    )
    pod_field: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="what it calls the pod; by default `pod` in Loki, `kubernetes.pod_name` in VictoriaLogs",
    )
    container_field: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="what it calls the container; by default `container` in Loki, `kubernetes.container_name` in VictoriaLogs",
    )

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        try:
            if self.kind is LogArchiveKind.LOKI:
                check_labels(self.fields())
            elif self.tenant:
                account_and_project(self.tenant)
        except Terminal as error:
            raise ValueError(str(error)) from error
        return self

    def address(self) -> Address:
        """Return where it is and how one is let in."""
        return Address(self.url, self.tenant, self.token_file, self.ca_file)

    def fields(self) -> LogFields:
        """Return the names of the fields, the usual ones where none is given."""
        usual = USUAL_FIELDS[self.kind]
        return LogFields(
            self.namespace_field or usual.namespace,
            self.pod_field or usual.pod,
            self.container_field or usual.container,
        )


class TraceArchiveSettings(TelemetrySettings):
    """A Tempo. Without it the model sees no traces, and nobody knows who calls whom."""

    url: str = Field(pattern=_URL, description="base of the API, what stands before /api")
    tenant: str = Field(
        default="", pattern=_TENANT, description="whose traces, if it has several tenants"
    )
    follow: bool = Field(
        default=True,
        description="whether it is learnt from recent traces which workload calls which",
    )

    def address(self) -> Address:
        """Return where it is and how one is let in."""
        return Address(self.url, self.tenant, self.token_file, self.ca_file)
