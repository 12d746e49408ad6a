#!/bin/sh
# The main job on real data, offline: publish an image to a local server, find it, import it, list it, make an
# instance from it. Everything happens below one temporary directory and on loopback, and is removed at the end.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
sh scripts/setup.sh
PATH=$here/node_modules/.bin:$PATH
export PATH
[ -f dist/main.cjs ] && [ -z "$(find src schemas scripts/build.ts -newer dist/main.cjs -print -quit)" ] || node scripts/build.ts
PATH=$here/bin:$PATH

demo=$(mktemp -d "${TMPDIR:-/tmp}/imgctl-demo.XXXXXX")
server=
cleanup() {
	trap - EXIT
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	chattr -R -f -i "$demo" 2>/dev/null || true
	rm -rf "$demo"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n# %s\n' "$*"; }
run() {
	printf '$ %s\n' "$*" | sed "s,$demo,DEMO,g"
	"$@"
}
cd "$demo"

say "A root file system: Debian if a bootstrap tool can make one, else this machine's own programs"
sh "$here/scripts/demo-tree.sh" "$demo/tree"
tar -C tree --numeric-owner --sort=name -cf base.tar .
xz -T0 -1 -k base.tar
uuid=$(cat /proc/sys/kernel/random/uuid)
cat >base.imgmanifest <<EOF
{
  "v": 2,
  "uuid": "$uuid",
  "name": "demo-base",
  "version": "1.0.0",
  "type": "lx-dataset",
  "os": "linux",
  "public": true,
  "files": [
    {
      "sha1": "$(sha1sum base.tar.xz | cut -d' ' -f1)",
      "size": $(stat -c %s base.tar.xz),
      "compression": "xz"
    }
  ]
}
EOF
echo "base.tar.xz: $(stat -c %s base.tar.xz) bytes, $(tar -tf base.tar | wc -l) entries"
run imgctl manifest check --for minimal base.imgmanifest

say "An image server over a directory, on loopback"
imgctl serve --listen 127.0.0.1:0 "$demo/server" >serve.log 2>&1 &
server=$!
for _ in $(seq 100); do grep -q http serve.log && break; sleep 0.1; done
url=$(sed -n 's/.* on \(http.*\)/\1/p' serve.log)
[ -n "$url" ] || { cat serve.log >&2; exit 1; }
echo "imgctl serve listens on $url"

say "Publish to it"
run imgctl publish -m base.imgmanifest -f base.tar.xz "$url"

IMGCTL_ROOT=$demo/host
export IMGCTL_ROOT
say "Find it from a host that has this source only"
mkdir -p "$IMGCTL_ROOT/etc/imgctl"
echo '{"sources": []}' >"$IMGCTL_ROOT/etc/imgctl/config.json"
run imgctl sources -a "$url"
run imgctl avail
run imgctl show "$uuid" | head -8

say "Import it, verified"
run imgctl import "$uuid"
run imgctl list

say "Make an instance from it"
run imgctl clone "$uuid" web1
run ls -Cw 100 "$IMGCTL_ROOT/var/lib/machines/web1"
run imgctl get -r "$uuid" | sed -n '1p;/"children"/,$p'

say "Import it again"
run imgctl import "$uuid"

say "An import that is killed in the middle: nothing is visible, and the next run goes on where it stopped"
sh "$here/scripts/demo-resume.sh" "$url"

say "Delete is refused while the instance is there"
run imgctl delete "$uuid" || true
echo
echo "Demo done."
