//! JSON
use super::timeline::Timeline;

/// x
#[derive(Clone, Copy, Debug)]
pub struct Json<'a> {
    pub(super) timeline: Timeline<'a>,
}
