//! The options of `connie get`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::connect_args::ConnectArgs;
use super::ordered::{DataArg, DataArgs, DataKind, OutputArgs};
use super::value::{ConnectTo, Limit, connect_to, seconds, whole};

const EXAMPLES: &str = "\
Examples:
  connie get -L https://example.org/
  connie get -O -C - https://example.org/large.iso
  connie get -f --retry 3 -d name=value https://example.org/form
  connie get -T report.pdf -u USER:PASSWORD https://example.org/files/
  connie get -x http://proxy.example:3128 https://example.org/
  connie get -o '#1-#2.txt' 'https://{one,two}.example/[01-10].txt'

Cookies, configuration files, FTP and HTTP/2 are curl's business: use curl for these.

The variables of -w are curl's: %{content_type}, errormsg, exitcode, filename_effective, http_code,
http_version, method, num_connects, num_headers, num_redirects, onerror, redirect_url, remote_ip,
remote_port, response_code, size_download, size_header, size_upload, speed_download, speed_upload,
stderr, stdout, time_appconnect, time_connect, time_namelookup, time_pretransfer, time_redirect,
time_starttransfer, time_total, url, url_effective, urlnum; and %%, \\n, \\r, \\t.

Exit codes are curl's: 0 success, 1 unsupported scheme, or no HTTP, 2 usage, 3 malformed URL, 5
could not resolve the proxy, 6 could not resolve, 7 could not connect, 8 weird reply, 18 partial
file, 22 HTTP error with -f, 23 write error, 26 read error, 28 timed out, 33 cannot resume, 35 TLS
failed, 42 ended by --fail-early with -Z, 45 cannot bind as --interface and the like ask, 47 too
many redirects, 52 empty reply, 55 send failure, 56 receive failure or a proxy that refuses, 58
unusable client certificate, 60 bad certificate, 61 bad compression, 65 data that cannot be sent
again, 77 unusable CA certificates, 97 no connection through a SOCKS5 proxy. Of several URLs the
last one counts, with -Z the last to fail.";

/// `connie get`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Get {
    /// What to fetch: http or https URLs, one after the other; without a scheme it is http
    #[arg(value_name = "URL", required = true)]
    pub urls: Vec<String>,
    /// Print the head of each answer before the body
    #[arg(short = 'i', long = "include", visible_alias = "show-headers")]
    pub include: bool,
    /// Request only the head, and print it
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
    /// Create the folders that a file needs
    #[arg(long)]
    pub create_dirs: bool,
    /// Write the heads to FILE
    #[arg(short = 'D', long, value_name = "FILE")]
    pub dump_header: Option<PathBuf>,
    /// The method, if not the one that the other options imply
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub method: Option<String>,
    /// A header 'Name: value'; 'Name:' removes one, 'Name;' sends it empty; @FILE has a header in each line
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    #[command(flatten)]
    pub data: DataArgs,
    /// Put the data of -d into the URL's query, and send no body
    #[arg(short = 'G', long)]
    pub get: bool,
    /// Put DATA into the URL's query, encoded as --data-urlencode does; '+DATA' as it is
    #[arg(long, value_name = "DATA")]
    pub url_query: Vec<String>,
    /// Ask for TARGET in place of the URL's path and query
    #[arg(long, value_name = "TARGET")]
    pub request_target: Option<String>,
    /// Send FILE in a PUT, '-' for stdin as it comes; a URL that ends in '/' gets the file's name
    #[arg(short = 'T', long, value_name = "FILE")]
    pub upload_file: Vec<PathBuf>,
    /// How long a large body waits for the server to ask for it [default: 1]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub expect100_timeout: Option<Limit>,
    /// User-Agent; an empty NAME sends none
    #[arg(short = 'A', long, value_name = "NAME")]
    pub user_agent: Option<String>,
    /// Referer; with ';auto' at its end, redirects set their own
    #[arg(short = 'e', long, value_name = "URL")]
    pub referer: Option<String>,
    /// Only these bytes: 0-499, 500-, -500
    #[arg(short = 'r', long, value_name = "RANGE")]
    pub range: Option<String>,
    /// Resume at byte OFFSET; '-' for where the file ends
    #[arg(short = 'C', long, value_name = "OFFSET", value_parser = continue_at)]
    pub continue_at: Option<ContinueAt>,
    /// Ask the server to compress the body, in one of the ways that -V lists, and decompress it
    #[cfg(feature = "gzip")]
    #[arg(long)]
    pub compressed: bool,
    /// Log in to the server with the Basic scheme; without PASSWORD, ask for it on the terminal
    #[arg(short = 'u', long, value_name = "USER[:PASSWORD]")]
    pub user: Option<String>,
    /// Follow redirects; a method of -X stays
    #[arg(short = 'L', long, overrides_with = "follow")]
    pub location: bool,
    /// Follow redirects; a method of -X changes as HTTP has it
    #[arg(long, overrides_with = "location")]
    pub follow: bool,
    /// Like -L, and log in to every host that they lead to
    #[arg(long)]
    pub location_trusted: bool,
    /// How many redirects to follow; -1 for any number
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = redirects)]
    pub max_redirs: i64,
    /// Fail with exit code 22, and without output, if the server's status is 400 or above
    #[arg(short, long, conflicts_with = "fail_with_body")]
    pub fail: bool,
    /// Like -f, but with output
    #[arg(long)]
    pub fail_with_body: bool,
    /// Stop at the first URL that fails; otherwise the last one gives the exit code, with -Z the last to fail
    #[arg(long)]
    pub fail_early: bool,
    /// Try again up to N times if a host cannot be resolved or time runs out, and after 408, 429, 500, 502,
    /// 503 and 504
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u32>(0, u32::MAX.into()))]
    pub retry: u32,
    /// The pause between tries [default: 1, then twice as long each time]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub retry_delay: Option<Limit>,
    /// Start no try later than this; without it, a server that asks to wait more than 6 hours ends the tries
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub retry_max_time: Option<Limit>,
    /// Also try again after a refused connection
    #[arg(long)]
    pub retry_connrefused: bool,
    /// Try again after any failure
    #[arg(long)]
    pub retry_all_errors: bool,
    /// Connect to HOST2:PORT2 in place of HOST1:PORT1; empty ones stand for any host or port, and for the
    /// same one
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2", value_parser = connect_to)]
    pub connect_to: Vec<ConnectTo>,
    /// Use this proxy, of KIND http, https, socks5 or socks5h (which looks names up itself); an empty value
    /// for none. The default is from http_proxy, https_proxy and all_proxy
    #[arg(
        short = 'x', long, value_name = "[KIND://][USER:PASSWORD@]HOST[:PORT]",
        overrides_with_all = ["proxy", "socks5", "socks5_hostname"]
    )]
    pub proxy: Option<String>,
    /// Use this SOCKS5 proxy, like -x socks5://
    #[arg(
        long, value_name = "HOST[:PORT]", overrides_with_all = ["proxy", "socks5", "socks5_hostname"]
    )]
    pub socks5: Option<String>,
    /// Use this SOCKS5 proxy, which looks names up itself, like -x socks5h://
    #[arg(
        long, value_name = "HOST[:PORT]", overrides_with_all = ["proxy", "socks5", "socks5_hostname"]
    )]
    pub socks5_hostname: Option<String>,
    /// Log in to the proxy: with the Basic scheme, or as SOCKS5 has it
    #[arg(short = 'U', long, value_name = "USER[:PASSWORD]")]
    pub proxy_user: Option<String>,
    /// Also trust the certificates in FILE (PEM) where an https proxy shows them
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE")]
    pub proxy_cacert: Vec<PathBuf>,
    /// Accept any certificate of an https proxy
    #[cfg(feature = "tls")]
    #[arg(long)]
    pub proxy_insecure: bool,
    /// Leave the heads of a proxy's tunnel out of what -i and -D write
    #[arg(long)]
    pub suppress_connect_headers: bool,
    /// Tunnel through the proxy also for http
    #[arg(short = 'p', long)]
    pub proxytunnel: bool,
    /// Hosts to reach without a proxy, in place of no_proxy; '*' for all
    #[arg(long, value_name = "HOST[,HOST...]")]
    pub noproxy: Option<String>,
    /// Also trust the certificates in FILE (PEM)
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE")]
    pub cacert: Vec<PathBuf>,
    /// Show servers that ask for one this certificate, and its key where --key does not name another file
    /// (PEM, without a password)
    #[cfg(feature = "tls")]
    #[arg(short = 'E', long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The key of --cert
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Accept any certificate: anyone on the route can read and change everything
    #[cfg(feature = "tls")]
    #[arg(short = 'k', long)]
    pub insecure: bool,
    /// What wins: the first byte of the answer to a GET or HEAD (another address is asked where one is silent
    /// or breaks off), or a handshake
    #[arg(long, value_name = "response|tls|tcp", value_enum, default_value_t, hide_possible_values = true)]
    pub finish_line: FinishLineName,
    /// Print this when a transfer is over, such as '%{http_code} %{time_total}\n'; '@FILE' reads it from a
    /// file
    #[arg(short = 'w', long, value_name = "FORMAT", allow_hyphen_values = true)]
    pub write_out: Option<String>,
    /// Show no progress, no warnings and no errors; the exit code has the error
    #[arg(short, long)]
    pub silent: bool,
    /// Show no progress
    #[arg(long)]
    pub no_progress_meter: bool,
    /// With -s, show errors all the same
    #[arg(short = 'S', long)]
    pub show_error: bool,
    /// Accepted for curl's sake: nothing is held back
    #[arg(short = 'N', long, hide = true)]
    pub no_buffer: bool,
    /// Take braces and brackets in URLs as they stand; otherwise {a,b}, [1-9], [01-10:3] and [a-z] stand for
    /// several URLs, and #1 in -o for what the first stood for
    #[arg(short = 'g', long)]
    pub globoff: bool,
    /// Accepted for compatibility with curl: there are no configuration files
    #[arg(short = 'q', long, hide = true)]
    pub disable: bool,
    /// Accepted for compatibility with curl: HTTP/1.1 is what is spoken
    #[arg(long = "http1.1", hide = true)]
    pub http1_1: bool,
    /// Accepted for compatibility with curl: TLS 1.2 is the oldest that is spoken
    #[arg(long = "tlsv1.2", aliases = ["tlsv1", "tlsv1.0", "tlsv1.1"], hide = true)]
    pub tlsv1_2: bool,
    /// Fetch several URLs at a time: what each of them prints on stdout stands together
    #[arg(short = 'Z', long)]
    pub parallel: bool,
    /// How many of -Z are fetched at a time, up to 300; their races share --max-in-flight, and one memory
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = whole::<u64>(0, u64::MAX))]
    pub parallel_max: u64,
    /// Accepted for compatibility with curl: no transfer waits for the connection of another
    #[arg(long, hide = true)]
    pub parallel_immediate: bool,
    /// Show the race and all heads on stderr
    #[arg(short, long)]
    pub verbose: bool,
    /// Give up on a try after SECONDS in all
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub max_time: Option<Limit>,
    #[command(flatten)]
    pub race: ConnectArgs,
}

/// Where a race ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FinishLineName {
    /// With the first byte of an answer; before that with the last handshake.
    #[default]
    Response,
    /// With the TLS handshake for https, and the TCP handshake for http.
    Tls,
    /// With the TCP handshake.
    Tcp,
}

impl std::fmt::Display for FinishLineName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FinishLineName::Response => "response",
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
    /// Whether a transfer that fails says so on stderr.
    pub fn shows_errors(&self) -> bool {
        !self.silent || self.show_error || self.verbose
    }

    /// How TLS connections are made.
    #[cfg(feature = "tls")]
    pub fn tls(&self) -> connie_std::TlsOptions {
        let finish_line = match self.finish_line {
            FinishLineName::Response | FinishLineName::Tls => connie_std::FinishLine::Tls,
            FinishLineName::Tcp => connie_std::FinishLine::Tcp,
        };
        let certificate = self
            .cert
            .as_ref()
            .map(|cert| connie_std::tls::ClientCertificate::new(cert).key(self.key.clone()));
        let options = connie_std::TlsOptions::new().ca_files(&self.cacert).client_certificate(certificate);
        options.insecure(self.insecure).finish_line(finish_line)
    }

    /// How TLS connections to a proxy are made.
    #[cfg(feature = "tls")]
    pub fn proxy_tls(&self) -> connie_std::TlsOptions {
        let ca_files = self.proxy_cacert.clone();
        // The certificate of --cert is for servers.
        self.tls().ca_files(ca_files).insecure(self.proxy_insecure).client_certificate(None)
    }

    /// The proxy that the options name.
    pub fn proxy(&self) -> Option<String> {
        let of = |kind: &str, text: &String| match text.split_once("://") {
            // What curl takes for no kind at all here.
            Some((http, rest)) if http.eq_ignore_ascii_case("http") => format!("{kind}://{rest}"),
            Some(_) => text.clone(),
            None => format!("{kind}://{text}"),
        };
        let socks5 = self.socks5.as_ref().map(|text| of("socks5", text));
        let hostname = self.socks5_hostname.as_ref().map(|text| of("socks5h", text));
        self.proxy.clone().or(socks5).or(hostname)
    }

    /// Whether the server may compress the body.
    pub fn compressed(&self) -> bool {
        #[cfg(feature = "gzip")]
        return self.compressed;
        #[cfg(not(feature = "gzip"))]
        return false;
    }

    /// What `--url-query` adds to the URLs.
    pub fn url_query(&self) -> Vec<DataArg> {
        let pieces = self.url_query.iter().map(|text| match text.strip_prefix('+') {
            Some(raw) => DataArg { kind: DataKind::Raw, text: raw.to_owned() },
            None => DataArg { kind: DataKind::UrlEncode, text: text.clone() },
        });
        pieces.collect()
    }

    /// How many redirects to follow; `None` for any number.
    pub fn redirect_limit(&self) -> Option<u32> {
        u32::try_from(self.max_redirs).ok()
    }

    pub fn follows(&self) -> bool {
        self.location || self.follow || self.location_trusted
    }

    /// The longest time of one try.
    pub fn max_time(&self) -> Option<Duration> {
        self.max_time.and_then(Limit::get)
    }
}
