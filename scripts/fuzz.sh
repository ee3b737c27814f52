#!/usr/bin/env bash
# The fuzz targets.
#
# usage: scripts/fuzz.sh build            only compiles them, as `make test` does
#        scripts/fuzz.sh run [SECONDS]    runs each for so long (60), with cargo-fuzz and a nightly Rust
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
build)
    # Without the fuzzer itself: any Rust will do, and nothing is built twice.
    cargo build --locked --quiet --package frostgate-fuzz
    ;;
run)
    if ! command -v cargo-fuzz >/dev/null 2>&1; then
        echo "installing cargo-fuzz" >&2
        cargo install --locked cargo-fuzz
    fi
    targets=$(cargo +nightly fuzz list)
    for target in $targets; do
        echo "== $target" >&2
        cargo +nightly fuzz run "$target" -- -max_total_time="${2:-60}"
    done
    ;;
*)
    sed -n '4,5p' "$0" >&2
    exit 2
    ;;
esac
