#!/bin/sh
# Types, format, lint rules, walls and cycles.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
[ -f src/cli/config-schema.generated.js ] || node scripts/build.ts validators
tsc -p .
biome check .
depcruise src --config .dependency-cruiser.cjs
