#!/usr/bin/env bash
# Installs a package of connie, uses what it brings, removes it, and looks whether anything is left: on this system as dpkg sees it, and in
# memory. What is written goes into a layer over the root file system that is gone when this ends. Needs root.
#
#   packaging/try_deb.sh PACKAGE     or a folder with nothing else in it
set -euo pipefail

package="$(realpath "${1:?try_deb: wants a package}")"
[ ! -d "$package" ] || package="$(realpath "$package"/*.deb)"
[ "$(id -u)" = 0 ] || { printf 'NOT TRIED: %s: needs root\n' "$package" >&2; exit "${CONNIE_STRICT:-0}"; }
here="$(mktemp -d)"
trap 'rmdir "$here"' EXIT

# In mounts of its own: $1 is an empty folder, $2 the package.
unshare --mount --propagation private bash -euo pipefail -s "$here" "$package" <<'END'
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mkdir -p "$1/root/proc" "$1/root/dev"
mount --bind /proc "$1/root/proc"
mount --bind /dev "$1/root/dev"
cp "$2" "$1/root/connie.deb"
cat >"$1/root/try.sh" <<'TRY'
set -euo pipefail
say() { printf 'try_deb: %s\n' "$*" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
! command -v connie >/dev/null || say "there is a connie on this system already"
files() { find /usr/bin /usr/share /etc /var/lib -xdev \( -name "*connie*" -o -newer /connie.deb -type f \) ! -path "/var/lib/dpkg/*" | sort; }
files >/before
# A stand-in for systemctl that records its arguments.
mkdir -p /run/systemd/system /stub
printf '#!/bin/sh\necho "$*" >>/told\n' >/stub/systemctl
chmod 755 /stub/systemctl
export PATH="/stub:$PATH"
# Pages of the manual are left out where a system says so, as a container's does.
dpkg --no-act -i /connie.deb >/dev/null
dpkg --force-unsafe-io -D0 --path-include='/usr/share/man/*' --path-include='/usr/share/doc/*' -i /connie.deb >/dev/null
[ "$(dpkg-query -W -f '${Status}' connie)" = "install ok installed" ] || say "not installed"
dpkg --verify connie || say "files differ from what was packed"
connie -V | grep -q '^features: .*tls' || say "connie -V"
connie demo >/dev/null || say "connie demo"
for page in connie connie-get connie-race connie-demo connie-memory connie-doctor connie-proxy connie-bench; do
    zcat "/usr/share/man/man1/$page.1.gz" | grep -q '^\.SH NAME' || say "no page $page(1)"
done
if command -v man >/dev/null; then
    MANPAGER=cat man connie-get 2>/dev/null | grep -q -- '--max-redirs <N>' || say "man connie-get"
fi
[ -e /usr/lib/systemd/system/connie-proxy.socket ] || say "no unit of systemd"
if command -v systemd-analyze >/dev/null; then
    systemd-analyze verify --man=no /usr/lib/systemd/system/connie-proxy.service /usr/lib/systemd/system/connie-proxy.socket \
        || say "systemd does not take the units"
fi
completed() {
    bash -c '
        source /usr/share/bash-completion/completions/connie
        COMP_WORDS=(connie get --max-r) COMP_CWORD=2
        _connie connie --max-r get
        printf "%s\n" "${COMPREPLY[@]}"'
}
[ "$(cat /told)" = "--system daemon-reload" ] || say "the first installation told systemd: $(cat /told)"
dpkg --force-unsafe-io -i /connie.deb >/dev/null
grep -qx 'try-restart connie-proxy.service' /told || say "an upgrade does not restart a running proxy"
grep -q '^Type=notify$' /usr/lib/systemd/system/connie-proxy.service || say "the unit does not wait for the proxy"
# As systemd makes them for a service with a user of its own.
mkdir -p /var/lib/private/connie-proxy
ln -s private/connie-proxy /var/lib/connie-proxy
touch /var/lib/private/connie-proxy/memory
[ "$(completed)" = --max-redirs ] || say "bash completes --max-r to $(completed)"
if command -v fish >/dev/null; then
    fish --no-config -c 'source /usr/share/fish/vendor_completions.d/connie.fish; complete -C "connie get --max-r"' \
        | grep -q '^--max-redirs' || say "fish does not complete"
fi
if command -v zsh >/dev/null; then
    zsh -n /usr/share/zsh/vendor-completions/_connie || say "zsh does not read its completions"
fi
: >/told
dpkg --remove connie >/dev/null
grep -qx 'disable --now connie-proxy.socket connie-proxy.service' /told || say "the proxy is not stopped when the package is removed"
[ -e /var/lib/connie-proxy/memory ] || say "its memory is removed before the package is purged"
dpkg --purge connie >/dev/null
[ ! -e /usr/bin/connie ] || say "connie is still there"
files >/after
cmp -s /before /after || say "left behind: $(diff /before /after)"
TRY
chroot "$1/root" bash /try.sh
END
printf '%s: installed, used and removed\n' "${package##*/}"
