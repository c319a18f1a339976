"""Configuration: one YAML file, checked whole before anything starts.

Each part keeps its own frozen configuration next to its use; this file only composes them and says
in plain words what is wrong with a file. An unknown key refuses to start: a typo must not become a
default. Secrets come from files, never from the file itself, and never show in a repr.
"""

from collections.abc import Hashable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, TypeGuard, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from opsagent.clients.model_request import WireForm
from opsagent.guard.policy import Level, Policy, VerifyBounds
from opsagent.model.plan import ActionType
from opsagent.model.transcript import Mode
from opsagent.ports import Terminal
from opsagent.responder.budget import Budget
from opsagent.settings_telemetry import (
    LogArchiveSettings,
    MetricsSettings,
    Section,
    TraceArchiveSettings,
)

LEVELS = "what opsagent may do: observe, suggest, or act after an approval"


class KubernetesSettings(Section):
    """Which cluster, as whom. Without ``kubeconfig``: the pod's own service account."""

    kubeconfig: Path | None = Field(
        default=None, description="kubeconfig file; without it the pod's own service account"
    )
    context: str | None = Field(
        default=None, description="context of the kubeconfig; without it its current one"
    )
    namespaces: tuple[str, ...] = Field(
        default=(), description="namespaces to watch; none means all of them"
    )


class LogsSettings(Section):
    """Whose logs are followed, and how much of them is kept, without secrets and compressed."""

    streams_max: int = Field(
        default=200,
        ge=0,
        le=2000,
        description="containers followed at once, each by a connection to the API server; 0 follows none",
    )
    namespaces: tuple[str, ...] = Field(
        default=(), description="namespaces to follow; none means all that are watched"
    )
    retention_days: int = Field(default=7, ge=1, le=90, description="how long log lines are kept")
    retention_bytes_max: int = Field(
        default=2_147_483_648,
        ge=16_777_216,
        description="on disk, of all days together; the oldest days go first, today's never",
    )


class ExecutorSettings(Section):
    """The identity that writes. Without this section opsagent only suggests."""

    kubeconfig: Path | None = Field(
        default=None, description="kubeconfig file; without it the pod's own service account"
    )
    context: str | None = Field(
        default=None, description="context of the kubeconfig; without it its current one"
    )


class PolicySettings(Section):
    """What may be done. Every default is the tight one."""

    level: Level = Field(default=Level.SUGGEST, description=LEVELS)
    namespaces: tuple[str, ...] = Field(
        default=(), description="namespaces in which actions may be approved; none means nowhere"
    )
    protected_namespaces: tuple[str, ...] = Field(
        default=(), description="namespaces that are never touched, whatever else is written here"
    )
    approval_ttl_seconds: int = Field(
        default=900,
        ge=1,
        le=3600,
        description="how long a plan waits for a person; then it expires",
    )
    verify_window_seconds: int | None = Field(
        default=None,
        ge=10,
        le=3600,
        description="how long a change is watched before it counts as verified; overrides the runbook",
    )
    is_frozen: bool = Field(default=False, description="a freeze: every action is refused")
    agents: tuple[str, ...] = Field(
        default=(
            "system:serviceaccount:opsagent:opsagent",
            "system:serviceaccount:opsagent:opsagent-executor",
        ),
        description="opsagent's own identities, which never approve",
    )

    def policy(self, own_namespace: str) -> Policy:
        """Compose the guard's policy. The catalogue is what it may do, where ``namespaces`` says."""
        tight = Policy()
        seconds = self.verify_window_seconds
        verify = tight.verify
        if seconds is not None:
            verify = VerifyBounds(
                window_seconds_min=min(seconds, verify.window_seconds_min),
                window_seconds_max=max(seconds, verify.window_seconds_max),
            )
        return Policy(
            level=self.level,
            actions=tuple(ActionType),
            namespaces=self.namespaces,
            protected_namespaces=self.protected_namespaces,
            own_namespace=own_namespace,
            approval_ttl_seconds=self.approval_ttl_seconds,
            verify=verify,
            is_frozen=self.is_frozen,
        )


class WebhookSettings(Section):
    """One receiver of signed messages."""

    url: str = Field(pattern=r"^https?://", description="where messages are posted")
    secret_file: Path = Field(
        description="file with the signing secret (Standard Webhooks, base64, may begin with whsec_)"
    )


class AlertmanagerSettings(Section):
    """Who may report alerts to /v1/alertmanager. Without this section nobody may."""

    token_file: Path = Field(description="file with the bearer token that Alertmanager sends")


class ModelSettings(Section):
    """A model behind an OpenAI-compatible server. Without this section opsagent works by rules alone."""

    url: str = Field(pattern=r"^https?://", description="the base that ends in /v1")
    name: str = Field(min_length=1, description="the model's name on its server")
    api_key_file: Path | None = Field(
        default=None, description="file with the server's API key, if it wants one"
    )
    wire: WireForm = Field(
        default=WireForm.TEMPLATE,
        description="how the mode is told: template (SGLang, vLLM), vendor (Moonshot), plain (no modes)",
    )
    mode: Mode = Field(
        default=Mode.THINKING, description="how an investigation thinks: thinking or instant"
    )
    steps_max: int = Field(default=12, ge=1, le=100, description="questions per investigation")
    input_tokens_max: int = Field(
        default=300_000, ge=10_000, description="of all questions of one investigation together"
    )
    output_tokens_max: int = Field(
        default=48_000, ge=1_000, description="of all answers of one investigation together"
    )
    turn_tokens_max: int = Field(
        default=16_384, ge=256, description="of one answer; a thinking model needs 16K and more"
    )
    seconds_max: float = Field(default=300, ge=1, le=3600, description="of one investigation")
    call_seconds_max: float = Field(
        default=120, ge=1, le=3600, description="of one question: queue, prefill and answer"
    )
    idle_seconds_max: float = Field(default=30, ge=1, le=600, description="of silence in an answer")

    def budget(self) -> Budget:
        """Return the bounds of one investigation."""
        return Budget(
            steps_max=self.steps_max,
            input_tokens_max=self.input_tokens_max,
            output_tokens_max=self.output_tokens_max,
            seconds_max=self.seconds_max,
            call_seconds_max=self.call_seconds_max,
            turn_tokens_max=self.turn_tokens_max,
        )


class ApiSettings(Section):
    """Where people and the command line reach the daemon. Loopback until there is a login."""

    host: Literal["127.0.0.1", "::1"] = Field(
        default="127.0.0.1", description="loopback address to listen on"
    )
    port: int = Field(
        default=0, ge=0, le=65535, description="port to listen on; 0 takes any free one"
    )


class LeaseSettings(Section):
    """The Lease that makes one replica the active one."""

    namespace: str = Field(
        default="opsagent", description="namespace of the Lease, which is also opsagent's own"
    )
    name: str = Field(default="opsagent", description="name of the Lease; one for each cluster")


class Settings(Section):
    """The whole configuration."""

    cluster: str = Field(default="default", description="what people call this cluster")
    state_dir: Path = Field(
        default=Path("state"), description="folder of the daemon's state, its user's alone"
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="how the log on stderr is written"
    )
    retention_days: int = Field(
        default=7, ge=1, le=90, description="how long observations are kept; conclusions stay"
    )
    kubernetes: KubernetesSettings = KubernetesSettings()
    logs: LogsSettings = LogsSettings()
    executor: ExecutorSettings | None = None
    policy: PolicySettings = PolicySettings()
    webhook: WebhookSettings | None = None
    metrics: MetricsSettings | None = None
    log_archive: LogArchiveSettings | None = None
    trace_archive: TraceArchiveSettings | None = None
    alertmanager: AlertmanagerSettings | None = None
    model: ModelSettings | None = None
    api: ApiSettings = ApiSettings()
    lease: LeaseSettings = LeaseSettings()

    @model_validator(mode="after")
    def _approvals_need_hands(self) -> Self:
        if self.policy.level is Level.APPROVE and self.executor is None:
            raise ValueError("policy.level is approve, but there is no executor section to act")
        return self

    @model_validator(mode="after")
    def _windows_hold_scrapes(self) -> Self:
        """Two scrapes have to lie in the first two thirds of a window, wherever they fall."""
        window, metrics = self.policy.verify_window_seconds, self.metrics
        if window is not None and metrics is not None and window < 3 * metrics.scrape_seconds:
            raise ValueError(
                "policy.verify_window_seconds is shorter than three times metrics.scrape_seconds: "
                "no change could be verified"
            )
        return self


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: one of the two would be lost in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Build a mapping, or say which key stands twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {name} stands twice", problem_mark=key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def keys(section: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key that is no section, dotted, in the order of the file, with what it may be."""
    for name, field in section.model_fields.items():
        inner = [
            kind for kind in (field.annotation, *get_args(field.annotation)) if _is_section(kind)
        ]
        if inner:
            yield from keys(inner[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _is_section(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def load(path: Path) -> Settings:
    """Read and check ``path``. Relative paths in it are taken from its folder.

    Raises:
        Terminal: unreadable, no YAML, an unknown key or a bad value; one line a fault.
    """
    try:
        with path.open(encoding="utf-8") as file:
            tree = yaml.load(file, _Loader) or {}  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise Terminal(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:  # also a date that there is not, or bytes
        raise Terminal(f"{path} is not valid YAML: {error}") from error
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        faults = "\n".join(f"  {_fault(fault)}" for fault in error.errors())
        raise Terminal(f"{path}: {error.error_count()} fault(s)\n{faults}") from error
    return _rooted(settings, path.resolve().parent)


def _fault(fault: ErrorDetails) -> str:
    """Return one fault as ``key: what is wrong``, with the key that was perhaps meant."""
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] != "extra_forbidden":
        is_no_mapping = fault["type"] == "model_type"
        said = "must hold keys and values" if is_no_mapping else fault["msg"]
        return f"{place or '(whole file)'}: {said}"
    known = {key.rpartition(".")[0] for key, _ in keys()} | {key for key, _ in keys()}
    meant = get_close_matches(place, known - {""}, n=1)
    return f"{place}: unknown key" + (f"; did you mean {meant[0]}?" if meant else "")


def _rooted(settings: Settings, folder: Path) -> Settings:
    def at(path: Path | None) -> Path | None:
        return None if path is None else folder / path

    executor, webhook, model = settings.executor, settings.webhook, settings.model
    alertmanager = settings.alertmanager
    telemetry = {
        "metrics": settings.metrics,
        "log_archive": settings.log_archive,
        "trace_archive": settings.trace_archive,
    }
    return settings.model_copy(
        update={
            "state_dir": folder / settings.state_dir,
            "kubernetes": settings.kubernetes.model_copy(
                update={"kubeconfig": at(settings.kubernetes.kubeconfig)}
            ),
            "executor": executor
            and executor.model_copy(update={"kubeconfig": at(executor.kubeconfig)}),
            "webhook": webhook
            and webhook.model_copy(update={"secret_file": folder / webhook.secret_file}),
            **{name: each and each.rooted(folder) for name, each in telemetry.items()},
            "alertmanager": alertmanager
            and alertmanager.model_copy(update={"token_file": folder / alertmanager.token_file}),
            "model": model and model.model_copy(update={"api_key_file": at(model.api_key_file)}),
        }
    )
