//! The firmware of `examples/firmware-qemu`: its sizes, read from the linked program, and its stack, as it
//! runs in QEMU.

use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc;

use connie_lab::firmware::{Firmware, HOST_V4, Parts, Run, STATIC, build, device, link};
use connie_lab::{Behaviour, Lab, in_namespace, ms, v4, v6};
use connie_servers::{Dnsmasq, Nginx};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::figure::{Figure, Unit};
use crate::nightly;
use crate::parts;
use crate::tools::{installed, say, thousands, today};

/// The families that a firmware has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Both,
    V4,
    V6,
}

/// A firmware that is built and run.
struct Variant {
    what: &'static str,
    program: &'static str,
    has: Has,
    features: &'static str,
    /// What it was meant to be at most: flash and RAM in all.
    target: Option<(u64, u64)>,
}

/// With DHCP and DNS, and without.
const WITH_NAMES: Option<(u64, u64)> = Some((98_304, 24_576));
const DRAWN: Option<(u64, u64)> = Some((106_496, 24_576));
const THREE_SOCKETS: Option<(u64, u64)> = Some((98_304, 16_384));
const ALONE: Option<(u64, u64)> = Some((65_536, 24_576));

const fn variant(
    what: &'static str,
    program: &'static str,
    has: Has,
    features: &'static str,
    target: Option<(u64, u64)>,
) -> Variant {
    Variant { what, program, has, features, target }
}

const VARIANTS: [Variant; 18] = [
    variant(
        "the race, DHCP, SLAAC, DNS, the waterfall",
        "race",
        Has::Both,
        "dhcp,slaac,dns,waterfall,words",
        None,
    ),
    variant("the race, DHCP, DNS, the waterfall", "race", Has::Both, "dhcp,dns,waterfall,words", DRAWN),
    variant("the race, DHCP, DNS", "race", Has::Both, "dhcp,dns,words", WITH_NAMES),
    variant(
        "the race over three sockets, DHCP, DNS",
        "race",
        Has::Both,
        "dhcp,dns,words,three-sockets",
        THREE_SOCKETS,
    ),
    variant("the same without the race", "single", Has::Both, "dhcp,smoltcp-dns,words", None),
    variant("the same without connie", "first", Has::Both, "dhcp,smoltcp-dns,words", None),
    variant("the race, the waterfall", "race", Has::Both, "waterfall,words", ALONE),
    variant("the race", "race", Has::Both, "words", None),
    variant("the same without the race", "single", Has::Both, "words", None),
    variant("the same without connie", "first", Has::Both, "words", None),
    variant("the race, errors as exit codes", "race", Has::Both, "", None),
    variant("the race, DHCP, DNS, the waterfall", "race", Has::V4, "dhcp,dns,waterfall,words", DRAWN),
    variant("the race, DHCP, DNS, errors as exit codes", "race", Has::V4, "dhcp,dns", None),
    variant("the race, the waterfall", "race", Has::V4, "waterfall,words", ALONE),
    variant("the race", "race", Has::V4, "words", None),
    variant("the race, errors as exit codes", "race", Has::V4, "", ALONE),
    variant("the race, SLAAC, DNS, the waterfall", "race", Has::V6, "slaac,dns,waterfall,words", None),
    variant("the race, errors as exit codes", "race", Has::V6, "", None),
];

/// The smallest programs, of which only the flash is given: nothing in them measures their stack.
const LEAST: [(&str, &str, Has); 4] = [
    ("the race, with the server's addresses built in", "fixed", Has::Both),
    ("the race, with the server's addresses built in", "fixed", Has::V4),
    ("smoltcp and the driver, without connie, HTTP, or any text", "floor", Has::Both),
    ("smoltcp and the driver, without connie, HTTP, or any text", "floor", Has::V4),
];

/// What a nightly compiler makes of some, with `core` built anew for size.
const NIGHTLY: [(&str, &str, Has, &str, Option<u64>); 5] = [
    ("the race, DHCP, DNS, the waterfall", "race", Has::Both, "dhcp,dns,waterfall,words", Some(106_496)),
    ("the race, DHCP, DNS, errors as exit codes", "race", Has::Both, "dhcp,dns", Some(98_304)),
    ("the race, the waterfall", "race", Has::Both, "waterfall,words", Some(65_536)),
    ("the race, the waterfall", "race", Has::V4, "waterfall,words", Some(65_536)),
    ("the race, with the server's addresses built in", "fixed", Has::Both, "", Some(65_536)),
];

impl Has {
    const fn name(self) -> &'static str {
        match self {
            Has::Both => "both",
            Has::V4 => "IPv4",
            Has::V6 => "IPv6",
        }
    }

    /// As features, with others.
    fn with(self, features: &str) -> String {
        let families = match self {
            Has::Both => "ipv4,ipv6",
            Has::V4 => "ipv4",
            Has::V6 => "ipv6",
        };
        if features.is_empty() { families.to_owned() } else { format!("{families},{features}") }
    }

    /// Who it is on the laboratory's link.
    const fn own(self) -> &'static str {
        match self {
            Has::Both => STATIC,
            Has::V4 => "--ip 10.77.0.2/24 --gateway 10.77.0.1",
            Has::V6 => "--ip fd00:4d::2/64 --gateway fd00:4d::1",
        }
    }

    /// The address that is alive, and twelve of which only the last is.
    fn addresses(self) -> (IpAddr, Vec<IpAddr>) {
        let twelve: Vec<IpAddr> = match self {
            Has::Both => (1..=6).flat_map(|n| [v6(n), v4(n)]).collect(),
            Has::V4 => (101..=112).map(v4).collect(),
            Has::V6 => (101..=112).map(v6).collect(),
        };
        (twelve[11], twelve)
    }
}

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
    names: Names,
    stack: u64,
}

/// What a lookup has of the static RAM.
#[derive(Clone, Copy)]
struct Names {
    /// The DNS client.
    client: u64,
    /// Of each of its two sockets, what is smoltcp's own, and the buffers.
    storage: u64,
    buffers: u64,
}

impl Sizes {
    fn in_all(&self) -> u64 {
        self.ram + self.stack
    }
}

/// A firmware that is in the budget: the names of its figures, and its features, if it does not have all.
struct Budgeted {
    flash: &'static str,
    ram: &'static str,
    stack: &'static str,
    program: &'static str,
    has: Has,
    features: Option<&'static str>,
}

/// The one with everything, the one with only the race, the leanest race for one family, and the race under
/// embassy.
const BUDGETED: [Budgeted; 4] = [
    Budgeted {
        flash: "firmware_with_names",
        ram: "firmware_with_names_ram",
        stack: "firmware_with_names_stack",
        program: "race",
        has: Has::Both,
        features: Some("dhcp,dns,waterfall,words"),
    },
    Budgeted {
        flash: "firmware_race",
        ram: "firmware_race_ram",
        stack: "firmware_race_stack",
        program: "race",
        has: Has::Both,
        features: Some("words"),
    },
    Budgeted {
        flash: "firmware_race_ipv4",
        ram: "firmware_race_ipv4_ram",
        stack: "firmware_race_ipv4_stack",
        program: "race",
        has: Has::V4,
        features: Some(""),
    },
    Budgeted {
        flash: "firmware_embassy",
        ram: "firmware_embassy_ram",
        stack: "firmware_embassy_stack",
        program: "embassy",
        has: Has::Both,
        features: None,
    },
];

/// The figures that the budget holds: flash, static RAM, and the stack in runs in QEMU where those are
/// possible; and the flash that the race itself adds.
pub fn budget(runs: bool) -> Result<Vec<Figure>, String> {
    let figure = |key, value| Figure { key, what: key, value, unit: Unit::Bytes, target: None };
    let mut programs = Vec::new();
    for budgeted in &BUDGETED {
        let features = budgeted.features.map(|features| budgeted.has.with(features));
        programs.push(build(budgeted.program, features.as_deref().map_or(Parts::All, Parts::Features))?);
    }
    let mut figures = Vec::new();
    let mut race = 0;
    for (budgeted, program) in BUDGETED.iter().zip(&programs) {
        let sizes = read(program, false, 0)?;
        if budgeted.flash == "firmware_race" {
            race = sizes.flash;
        }
        figures.extend([figure(budgeted.flash, sizes.flash), figure(budgeted.ram, sizes.ram)]);
    }
    let single = read(&build("single", Parts::Features(&Has::Both.with("words")))?, false, 0)?.flash;
    figures.push(figure("firmware_price_of_the_race", race.saturating_sub(single)));
    if runs {
        let firmware = programs.into_iter().map(Firmware::at).collect::<Result<Vec<_>, _>>()?;
        let stacks = in_laboratory(move |lab| {
            let each = firmware.iter().zip(&BUDGETED);
            each.map(|(firmware, budgeted)| match budgeted.features {
                Some(_) => stack(lab, firmware, budgeted.has),
                None => stack_of_embassy(lab, firmware),
            })
            .collect()
        })?;
        figures.extend(BUDGETED.iter().zip(stacks).map(|(budgeted, stack)| figure(budgeted.stack, stack)));
    }
    Ok(figures)
}

/// What the runs in QEMU need that is not here.
pub fn missing_to_run() -> Option<String> {
    let programs = [
        ("qemu-system-arm", "qemu-system-arm"),
        ("nginx", "nginx-light"),
        ("dnsmasq", "dnsmasq-base"),
        ("ip", "iproute2"),
    ];
    let missing = programs.into_iter().find(|(program, _)| !installed(program));
    if let Some((program, package)) = missing {
        return Some(format!("{program}: apt-get install {package}"));
    }
    if !rustix::process::geteuid().is_root() {
        return Some("a network that only root may make: run this as root".to_owned());
    }
    let tun = std::fs::OpenOptions::new().write(true).open("/dev/net/tun");
    tun.err().map(|error| format!("/dev/net/tun ({error}): modprobe tun"))
}

/// Runs something on the link to a firmware.
fn in_laboratory(
    measure: impl FnOnce(&Lab) -> Result<Vec<u64>, String> + Send + 'static,
) -> Result<Vec<u64>, String> {
    let (done, measured) = mpsc::channel();
    in_namespace(move |lab| {
        link(lab);
        let _ = done.send(measure(lab));
    });
    measured.recv().map_err(|_| "the laboratory cannot be set up".to_owned())?
}

/// Begins what is written here.
pub const TITLE: &str = "\n## A whole firmware\n";

/// Builds and runs each, and writes the tables. `compiler` is the nightly one, or why there is none. `old` is
/// the page as it was.
pub fn write(page: &mut String, old: &str, compiler: Result<String, String>) -> Result<(), String> {
    let mut programs = Vec::new();
    for variant in &VARIANTS {
        programs.push(build(variant.program, Parts::Features(&variant.has.with(variant.features)))?);
    }
    let firmware = programs.iter().cloned().map(Firmware::at).collect::<Result<Vec<_>, _>>()?;
    let stacks = in_laboratory(move |lab| {
        firmware.iter().zip(&VARIANTS).map(|(firmware, variant)| stack(lab, firmware, variant.has)).collect()
    })?;
    let mut sizes = Vec::new();
    for ((program, variant), stack) in programs.iter().zip(&VARIANTS).zip(stacks) {
        sizes.push(read(program, variant.program == "race", stack)?);
    }
    table(page, &sizes);
    price(page, &sizes);
    names(page, &sizes);
    // As they stand in the table.
    parts::write(page, &programs[2], &programs[1], sizes[2].stack)?;
    least(page)?;
    let section = nightly::section(old, &today()?, compiler, nightly_rows);
    page.push_str(&section);
    Ok(())
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), thousands)
}

/// A figure beside its target, and whether that is met.
fn beside(value: u64, target: Option<u64>) -> String {
    let met = target.map_or("", |target| if value <= target { " (met)" } else { " (missed)" });
    format!("{} | {}{met}", thousands(value), number(target))
}

fn table(page: &mut String, sizes: &[Sizes]) {
    say(page, TITLE);
    for line in [
        "`examples/firmware-qemu` for a Cortex-M3, built by the stable compiler at `opt-level = \"z\"`: smoltcp over Ethernet, the driver, a command line, and an",
        "HTTP client. The race has four sockets where the table does not say three, each with buffers of 512 octets to receive and 256 to send; without the race there is one. All but those that give errors as exit codes say in words what is",
        "wrong. A panic does not say where it was (that is the feature `panic-place`, 12 KB more). Flash is code, constants and initial values. The",
        "stack is the most that was in use in runs in QEMU, to a live address and to twelve of which eleven are dead.\n",
        "- *Without the race* (`src/bin/single.rs`) is the same program on the same stack and the same HTTP client. It connects to the first address.",
        "- *Without connie* (`src/bin/first.rs`) is written straight for smoltcp, with as much HTTP as it needs itself. It connects to the first address.\n",
        "| firmware | IP | flash | target | static RAM | stack | RAM in all | target |\n|---|---|--:|--:|--:|--:|--:|--:|",
    ] {
        say(page, line);
    }
    for (variant, size) in VARIANTS.iter().zip(sizes) {
        let (flash, ram) = variant.target.unzip();
        say(
            page,
            &format!(
                "| {} | {} | {} | {} | {} | {} |",
                variant.what,
                variant.has.name(),
                beside(size.flash, flash),
                thousands(size.ram),
                thousands(size.stack),
                beside(size.in_all(), ram),
            ),
        );
    }
}

fn price(page: &mut String, sizes: &[Sizes]) {
    let [_, drawn, named, _, named_single, named_first, _, race, single, first, ..] = sizes else { return };
    for line in [
        "\nWhat is added to a program for both families, in bytes. **The race's own price** is the firmware with the race minus the one without it: the race, the",
        "driver that drives it, and what the stack does for more than one socket. The targets are for that. The price of connie as a whole, in a program that",
        "would otherwise be written straight for smoltcp, comes with the stack adapter and the HTTP client. Sockets are the program's, which lends them; the",
        "second figure for RAM includes the three additional sockets that the race is lent here. A RAM of 0",
        "means that it takes no more than the program without connie.\n",
        "| what | flash | target | RAM | target | with three sockets |\n|---|--:|--:|--:|--:|--:|",
    ] {
        say(page, line);
    }
    let three = 3 * race.socket;
    for (what, with, without, targets) in [
        ("the race itself", race, single, (Some(8_192), Some(2_048))),
        ("the race, and names of both families in place of one", named, named_single, (None, None)),
        ("connie as a whole", race, first, (None, None)),
        ("connie as a whole, with names", named, named_first, (None, None)),
    ] {
        let flash = with.flash.saturating_sub(without.flash);
        let ram = with.in_all().saturating_sub(without.in_all());
        let own = ram.saturating_sub(three);
        say(
            page,
            &format!(
                "| {what} | {} | {} | {} |",
                beside(flash, targets.0),
                beside(own, targets.1),
                thousands(ram)
            ),
        );
    }
    let picture = thousands(drawn.flash.saturating_sub(named.flash));
    say(page, &format!("| the waterfall | {picture} | - | - | - | - |"));
}

fn names(page: &mut String, sizes: &[Sizes]) {
    let [_, _, Sizes { names: Names { client, storage, buffers }, .. }, ..] = sizes else { return };
    for line in [
        "\nWhat a lookup of both families takes of the static RAM, in bytes, in the firmware for both. The client (`Dns` of connie-smoltcp) has room for one name of",
        "126 octets with its answers, three name servers, and 128 octets of addresses of each family. Each of its two questions has a UDP socket of smoltcp with room for",
        "an answer of 512 octets.\n",
        "| what | RAM | target |\n|---|--:|--:|",
    ] {
        say(page, line);
    }
    say(page, &format!("| the client | {} |", beside(*client, Some(1_536))));
    say(page, &format!("| two sockets of smoltcp | {} |", beside(2 * storage, None)));
    say(page, &format!("| their datagram buffers | {} |", beside(2 * buffers, None)));
}

fn least(page: &mut String) -> Result<(), String> {
    for line in [
        "\nHow far down it goes: the race and HTTP without a command line and without a word, and what is left when connie is taken out too. Under the latter no",
        "program on smoltcp and this driver gets.\n",
        "| firmware | IP | flash | target |\n|---|---|--:|--:|",
    ] {
        say(page, line);
    }
    for (what, program, has) in LEAST {
        let flash = read(&build(program, Parts::Features(&has.with("")))?, false, 0)?.flash;
        let target = (program == "fixed").then_some(65_536);
        say(page, &format!("| {what} | {} | {} |", has.name(), beside(flash, target)));
    }
    Ok(())
}

fn nightly_rows() -> Result<String, String> {
    let mut rows = String::new();
    for (what, program, has, features, target) in NIGHTLY {
        let built = build(program, Parts::Nightly(&has.with(features)))?;
        let flash = read(&built, false, 0)?.flash;
        say(&mut rows, &format!("| {what} | {} | {} |", has.name(), beside(flash, target)));
    }
    Ok(rows)
}

/// The most bytes of stack in use by the firmware on embassy, which asks a name server for the addresses.
fn stack_of_embassy(lab: &Lab, firmware: &Firmware) -> Result<u64, String> {
    let alive = v4(1);
    lab.set(alive, Behaviour::accept(ms(20)).to_port(PORT));
    let _nginx = nginx()?;
    let options = [format!("--interface={}", device()), format!("--host-record=one.test,{alive}")];
    let _names = Dnsmasq::start(53, &options).ok_or("no dnsmasq: apt-get install dnsmasq-base")?;
    let run = firmware.run(&format!("{STATIC} --dns {HOST_V4} http://one.test/page"));
    if run.code != Some(0) {
        return Err(format!("the firmware has failed: {run}"));
    }
    run.stack().ok_or_else(|| format!("the firmware does not tell its stack: {run}"))
}

fn nginx() -> Result<Nginx, String> {
    Nginx::start(PORT, &[("page", b"the page\n")])
        .ok_or_else(|| "no nginx: apt-get install nginx-light".to_owned())
}

/// The most bytes of stack in use, over two runs.
fn stack(lab: &Lab, firmware: &Firmware, has: Has) -> Result<u64, String> {
    let (alive, twelve) = has.addresses();
    lab.set(alive, Behaviour::accept(ms(20)).to_port(PORT));
    let nginx = nginx()?;
    let twelve: Vec<_> = twelve.iter().map(IpAddr::to_string).collect();
    let mut most = 0;
    // A firmware that does not race tries the first address only, so that its second run ends with a
    // timeout.
    for (addresses, code) in [(alive.to_string(), Some(0)), (twelve.join(","), None)] {
        let own = has.own();
        let line = format!("{own} --max-time 5 --addresses {addresses} http://name.test/page");
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
    // Four sockets share the buffers, and with DHCP five the slots; two more with names.
    let (client, datagrams) = (symbol("11start_names3DNS"), symbol("9DATAGRAMS"));
    let storage = symbol("4SLOT") / if client > 0 { 7 } else { 5 };
    let socket = if has_pool { symbol("7BUFFERS") / 4 + storage } else { 0 };
    Ok(Sizes {
        flash: sum(&[".vector_table", ".text", ".rodata", ".data"]),
        ram: sum(&[".data", ".bss", ".uninit"]),
        socket,
        names: Names { client, storage, buffers: datagrams / 2 },
        stack,
    })
}
