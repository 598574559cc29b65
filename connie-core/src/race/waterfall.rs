//! W
use super::timeline::Timeline;

/// x
#[derive(Clone, Copy, Debug)]
pub struct Waterfall<'a> {
    pub(super) timeline: Timeline<'a>,
}
