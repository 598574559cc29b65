#!/usr/bin/env bash
# Builds what is published with the oldest compilers that its pages promise: a feature that asks for a newer one is left to that one.
#
#   tools/msrv.sh
#
# They are rustup's: `rustup toolchain install 1.87 1.88 1.91 --profile minimal`. Where one is missing, that is said aloud and is no failure,
# but for CONNIE_STRICT_MSRV=1.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0

# oldest VERSION ARGUMENTS...: libraries and programs, from the committed Cargo.lock.
oldest() {
    local version="$1"
    shift
    if ! rustc "+$version" --version >/dev/null 2>&1; then
        printf 'NOT RUN with Rust %s: needs rustup toolchain install %s --profile minimal\n' "$version" "$version" >&2
        [ "${CONNIE_STRICT_MSRV:-0}" = 0 ] || failed=1
        return
    fi
    printf 'Rust %s: %s\n' "$version" "$*"
    cargo "+$version" check -q --locked --target-dir target/msrv "$@" || failed=1
}

# As in Cargo.toml: rust-version of the workspace.
oldest 1.87 --all-features -p connie-core -p connie-http -p connie-dns -p connie-sim -p connie-web -p connie-wasi
oldest 1.87 --all-features -p connie-std -p connie-ureq -p connie-hyper -p connie-proxy -p connie-cli -p connie-c
oldest 1.87 -p connie-async --features nat64,embassy-time
# edge-nal 0.7 asks for 1.88, smoltcp 0.14 and embassy-net for 1.91, xarxa-driver for 1.95.
oldest 1.88 -p connie-async --features nat64,embassy-time,edge-nal
oldest 1.91 --all-features -p connie-async
oldest 1.91 -p connie-smoltcp --features defmt,nat64
oldest 1.95 --all-features -p connie-smoltcp
exit "$failed"
