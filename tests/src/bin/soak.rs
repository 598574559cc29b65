//! Very many races in one process, over servers, black holes and closed ports on loopback: by addresses and
//! by name, a tenth of them with a cancel on its way, while the sockets that they may have come and go. At
//! the end there are as many descriptors and threads as at the start, and as much memory.
//!
//! ```text
//! cargo run --release -p connie-tests --bin soak -- --races 1000000 --seed 1
//! cargo run --release -p connie-tests --bin soak -- --seconds 30 --seed 1
//! ```
//!
//! What race number n is depends on the seed and n alone; how the threads meet is the machine's.

#[cfg(target_os = "linux")]
#[path = "soak/world.rs"]
mod world;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("soak: needs Linux, for black holes on loopback and for /proc");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let done = linux::Settings::read(std::env::args().skip(1)).and_then(|settings| linux::soak(&settings));
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(amiss) => {
            eprintln!("soak: {amiss}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use connie_std::connie_core::{Failure, Families, Family};
    use connie_std::{Canceler, ConnectError, ConnectErrorKind, Connected, Options, Override, connect};
    use connie_tests::clock::{now, pause, poll_until};
    use connie_tests::descriptors::descriptors;

    use super::world::{Random, Weather, World, resident};

    const THREADS: usize = 8;
    /// How many races there are before the first count: what the process makes once and keeps is made then.
    const WARM_UP: u64 = 4_000;
    /// The time of a race that has a server. One whose server could get no socket, when the process was out
    /// of them, waits for black holes as long.
    const LONG: Duration = Duration::from_secs(3);
    /// What the memory may grow by: the allocator keeps some of what was used at once.
    const MOST_GROWTH: usize = 4 * 1024 * 1024;

    /// What to do: so many races, or as many as there are in so many seconds.
    pub struct Settings {
        races: u64,
        seconds: Option<u64>,
        seed: u64,
    }

    impl Settings {
        pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
            let usage = || "usage: soak [--races N | --seconds N] [--seed N]".to_owned();
            let mut settings = Settings { races: 100_000, seconds: None, seed: 1 };
            while let Some(name) = arguments.next() {
                let value = arguments.next().and_then(|text| text.parse().ok()).ok_or_else(usage)?;
                match &*name {
                    "--races" => settings.races = value,
                    "--seconds" => (settings.seconds, settings.races) = (Some(value), u64::MAX),
                    "--seed" => settings.seed = value,
                    _ => return Err(usage()),
                }
            }
            Ok(settings)
        }
    }

    /// What has come of the races.
    #[derive(Debug, Default)]
    struct Tally {
        begun: AtomicU64,
        won: AtomicU64,
        lost: AtomicU64,
        canceled: AtomicU64,
        short: AtomicU64,
        late: AtomicU64,
        amiss: Mutex<Option<String>>,
    }

    #[derive(Clone, Copy, Debug)]
    struct Counts {
        descriptors: usize,
        threads: usize,
        resident: usize,
    }

    impl Counts {
        /// When what lingers has ended: the threads of the system's resolver do after a second.
        fn settled(threads: usize) -> Self {
            let count = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
            poll_until(Duration::from_secs(10), || count() <= threads);
            Counts { descriptors: descriptors().total, threads: count(), resident: resident() }
        }
    }

    pub fn soak(settings: &Settings) -> Result<(), String> {
        let world = World::open();
        // The main one, and the servers'.
        let threads = 1 + world.threads();
        let start = now();
        run(&world, settings.seed ^ 0x5eed, WARM_UP, None)?;
        let before = Counts::settled(threads);
        let tally = run(&world, settings.seed, settings.races, settings.seconds)?;
        let after = Counts::settled(threads);
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (won, lost, canceled) = (load(&tally.won), load(&tally.lost), load(&tally.canceled));
        let late = load(&tally.late);
        println!(
            "{} races with seed {} in {:.0} s: {won} won, {lost} lost, {canceled} canceled; {} short of sockets, {late} late",
            won + lost + canceled,
            settings.seed,
            start.elapsed().as_secs_f64(),
            load(&tally.short),
        );
        println!(
            "descriptors {} -> {}, threads {} -> {}, resident {} -> {} KiB",
            before.descriptors,
            after.descriptors,
            before.threads,
            after.threads,
            before.resident / 1024,
            after.resident / 1024
        );
        let same = (before.descriptors, before.threads) == (after.descriptors, after.threads);
        let small = after.resident <= before.resident + MOST_GROWTH;
        // A machine may be busy with something else for as long as a race has, but not often.
        let enough = won > 0 && lost > 0 && canceled > 0 && late <= won / 100;
        if same && small && enough && world.budget_is_free() {
            Ok(())
        } else {
            Err("not as at the start".to_owned())
        }
    }

    /// Runs races on all threads.
    fn run(world: &World, seed: u64, races: u64, seconds: Option<u64>) -> Result<Tally, String> {
        let tally = Tally::default();
        let weather = Weather::default();
        let end = seconds.map(|seconds| now() + Duration::from_secs(seconds));
        std::thread::scope(|scope| {
            let (cancel, cancels) = std::sync::mpsc::channel::<(Canceler, Duration)>();
            scope.spawn(move || {
                for (canceler, after) in cancels {
                    pause(after);
                    canceler.cancel();
                }
            });
            scope.spawn(|| weather.blow(seed));
            let workers: Vec<_> = (0..THREADS)
                .map(|_| {
                    let (cancel, tally, weather) = (cancel.clone(), &tally, &weather);
                    scope.spawn(move || {
                        loop {
                            let number = tally.begun.fetch_add(1, Ordering::Relaxed);
                            let late = end.is_some_and(|end| now() >= end);
                            if number >= races || late || tally.amiss.lock().unwrap().is_some() {
                                return;
                            }
                            let mut random = Random::new(seed, number);
                            if let Err(amiss) = race(world, weather, &mut random, tally, &cancel) {
                                *tally.amiss.lock().unwrap() = Some(format!("race {number}: {amiss}"));
                            }
                        }
                    })
                })
                .collect();
            drop(cancel);
            let panicked = workers.into_iter().filter_map(|worker| worker.join().err()).count();
            weather.end();
            if panicked > 0 { Err(format!("{panicked} threads panicked")) } else { Ok(()) }
        })?;
        let amiss = tally.amiss.lock().unwrap().take();
        amiss.map_or(Ok(tally), Err)
    }

    /// One race, and whether it ended as it has to.
    fn race(
        world: &World,
        weather: &Weather,
        random: &mut Random,
        tally: &Tally,
        cancel: &std::sync::mpsc::Sender<(Canceler, Duration)>,
    ) -> Result<(), String> {
        let way = random.below(20);
        let target = if way == 0 { world.localhost() } else { world.target(random) };
        let canceled = random.below(10) == 0;
        // Where it can be made: there may be no descriptor for it.
        let canceler = if canceled { Canceler::new().ok() } else { None };
        let patience = Duration::from_millis(1 + random.below(20));
        let deadline = if target.live.is_some() { LONG } else { Duration::from_millis(1 + random.below(10)) };
        let options = Options::new()
            .race(Options::default().race.patience(patience).hedge(random.below(2) == 0))
            .max_in_flight(1 + random.below(16) as usize)
            .deadline(deadline)
            .families(Families::Only(Family::V4))
            .budget(world.budget(LONG))
            .canceler(canceler.clone())
            .overrides([Override {
                host: "many.test".to_owned(),
                port: target.port,
                addresses: target.ips(),
            }]);
        let (since, was_stormy) = (weather.storms(), weather.is_stormy());
        if let Some(canceler) = canceler {
            let _ = cancel.send((canceler, Duration::from_micros(random.below(500))));
        }
        let result = match way {
            // By the system's resolver, from the hosts file.
            0 => connect(("localhost", target.port), &options),
            1..=3 => connect(("many.test", target.port), &options),
            _ => connect(&target.addresses, &options),
        };
        let stormy = was_stormy || weather.storms() != since;
        let told = judge(&result, &target, canceled, stormy)?;
        let count = match told {
            Told::Won => &tally.won,
            Told::Lost => &tally.lost,
            Told::Canceled => &tally.canceled,
            Told::Short => {
                tally.short.fetch_add(1, Ordering::Relaxed);
                &tally.lost
            }
            Told::Late => {
                tally.late.fetch_add(1, Ordering::Relaxed);
                &tally.lost
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Ok(stream) = result {
            leave(stream, weather, random);
        }
        Ok(())
    }

    /// Some winners are kept for a while, and hold their places in the budget. Each is reset, so that no port
    /// waits behind it.
    fn leave(stream: Connected, weather: &Weather, random: &mut Random) {
        let _ = rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO));
        if random.below(3) == 0 {
            weather.keep(stream);
        }
    }

    fn is_late(error: &ConnectError) -> bool {
        matches!(error.kind(), ConnectErrorKind::Race(Failure::DeadlineExceeded, _))
    }

    enum Told {
        Won,
        Lost,
        Canceled,
        /// Lost while the process was out of descriptors.
        Short,
        /// There is a server, and time ran out.
        Late,
    }

    fn judge(
        result: &Result<Connected, ConnectError>,
        target: &super::world::Target,
        may_cancel: bool,
        stormy: bool,
    ) -> Result<Told, String> {
        match result {
            Ok(stream) if target.live.is_some_and(|live| live == stream.destination()) => Ok(Told::Won),
            Ok(stream) => Err(format!("{} has won, where {:?} is there", stream.destination(), target.live)),
            Err(error) if error.is_canceled() && may_cancel => Ok(Told::Canceled),
            Err(error) if stormy => match error.kind() {
                ConnectErrorKind::Race(Failure::Canceled, _) => Err(format!("canceled by nobody: {error}")),
                _ => Ok(Told::Short),
            },
            Err(error) if target.live.is_some() && is_late(error) => Ok(Told::Late),
            Err(error) if target.live.is_some() => Err(format!("{:?} is there: {error:?}", target.live)),
            Err(_) => Ok(Told::Lost),
        }
    }
}
