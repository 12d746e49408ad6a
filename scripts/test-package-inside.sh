#!/bin/bash
# What test-package.sh does in a clean tree: install, use as a stranger would, remove, purge. Ends with 1 at the first fault.
set -euo pipefail

say() { echo "  $*"; }
fail() { echo "  FAILED: $*" >&2; exit 1; }
# Everything but what changes by itself: the databases of dpkg, logs, and what is made here.
files() { find / -xdev \( -path /proc -o -path /dev -o -path /run -o -path /tmp -o -path /sys -o -path /var/lib/dpkg -o -path /var/cache/man -o -path /var/log -o -path /inside.sh -o -path /imgctl.deb \) -prune -o -print | sort; }

files >/tmp/before
dpkg -i /imgctl.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; fail 'dpkg -i'; }
say "installed: $(imgctl --version)"
[ ! -e /etc/systemd/system/dbus-org.freedesktop.import1.service ] || fail 'the service was enabled'

imgctl --version -v | grep -q '^engine embedded$' || fail 'engine'
imgadm --version >/dev/null
/usr/lib/imgctl/bin/importctl --version >/dev/null
for page in imgctl imgctl-import imgadm imgctl-config imgctl-errors imgctl-importd; do man -w "$page" >/dev/null || fail "man $page"; done
for file in bash-completion/completions/imgctl zsh/vendor-completions/_imgctl fish/vendor_completions.d/imgctl.fish; do
	[ -s "/usr/share/$file" ] || fail "completion: $file"
done
[ "$(bash -c '. /usr/share/bash-completion/completions/imgctl; complete -p imgctl')" = 'complete -F _imgctl imgctl' ] || fail 'completion of bash'
# Older systemd passes over keys that it does not know.
verdict=$(systemd-analyze verify --man=no /usr/lib/systemd/system/imgctl-importd.service 2>&1 | grep -i imgctl | grep -v "Unknown key .*, ignoring." || true)
[ -z "$verdict" ] || fail "unit: $verdict"

# A server here, an image of this very tree's /etc, and its way to an instance.
imgctl serve --listen 127.0.0.1:8099 /srv/images >/tmp/serve.log 2>&1 &
server=$!
for _ in $(seq 100); do grep -q ' on ' /tmp/serve.log && break; sleep 0.1; done
tar -C / -cJf /tmp/etc.tar.xz etc 2>/dev/null || tar -C / -czf /tmp/etc.tar.xz etc
uuid=11111111-1111-4111-8111-111111111111
cat >/tmp/m.imgmanifest <<JSON
{"v": 2, "uuid": "$uuid", "name": "etc", "version": "1.0.0", "type": "lx-dataset", "os": "linux", "public": true,
 "files": [{"sha1": "$(sha1sum /tmp/etc.tar.xz | cut -d' ' -f1)", "size": $(stat -c %s /tmp/etc.tar.xz), "compression": "xz"}]}
JSON
imgctl publish -q -m /tmp/m.imgmanifest -f /tmp/etc.tar.xz http://127.0.0.1:8099 >/dev/null
imgctl sources -a http://127.0.0.1:8099 >/dev/null
imgctl sources -d https://images.smartos.org >/dev/null
[ "$(imgctl avail -H -o name)" = etc ] || fail avail
imgctl import -q etc >/dev/null || fail import
imgctl clone "$uuid" web1 >/dev/null || fail clone
cmp /etc/os-release /var/lib/machines/web1/etc/os-release 2>/dev/null || cmp /etc/debian_version /var/lib/machines/web1/etc/debian_version || fail 'contents'
imgctl doctor >/tmp/doctor || { cat /tmp/doctor; fail doctor; }
kill "$server"
wait "$server" || true
say "published, found, imported, cloned"

rm -rf /var/lib/machines/web1
imgctl delete "$uuid" >/dev/null || fail delete

# Enabled by hand, it gives its place back when the package goes.
systemctl enable imgctl-importd.service >/dev/null 2>&1 || fail enable
dpkg -r imgctl >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; fail 'dpkg -r'; }
[ ! -e /usr/bin/imgctl ] || fail 'imgctl is still there'
for link in dbus-org.freedesktop.import1.service systemd-importd.service systemd-importd.socket sockets.target.wants/imgctl-importd.socket; do
	[ ! -L "/etc/systemd/system/$link" ] || fail "the service is still enabled: $link"
done
[ -e /etc/imgctl/config.json ] || fail 'removing took the configuration'
dpkg -P imgctl >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; fail 'dpkg -P'; }
rm -rf /srv/images
files >/tmp/after
# Directories for images are systemd's as well.
changed=$(diff /tmp/before /tmp/after | grep '^[<>]' | grep -v -e ' /var/lib/machines$' -e '/etc/systemd/system/sockets.target.wants$' || true)
[ -z "$changed" ] || fail "left or taken: $changed"
say "removed and purged, nothing left"
