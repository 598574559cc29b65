//! What differs from one simulation to the other.

use super::draw;
use crate::rng::Rng;

/// What a simulation draws its clients from.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What it is called.
    pub name: &'static str,
    /// How many addresses a site has.
    pub addresses: AddressCount,
    /// How far away they are.
    pub distance: Distance,
    /// How many of them each answer has.
    pub answered: usize,
    /// What happens half-way.
    pub event: Option<CourtesyEvent>,
    /// Whether, up to then, all addresses are those of a captive portal.
    pub portal: bool,
    /// How often a site is visited.
    pub visits: usize,
    /// How often it is visited in a row.
    pub in_a_row: f64,
    /// How many minutes pass until one is visited again.
    pub minutes: f64,
    /// How much jitter there is, as a multiple of what is usual.
    pub jitter: f64,
    /// How many SYNs are lost, in the same way.
    pub loss: f64,
    /// How many addresses are dead.
    pub dead: f64,
    /// How often a path changes.
    pub changes: f64,
}

/// How many addresses a site has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressCount {
    /// So many.
    Of(usize),
    /// From one to twelve, each as likely.
    UpToTwelve,
    /// 1.7 on average: most have one.
    Few,
}

/// How far away a site's addresses are. All but those of one place are drawn one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// A near edge: 39 ms in the median, 80 of 100 below 78 ms.
    Near,
    /// Anywhere: 100 to 300 ms.
    Far,
    /// Each of them for every second site.
    Both,
    /// As near as [`Near`](Distance::Near), and all addresses of a site within 2 ms and one prefix.
    OnePlace,
}

/// What happens to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CourtesyEvent {
    /// Nothing; where a portal is, it lets the client through.
    Nothing,
    /// It is on another network.
    Moves,
    /// All paths are others, and nothing shows it.
    PathsChange,
    /// The best address of each site falls silent.
    BestDies,
}

impl Setting {
    /// Sites of twelve addresses, half of them near and half of them anywhere: what the targets are about.
    pub const TWELVE: Setting = Setting {
        name: "twelve addresses",
        addresses: AddressCount::Of(12),
        distance: Distance::Both,
        answered: usize::MAX,
        event: None,
        portal: false,
        visits: 40,
        in_a_row: 8.0,
        minutes: 5.0,
        jitter: 1.0,
        loss: 1.0,
        dead: 1.0,
        changes: 1.0,
    };

    /// The same with another name and number of addresses.
    #[must_use]
    pub const fn with(name: &'static str, addresses: AddressCount) -> Self {
        Setting { name, addresses, ..Self::TWELVE }
    }

    /// Twelve addresses so far away.
    #[must_use]
    pub const fn at(name: &'static str, distance: Distance) -> Self {
        Setting { name, distance, ..Self::TWELVE }
    }

    /// Twelve addresses to which something happens half-way.
    #[must_use]
    pub const fn until(name: &'static str, event: CourtesyEvent) -> Self {
        Setting { name, event: Some(event), ..Self::TWELVE }
    }

    /// Twelve addresses of a site that the client comes back to after so many minutes.
    #[must_use]
    pub const fn each(name: &'static str, minutes: f64) -> Self {
        Setting { name, minutes, ..Self::TWELVE }
    }

    /// Forty addresses, of which each answer has eight.
    pub const ROTATING: Setting =
        Setting { answered: 8, ..Self::with("8 of 40 in each answer", AddressCount::Of(40)) };

    /// A portal that lets the client through half-way.
    pub const PORTAL: Setting =
        Setting { portal: true, ..Self::until("captive portal", CourtesyEvent::Nothing) };
}

impl AddressCount {
    pub(super) fn draw(self, rng: &mut Rng) -> usize {
        match self {
            AddressCount::Of(count) => count,
            AddressCount::UpToTwelve => rng.within(1, 12) as usize,
            AddressCount::Few => match rng.below(100) {
                0..60 => 1,
                60..85 => 2,
                85..93 => 3,
                93..98 => 4,
                _ => 8,
            },
        }
    }
}

impl Distance {
    /// What the addresses of the `site`-th site have in common, in microseconds.
    pub(super) fn common(self, _site: usize, rng: &mut Rng) -> f64 {
        near(rng)
    }

    /// The round trip of one of them.
    pub(super) fn draw(self, site: usize, common: f64, rng: &mut Rng) -> f64 {
        match self {
            Distance::OnePlace => common + draw::between(rng, 0.0, 2_000.0),
            Distance::Far => draw::between(rng, 100_000.0, 300_000.0),
            Distance::Both if site % 2 == 1 => draw::between(rng, 100_000.0, 300_000.0),
            Distance::Near | Distance::Both => near(rng),
        }
    }
}

/// No packet is back from an edge in less than 2 ms.
fn near(rng: &mut Rng) -> f64 {
    draw::log_normal(rng, 39_000.0, 78_000.0).max(2_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_addresses_are_1_7_on_average() {
        let mut rng = Rng::new(1);
        let sum: usize = (0..10_000).map(|_| AddressCount::Few.draw(&mut rng)).sum();
        assert!((16_500..17_500).contains(&sum), "{sum}");
    }
}
