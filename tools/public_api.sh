#!/usr/bin/env bash
# What differs in the public face of the published libraries since a tag, and whether the next version must say so.
#
#   tools/public_api.sh TAG
#   tools/public_api.sh          the public items of each crate, counted
#
# Needs `cargo install cargo-public-api cargo-semver-checks` and a nightly toolchain. A tool that is missing is reported and does not
# fail the script, unless CONNIE_STRICT_API=1.
set -uo pipefail
cd "$(dirname "$0")/.."

readonly BASELINE="${1:-}"
readonly CRATES="core http dns web wasi smoltcp async std hyper ureq proxy sim"
failed=0

# has TOOL: whether cargo has it.
has() {
    if cargo "$1" --version >/dev/null 2>&1; then return; fi
    printf 'NOT RUN: cargo %s is missing: cargo install cargo-%s\n' "$1" "$1" >&2
    [ "${CONNIE_STRICT_API:-0}" = 0 ] || failed=1
    return 1
}

if [ -n "$BASELINE" ] && ! git rev-parse --quiet --verify "$BASELINE^{commit}" >/dev/null; then
    printf '%s is not a tag or commit of this repository\n' "$BASELINE" >&2
    exit 2
fi

if has public-api; then
    for crate in $CRATES; do
        if [ -z "$BASELINE" ]; then
            items=$(cargo public-api -sss --all-features -p "connie-$crate") || { failed=1; continue; }
            printf '%-16s %5d public items\n' "connie-$crate" "$(printf '%s\n' "$items" | wc -l)"
        else
            printf '== connie-%s since %s\n' "$crate" "$BASELINE"
            cargo public-api -sss --all-features -p "connie-$crate" diff "$BASELINE..HEAD" || failed=1
        fi
    done
fi

if [ -n "$BASELINE" ] && has semver-checks; then
    for crate in $CRATES; do
        cargo semver-checks --all-features -p "connie-$crate" --baseline-rev "$BASELINE" || failed=1
    done
fi
exit "$failed"
