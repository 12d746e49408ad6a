#!/bin/bash
# Installs, uses, removes and purges the Debian package in clean trees of each suite, and runs lintian over it.
#   test-package.sh [SUITE...]        (default: trixie bookworm)
# Trees are made by mmdebstrap from the mirror that this machine uses (or IMGCTL_TREE_MIRROR) and kept in IMGCTL_TREES
# (default /var/cache/imgctl-trees). Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
suites=("$@")
[ $# -gt 0 ] || suites=(trixie bookworm)
trees=${IMGCTL_TREES:-/var/cache/imgctl-trees}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/imgctl-test-package.XXXXXX")
trap 'rm -rf --one-file-system "$scratch"' EXIT

missing=()
for need in mmdebstrap lintian; do command -v "$need" >/dev/null || missing+=("$need"); done
if [ ${#missing[@]} -gt 0 ]; then
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

mirror=${IMGCTL_TREE_MIRROR:-$({ cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true; } |
	awk '/^URIs:/ && /debian/ && !/security/ {print $2; exit} /^deb / && /debian/ && !/security/ {for (i=2;i<=NF;i++) if ($i ~ /^[a-z]+:/) {print $i; exit}}')}

PATH=$PWD/node_modules/.bin:$PATH
# IMGCTL_DEB: a package that was built before.
deb=${IMGCTL_DEB:-$(node scripts/package-deb.ts "$scratch")}
echo "lintian: $(basename "$deb")"
lintian --fail-on error,warning "$deb"

for suite in "${suites[@]}"; do
	mkdir -p "$trees"
	if [ ! -s "$trees/$suite.tar" ]; then
		echo "$suite: making a clean tree"
		mmdebstrap --mode=root --variant=minbase --include=libatomic1,libstdc++6,man-db,systemd "$suite" "$trees/.$suite.tar" "$mirror" \
			2>"$scratch/$suite.log" || { tail -n 20 "$scratch/$suite.log" >&2; exit 1; }
		mv "$trees/.$suite.tar" "$trees/$suite.tar"
	fi
	tree=$scratch/$suite
	mkdir "$tree"
	tar -C "$tree" --exclude='./dev/*' -xf "$trees/$suite.tar"
	cp "$deb" "$tree/imgctl.deb"
	cp scripts/test-package-inside.sh "$tree/inside.sh"
	# The loopback of a namespace of its own: what asks anybody else fails.
	unshare --mount --pid --fork --net bash -c '
		set -e
		mount -t proc proc "$1/proc"
		mount --rbind /dev "$1/dev"
		mount -t tmpfs tmpfs "$1/run"
		chroot "$1" /bin/bash -c "ip link set lo up 2>/dev/null || true"
		ip link set lo up 2>/dev/null || true
		exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root /bin/bash /inside.sh' - "$tree"
	chattr -R -f -i "$tree" 2>/dev/null || true
	rm -rf --one-file-system "$tree"
	echo "$suite: ok"
done
