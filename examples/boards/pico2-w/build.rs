//! Puts memory.x where the linker looks for it, and what the program includes where it finds it.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The radio's firmware, its settings, and what it may send in which country. They are under a licence of
/// their own.
const RADIO: [&str; 3] = ["43439A0.bin", "nvram_rp2040.bin", "43439A0_clm.bin"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    fs::copy("memory.x", out.join("memory.x")).expect("memory.x is beside this file");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-env-changed=AUTHORITY_DER");
    println!("cargo:rerun-if-env-changed=CYW43_FIRMWARE");

    let authority = env::var_os("AUTHORITY_DER").unwrap_or_else(|| "authority.der".into());
    include(Path::new(&authority), &out.join("authority.der"), "the root certificate of the host, in DER");
    match env::var("CYW43_FIRMWARE").as_deref() {
        // Enough to measure the size; the radio does not start.
        Ok("none") => {
            for file in RADIO {
                fs::write(out.join(file), []).expect("OUT_DIR can be written");
            }
        }
        folder => {
            let folder = Path::new(folder.unwrap_or("cyw43-firmware"));
            for file in RADIO {
                include(
                    &folder.join(file),
                    &out.join(file),
                    "from embassy's repository, folder cyw43-firmware",
                );
            }
        }
    }
}

fn include(from: &Path, to: &Path, what: &str) {
    println!("cargo:rerun-if-changed={}", from.display());
    if let Err(error) = fs::copy(from, to) {
        println!("cargo:error={}: {error}; put it there: {what} (README.md)", from.display());
    }
}
