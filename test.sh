#!/usr/bin/env bash
# Installs what the tests need, where it can, and runs everything: style, every target, all tests, the documentation, the
# README's first command. Ends with a count. Each step says how long it took.
#
#   ./test.sh                    what cannot run here says what it needs, and counts as skipped
#   ./test.sh CRATE...           one crate or some: style, targets and features (tools/checks.txt), tests, documentation
#   ./test.sh --list             what there is, with its commands
#   ./test.sh --accept-tests     writes tests/all_tests.txt anew
#   CONNIE_STRICT=1 ./test.sh    what cannot run here has failed
#   FUZZ_SECONDS=0 ./test.sh     how long each fuzzer searches, 10 s by default
set -uo pipefail
cd "$(dirname "$0")"

readonly STRICT="${CONNIE_STRICT:-0}"
LOG="$(mktemp -d)"
readonly LOG
failed=()
skipped=0
# The steps that run beside the others: their process group.
beside=""
trap '[ -z "$beside" ] || kill -- "-$beside" 2>/dev/null; rm -rf "$LOG"' EXIT
# With --list, steps are told and not taken.
listing=""
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
# How long the test of connie-proxy goes on that looks what connections leave behind.
export CONNIE_SOAK_SECONDS="${CONNIE_SOAK_SECONDS:-20}"
# A build that differs from the committed Cargo.lock is not the one that was tested.
readonly LOCKED="--locked"

title() { printf '\n== %s\n' "$*"; }

# step NAME COMMAND...: runs the command and says how long it took; a failure is noted, and the rest goes on.
step() {
    local name="$1" start="$SECONDS"
    shift
    if [ -n "$listing" ]; then
        # This script's own words before the command are nothing to type.
        while [ "$(type -t "$1")" = function ]; do shift; done
        printf ' '
        # The folder of this run is gone when it ends.
        printf ' %q' "${@//$LOG/LOG}"
        printf '\n'
        return
    fi
    title "$name"
    if "$@"; then
        printf '== %s (%d s)\n' "$name" $((SECONDS - start))
    else
        failed+=("$name")
        printf '== FAILED: %s (%d s)\n' "$name" $((SECONDS - start)) >&2
    fi
}

# beside COMMAND...: steps that take long and that no test waits for, one after another, at the lowest priority, while the
# others go on. The tests wait for timers and peers most of their time: the processors are free for this.
beside() {
    if [ -n "$listing" ]; then all_of "$@"; return; fi
    # With job control it is a process group, which can be ended with all that it has started.
    set -m
    (
        renice -n 19 "$BASHPID" >/dev/null
        failed=()
        skipped=0
        all_of "$@"
        printf '%s\n' "$skipped" "${failed[@]}" >"$LOG/beside.result"
    ) >"$LOG/beside" 2>&1 </dev/null &
    beside=$!
    set +m
}

all_of() {
    local command
    for command in "$@"; do "$command"; done
}

# Waits for the steps that run beside, and says what they said.
joined() {
    local result
    [ -n "$beside" ] || return 0
    wait "$beside"
    beside=""
    cat "$LOG/beside"
    if ! mapfile -t result <"$LOG/beside.result" || [ ${#result[@]} -eq 0 ]; then
        failed+=("the steps beside the others: they broke off")
        return
    fi
    skipped=$((skipped + result[0]))
    failed+=("${result[@]:1}")
}

# skip WHAT NEEDS: something cannot run here.
skip() {
    printf 'SKIPPED %s: needs %s\n' "$1" "$2" >&2
    if [ "$STRICT" = 1 ]; then failed+=("$1"); else skipped=$((skipped + 1)); fi
}

# rows FILE: its lines without comments.
rows() { sed -e 's/#.*//' -e '/^ *$/d' "tools/$1"; }

# The workspace's crates, without `connie-`.
crates() {
    cargo metadata $LOCKED --no-deps --format-version 1 | grep -o '"name":"connie-[a-z0-9-]*","version"' \
        | sed 's/"name":"connie-\(.*\)","version"/\1/' | sort
}

# there PROGRAM: a program, or a module as `python3:MODULE`.
there() {
    case "$1" in
        python3:*) python3 -c "import ${1#python3:}" 2>/dev/null ;;
        *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
    esac
}

# wanted LIST [CRATE...]: whether one of the crates is in the list. Where none is named, all are meant.
wanted() {
    local list=",$1," crate
    [ $# -eq 1 ] || [ "$1" = - ] && return 0
    for crate in "${@:2}"; do [[ "$list" == *",$crate,"* ]] && return 0; done
    return 1
}

# packages [CRATE...]: installs the Debian packages behind the programs that tests use, all or those of some crates.
packages() {
    local program debian users need=()
    while read -r program debian users; do
        # A row may bring several.
        if wanted "$users" "$@" && ! there "$program"; then need+=(${debian//,/ }); fi
    done < <(rows programs.txt)
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
    [ "$1" = - ] || [ -n "$listing" ] && return 0
    local sysroot
    sysroot="$(rustc --print sysroot)"
    [ -d "$sysroot/lib/rustlib/$1/lib" ] && return 0
    command -v rustup >/dev/null && rustup target add "$1" >"$LOG/rustup" 2>&1
    [ -d "$sysroot/lib/rustlib/$1/lib" ]
}

# arguments CRATE VERB: those of its lines with this verb.
arguments() { rows checks.txt | awk -v crate="$1" -v verb="$2" '$1 == crate && $2 == verb {$1 = $2 = $3 = ""; print}'; }

# checks CRATE: what tools/checks.txt says of it.
checks() {
    local row lines crate verb target arguments name command
    # All of them first: what a step reads from stdin is not to be the rest of them.
    mapfile -t lines < <(rows checks.txt | awk -v crate="$1" '$1 == crate && $2 != "itself" && $2 != "test"')
    for row in "${lines[@]}"; do
        read -r crate verb target arguments <<<"$row"
        name="$verb connie-$crate${arguments:+ $arguments}"
        command=(cargo "$verb" -q $LOCKED -p "connie-$crate")
        [ "$target" = - ] || { name+=" for $target"; command+=(--target "$target"); }
        command+=($arguments)
        [ "$verb" = clippy ] && command+=(-- -D warnings)
        # Nothing is linked by `check`, so ring's C and assembly may be compiled to nothing: no cross compiler is needed.
        [ "$verb" = check ] && command=(env "CC_${target//-/_}=true" "AR_${target//-/_}=true" "${command[@]}")
        if has "$target"; then step "$name" "${command[@]}"; else skip "$name" "rustup target add $target"; fi
    done
}

# tests COMMAND...: cargo's tests, into the log of all and that of the last. A test program that hangs is ended and has
# failed, so that the others are still heard.
tests() {
    local host limited=()
    if command -v timeout >/dev/null; then
        host="$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')"
        # In the foreground where there is a terminal, so that Ctrl-C reaches it; else with all that it has started.
        limited=("CARGO_TARGET_${host}_RUNNER=timeout --kill-after=10 $([ -t 0 ] && printf %s --foreground) 900")
    fi
    env "${limited[@]}" "$@" 2>&1 | tee "$LOG/last" | tee -a "$LOG/tests"
}

# The fuzzers, each for some seconds from the committed corpus, where what they need is here. What breaks a target is kept in
# fuzz/artifacts. The corpus itself is among the tests, which run anywhere.
fuzz() {
    local target found="$LOG/found"
    [ "${FUZZ_SECONDS:-10}" = 0 ] && return 0
    if ! command -v cargo-fuzz >/dev/null || ! cargo +nightly -V >/dev/null 2>&1; then
        [ -n "$listing" ] || printf 'NOT FUZZED: needs cargo install cargo-fuzz and rustup toolchain install nightly\n' >&2
        [ -n "$listing" ] || return 0
    fi
    for target in chunked connect connection dns_client dns_lookups memory memory_bytes proxy_request proxy_socks5 race response_head url; do
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
    if "${nightly[@]}" -V >/dev/null 2>&1 && ! "${nightly[@]}" miri --version >/dev/null 2>&1 && [ -z "$listing" ]; then
        rustup +nightly component add miri rust-src >"$LOG/miri" 2>&1
    fi
    if ! "${nightly[@]}" miri --version >/dev/null 2>&1; then
        [ -n "$listing" ] || printf 'NOT RUN under Miri: needs rustup toolchain install nightly --component miri,rust-src\n' >&2
        [ -n "$listing" ] || return 0
    fi
    step "the unit tests of the core and of HTTP under Miri" env CARGO_TARGET_DIR=target/miri \
        timeout 2400 "${nightly[@]}" miri test -q $LOCKED -p connie-core -p connie-http --lib
    # Futures that are polled in place and dropped in the middle, over a fake stack. Without Miri's rules for aliases, which (nightly of
    # May 2026) object to any array of futures that hold references into themselves, whoever polls it.
    step "connie-async's tests in virtual time under Miri" env CARGO_TARGET_DIR=target/miri MIRIFLAGS=-Zmiri-disable-stacked-borrows \
        timeout 2400 "${nightly[@]}" miri test -q $LOCKED -p connie-async --test virtual_time
}

# counted COMMAND...: the figures that cannot be counted here are skipped; where everything must run the
# command itself fails.
counted() {
    local status=0
    "$@" >"$LOG/budget" || status=$?
    cat "$LOG/budget"
    skipped=$((skipped + $(grep -c '^SKIPPED [^ ]*: not counted here$' "$LOG/budget")))
    return "$status"
}

exhaustive() {
    step "every state of small races" cargo run -q $LOCKED --profile search -p connie-sim --bin exhaustive
}

# Instructions, code size and memory beside the figures that were accepted.
budget() {
    has thumbv7m-none-eabi
    step "what connie costs" counted cargo run -q $LOCKED --release -p connie-footprint -- --check
}

# Very many races in one process, a tenth of them canceled: what it has at the end is what it had at the start.
soak() { step "races for ${SOAK_SECONDS:-30} s" cargo run -q $LOCKED -p connie-tests --bin soak -- --seconds "${SOAK_SECONDS:-30}" --seed 1; }

# Links, anchors, blocks of code and commands of all pages; the figures in them, beside what they come from.
pages() {
    step "the pages' links, blocks and commands" python3 tools/pages.py
    step "the pages' figures" python3 tools/figures.py
}

# The book, where mdBook is here, and every link of it.
book() {
    if ! command -v mdbook >/dev/null && [ -z "$listing" ]; then
        printf 'NOT RUN: mdbook is missing: cargo install mdbook --locked\n' >&2
        return 0
    fi
    step "the book" python3 tools/book.py
}

faults() { step "the faults that are seeded fit the code" python3 tools/faults.py --fits; }

# The list in deny.toml is the law; the second reads the same list, for machines without cargo-deny.
licences() {
    if command -v cargo-deny >/dev/null; then
        step "licences" cargo deny --offline check licenses bans sources
    else
        step "licences" sh -c "cargo metadata $LOCKED --format-version 1 | python3 tools/licences.py deny.toml"
    fi
}

# The crates as the registry will hold them, by the command that a release uses.
crates_packed() { step "the crates, packed and built from that" tools/release.sh --crates; }

# What is published, with the oldest compilers that it promises. Which are not here is said aloud.
msrv() { step "the oldest compilers" tools/msrv.sh; }

# The program for Debian, from the release that the demo has run: its pages are made, it is packed, installed, used and removed.
deb() {
    there dpkg-deb || { skip "the package for Debian" "dpkg-deb"; return; }
    step "manual pages and completions" cargo run -q $LOCKED -p connie-cli --features pages --bin connie-pages -- "$LOG/pages"
    step "the package for Debian" packaging/deb.sh "${CARGO_TARGET_DIR:-target}/release/connie" "$LOG/pages" "$LOG/deb"
    step "it is installed, used and removed" packaging/try_deb.sh "$LOG/deb"
}

# The Python package, with the library inside, in a fresh environment and under other clients.
wheel() {
    there python3:ensurepip || { skip "the wheel" "apt-get install python3-venv"; return; }
    step "the C library" cargo build -q $LOCKED --release -p connie-c
    step "the wheel" python3 packaging/wheel.py "${CARGO_TARGET_DIR:-target}/release/libconnie.so" "$LOG/wheel"
    step "it is installed and used" packaging/try_wheel.sh "$LOG/wheel"
}

# The README's first command, as a newcomer types it, and that it needs no network.
demo() {
    "$@" >"$LOG/demo" || return 1
    cat "$LOG/demo"
    grep -q . "$LOG/demo"
}

# documented NAME ARGUMENTS...: rustdoc's warnings are errors.
documented() { step "$1" env RUSTDOCFLAGS="-D warnings" cargo doc -q $LOCKED --no-deps "${@:2}"; }

# one CRATE: what there is of it alone.
one() {
    local crate="$1" package="connie-$1" features further others
    read -ra features <<<"$(arguments "$crate" itself)"
    step "format $package" cargo fmt -p "$package" --check
    step "lint $package" cargo clippy -q $LOCKED -p "$package" --all-targets "${features[@]}" -- -D warnings
    checks "$crate"
    [ "$crate" = footprint ] && budget
    [ "$crate" = core ] && faults
    [ "$crate" = tests ] && soak
    step "tests of $package" tests cargo test $LOCKED --no-fail-fast -p "$package" "${features[@]}"
    step "the tests of $package are those that are listed" \
        python3 tools/test_list.py "$LOG/last" "$package" "${features[@]}"
    mapfile -t others < <(arguments "$crate" test)
    for further in "${others[@]}"; do
        step "other tests of $package" tests cargo test $LOCKED --no-fail-fast $further
    done
    documented "documentation of $package" -p "$package" "${features[@]}"
}

# whole CRATE...: everything there is. The crates are all crates.
whole() {
    local crate features
    beside miri exhaustive budget
    step "format" cargo fmt --all --check
    step "prose within 110 columns" python3 tools/wrap.py --check
    pages
    book
    step "lint" cargo clippy -q $LOCKED --workspace --all-targets -- -D warnings
    for crate in "$@"; do checks "$crate"; done
    faults
    step "tests" tests cargo test $LOCKED --no-fail-fast --workspace
    step "the tests are those that are listed" python3 tools/test_list.py "$LOG/last"
    soak
    fuzz
    step "what connie costs the network and its servers" cargo run -q $LOCKED --release -p connie-tools --bin courtesy -- --ci
    documented "documentation" --workspace
    for crate in "$@"; do
        read -ra features <<<"$(arguments "$crate" itself)"
        [ ${#features[@]} -eq 0 ] || documented "documentation of connie-$crate ${features[*]}" -p "connie-$crate" "${features[@]}"
    done
    licences
    msrv
    # Not beside the tests: programs of the same names come to lie in the same place.
    crates_packed
    step "demo" demo cargo run $LOCKED --release -- demo
    deb
    wheel
    joined
}

# count WORD: how many tests cargo's logs say have passed, or failed.
count() {
    awk -v word="^$1" '/^test result:/ {for (i = 1; i < NF; i++) if ($(i + 1) ~ word) sum += $i} END {print sum + 0}' "$LOG/tests"
}

list() {
    local crate
    listing=1
    printf 'crates, each by ./test.sh CRATE:\n'
    for crate in "$@"; do printf '\n%s\n' "$crate"; one "$crate"; done
    printf '\nthe whole tree, by ./test.sh:\n\n'
    whole "$@"
}

mapfile -t all < <(crates)
chosen=()
for word in "$@"; do
    case "$word" in
        --list) list "${all[@]}"; exit 0 ;;
        --accept-tests) python3 tools/test_list.py --accept; exit ;;
    esac
    word="${word#connie-}"
    if [[ " ${all[*]} " != *" $word "* ]]; then
        printf 'test.sh: there is no crate %s; there are %s, and --list and --accept-tests\n' "${word@Q}" "${all[*]}" >&2
        exit 2
    fi
    chosen+=("$word")
done

touch "$LOG/tests"
step "packages" packages "${chosen[@]}"
if [ ${#chosen[@]} -eq 0 ]; then whole "${all[@]}"; fi
for crate in "${chosen[@]}"; do one "$crate"; done

lines="$(grep -c '^SKIPPED' "$LOG/tests")"
title "result ($SECONDS s)"
[ ${#failed[@]} -eq 0 ] || printf 'failed: %s\n' "${failed[@]}"
printf 'tests: %d passed, %d failed, %d skipped\n' $(($(count passed) - lines)) "$(count failed)" $((skipped + lines))
[ ${#failed[@]} -eq 0 ]
