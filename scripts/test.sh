#!/usr/bin/env bash
# Everything that holds the project, in the order in which it fails soonest. Sees to what it needs first.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { # name, then the command
    local name=$1 began=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@"
    printf -- '-- %s: %s s\n' "$name" "$((SECONDS - began))"
}

document() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --quiet; }

step 'set-up' scripts/setup.sh rust cc postgres prometheus nginx chromium pg_cron
export PATH="$PATH:$PWD/.cache/prometheus/usr/bin"
# What is missing from here on is a failure, not a reason to skip.
export FROSTGATE_TEST_TOOLS='promtool prometheus nginx'
# Ubuntu has Chromium as a snap only, which can't be driven here: there the page's test is skipped, and says so.
if command -v chromium >/dev/null 2>&1; then FROSTGATE_TEST_TOOLS+=' chromium'; fi

step 'formatting and lints' scripts/lint.sh
# The alert rules are among these: tests/prometheus.rs runs promtool.
step 'tests' cargo test --locked
step 'the oldest and the newest PostgreSQL' scripts/matrix.sh short
step 'documentation' document
step 'fuzz targets build' scripts/fuzz.sh build
step 'demo' cargo run --locked --quiet -- demo
printf '\nall of it held, in %s s\n' "$SECONDS"
