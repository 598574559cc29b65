//! From `-X`, `-H`, `-d` and `-I` to a request, as curl has it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use connie_core::http::{Host, HttpError, RequestBody, RequestHead};
use connie_std::web::Url;

use crate::args::Get;
use crate::error::Error;

/// A request that is ready to be sent.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// The header fields in the order of sending, `Host` first.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The request that the options ask for. Reads the files of `-d`.
    pub fn new(args: &Get, url: &Url) -> Result<Self, Error> {
        if args.head && !args.data.is_empty() {
            return Err(Error::usage(
                "-I asks for the head alone, so there is nothing to send with -d: leave one away",
            ));
        }
        let method = match (&args.method, args.head, args.data.is_empty()) {
            (Some(method), ..) => method.clone(),
            (None, true, _) => "HEAD".to_owned(),
            (None, false, true) => "GET".to_owned(),
            (None, false, false) => "POST".to_owned(),
        };
        let headers = headers(args, url)?;
        let request = Request { method, target: url.target.clone(), headers, body: body(&args.data)? };
        // What is wrong with it is found before a connection is made.
        request.head()?;
        Ok(request)
    }

    /// The head as it is sent.
    pub fn head(&self) -> Result<Vec<u8>, HttpError> {
        let mut buffer = vec![0; self.size()];
        let host = self.headers.first().map_or("", |(_, host)| host);
        let mut head = RequestHead::new(&mut buffer, &self.method, &self.target, host)?;
        for (name, value) in self.headers.iter().skip(1) {
            head.header(name, value.as_bytes())?;
        }
        let length = head.finish(RequestBody::of(&self.method, &self.body))?;
        buffer.truncate(length);
        Ok(buffer)
    }

    /// At least the length of the head.
    pub fn size(&self) -> usize {
        let fields: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        // The rest: the request line's fixed part, and a Content-Length.
        self.method.len() + self.target.len() + fields + 128
    }
}

/// The fields that go out unless a header of the user takes their place, and those of the user.
fn headers(args: &Get, url: &Url) -> Result<Vec<(String, String)>, Error> {
    let mut defaults = vec![
        ("Host", Some(host(url)?)),
        ("User-Agent", Some(concat!("connie/", env!("CARGO_PKG_VERSION")).to_owned())),
        ("Accept", Some("*/*".to_owned())),
    ];
    if !args.data.is_empty() {
        defaults.push(("Content-Type", Some("application/x-www-form-urlencoded".to_owned())));
    }
    let mut others = Vec::new();
    for text in &args.headers {
        let (name, value) = header(text)?;
        let value = value.map(str::to_owned);
        match defaults.iter_mut().find(|(default, _)| default.eq_ignore_ascii_case(name)) {
            // RFC 9110 section 7.2: "A user agent MUST generate a Host header field in a request".
            Some(("Host", _)) if value.is_none() => {
                return Err(Error::usage("HTTP/1.1 demands a Host header: it cannot be left out"));
            }
            Some((_, default)) => *default = value,
            None => others.extend(value.map(|value| (name.to_owned(), value))),
        }
    }
    let defaults = defaults.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(defaults.chain(others).collect())
}

fn host(url: &Url) -> Result<String, HttpError> {
    let mut buffer = vec![0; url.host.len() + 16];
    let length = Host::http(&url.host, url.port).write(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// A header of the user: its name, and its value unless it is to be left out.
fn header(text: &str) -> Result<(&str, Option<&str>), Error> {
    if let Some((name, value)) = text.split_once(':') {
        let value = value.trim();
        return Ok((name.trim_end(), Some(value).filter(|value| !value.is_empty())));
    }
    match text.trim_end().strip_suffix(';') {
        Some(name) => Ok((name, Some(""))),
        None => {
            Err(Error::usage(format!("{text:?} is not a header: give 'Name: value', 'Name:' or 'Name;'")))
        }
    }
}

/// All pieces of `-d`, joined.
fn body(pieces: &[String]) -> Result<Vec<u8>, Error> {
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| data(piece)).collect::<Result<_, _>>()?;
    Ok(pieces.join(&b'&'))
}

/// A piece of `-d`: the text, or a file without its line ends and NULs, as curl sends them.
fn data(text: &str) -> Result<Vec<u8>, Error> {
    let Some(file) = text.strip_prefix('@') else {
        return Ok(text.as_bytes().to_vec());
    };
    let mut bytes = Vec::new();
    let path = Path::new(file);
    let read = match file {
        "-" => io::stdin().lock().read_to_end(&mut bytes),
        _ => File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|error| Error::read(path, &error))?;
    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn request(arguments: &[&str]) -> Result<String, Error> {
        let words = ["connie", "get", "http://name.test:81/a?b"].iter().chain(arguments);
        let Command::Get(args) = Cli::try_parse_from(words).unwrap().command else { unreachable!() };
        let request = Request::new(&args, &Url::parse(&args.url).unwrap())?;
        let bytes = [request.head().unwrap(), request.body].concat();
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[track_caller]
    fn sends(arguments: &[&str], expected: &str) {
        let agent = concat!("User-Agent: connie/", env!("CARGO_PKG_VERSION"), "\r\n");
        let request = request(arguments).unwrap();
        assert_eq!(request.replace(agent, "<agent>").replace("\r\n", "|"), expected, "{arguments:?}");
    }

    #[track_caller]
    fn refuses(arguments: &[&str], code: u8, part_of_line: &str) {
        let error = request(arguments).unwrap_err();
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.lines[0].contains(part_of_line), "{error:?}");
    }

    #[test]
    fn the_method_follows_from_the_options() {
        sends(&[], "GET /a?b HTTP/1.1|Host: name.test:81|<agent>Accept: */*||");
        sends(&["-I"], "HEAD /a?b HTTP/1.1|Host: name.test:81|<agent>Accept: */*||");
        sends(&["-X", "OPTIONS"], "OPTIONS /a?b HTTP/1.1|Host: name.test:81|<agent>Accept: */*||");
        refuses(&["-I", "-d", "x"], 2, "-I");
        refuses(&["-X", "GE T"], 2, "method");
    }

    #[test]
    fn data_is_a_form() {
        let form = "Content-Type: application/x-www-form-urlencoded";
        let start = "POST /a?b HTTP/1.1|Host: name.test:81|<agent>Accept: */*|";
        sends(&["-d", "a=1", "-d", "b=2"], &format!("{start}{form}|Content-Length: 7||a=1&b=2"));
        sends(&["-d", ""], &format!("{start}{form}|Content-Length: 0||"));
        sends(&["-d", "-1"], &format!("{start}{form}|Content-Length: 2||-1"));
        sends(
            &["-d", "x", "-X", "PUT"],
            &format!("{start}{form}|Content-Length: 1||x").replace("POST", "PUT"),
        );
        sends(
            &["-d", "{}", "-H", "content-type: application/json"],
            &format!("{start}Content-Type: application/json|Content-Length: 2||{{}}"),
        );
        refuses(&["-d", "@/nonexistent/file"], 26, "No such file");
    }

    #[test]
    fn headers_are_added_replaced_and_left_out() {
        sends(
            &["-H", "X: 1", "-H", "x:2"],
            "GET /a?b HTTP/1.1|Host: name.test:81|<agent>Accept: */*|X: 1|x: 2||",
        );
        sends(&["-H", "accept:", "-H", "user-agent:"], "GET /a?b HTTP/1.1|Host: name.test:81||");
        sends(&["-H", "Accept;"], "GET /a?b HTTP/1.1|Host: name.test:81|<agent>Accept: ||");
        sends(&["-H", "X-Empty;"], "GET /a?b HTTP/1.1|Host: name.test:81|<agent>Accept: */*|X-Empty: ||");
        sends(&["-H", "X-Unknown:"], "GET /a?b HTTP/1.1|Host: name.test:81|<agent>Accept: */*||");
        sends(&["-H", "host: other"], "GET /a?b HTTP/1.1|Host: other|<agent>Accept: */*||");
        sends(&["-H", "User-Agent: me"], "GET /a?b HTTP/1.1|Host: name.test:81|User-Agent: me|Accept: */*||");
    }

    #[test]
    fn headers_that_cannot_be() {
        refuses(&["-H", "no colon"], 2, "not a header");
        refuses(&["-H", "A: b\r\nC: d"], 2, "header value");
        refuses(&["-H", "A B: c"], 2, "header name");
        refuses(&["-H", "Content-Length: 5"], 2, "Content-Length");
        refuses(&["-H", "Host:"], 2, "Host");
    }
}
