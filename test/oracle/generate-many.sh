#!/bin/bash
# Run the real systemd-import-generator once per case, many cases in one start of the tree.
#   generate-many.sh SUITE DIR
# Every folder DIR/N holds the input of one run: cmdline, initrd (0 or 1), creds/ (the credentials directory) and, if
# the firmware booted from a URL, efivar (the bytes of StubDeviceURL). Each gains normal/, early/, late/, stderr and exit.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)

if [ "$1" = --outside ]; then # in the namespace, before the tree is entered
	mount -t tmpfs tmpfs "$ORACLE_ROOT/sys/firmware"
	mkdir -p "$ORACLE_ROOT/sys/firmware/efi/efivars"
	exec in-tree bash -s -- --inside "$2" <"$here/generate-many.sh"
fi
if [ "$1" = --inside ]; then
	variable=/sys/firmware/efi/efivars/StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
	export SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=info
	for folder in "$2"/*/; do
		cd "$folder"
		mkdir -p normal early late
		if [ -e efivar ]; then cp efivar "$variable"; else rm -f "$variable"; fi
		status=0
		SYSTEMD_IN_INITRD=$(<initrd) SYSTEMD_PROC_CMDLINE=$(<cmdline) CREDENTIALS_DIRECTORY=$PWD/creds ENCRYPTED_CREDENTIALS_DIRECTORY=$PWD/enc \
			/usr/lib/systemd/system-generators/systemd-import-generator "$PWD/normal" "$PWD/early" "$PWD/late" 2>stderr || status=$?
		echo $status >exit
	done
	exit
fi
suite=$1 folder=$(realpath "$2")
exec "$here/run.sh" --no-importd --share "$folder" --share "$here" "$suite" -- "$here/generate-many.sh" --outside "$folder"
