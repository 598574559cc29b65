//! Prints which package uses which, and each circle of files.
//!
//! ```text
//! cargo run -p connie-tools --bin arrows                  the packages, and circles of files
//! cargo run -p connie-tools --bin arrows -- --write       puts the picture of the packages into ARCHITECTURE.md
//! cargo run -p connie-tools --bin arrows -- connie-std    the files of one package, with what each uses
//! ```

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use connie_tools::arrows::{Package, arrows, circles, packages, picture, updated};

const PAGE: &str = "ARCHITECTURE.md";

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let done =
        packages(&root).and_then(|packages| match given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => overview(&packages),
            ["--write"] => write(&root.join(PAGE), &packages),
            [name] => one(&packages, name),
            _ => Err("give the name of a package, --write, or nothing".to_string()),
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("arrows: {error}");
            ExitCode::FAILURE
        }
    }
}

fn overview(packages: &[Package]) -> Result<(), String> {
    print!("{}", picture(packages)?);
    for package in packages {
        for root in &package.roots {
            let arrows = arrows(root)?;
            for circle in circles(&arrows) {
                println!("\n{}: {} use each other in a circle", package.name, circle.join(", "));
                for file in &circle {
                    for (to, used) in arrows[file].iter().filter(|(to, _)| circle.contains(to)) {
                        println!("  {file}:{} uses {} of {to}", used.line, used.name);
                    }
                }
            }
        }
    }
    Ok(())
}

fn write(page: &Path, packages: &[Package]) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", page.display());
    let text = fs::read_to_string(page).map_err(failed)?;
    fs::write(page, updated(&text, &picture(packages)?)?).map_err(failed)
}

fn one(packages: &[Package], name: &str) -> Result<(), String> {
    let names = || packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(", ");
    let package = packages.iter().find(|package| package.name == name);
    let package = package.ok_or_else(|| format!("there is no package {name:?}; there are {}", names()))?;
    for root in &package.roots {
        for (file, uses) in arrows(root)? {
            println!("{file}: {}", uses.keys().cloned().collect::<Vec<_>>().join(", "));
        }
    }
    Ok(())
}
