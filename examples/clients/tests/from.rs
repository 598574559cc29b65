//! The programs of docs/from, before and after: one for each client that takes a connector or a resolver.
#![cfg(target_os = "linux")]

#[path = "../../tests/support/from.rs"]
mod from;

#[test]
fn hyper_util() {
    from::a_page(env!("CARGO_BIN_EXE_hyper_util_before"), env!("CARGO_BIN_EXE_hyper_util_after"));
}

#[test]
fn reqwest() {
    from::a_page(env!("CARGO_BIN_EXE_reqwest_before"), env!("CARGO_BIN_EXE_reqwest_after"));
}

#[test]
fn ureq() {
    from::a_page(env!("CARGO_BIN_EXE_ureq_before"), env!("CARGO_BIN_EXE_ureq_after"));
}
