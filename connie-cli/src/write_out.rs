//! `-w`: what is printed about a transfer when it is over, with curl's variables.

use std::borrow::Cow;
use std::io::{self, Read, Write as _};
use std::time::Duration;

use crate::error::{Error, without_login};
use crate::fetched::Fetched;
use crate::progress;
use crate::stdio::stdin;
use crate::stdout_queue::TransferStdout;

/// A transfer that is over.
pub struct FinishedTransfer<'a> {
    /// The URL as it was given, and its number, from 0.
    pub url: &'a str,
    pub number: usize,
    pub fetched: &'a Fetched,
    pub result: &'a Result<(), Error>,
}

/// The format of `-w`, from where it is. In a file it may hold any octets.
pub fn format(argument: &str) -> Result<Vec<u8>, Error> {
    let Some(file) = argument.strip_prefix('@') else { return Ok(argument.as_bytes().to_vec()) };
    let mut text = Vec::new();
    let read = match file {
        "-" => stdin().and_then(|mut stdin| stdin.read_to_end(&mut text)),
        path => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text)),
    };
    // As curl reads it: lines are for the eye, and `\n` is a line's end.
    read.map_err(|error| Error::read(file.as_ref(), &error))?;
    text.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    Ok(text)
}

/// Prints `format` for `done`. An unknown variable is reported on stderr, and is empty.
pub fn print_format(
    format: &[u8],
    done: &FinishedTransfer<'_>,
    stdout: &TransferStdout,
) -> Result<(), Error> {
    let texts = render(format, done);
    // Without a stderr the report is dropped.
    if !texts.stderr.is_empty() {
        progress::beside_bars(|| drop(io::stderr().lock().write_all(&texts.stderr)));
    }
    stdout.print(&texts.stdout).map_err(|error| Error::write("stdout", &error))
}

fn render(format: &[u8], done: &FinishedTransfer<'_>) -> Texts {
    let mut texts = Texts::default();
    let mut rest = format;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'%' | b'\\')) {
        let (before, special) = rest.split_at(at);
        texts.push(before);
        rest = texts.special(special, done);
        if texts.ended {
            rest = b"";
        }
    }
    texts.push(rest);
    texts
}

/// What goes where.
#[derive(Default)]
struct Texts {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    to_stderr: bool,
    /// Whether the rest is for failures, and this was none.
    ended: bool,
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        let to = if self.to_stderr { &mut self.stderr } else { &mut self.stdout };
        to.extend_from_slice(text);
    }

    /// Takes what stands at the start of `text`, which begins with `%` or `\`, and answers the rest.
    fn special<'t>(&mut self, text: &'t [u8], done: &FinishedTransfer<'_>) -> &'t [u8] {
        for (escape, meaning) in [("\\n", b"\n"), ("\\r", b"\r"), ("\\t", b"\t"), ("%%", b"%")] {
            if let Some(rest) = text.strip_prefix(escape.as_bytes()) {
                self.push(meaning);
                return rest;
            }
        }
        let Some((name, rest)) = variable(text) else {
            // Itself: `%` alone, and `\` with what it escapes for nothing, as curl has it.
            let (itself, rest) = text.split_at(text.len().min(if text[0] == b'\\' { 2 } else { 1 }));
            self.push(itself);
            return rest;
        };
        match &*name {
            "stdout" => self.to_stderr = false,
            "stderr" => self.to_stderr = true,
            "onerror" => self.ended = done.result.is_ok(),
            name => match done.value(name) {
                Some(value) => self.push(value.as_bytes()),
                None => {
                    let _ = writeln!(
                        self.stderr,
                        "connie: -w has no variable {name:?}; connie get --help lists them"
                    );
                }
            },
        }
        rest
    }
}

/// The name in `%{NAME}` at the start of `text`, and what follows.
fn variable(text: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let rest = text.strip_prefix(b"%{")?;
    let end = rest.iter().position(|byte| *byte == b'}')?;
    Some((String::from_utf8_lossy(&rest[..end]), &rest[end + 1..]))
}

impl FinishedTransfer<'_> {
    /// The value of a variable; `None` where there is no such variable.
    fn value(&self, name: &str) -> Option<String> {
        let trace = &self.fetched.trace;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let per_second = |count: u64| (count as f64 / trace.ended.as_secs_f64().max(1e-6)) as u64;
        Some(match name {
            "http_code" | "response_code" => format!("{:03}", self.fetched.status.unwrap_or(0)),
            "http_version" => trace.version.unwrap_or("0").to_owned(),
            "method" => trace.method.clone(),
            "content_type" => text(trace.content_type.as_deref()),
            "redirect_url" => text(trace.redirect.as_deref()),
            "num_connects" => trace.connects.to_string(),
            "num_redirects" => self.fetched.redirects.to_string(),
            "num_headers" => trace.headers.to_string(),
            "remote_ip" => trace.peer.map_or_else(String::new, |peer| peer.ip().to_string()),
            "remote_port" => trace.peer.map_or(0, |peer| peer.port()).to_string(),
            "size_download" => trace.received.to_string(),
            "size_upload" => trace.uploaded.to_string(),
            "size_header" => trace.heads.to_string(),
            "speed_download" => per_second(trace.received).to_string(),
            "speed_upload" => per_second(trace.uploaded).to_string(),
            "time_namelookup" => seconds(trace.resolved),
            "time_connect" => seconds(trace.connected),
            "time_appconnect" => seconds(trace.secured),
            "time_pretransfer" => seconds(trace.sent),
            "time_starttransfer" => seconds(trace.answered),
            "time_redirect" => seconds(trace.redirected),
            "time_total" => seconds(trace.ended),
            "filename_effective" => {
                trace.file.as_ref().map_or_else(String::new, |path| path.display().to_string())
            }
            "url" => without_login(self.url),
            "url_effective" if self.fetched.url.is_empty() => without_login(self.url),
            "url_effective" => self.fetched.url.clone(),
            "urlnum" => self.number.to_string(),
            "exitcode" => self.result.as_ref().map_or_else(|error| error.code, |()| 0).to_string(),
            "errormsg" => {
                text(self.result.as_ref().err().and_then(|error| error.lines.first()).map(String::as_str))
            }
            _ => return None,
        })
    }
}

fn seconds(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetched::Trace;

    #[track_caller]
    fn says(format: &str, result: Result<(), Error>, stdout: &str, stderr: &str) {
        let trace = Trace { ended: Duration::from_micros(2_000_034), received: 100, ..Trace::default() };
        let fetched = Fetched { status: Some(404), trace, ..Fetched::default() };
        let done =
            FinishedTransfer { url: "http://me:secret@h/x", number: 2, fetched: &fetched, result: &result };
        let texts = render(format.as_bytes(), &done);
        let texts = [texts.stdout, texts.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(texts, [stdout, stderr], "{format}");
    }

    #[test]
    fn variables_and_escapes() {
        says("%{http_code}\\n", Ok(()), "404\n", "");
        says("a%%b\\t%{urlnum}\\r\\q%d%", Ok(()), "a%b\t2\r\\q%d%", "");
        says("%{time_total} %{speed_download}", Ok(()), "2.000034 49", "");
        says("%{url} %{url_effective}", Ok(()), "http://h/x http://h/x", "");
        says("%{unterminated\\n", Ok(()), "%{unterminated\n", "");
        says(
            "<%{no_such}>",
            Ok(()),
            "<>",
            "connie: -w has no variable \"no_such\"; connie get --help lists them\n",
        );
        says("%{stderr}a%{stdout}b", Ok(()), "b", "a");
        says("%{http_code}%{onerror}%{exitcode}", Ok(()), "404", "");
        says(
            "%{onerror}%{exitcode} %{errormsg}",
            Err(Error::status(404, "Gone")),
            "22 the server answered 404 Gone",
            "",
        );
        says("é%é\\é", Ok(()), "é%é\\é", "");
    }
}
