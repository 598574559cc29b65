//! An explanation in words and as JSON.

use core::fmt;
use core::time::Duration;

use super::explain::{AddressPart, CrowdState, ExplainedAddress, Explanation, WholeRaceReason};
use crate::race::Family;
use crate::time::micros;
use crate::timeline::{OrNull, Quoted};

/// `lead: 31 ms +-4, seen 12 s ago; 3 demoted; next at 47 ms`, or
/// `whole race: the host was never met here; 2 unknown`.
impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.whole(), self.the(AddressPart::Lead)) {
            (Some(whole), _) => write!(f, "whole race: {whole}")?,
            (None, Some(lead)) => write!(f, "lead: {}", AddressFacts(lead))?,
            (None, None) => f.write_str("a lead")?,
        }
        if let Some(explored) = self.the(AddressPart::Explored) {
            write!(f, "; explored: {}", AddressFacts(explored))?;
        }
        for (part, words) in [
            (AddressPart::Demoted, "demoted"),
            (AddressPart::OnProbation, "on probation"),
            (AddressPart::Unknown, "unknown"),
        ] {
            match self.count(part) {
                0 => {}
                count => write!(f, "; {count} {words}")?,
            }
        }
        if self.has_stalled() {
            f.write_str("; the network stalls")?;
        }
        if let Some(first) = self.first() {
            f.write_str(match first {
                Family::V6 => "; IPv6 first",
                Family::V4 => "; IPv4 first",
            })?;
        }
        if let Some(hold) = self.hold() {
            write!(f, "; waits {} ms for the other family", Millis(hold, hold))?;
        }
        match self.next() {
            None => {}
            Some(Duration::ZERO) => f.write_str("; next with it")?,
            Some(next) => write!(f, "; next at {} ms", Millis(next, next))?,
        }
        if self.paid() == Some(0) {
            f.write_str("; the bucket is empty")?;
        }
        f.write_str(match self.crowd() {
            CrowdState::No => "",
            CrowdState::Leads => "; others follow",
            CrowdState::Follows => "; another explores",
        })
    }
}

impl fmt::Display for WholeRaceReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WholeRaceReason::NeverMet => "the host was never met here",
            WholeRaceReason::NothingFresh => "nothing fresh is known of its addresses",
            WholeRaceReason::NoneLive => "none is known to answer",
            WholeRaceReason::AfterMiss => "the last lead was beaten, or nobody answered",
        })
    }
}

impl fmt::Display for AddressPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AddressPart::OnProbation => "on probation",
            part => part.name(),
        })
    }
}

/// `192.0.2.1:80 lead: 31 ms +-4, seen 12 s ago`.
impl fmt::Display for ExplainedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.address(), self.part())?;
        match self.part() {
            AddressPart::Unknown if self.age().is_none() => Ok(()),
            _ => write!(f, ": {}", AddressFacts(self)),
        }
    }
}

/// What is known of an address, without its name and part.
struct AddressFacts<'a>(&'a ExplainedAddress);

impl fmt::Display for AddressFacts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AddressFacts(one) = *self;
        let mut comma = "";
        if let Some(round_trip) = one.round_trip() {
            write!(f, "{} ms", Millis(round_trip, round_trip))?;
            match one.variation() {
                Some(variation) => write!(f, " +-{}", Millis(variation, round_trip))?,
                None => f.write_str(" by its prefix")?,
            }
            comma = ", ";
        }
        if let Some(age) = one.age() {
            write!(f, "{comma}seen {} ago", Age(age))?;
            comma = ", ";
        }
        if one.was_late() {
            write!(f, "{comma}late last time")?;
            comma = ", ";
        }
        match one.failures() {
            0 => {}
            1 => write!(f, "{comma}1 failure")?,
            failures => write!(f, "{comma}{failures} failures")?,
        }
        if let Some(pause) = one.paused_for() {
            write!(f, ", for {} more", Age(pause))?;
        }
        if comma.is_empty() && one.failures() == 0 {
            f.write_str("nothing known")?;
        }
        Ok(())
    }
}

/// A time in milliseconds, to a tenth where the other one is so short that this matters.
struct Millis(Duration, Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Millis(time, of) = *self;
        let micros = micros(time);
        if of < Duration::from_millis(10) {
            let tenths = micros.saturating_add(50) / 100;
            return write!(f, "{}.{}", tenths / 10, tenths % 10);
        }
        write!(f, "{}", micros.saturating_add(500) / 1_000)
    }
}

/// How long ago, or for how long: in the largest unit of which there are two.
struct Age(Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{} ms", self.0.subsec_millis()),
            1..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", seconds / 60),
            7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}

impl<'a> Explanation<'a> {
    /// The explanation as one JSON object on one line. Times are in microseconds. What there is nothing to
    /// say about is `null`.
    ///
    /// ```text
    /// {"whole":null,"lead":"192.0.2.1:80","explored":null,"second":"192.0.2.2:80","next_us":47000,"rest_us":94000,
    ///  "longest_us":250000,"hold_us":null,"paid":12,"first":null,"stalled":false,"crowd":null,
    ///  "addresses":[{"address":"192.0.2.1:80","part":"lead","round_trip_us":31000,"variation_us":4000,"due_us":47000,
    ///  "by_prefix":false,"age_us":12000256,"late":false,"failures":0,"paused_us":null}, ...]}
    /// ```
    ///
    /// `whole` is a [`WholeRaceReason::name`], `part` a [`AddressPart::name`], `first` a [`Family::name`],
    /// and `crowd` `leads` or `follows`.
    #[must_use]
    pub const fn json(&self) -> ExplanationJson<'a> {
        ExplanationJson(*self)
    }
}

/// An explanation that prints as JSON: from [`Explanation::json`].
#[derive(Clone, Copy, Debug)]
pub struct ExplanationJson<'a>(Explanation<'a>);

impl fmt::Display for ExplanationJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExplanationJson(it) = self;
        let the = |part| OrNull(it.the(part).map(|one| Quoted(one.address())));
        write!(f, r#"{{"whole":{},"#, OrNull(it.whole().map(|whole| Quoted(whole.name()))))?;
        write!(f, r#""lead":{},"explored":{},"#, the(AddressPart::Lead), the(AddressPart::Explored))?;
        write!(f, r#""second":{},"#, the(AddressPart::Second))?;
        write!(f, r#""next_us":{},"rest_us":{},"#, Micros(it.next()), Micros(it.rest()))?;
        write!(f, r#""longest_us":{},"hold_us":{},"#, micros(it.longest_delay()), Micros(it.hold()))?;
        write!(f, r#""paid":{},"#, OrNull(it.paid()))?;
        write!(f, r#""first":{},"#, OrNull(it.first().map(|family| Quoted(family.name()))))?;
        write!(f, r#""stalled":{},"crowd":{},"#, it.has_stalled(), OrNull(it.crowd().name().map(Quoted)))?;
        f.write_str(r#""addresses":["#)?;
        for (index, one) in it.addresses().iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            write_address(f, one)?;
        }
        f.write_str("]}")
    }
}

fn write_address(f: &mut fmt::Formatter<'_>, one: &ExplainedAddress) -> fmt::Result {
    write!(f, r#"{{"address":"{}","part":"{}","#, one.address(), one.part().name())?;
    write!(f, r#""round_trip_us":{},"#, Micros(one.round_trip()))?;
    write!(f, r#""variation_us":{},"#, Micros(one.variation()))?;
    write!(f, r#""due_us":{},"by_prefix":{},"#, Micros(one.due()), one.is_of_prefix())?;
    write!(f, r#""age_us":{},"late":{},"#, Micros(one.age()), one.was_late())?;
    write!(f, r#""failures":{},"paused_us":{}}}"#, one.failures(), Micros(one.paused_for()))
}

/// In microseconds, or `null`.
struct Micros(Option<Duration>);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        OrNull(self.0.map(micros)).fmt(f)
    }
}
