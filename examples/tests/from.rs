//! The programs of docs/from, before and after: the client of firmware.
#![cfg(target_os = "linux")]

#[path = "support/from.rs"]
mod from;

#[test]
fn reqwless() {
    from::a_page(env!("CARGO_BIN_EXE_reqwless_before"), env!("CARGO_BIN_EXE_reqwless"));
}
