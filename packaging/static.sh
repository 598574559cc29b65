#!/usr/bin/env bash
# Builds the program so that it needs nothing of the system it runs on, for two processors, and tries each:
#
#   packaging/static.sh FOLDER [x86_64] [aarch64]     writes FOLDER/connie-x86_64 and FOLDER/connie-aarch64
#
# It is linked with musl. C compilers are needed for the cryptography, those of Debian's musl-tools, gcc-aarch64-linux-gnu and
# libc6-dev-arm64-cross; the other processor's program is run by qemu-user-static. What is missing is said aloud, and fails with
# CONNIE_STRICT=1 alone.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0
TARGET="$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')"

# missing PROGRAM...: the first of them that is not there.
missing() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || { printf '%s\n' "$program"; return; }
    done
}

# is_static FILE: it asks for no interpreter and for no library.
is_static() { ! readelf -lW "$1" | grep -q INTERP && ! readelf -dW "$1" 2>/dev/null | grep -q NEEDED; }

# works COMMAND...: it says its version with all features, races over a simulated network, and fetches a page over the second of two
# addresses, of which the first refuses.
works() {
    local port page
    "$@" -V | grep -qx 'features: br dns doctor gzip idna progress proxy tls zstd' || return 1
    "$@" demo >/dev/null || return 1
    port="$(<"$served/port")"
    page="$("$@" get -s -m 20 --resolve "name.test:$port:127.0.0.3,127.0.0.1" "http://name.test:$port/page")" || return 1
    [ "$page" = "the page" ] || { printf 'static: fetched %q\n' "$page" >&2; return 1; }
}

# program PROCESSOR COMPILER RUNNER...: builds for it and runs that.
program() {
    local processor="$1" compiler="$2" triple="$1-unknown-linux-musl" gone built
    shift 2
    gone="$(missing "$compiler" "$@")"
    if [ -n "$gone" ] || ! rustup target list --installed 2>/dev/null | grep -qx "$triple"; then
        printf 'NOT BUILT for %s: needs %s\n' "$processor" "${gone:-rustup target add $triple}" >&2
        [ "${CONNIE_STRICT:-0}" = 0 ] || failed=1
        return
    fi
    # The linker that Rust brings serves both. The compiler of the other processor has another C library's headers: without the checked
    # functions that only that library has.
    env "CC_${triple//-/_}=$compiler" "CFLAGS_${triple//-/_}=-U_FORTIFY_SOURCE" "CARGO_TARGET_$(printf %s "$triple" | tr 'a-z-' 'A-Z_')_LINKER=rust-lld" \
        cargo build -q --locked --release -p connie-cli --bin connie --target "$triple" || { failed=1; return; }
    built="$TARGET/$triple/release/connie"
    if is_static "$built" && works "$@" "$built"; then
        cp "$built" "$folder/connie-$processor"
        printf 'connie-%s: %s octets, static, runs\n' "$processor" "$(stat -c %s "$built")"
    else
        printf 'static: what was built for %s does not do what it has to\n' "$processor" >&2
        failed=1
    fi
}

folder="${1:?static: wants a folder}"
shift
[ $# -gt 0 ] || set -- x86_64 aarch64
mkdir -p "$folder"
served="$(mktemp -d)"
trap 'kill "$server" 2>/dev/null; rm -rf "$served"' EXIT
mkdir "$served/files"
printf 'the page\n' >"$served/files/page"
python3 - "$served" <<'END' &
import functools, http.server, os, sys
served = sys.argv[1]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served + "/files")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
with open(served + "/new", "w") as file:
    file.write(str(server.server_port))
os.rename(served + "/new", served + "/port")
sys.stderr = open(os.devnull, "w")
server.serve_forever()
END
server=$!
for _ in $(seq 100); do [ -e "$served/port" ] && break; sleep 0.1; done

for processor in "$@"; do
    case "$processor" in
        x86_64) program x86_64 musl-gcc ;;
        aarch64) program aarch64 aarch64-linux-gnu-gcc qemu-aarch64-static ;;
        *) printf 'static: there is no %s here: x86_64 or aarch64\n' "$processor" >&2; failed=1 ;;
    esac
done
exit "$failed"
