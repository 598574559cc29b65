//! Whether an error's source says again what the error has said.

/// Whether two words in a row of `source`, or its only one, stand in `line` too: a chain of errors would say
/// them twice.
///
/// By ASCII alone: the tables for more would be the larger part of what it costs.
pub(crate) fn repeats(line: &str, source: &str) -> bool {
    if words(source).nth(1).is_none() {
        return words(source).any(|own| words(line).any(|said| same(said, own)));
    }
    pairs(source).any(|own| pairs(line).any(|said| same(own.0, said.0) && same(own.1, said.1)))
}

fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    words(text).zip(words(text).skip(1))
}

/// Without what stands around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_in_a_row_are_a_repetition() {
        assert!(repeats("no such name (NXDOMAIN from 192.0.2.53:53)", "no such name"));
        assert!(repeats("invalid certificate: Certificate expired", "the certificate, expired"));
        assert!(repeats("it failed", "failed"));
        assert!(!repeats("SERVFAIL from 192.0.2.53:53", "the name server could not answer (SERVFAIL)"));
        assert!(!repeats("anything", ""));
    }
}
