//! The law that a race is never stuck, put to the test: networks to try it on, rivals to compare it with, and
//! the page that says how it went. `docs/never-stuck.md` states the law and proves it.
//!
//! ```text
//! cargo run --release -p connie-tools --bin never_stuck                      writes the tables and the picture into docs/
//! cargo run --profile search -p connie-tools --bin never_stuck -- --check    holds 100,000 random networks to the law
//! ```

mod course;
mod page;
mod rival;
mod survey;
mod trial;

pub use course::{Course, LINES, Line};
pub use page::{numbers, picture};
pub use rival::{evict_the_oldest, never_evict};
pub use survey::{PATIENCES, Patience, Ratio, SOCKETS, Sample, Survey};
pub use trial::{Trial, Verdict};
