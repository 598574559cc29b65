//! What the terminal can show.

use std::env;
use std::io::IsTerminal;
#[cfg(not(windows))]
use std::os::fd::AsFd as Handle;
#[cfg(windows)]
use std::os::windows::io::AsHandle as Handle;

use connie_core::timeline::Style;

/// How wide a picture on `stream` may be: what COLUMNS says, else the terminal, else 80.
pub fn width(stream: &impl Handle) -> usize {
    let asked = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    asked.filter(|columns| *columns > 0).or_else(|| columns(stream)).unwrap_or(80)
}

#[cfg(unix)]
fn columns(stream: &impl Handle) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(not(unix))]
fn columns(_: &impl Handle) -> Option<usize> {
    None
}

/// How a picture looks on `stream`.
pub fn style(stream: &impl IsTerminal) -> Style {
    Style::default().unicode(has_unicode()).colour(has_colour(stream))
}

/// Colour is for terminals, and not where NO_COLOR has a value (no-color.org).
fn has_colour(stream: &impl IsTerminal) -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !unwanted && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether the locale's characters are UTF-8. The first of these that has a value decides (POSIX,
/// section 8.2).
fn has_unicode() -> bool {
    if cfg!(windows) {
        return true;
    }
    let values = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(|name| env::var(name).ok());
    let locale = values.into_iter().find(|value| !value.is_empty()).unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
