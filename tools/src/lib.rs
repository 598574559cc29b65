//! What looks over the workspace. Nothing here is published.

pub mod arrows;
