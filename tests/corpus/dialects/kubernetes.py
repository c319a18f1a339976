"""What the parts of a cluster print."""

import json

from tests.corpus.dialects.shape import Dialect, Said, iso, pairs, quoted_pairs, templates

SOURCES = {"kubelet": ("kubelet.go", "kuberuntime_manager.go", "reconciler_common.go", "prober.go"), "scheduler": ("schedule_one.go", "eventhandlers.go", "reflector.go")}  # fmt: skip


def klog(program: str, *, is_structured: bool):
    def header(said: Said) -> str:
        source = said.source(*SOURCES[program])
        head = f"{said.level}{said.at:%m%d %H:%M:%S.%f} {1:7d} {source}:{said.rng.randrange(90, 2400)}] "
        return head + (json.dumps(said.text) if is_structured else said.text) + quoted_pairs(said)

    return header


def zap_json(said: Said) -> str:
    level = {"W": "warn"}.get(said.level) or {"D": "debug", "I": "info", "E": "error", "F": "fatal"}[said.level]  # fmt: skip
    line = {"level": level, "ts": iso(said.at, 6), "caller": f"etcdserver/server.go:{said.rng.randrange(90, 2400)}", "msg": said.text}  # fmt: skip
    return json.dumps({**line, **said.fields}, separators=(",", ":"), ensure_ascii=False)


def containerd(said: Said) -> str:
    level = {"W": "warning", "I": "info", "E": "error", "D": "debug", "F": "fatal"}[said.level]
    return f'time="{iso(said.at, 9)}" level={level} msg={json.dumps(said.text, ensure_ascii=False)}' + pairs(said)  # fmt: skip


def coredns(said: Said) -> str:
    level = {"I": "INFO", "W": "WARNING", "E": "ERROR", "D": "DEBUG"}[said.level]
    return f"[{level}] {said.text}"


def cilium(said: Said) -> str:
    level = {"W": "warning", "I": "info", "E": "error", "D": "debug"}[said.level]
    return f"level={level} msg={json.dumps(said.text, ensure_ascii=False)}{pairs(said)} subsys={said.source('endpoint', 'daemon', 'agent')}"  # fmt: skip


KUBELET = templates("""
I SyncLoop ADD | source=api pods={ns}/{pod}
I SyncLoop UPDATE | source=api pods={ns}/{pod}
I SyncLoop DELETE | source=api pods={ns}/{pod}
I SyncLoop REMOVE | source=api pods={ns}/{pod}
I SyncLoop (PLEG): event for pod | pod={ns}/{pod} event={"ID":"{uuid}","Type":"ContainerStarted","Data":"{hex64}"}
I SyncLoop (probe) | probe=readiness status=ready pod={ns}/{pod}
I operationExecutor.VerifyControllerAttachedVolume started for volume "kube-api-access-{suffix}" (UniqueName: "kubernetes.io/projected/{uuid}-kube-api-access-{suffix}") pod "{pod}" (UID: "{uuid}") | pod={ns}/{pod}
I operationExecutor.UnmountVolume started for volume "config-{word}" (UniqueName: "kubernetes.io/configmap/{uuid}-config") pod "{uuid}" (UID: "{uuid}")
I MountVolume.SetUp succeeded for volume "kube-api-access-{suffix}" (UniqueName: "kubernetes.io/projected/{uuid}-kube-api-access-{suffix}") pod "{pod}" (UID: "{uuid}") | pod={ns}/{pod}
I UnmountVolume.TearDown succeeded for volume "kubernetes.io/secret/{uuid}-tls" (OuterVolumeSpecName: "tls") pod "{uuid}" (UID: "{uuid}"). InnerVolumeSpecName "tls". PluginName "kubernetes.io/secret", VolumeGIDValue ""
I Observed pod startup duration | pod={ns}/{pod} podStartSLOduration={float} pullDuration={dur}
I Killing container with a grace period | pod={ns}/{pod} podUID={uuid} containerName={svc} containerID=containerd://{hex64} gracePeriod=30
I Container is terminated | pod={ns}/{pod} containerName={svc} exitCode={small}
I Probe failed | probeType=Readiness pod={ns}/{pod} podUID={uuid} containerName={svc} probeResult=failure output=Get "http://{ipv4}:8080/healthz": {err}
E Error syncing pod, skipping | err=failed to "StartContainer" for "{svc}" with CrashLoopBackOff: "back-off 5m0s restarting failed container={svc} pod={pod}_{ns}({uuid})" pod={ns}/{pod} podUID={uuid}
E Failed to update lock on lease | err={err} node={node}
I Image garbage collection succeeded
I Successfully registered node | node={node}
W Failed to process watch event {"EventType":0,"Name":"/kubepods/burstable/pod{uuid}/{hex64}","WatchSource":0}: task {hex64} not found: not found
I RemoveContainer | containerID={hex64}
E ContainerStatus from runtime service failed | err=rpc error: code = NotFound desc = an error occurred when try to find container "{hex64}": not found containerID={hex64}
""")

SCHEDULER = templates("""
I Successfully bound pod to node | pod={ns}/{pod} node={node} evaluatedNodes={small} feasibleNodes={small}
I Unable to schedule pod; no fit; waiting | pod={ns}/{pod} err=0/{small} nodes are available: {small} Insufficient memory.
I Add event for unscheduled pod | pod={ns}/{pod}
I Delete event for scheduled pod | pod={ns}/{pod}
I Attempting to schedule pod | pod={ns}/{pod}
I Updated node | node={node} resourceVersion={big}
I Watch close - {class} total {int} items received
W watch of {class} ended with: too old resource version: {big} ({big})
E Failed to watch {class}: failed to list {class}: {err}
I Starting reflector {class} ({dur}) from pkg/client/informers/factory.go:{int}
I Caches populated for {class} from pkg/client/informers/factory.go:{int}
E error retrieving resource lock {ns}/kube-scheduler: {err}
I successfully acquired lease {ns}/kube-scheduler
F leaderelection lost
I Trace[{big}]: "List etcd3" key:/pods,limit:{int} (total time: {ms}ms)
W error looking for in-tree volume plugin {word}: {err}
""")

ETCD = templates("""
I compacted Raft logs | compact-index={big}
I saved snapshot to disk | snapshot-index={big}
I finished scheduled compaction | compact-revision={big} took={dur} hash={big} current-db-size-bytes={big}
I starting snapshot | local-member-id={hex16} local-member-applied-index={big}
W apply request took too long | took={dur} expected-duration=100ms prefix=read-only range request=key:"/registry/pods/{ns}/{pod}" response=range_response_count:{small} size:{int}
W slow fdatasync | took={dur} expected-duration=1s
W waiting for ReadIndex response took too long, retrying | sent-request-id={big} retry-timeout=500ms
W failed to reach the peer URL | address=https://{ipv4}:2380/version remote-member-id={hex16} error={err}
W prober detected unhealthy status | round-tripper-name=ROUND_TRIPPER_RAFT_MESSAGE remote-peer-id={hex16} rtt=0s error={err}
I {hex16} is starting a new election at term {small}
I {hex16} became pre-candidate at term {small}
I {hex16} became leader at term {small}
I {hex16} received MsgVoteResp from {hex16} at term {small}
I raft.node: {hex16} elected leader {hex16} at term {small}
I raft.node: {hex16} lost leader {hex16} at term {small}
W lost TCP streaming connection with remote peer | stream-reader-type=stream MsgApp v2 local-member-id={hex16} remote-peer-id={hex16} error={err}
E alarm raised | alarm=NOSPACE raised-by={hex16}
""")

CONTAINERD = templates("""
I StartContainer for "{hex64}" returns successfully
I CreateContainer within sandbox "{hex64}" for container &ContainerMetadata{Name:{svc},Attempt:{small},}
I CreateContainer within sandbox "{hex64}" for &ContainerMetadata{Name:{svc},Attempt:{small},} returns container id "{hex64}"
I StopContainer for "{hex64}" with timeout 30 (s)
I Stop container "{hex64}" with signal terminated
I RunPodSandbox for &PodSandboxMetadata{Name:{pod},Uid:{uuid},Namespace:{ns},Attempt:0,} returns sandbox id "{hex64}"
I StopPodSandbox for "{hex64}"
I TearDown network for sandbox "{hex64}" successfully
I PullImage "{image}"
I PullImage "{image}" returns image reference "sha256:{hex64}"
I ImageCreate event name:"{image}" labels:{key:"io.cri-containerd.image" value:"managed"}
I shim disconnected | id={hex64} namespace=k8s.io
W cleaning up after shim disconnected | id={hex64} namespace=k8s.io
I RemoveContainer for "{hex64}" returns successfully
E ExecSync for "{hex64}" failed | error=rpc error: code = DeadlineExceeded desc = failed to exec in container: timeout 1s exceeded
E PullImage "{image}" failed | error=failed to resolve reference "{image}": {err}
I received exit event | container_id={hex64} id={hex64} pid={pid} exit_status={small}
""")

COREDNS = templates("""
I {ipv4}:{port} - {pid} "A IN {host}. udp {int} false 512" NOERROR qr,aa,rd {int} {unit}s
I {ipv4}:{port} - {pid} "AAAA IN {host}. udp {int} false 512" NXDOMAIN qr,aa,rd {int} {unit}s
E plugin/errors: 2 {host}. A: read udp {ipv4}:{port}->{ipv4}:53: i/o timeout
E plugin/errors: 2 {big}.{big}. HINFO: dial udp {ipv4}:53: connect: network is unreachable
I plugin/reload: Running configuration SHA512 = {hex64}
I plugin/health: Going into lameduck mode for 5s
W plugin/kubernetes: starting server with unsynced Kubernetes API
W plugin/health: Local health request to "http://:8080/health" took more than 1s: {dur}
I plugin/ready: Still waiting on: "kubernetes"
I Reloading complete
I Shutting down main server
""")

CILIUM = templates("""
I Create endpoint request | containerID={hex64} endpointID={int} k8sPodName={ns}/{pod} ipv4={ipv4}
I New endpoint | containerID={hex12} endpointID={int} ipv4={ipv4} k8sPodName={ns}/{pod}
I Successful endpoint creation | containerID={hex12} endpointID={int} identity={int}
I Delete endpoint request | id=container-id:{hex64}
I Removed endpoint | containerID={hex12} endpointID={int} ipv4={ipv4}
I Rewrote endpoint BPF program | containerID={hex12} endpointID={int} reason=updated security labels
W Unable to update ipcache map entry on pod add | error={err} hostIP={ipv4} podIP={ipv4}
I Conntrack garbage collector interval recalculated | deleteRatio={unit} newInterval={dur}
E Failed to read neighbor table entry for node {node} | error={err}
I regenerating all endpoints | reason=one or more identities created or deleted
W BPF map {word} is {pct}% full
I Identity {int} allocated for labels k8s:app={svc} in namespace {ns}
""")  # fmt: skip

DIALECTS = (
    Dialect("kubelet", klog("kubelet", is_structured=True), KUBELET),
    Dialect("scheduler", klog("scheduler", is_structured=False), SCHEDULER),
    Dialect("etcd", zap_json, ETCD),
    Dialect("containerd", containerd, CONTAINERD),
    Dialect("coredns", coredns, COREDNS),
    Dialect("cilium", cilium, CILIUM),
)
