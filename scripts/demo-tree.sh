#!/bin/sh
# demo-tree.sh DIR: makes a root file system in DIR from what there is.
set -eu
tree=$1
if [ "$(id -u)" = 0 ]; then
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
	for tool in mmdebstrap debootstrap; do
		command -v $tool >/dev/null 2>&1 || continue
		case $tool in
		mmdebstrap) set -- mmdebstrap --mode=root --variant=essential --quiet "$suite" "$tree" ;;
		debootstrap) set -- debootstrap --variant=minbase "$suite" "$tree" ;;
		esac
		if timeout 180 "$@" >/dev/null 2>&1; then
			rm -rf "$tree"/dev/* "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
			echo "made by $tool: $(du -sh "$tree" | cut -f1)"
			exit 0
		fi
		rm -rf "$tree"
	done
fi

# Programs of this machine with the libraries that they load.
mkdir -p "$tree"/usr/bin "$tree"/usr/lib "$tree"/usr/sbin "$tree"/etc "$tree"/var/lib "$tree"/tmp "$tree"/root "$tree"/proc "$tree"/sys "$tree"/dev "$tree"/run
chmod 1777 "$tree/tmp"
chmod 700 "$tree/root"
for link in bin sbin lib; do ln -s "usr/$link" "$tree/$link"; done
copy() { [ -e "$tree$1" ] || { mkdir -p "$tree$(dirname "$1")" && cp -L "$1" "$tree$1"; }; }
if busybox=$(command -v busybox); then
	cp -L "$busybox" "$tree/usr/bin/busybox"
	for applet in sh ls cat echo mount ps uname; do ln "$tree/usr/bin/busybox" "$tree/usr/bin/$applet"; done
	copied=busybox
else
	copied='sh ls cat cp mkdir uname tar'
fi
for name in $copied tar xz python3; do
	program=$(command -v "$name") || continue
	program=$(readlink -f "$program")
	[ -e "$tree/usr/bin/$name" ] || cp -L "$program" "$tree/usr/bin/$name"
	{ ldd "$program" 2>/dev/null || true; } | grep -o '/[^ ]*' | sort -u | while read -r library; do copy "$library"; done
done
printf 'ID=imgctl-demo\nNAME="imgctl demo"\nVERSION_ID=1.0.0\n' >"$tree/etc/os-release"
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$tree/etc/passwd"
echo "made from this machine's programs ($copied, ...): $(du -sh "$tree" | cut -f1)"
