#!/bin/bash
# Runs COMMAND in a mount and network namespace of its own, with the oracle's trees writable below $BENCH_TREES.
#   inside.sh SCRATCH DATA COMMAND [ARG...]
# What is mounted goes with the namespace, however COMMAND ends.
set -euo pipefail
if [ "$1" != --inside ]; then
	exec unshare --mount --net --propagation private --kill-child --fork --pid --mount-proc "$0" --inside "$@"
fi
shift
scratch=$(realpath "$1") data=$(realpath "$2")
shift 2
oracle=${IMGCTL_ORACLE_DIR:-/var/cache/imgctl-oracle}
ip link set lo up
export BENCH_TREES=$scratch/trees
mkdir -p "$BENCH_TREES"
mount -t tmpfs -o mode=755 tmpfs "$BENCH_TREES"
for suite in sid trixie; do
	mkdir -p "$BENCH_TREES/$suite" "$BENCH_TREES/.$suite"/{upper,work}
	mount -t overlay -o "lowerdir=$oracle/$suite,upperdir=$BENCH_TREES/.$suite/upper,workdir=$BENCH_TREES/.$suite/work" \
		overlay "$BENCH_TREES/$suite"
	root=$BENCH_TREES/$suite
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs -o mode=755 tmpfs "$root/run"
	mkdir -p "$root$data" "$root/target" "$root/var/lib/machines"
	mount --bind "$data" "$root$data"
done
# The same liblzma for all, so that programs are compared and not the ages of two distributions: half of the time is its.
ours=$(ldconfig -p | awk '/liblzma\.so\.5 / && !found++ {print $NF}') # to its end: a pipe that breaks is a failure here
theirs=$(realpath "$oracle/sid/usr/lib/$(uname -m)-linux-gnu/liblzma.so.5")
if [ -n "$ours" ]; then
	mount --bind "$theirs" "$(realpath "$ours")"
	xz --version >/dev/null 2>&1 || umount "$(realpath "$ours")"
fi
exec "$@"
