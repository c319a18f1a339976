#!/bin/sh
# The first process of the real node, in process and mount namespaces of its own. When it ends, the kernel
# ends every process in there; with the last of them go all mounts and the pods' networks.
# usage: node-init.sh STATE COMMAND...    where COMMAND is the container runtime
set -eu
state=$1
shift

# Nothing is to be written outside the lab's folder: /run is new and in memory, /var takes writes in memory.
# The lab's folder, which may lie in either of them, is seen through.
memory=$state/node/memory
mkdir -p "$memory"
mount -t tmpfs tmpfs "$memory"
mkdir "$memory/state" "$memory/upper" "$memory/work"
mount --bind "$state" "$memory/state"
mount -t overlay overlay -o "lowerdir=/var,upperdir=$memory/upper,workdir=$memory/work" /var
mount -t tmpfs tmpfs /run
mkdir -p "$state"
mount --bind "$memory/state" "$state"

# The kubelet sets these for the whole machine, unless they already are as it wants them.
while read -r value name; do
    [ -e "/proc/sys/$name" ] || continue
    echo "$value" > "/run/sysctl.$value"
    mount --bind "/run/sysctl.$value" "/proc/sys/$name"
done <<END
1 vm/overcommit_memory
0 vm/panic_on_oom
10 kernel/panic
1 kernel/panic_on_oops
1000000 kernel/keys/root_maxkeys
25000000 kernel/keys/root_maxbytes
END

# Not exec: somebody has to take the exit status of the orphans that a runtime makes.
"$@" &
wait
