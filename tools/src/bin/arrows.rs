//! Prints which crate uses which, and each circle of files.
//!
//! ```text
//! cargo run -p connie-tools --bin arrows                 the crates, and circles of files
//! cargo run -p connie-tools --bin arrows connie-std      the files of one crate, with what each uses
//! ```

use std::path::Path;
use std::process::ExitCode;

use connie_tools::arrows::{arrows, circles, packages, picture};

fn main() -> ExitCode {
    match run(std::env::args().nth(1).as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("arrows: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: Option<&str>) -> Result<(), String> {
    let packages = packages(Path::new("."))?;
    if wanted.is_none() {
        println!("{}", picture(&packages)?);
    }
    for package in packages.iter().filter(|package| wanted.is_none_or(|wanted| wanted == package.name)) {
        for root in &package.roots {
            let arrows = arrows(root)?;
            for circle in circles(&arrows) {
                println!("{}: a circle of {} files: {}", package.name, circle.len(), circle.join(", "));
                for file in &circle {
                    for (to, used) in arrows[file].iter().filter(|(to, _)| circle.contains(to)) {
                        println!("  {file}:{} uses {} of {to}", used.line, used.name);
                    }
                }
            }
            if wanted.is_some() {
                for (file, uses) in &arrows {
                    println!("{file}: {}", uses.keys().cloned().collect::<Vec<_>>().join(", "));
                }
            }
        }
    }
    Ok(())
}
