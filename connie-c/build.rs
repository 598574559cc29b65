//! Threads that look names up run the library's code until they have nothing to do, so a library that was
//! opened with `dlopen` must stay in memory after `dlclose`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS");
    if matches!(system.as_deref(), Ok("linux" | "android" | "freebsd" | "netbsd" | "openbsd")) {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
