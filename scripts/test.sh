#!/bin/sh
# Everything that must hold: set-up, build, types, format and lint, walls, manual, tests.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh test
PATH=$PWD/node_modules/.bin:$PATH
export PATH
node scripts/build.ts
sh scripts/lint.sh
node scripts/check-man.ts
# The suites find everything built.
IMGCTL_TEST_NO_BUILD=1 exec vitest run "$@"
