//! How long races take: connie's beside its rivals', and by patience.

use std::thread;
use std::time::Duration;

use connie_core::Config;
use connie_sim::{Ending, RaceOutcome, Rng};

use crate::never_stuck::{Course, LINES, Line, evict_the_oldest, never_evict};

/// The sockets of each client in the comparison: what curl has.
pub const SOCKETS: usize = 6;
/// How many addresses there are in the comparison.
const ADDRESSES: [usize; 8] = [6, 9, 12, 18, 24, 36, 48, 60];
/// The patiences that are tried, in milliseconds.
pub const PATIENCES: [u64; 12] = [100, 125, 150, 175, 200, 250, 300, 400, 500, 650, 800, 1_000];
/// The rule of curl 8.22.
const EVERY: Duration = Duration::from_millis(200);

/// Numbers drawn, in order; what never came is infinite.
#[derive(Clone, Debug)]
pub struct Sample(Vec<f64>);

impl Sample {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Sample(values)
    }

    /// What `percent` of 100 do not exceed; NaN where nothing was drawn.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }

    /// The greatest.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.percentile(100)
    }

    /// The mean; NaN where nothing was drawn.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// The share that never came, in percent.
    #[must_use]
    pub fn never(&self) -> f64 {
        let never = self.0.iter().filter(|value| value.is_infinite()).count();
        100.0 * never as f64 / self.0.len() as f64
    }
}

/// Times to connect, over the least round trip of an address that is alive.
#[derive(Clone, Debug)]
pub struct Ratio {
    /// How many addresses there are.
    pub addresses: usize,
    /// connie's rule.
    pub connie: Sample,
    /// [`evict_the_oldest`] each 200 ms.
    pub oldest: Sample,
    /// [`never_evict`].
    pub none: Sample,
}

/// Times to connect with one patience, in milliseconds.
#[derive(Clone, Debug)]
pub struct Patience {
    /// The patience, in milliseconds.
    pub millis: u64,
    /// By line, in the order of [`LINES`].
    pub lines: Vec<Sample>,
    /// All lines together, each with its share of the clients.
    pub all: Sample,
    /// The same without the last line.
    pub earthbound: Sample,
    /// Attempts started in a race.
    pub attempts: Sample,
}

/// All that is measured.
#[derive(Clone, Debug)]
pub struct Survey {
    /// How many networks stand behind each number; each line has as many.
    pub networks: u64,
    /// By the number of addresses.
    pub ratios: Vec<Ratio>,
    /// By patience.
    pub patiences: Vec<Patience>,
}

impl Survey {
    /// Runs `networks` races for each number. Always the same networks.
    #[must_use]
    pub fn run(networks: u64) -> Self {
        let ratios = ADDRESSES.map(|addresses| ratio(addresses, networks)).into();
        let patiences = PATIENCES.map(|millis| patience(millis, networks)).into();
        Survey { networks, ratios, patiences }
    }
}

/// `draw` of each seed, by two threads.
fn each<T: Send>(count: u64, draw: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let part = |from: u64, to: u64| (from..to).map(&draw).collect::<Vec<T>>();
    thread::scope(|scope| {
        let first = scope.spawn(|| part(0, count / 2));
        let second = part(count / 2, count);
        let mut all = first.join().expect("a race that panics ends the survey");
        all.extend(second);
        all
    })
}

fn ratio(addresses: usize, networks: u64) -> Ratio {
    let drawn = each(networks, |seed| {
        let course = Course::mixed(seed, addresses, line_of(seed));
        let oracle = course.oracle().expect("one is always alive").as_secs_f64();
        let over = |took: Option<Duration>| took.map_or(f64::INFINITY, |took| took.as_secs_f64() / oracle);
        let config = Config::all_at_once().max_in_flight(SOCKETS);
        let connie = connected(&course.scenario(config).connect().outcome);
        [connie, evict_the_oldest(&course, SOCKETS, EVERY), never_evict(&course, SOCKETS)].map(over)
    });
    let sample = |client: usize| Sample::new(drawn.iter().map(|ratios| ratios[client]).collect());
    Ratio { addresses, connie: sample(0), oldest: sample(1), none: sample(2) }
}

/// The line of the `seed`-th client, each with its share.
fn line_of(seed: u64) -> &'static Line {
    let mut rest = Rng::new(seed ^ (1 << 63)).below(100);
    let drawn = LINES.iter().find(|line| {
        let share = u64::from(line.share);
        let found = rest < share;
        rest = rest.saturating_sub(share);
        found
    });
    drawn.unwrap_or(&LINES[0])
}

fn connected(outcome: &RaceOutcome) -> Option<Duration> {
    matches!(outcome.ending, Ending::Connected(_)).then_some(outcome.elapsed)
}

fn patience(millis: u64, networks: u64) -> Patience {
    let race = |seed: u64, line: &Line| {
        let mut rng = Rng::new(seed ^ (1 << 62));
        let n = rng.pick(&[4, 6, 8, 12, 12, 16, 24, 48]);
        let max_in_flight = rng.pick(&[1, 2, 4, 4, 4, 6, 8]);
        let patience = Duration::from_millis(millis);
        let config = Config::all_at_once().max_in_flight(max_in_flight).patience(patience);
        let outcome = Course::mixed(seed, n, line).scenario(config).connect().outcome;
        let took = connected(&outcome).map_or(f64::INFINITY, |took| took.as_secs_f64() * 1_000.0);
        (took, f64::from(outcome.recording.timeline().summary().attempts))
    };
    let by_line = LINES.iter().map(|line| {
        let drawn = each(networks, |seed| race(seed, line).0);
        Sample::new(drawn)
    });
    let lines = by_line.collect();
    let drawn = each(networks, |seed| race(seed, line_of(seed)));
    let (took, attempts) = drawn.iter().copied().unzip();
    let far = LINES[LINES.len() - 1].name;
    let near = (0..networks).zip(&drawn).filter(|(seed, _)| line_of(*seed).name != far);
    let earthbound = Sample::new(near.map(|(_, (took, _))| *took).collect());
    Patience { millis, lines, all: Sample::new(took), earthbound, attempts: Sample::new(attempts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_numbers() {
        let sample = Sample::new((1..=200).rev().map(f64::from).collect());
        assert_eq!([50, 99, 100].map(|percent| sample.percentile(percent)), [100.0, 198.0, 200.0]);
        assert_eq!((sample.mean(), sample.max(), sample.never()), (100.5, 200.0, 0.0));
        assert_eq!(Sample::new(vec![f64::INFINITY, 1.0]).never(), 50.0);
    }

    #[test]
    fn each_line_has_its_share_of_the_clients() {
        for line in &LINES {
            let share = (0..10_000).filter(|seed| line_of(*seed).name == line.name).count();
            assert!(share.abs_diff(usize::from(line.share) * 100) < 300, "{}: {share}", line.name);
        }
        assert_eq!(LINES.iter().map(|line| u32::from(line.share)).sum::<u32>(), 100);
    }

    #[test]
    fn no_client_beats_the_oracle() {
        let Ratio { connie, oldest, none, .. } = ratio(12, 200);
        for sample in [connie, oldest, none] {
            assert!(sample.percentile(1) >= 1.0);
        }
    }
}
