#!/bin/bash
# Run the real systemd-import-generator once per case, many cases in one start of the tree.
#   generate-many.sh SUITE DIR
# Every folder DIR/N holds the input of one run: cmdline, initrd (0 or 1), creds/ (the credentials directory) and, if
# the firmware booted from a URL, efivar (the bytes of StubDeviceURL); also the empty folders normal/, early/ and late/ for
# the output. Each gains stderr and exit. Per case nothing but the generator is started, so that thousands take seconds.
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
		if [ -e efivar ]; then cp efivar "$variable"; elif [ -e "$variable" ]; then rm "$variable"; fi
		IFS= read -r -d '' initrd <initrd || :
		IFS= read -r -d '' line <cmdline || :
		status=0
		SYSTEMD_IN_INITRD=$initrd SYSTEMD_PROC_CMDLINE=$line CREDENTIALS_DIRECTORY=$PWD/creds ENCRYPTED_CREDENTIALS_DIRECTORY=$PWD/enc \
			/usr/lib/systemd/system-generators/systemd-import-generator "$PWD/normal" "$PWD/early" "$PWD/late" 2>stderr || status=$?
		echo $status >exit
	done
	exit
fi
suite=$1 folder=$(realpath "$2")
exec "$here/run.sh" --no-importd --share "$folder" --share "$here" "$suite" -- "$here/generate-many.sh" --outside "$folder"
