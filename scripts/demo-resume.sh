#!/bin/sh
# demo-resume.sh URL: publishes a large disk image and kills its import in the middle; part of demo.sh.
set -eu
url=$1
uuid=$(cat /proc/sys/kernel/random/uuid)
# A disk of 512 MiB, half of it data that does not compress.
truncate -s 512M disk.raw
head -c 256M /dev/urandom | dd of=disk.raw conv=notrunc bs=1M status=none
cat >disk.imgmanifest <<EOF
{"v": 2, "uuid": "$uuid", "name": "demo-disk", "version": "1.0.0", "type": "other", "os": "linux", "public": true,
 "files": [{"sha1": "$(sha1sum disk.raw | cut -d' ' -f1)", "size": $(stat -c %s disk.raw), "compression": "none"}]}
EOF
imgctl publish -q -m disk.imgmanifest -f disk.raw "$url" >/dev/null
echo "published demo-disk@1.0.0, 512.0 MiB"

imgctl import "$uuid" >import.log 2>&1 &
import=$!
partial() { cat "$IMGCTL_ROOT"/var/cache/imgctl/downloads/*.partial 2>/dev/null | wc -c; }
for _ in $(seq 1000); do
	[ "$(partial)" -gt 67108864 ] && break
	sleep 0.01
done
# The launcher replaces itself with the program, so this is the import.
kill -9 $import 2>/dev/null || true
wait $import 2>/dev/null || true
echo "killed with $(partial) of 536870912 bytes here"
echo "images called demo-disk now: $(imgctl list -H -o uuid name=demo-disk | wc -l)"
echo "\$ imgctl import $uuid"
imgctl --progress plain import "$uuid"
echo "allocated on disk: $(du -h "$IMGCTL_ROOT/var/lib/machines/$uuid.raw" | cut -f1) of $(du -h --apparent-size "$IMGCTL_ROOT/var/lib/machines/$uuid.raw" | cut -f1)"
