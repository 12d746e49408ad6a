# Read before every golden command: makers of small images with the same bytes each time.
A=11111111-1111-4111-8111-111111111111
B=22222222-2222-4222-8222-222222222222
C=33333333-3333-4333-8333-333333333333
NOBODY=99999999-9999-4999-8999-999999999999

# make_tar FILE: a small tree; the same bytes every time
make_tar() {
	rm -rf tree && mkdir -p tree/etc tree/usr/bin
	echo ID=golden >tree/etc/os-release
	printf '#!/bin/sh\necho hi\n' >tree/usr/bin/hi
	chmod 755 tree tree/etc tree/usr tree/usr/bin tree/usr/bin/hi && chmod 644 tree/etc/os-release
	tar -C tree --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1700000000 --format=ustar -b 1 -cf "$1" .
}

# make_manifest FILE UUID NAME VERSION COMPRESSION [MORE]: writes FILE.imgmanifest
make_manifest() {
	cat >"$1.imgmanifest" <<EOF
{"v": 2, "uuid": "$2", "name": "$3", "version": "$4", "type": "lx-dataset", "os": "linux", "public": true,
 "published_at": "2024-0${2%"${2#?}"}-01T10:00:00.000Z"${6:+, $6},
 "files": [{"sha1": "$(sha1sum "$1" | cut -d' ' -f1)", "size": $(stat -c %s "$1"), "compression": "$5"}]}
EOF
}

# offer UUID NAME VERSION [MORE]: publishes a small gzip image to $URL
offer() {
	make_tar image.tar && gzip -nf image.tar
	make_manifest image.tar.gz "$1" "$2" "$3" gzip "${4:-}"
	imgctl publish -q -m image.tar.gz.imgmanifest -f image.tar.gz "$URL" >/dev/null
}

# only_source: $URL is the only configured source
only_source() {
	mkdir -p "$IMGCTL_ROOT/etc/imgctl"
	printf '{"sources": [{"url": "%s", "type": "imgapi"}]}\n' "$URL" >"$IMGCTL_ROOT/etc/imgctl/config.json"
}

# change UUID JSON: updates the manifest of an image on the server
change() {
	curl -s -f -o /dev/null -X POST -H 'Content-Type: application/json' -d "$2" "$URL/images/$1?action=update"
}

# serve_signed: serves ./signed on $SIGNED until end_signed
serve_signed() {
	: >address
	imgctl serve --listen 127.0.0.1:0 signed >address &
	signed_pid=$!
	while ! grep -q ' on ' address; do sleep 0.05; done
	SIGNED=$(sed 's/.* on //' address)
}
end_signed() {
	kill "$signed_pid" && wait "$signed_pid"
}

# offer_disk UUID NAME VERSION: publishes a disk of 4 MiB, not compressed, to $URL
offer_disk() {
	head -c 4194304 /dev/zero | tr '\0' x >disk.raw
	make_manifest disk.raw "$1" "$2" "$3" none '"description": "a disk"'
	sed -i 's/"lx-dataset", "os": "linux"/"other", "os": "other"/' disk.raw.imgmanifest
	imgctl publish -q -m disk.raw.imgmanifest -f disk.raw "$URL" >/dev/null
	rm disk.raw disk.raw.imgmanifest
}

# cutting_source: the only source is $URL behind a proxy, until end_cutting; while the file "cut" is there, images end
# after 3 MiB, or stop there when it says "hold"
cutting_source() {
	rm -f cutting
	node "$(dirname "$(command -v imgctl)")/../test/support/cutting-proxy.ts" "$URL" cut 3145728 >cutting 2>&1 </dev/null &
	echo $! >cutting.pid
	until grep -qs http cutting; do sleep 0.05; done
	printf '{"sources": [{"url": "%s", "type": "imgapi"}]}\n' "$(cat cutting)" >"$IMGCTL_ROOT/etc/imgctl/config.json"
}
end_cutting() {
	kill "$(cat cutting.pid)"
}

# interrupt_when_here COMMAND...: the program gets SIGINT once 1 MiB of a download is on disk
interrupt_when_here() {
	"$@" &
	program=$!
	until [ -n "$(find "$IMGCTL_ROOT/var/cache/imgctl/downloads" -name '*.partial' -size +1023k 2>/dev/null)" ] || ! kill -0 "$program" 2>/dev/null; do sleep 0.05; done
	kill -INT "$program"
	wait "$program"
}

# cancel_held: lists the transfer of the image "held" once it runs, and cancels it
cancel_held() {
	# Not for ever: a pull that failed is never there.
	for _ in $(seq 100); do
		! imgctl list-transfers --no-legend | grep -q held || break
		sleep 0.05
	done
	imgctl list-transfers --no-legend | awk '{$2 = "N%"; print}'
	imgctl cancel-transfer 1
}
