//! Measures what connie costs and writes it to `docs/footprint.md`:
//!
//! ```text
//! cargo run --release -p connie-footprint
//! ```
//!
//! Instructions are counted by valgrind, sizes are read from a linked program for thumbv7m-none-eabi, and
//! processor time is the kernel's own account of whole processes, ours and curl's in turn.
//!
//! With `--check` it only counts, and fails where a figure is above the one in `budget.txt` by more than 2 %
//! (instructions) or 1 % (bytes); `--accept` makes the figures of today the ones to keep to. What cannot be
//! counted on a machine is skipped aloud, and is a failure with `CONNIE_STRICT=1` in the environment.
//! `--counted` writes all of the page but what is timed, which it leaves as it was: for a machine that has
//! other work. `--firmware` writes the whole firmware's part by the stable compiler alone, and leaves all
//! else as it was.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("footprint: needs Linux, for valgrind and for the kernel's account of processor time");
}

#[cfg(target_os = "linux")]
mod board;
#[cfg(target_os = "linux")]
mod budget;
#[cfg(target_os = "linux")]
mod callgrind;
#[cfg(target_os = "linux")]
mod figure;
#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod firmware;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod nightly;
#[cfg(target_os = "linux")]
mod parts;
#[cfg(target_os = "linux")]
mod processor;
#[cfg(target_os = "linux")]
mod provenance;
#[cfg(target_os = "linux")]
mod start;
#[cfg(target_os = "linux")]
mod tools;

#[cfg(target_os = "linux")]
use connie_lab::firmware::nightly_compiler;
#[cfg(target_os = "linux")]
use figures::Figures;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let done = match std::env::args().nth(1).as_deref() {
        Some("--check") => Figures::count_checked(&root).and_then(|figures| budget::check(&root, &figures)),
        Some("--accept") => Figures::count(&root).and_then(|figures| budget::accept(&root, &figures)),
        Some("--counted") => Figures::count(&root).and_then(|figures| write_page(&root, &figures, false)),
        Some("--firmware") => write_firmware(&root),
        Some(other) => {
            Err(format!("{other:?} is unknown: give --check, --accept, --counted, --firmware or nothing"))
        }
        None => Figures::count(&root).and_then(|figures| write_page(&root, &figures, true)),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("footprint: {reason}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// The part of the page that is about the whole firmware, anew.
#[cfg(target_os = "linux")]
fn write_firmware(root: &std::path::Path) -> Result<(), String> {
    if let Some(needs) = board::missing_to_run() {
        return Err(needs);
    }
    let path = root.join("docs/footprint.md");
    let old = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let (start, end) =
        old.find(board::TITLE).zip(old.find(processor::TITLE)).ok_or("the page has no firmware")?;
    let mut page = old[..start].to_owned();
    board::write(&mut page, &old, Err("a run without --firmware".to_owned()))?;
    page.push_str(&old[end..]);
    std::fs::write(&path, &page).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(target_os = "linux")]
fn write_page(root: &std::path::Path, figures: &Figures, timed: bool) -> Result<(), String> {
    let path = root.join("docs/footprint.md");
    if let Some(needs) = figures.missing().first() {
        return Err(format!("not all of the page can be counted here: {needs}"));
    }
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let mut page = String::from(
        "# What connie costs\n\n\
        Written by `cargo run --release -p connie-footprint`, which needs root, valgrind, curl, qemu-system-arm, nginx,\n\
        the target thumbv7m-none-eabi, and for one table a nightly compiler with its rust-src. Do not edit.\n",
    );
    figures.write(&mut page);
    board::write(&mut page, &old, nightly_compiler())?;
    if timed {
        processor::processor_time(root, &mut page)?;
    } else {
        let at = old.find(processor::TITLE).ok_or("what is timed is not in the page: give nothing")?;
        page.push_str(&old[at..]);
    }
    std::fs::create_dir_all(root.join("docs"))
        .and_then(|()| std::fs::write(&path, &page))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    print!("{page}");
    Ok(())
}
