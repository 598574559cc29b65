//! The header fields that options ask for, besides those that `-H` spells out: files of them, and what
//! `--json` implies.

use std::io::Read;
use std::path::Path;

use crate::args::{DataKind, Get};
use crate::error::Error;
use crate::stdio::stdin;

/// Puts them where those of `-H` are.
pub fn complete(args: &mut Get) -> Result<(), Error> {
    if args.headers.iter().any(|header| header.starts_with('@')) {
        let mut headers = Vec::new();
        for header in args.headers.drain(..) {
            match header.strip_prefix('@') {
                Some(file) => headers.extend(lines(file)?),
                None => headers.push(header),
            }
        }
        args.headers = headers;
    }
    if args.data.0.iter().any(|piece| piece.kind == DataKind::Json) {
        for name in ["Content-Type", "Accept"] {
            if !args.headers.iter().any(|header| is_named(header, name)) {
                args.headers.push(format!("{name}: application/json"));
            }
        }
    }
    Ok(())
}

/// The lines of a file, or of stdin, that are not empty.
fn lines(file: &str) -> Result<Vec<String>, Error> {
    let mut bytes = Vec::new();
    let read = match file {
        "-" => stdin().and_then(|mut stdin| stdin.read_to_end(&mut bytes).map(drop)),
        path => std::fs::read(path).map(|content| bytes = content),
    };
    read.map_err(|error| Error::read(Path::new(file), &error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::usage(format!("the headers in {file} are not UTF-8: write them in UTF-8")))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Whether the value of `-H` is for the field of this name.
fn is_named(header: &str, name: &str) -> bool {
    let end = header.find([':', ';']).unwrap_or(header.len());
    header.get(..end).is_some_and(|other| other.trim_end().eq_ignore_ascii_case(name))
}
