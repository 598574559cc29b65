#!/usr/bin/env bash
# Installs what the tests need, where it can, and runs everything: style, every target, all tests, the documentation, the
# README's first command. Ends with a count.
#
#   ./test.sh                   what cannot run here says what it needs, and counts as skipped
#   CONNIE_STRICT=1 ./test.sh   what cannot run here has failed
set -uo pipefail
cd "$(dirname "$0")"

readonly STRICT="${CONNIE_STRICT:-0}"
readonly CORE_TARGETS="thumbv6m-none-eabi thumbv7m-none-eabi riscv32imac-unknown-none-elf wasm32-wasip2"
readonly STD_TARGETS="aarch64-apple-darwin x86_64-pc-windows-gnu"
LOG="$(mktemp -d)"
readonly LOG
trap 'rm -rf "$LOG"' EXIT
failed=()
skipped=0
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
# A build that differs from the committed Cargo.lock is not the one that was tested.
readonly LOCKED="--locked"

title() { printf '\n== %s\n' "$*"; }

# step NAME COMMAND...: runs the command; a failure is noted, and the rest goes on.
step() {
    local name="$1"
    shift
    title "$name"
    if ! "$@"; then
        failed+=("$name")
        printf '== FAILED: %s\n' "$name" >&2
    fi
}

# skip WHAT NEEDS: something cannot run here.
skip() {
    printf 'SKIPPED %s: needs %s\n' "$1" "$2" >&2
    if [ "$STRICT" = 1 ]; then failed+=("$1"); else skipped=$((skipped + 1)); fi
}

# The Debian packages behind the programs that tests use.
packages() {
    local need=()
    command -v ip >/dev/null || need+=(iproute2)
    command -v unshare >/dev/null || need+=(util-linux)
    command -v curl >/dev/null || need+=(curl)
    command -v strace >/dev/null || need+=(strace)
    command -v valgrind >/dev/null || need+=(valgrind)
    command -v python3 >/dev/null || need+=(python3)
    # The runtime for components is a package of Python's.
    python3 -c 'import ensurepip' 2>/dev/null || need+=(python3-venv)
    command -v cc >/dev/null || need+=(gcc libc6-dev)
    command -v c++ >/dev/null || need+=(g++)
    command -v make >/dev/null || need+=(make)
    command -v cbindgen >/dev/null || need+=(cbindgen)
    command -v tinyproxy >/dev/null || need+=(tinyproxy-bin)
    command -v qemu-system-arm >/dev/null || need+=(qemu-system-arm)
    [ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || need+=(nginx-light)
    [ -x /usr/sbin/dnsmasq ] || command -v dnsmasq >/dev/null || need+=(dnsmasq-base)
    [ -x /usr/sbin/nft ] || command -v nft >/dev/null || need+=(nftables)
    command -v qemu-system-arm >/dev/null || need+=(qemu-system-arm)
    [ ${#need[@]} -eq 0 ] && return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        printf 'installing %s\n' "${need[*]}"
        apt-get update -qq >/dev/null 2>&1
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" \
            >"$LOG/apt" 2>&1 || { tail -n 5 "$LOG/apt" >&2; return 1; }
    else
        printf 'some tests will be skipped; install: %s\n' "${need[*]}" >&2
    fi
}

# has TARGET: whether the target's standard library is here, after trying to get it.
has() {
    local sysroot
    sysroot="$(rustc --print sysroot)"
    [ -d "$sysroot/lib/rustlib/$1/lib" ] && return 0
    command -v rustup >/dev/null && rustup target add "$1" >"$LOG/rustup" 2>&1
    [ -d "$sysroot/lib/rustlib/$1/lib" ]
}

cross() {
    local target features
    for target in $CORE_TARGETS; do
        if has "$target"; then
            step "build connie-core for $target" cargo build -q $LOCKED -p connie-core --target "$target"
        else
            skip "build connie-core for $target" "rustup target add $target"
        fi
        # smoltcp is not made for wasm32-wasip2, which has sockets of its own.
        [ "$target" = wasm32-wasip2 ] && continue
        has "$target" && step "build connie-smoltcp for $target" cargo build -q $LOCKED -p connie-smoltcp --target "$target"
        has "$target" && step "build connie-async for $target" cargo build -q $LOCKED -p connie-async --all-features --target "$target"
    done
    for features in "" embassy-time embassy-net edge-nal; do
        step "lint connie-async with the features '$features'" cargo clippy -q $LOCKED -p connie-async --no-default-features \
            --features "$features" -- -D warnings
    done
    if has wasm32-wasip2; then
        # The tests build it, and run it.
        for features in "" std; do
            step "lint connie-wasi with the features '$features'" cargo clippy -q $LOCKED -p connie-wasi --all-targets \
                --target wasm32-wasip2 --no-default-features --features "$features" -- -D warnings
        done
        step "lint the program as a component" cargo clippy -q $LOCKED -p connie-std -p connie-cli --target wasm32-wasip2 \
            --no-default-features --features connie-cli/gzip -- -D warnings
    fi
    local compiler
    for target in $STD_TARGETS; do
        if has "$target"; then
            # Nothing is linked here, so ring's C and assembly may be compiled to nothing: no cross compiler is needed.
            compiler="${target//-/_}"
            step "check connie-std for $target" env "CC_$compiler=true" "AR_$compiler=true" \
                cargo check -q $LOCKED -p connie-std --all-features --target "$target"
            step "check connie-std without its features for $target" \
                cargo check -q $LOCKED -p connie-std --no-default-features --target "$target"
            step "check connie-c for $target" cargo check -q $LOCKED -p connie-c --target "$target"
        else
            skip "check connie-std for $target" "rustup target add $target"
        fi
    done
    for features in ipv4,ethernet ipv6,ip ipv4,ipv6,ethernet,dns ipv6,slaac,udp ipv4,ip,dns ipv6,ip,nat64; do
        step "check connie-smoltcp with $features" cargo clippy -q $LOCKED -p connie-smoltcp --no-default-features \
            --features "$features" -- -D warnings
    done
    has thumbv7m-none-eabi || return 0
    if has thumbv7em-none-eabihf; then
        step "lint the firmware for a board that is not emulated" cargo clippy -q $LOCKED -p connie-firmware-stm32 \
            --target thumbv7em-none-eabihf -- -D warnings
        step "build it" cargo build -q $LOCKED -p connie-firmware-stm32 --target thumbv7em-none-eabihf
    else
        skip "build the firmware for a board that is not emulated" "rustup target add thumbv7em-none-eabihf"
    fi
    # What the tests run is built by them, with everything in it.
    step "lint the firmware" cargo clippy -q $LOCKED -p connie-firmware-qemu -p connie-http-firmware \
        --target thumbv7m-none-eabi -- -D warnings
    step "lint the firmware on embassy" cargo clippy -q $LOCKED -p connie-firmware-embassy --target thumbv7m-none-eabi -- -D warnings
    for features in ipv4 ipv6 ipv4,ipv6,dns,words ipv4,dhcp ipv6,slaac,waterfall; do
        step "lint the firmware with the features '$features'" cargo clippy -q $LOCKED -p connie-firmware-qemu \
            --target thumbv7m-none-eabi --no-default-features --features "$features" -- -D warnings
    done
    local level
    for level in z s; do
        # Links only where no path leads to a panic.
        step "link the race and HTTP, free of panics, for a microcontroller at opt-level $level" \
            env CARGO_PROFILE_SIZE_OPT_LEVEL="$level" \
            cargo build -q $LOCKED -p connie-footprint --bin microcontroller --bin names --bin http_client --target thumbv7m-none-eabi --profile size
    done
    step "a way to a panic in the HTTP client would be found" \
        cargo run -q $LOCKED -p connie-footprint --bin panic_paths
}

# The fuzzers, each for some seconds from the committed corpus, where what they need is here. What breaks a target is kept in
# fuzz/artifacts. The corpus itself is among the tests, which run anywhere.
fuzz() {
    local target found="$LOG/found"
    [ "${FUZZ_SECONDS:-10}" = 0 ] && return 0
    if ! command -v cargo-fuzz >/dev/null || ! cargo +nightly -V >/dev/null 2>&1; then
        printf 'NOT FUZZED: needs cargo install cargo-fuzz and rustup toolchain install nightly\n' >&2
        return 0
    fi
    for target in chunked connection dns race response_head url; do
        mkdir -p "$found/$target"
        step "fuzz $target for ${FUZZ_SECONDS:-10} s" cargo +nightly fuzz run --sanitizer none "$target" \
            "$found/$target" "fuzz/corpus/$target" -- -max_total_time="${FUZZ_SECONDS:-10}" -dict=fuzz/http.dict \
            -timeout=10 -verbosity=0
    done
}

# The core's unit tests under Miri, which sees undefined behaviour in what they run of the dependencies too. Needs a nightly
# toolchain, which not every machine can have: not run is said aloud, and is no failure.
miri() {
    local nightly=(cargo +nightly)
    if "${nightly[@]}" -V >/dev/null 2>&1 && ! "${nightly[@]}" miri --version >/dev/null 2>&1; then
        rustup +nightly component add miri rust-src >"$LOG/miri" 2>&1
    fi
    if ! "${nightly[@]}" miri --version >/dev/null 2>&1; then
        printf 'NOT RUN under Miri: needs rustup toolchain install nightly --component miri,rust-src\n' >&2
        return 0
    fi
    step "the core's unit tests under Miri" env CARGO_TARGET_DIR=target/miri \
        timeout 1500 "${nightly[@]}" miri test -q $LOCKED -p connie-core --lib
    # Futures that are polled in place and dropped in the middle, over a fake stack. Without Miri's rules for aliases, which (nightly of
    # May 2026) object to any array of futures that hold references into themselves, whoever polls it.
    step "connie-async's tests in virtual time under Miri" env CARGO_TARGET_DIR=target/miri MIRIFLAGS=-Zmiri-disable-stacked-borrows \
        timeout 1500 "${nightly[@]}" miri test -q $LOCKED -p connie-async --test virtual_time
}

# A test program that hangs is ended and has failed, so that the others are still heard.
tests() {
    local host limited=()
    if command -v timeout >/dev/null; then
        host="$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')"
        # In the foreground where there is a terminal, so that Ctrl-C reaches it; else with all that it has started.
        limited=("CARGO_TARGET_${host}_RUNNER=timeout --kill-after=10 $([ -t 0 ] && printf %s --foreground) 900")
    fi
    env "${limited[@]}" cargo test $LOCKED --workspace --no-fail-fast 2>&1 | tee "$LOG/tests"
}

# Instructions, code size and memory beside the figures that were accepted.
budget() {
    if command -v valgrind >/dev/null && has thumbv7m-none-eabi; then
        step "what connie costs" cargo run -q $LOCKED --release -p connie-footprint -- --check
    else
        skip "what connie costs" "valgrind, and rustup target add thumbv7m-none-eabi"
    fi
}

licences() {
    if command -v cargo-deny >/dev/null; then
        cargo deny --offline check licenses bans sources
    else
        # The list in deny.toml is the law; this reads the same list, for machines without cargo-deny.
        cargo metadata $LOCKED --format-version 1 | python3 tools/licences.py deny.toml
    fi
}

# The README's first command, as a newcomer types it, and that it needs no network.
demo() {
    cargo run $LOCKED --release -- demo >"$LOG/demo" || return 1
    cat "$LOG/demo"
    grep -q . "$LOG/demo"
}

step "packages" packages
step "format" cargo fmt --all --check
step "lint" cargo clippy -q $LOCKED --workspace --all-targets -- -D warnings
step "lint connie-std without its features" cargo clippy -q $LOCKED -p connie-std --no-default-features --all-targets -- -D warnings
cross
step "the faults that are seeded fit the code" python3 tools/faults.py --fits
step "tests" tests
miri
fuzz
step "every state of small races" cargo run -q $LOCKED --profile search -p connie-sim --bin exhaustive
budget
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc -q $LOCKED --workspace --no-deps
step "documentation of every feature" env RUSTDOCFLAGS="-D warnings" cargo doc -q $LOCKED --no-deps --all-features \
    -p connie-std -p connie-smoltcp
step "licences" licences
step "demo" demo

passes="$(awk '/^test result:/ {for (i = 1; i < NF; i++) if ($(i + 1) ~ /^passed/) sum += $i} END {print sum + 0}' "$LOG/tests")"
failures="$(awk '/^test result:/ {for (i = 1; i < NF; i++) if ($(i + 1) ~ /^failed/) sum += $i} END {print sum + 0}' "$LOG/tests")"
lines="$(grep -c '^SKIPPED' "$LOG/tests")"
title "result"
[ ${#failed[@]} -eq 0 ] || printf 'failed: %s\n' "${failed[@]}"
printf 'tests: %d passed, %d failed, %d skipped\n' $((passes - lines)) $((failures)) $((skipped + lines))
[ ${#failed[@]} -eq 0 ]
