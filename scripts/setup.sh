#!/bin/sh
# Installs what building and running need and is missing: Debian packages, Node headers, npm packages.
#   setup.sh [test|bench]  also what the tests or the bench need
#   setup.sh zfs-guest     also the guest with real ZFS, built below /var/cache (or in $IMGCTL_ZFS_GUEST) in a quarter of an hour
# Quick when nothing is missing. Without root it says what to install instead of installing it.
set -eu
cd "$(dirname "$0")/.."

have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }

missing=
# need PROGRAM PACKAGE: the package that brings the program, if the program is missing
need() { have "$1" || missing="$missing $2"; }

install_missing() {
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ] || ! have apt-get; then
		echo "setup.sh: please install first:$missing" >&2
		exit 1
	fi
	echo "setup.sh: installing$missing" >&2
	log=$(mktemp)
	# shellcheck disable=SC2086
	if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		rm -f "$log"
		exit 1
	fi
	rm -f "$log"
	missing=
}

need node nodejs
need npm npm
need cc gcc
need make make
need g++ g++
need python3 python3
need xz xz-utils
need bzip2 bzip2
if [ "${1:-}" = test ]; then
	need zstd zstd
	need tar tar
	need setfattr attr
	need setfacl acl
	need setcap libcap2-bin
	need mkfs.ext4 e2fsprogs
	need mkfs.btrfs btrfs-progs
	need mkfs.xfs xfsprogs
	need bwrap bubblewrap
	need setpriv util-linux
	need losetup mount
	need qemu-img qemu-utils
	need man man-db
	need mandoc mandoc
	need busybox busybox-static
	need systemd-nspawn systemd-container
	need curl curl
	need chromium chromium
	need dbus-daemon dbus-daemon
	need gdbus libglib2.0-bin
	[ -x /usr/lib/polkit-1/polkitd ] || missing="$missing polkitd"
	need strace strace
	need openssl openssl
	/usr/bin/python3 -c 'import dbus, gi' 2>/dev/null || missing="$missing python3-dbus python3-gi"
	need ssh-agent openssh-client
	need ansible-playbook ansible
	need script bsdutils
	need pgrep procps
	/usr/bin/python3 -c 'import serial, requests, configobj, yaml' 2>/dev/null ||
		missing="$missing python3-serial python3-requests python3-configobj python3-yaml"
	need tmux tmux
	need zsh zsh
	need fish fish
fi
if [ "${1:-}" = bench ]; then
	need mmdebstrap mmdebstrap
	need mkfs.ext4 e2fsprogs
	need losetup mount
	need ip iproute2
	need bwrap bubblewrap
	need qemu-img qemu-utils
	need zstd zstd
	need pigz pigz
	need lbzip2 lbzip2
	need nginx nginx-light
	need wrk wrk
fi
if [ "${1:-}" = zfs-guest ]; then
	need mmdebstrap mmdebstrap
	need qemu-system-x86_64 qemu-system-x86
	need mkfs.ext4 e2fsprogs
fi
install_missing
if [ "${1:-}" = zfs-guest ]; then
	test/oracle/zfs-guest/build.sh "${IMGCTL_ZFS_GUEST:-/var/cache/imgctl-zfs-guest}"
fi

# sqlite3 is compiled where its prebuilt file cannot be had, against the headers of any Node: it uses Node-API.
node_headers() {
	for prefix in "${npm_config_nodedir:-}" "$(npm config get nodedir 2>/dev/null || true)" \
		"$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")" /usr; do
		if [ -f "$prefix/include/node/node_api.h" ]; then
			echo "$prefix"
			return 0
		fi
	done
	return 1
}

stamp=node_modules/.imgctl-setup
wanted=$(cat package.json package-lock.json | sha256sum | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
	if ! node_headers >/dev/null; then
		missing=" libnode-dev"
		install_missing
	fi
	npm_config_nodedir=$(node_headers)
	export npm_config_nodedir
	echo "setup.sh: installing npm packages" >&2
	# Not "npm ci": that refuses a registry which lacks optional packages of other platforms. The versions are
	# those of the lock file all the same, and the lock file is put back if npm added to it.
	log=$(mktemp) lock=$(mktemp)
	cp package-lock.json "$lock"
	status=0
	npm install --no-audit --no-fund --loglevel=error >"$log" 2>&1 || status=$?
	cmp -s package-lock.json "$lock" || cp "$lock" package-lock.json
	[ "$status" = 0 ] || tail -n 30 "$log" >&2
	rm -f "$log" "$lock"
	[ "$status" = 0 ] || exit 1
	echo "$wanted" >"$stamp"
fi

# A client of the metadata protocol that is not ours. Its package is only unpacked: installed, it would set this host up.
cloud_init=node_modules/.cache/cloud-init
if [ "${1:-}" = test ] && [ ! -d "$cloud_init" ] && have apt-get; then
	echo "setup.sh: unpacking cloud-init" >&2
	place=$(mktemp -d)
	chmod 755 "$place"
	if (cd "$place" && apt-get download -qq cloud-init >log 2>&1); then
		mkdir -p "$place/unpacked" node_modules/.cache
		dpkg-deb --fsys-tarfile "$place"/cloud-init_*.deb |
			tar -x -C "$place/unpacked" ./usr/lib/python3/dist-packages/cloudinit
		cp -R "$place/unpacked" "$cloud_init"
	else
		tail -n 5 "$place/log" >&2
	fi
	rm -rf "$place"
fi

# The real importd, importctl and generator that the tests ask, of two versions.
if [ "${1:-}" = test ]; then
	if [ "$(id -u)" != 0 ] || ! have apt-get || ! bash test/oracle/setup.sh trixie sid >&2; then
		echo "setup.sh: no trees with the real importd (they take root and a Debian mirror): tests that ask it are skipped" >&2
	fi
fi
