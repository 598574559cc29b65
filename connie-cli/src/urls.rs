//! The URLs that the command line asks for, with what goes with each. A pattern stands for several.

use std::iter;
use std::path::{Path, PathBuf};

use connie_web::{PatternError, PatternErrorKind, PatternUrl, Url, UrlPattern};

use crate::args::{Get, OutputArg};
use crate::error::{Error, without_login};
use crate::exit_code;

/// A URL to fetch.
pub struct Wanted {
    pub url: String,
    /// The number of the argument that it comes from, from 0.
    pub number: usize,
    /// Where the body goes.
    pub output: Option<OutputArg>,
    /// The file to send.
    pub upload: Option<PathBuf>,
}

/// All URLs, in order. As curl has it, a bad pattern ends the run when it is its turn.
pub fn urls(args: &Get) -> impl Iterator<Item = Result<Wanted, Error>> + Send {
    args.urls.iter().enumerate().flat_map(|(number, text)| -> Box<dyn Iterator<Item = _> + Send> {
        match of_argument(args, number, text) {
            Ok(urls) => Box::new(urls.map(Ok)),
            Err(error) => Box::new(iter::once(Err(error))),
        }
    })
}

/// How many there are. As curl has it where several are fetched at a time, a bad pattern is told before
/// anything is fetched.
pub fn count(args: &Get) -> Result<usize, Error> {
    let mut count = 0_usize;
    for (number, text) in args.urls.iter().enumerate() {
        // Not one by one: a short pattern may stand for more than anybody can count.
        let uploads = upload_names(args, number)?.count();
        let urls = pattern_of(args, text)?.count().saturating_mul(uploads);
        count = count.saturating_add(usize::try_from(urls).unwrap_or(usize::MAX));
    }
    Ok(count)
}

/// The URLs of one argument, all of them for each file that is sent there.
fn of_argument(args: &Get, number: usize, text: &str) -> Result<impl Iterator<Item = Wanted>, Error> {
    let urls = pattern_of(args, text)?;
    let output = args.outputs.0.get(number);
    let uploads = uploads(args, number)?;
    Ok(uploads.flat_map(move |upload| {
        let urls = urls.clone();
        (0..urls.count()).map_while(move |index| urls.url(index)).map(move |url| {
            let output = output.map(|output| named_after(&url, output));
            Wanted { url: url.url, number, output, upload: upload.clone() }
        })
    }))
}

/// The pattern that an argument is.
fn pattern_of(args: &Get, text: &str) -> Result<UrlPattern, Error> {
    pattern(args, text).map_err(|error| match Url::parse(text) {
        // Brackets around something that is not an IPv6 address.
        Err(reason) if error.kind == PatternErrorKind::NotARange => Error::from(reason),
        _ => {
            let line = format!("{error} of {}: give -g if it is part of the URL", without_login(text));
            Error::new(exit_code::MALFORMED_URL, line)
        }
    })
}

/// The names of the files to send there, which may be patterns, too. With no file, or one whose name is not
/// UTF-8, there is one name.
fn upload_names(args: &Get, number: usize) -> Result<UrlPattern, Error> {
    match args.upload_file.get(number).and_then(|path| path.to_str()) {
        None => Ok(UrlPattern::literal("")),
        Some(name) => pattern(args, name).map_err(|error| {
            let line = format!("{error} of -T {name}: give -g if the file is called that");
            Error::new(exit_code::MALFORMED_URL, line)
        }),
    }
}

/// The files to send there, or `None` alone.
fn uploads(args: &Get, number: usize) -> Result<impl Iterator<Item = Option<PathBuf>>, Error> {
    let path = args.upload_file.get(number);
    let names = upload_names(args, number)?;
    Ok((0..names.count()).map_while(move |index| names.url(index)).map(move |name| match path {
        Some(path) if path.to_str().is_none() => Some(path.clone()),
        path => path.map(|_| PathBuf::from(name.url)),
    }))
}

fn pattern(args: &Get, text: &str) -> Result<UrlPattern, PatternError> {
    match args.globoff {
        true => Ok(UrlPattern::literal(text)),
        false => UrlPattern::parse(text),
    }
}

/// The same, with what the pieces of the pattern stood for in the place of `#1` and the like.
fn named_after(url: &PatternUrl, output: &OutputArg) -> OutputArg {
    match output {
        OutputArg::File(path) => match path.to_str() {
            Some(name) => OutputArg::File(Path::new(&url.file_name(name)).to_owned()),
            None => OutputArg::File(path.clone()),
        },
        OutputArg::RemoteName => OutputArg::RemoteName,
    }
}
