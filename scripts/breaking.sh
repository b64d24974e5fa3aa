#!/usr/bin/env bash
# Compares proto/ with the newest release: a field that an older binary reads must stay what it was.
# Before the first release there is nothing to be compatible with.
set -euo pipefail
cd "$(dirname "$0")/.."
release=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)
[ -n "$release" ] || exit 0
exec go tool -modfile=tools/go.mod buf breaking --against ".git#tag=$release"
