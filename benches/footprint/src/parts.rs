//! Where the flash and the RAM of a firmware go, by the names of what is linked.

use std::collections::HashSet;
use std::path::Path;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::tools::{say, thousands};

/// The parts of the code: what each is called, and the crates whose functions it is. A function counts to the
/// crate whose name comes first in its own.
const CODE: [(&str, &[&str]); 7] = [
    (
        "smoltcp: IP, ARP, neighbours, ICMP, UDP, TCP, DHCP",
        &["7smoltcp", "managed", "byteorder", "smoltcp.."],
    ),
    ("connie-smoltcp: the adapter", &["connie_smoltcp"]),
    ("connie-core: the race, and what a host's text means", &["connie_core"]),
    ("connie-dns: the DNS client", &["connie_dns"]),
    ("connie-http: HTTP/1.1", &["connie_http"]),
    (
        "the program, and its board: command line, console, clock, Ethernet",
        &["connie_firmware_qemu", "4race"],
    ),
    ("`core` and the compiler's own", &["4core", "Cs", "compiler_builtins", "heapless", "core.."]),
];

/// What the static RAM is: a part of the name of each that is large, and what it is called.
const RAM: [(&str, &str); 7] = [
    ("7BUFFERS", "four sockets' buffers, 512 octets for what is received and 256 for what is sent"),
    ("6FRAMES", "a frame and the answer to it, for the driver"),
    ("4SLOT", "smoltcp's own of each socket: the race's, DNS's and DHCP's"),
    ("5STACK", "smoltcp's interface, and connie-smoltcp's own"),
    ("9DATAGRAMS", "datagrams of two questions to name servers"),
    ("11start_names3DNS", "the DNS client"),
    ("4ROOM", "the command line, and later HTTP's buffer"),
];

/// Writes the table of one firmware, without a picture of the race and with it. `stack` is what it has in
/// use.
pub fn write(page: &mut String, plain: &Path, drawn: &Path, stack: u64) -> Result<(), String> {
    for line in [
        "\nWhere it goes, in the firmware of both families with DHCP and DNS, in bytes; in the second column with the waterfall. A function",
        "counts to the crate that it is written in, and one that was inlined to the one that it was inlined in: what connie-smoltcp",
        "sends and receives by has smoltcp's own functions for that inside, some 5 KB, and so has `core` in all others.\n",
        "| part | flash | with the waterfall |\n|---|--:|--:|",
    ] {
        say(page, line);
    }
    let (plain_code, drawn_code) = (code(plain)?, code(drawn)?);
    for ((what, plain), (_, drawn)) in plain_code.iter().zip(&drawn_code) {
        say(page, &format!("| {what} | {} | {} |", thousands(*plain), thousands(*drawn)));
    }
    say(page, "\n| part | RAM |\n|---|--:|");
    for (what, size) in ram(plain)? {
        say(page, &format!("| {what} | {} |", thousands(size)));
    }
    say(page, &format!("| the stack, at its deepest | {} |", thousands(stack)));
    Ok(())
}

/// The sizes of all parts of the flash.
fn code(path: &Path) -> Result<Vec<(&'static str, u64)>, String> {
    let data = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let file = object::File::parse(&*data).map_err(|error| error.to_string())?;
    let section = |name: &str| file.section_by_name(name).map_or(0, |section| section.size());
    let text = file.section_by_name(".text").ok_or("no .text section")?;
    let mut sizes = [0; CODE.len()];
    // Two functions that are the same instructions lie at one address.
    let mut seen = HashSet::new();
    for symbol in file.symbols().filter(|symbol| symbol.section_index() == Some(text.index())) {
        if symbol.size() == 0 || !seen.insert(symbol.address()) {
            continue;
        }
        let name = symbol.name().unwrap_or("");
        let first = |names: &&[&str]| names.iter().filter_map(|part| name.find(part)).min();
        let found = CODE.iter().enumerate().filter_map(|(index, (_, names))| Some((first(names)?, index)));
        if let Some((_, index)) = found.min() {
            sizes[index] += symbol.size();
        }
    }
    let mut parts: Vec<_> = CODE.iter().zip(sizes).map(|((what, _), size)| (*what, size)).collect();
    let rest = text.size() - sizes.iter().sum::<u64>();
    parts.push((
        "what has no crate's name: instructions that several functions share, `memcpy`, the start",
        rest,
    ));
    parts.push(("constants: texts, and tables", section(".rodata") + section(".data")));
    parts.push(("the vector table", section(".vector_table")));
    Ok(parts)
}

/// The sizes of all parts of the static RAM.
fn ram(path: &Path) -> Result<Vec<(&'static str, u64)>, String> {
    let data = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let file = object::File::parse(&*data).map_err(|error| error.to_string())?;
    let size = |name: &str| file.section_by_name(name).map_or(0, |section| section.size());
    let all = size(".data") + size(".bss") + size(".uninit");
    let of = |part: &str| {
        let mut symbols = file.symbols().filter(|symbol| symbol.name().is_ok_and(|name| name.contains(part)));
        symbols.find(|symbol| symbol.address() >= 0x2000_0000).map_or(0, |symbol| symbol.size())
    };
    let mut parts: Vec<_> = RAM.iter().map(|(part, what)| (*what, of(part))).collect();
    let known = parts.iter().map(|(_, size)| size).sum::<u64>();
    parts.push(("the rest", all.saturating_sub(known)));
    Ok(parts)
}
