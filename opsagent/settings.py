"""Configuration: one YAML file, checked whole before anything starts.

Each part keeps its own frozen configuration next to its use; this file only composes them and says
in plain words what is wrong with a file. An unknown key refuses to start: a typo must not become a
default. Secrets come from files, never from the file itself, and never show in a repr.
"""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opsagent.clients.model_request import WireForm
from opsagent.guard.policy import Level, Policy, VerifyBounds
from opsagent.model.plan import ActionType
from opsagent.model.transcript import Mode
from opsagent.ports import Terminal
from opsagent.responder.budget import Budget


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KubernetesSettings(_Section):
    """Which cluster, as whom. Without ``kubeconfig``: the pod's own service account."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = Field(default=(), description="empty: all namespaces")


class ExecutorSettings(_Section):
    """The identity that writes. Without this section opsagent only suggests."""

    kubeconfig: Path | None = None
    context: str | None = None


class PolicySettings(_Section):
    """What may be done. Every default is the tight one."""

    level: Level = Level.SUGGEST
    namespaces: tuple[str, ...] = Field(default=(), description="where actions may be approved")
    protected_namespaces: tuple[str, ...] = ()
    approval_ttl_seconds: int = Field(default=900, ge=1, le=3600)
    verify_window_seconds: int | None = Field(
        default=None, ge=10, le=3600, description="overrides the runbook's window"
    )
    is_frozen: bool = False
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


class WebhookSettings(_Section):
    """One receiver of signed messages."""

    url: str = Field(pattern=r"^https?://")
    secret_file: Path


class ModelSettings(_Section):
    """A model behind an OpenAI-compatible server. Without this section opsagent works by rules alone."""

    url: str = Field(pattern=r"^https?://", description="the base that ends in /v1")
    name: str = Field(min_length=1, description="the model's name on its server")
    api_key_file: Path | None = None
    wire: WireForm = Field(
        default=WireForm.TEMPLATE,
        description="how the mode is told: template (SGLang, vLLM), vendor (Moonshot), plain (no modes)",
    )
    mode: Mode = Mode.THINKING
    steps_max: int = Field(default=12, ge=1, le=100, description="questions per investigation")
    input_tokens_max: int = Field(default=300_000, ge=10_000)
    output_tokens_max: int = Field(default=48_000, ge=1_000)
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


class ApiSettings(_Section):
    """Where people and the command line reach the daemon. Loopback until there is a login."""

    host: Literal["127.0.0.1", "::1"] = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535, description="0: any free port")


class LeaseSettings(_Section):
    """The Lease that makes one replica the active one."""

    namespace: str = "opsagent"
    name: str = "opsagent"


class Settings(_Section):
    """The whole configuration."""

    cluster: str = "default"
    state_dir: Path = Path("state")
    log_format: Literal["json", "console"] = "json"
    retention_days: int = Field(default=7, ge=1, le=90)
    kubernetes: KubernetesSettings = KubernetesSettings()
    executor: ExecutorSettings | None = None
    policy: PolicySettings = PolicySettings()
    webhook: WebhookSettings | None = None
    model: ModelSettings | None = None
    api: ApiSettings = ApiSettings()
    lease: LeaseSettings = LeaseSettings()

    @model_validator(mode="after")
    def _approvals_need_hands(self) -> Self:
        if self.policy.level is Level.APPROVE and self.executor is None:
            raise ValueError("policy.level is approve, but there is no executor section to act")
        return self


def load(path: Path) -> Settings:
    """Read and check ``path``. Relative paths in it are taken from its folder.

    Raises:
        Terminal: unreadable, no YAML, an unknown key or a bad value; one line a fault.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise Terminal(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Terminal(f"{path} is not valid YAML: {error}") from error
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        faults = "\n".join(
            f"  {'.'.join(str(part) for part in fault['loc']) or '(whole file)'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise Terminal(f"{path}: {error.error_count()} fault(s)\n{faults}") from error
    return _rooted(settings, path.resolve().parent)


def _rooted(settings: Settings, folder: Path) -> Settings:
    def at(path: Path | None) -> Path | None:
        return None if path is None else folder / path

    executor, webhook, model = settings.executor, settings.webhook, settings.model
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
            "model": model and model.model_copy(update={"api_key_file": at(model.api_key_file)}),
        }
    )
