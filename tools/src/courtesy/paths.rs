//! One client and its paths.

use super::Measured;

pub(super) fn measure(_seeds: u64) -> Measured {
    Measured::default()
}

pub(super) fn check() -> Result<String, String> {
    Ok(String::new())
}
