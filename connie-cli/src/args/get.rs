//! The options of `connie get`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::connect_args::ConnectArgs;
use super::ordered::{DataArgs, OutputArgs};
use super::value::{Limit, seconds, whole};

const EXAMPLES: &str = "\
Examples:
  connie get -L https://example.org/
  connie get -O -C - https://example.org/large.iso
  connie get -f --retry 3 -d name=value https://example.org/form
  connie get -T report.pdf -u USER:PASSWORD https://example.org/files/
  connie get -x http://proxy.example:3128 https://example.org/
  connie get -o '#1-#2.txt' 'https://{one,two}.example/[01-10].txt'

The variables of -w are curl's: %{content_type}, errormsg, exitcode, filename_effective, http_code,
http_version, method, num_connects, num_headers, num_redirects, onerror, redirect_url, remote_ip,
remote_port, response_code, size_download, size_header, size_upload, speed_download, speed_upload,
stderr, stdout, time_appconnect, time_connect, time_namelookup, time_pretransfer, time_redirect,
time_starttransfer, time_total, url, url_effective, urlnum; and %%, \\n, \\r, \\t.

Exit codes are curl's: 0 all well, 1 unsupported scheme, 2 usage, 3 malformed URL, 5 could not
resolve the proxy, 6 could not resolve, 7 could not connect, 8 weird reply, 18 partial file,
22 HTTP error with -f, 23 write error, 26 read error, 28 timed out, 33 cannot resume, 35 TLS
failed, 45 no socket as --interface and its like ask for, 47 too many redirects, 52 empty reply,
55 send failure, 56 receive failure or a proxy that refuses, 60 bad certificate, 61 bad
compression, 65 data that cannot be sent again, 77 no list of authorities. Of several URLs the last one counts.";

/// `connie get`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Get {
    /// What to fetch: http or https URLs, one after the other; the scheme http may be left out
    #[arg(value_name = "URL", required = true)]
    pub urls: Vec<String>,
    /// Print the head of each answer before the body
    #[arg(short = 'i', long = "include", visible_alias = "show-headers")]
    pub include: bool,
    /// Ask for the head alone, and print it
    #[arg(short = 'I', long)]
    pub head: bool,
    #[command(flatten)]
    pub outputs: OutputArgs,
    /// Use -O for all URLs that have no -o
    #[arg(long)]
    pub remote_name_all: bool,
    /// The folder for the files of -o and -O
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Make the folders that a file needs
    #[arg(long)]
    pub create_dirs: bool,
    /// Write the heads to FILE
    #[arg(short = 'D', long, value_name = "FILE")]
    pub dump_header: Option<PathBuf>,
    /// The method, where it is not the one that the other options imply
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub method: Option<String>,
    /// A header 'Name: value'; 'Name:' leaves one out, 'Name;' sends it empty
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    #[command(flatten)]
    pub data: DataArgs,
    /// Put the data of -d into the URL's query, and send no body
    #[arg(short = 'G', long)]
    pub get: bool,
    /// Send FILE in a PUT, '-' for stdin as it comes; a URL that ends in '/' gets the file's name
    #[arg(short = 'T', long, value_name = "FILE")]
    pub upload_file: Vec<PathBuf>,
    /// How long a large body waits for the server to ask for it [default: 1]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub expect100_timeout: Option<Limit>,
    /// User-Agent; the empty text leaves it out
    #[arg(short = 'A', long, value_name = "NAME")]
    pub user_agent: Option<String>,
    /// Referer; with ';auto' at its end, redirects bring their own
    #[arg(short = 'e', long, value_name = "URL")]
    pub referer: Option<String>,
    /// Only these bytes: 0-499, 500-, -500
    #[arg(short = 'r', long, value_name = "RANGE")]
    pub range: Option<String>,
    /// Go on at byte OFFSET; '-' for where the file ends
    #[arg(short = 'C', long, value_name = "OFFSET", value_parser = continue_at)]
    pub continue_at: Option<ContinueAt>,
    /// Have the server compress the body (gzip, deflate), and undo that
    #[cfg(feature = "gzip")]
    #[arg(long)]
    pub compressed: bool,
    /// Log in to the server, by the Basic scheme; without PASSWORD the terminal is asked for it
    #[arg(short = 'u', long, value_name = "USER[:PASSWORD]")]
    pub user: Option<String>,
    /// Follow redirects
    #[arg(short = 'L', long, visible_alias = "follow")]
    pub location: bool,
    /// As -L, and log in wherever they lead
    #[arg(long)]
    pub location_trusted: bool,
    /// How many redirects to follow; -1 for any number
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = redirects)]
    pub max_redirs: i64,
    /// Fail with exit code 22, and without output, where the server's status is 400 or above
    #[arg(short, long, conflicts_with = "fail_with_body")]
    pub fail: bool,
    /// As -f, with output
    #[arg(long)]
    pub fail_with_body: bool,
    /// End with the first URL that fails; otherwise the last one gives the exit code
    #[arg(long)]
    pub fail_early: bool,
    /// Try up to N times more where a host cannot be resolved or time runs out, and after 408, 429, 500, 502, 503 and 504
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u32>(0, u32::MAX.into()))]
    pub retry: u32,
    /// The pause between tries [default: 1, then twice as long each time]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub retry_delay: Option<Limit>,
    /// Begin no try later than this; without it, a server that asks for more than 6 hours of patience ends the tries
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub retry_max_time: Option<Limit>,
    /// Try again after a refused connection, too
    #[arg(long)]
    pub retry_connrefused: bool,
    /// Try again after any failure
    #[arg(long)]
    pub retry_all_errors: bool,
    /// Ask this HTTP proxy; the empty text for none. Otherwise http_proxy, https_proxy and all_proxy tell
    #[arg(short = 'x', long, value_name = "[http://][USER:PASSWORD@]HOST[:PORT]")]
    pub proxy: Option<String>,
    /// Log in to the proxy, by the Basic scheme
    #[arg(short = 'U', long, value_name = "USER[:PASSWORD]")]
    pub proxy_user: Option<String>,
    /// Tunnel through the proxy for http, too
    #[arg(short = 'p', long)]
    pub proxytunnel: bool,
    /// Hosts that no proxy is for, in place of no_proxy; '*' for all
    #[arg(long, value_name = "HOST[,HOST...]")]
    pub noproxy: Option<String>,
    /// Trust the certificates in FILE, too (PEM)
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE")]
    pub cacert: Vec<PathBuf>,
    /// Take any certificate: whoever is on the way can read and change everything
    #[cfg(feature = "tls")]
    #[arg(short = 'k', long)]
    pub insecure: bool,
    /// What wins a race for https: the TLS handshake, or the TCP handshake already
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "tls|tcp", value_enum, default_value_t, hide_possible_values = true)]
    pub finish_line: FinishLineName,
    /// Print this when a transfer is over, such as '%{http_code} %{time_total}\n'; '@FILE' has it in a file
    #[arg(short = 'w', long, value_name = "FORMAT", allow_hyphen_values = true)]
    pub write_out: Option<String>,
    /// Show no progress
    #[arg(short, long)]
    pub silent: bool,
    /// Taken for curl's sake: errors are always shown
    #[arg(short = 'S', long = "show-error", hide = true)]
    pub show_error: bool,
    /// Taken for curl's sake: nothing is held back
    #[arg(short = 'N', long, hide = true)]
    pub no_buffer: bool,
    /// Take braces and brackets in URLs as they stand; otherwise {a,b}, [1-9], [01-10:3] and [a-z] stand for several URLs, and #1 in -o for what the first stood for
    #[arg(short = 'g', long)]
    pub globoff: bool,
    /// Show the race and all heads on stderr
    #[arg(short, long)]
    pub verbose: bool,
    /// Give up on a try after SECONDS in all
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub max_time: Option<Limit>,
    #[command(flatten)]
    pub race: ConnectArgs,
}

/// Where a race for https ends.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FinishLineName {
    #[default]
    Tls,
    Tcp,
}

#[cfg(feature = "tls")]
impl std::fmt::Display for FinishLineName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FinishLineName::Tls => "tls",
            FinishLineName::Tcp => "tcp",
        })
    }
}

/// Where a download goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContinueAt {
    /// Where the file ends that is there.
    FileEnd,
    /// At this byte.
    Offset(u64),
}

/// A number of redirects, or -1.
fn redirects(text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| (-1..=1_000_000).contains(number));
    number.ok_or_else(|| "give a whole number, or -1 for any number".to_owned())
}

fn continue_at(text: &str) -> Result<ContinueAt, String> {
    if text == "-" {
        return Ok(ContinueAt::FileEnd);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(offset) if digits => Ok(ContinueAt::Offset(offset)),
        _ => Err("give a number of bytes, or - for where the file ends".to_owned()),
    }
}

impl Get {
    /// How TLS connections are made.
    #[cfg(feature = "tls")]
    pub fn tls(&self) -> connie_std::TlsOptions {
        connie_std::TlsOptions {
            ca_files: self.cacert.clone(),
            insecure: self.insecure,
            finish_line: match self.finish_line {
                FinishLineName::Tls => connie_std::FinishLine::Tls,
                FinishLineName::Tcp => connie_std::FinishLine::Tcp,
            },
            ..connie_std::TlsOptions::default()
        }
    }

    /// Whether the server may compress the body.
    pub fn compressed(&self) -> bool {
        #[cfg(feature = "gzip")]
        return self.compressed;
        #[cfg(not(feature = "gzip"))]
        return false;
    }

    /// How many redirects to follow; `None` for any number.
    pub fn redirect_limit(&self) -> Option<u32> {
        u32::try_from(self.max_redirs).ok()
    }

    pub fn follows(&self) -> bool {
        self.location || self.location_trusted
    }

    /// The longest time of one try.
    pub fn max_time(&self) -> Option<Duration> {
        self.max_time.and_then(Limit::get)
    }
}
