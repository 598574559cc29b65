//! The firmware of `examples/firmware-qemu`: its sizes, read from the linked program, and its stack, as it runs in QEMU.

use std::path::Path;
use std::sync::mpsc;

use connie_tests::firmware::{Firmware, Parts, Run, STATIC, build, link};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, v4, v6};
use connie_tests::servers::Nginx;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::tools::{say, thousands};

/// A firmware, its parts, and what it was meant to be at most: flash and RAM in all.
type Variant = (&'static str, &'static str, &'static str, Option<(u64, u64)>);

const VARIANTS: [Variant; 7] = [
    ("the race, with DHCP, SLAAC, DNS and the waterfall", "race", "dhcp,slaac,dns,waterfall", None),
    ("the race, with DHCP, DNS and the waterfall", "race", "dhcp,dns,waterfall", Some((98_304, 24_576))),
    ("the race, with DHCP and DNS", "race", "dhcp,dns", None),
    ("the first address, with DHCP and DNS, without connie", "first", "dhcp,dns", None),
    ("the race, with the waterfall", "race", "waterfall", Some((65_536, 24_576))),
    ("the race alone", "race", "", None),
    ("the first address alone, without connie", "first", "", None),
];

/// nginx listens here.
const PORT: u16 = 8081;

/// Bytes.
#[derive(Clone, Copy)]
struct Sizes {
    flash: u64,
    /// Static.
    ram: u64,
    /// Of the static RAM, what each socket has: buffers and smoltcp's own.
    socket: u64,
    stack: u64,
}

/// Builds and runs each, and writes the table.
pub fn write(page: &mut String) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("the firmware's stack is measured in QEMU, on a network that only root may make: run this as root".to_owned());
    }
    let mut programs = Vec::new();
    for (_, program, features, _) in VARIANTS {
        programs.push(build(program, Parts::Features(features))?);
    }
    let (done, measured) = mpsc::channel();
    let firmware = programs.iter().cloned().map(Firmware::at).collect::<Result<Vec<_>, _>>()?;
    in_namespace(move |lab| {
        let _ = done.send(firmware.iter().map(|firmware| stack(lab, firmware)).collect::<Vec<_>>());
    });
    let stacks = measured.recv().map_err(|_| "the laboratory cannot be set up".to_owned())?;
    let mut sizes = Vec::new();
    for ((program, (_, name, ..)), stack) in programs.iter().zip(VARIANTS).zip(stacks) {
        sizes.push(read(program, name == "race", stack?)?);
    }
    table(page, &sizes);
    Ok(())
}

fn table(page: &mut String, sizes: &[Sizes]) {
    say(page, "\n## A whole firmware\n");
    say(
        page,
        "`examples/firmware-qemu` for a Cortex-M3, at `opt-level = \"z\"`: smoltcp with IPv4 and IPv6 over Ethernet, the driver, a command line, and an HTTP",
    );
    say(
        page,
        "client; the race over four sockets with 1 KiB of buffers each, the first address over one. Flash is code, constants and initial values. The stack is the most",
    );
    say(page, "that was in use in runs in QEMU, to a live address and to twelve of which eleven are dead.\n");
    say(
        page,
        "| firmware | flash | target | static RAM | stack | RAM in all | target |\n|---|--:|--:|--:|--:|--:|--:|",
    );
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), thousands);
    for ((what, _, _, target), size) in VARIANTS.iter().zip(sizes) {
        let (flash, ram) = target.unzip();
        say(
            page,
            &format!(
                "| {what} | {} | {} | {} | {} | {} | {} |",
                thousands(size.flash),
                number(flash),
                thousands(size.ram),
                thousands(size.stack),
                thousands(size.ram + size.stack),
                number(ram),
            ),
        );
    }
    let [_, drawn, named, named_first, _, alone, first] = sizes else { return };
    say(
        page,
        "\nWhat connie adds to the same program, in bytes. The targets are those of the race itself.\n",
    );
    say(page, "| what | flash | target | RAM in all | target |\n|---|--:|--:|--:|--:|");
    let three = 3 * alone.socket;
    for (what, with, without) in [
        ("race, adapter to smoltcp, HTTP client, and names of both families", named, named_first),
        ("race, adapter to smoltcp, HTTP client", alone, first),
    ] {
        let flash = thousands(with.flash.saturating_sub(without.flash));
        let ram = thousands((with.ram + with.stack).saturating_sub(without.ram + without.stack + three));
        say(page, &format!("| {what} | {flash} | 8,192 | {ram} | 2,048 |"));
    }
    let picture = thousands(drawn.flash.saturating_sub(named.flash));
    say(page, &format!("| the picture of the race | {picture} | - | - | - |"));
    say(page, &format!("| three more sockets | 0 | - | {} | - |", thousands(three)));
    say(
        page,
        "\nWhere a target is missed, more was counted than it was set for. Of the flash, the race and its connector are what the table before says; the",
    );
    say(
        page,
        "rest is an adapter that tells refused from unreachable and asks for neighbours by itself, and an HTTP client where the program without connie has a few",
    );
    say(page, "lines of its own.");
}

/// The most bytes of stack in use, over two runs.
fn stack(lab: &Lab, firmware: &Firmware) -> Result<u64, String> {
    if lab.log().attempts().is_empty() {
        link(lab);
    }
    lab.set(v4(6), Behaviour::accept(ms(20)).to_port(PORT));
    let nginx =
        Nginx::start(PORT, &[("page", b"the page\n")]).ok_or("no nginx: apt-get install nginx-light")?;
    let twelve: Vec<_> = (1..=6).flat_map(|n| [v6(n).to_string(), v4(n).to_string()]).collect();
    let mut most = 0;
    // The firmware without connie tries the first address only, so that its second run ends with a time-out.
    for (addresses, code) in [(v4(6).to_string(), Some(0)), (twelve.join(","), None)] {
        let line = format!("{STATIC} --max-time 5 --addresses {addresses} http://name.test/page");
        let run: Run = firmware.run(&line);
        if code.is_some() && run.code != code {
            return Err(format!("the firmware has failed: {run}"));
        }
        most = most.max(run.stack().ok_or_else(|| format!("the firmware does not tell its stack: {run}"))?);
    }
    drop(nginx);
    Ok(most)
}

/// The sizes of a linked program.
fn read(path: &Path, has_pool: bool, stack: u64) -> Result<Sizes, String> {
    let data = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let file = object::File::parse(&*data).map_err(|error| error.to_string())?;
    let size = |name: &&str| file.section_by_name(name).map_or(0, |section| section.size());
    let sum = |names: &[&str]| names.iter().map(size).sum::<u64>();
    let symbol = |part: &str| {
        let mut symbols = file.symbols().filter(|symbol| symbol.name().is_ok_and(|name| name.contains(part)));
        symbols.next().map_or(0, |symbol| symbol.size())
    };
    // Four sockets share the buffers, and six the slots: DNS and DHCP have one each.
    let socket = if has_pool { symbol("7BUFFERS") / 4 + symbol("4SLOT") / 6 } else { 0 };
    Ok(Sizes {
        flash: sum(&[".vector_table", ".text", ".rodata", ".data"]),
        ram: sum(&[".data", ".bss", ".uninit"]),
        socket,
        stack,
    })
}
