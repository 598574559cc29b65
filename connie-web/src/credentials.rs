//! What logs in to a server or a proxy.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A user's name and password. Printed with `{:?}` it keeps the password to itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name. It holds no colon when it is sent by the Basic scheme (RFC 7617 section 2).
    pub user: String,
    /// The password; may be empty.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The value of an `Authorization` or `Proxy-Authorization` field of the Basic scheme (RFC 7617
    /// section 2).
    ///
    /// ```
    /// use connie_web::Credentials;
    ///
    /// let who = Credentials { user: "Aladdin".to_owned(), password: "open sesame".to_owned() };
    /// assert_eq!(who.basic(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    /// ```
    #[must_use]
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}
