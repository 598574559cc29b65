//! From the options to the head of a request, as curl has it.

use connie_http::{Authority, HttpError, RequestBody, parts::RequestHead};
use connie_web::{Credentials, Redirect, Scheme, Url};

use crate::args::Get;
use crate::body::Body;
use crate::error::Error;

/// Bodies longer than this wait for the server to ask for them.
const EXPECT_FROM: u64 = 1024 * 1024;

/// A request of a chain of redirects.
#[derive(Clone, Debug)]
pub struct Hop {
    pub url: Url,
    /// The method that is sent.
    pub method: String,
    /// The method that redirects change, which is the one that is sent unless `-X` has another.
    pub implied: String,
    /// Whether the body goes along.
    pub body: bool,
    /// Whether it goes to the origin that the user named, and so may have the user's credentials.
    pub trusted: bool,
    /// What `Referer` says, where it is not what the options say.
    pub referer: Option<String>,
    /// Whether a large body may wait for the server to ask for it.
    pub expects: bool,
}

impl Hop {
    /// The request that the options ask for.
    pub fn first(args: &Get, url: Url, body: &Body) -> Result<Self, Error> {
        let uploads = matches!(body, Body::File(..) | Body::Stream(..));
        let implied = match body {
            _ if args.head => "HEAD",
            Body::None => "GET",
            Body::Data(_) => "POST",
            Body::File(..) | Body::Stream(..) => "PUT",
        };
        if args.head && !matches!(body, Body::None) {
            let option = if uploads { "-T" } else { "-d" };
            return Err(Error::usage(format!(
                "-I asks for the head alone, so there is nothing to send with {option}: drop one of them"
            )));
        }
        let method = args.method.clone().unwrap_or_else(|| implied.to_owned());
        let implied = if args.follow { method.clone() } else { implied.to_owned() };
        Ok(Hop { url, method, implied, body: true, trusted: true, referer: None, expects: true })
    }

    /// The request that a redirect of this one asks for. `first` is where the chain began. As curl has it, a
    /// method of `-X` stays with `-L`, and changes with `--follow`.
    pub fn next(&self, args: &Get, redirect: Redirect, first: &Url) -> Self {
        let auto = args.referer.as_deref().is_some_and(|referer| referer.ends_with(";auto"));
        let method = args.method.clone().filter(|_| !args.follow);
        Hop {
            referer: if auto { Some(self.referer_for(&redirect.url)) } else { None },
            trusted: args.location_trusted || redirect.url.is_same_origin(first),
            method: method.unwrap_or_else(|| redirect.method.clone()),
            implied: redirect.method,
            body: self.body && redirect.keeps_body,
            url: redirect.url,
            expects: self.expects,
        }
    }

    /// What the request for `next` says of where it comes from, where it is told: this URL, without what logs
    /// in and without a fragment.
    ///
    /// RFC 9110 section 10.1.3: "A user agent MUST NOT send a Referer header field in an unsecured HTTP
    /// request if the referring resource was accessed with a secure protocol." The empty text is none.
    fn referer_for(&self, next: &Url) -> String {
        match (self.url.scheme, next.scheme) {
            (Scheme::Https, Scheme::Http) => String::new(),
            _ => self.url.to_string(),
        }
    }

    /// What to log in with.
    fn credentials(&self, args: &Get) -> Result<Option<Credentials>, Error> {
        match args.user.as_deref().filter(|_| self.trusted) {
            Some(user) => credentials("-u", user).map(Some),
            None => Ok(self.url.credentials.clone()),
        }
    }
}

/// The value of `-u` or `-U`.
pub fn credentials(option: &str, text: &str) -> Result<Credentials, Error> {
    match text.split_once(':') {
        Some((user, password)) => Ok(Credentials { user: user.to_owned(), password: password.to_owned() }),
        None => Err(Error::usage(format!(
            "{option} needs USER:PASSWORD, since there is no terminal to ask for the password; \
             for an empty one, give '{text}:' with the colon"
        ))),
    }
}

/// The head of a request.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub host: String,
    /// The header fields in the order of sending, without `Host`.
    pub headers: Vec<(String, String)>,
    /// How the body is framed.
    pub body: RequestBody,
    /// Whether the body waits because this program asked for that.
    pub expects: bool,
}

/// What the connection asks of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Via<'a> {
    /// Whether a proxy is asked for it.
    pub proxy: bool,
    /// What to log in to that with.
    pub credentials: Option<&'a Credentials>,
}

impl Request {
    /// The request for `hop`, for the bytes from `offset` on where that is not 0.
    pub fn new(args: &Get, hop: &Hop, via: Via<'_>, body: &Body, offset: u64) -> Result<Self, Error> {
        let body = if hop.body { body } else { &Body::None };
        let mut fields = Fields { kept: defaults(args, hop, via, body, offset)?, others: Vec::new() };
        let mut chunked = body.length().is_none();
        let mut expects = hop.expects && body.length().is_none_or(|length| length > EXPECT_FROM);
        let mut host = host(&hop.url)?;
        for text in &args.headers {
            let (name, value) = header(text)?;
            match name.to_ascii_lowercase().as_str() {
                // Meant for the first host.
                "host" if !hop.trusted => {}
                "host" => host = value.map(str::to_owned).ok_or_else(no_host)?,
                "authorization" | "cookie" if !hop.trusted => {}
                // These describe a body that is not sent any more (RFC 9110 section 15.4).
                "content-type" | "content-encoding" | "content-language" | "transfer-encoding" | "expect"
                    if !hop.body => {}
                "transfer-encoding" if value.is_some_and(|value| value.eq_ignore_ascii_case("chunked")) => {
                    chunked = !matches!(body, Body::None);
                }
                "expect" => {
                    expects = false;
                    fields.set(name, value);
                }
                _ => fields.set(name, value),
            }
        }
        if expects {
            fields.set("Expect", Some("100-continue"));
        }
        let framing = match body.length() {
            _ if chunked => RequestBody::Chunked,
            Some(0) | None => RequestBody::from_bytes(&hop.method, b""),
            Some(length) => RequestBody::Length(length),
        };
        let target = match &args.request_target {
            Some(target) => target.clone(),
            None if via.proxy => hop.url.to_string(),
            None => hop.url.target.clone(),
        };
        let headers = fields.all();
        let request = Request { method: hop.method.clone(), target, host, headers, body: framing, expects };
        // What is wrong with it is found before a connection is made.
        request.head()?;
        Ok(request)
    }

    /// The value of its field with this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Has the server send a part of this version only, where a part is asked for.
    pub fn continue_version(&mut self, validator: &str) {
        if self.header("range").is_some() && self.header("if-range").is_none() {
            self.headers.push(("If-Range".to_owned(), validator.to_owned()));
        }
    }

    /// Its header fields in the order of sending.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        let others = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        std::iter::once(("Host", self.host.as_str())).chain(others).collect()
    }

    /// `body` where it is in memory, and can go out at once with the head.
    pub fn whole<'b>(&self, body: &'b Body) -> Option<&'b [u8]> {
        let nothing = (body.length() == Some(0)).then_some(&b""[..]);
        body.as_bytes().or(nothing).filter(|bytes| self.body == RequestBody::from_bytes(&self.method, bytes))
    }

    /// The length of its body, where that is announced.
    pub fn length(&self) -> Option<u64> {
        match self.body {
            RequestBody::Length(length) => Some(length),
            RequestBody::None | RequestBody::Chunked => None,
        }
    }

    /// The head as it is sent.
    pub fn head(&self) -> Result<Vec<u8>, HttpError> {
        let mut buffer = vec![0; self.size()];
        let mut head = RequestHead::new(&mut buffer, &self.method, &self.target, &self.host)?;
        for (name, value) in &self.headers {
            head.header(name, value.as_bytes())?;
        }
        let length = head.finish(self.body)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    /// The head as it may be shown: without what logs in.
    pub fn shown(&self) -> Result<Vec<u8>, HttpError> {
        let secret = |name: &str| {
            ["authorization", "proxy-authorization"].iter().any(|other| name.eq_ignore_ascii_case(other))
        };
        let headers = self.headers.iter().map(|(name, value)| {
            let scheme = value.split(' ').next().unwrap_or_default();
            let value = if secret(name) { format!("{scheme} (not shown)") } else { value.clone() };
            (name.clone(), value)
        });
        let (method, target, host) = (self.method.clone(), self.target.clone(), self.host.clone());
        let headers = headers.collect();
        Request { method, target, host, headers, body: self.body, expects: self.expects }.head()
    }

    /// At least the length of the head.
    pub fn size(&self) -> usize {
        let fields: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        // The rest: the request line's fixed part, a Content-Length, and room for `shown`.
        self.method.len() + self.target.len() + self.host.len() + fields + 256
    }
}

/// The fields of the program, which a header of the user can replace, and those of the user.
struct Fields {
    kept: Vec<(String, String)>,
    others: Vec<(String, String)>,
}

impl Fields {
    /// A field that the user gives, or several of one name, replaces the program's.
    fn set(&mut self, name: &str, value: Option<&str>) {
        self.kept.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.others.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    fn all(self) -> Vec<(String, String)> {
        self.kept.into_iter().chain(self.others).collect()
    }
}

/// The fields that go out unless a header of the user takes their place.
fn defaults(
    args: &Get,
    hop: &Hop,
    via: Via<'_>,
    body: &Body,
    offset: u64,
) -> Result<Vec<(String, String)>, Error> {
    let agent = args.user_agent.as_deref().unwrap_or(concat!("connie/", env!("CARGO_PKG_VERSION")));
    // RFC 9110 section 14.2: "GET is the only method for which range handling is defined".
    let range = match (&args.range, offset) {
        _ if !matches!(body, Body::None) => None,
        (_, 1..) => Some(format!("bytes={offset}-")),
        // As curl has it, one number is where the range begins.
        (Some(range), 0) if range.parse::<u64>().is_ok() => Some(format!("bytes={range}-")),
        (Some(range), 0) => Some(format!("bytes={range}")),
        (None, 0) => None,
    };
    let referer = args.referer.as_deref().map(|referer| referer.strip_suffix(";auto").unwrap_or(referer));
    let referer = hop.referer.as_deref().or(referer).filter(|referer| !referer.is_empty());
    let form = matches!(body, Body::Data(_)).then_some("application/x-www-form-urlencoded");
    let fields = [
        ("Proxy-Authorization", via.credentials.map(Credentials::basic)),
        ("Authorization", hop.credentials(args)?.as_ref().map(Credentials::basic)),
        ("User-Agent", Some(agent.to_owned()).filter(|agent| !agent.is_empty())),
        ("Accept", Some("*/*".to_owned())),
        #[cfg(feature = "gzip")]
        ("Accept-Encoding", args.compressed().then(|| connie_std::http1::ACCEPT_ENCODING.to_owned())),
        ("Range", range),
        ("Referer", referer.map(str::to_owned)),
        ("Content-Type", form.map(str::to_owned)),
    ];
    Ok(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

/// The value of the `Host` field.
fn host(url: &Url) -> Result<String, HttpError> {
    let mut buffer = vec![0; url.host.len() + 16];
    let host = match url.scheme {
        Scheme::Http => Authority::http(&url.host, url.port),
        Scheme::Https => Authority::https(&url.host, url.port),
    };
    let length = host.write(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn no_host() -> Error {
    // RFC 9110 section 7.2: "A user agent MUST generate a Host header field in a request".
    Error::usage("HTTP/1.1 requires a Host header: it cannot be removed")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Command;
    use crate::usage;

    fn get(arguments: &[&str]) -> Get {
        let words: Vec<&str> =
            ["connie", "get", "http://name.test:81/a?b"].iter().chain(arguments).copied().collect();
        match usage::parse(&words).unwrap().command {
            Command::Get(args) => *args,
            _ => unreachable!("get was asked for"),
        }
    }

    fn request(arguments: &[&str]) -> Result<String, Error> {
        let args = get(arguments);
        let body = match args.upload_file.first() {
            Some(path) => Body::upload(path)?,
            None => Body::data(&args.data.0)?,
        };
        let hop = Hop::first(&args, Url::parse(&args.urls[0]).unwrap(), &body)?;
        let mut bytes = Request::new(&args, &hop, Via::default(), &body, 0)?.head().unwrap();
        std::io::copy(&mut body.open()?, &mut bytes).unwrap();
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
            &format!("{start}content-type: application/json|Content-Length: 2||{{}}"),
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
        sends(&["-H", "User-Agent: me"], "GET /a?b HTTP/1.1|Host: name.test:81|Accept: */*|User-Agent: me||");
        sends(
            &["-H", "Accept: a", "-H", "Accept: b"],
            "GET /a?b HTTP/1.1|Host: name.test:81|<agent>Accept: a|Accept: b||",
        );
    }

    #[test]
    fn headers_that_cannot_be() {
        refuses(&["-H", "no colon"], 2, "not a header");
        refuses(&["-H", "A: b\r\nC: d"], 2, "header value");
        refuses(&["-H", "A B: c"], 2, "header name");
        refuses(&["-H", "Content-Length: 5"], 2, "Content-Length");
        refuses(&["-H", "Host:"], 2, "Host");
    }

    #[test]
    fn options_have_their_headers() {
        let start = "GET /a?b HTTP/1.1|Host: name.test:81|";
        sends(
            &["-A", "me", "-e", "http://r/"],
            &format!("{start}User-Agent: me|Accept: */*|Referer: http://r/||"),
        );
        sends(&["-A", "", "-e", ";auto"], &format!("{start}Accept: */*||"));
        sends(&["-r", "0-4"], &format!("{start}<agent>Accept: */*|Range: bytes=0-4||"));
        sends(&["-r", "5"], &format!("{start}<agent>Accept: */*|Range: bytes=5-||"));
        sends(
            &["--request-target", "*", "-X", "OPTIONS"],
            &format!("{start}<agent>Accept: */*||").replace("GET /a?b", "OPTIONS *"),
        );
        sends(
            &["-u", "Aladdin:open sesame"],
            &format!("{start}Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==|<agent>Accept: */*||"),
        );
        sends(
            &["-u", "a:b", "-H", "authorization: Bearer x"],
            &format!("{start}<agent>Accept: */*|authorization: Bearer x||"),
        );
        refuses(&["-u", "name"], 2, "name:");
    }

    #[test]
    fn large_bodies_wait_to_be_asked_for() {
        let path = std::env::temp_dir().join(format!("connie-request-{}", std::process::id()));
        let (path, option) = (path.clone(), format!("@{}", path.display()));
        let waits = |length: usize, more: &[&str]| {
            std::fs::write(&path, "x".repeat(length)).unwrap();
            let text = request(&[&["--data-binary", option.as_str()], more].concat()).unwrap();
            text.contains("Expect: 100-continue")
        };
        assert!(!waits(1 << 20, &[]));
        assert!(waits((1 << 20) + 1, &[]));
        assert!(!waits((1 << 20) + 1, &["-H", "Expect:"]));
        std::fs::remove_file(path).unwrap();
        let stream = request(&["-T", "/dev/null"]).unwrap();
        assert!(stream.starts_with("PUT /a?b HTTP/1.1\r\n"), "{stream}");
        assert!(stream.ends_with("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"), "{stream}");
        sends(
            &["-d", "x", "-H", "Transfer-Encoding: chunked"],
            "POST /a?b HTTP/1.1|Host: name.test:81|<agent>Accept: */*|Content-Type: application/x-www-form-urlencoded|Transfer-Encoding: chunked||x",
        );
    }

    /// The request after a redirect with this status.
    fn redirected(arguments: &[&str], status: u16, location: &str) -> String {
        let args = get(arguments);
        let body = Body::data(&args.data.0).unwrap();
        let first = Url::parse("http://u:p@name.test:81/a?b").unwrap();
        let hop = Hop::first(&args, first.clone(), &body).unwrap();
        let mut redirects = connie_web::Redirects::new(None);
        let redirect =
            redirects.follow(&hop.implied, &hop.url, status, location.as_bytes()).unwrap().unwrap();
        let hop = hop.next(&args, redirect, &first);
        let head = Request::new(&args, &hop, Via::default(), &body, 0).unwrap().head().unwrap();
        String::from_utf8(head).unwrap().replace("\r\n", "|")
    }

    #[test]
    fn another_origin_is_told_no_secrets() {
        let secrets = ["-H", "Authorization: Bearer secret", "-H", "Cookie: secret", "-H", "X-Open: yes"];
        let other = redirected(&secrets, 307, "http://other.test/");
        assert!(!other.contains("secret") && other.contains("|X-Open: yes|"), "{other}");
        assert!(redirected(&secrets, 307, "/b").matches("secret").count() == 2);
        let trusted = [&secrets[..], &["--location-trusted"]].concat();
        assert!(redirected(&trusted, 307, "http://other.test/").matches("secret").count() == 2);
        for option in [&[][..], &["-u", "x:y"]] {
            assert!(
                !redirected(option, 302, "https://name.test:81/").contains("Authorization"),
                "{option:?}"
            );
            assert!(redirected(option, 302, "/b").contains("|Authorization: Basic "), "{option:?}");
        }
        assert!(redirected(&["-H", "Host: mine.test"], 302, "/b").contains("|Host: mine.test|"));
        assert!(redirected(&["-H", "Host: mine.test"], 302, "//c/").contains("|Host: c|"));
    }

    #[test]
    fn a_body_that_stays_behind_takes_its_headers_along() {
        let data = ["-d", "x", "-H", "Content-Type: text/plain", "-H", "Content-Language: en"];
        let kept = redirected(&data, 308, "/b");
        assert!(kept.starts_with("POST ") && kept.contains("|Content-Length: 1|"), "{kept}");
        let dropped = redirected(&data, 302, "/b");
        assert!(dropped.starts_with("GET /b ") && !dropped.contains("|Content-"), "{dropped}");
        let referer = redirected(&["-e", "http://r/;auto"], 302, "/b");
        assert!(referer.contains("|Referer: http://name.test:81/a?b|"), "{referer}");
    }

    /// The `Referer` of each request of a chain of redirects that begins at the first of these URLs.
    fn referers(option: &str, urls: &[&str]) -> Vec<Option<String>> {
        let args = get(&["-e", option]);
        let first = Url::parse(urls[0]).unwrap();
        let mut hop = Hop::first(&args, first.clone(), &Body::None).unwrap();
        let mut redirects = connie_web::Redirects::new(None);
        let mut referers = Vec::new();
        for next in urls.iter().skip(1).map(Some).chain([None]) {
            let request = Request::new(&args, &hop, Via::default(), &Body::None, 0).unwrap();
            referers.push(request.header("referer").map(str::to_owned));
            if let Some(next) = next {
                let redirect = redirects.follow("GET", &hop.url, 302, next.as_bytes()).unwrap().unwrap();
                hop = hop.next(&args, redirect, &first);
            }
        }
        referers
    }

    #[test]
    fn a_secure_url_is_not_told_in_the_clear() {
        let are = |option: &str, urls: &[&str], expected: &[&str]| {
            let found: Vec<String> =
                referers(option, urls).into_iter().map(Option::unwrap_or_default).collect();
            assert_eq!(found, expected, "{option}: {urls:?}");
        };
        let chain = ["https://u:p@a.test/1?q#f", "http://b.test/2", "http://c.test/3", "https://d.test/4"];
        are(";auto", &chain, &["", "", "http://b.test/2", "http://c.test/3"]);
        are("http://r/;auto", &chain, &["http://r/", "", "http://b.test/2", "http://c.test/3"]);
        are(";auto", &["https://u:p@a.test/1?q#f", "https://b.test/2"], &["", "https://a.test/1?q"]);
        are(";auto", &["https://a.test/", "http://a.test/"], &["", ""]);
        are(
            ";auto",
            &["http://u:p@a.test/1#f", "http://b.test/#x", "/y"],
            &["", "http://a.test/1", "http://b.test/"],
        );
        // What the user says stays as it is.
        are("https://r/", &chain[..2], &["https://r/", "https://r/"]);
    }

    #[test]
    fn what_logs_in_is_not_shown() {
        let args = get(&["-u", "name:secret", "-H", "Proxy-Authorization: Basic c2VjcmV0"]);
        let hop = Hop::first(&args, Url::parse("http://h/").unwrap(), &Body::None).unwrap();
        let request = Request::new(&args, &hop, Via::default(), &Body::None, 0).unwrap();
        let shown = String::from_utf8(request.shown().unwrap()).unwrap();
        assert!(shown.contains("Authorization: Basic (not shown)\r\n"), "{shown}");
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("bmFtZTpzZWNyZXQ"), "{shown}");
    }
}
