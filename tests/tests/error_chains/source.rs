//! A Rust source as far as texts in it are looked for: where its strings are, and what its braces hold.

use std::ops::Range;

/// A source, its comments, strings and tests replaced by spaces, and the strings apart.
pub struct Source {
    code: String,
    texts: Vec<(usize, String)>,
}

impl Source {
    pub fn new(source: &str) -> Self {
        let tests = ["mod ", "pub mod ", "pub(crate) mod ", "pub(super) mod "];
        let tests = tests.map(|head| source.find(&format!("#[cfg(test)]\n{head}")));
        let source = tests.into_iter().flatten().min().map_or(source, |end| &source[..end]);
        let bytes = source.as_bytes();
        let mut code = vec![b' '; bytes.len()];
        let mut texts = Vec::new();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let rest = &source.as_bytes()[at..];
            let length = match byte {
                b'/' if rest.starts_with(b"//") => {
                    rest.iter().position(|it| *it == b'\n').unwrap_or(rest.len())
                }
                b'r' if rest.starts_with(b"r\"") || rest.starts_with(b"r#\"") => raw(rest),
                b'"' => quoted(rest),
                b'\'' => character(rest),
                _ => {
                    code[at] = if byte.is_ascii() { byte } else { b' ' };
                    at += 1;
                    continue;
                }
            };
            if byte == b'"' {
                texts.push((at, unescaped(&source[at + 1..at + length - 1])));
            }
            at += length;
        }
        let mut source = Source { code: String::from_utf8(code).expect("ASCII"), texts };
        // What an attribute holds is for the compiler.
        for attribute in source.groups("#[", b'[', b']') {
            source.texts.retain(|(at, _)| !attribute.contains(at));
        }
        source
    }

    /// All strings.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|(_, text)| text.as_str())
    }

    /// The strings in the braces after each `head`; `None` where the source has no such head.
    pub fn texts_after(&self, head: &str) -> Option<Vec<&str>> {
        let groups = self.groups(head, b'{', b'}');
        (!groups.is_empty()).then(|| self.texts_in(|at| groups.iter().any(|group| group.contains(&at))))
    }

    /// The strings of the functions whose code has one of `marks`.
    pub fn texts_of_functions(&self, marks: &[&str]) -> Vec<&str> {
        let mut functions = self.groups("fn ", b'{', b'}');
        functions.retain(|function| marks.iter().any(|mark| self.code[function.clone()].contains(mark)));
        self.texts_in(|at| functions.iter().any(|function| function.contains(&at)))
    }

    /// The strings from `start` to `end`.
    pub fn texts_between(&self, start: &str, end: &str) -> Vec<&str> {
        let first = self.code.find(start).unwrap_or_else(|| panic!("no {start:?}: where are its texts now?"));
        let last = self.code[first..].find(end).map_or(self.code.len(), |length| first + length);
        self.texts_in(|at| (first..last).contains(&at))
    }

    fn texts_in(&self, is_there: impl Fn(usize) -> bool) -> Vec<&str> {
        self.texts.iter().filter(|(at, _)| is_there(*at)).map(|(_, text)| text.as_str()).collect()
    }

    /// From each `head` on to where the first bracket behind it closes.
    fn groups(&self, head: &str, opens: u8, closes: u8) -> Vec<Range<usize>> {
        let bytes = self.code.as_bytes();
        let group = |(start, _): (usize, &str)| {
            let mut depth = 0;
            for (at, byte) in bytes.iter().enumerate().skip(start) {
                depth += i32::from(*byte == opens) - i32::from(*byte == closes);
                if *byte == closes && depth <= 0 {
                    return start..at;
                }
            }
            start..bytes.len()
        };
        self.code.match_indices(head).map(group).collect()
    }
}

/// How long a string is that begins here, its quotes included.
fn quoted(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw(bytes: &[u8]) -> usize {
    let (skip, end) = if bytes.starts_with(b"r#") { (3, &b"\"#"[..]) } else { (2, &b"\""[..]) };
    let close = bytes[skip..].windows(end.len()).position(|it| it == end);
    close.map_or(bytes.len(), |close| skip + close + end.len())
}

/// A character, or a lifetime's mark.
fn character(bytes: &[u8]) -> usize {
    match bytes {
        [_, b'\\', ..] => bytes[3..].iter().position(|it| *it == b'\'').map_or(1, |end| end + 4),
        _ => match bytes.iter().take(6).skip(2).position(|it| *it == b'\'') {
            // One character, of up to four octets.
            Some(end) if end == 0 || !bytes[1].is_ascii() => end + 3,
            _ => 1,
        },
    }
}

/// Without the breaks of its lines, and with its quotes.
fn unescaped(text: &str) -> String {
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let text = lines.fold(first, |text, line| text + line.trim_start());
    text.replace("\\\"", "\"").replace("\\\\", "\\")
}

#[test]
fn strings_are_told_from_comments_characters_and_attributes() {
    let source = r##"// "a comment"
#[expect(lint, reason = "an attribute")]
fn one<'a>(text: &'a str) -> char { say("of \"one\""); '"' }
fn two() { r#"a raw "one""#; bad("of \
    two, {it}") }
impl Display for It { fn fmt() { "of it" } }
#[cfg(test)]
mod tests { "a test" }"##;
    let source = Source::new(source);
    assert_eq!(source.texts().collect::<Vec<_>>(), ["of \"one\"", "of two, {it}", "of it"]);
    assert_eq!(source.texts_after("Display for It "), Some(vec!["of it"]));
    assert_eq!(source.texts_after("Display for Other "), None);
    assert_eq!(source.texts_of_functions(&["bad("]), ["of two, {it}"]);
}
