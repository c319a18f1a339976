"""What a node's own programs print."""

from tests.corpus.dialects.shape import Dialect, Said, templates
from tests.corpus.slots import filled


def kernel(said: Said) -> str:
    seconds = (said.at.minute * 60 + said.at.second) + said.at.microsecond / 1e6
    return f"[{seconds:12.6f}] {said.text}"


def syslog(program: str):
    def header(said: Said) -> str:
        return f"{said.at:%b %e %H:%M:%S} node-{said.rng.randrange(9)} {program}[{filled('{pid}', said.rng)}]: {said.text}"  # fmt: skip

    return header


KERNEL = templates("""
W {word} invoked oom-killer: gfp_mask=0x{hex8}(GFP_KERNEL), order=0, oom_score_adj={int}
W oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={hex64},mems_allowed=0,oom_memcg=/kubepods/burstable/pod{uuid},task_memcg=/kubepods/burstable/pod{uuid}/{hex64},task={word},pid={pid},uid=0
E Memory cgroup out of memory: Killed process {pid} ({word}) total-vm:{big}kB, anon-rss:{big}kB, file-rss:{int}kB, shmem-rss:0kB, UID:0 pgtables:{int}kB oom_score_adj:{int}
I {nic}: renamed from tmp{hex8}
I cni0: port {small}(veth{hex8}) entered blocking state
I cni0: port {small}(veth{hex8}) entered disabled state
I cni0: port {small}(veth{hex8}) entered forwarding state
I device veth{hex8} entered promiscuous mode
I device veth{hex8} left promiscuous mode
I IPv6: ADDRCONF(NETDEV_CHANGE): {nic}: link becomes ready
I EXT4-fs ({device}): mounted filesystem with ordered data mode. Quota mode: none.
E EXT4-fs error (device {device}): ext4_find_entry:{int}: inode #{big}: comm {word}: reading directory lblock 0
E blk_update_request: I/O error, dev {device}, sector {big} op 0x0:(READ) flags 0x{hex4} phys_seg {small} prio class 0
W TCP: request_sock_TCP: Possible SYN flooding on port {port}. Sending cookies.  Check SNMP counters.
W nf_conntrack: nf_conntrack: table full, dropping packet
I {word}[{pid}]: segfault at {hex8} ip {hex12} sp {hex12} error {small} in libc.so.6[{hex12}+{hex8}]
E INFO: task {word}:{pid} blocked for more than {int} seconds.
I audit: type=1400 audit({float}:{int}): apparmor="DENIED" operation="open" profile="{word}" name="{path}" pid={pid} comm="{word}"
I nvme nvme0: I/O {int} QID {small} timeout, aborting
I systemd[1]: Hostname set to <{node}>.
""")

SYSTEMD = templates("""
I Started {svc}.service - {word} daemon.
I Starting {svc}.service - {word} daemon...
I Stopped {svc}.service - {word} daemon.
I Stopping {svc}.service - {word} daemon...
I Started Session {int} of User {user}.
I Created slice User Slice of UID {int}.
I Removed slice User Slice of UID {int}.
I {svc}.service: Deactivated successfully.
I {svc}.service: Consumed {float}s CPU time.
W {svc}.service: Main process exited, code=exited, status={small}/FAILURE
W {svc}.service: Failed with result 'exit-code'.
W {svc}.service: Scheduled restart job, restart counter is at {int}.
I cri-containerd-{hex64}.scope: Deactivated successfully.
I cri-containerd-{hex64}.scope: Consumed {float}s CPU time.
I run-containerd-runc-k8s.io-{hex64}-runc.{suffix}.mount: Deactivated successfully.
I Reached target {word}.target - {word} system.
E Failed to start {svc}.service - {word} daemon.
I var-lib-docker-overlay2-{hex64}.mount: Succeeded.
""")

SSHD = templates("""
I Accepted publickey for {user} from {ipv4} port {port} ssh2: RSA SHA256:{hex40}
I Accepted password for {user} from {ipv4} port {port} ssh2
W Failed password for {user} from {ipv4} port {port} ssh2
W Failed password for invalid user {user} from {ipv4} port {port} ssh2
I Invalid user {user} from {ipv4} port {port}
I Connection closed by {ipv4} port {port} [preauth]
I Connection closed by authenticating user {user} {ipv4} port {port} [preauth]
I Connection closed by invalid user {user} {ipv4} port {port} [preauth]
I Connection reset by {ipv4} port {port} [preauth]
I Received disconnect from {ipv4} port {port}:11: Bye Bye [preauth]
I Received disconnect from {ipv4} port {port}:11: disconnected by user
I Disconnected from user {user} {ipv4} port {port}
I Disconnected from {ipv4} port {port}
I pam_unix(sshd:session): session opened for user {user}(uid={int}) by (uid=0)
I pam_unix(sshd:session): session closed for user {user}
I pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ipv4}  user={user}
I pam_unix(sshd:auth): check pass; user unknown
E error: maximum authentication attempts exceeded for {user} from {ipv4} port {port} ssh2 [preauth]
I reverse mapping checking getaddrinfo for {host} [{ipv4}] failed - POSSIBLE BREAK-IN ATTEMPT!
I Server listening on 0.0.0.0 port {port}.
""")

DIALECTS = (
    Dialect("kernel", kernel, KERNEL),
    Dialect("systemd", syslog("systemd"), SYSTEMD),
    Dialect("sshd", syslog("sshd"), SSHD),
)
