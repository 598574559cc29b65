//! The lines of a file of the system's, as the C library takes them apart.

/// Each line's fields. A comment begins at a `#` wherever it stands, and a NUL ends a string of C. White
/// space is ASCII's, of which CR is one.
pub(super) fn of_line(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = line.iter().position(|byte| matches!(byte, b'#' | 0)).unwrap_or(line.len());
    let text = line.get(..end).unwrap_or_default();
    text.split(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).filter(|field| !field.is_empty())
}

/// What a field says, where it says anything of this kind.
pub(super) fn parse<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}
