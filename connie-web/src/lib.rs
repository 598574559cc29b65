//! What a client of the web decides between two exchanges: where a redirect leads, whether a proxy is in the
//! way, whether and when to try again, what a resumed download may go on with.
//!
//! Nothing here touches a socket, a clock or, but for [`Proxies::from_env`], the environment: each rule is a
//! function of what the caller has. `connie get` is made of them.
//!
//! ```
//! use connie_web::{Redirects, Url};
//!
//! let page = Url::parse("http://name.test/old")?;
//! let mut redirects = Redirects::new(Some(10));
//! // The server has answered a POST with `302 Found` and a Location.
//! let next = redirects.follow("POST", &page, 302, b"/new")?.expect("302 is followed");
//! assert_eq!((next.method.as_str(), next.url.to_string()), ("GET", "http://name.test/new".to_owned()));
//! assert!(next.same_origin && !next.keeps_body);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
// The documentation that is published says beside each item which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod credentials;
#[cfg(feature = "idna")]
mod idn;
mod pattern;
mod proxy;
mod redirect;
mod resume;
mod retry;
mod url;

pub use credentials::Credentials;
pub use pattern::{PatternError, PatternErrorKind, PatternUrl, UrlPattern};
pub use proxy::{NoProxy, Proxies, Proxy, ProxyError, ProxyKind};
pub use redirect::{MAX_REDIRECT_URL, MAX_REPEATS, Redirect, RedirectError, Redirects};
pub use resume::{ByteRange, ContentRange, PartialContent, Resume, ResumeError, partial_content, resume};
pub use retry::{Backoff, http_date, is_transient_status, retry_after};
pub use url::{Scheme, Url, UrlError, parse_host_port};

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
