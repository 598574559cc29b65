#!/usr/bin/env bash
# Builds the firmware of all boards, or of those that are named, and says what memory each takes.
#
#   ./build.sh [BOARD...]    prints the table, and compares the rows of README.md with it
#   ./build.sh --turn        the same of one board, which is another after each commit: for CI, as each takes minutes
#   ./build.sh --write       writes the table of all into README.md
set -euo pipefail
cd "$(dirname "$0")"
boards=(pico-w pico2-w esp32-c3 nucleo-h563zi w5500-evb-pico)
write=""
case "${1:-}" in
--write) write=1 ;;
--turn) boards=("${boards[$(git rev-list --count HEAD) % ${#boards[@]}]}") ;;
-*)
    printf 'build.sh: %s is not an option: --write, --turn, or names of boards\n' "$1" >&2
    exit 2
    ;;
?*) boards=("$@") ;;
esac
# Without the radio's firmware, whose licence forbids keeping it here, and with the certificate of the tests' authority.
export CYW43_FIRMWARE=none AUTHORITY_DER="$PWD/../firmware-https/certificates/authority.der"

for board in "${boards[@]}"; do
    [ -f "$board/Cargo.toml" ] || { printf 'build.sh: there is no board %s here\n' "$board" >&2; exit 2; }
    target="$(sed -n 's/^target = "\(.*\)"/\1/p' "$board/.cargo/config.toml")"
    rustup target list --installed 2>/dev/null | grep -qx "$target" || rustup target add "$target" >&2 || {
        printf 'build.sh: %s needs rustup target add %s\n' "$board" "$target" >&2
        exit 1
    }
    (cd "$board" && cargo build --quiet --locked --release)
done

python3 - "$write" "${boards[@]}" <<'PYTHON'
import pathlib, re, struct, sys, tomllib

write, boards = sys.argv[1], sys.argv[2:]


def sections(elf):
    """The name, kind, flags and size of each section that takes memory."""
    data = elf.read_bytes()
    table, = struct.unpack_from("<I", data, 32)
    size, count, names = struct.unpack_from("<HHH", data, 46)
    rows = [struct.unpack_from("<10I", data, table + i * size) for i in range(count)]
    start = rows[names][4]
    for name, kind, flags, address, _, length, *_ in rows:
        if flags & 2 and length:
            yield data[start + name:data.index(b"\0", start + name)].decode(), kind, flags, length


def stands(line, page):
    """Whether the page has this row, with figures within 2 in 100: paths of files are in the flash, and compilers differ."""
    cells = line.split("|")
    for other in (row.split("|") for row in page.splitlines() if row.startswith("|".join(cells[:2]) + "|")):
        pairs = [(int(a.replace(",", "")), int(b.replace(",", ""))) for a, b in zip(cells[2:4], other[2:4]) if cells[2][1].isdigit()]
        if other[4:] == cells[4:] and all(abs(a - b) <= b // 50 for a, b in pairs):
            return True
    return False


# What the linker sets aside and nobody fills: the room for the stack, and gaps.
ROOM = re.compile(r"\.stack|_dummy|_gap|\.uninit|heap")
lines = ["| board | flash | static RAM | its RAM | embassy-net | radio or Ethernet |", "|---|--:|--:|--:|---|---|"]
RAM = {"pico-w": "264 KB", "pico2-w": "520 KB", "esp32-c3": "400 KB", "nucleo-h563zi": "640 KB", "w5500-evb-pico": "264 KB"}
DRIVER = {"pico-w": "cyw43", "pico2-w": "cyw43", "esp32-c3": "esp-radio", "nucleo-h563zi": "embassy-stm32", "w5500-evb-pico": "w5500-hl"}
for board in boards:
    folder = pathlib.Path(board)
    target = tomllib.loads((folder / ".cargo/config.toml").read_text())["build"]["target"]
    root = pathlib.Path(__import__("os").environ.get("CARGO_TARGET_DIR", folder / "target"))
    flash = ram = 0
    for name, kind, flags, length in sections(root / target / "release" / board):
        if ROOM.search(name) or name.startswith(".defmt"):
            continue
        # 8: no octets in the file. 1: can be written.
        flash += length if kind != 8 else 0
        ram += length if flags & 1 else 0
    locked = {p["name"]: p["version"] for p in tomllib.loads((folder / "Cargo.lock").read_text())["package"]}
    net = locked.get("embassy-net", "-")
    lines.append(f"| {board} | {flash:,} | {ram:,} | {RAM[board]} | {net} | {DRIVER[board]} {locked[DRIVER[board]]} |")
table = "\n".join(lines)
print(table)
page = pathlib.Path("README.md")
text = page.read_text()
if write:
    page.write_text(re.sub(r"(?s)\| board \| flash.*?\n\n", table + "\n\n", text))
elif others := [line for line in lines if not stands(line, text)]:
    sys.exit("build.sh: README.md has other figures (build.sh --write):\n" + "\n".join(others))
PYTHON
