//! URL patterns: `{one,two}`, `[1-9]`, `[01-10:3]`, `[a-z]`, with the meaning that they have for curl.
//!
//! The last piece of a pattern varies fastest. Each URL that a pattern stands for knows what its pieces stood
//! for, so that the name of a file can have them: `#1` is the first. Nothing is made in advance:
//! `[1-1000000000]` costs as much as `[1-2]`.

use std::fmt;

use crate::url::Url;

/// A pattern of this many pieces is refused, the text between braces and brackets included.
const MAX_PIECES: usize = 100;
/// The widest range of letters: from `a` to `z`.
const MAX_LETTERS: u8 = b'z' - b'a';

/// A text that stands for URLs.
///
/// ```
/// use connie_web::UrlPattern;
///
/// let pattern = UrlPattern::parse("http://name.test/{a,b}-[08-10:2].txt")?;
/// assert_eq!(pattern.count(), 4);
/// let urls: Vec<_> = pattern.urls().collect();
/// assert_eq!(urls[1].url, "http://name.test/a-10.txt");
/// assert_eq!(urls[1].file_name("#1/#2.txt"), "a/10.txt");
/// # Ok::<(), connie_web::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPattern {
    pieces: Vec<Piece>,
    count: u64,
}

/// One of the URLs that a [`UrlPattern`] stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternUrl {
    /// The URL, as a text: nobody has looked yet whether it is one.
    pub url: String,
    /// What each piece in braces or brackets stood for.
    values: Vec<String>,
}

/// Why a pattern was refused. Prints as one line that says where, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong.
    pub kind: PatternErrorKind,
    /// Where: the number of the octet, counted from 1.
    pub position: usize,
}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// A brace is opened and not closed.
    UnmatchedBrace,
    /// A brace or bracket is closed that was not opened.
    UnmatchedClose,
    /// A brace or bracket is opened within braces.
    Nested,
    /// A bracket is closed within braces.
    UnexpectedClose,
    /// There is nothing between two braces.
    EmptyBraces,
    /// What stands in brackets begins neither with a digit nor with a letter.
    NotARange,
    /// The range has no end, ends before it begins, or has a step that does not fit into it.
    BadRange,
    /// The pattern stands for more URLs than can be counted.
    Overflow,
    /// The pattern has 100 pieces or more.
    TooManyPieces,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PatternErrorKind::UnmatchedBrace => "unmatched brace",
            PatternErrorKind::UnmatchedClose => "unmatched close brace/bracket",
            PatternErrorKind::Nested => "nested brace",
            PatternErrorKind::UnexpectedClose => "unexpected close bracket",
            PatternErrorKind::EmptyBraces => "empty string within braces",
            PatternErrorKind::NotARange => "bad range specification",
            PatternErrorKind::BadRange => "bad range",
            PatternErrorKind::Overflow => "range overflow",
            PatternErrorKind::TooManyPieces => "too many braces and brackets",
        };
        write!(f, "{kind} at position {}", self.position)
    }
}

impl std::error::Error for PatternError {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Choice(Vec<String>),
    Letters {
        first: u8,
        last: u8,
        step: u8,
    },
    Numbers {
        first: u64,
        step: u64,
        count: u64,
        /// How many digits there are at least.
        digits: usize,
    },
}

impl Piece {
    /// How many texts it stands for.
    fn count(&self) -> u64 {
        match self {
            Piece::Text(_) => 1,
            Piece::Choice(texts) => texts.len() as u64,
            // The step is at least 1.
            Piece::Letters { first, last, step } => u64::from((last - first) / step) + 1,
            Piece::Numbers { count, .. } => *count,
        }
    }

    /// One of them.
    fn value(&self, index: u64) -> String {
        match self {
            Piece::Text(text) => text.clone(),
            Piece::Choice(texts) => {
                usize::try_from(index).ok().and_then(|index| texts.get(index)).cloned().unwrap_or_default()
            }
            // Not beyond `last`, which is ASCII.
            Piece::Letters { first, step, .. } => char::from(first + index as u8 * step).to_string(),
            Piece::Numbers { first, step, digits, .. } => {
                format!("{:0digits$}", first + index * step, digits = *digits)
            }
        }
    }
}

impl UrlPattern {
    /// Reads a pattern. An IPv6 address in brackets stands for itself, and so do empty brackets, and braces
    /// and brackets with a backslash before them.
    ///
    /// # Errors
    ///
    /// [`PatternError`], where braces or brackets are not as they should be.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut reader = Reader { text, at: 0 };
        let mut pieces = Vec::new();
        let mut count = 1_u64;
        while let Some(byte) = reader.peek() {
            let start = reader.at;
            let piece = match byte {
                b'{' => reader.choice()?,
                b'[' if reader.literal_brackets().is_none() => reader.range()?,
                _ => reader.text()?,
            };
            let at_start = |kind| PatternError { kind, position: start + 1 };
            count = count.checked_mul(piece.count()).ok_or(at_start(PatternErrorKind::Overflow))?;
            pieces.push(piece);
            if pieces.len() >= MAX_PIECES {
                return Err(at_start(PatternErrorKind::TooManyPieces));
            }
        }
        Ok(UrlPattern { pieces, count })
    }

    /// The pattern that stands for this text alone, whatever braces and brackets it has.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        UrlPattern { pieces: vec![Piece::Text(text.to_owned())], count: 1 }
    }

    /// How many URLs it stands for.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The URL with this number, counted from 0.
    #[must_use]
    pub fn url(&self, number: u64) -> Option<PatternUrl> {
        let mut rest = Some(number).filter(|number| *number < self.count)?;
        let mut texts = Vec::new();
        for piece in self.pieces.iter().rev() {
            // No piece stands for nothing.
            let count = piece.count();
            texts.push(piece.value(rest % count));
            rest /= count;
        }
        texts.reverse();
        let url = texts.concat();
        let named = self.pieces.iter().zip(texts).filter(|(piece, _)| !matches!(piece, Piece::Text(_)));
        Some(PatternUrl { url, values: named.map(|(_, text)| text).collect() })
    }

    /// All of them, in order.
    pub fn urls(&self) -> impl Iterator<Item = PatternUrl> {
        (0..self.count).map_while(|number| self.url(number))
    }
}

impl PatternUrl {
    /// The name of a file, in which `#1` is what the first piece in braces or brackets stood for, and so on.
    /// A number that no piece has stays as it is.
    #[must_use]
    pub fn file_name(&self, template: &str) -> String {
        let mut name = String::new();
        let mut rest = template;
        while let Some((before, behind)) = rest.split_once('#') {
            name.push_str(before);
            let digits = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, after) = behind.split_at(digits);
            let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            match index.and_then(|index| self.values.get(index)) {
                Some(value) => name.push_str(value),
                None => {
                    name.push('#');
                    name.push_str(number);
                }
            }
            rest = after;
        }
        name + rest
    }
}

/// A pattern of which a part is read. What it stops at is ASCII, so it never stops within a character.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next octet, if it is this one.
    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn error<T>(&self, kind: PatternErrorKind) -> Result<T, PatternError> {
        Err(PatternError { kind, position: self.at + 1 })
    }

    /// Brackets that are next and stand for themselves: those of an IPv6 address, and, as curl has it, empty
    /// ones, as in `?name[]=value`.
    fn literal_brackets(&self) -> Option<&'a str> {
        let length = self.rest().find(']')? + 1;
        let brackets = self.rest().get(..length)?;
        let is_literal = brackets == "[]" || brackets.starts_with('[') && Url::parse(brackets).is_ok();
        is_literal.then_some(brackets)
    }

    fn take_char(&mut self, into: &mut String) {
        if let Some(char) = self.rest().chars().next() {
            into.push(char);
            self.at += char.len_utf8();
        }
    }

    /// Text up to what is not.
    fn text(&mut self) -> Result<Piece, PatternError> {
        let mut text = String::new();
        while let Some(byte) = self.peek() {
            match byte {
                b'{' => break,
                b'[' => match self.literal_brackets() {
                    Some(brackets) => {
                        text.push_str(brackets);
                        self.at += brackets.len();
                        continue;
                    }
                    None => break,
                },
                b'}' | b']' => return self.error(PatternErrorKind::UnmatchedClose),
                b'\\' if matches!(self.text.as_bytes().get(self.at + 1), Some(b'{' | b'}' | b'[' | b']')) => {
                    self.at += 1;
                }
                _ => {}
            }
            self.take_char(&mut text);
        }
        Ok(Piece::Text(text))
    }

    /// `{one,two}`.
    fn choice(&mut self) -> Result<Piece, PatternError> {
        let open = PatternError { kind: PatternErrorKind::UnmatchedBrace, position: self.at + 1 };
        self.at += 1;
        if self.peek() == Some(b'}') {
            return self.error(PatternErrorKind::EmptyBraces);
        }
        let (mut texts, mut text) = (Vec::new(), String::new());
        loop {
            match self.peek().ok_or(open)? {
                b'{' | b'[' => return self.error(PatternErrorKind::Nested),
                b']' => return self.error(PatternErrorKind::UnexpectedClose),
                end @ (b',' | b'}') => {
                    self.at += 1;
                    texts.push(std::mem::take(&mut text));
                    if end == b'}' {
                        return Ok(Piece::Choice(texts));
                    }
                }
                // Here it stands before any character.
                b'\\' if self.at + 1 < self.text.len() => {
                    self.at += 1;
                    self.take_char(&mut text);
                }
                _ => self.take_char(&mut text),
            }
        }
    }

    /// `[1-9]`, `[a-z]`, both with `:STEP` at their end or without.
    fn range(&mut self) -> Result<Piece, PatternError> {
        let bad = PatternError { kind: PatternErrorKind::BadRange, position: self.at + 1 };
        self.at += 1;
        match self.peek() {
            Some(byte) if byte.is_ascii_digit() => self.numbers().ok_or(bad),
            Some(byte) if byte.is_ascii_alphabetic() => self.letters().ok_or(bad),
            _ => self.error(PatternErrorKind::NotARange),
        }?
        .ok_or(PatternError { kind: PatternErrorKind::Overflow, ..bad })
    }

    /// `Some(None)` where there are more than can be counted.
    fn numbers(&mut self) -> Option<Option<Piece>> {
        let digits = self.rest().len() - self.rest().trim_start_matches(|c: char| c.is_ascii_digit()).len();
        // A width of formatting is a `u16`.
        let digits = if self.peek() == Some(b'0') { usize::from(u16::try_from(digits).ok()?) } else { 0 };
        let first = self.number()?;
        if !self.skip(b'-') {
            return None;
        }
        while self.skip(b' ') || self.skip(b'\t') {}
        let last = self.number()?;
        let step = self.step()?;
        let width = last.checked_sub(first)?;
        // A range of one number has room for no step but the one that says nothing.
        let fits = if width == 0 { step == 1 } else { step <= width };
        fits.then(|| {
            let count = (width / step).checked_add(1)?;
            Some(Piece::Numbers { first, step, count, digits })
        })
    }

    fn letters(&mut self) -> Option<Option<Piece>> {
        let first = self.peek()?;
        self.at += 1;
        if !self.skip(b'-') {
            return None;
        }
        let last = self.peek().filter(u8::is_ascii)?;
        self.at += 1;
        let step = self.step()?;
        let width = last.checked_sub(first).filter(|width| *width <= MAX_LETTERS)?;
        let fits = if width == 0 { step == 1 } else { step <= u64::from(width) };
        // No more than the width, or 1.
        fits.then_some(Some(Piece::Letters { first, last, step: step as u8 }))
    }

    /// The end of a range: `]` or `:STEP]`.
    fn step(&mut self) -> Option<u64> {
        let step = if self.skip(b':') { self.number()? } else { 1 };
        Some(step).filter(|step| *step > 0 && self.skip(b']'))
    }

    fn number(&mut self) -> Option<u64> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = rest.get(..digits)?.parse().ok()?;
        self.at += digits;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<String> {
        UrlPattern::parse(text).unwrap().urls().map(|it| it.url).collect()
    }

    #[test]
    fn a_pattern_stands_for_urls_of_which_the_last_piece_varies_fastest() {
        for (text, expected) in [
            ("h", &["h"][..]),
            ("", &[""]),
            ("h/{a,b}", &["h/a", "h/b"]),
            ("{a,b}/{,c}", &["a/", "a/c", "b/", "b/c"]),
            ("h/{a}", &["h/a"]),
            ("[1-3]", &["1", "2", "3"]),
            ("[1-6:2]", &["1", "3", "5"]),
            ("[08-10]x", &["08x", "09x", "10x"]),
            ("[000-2]", &["000", "001", "002"]),
            ("[9- 11]", &["9", "10", "11"]),
            ("[7-7]", &["7"]),
            ("[a-c]", &["a", "b", "c"]),
            ("[A-G:3]", &["A", "D", "G"]),
            ("[x-x]", &["x"]),
            ("[Z-]]", &["Z", "[", "\\", "]"]),
            ("{a\\,b,\\}}", &["a,b", "}"]),
            ("?a[]=[1-2]", &["?a[]=1", "?a[]=2"]),
            ("\\{a\\}\\[\\x", &["{a}[\\x"]),
            ("\u{e9}{\u{e8},e}", &["\u{e9}\u{e8}", "\u{e9}e"]),
            ("http://[::1]/[1-2]", &["http://[::1]/1", "http://[::1]/2"]),
            ("[::1]:80/{a,b}", &["[::1]:80/a", "[::1]:80/b"]),
            ("{a,b}[fe80::1%251]", &["a[fe80::1%251]", "b[fe80::1%251]"]),
        ] {
            assert_eq!(urls(text), expected, "{text}");
            assert_eq!(UrlPattern::parse(text).unwrap().count(), expected.len() as u64, "{text}");
        }
        assert_eq!(UrlPattern::literal("h/{a,[").url(0).unwrap().url, "h/{a,[");
    }

    #[test]
    fn what_is_no_pattern_is_refused_where_it_goes_wrong() {
        use PatternErrorKind::*;
        for (text, kind, position) in [
            ("h/{a", UnmatchedBrace, 3),
            ("h/a}", UnmatchedClose, 4),
            ("h/a]", UnmatchedClose, 4),
            ("{a,{b}}", Nested, 4),
            ("{a,[1-2]}", Nested, 4),
            ("{a]}", UnexpectedClose, 3),
            ("h{}", EmptyBraces, 3),
            ("h[?]", NotARange, 3),
            ("h[", NotARange, 3),
            ("[1-3:5]", BadRange, 1),
            ("[1-3:0]", BadRange, 1),
            ("[3-1]", BadRange, 1),
            ("[1-2", BadRange, 1),
            ("[1-]", BadRange, 1),
            ("[1]", BadRange, 1),
            ("[1-1:2]", BadRange, 1),
            ("[1-18446744073709551616]", BadRange, 1),
            ("[a-Z]", BadRange, 1),
            ("[A-z]", BadRange, 1),
            ("[c-a]", BadRange, 1),
            ("[a-\u{e9}]", BadRange, 1),
            ("[a-c:3]", BadRange, 1),
            ("[a", BadRange, 1),
            ("[0-18446744073709551615]", Overflow, 1),
            ("[0-18446744073709551614][0-1]", Overflow, 25),
        ] {
            assert_eq!(UrlPattern::parse(text), Err(PatternError { kind, position }), "{text}");
        }
        let pieces = |count: usize| UrlPattern::parse(&"{a}".repeat(count)).map(|it| it.count());
        assert_eq!(pieces(99), Ok(1));
        assert_eq!(pieces(100).unwrap_err().kind, TooManyPieces);
    }

    /// A width beyond that of formatting would end the program.
    #[test]
    fn a_number_of_very_many_zeros_is_a_bad_range() {
        let pattern = |zeros: usize| UrlPattern::parse(&format!("[{}-1]", "0".repeat(zeros)));
        assert_eq!(pattern(65_535).unwrap().url(1).unwrap().url.len(), 65_535);
        assert_eq!(pattern(65_536).unwrap_err().kind, PatternErrorKind::BadRange);
    }

    #[test]
    fn a_range_costs_nothing_in_advance() {
        let pattern = UrlPattern::parse("[0-18446744073709551614]").unwrap();
        assert_eq!(pattern.count(), u64::MAX);
        assert_eq!(pattern.url(u64::MAX - 1).unwrap().url, "18446744073709551614");
        assert_eq!(pattern.url(u64::MAX), None);
        assert_eq!(pattern.urls().nth(2).unwrap().url, "2");
    }

    #[test]
    fn a_file_is_named_after_what_the_pieces_stood_for() {
        let url = UrlPattern::parse("h/{a,b}x[08-09]").unwrap().url(3).unwrap();
        for (template, name) in [
            ("#1", "b"),
            ("#1#2", "b09"),
            ("a#2.txt", "a09.txt"),
            ("#3#0##1#", "#3#0#b#"),
            ("#01", "b"),
            ("#x", "#x"),
            ("#99999999999999999999999", "#99999999999999999999999"),
            ("", ""),
            ("\u{e9}#1\u{e9}", "\u{e9}b\u{e9}"),
        ] {
            assert_eq!(url.file_name(template), name, "{template}");
        }
    }
}
