#!/usr/bin/env bash
# fuzz.sh TIME [PACKAGE...]: runs every fuzz target of the packages (all of the project's unless named) for TIME (such as 45s), one
# after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-45s}
shift || true
go list -f '{{.ImportPath}} {{.Dir}}' "${@:-./...}" | while read -r package dir; do
  compgen -G "$dir/*_test.go" >/dev/null || continue
  sed -sn 's/^func \(Fuzz[A-Z][A-Za-z0-9_]*\)(.*/\1/p' "$dir"/*_test.go | while read -r target; do
    echo "== $package $target"
    go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" </dev/null
  done
done
