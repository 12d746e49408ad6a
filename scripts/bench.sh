#!/bin/sh
# Measures imgctl: npm run bench -- [--rounds N] [--json FILE] [--markdown FILE] [--only REGEX] [--no-scaling]
#   [--peers imgctl,sid,trixie,tool] [--cores N] [--no-memory]
# Start-up and catalog in units of an empty start of Node, serving against nginx, and the rows against the real importd on the
# same files. --only chooses by name: "start-up: ...", "catalog: N", "serve", "scaling", and the names of rows. A part that fails is left out.
# Needs root and about 40 GiB below $IMGCTL_BENCH_DIR; makes its files and the trees of the oracle where they are missing.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh bench
PATH=$PWD/node_modules/.bin:$PATH
export PATH
node scripts/build.ts
dir=${IMGCTL_BENCH_DIR:-/var/cache/imgctl-bench}
for suite in sid trixie; do
	[ -f "${IMGCTL_ORACLE_DIR:-/var/cache/imgctl-oracle}/$suite.version" ] || bash test/oracle/setup.sh "$suite"
done
[ -s "$dir/data/SHA256SUMS" ] || bash test/oracle/bench-data.sh "$dir/data"
scratch=$(mktemp -d "$dir/run.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/parts" "$scratch/tmp"

# What the programs beside bench.ts need of the arguments.
only=. rounds=5 scaling=yes previous=
for word; do
	case $previous in
	--only) only=$word ;;
	--rounds) rounds=$word ;;
	esac
	case $word in
	--only=*) only=${word#*=} ;;
	--rounds=*) rounds=${word#*=} ;;
	--no-scaling) scaling=no ;;
	esac
	previous=$word
done
status=0
# part NAME COMMAND...: the figures go to NAME.json
part() {
	name=$1
	shift
	TMPDIR=$scratch/tmp "$@" --only "$only" --json "$scratch/parts/$name.json" || {
		echo "bench.sh: $name failed and is left out" >&2
		status=1
	}
}
part startUp node test/bench/start-up.ts --rounds $((rounds * 5))
part catalog node test/bench/catalog.ts --rounds $((rounds * 5))
part serve node test/bench/serve.ts --rounds "$rounds"
if [ "$scaling" = yes ] && { [ "$only" = . ] || [ "$only" = scaling ]; }; then
	(only=. && part scaling test/bench/inside.sh "$scratch" "$dir/data" node test/bench/scaling.ts "$dir/data" "$scratch" --rounds 1; exit "$status") || status=1
fi
test/bench/inside.sh "$scratch" "$dir/data" node test/bench/bench.ts "$dir/data" "$scratch" --parts "$scratch/parts" "$@" || status=$?
exit "$status"
