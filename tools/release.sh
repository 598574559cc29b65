#!/usr/bin/env bash
# Does all of a release but the upload: docs/release.md.
#
#   tools/release.sh             checks, builds what is given to people into target/release-files, and says what to type then
#   tools/release.sh --files     the files alone
#   tools/release.sh --crates    the check of the crates alone, also of what is not committed yet, as CI does it
set -euo pipefail
cd "$(dirname "$0")/.."

readonly FILES=target/release-files

fail() { printf 'release: %s\n' "$*" >&2; exit 1; }

title() { printf '\n== %s\n' "$*"; }

# Packs each published crate and builds it as the registry will hold it, from its archive, beside those that it needs: the command that
# uploads them does the same first.
crates() {
    # What cargo has unpacked of the same versions in an earlier run it would take for what is packed now.
    local unpacked="${CARGO_HOME:-$HOME/.cargo}/registry"
    rm -rf "$unpacked"/src/-*/connie-*-"$version" "$unpacked"/cache/-*/connie-*-"$version".crate
    # The same holds for what it has compiled of them.
    local built="${CARGO_TARGET_DIR:-target}/debug" old hash
    for old in "$built"/deps/connie_*.d; do
        if grep -qsF "$unpacked/src/-" "$old"; then
            hash="${old##*-}"
            rm -rf "$built"/.fingerprint/connie-*-"${hash%.d}"
        fi
    done
    cargo publish --workspace --dry-run --locked "$@"
    # A dependency by path alone is not in what is packed, so what needs it cannot be there either.
    for folder in target/package/connie-*-"$version"; do
        ! grep -q '^connie-.* = { path = "\.\./' "$folder/Cargo.toml.orig" || [ ! -e "$folder/tests" ] \
            || fail "${folder##*/} has tests that need what is not in it: exclude them in its Cargo.toml"
    done
}

# A version that nobody has yet, of a tree that is committed and has an owner.
ready() {
    [ -z "$(git status --porcelain)" ] || fail "commit or stash what is changed: $(git status --porcelain | head -n 1)"
    ! grep -q '^repository = .*/OWNER/' Cargo.toml \
        || fail "repository and homepage in Cargo.toml still say OWNER: write your own address there"
    [ -n "${DEBEMAIL:-}" ] || fail "set DEBFULLNAME and DEBEMAIL: a package for Debian says who has packed it"
    grep -q "^## $1\b" CHANGELOG.md || fail "CHANGELOG.md has no heading \"## $1\": make it of Unreleased"
    ! git rev-parse -q --verify "refs/tags/v$1" >/dev/null || fail "there is a tag v$1: raise the version in Cargo.toml"
}

licences() {
    if command -v cargo-deny >/dev/null; then
        cargo deny --offline check licenses bans sources
    else
        cargo metadata --locked --format-version 1 | python3 tools/licences.py deny.toml
    fi
}

# What people are given who do not build it themselves.
files() {
    rm -rf "$FILES"
    mkdir -p "$FILES"
    title "the program, static, for two processors"
    CONNIE_STRICT=1 packaging/static.sh "$FILES"
    title "its packages for Debian"
    cargo run -q --locked -p connie-cli --features pages --bin connie-pages -- "$FILES/pages"
    for processor in x86_64 aarch64; do packaging/deb.sh "$FILES/connie-$processor" "$FILES/pages" "$FILES"; done
    CONNIE_STRICT=1 packaging/try_deb.sh "$FILES"/connie_*_amd64.deb
    tar -C "$FILES" --sort=name --owner=0 --group=0 --mtime="@$(git log -1 --format=%ct)" -czf "$FILES/connie-$version-pages.tar.gz" pages
    rm -r "$FILES/pages"
    title "the Python package"
    cargo build -q --locked --release -p connie-c
    python3 packaging/wheel.py "${CARGO_TARGET_DIR:-target}/release/libconnie.so" "$FILES"
    CONNIE_STRICT=1 packaging/try_wheel.sh "$FILES"/connie-*.whl
    title "sums"
    (cd "$FILES" && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
}

version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)"
case "${1:-}" in
    --crates) crates --allow-dirty; exit ;;
    --files) files; exit ;;
    "") ;;
    *) fail "wants nothing, --crates or --files" ;;
esac

ready "$version"
title "licences"
licences
title "the oldest compilers"
CONNIE_STRICT_MSRV=1 tools/msrv.sh
title "crates"
crates
files
title "what is left to type"
cat <<END
git tag -a v$version -m "connie $version" && git push origin v$version
cargo publish --workspace --locked
END
printf 'and give people the files in %s\n' "$FILES"
