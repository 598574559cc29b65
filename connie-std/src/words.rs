//! Whether an error's source says again what the error has said.

/// Whether two words in a row of `source`, or its only one, stand in `line` too: a chain of errors would say them twice.
pub(crate) fn repeats(line: &str, source: &str) -> bool {
    let (said, own) = (words(line), words(source));
    let run = own.len().clamp(1, 2);
    own.windows(run).any(|run| said.windows(run.len()).any(|other| other == run))
}

/// Without what stands around them.
fn words(text: &str) -> Vec<String> {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    text.split_whitespace().map(bare).filter(|word| !word.is_empty()).collect()
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
