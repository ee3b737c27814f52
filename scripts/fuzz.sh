#!/usr/bin/env bash
# The fuzz targets.
#
# usage: scripts/fuzz.sh build                     compiles them and runs each over its seeds, as `make test` does
#        scripts/fuzz.sh run [SECONDS] [TARGET…]   runs each for so long (60)
#        scripts/fuzz.sh keep [TARGET…]            adds to the seeds what a run found that covers more
#
# It runs on the stable toolchain: coverage comes from LLVM's own pass. Seeds are fixtures/fuzz/TARGET; new inputs are
# kept in fuzz/corpus, finds in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
all=(certificate classify frame login session startup)
# An input that covers more is a seed as long as it is short: seeds are run by every `make test`.
longest=4096

build() {
    # With a target named, the flags do not reach build scripts, which have nothing to count their coverage.
    host=$(rustc -vV | sed -n 's/^host: //p')
    RUSTFLAGS='--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
        -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks' \
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_PANIC=unwind \
        cargo build --locked --quiet --release --target-dir fuzz/target --target "$host" --package frostgate-fuzz
    programs=fuzz/target/$host/release
}

verb=${1:-}
shift || true
case $verb in
build)
    # Without the fuzzer itself: any Rust will do, and nothing is built twice.
    cargo build --locked --quiet --package frostgate-fuzz
    for target in "${all[@]}"; do
        seeds=$(cargo run --locked --quiet --package frostgate-fuzz --bin "$target" -- "fixtures/fuzz/$target" | wc -l)
        printf '%s: %s seeds, no finding\n' "$target" "$seeds"
    done
    ;;
run)
    seconds=${1:-60}
    shift || true
    build
    for target in "${@:-${all[@]}}"; do
        mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
        printf '== %s\n' "$target" >&2
        "$programs/$target" "fuzz/corpus/$target" "fixtures/fuzz/$target" -artifact_prefix="fuzz/artifacts/$target/" \
            -max_total_time="$seconds" -max_len="$longest" -timeout=10 -print_final_stats=1
    done
    ;;
keep)
    build
    for target in "${@:-${all[@]}}"; do
        "$programs/$target" -merge=1 -max_len=1024 "fixtures/fuzz/$target" "fuzz/corpus/$target"
    done
    ;;
*)
    sed -n '4,6p' "$0" >&2
    exit 2
    ;;
esac
