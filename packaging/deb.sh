#!/usr/bin/env bash
# Packs the program with its manual pages and completions for Debian and its relatives.
#
#   packaging/deb.sh PROGRAM PAGES FOLDER     writes FOLDER/connie_VERSION_PROCESSOR.deb and prints its path
#
# PROGRAM is a connie that was built, static or not; PAGES a folder that connie-pages has written. DEBFULLNAME and DEBEMAIL say who
# packs, as for Debian's own tools. From the same commit comes the same file.
set -euo pipefail

if [ $# != 3 ]; then
    printf 'deb: wants the program, the folder of its pages, and a folder for the package\n' >&2
    exit 2
fi
program="$(realpath "$1")" pages="$(realpath "$2")"
mkdir -p "$3"
folder="$(realpath "$3")"
cd "$(dirname "$0")/.."

version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)"
homepage="$(sed -n 's/^homepage = "\(.*\)"$/\1/p' Cargo.toml)"
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH

# Debian's name of the processor that the program is for.
processor() {
    case "$(readelf -hW "$program" | sed -n 's/^ *Machine: *//p')" in
        *X86-64*) echo amd64 ;;
        AArch64) echo arm64 ;;
        *) printf 'deb: %s is for no processor that is known here\n' "$program" >&2; return 1 ;;
    esac
}

# What the program asks for at run time. A static one asks for nothing.
needs() {
    readelf -dW "$program" | grep -q NEEDED || return 0
    local newest
    newest="$(readelf -VW "$program" | grep -o 'GLIBC_[0-9.]*' | cut -d_ -f2 | sort -uV | tail -n 1)"
    printf 'Depends: libc6 (>= %s), libgcc-s1\n' "$newest"
}

processor="$(processor)"
tree="$(mktemp -d)"
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
umask 022

install -D -m 755 "$program" "$tree/usr/bin/connie"
strip --strip-unneeded "$tree/usr/bin/connie" 2>/dev/null || true
for page in "$pages"/man/*.1; do
    install -D -m 644 "$page" "$tree/usr/share/man/man1/${page##*/}"
done
gzip -9n "$tree"/usr/share/man/man1/*
install -D -m 644 "$pages/completions/bash/connie" "$tree/usr/share/bash-completion/completions/connie"
install -D -m 644 "$pages/completions/zsh/_connie" "$tree/usr/share/zsh/vendor-completions/_connie"
install -D -m 644 "$pages/completions/fish/connie.fish" "$tree/usr/share/fish/vendor_completions.d/connie.fish"

# Neither is started by the package.
for unit in packaging/connie-proxy.service packaging/connie-proxy.socket; do
    install -D -m 644 "$unit" "$tree/usr/lib/systemd/system/${unit##*/}"
done

documents="$tree/usr/share/doc/connie"
mkdir -p "$documents"
who="${DEBFULLNAME:-The connie authors} <${DEBEMAIL:-root@localhost}>"
cat >"$documents/copyright" <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: connie
Source: $homepage

Files: *
Copyright: The connie authors
License: MIT or Apache-2.0

License: MIT
$(sed -e 's/^$/./' -e 's/^/ /' LICENSE-MIT)

License: Apache-2.0
 On Debian systems the whole text is in /usr/share/common-licenses/Apache-2.0.
END
printf 'connie (%s) unstable; urgency=medium\n\n  * See %s for what has changed.\n\n -- %s  %s\n' \
    "$version" "$homepage" "$who" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$documents/changelog.gz"

mkdir "$tree/DEBIAN"
(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
cat >"$tree/DEBIAN/control" <<END
Package: connie
Version: $version
Architecture: $processor
Maintainer: $who
Installed-Size: $(du -sk "$tree/usr" | cut -f1)
$(needs)
Recommends: ca-certificates
Section: net
Priority: optional
Homepage: $homepage
Description: fetch pages over the address that answers first
 A host name often has a dozen addresses. An ordinary client takes the first
 and, if that is dead, waits a long timeout before the next. connie tries all
 of them at once, keeps the first that completes its handshake, closes the rest
 and goes on with the winner. Options and exit codes are curl's.
END
install -m 755 packaging/deb/postinst packaging/deb/prerm packaging/deb/postrm "$tree/DEBIAN/"
# A program without needs leaves an empty line.
sed -i '/^$/d' "$tree/DEBIAN/control"

package="$folder/connie_${version}_$processor.deb"
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
printf '%s\n' "$package"
