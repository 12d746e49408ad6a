/** The metadata clients for guests that have none: one POSIX program under four names (spec/mdata.md §5). */
import {chmodSync, linkSync, mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';

const names = ['mdata-get', 'mdata-put', 'mdata-list', 'mdata-delete'];

/**
 * Texts and exit statuses are those of the stock client (spec/mdata.md §4). The request comes after an empty line, which
 * ends whatever a client before left half-sent; answers to others are read past.
 */
const program = `#!/bin/sh
# Asks for metadata of this machine, over /dev/ttyS1.
tool=\${0##*/}
verb=\${tool#mdata-}

usage() {
	echo "Usage: $tool $1" >&2
	exit 3
}
fail() {
	echo "$1" >&2
	exit "$2"
}
encode() { base64 | tr -d '\\n'; }

case $verb in
get) code=GET doing="getting metadata for key"; [ $# = 1 ] || usage '<keyname>' ;;
put) code=PUT doing="putting metadata for key"; [ $# = 1 ] || [ $# = 2 ] || usage '<keyname> [ <value> ]' ;;
delete) code=DELETE doing="deleting metadata key"; [ $# = 1 ] || usage '<keyname>' ;;
list) code=KEYS doing="listing metadata keys"; [ $# = 0 ] || usage '' ;;
*) usage '' ;;
esac

payload=
if [ "$code" = PUT ]; then
	if [ $# = 2 ]; then
		value=$(printf %s "$2" | encode)
	else
		[ ! -t 0 ] || usage '<keyname> [ <value> ]'
		value=$(encode)
	fi
	payload=$(printf '%s %s' "$(printf %s "$1" | encode)" "$value" | encode)
elif [ "$code" != KEYS ]; then
	payload=$(printf %s "$1" | encode)
fi

id=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \\n')
body="$id $code\${payload:+ $payload}"
# The sum is in the trailer of gzip, least byte first.
sum=$(printf %s "$body" | gzip -c | tail -c 8 | od -An -N4 -tx1 | tr -s ' ' | sed 's/^ //; s/\\(..\\) \\(..\\) \\(..\\) \\(..\\).*/\\4\\3\\2\\1/')

{ exec 3<>/dev/ttyS1; } 2>/dev/null || fail 'ERROR: could not initialise protocol: Could not open serial device.' 2
if command -v flock >/dev/null 2>&1; then flock 3; fi
printf '\\nV2 %s %s %s\\n' "\${#body}" "$sum" "$body" >&3
answer=
while IFS= read -r line <&3; do
	case $line in
	'V2 '*" $id "*)
		answer=\${line#*" $id "}
		break
		;;
	esac
done
result=\${answer%% *}
data=
[ "$answer" = "$result" ] || data=\${answer#* }

case $result in
SUCCESS)
	case $code in
	GET | KEYS)
		printf %s "$data" | base64 -d
		[ "$(printf %s "$data" | base64 -d | tail -c 1 | od -An -tx1 | tr -d ' ')" = 0a ] || echo
		;;
	esac
	;;
NOTFOUND) fail "No metadata for '\${1-}'" 1 ;;
*) fail "Error $doing '\${1-}': $(printf %s "$data" | base64 -d)" 2 ;;
esac
`;

/** Makes the directory with the programs. */
export function writeClients(directory: string): void {
  mkdirSync(directory, {mode: 0o755});
  chmodSync(directory, 0o755);
  const [first = '', ...others] = names.map((name) => path.join(directory, name));
  writeFileSync(first, program, {mode: 0o755});
  chmodSync(first, 0o755);
  for (const other of others) linkSync(first, other);
}
