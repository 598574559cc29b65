//! Times and addresses, as they stand in a sentence.

use std::net::SocketAddr;
use std::time::Duration;

/// A time as people read it.
pub fn time(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.as_millis());
    match seconds {
        0 if millis == 0 => "less than 1 ms".to_owned(),
        0 => format!("{millis} ms"),
        1..=9 => format!("{:.1} s", duration.as_secs_f64()),
        10..=119 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Addresses in a sentence.
pub fn listed<'a>(addresses: impl IntoIterator<Item = &'a SocketAddr>) -> String {
    let addresses: Vec<_> = addresses.into_iter().map(|address| address.ip().to_string()).collect();
    match &*addresses {
        [] => String::new(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_unit_that_people_read() {
        let times = [0, 1, 999, 1_000, 9_900, 127_000, 60_000, 10_000].map(Duration::from_millis).map(time);
        assert_eq!(
            times,
            ["less than 1 ms", "1 ms", "999 ms", "1.0 s", "9.9 s", "2 min 7 s", "60 s", "10 s"]
        );
    }
}
