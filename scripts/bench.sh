#!/bin/sh
# Measures imgctl against the real importd on the same files: npm run bench -- [--rounds N] [--json FILE] [--only REGEX]
#   [--peers imgctl,sid,trixie,tool] [--cores N] [--markdown FILE]
# Needs root and about 25 GiB below $IMGCTL_BENCH_DIR; makes its files and the trees of the oracle where they are missing.
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
node test/bench/start-up.ts
test/bench/inside.sh "$scratch" "$dir/data" node test/bench/bench.ts "$dir/data" "$scratch" "$@"
