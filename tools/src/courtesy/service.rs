//! A service and all its clients.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use connie_sim::service::{HAPPENS, SERVERS, ServicePolicy, ServiceReport, ServiceRun, Story, run};

use super::measured::Measured;
use crate::chart::{self, Chart, Series, Tick};

/// The server that dies is the first.
const GONE: usize = 0;
/// How much of a connection's work its handshake is.
const HANDSHAKES: [u64; 2] = [5, 20];
/// From then on shares are held to their band, and what has been away counts as back when its time has come.
const SETTLED: Duration = Duration::from_secs(60);
const OVERLOADS: [(Story, &str); 2] = [
    (Story::HalfRate, "all servers at half their rate for 30 s"),
    (Story::Crowd, "as many clients again, who were never there, for 30 s"),
];

/// A run as the page has it.
fn story(story: Story, policy: ServicePolicy, handshake: u64, seed: u64) -> ServiceRun {
    let pause = Duration::from_secs(8);
    let length = Duration::from_secs(300);
    let mut run =
        ServiceRun { policy, story, clients: 100_000, pause, handshake, load: 60, lost: 5, length, seed };
    // Others show soon what they do.
    if story == Story::Returns {
        run.length = run.over()
            + match policy {
                ServicePolicy::Memory => run.theorem() + SETTLED,
                ServicePolicy::LastWinner => Duration::from_secs(600),
                ServicePolicy::AllAtOnce | ServicePolicy::HappyEyeballs => 2 * SETTLED,
            };
    }
    run
}

/// A size that CI has time for: fewer clients, of which those of a server that recovers visit more often.
/// None of their SYNs is lost, since lost SYNs lead clients to other servers.
fn small(what: Story, handshake: u64, seed: u64) -> ServiceRun {
    let mut run = ServiceRun { clients: 3_000, ..story(what, ServicePolicy::Memory, handshake, seed) };
    run.length = Duration::from_secs(300);
    if what == Story::Returns {
        (run.clients, run.pause, run.lost) = (1_500, Duration::from_secs(1), 0);
        run.length = run.over() + run.theorem() + SETTLED;
    }
    run
}

/// All of them, on as many threads as there are processors.
fn run_all(runs: &[ServiceRun]) -> Vec<ServiceReport> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((place, one)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, runs.get(at)?)))
        {
            done.push((place, run(one)));
        }
        done
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut reports: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no run panics")).collect()
    });
    reports.sort_by_key(|(place, _)| *place);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// How far a server's share, averaged over ten seconds, may be from an even share, as a part of that: a
/// tenth, and four standard deviations of the chance split of this many clients that each stay with one
/// server.
fn leave(run: &ServiceRun) -> f64 {
    0.1 + 4.0 / (f64::from(run.clients) / SERVERS as f64).sqrt()
}

/// What a run with memories is held to.
fn holds(run: &ServiceRun, report: &ServiceReport) -> Result<String, String> {
    let over = run.over();
    let what = format!("{:?}, a handshake {} %, seed {}", run.story, run.handshake, run.seed);
    let back = report.recovers(over).filter(|back| *back <= SETTLED);
    let back = back.ok_or(format!("{what}: not as before a minute after it was over"))?;
    let others = if run.story == Story::Returns { GONE + 1..SERVERS } else { 0..SERVERS };
    let (least, most) = report.band(others, over + back, run.length);
    let leave = leave(run);
    // With one away the others have a twelfth of their own more each.
    if least < 1.0 - leave || most > 1.0 + leave + 1.0 / (SERVERS - 1) as f64 {
        return Err(format!("{what}: shares of {least:.2} to {most:.2} of what is even"));
    }
    let mut line = format!("{what}: as before after {} s, shares {least:.2} to {most:.2}", back.as_secs());
    if run.story == Story::Returns {
        let share = report.share(GONE, over + run.theorem());
        let _ = write!(line, ", the one that was away {share:.2}");
        if share < 1.0 - leave {
            return Err(line);
        }
    }
    Ok(line)
}

pub(super) fn check() -> Result<String, String> {
    let mut runs = vec![small(Story::Returns, HANDSHAKES[0], 1)];
    for seed in 1..=2 {
        for handshake in HANDSHAKES {
            runs.extend(OVERLOADS.map(|(what, _)| small(what, handshake, seed)));
        }
    }
    let (mut said, mut missed) = (String::new(), Vec::new());
    for (run, report) in runs.iter().zip(run_all(&runs)) {
        match holds(run, &report) {
            Ok(line) => said.push_str(&format!("{line}\n")),
            Err(line) => missed.push(line),
        }
    }
    if missed.is_empty() { Ok(said) } else { Err(missed.join("\n")) }
}

pub(super) fn measure(seeds: u64) -> Measured {
    let mut runs = Vec::new();
    for policy in ServicePolicy::ALL {
        runs.push(story(Story::Returns, policy, HANDSHAKES[0], 1));
        for (what, _) in OVERLOADS {
            runs.extend(HANDSHAKES.map(|handshake| story(what, policy, handshake, 1)));
        }
    }
    let reports = run_all(&runs);
    let all: Vec<(ServiceRun, ServiceReport)> = runs.into_iter().zip(reports).collect();
    let mut text = returning(&all);
    for (what, name) in OVERLOADS {
        text.push_str(&overload(&all, what, name));
    }
    text.push_str(&over_seeds(seeds));
    Measured { text, pictures: vec![("courtesy_service.svg", picture(&all))] }
}

fn of(
    all: &[(ServiceRun, ServiceReport)],
    story: Story,
    handshake: u64,
) -> impl Iterator<Item = &(ServiceRun, ServiceReport)> {
    all.iter().filter(move |(run, _)| run.story == story && run.handshake == handshake)
}

/// The table of the server that dies and comes back.
fn returning(all: &[(ServiceRun, ServiceReport)]) -> String {
    let mut text = String::from("### A server dies, and is back a minute later\n\n");
    text.push_str("| policy | SYNs a visit before | ms to connect before | in the 10 s after its death | its share 1 minute after it is back | 10 minutes | 32 n visits | the greatest share of another |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|\n");
    for (run, report) in of(all, Story::Returns, HANDSHAKES[0]) {
        let (before, over) = (report.before(), run.over());
        let share = |after: Duration| match over + after <= run.length {
            true => format!("{:.2}", report.share(GONE, over + after)),
            false => String::new(),
        };
        let died = report.between(HAPPENS, HAPPENS + ServiceReport::BIN);
        let (_, most) = report.band(GONE + 1..SERVERS, over, run.length);
        let _ = writeln!(
            text,
            "| {} | {:.2} | {:.0} | {:.0} | {} | {} | {} | {most:.2} |",
            run.policy.name(),
            before.syns_a_visit(),
            before.millis(),
            died.iter().map(connie_sim::service::Bin::millis).sum::<f64>(),
            share(Duration::from_secs(60)),
            share(Duration::from_secs(600)),
            share(run.theorem()),
        );
    }
    text.push('\n');
    text
}

/// The table of an overload.
fn overload(all: &[(ServiceRun, ServiceReport)], what: Story, name: &str) -> String {
    let mut text = format!("### Overload: {name}\n\n");
    text.push_str("| policy | a handshake's part of the work | SYNs a visit before | at worst | ms to connect before | at worst | visits that failed | as before after |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|---|\n");
    for handshake in HANDSHAKES {
        for (run, report) in of(all, what, handshake) {
            let before = report.before();
            let since = report.between(HAPPENS, run.length);
            let most = |of: fn(&connie_sim::service::Bin) -> f64| since.iter().map(of).fold(0.0, f64::max);
            let _ = writeln!(
                text,
                "| {} | {handshake} % | {:.2} | {:.1} | {:.0} | {:.0} | {} | {} |",
                run.policy.name(),
                before.syns_a_visit(),
                most(connie_sim::service::Bin::syns_a_visit),
                before.millis(),
                most(connie_sim::service::Bin::millis),
                since.iter().map(|bin| u64::from(bin.failed)).sum::<u64>(),
                came_back(run, report),
            );
        }
    }
    text.push('\n');
    text
}

fn came_back(run: &ServiceRun, report: &ServiceReport) -> String {
    if report.before().millis() > 1_000.0 {
        return "it was overloaded before".into();
    }
    match report.recovers(run.over()) {
        Some(back) => format!("{} s", back.as_secs()),
        None => format!("not within {} s", (run.length - run.over()).as_secs()),
    }
}

/// What holds for each seed, of fewer clients.
fn over_seeds(seeds: u64) -> String {
    let seeds = seeds.div_ceil(20);
    let mut runs = Vec::new();
    for seed in 1..=seeds {
        for handshake in HANDSHAKES {
            runs.extend(OVERLOADS.map(|(what, _)| ServiceRun {
                clients: 10_000,
                ..story(what, ServicePolicy::Memory, handshake, seed)
            }));
            runs.push(ServiceRun { clients: 3_000, ..small(Story::Returns, handshake, seed) });
        }
    }
    let reports = run_all(&runs);
    let held: Vec<Result<String, String>> =
        runs.iter().zip(&reports).map(|(run, report)| holds(run, report)).collect();
    let mut text =
        format!("### Each seed\n\n{} runs with memories, {seeds} seeds of each story. ", held.len());
    let mut overloads: Vec<u64> = Vec::new();
    let mut shares: Vec<f64> = Vec::new();
    for (run, report) in runs.iter().zip(&reports) {
        match run.story {
            Story::Returns => shares.push(report.share(GONE, run.over() + run.theorem())),
            _ => overloads.extend(report.recovers(run.over()).map(|back| back.as_secs())),
        }
    }
    let longest = overloads.iter().max().copied().unwrap_or_default();
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    let most = shares.iter().copied().fold(0.0, f64::max);
    let _ = writeln!(
        text,
        "After an overload all was as before within {longest} s in {} of {}. A server that was away has {least:.2} to {most:.2} of an even share after 32 n visits, no SYN being lost.",
        overloads.len(),
        runs.len() - shares.len(),
    );
    for missed in held.iter().filter_map(|held| held.as_ref().err()) {
        let _ = writeln!(text, "- {missed}");
    }
    text
}

fn ticks(values: &[(f64, &str)]) -> Vec<Tick> {
    values.iter().map(|(value, name)| (*value, (*name).to_owned())).collect()
}

fn class(policy: ServicePolicy) -> &'static str {
    match policy {
        ServicePolicy::Memory => "a line",
        ServicePolicy::AllAtOnce => "c line",
        ServicePolicy::HappyEyeballs => "b line",
        ServicePolicy::LastWinner => "d line",
    }
}

/// A policy's name, shortened as far as the picture allows.
fn label(name: &str) -> String {
    let short = ["connie", "all at once", "Happy Eyeballs", "last winner"];
    (*short.iter().find(|short| name.starts_with(**short)).unwrap_or(&name)).to_owned()
}

/// A line for each policy of a story: what `of` makes of each bin since `from`.
fn series(
    all: &[(ServiceRun, ServiceReport)],
    story: Story,
    handshake: u64,
    from: impl Fn(&ServiceRun) -> Duration,
    of_bin: impl Fn(&connie_sim::service::Bin) -> f64,
) -> Vec<Series> {
    let lines = of(all, story, handshake).map(|(run, report)| {
        let bins = report.between(from(run), run.length).iter().enumerate();
        let points = bins.map(|(at, bin)| (10.0 * (at + 1) as f64, of_bin(bin).max(0.01))).collect();
        Series { class: class(run.policy), label: label(run.policy.name()), points, dots: false }
    });
    lines.collect()
}

fn picture(all: &[(ServiceRun, ServiceReport)]) -> String {
    let seconds = ticks(&[(10.0, "10"), (30.0, "30"), (100.0, "100"), (300.0, "300")]);
    let overload = Chart {
        title: "All servers at half their rate for 30 s",
        notes: vec![
            "Milliseconds to connect, a point each 10 s. A".to_owned(),
            "handshake is 20 % of a connection's work;".to_owned(),
            "100,000 clients.".to_owned(),
        ],
        x_name: "seconds since the overload began",
        x_ticks: seconds,
        y_ticks: ticks(&[
            (30.0, "30"),
            (100.0, "100"),
            (300.0, "300"),
            (1_000.0, "1,000"),
            (5_000.0, "5,000"),
        ]),
        rail: None,
        mark: Some((30.0, "it is over")),
        series: series(all, Story::HalfRate, 20, |_| HAPPENS, connie_sim::service::Bin::millis),
    };
    let back = Chart {
        title: "A server is back after a minute away",
        notes: vec![
            "Its part of an even share of the connections, a".to_owned(),
            "point each 10 s. 100,000 clients, a visit each 8 s.".to_owned(),
            "Upright: 32 visits for each address.".to_owned(),
        ],
        x_name: "seconds since it is back",
        x_ticks: ticks(&[(10.0, "10"), (100.0, "100"), (1_000.0, "1,000"), (3_200.0, "3,200")]),
        y_ticks: ticks(&[(0.01, "0.01"), (0.1, "0.1"), (1.0, "1"), (1.5, "1.5")]),
        rail: None,
        mark: Some((3_091.0, "")),
        series: series(all, Story::Returns, 5, ServiceRun::over, |bin| bin.share(GONE)),
    };
    chart::page(
        "A service and its clients",
        "How long it takes to connect to an overloaded service, and how a server that was away comes to its share again. The numbers are in courtesy.md.",
        &[overload, back],
    )
}
