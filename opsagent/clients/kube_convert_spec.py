"""Specs of pods and of pod templates: from ``kube_struct_pod`` to the model's values. See ``kube_convert``."""

from collections.abc import Iterator, Sequence

from opsagent.clients import kube_struct_pod as struct
from opsagent.clients.kube_convert import names, requirements, selector, text, texts, whole
from opsagent.model import kube
from opsagent.model.quick import quick

# Admission puts this volume into every pod, under a name of its own each time, and mounts it there.
# Source: the API server's ServiceAccount admission controller.
TOKEN_VOLUME = "kube-api-access-"  # noqa: S105 - a name
# Likewise. Source: the DefaultTolerationSeconds admission controller.
EVERYBODYS_TOLERATIONS = tuple(
    kube.Toleration(f"node.kubernetes.io/{what}", "Exists", "", "NoExecute", 300)
    for what in ("not-ready", "unreachable")
)
_HANDLERS = (
    ("httpGet", "http_get"),
    ("tcpSocket", "tcp_socket"),
    ("grpc", "grpc"),
    ("exec", "exec"),
)
_BARE_VOLUMES = (("emptyDir", "empty_dir"), ("ephemeral", "ephemeral"), ("nfs", "nfs"), ("downwardAPI", "downward_api"))  # fmt: skip


_PodSpec, _Container, _EnvVar = quick(kube.PodSpec), quick(kube.Container), quick(kube.EnvVar)


def pod_spec(spec: struct.PodSpec) -> kube.PodSpec:
    """Convert everything of a spec that the model keeps, but its containers."""
    affinity = spec.affinity or struct.Affinity()
    node_affinity = affinity.node_affinity or struct.NodeAffinity()
    return _PodSpec(
        service_account=spec.service_account_name or "",
        init_containers=containers(spec.init_containers),
        volumes=tuple(volume for entry in spec.volumes or () for volume in _volumes(entry)),
        image_pull_secrets=names(spec.image_pull_secrets),
        node_selector=texts(spec.node_selector),
        node_terms=node_terms(node_affinity.required),
        pod_affinity=_pod_terms(affinity.pod_affinity),
        pod_anti_affinity=_pod_terms(affinity.pod_anti_affinity),
        tolerations=tuple(_tolerations(spec.tolerations)),
        topology_spread=tuple(_spread(entry) for entry in spec.topology_spread_constraints or ()),
        security=_security(spec.security_context),
        uses_host_network=bool(spec.host_network),
        uses_host_pid=bool(spec.host_pid),
        uses_host_ipc=bool(spec.host_ipc),
        restart_policy=spec.restart_policy or "Always",
        priority_class=spec.priority_class_name or "",
        scheduler=spec.scheduler_name or "",
        runtime_class=spec.runtime_class_name or "",
        dns_policy=spec.dns_policy or "",
    )


def containers(items: Sequence[struct.Container] | None) -> tuple[kube.Container, ...]:
    """Convert containers, in the API's order."""
    return tuple([_container(entry) for entry in items or ()])


def _container(entry: struct.Container) -> kube.Container:
    resources = entry.resources or struct.Resources()
    return _Container(
        entry.name,
        entry.image or "",
        tuple([_env(variable) for variable in entry.env or ()]),
        texts(resources.requests),
        texts(resources.limits),
        _probe(entry.readiness_probe),
        _probe(entry.liveness_probe),
        _probe(entry.startup_probe),
        tuple(_port(port) for port in entry.ports or ()),
        tuple(entry.command or ()),
        tuple(entry.args or ()),
        tuple(_env_from(source) for source in entry.env_from or ()),
        tuple(_mounts(entry.volume_mounts)),
        _security(entry.security_context),
        entry.image_pull_policy or "",
        entry.restart_policy or "",
    )


def _env(variable: struct.EnvVar) -> kube.EnvVar:
    source = variable.value_from
    if source is None:
        return _EnvVar(variable.name, variable.value or "")
    ref = source.secret_key_ref or source.config_map_key_ref
    is_optional = ref is not None and bool(ref.optional)
    return _EnvVar(variable.name, variable.value or "", _env_source(source), is_optional)


def _env_source(source: struct.EnvSource) -> str:
    """Return where a value comes from, e.g. ``secretKeyRef:db/password``; empty if it is from elsewhere."""
    match source:
        case struct.EnvSource(secret_key_ref=struct.KeyRef() as ref):
            return f"secretKeyRef:{ref.name or ''}/{ref.key}"
        case struct.EnvSource(config_map_key_ref=struct.KeyRef() as ref):
            return f"configMapKeyRef:{ref.name or ''}/{ref.key}"
        case struct.EnvSource(field_ref=struct.FieldRef() as field):
            return f"fieldRef:{field.field_path}"
        case struct.EnvSource(resource_field_ref=struct.ResourceRef() as resource):
            return f"resourceFieldRef:{resource.resource}"
        case _:
            return ""


def _env_from(entry: struct.EnvFrom) -> kube.EnvFrom:
    ref = entry.config_map_ref or entry.secret_ref or struct.KeyRef()
    source = "configMapRef" if entry.config_map_ref is not None else "secretRef"
    return kube.EnvFrom(source, ref.name or "", entry.prefix or "", bool(ref.optional))


def _port(port: struct.Port) -> kube.ContainerPort:
    return kube.ContainerPort(
        port.container_port, port.name or "", port.protocol or "TCP", port.host_port or 0
    )


def _mounts(mounts: Sequence[struct.Mount] | None) -> Iterator[kube.VolumeMount]:
    for entry in mounts or ():
        if not entry.name.startswith(TOKEN_VOLUME):
            sub_path = entry.sub_path or entry.sub_path_expr or ""
            yield kube.VolumeMount(entry.name, entry.mount_path, sub_path, bool(entry.read_only))


def _probe(probe: struct.Probe | None) -> kube.Probe | None:
    if probe is None:
        return None
    kinds = [(name, field) for name, field in _HANDLERS if getattr(probe, field) is not None]
    name, found = kinds[0] if kinds else ("", "")
    handler: struct.Handler = getattr(probe, found) if found else struct.Handler()
    return kube.Probe(
        name,
        text(handler.port),
        (handler.scheme or "HTTP") if name == "httpGet" else "",
        handler.path or "",
        handler.host or "",
        tuple(handler.command or ()),
        probe.initial_delay_seconds or 0,
        probe.period_seconds or 10,
        probe.timeout_seconds or 1,
        probe.failure_threshold or 3,
        probe.success_threshold or 1,
    )


def _security(context: struct.Security | None) -> kube.Security | None:
    if context is None:
        return None
    capabilities = context.capabilities or struct.Capabilities()
    return kube.Security(
        context.run_as_user,
        context.run_as_group,
        context.fs_group,
        context.run_as_non_root,
        context.privileged,
        context.allow_privilege_escalation,
        context.read_only_root_filesystem,
        tuple(capabilities.add or ()),
        tuple(capabilities.drop or ()),
        context.seccomp_profile.type if context.seccomp_profile else "",
    )


def _volumes(volume: struct.Volume) -> Iterator[kube.Volume]:
    """Yield a volume, or of a projected one each object that it shows."""
    name = volume.name
    match volume:
        case struct.Volume(persistent_volume_claim=struct.ClaimSource() as claim):
            yield kube.Volume(name, "persistentVolumeClaim", claim.claim_name)
        case struct.Volume(config_map=struct.ConfigMapSource() as source):
            yield kube.Volume(name, "configMap", source.name or "", bool(source.optional))
        case struct.Volume(secret=struct.SecretSource() as secret):
            yield kube.Volume(name, "secret", secret.secret_name or "", bool(secret.optional))
        case struct.Volume(host_path=struct.PathSource() as path):
            yield kube.Volume(name, "hostPath", path.path)
        case struct.Volume(csi=struct.DriverSource() as driver):
            yield kube.Volume(name, "csi", driver.driver)
        case struct.Volume(projected=struct.Projected() as projected):
            if not name.startswith(TOKEN_VOLUME):
                yield from _projected(name, projected)
        case _:
            kinds = [word for word, field in _BARE_VOLUMES if getattr(volume, field) is not None]
            yield kube.Volume(name, kinds[0] if kinds else "")


def _projected(name: str, projected: struct.Projected) -> Iterator[kube.Volume]:
    for each in projected.sources or ():
        for type_, source in (("configMap", each.config_map), ("secret", each.secret)):
            if source is not None:
                yield kube.Volume(name, type_, source.name or "", bool(source.optional))


def node_terms(required: struct.NodeSelector | None) -> tuple[kube.NodeTerm, ...]:
    """Convert the terms of a node selector, any of which is enough."""
    terms = (required and required.node_selector_terms) or ()
    return tuple(
        kube.NodeTerm(requirements(term.match_expressions), requirements(term.match_fields))
        for term in terms
    )


def _pod_terms(affinity: struct.PodAffinity | None) -> tuple[kube.PodTerm, ...]:
    return tuple(
        kube.PodTerm(
            term.topology_key,
            selector(term.label_selector),
            tuple(term.namespaces or ()),
            selector(term.namespace_selector),
        )
        for term in (affinity and affinity.required) or ()
    )


def _tolerations(items: Sequence[struct.Toleration] | None) -> Iterator[kube.Toleration]:
    for entry in items or ():
        found = kube.Toleration(
            entry.key or "",
            entry.operator or "Equal",
            entry.value or "",
            entry.effect or "",
            entry.toleration_seconds,
        )
        if found not in EVERYBODYS_TOLERATIONS:
            yield found


def _spread(entry: struct.TopologySpread) -> kube.TopologySpread:
    return kube.TopologySpread(
        entry.topology_key,
        entry.max_skew,
        entry.when_unsatisfiable,
        selector(entry.label_selector),
        whole(entry.min_domains, 1),
    )
