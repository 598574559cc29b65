//! Puts the root certificate where the program finds it.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-env-changed=AUTHORITY_DER");
    let authority = PathBuf::from(env::var_os("AUTHORITY_DER").unwrap_or_else(|| "authority.der".into()));
    println!("cargo:rerun-if-changed={}", authority.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    if let Err(error) = fs::copy(&authority, out.join("authority.der")) {
        println!(
            "cargo:error={}: {error}; put it there: the root certificate of the host, in DER (README.md)",
            authority.display()
        );
    }
}
