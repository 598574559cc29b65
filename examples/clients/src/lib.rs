//! Nothing: the programs are in `src/bin`.

/// The programs of these pages are tested.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/tokio.md")]
mod page_about_tokio {}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod first_page {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/memory.md")]
mod page_about_memory {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/observing.md")]
mod page_about_observing {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust.md")]
mod page_about_rust {}
