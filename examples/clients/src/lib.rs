//! Nothing: the programs are in `src/bin`.

/// The program of that page is tested.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/tokio.md")]
mod page_about_tokio {}
