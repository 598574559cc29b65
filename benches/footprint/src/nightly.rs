//! The table of what a nightly compiler makes of the firmware. Not every machine has that compiler, and what
//! is unstable in it may change: where the table cannot be made anew, the former one is kept with its date.

const TITLE: &str = "\nThe same with a nightly compiler, which builds `core` anew for size \
    (`-Zbuild-std=core -Zbuild-std-features=optimize_for_size -Cpanic=immediate-abort`):\n";
const COLUMNS: &str = "| firmware, by a nightly compiler | IP | flash | target |\n|---|---|--:|--:|\n";
/// Begins the line that says why the table was not made anew.
const NOT_RUN: &str = "**NOT RUN**";

/// The section of the page. `old` is the page as it was, `compiler` the nightly compiler's version or what is
/// missing, `rows` makes the table.
pub fn section(
    old: &str,
    today: &str,
    compiler: Result<String, String>,
    rows: impl FnOnce() -> Result<String, String>,
) -> String {
    let made = compiler.map_err(|needs| format!("needs {needs}")).and_then(|version| {
        let rows = rows().map_err(|error| {
            format!("{version} does not build it: {}", error.lines().next().unwrap_or_default())
        })?;
        Ok(format!("Counted on {today}, built by {version}.\n\n{COLUMNS}{rows}"))
    });
    match made {
        Ok(table) => format!("{TITLE}\n{table}"),
        Err(reason) => {
            eprintln!("footprint: NOT RUN, the rows by a nightly compiler: {reason}");
            format!("{TITLE}\n{NOT_RUN} on {today}, when the rest was counted: {reason}. {}", former(old))
        }
    }
}

/// The table of the page as it was, with its date.
fn former(old: &str) -> String {
    let section = old.find(TITLE).map(|at| &old[at + TITLE.len()..]);
    let section = section.map(|section| section.find("\n## ").map_or(section, |end| &section[..end]));
    let kept: Vec<&str> =
        section.unwrap_or_default().lines().filter(|line| !line.starts_with(NOT_RUN)).collect();
    let kept = kept.join("\n");
    match kept.trim() {
        "" => "There are no former figures.\n".to_owned(),
        kept => format!("The figures are the former ones.\n\n{kept}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "| the race | both | 64,748 | 65,536 (met) |\n";

    fn page(section: &str) -> String {
        format!(
            "# What connie costs\n{section}\n## Processor time of the whole program\n\n| timed | 1.00 |\n"
        )
    }

    fn made() -> String {
        section("", "2026-05-20", Ok("rustc 1.97.0-nightly".into()), || Ok(ROW.into()))
    }

    #[test]
    fn a_table_has_its_date_and_its_compiler() {
        let section = made();
        assert!(section.starts_with(TITLE), "{section}");
        assert!(
            section.contains("\nCounted on 2026-05-20, built by rustc 1.97.0-nightly.\n\n| firmware"),
            "{section}"
        );
        assert!(section.ends_with(ROW), "{section}");
    }

    #[test]
    fn without_the_compiler_the_former_table_stays_with_its_date_however_often() {
        let rows = || panic!("there is no compiler to make them");
        let once = section(&page(&made()), "2026-06-01", Err("a nightly compiler: rustup".into()), rows);
        assert!(
            once.contains(
                "**NOT RUN** on 2026-06-01, when the rest was counted: needs a nightly compiler: rustup."
            ),
            "{once}"
        );
        assert!(once.contains("\nCounted on 2026-05-20, built by") && once.ends_with(ROW), "{once}");
        let twice = section(&page(&once), "2026-07-01", Err("rust-src".into()), rows);
        assert!(twice.contains("NOT RUN** on 2026-07-01") && !twice.contains("2026-06-01"), "{twice}");
        assert!(twice.contains("\nCounted on 2026-05-20, built by") && twice.ends_with(ROW), "{twice}");
        assert!(!twice.contains("timed"), "only the section: {twice}");
    }

    #[test]
    fn a_compiler_that_fails_loses_no_table() {
        let fails = || Err("race cannot be built: error: no such option\nhelp: none".to_owned());
        let section = section(&page(&made()), "2026-06-01", Ok("rustc 1.99.0-nightly".into()), fails);
        let reason = "rustc 1.99.0-nightly does not build it: race cannot be built: error: no such option. The figures";
        assert!(section.contains(reason) && section.ends_with(ROW), "{section}");
    }

    #[test]
    fn a_table_that_is_made_anew_takes_the_place_of_all() {
        let lost = section(&page(&made()), "2026-06-01", Err("rust-src".into()), || Ok(String::new()));
        let again = section(&page(&lost), "2026-07-01", Ok("rustc 2".into()), || Ok(ROW.into()));
        assert!(!again.contains("NOT RUN") && again.matches(ROW).count() == 1, "{again}");
        assert!(
            section("", "2026-06-01", Err("it".into()), || Ok(String::new())).contains("no former figures")
        );
    }
}
