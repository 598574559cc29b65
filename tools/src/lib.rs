//! What looks over the workspace, and what writes pages and pictures for `docs/`. Nothing here is published.

pub mod arrows;
pub mod benchmarks;
mod chart;
pub mod courtesy;
pub mod never_stuck;
pub mod pairs;
pub mod regret;
mod scatter;
mod strips;
mod svg;
