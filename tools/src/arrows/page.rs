//! The picture's place in a page.

const BEGIN: &str = "<!-- arrows: written by `cargo run -p connie-tools --bin arrows -- --write` -->";
const END: &str = "<!-- end of the arrows -->";

/// `page` with `picture` in its place.
///
/// # Errors
///
/// That the page has no such place.
pub fn updated(page: &str, picture: &str) -> Result<String, String> {
    let missing = |mark| format!("the page lacks the line {mark}");
    let (before, rest) = page.split_once(BEGIN).ok_or_else(|| missing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| missing(END))?;
    Ok(format!("{before}{BEGIN}\n```text\n{picture}```\n{END}{after}"))
}
