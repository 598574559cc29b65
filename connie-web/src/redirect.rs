//! Where a redirect leads, and what is sent there (RFC 9110 section 15.4).

use std::collections::HashMap;
use std::fmt;

use crate::url::{Url, UrlError};

/// How often one chain of redirects may lead to the same request before that counts as a loop, which a client
/// "SHOULD detect" (RFC 9110 section 15.4). A server may well lead to the same page more than once, say until
/// a job is done.
pub const MAX_REPEATS: u8 = 4;

/// How long a URL may be that a redirect leads to, in octets. A server that knows the URL of its page can
/// make each one longer than the one before, and so the requests.
pub const MAX_REDIRECT_URL: usize = 64 * 1024;

/// How many different requests of one chain are remembered.
const MAX_MADE: usize = 1024;

/// The redirects of one request: how many, and where they have led so far.
#[derive(Clone, Debug)]
pub struct Redirects {
    limit: Option<u32>,
    followed: u32,
    /// How often each request was led to.
    led_to: HashMap<(String, String), u8>,
}

/// The request that a response asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// Its method.
    pub method: String,
    /// Where it goes.
    pub url: Url,
    /// Whether the body of the request is sent again; otherwise it is dropped, with the header fields that
    /// describe it.
    pub keeps_body: bool,
    /// Whether it goes to the same origin. To another one neither `Authorization` nor `Cookie` of the request
    /// may go along (RFC 9110 section 15.4).
    pub same_origin: bool,
}

/// Why a redirect was not followed. Prints as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectError {
    /// There were more than the limit.
    TooMany {
        /// The limit.
        limit: u32,
    },
    /// They led to the same request more often than [`MAX_REPEATS`].
    Loop {
        /// Where it would go.
        url: String,
    },
    /// The URL is longer than [`MAX_REDIRECT_URL`].
    TooLong {
        /// How long it is.
        length: usize,
    },
    /// The `Location` is not a URL, or one of another scheme.
    Url(UrlError),
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedirectError::TooMany { limit } => write!(f, "more than {limit} redirects"),
            RedirectError::Loop { url } => write!(f, "the redirects form a loop: {url} again"),
            RedirectError::TooLong { length } => {
                write!(f, "the server redirects to a URL of {length} octets: {MAX_REDIRECT_URL} at most")
            }
            RedirectError::Url(error) => {
                write!(f, "the server redirects to a URL that cannot be fetched: {error}")
            }
        }
    }
}

impl std::error::Error for RedirectError {}

impl Redirects {
    /// At most `limit` redirects; `None` for any number, until they go round in a loop.
    #[must_use]
    pub fn new(limit: Option<u32>) -> Self {
        Redirects { limit, followed: 0, led_to: HashMap::new() }
    }

    /// How many have been followed.
    #[must_use]
    pub fn followed(&self) -> u32 {
        self.followed
    }

    /// What to send after a request of `method` to `url` was answered with `status` and this `Location`;
    /// `None` where that is no redirect.
    ///
    /// - 303 is followed by GET, or HEAD where the request was one.
    /// - 301 and 302 change POST, and only that, to GET: "for historical reasons, a user agent MAY", and all
    ///   do.
    /// - 300, 307 and 308 keep method and body.
    ///
    /// # Errors
    ///
    /// [`RedirectError`].
    pub fn follow(
        &mut self,
        method: &str,
        url: &Url,
        status: u16,
        location: &[u8],
    ) -> Result<Option<Redirect>, RedirectError> {
        let rewrites = match status {
            300 | 307 | 308 => false,
            301 | 302 => method == "POST",
            303 => method != "HEAD",
            _ => return Ok(None),
        };
        if let Some(limit) = self.limit.filter(|limit| self.followed >= *limit) {
            return Err(RedirectError::TooMany { limit });
        }
        let mut next = url.join(&text(location)).map_err(RedirectError::Url)?;
        let length = next.to_string().len();
        if length > MAX_REDIRECT_URL {
            return Err(RedirectError::TooLong { length });
        }
        let same_origin = next.is_same_origin(url);
        if same_origin && next.credentials.is_none() {
            next.credentials.clone_from(&url.credentials);
        }
        let next_method = if rewrites { "GET" } else { method };
        if self.leads_to(next_method, &next) > MAX_REPEATS {
            return Err(RedirectError::Loop { url: next.to_string() });
        }
        self.followed = self.followed.saturating_add(1);
        Ok(Some(Redirect { method: next_method.to_owned(), url: next, keeps_body: !rewrites, same_origin }))
    }

    /// Counts a request, and says how often there was one like it.
    fn leads_to(&mut self, method: &str, url: &Url) -> u8 {
        let request = (method.to_owned(), url.to_string());
        if self.led_to.len() >= MAX_MADE && !self.led_to.contains_key(&request) {
            return 0;
        }
        let count = self.led_to.entry(request).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

/// A Location as text. It is ASCII (RFC 9110 section 10.2.2); octets beyond that, which servers send, are
/// percent-encoded.
fn text(location: &[u8]) -> String {
    let mut text = String::with_capacity(location.len());
    for byte in location {
        match byte {
            0x00..=0x7f => text.push(char::from(*byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Url {
        Url::parse("http://u:p@a.test/b/c").unwrap()
    }

    #[track_caller]
    fn leads(method: &str, status: u16, location: &str) -> Redirect {
        Redirects::new(None).follow(method, &page(), status, location.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn the_method_changes_as_the_standard_says() {
        for (status, method, next, keeps_body) in [
            (301, "POST", "GET", false),
            (302, "POST", "GET", false),
            (303, "POST", "GET", false),
            (307, "POST", "POST", true),
            (308, "POST", "POST", true),
            (300, "POST", "POST", true),
            (301, "PUT", "PUT", true),
            (302, "DELETE", "DELETE", true),
            (303, "PUT", "GET", false),
            (303, "DELETE", "GET", false),
            (301, "GET", "GET", true),
            (303, "HEAD", "HEAD", true),
            (302, "HEAD", "HEAD", true),
            (301, "post", "post", true),
        ] {
            let redirect = leads(method, status, "/d");
            assert_eq!(
                (redirect.method.as_str(), redirect.keeps_body),
                (next, keeps_body),
                "{status} {method}"
            );
        }
    }

    #[test]
    fn other_answers_lead_nowhere() {
        for status in [200, 201, 304, 305, 306, 309, 400, 500] {
            assert_eq!(Redirects::new(None).follow("GET", &page(), status, b"/d"), Ok(None), "{status}");
        }
    }

    #[test]
    fn credentials_stay_within_the_origin() {
        let same = leads("GET", 302, "/d");
        assert!(same.same_origin && same.url.credentials == page().credentials);
        let spelled_out = leads("GET", 302, "HTTP://A.TEST:80/d");
        assert!(spelled_out.same_origin && spelled_out.url.credentials == page().credentials);
        for location in ["https://a.test/", "http://a.test:81/", "//b.test/", "http://sub.a.test/"] {
            let other = leads("GET", 307, location);
            assert!(!other.same_origin && other.url.credentials.is_none(), "{location}");
        }
        let given = leads("GET", 302, "http://x:y@b.test/");
        assert_eq!(given.url.credentials.unwrap().user, "x");
    }

    #[test]
    fn a_location_that_is_not_ascii_is_encoded() {
        let mut redirects = Redirects::new(None);
        let next = redirects.follow("GET", &page(), 302, b"/\xfc \xc3\xbc").unwrap().unwrap();
        assert_eq!(next.url.target, "/%FC%20%C3%BC");
        for location in [&b"http://b\xfc.test/"[..], b"ftp://b/", b"/a\x01", b"http:///"] {
            let error = Redirects::new(None).follow("GET", &page(), 302, location).unwrap_err();
            assert!(matches!(error, RedirectError::Url(_)) && !error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_url_may_be_so_long_and_no_longer() {
        let path = |length: usize| format!("/{}", "a".repeat(length - "http://a.test/".len()));
        let follow = |length| Redirects::new(None).follow("GET", &page(), 302, path(length).as_bytes());
        let next = follow(MAX_REDIRECT_URL).unwrap().unwrap();
        assert_eq!(next.url.to_string().len(), MAX_REDIRECT_URL);
        let error = follow(MAX_REDIRECT_URL + 1).unwrap_err();
        assert_eq!(error, RedirectError::TooLong { length: MAX_REDIRECT_URL + 1 });
    }

    #[test]
    fn the_limit_is_the_number_that_is_followed() {
        let mut redirects = Redirects::new(Some(2));
        for next in ["/1", "/2"] {
            redirects.follow("GET", &page(), 302, next.as_bytes()).unwrap();
        }
        let error = redirects.follow("GET", &page(), 302, b"/3").unwrap_err();
        assert_eq!(error, RedirectError::TooMany { limit: 2 });
        assert_eq!(redirects.followed(), 2);
        assert_eq!(redirects.follow("GET", &page(), 200, b"/3"), Ok(None), "the limit is for redirects");
        let none = Redirects::new(Some(0)).follow("GET", &page(), 302, b"/1");
        assert_eq!(none, Err(RedirectError::TooMany { limit: 0 }));
    }

    #[test]
    fn a_loop_is_found_however_long_it_is() {
        for length in [1, 2, 7] {
            let (mut redirects, mut url, mut followed) = (Redirects::new(None), page(), 0);
            let error = loop {
                let next = format!("/{}", followed % length);
                match redirects.follow("GET", &url, 302, next.as_bytes()) {
                    Ok(redirect) => url = redirect.unwrap().url,
                    Err(error) => break error,
                }
                followed += 1;
            };
            assert_eq!(error, RedirectError::Loop { url: "http://a.test/0".to_owned() });
            assert_eq!(followed, length * u32::from(MAX_REPEATS));
        }
    }

    #[test]
    fn another_method_is_another_request() {
        let mut redirects = Redirects::new(None);
        for status in [307, 307, 303, 307, 307] {
            let method = if status == 303 { "PUT" } else { "POST" };
            redirects.follow(method, &page(), status, b"/").unwrap();
        }
    }

    #[test]
    fn a_chain_without_end_takes_bounded_memory() {
        let (mut redirects, mut url) = (Redirects::new(None), page());
        for number in 0..5_000 {
            url = redirects.follow("GET", &url, 302, format!("/{number}").as_bytes()).unwrap().unwrap().url;
        }
        assert_eq!(redirects.led_to.len(), MAX_MADE);
    }
}
