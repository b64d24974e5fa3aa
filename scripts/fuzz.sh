#!/usr/bin/env bash
# fuzz.sh TIME: runs every fuzz target of the project for TIME (such as 60s), one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
git grep -lE '^func Fuzz[A-Z]' -- '*_test.go' | while read -r file; do
  package=./$(dirname "$file")
  sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r target; do
    echo "== $package $target"
    go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" </dev/null
  done
done
