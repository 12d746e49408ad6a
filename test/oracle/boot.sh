#!/bin/bash
# Boot the systemd of SUITE's tree as the first process of a container, with WORDs as its kernel command line.
#   boot.sh SUITE DIR [WORD...]
# DIR/tree is laid over the tree, DIR/www served at http://127.0.0.1:8080/ (requests in DIR/out/http), DIR/credentials are
# the container's credentials, DIR/out is seen there as /out. This checkout is seen as /imgctl, since generators have a
# /tmp of their own. Ends when the first process does, or after BOOT_LIMIT seconds (default 60).
# Needs root and cgroup2; has its own mount, pid, network, IPC and cgroup namespaces, over a throw-away overlay of the tree.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)

if [ "$1" = --inside ]; then
	scratch=$2 tree=$3 folder=$4
	shift 4
	new=$scratch/root
	mkdir -p "$new" "$scratch/top"
	mount -t tmpfs -o mode=755 tmpfs "$scratch/top"
	mkdir "$scratch"/top/{upper,work}
	mount -t overlay -o "lowerdir=$tree,upperdir=$scratch/top/upper,workdir=$scratch/top/work" overlay "$new"
	mount -t proc proc "$new/proc"
	mount -t sysfs sysfs "$new/sys"
	mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
	mount -t tmpfs -o mode=755 tmpfs "$new/run"
	mount -t tmpfs -o mode=755 tmpfs "$new/dev"
	for device in null zero full random urandom tty; do
		: >"$new/dev/$device"
		mount --bind "/dev/$device" "$new/dev/$device"
	done
	ln -s /proc/self/fd "$new/dev/fd"
	mkdir "$new/imgctl"
	mount --bind "$root" "$new/imgctl"
	if [ -L "$root/node_modules" ]; then
		dir=$(realpath "$root/node_modules")
		mkdir -p "$new$dir"
		mount --bind "$dir" "$new$dir"
	fi
	ldd "$root/node_modules/node/bin/node" | awk '$2 == "=>" {print $3}' | while read -r library; do # what Node needs and the tree lacks
		[ -e "$new$library" ] || cp -L --parents "$library" "$new/"
	done
	[ ! -d "$folder/tree" ] || cp -a "$folder/tree/." "$new/"
	[ ! -d "$folder/credentials" ] || { mkdir -p "$new/run/host"; cp -a "$folder/credentials" "$new/run/host/"; }
	mkdir -p "$folder/out" "$new/out"
	mount --bind "$folder/out" "$new/out"
	ip link set lo up 2>/dev/null || chroot "$new" ip link set lo up
	if [ -d "$folder/www" ]; then
		/usr/bin/python3 "$here/httpd.py" "$folder/www" 8080 "$folder/out/http" >/dev/null 2>&1 &
		for _ in $(seq 100); do (: >/dev/tcp/127.0.0.1/8080) 2>/dev/null && break; sleep 0.05; done
	fi
	cd "$new"
	mount --move . /
	exec chroot . /usr/bin/env -i container=oracle PATH=/usr/sbin:/usr/bin CREDENTIALS_DIRECTORY=/run/host/credentials \
		/usr/lib/systemd/systemd --log-target=console --show-status=0 "$@" </dev/null
fi

suite=$1 folder=$(realpath "$2")
shift 2
tree=${IMGCTL_ORACLE_DIR:-/var/cache/imgctl-oracle}/$suite
[ -f "$tree.version" ] || { echo "boot.sh: no tree for $suite" >&2; exit 1; }
group=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
[ -n "$group" ] || { echo "boot.sh: no cgroup2" >&2; exit 1; }
scratch=$(mktemp -d "${TMPDIR:-/tmp}/imgctl-boot.XXXXXX")
group=$group/${scratch##*/}
mkdir "$group"
cleanup() {
	trap - EXIT
	echo 1 >"$group/cgroup.kill"
	for _ in $(seq 100); do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break; sleep 0.05; done
	rm -rf --one-file-system "$scratch"
}
trap cleanup EXIT
trap 'exit 143' TERM INT HUP
rc=0
(
	echo $BASHPID >"$group/cgroup.procs"
	exec timeout --foreground -s KILL "${BOOT_LIMIT:-60}" \
		unshare --mount --pid --net --ipc --uts --cgroup --fork --kill-child \
		"$here/boot.sh" --inside "$scratch" "$tree" "$folder" "$@"
) >"$folder/console" 2>&1 || rc=$?
exit $rc
