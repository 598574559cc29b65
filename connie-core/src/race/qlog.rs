//! qlog
use super::timeline::Timeline;

/// x
#[derive(Clone, Copy, Debug)]
pub struct Qlog<'a> {
    pub(super) timeline: Timeline<'a>,
}
