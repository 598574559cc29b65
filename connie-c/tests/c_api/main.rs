//! The library as its users have it: built in release, linked from C, opened from Python, in a network made
//! for the test.
#![cfg(target_os = "linux")]

mod c;
mod header;
mod install;
mod pages;
mod process;
mod python;
mod support;
