//! What the status codes are called, and what class they are of.

/// The class of a status code (RFC 9110 section 15), which says as much of a response as a client has to
/// know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StatusClass {
    /// 100 to 199: the request was received, and the final response is to come.
    Informational = 1,
    /// 200 to 299: the request was accepted.
    Successful,
    /// 300 to 399: more has to be done.
    Redirection,
    /// 400 to 499: the request cannot be fulfilled.
    ClientError,
    /// 500 to 599: the server failed. So has one whose code is below 100 or above 599, which is not a status
    /// code: a client "SHOULD process the response as if it had a 5xx (Server Error) status code".
    ServerError,
}

impl StatusClass {
    /// The class of this code.
    ///
    /// ```
    /// use connie_http::StatusClass;
    ///
    /// assert_eq!(StatusClass::from_status(404), StatusClass::ClientError);
    /// assert_eq!(StatusClass::from_status(0), StatusClass::ServerError);
    /// ```
    #[must_use]
    pub const fn from_status(status: u16) -> Self {
        match status {
            100..=199 => StatusClass::Informational,
            200..=299 => StatusClass::Successful,
            300..=399 => StatusClass::Redirection,
            400..=499 => StatusClass::ClientError,
            _ => StatusClass::ServerError,
        }
    }

    /// Whether the request has failed, by whose fault.
    #[must_use]
    pub const fn is_error(self) -> bool {
        matches!(self, StatusClass::ClientError | StatusClass::ServerError)
    }
}

/// The reason phrase that goes with `status` in the registry of status codes (RFC 9110 section 16.2), for a
/// server that sent [none](crate::Response::reason); `None` for a code that is not in it.
///
/// ```
/// assert_eq!(connie_http::reason_phrase(404), Some("Not Found"));
/// assert_eq!(connie_http::reason_phrase(299), None);
/// ```
#[must_use]
#[doc(alias = "responses")]
pub const fn reason_phrase(status: u16) -> Option<&'static str> {
    Some(match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    /// IANA's "Hypertext Transfer Protocol (HTTP) Status Code Registry", without what is temporary there. It
    /// has 418 as unused; the phrase is what RFC 2324 made of it.
    const REGISTRY: &str = "\
100 Continue
101 Switching Protocols
102 Processing
103 Early Hints
200 OK
201 Created
202 Accepted
203 Non-Authoritative Information
204 No Content
205 Reset Content
206 Partial Content
207 Multi-Status
208 Already Reported
226 IM Used
300 Multiple Choices
301 Moved Permanently
302 Found
303 See Other
304 Not Modified
305 Use Proxy
307 Temporary Redirect
308 Permanent Redirect
400 Bad Request
401 Unauthorized
402 Payment Required
403 Forbidden
404 Not Found
405 Method Not Allowed
406 Not Acceptable
407 Proxy Authentication Required
408 Request Timeout
409 Conflict
410 Gone
411 Length Required
412 Precondition Failed
413 Content Too Large
414 URI Too Long
415 Unsupported Media Type
416 Range Not Satisfiable
417 Expectation Failed
418 I'm a teapot
421 Misdirected Request
422 Unprocessable Content
423 Locked
424 Failed Dependency
425 Too Early
426 Upgrade Required
428 Precondition Required
429 Too Many Requests
431 Request Header Fields Too Large
451 Unavailable For Legal Reasons
500 Internal Server Error
501 Not Implemented
502 Bad Gateway
503 Service Unavailable
504 Gateway Timeout
505 HTTP Version Not Supported
506 Variant Also Negotiates
507 Insufficient Storage
508 Loop Detected
510 Not Extended
511 Network Authentication Required
";

    #[test]
    fn a_code_is_of_the_class_of_its_first_digit_or_a_server_s_error() {
        use StatusClass::{ClientError, Informational, Redirection, ServerError, Successful};
        for status in 0..=u16::MAX {
            let class = match status / 100 {
                1 => Informational,
                2 => Successful,
                3 => Redirection,
                4 => ClientError,
                _ => ServerError,
            };
            assert_eq!(StatusClass::from_status(status), class, "{status}");
            assert_eq!(class.is_error(), matches!(status, 0..100 | 400..), "{status}");
        }
    }

    #[test]
    fn every_code_of_the_registry_has_its_phrase_and_no_other_has_one() {
        let mut registry = [None; 1_000];
        for line in REGISTRY.lines() {
            let (status, phrase) = line.split_once(' ').unwrap();
            registry[status.parse::<usize>().unwrap()] = Some(phrase);
        }
        for (status, phrase) in (0..).zip(registry) {
            assert_eq!(reason_phrase(status), phrase, "{status}");
        }
    }
}
