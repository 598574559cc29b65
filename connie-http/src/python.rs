//! Each method, attribute and exception of Python's `http.client`, and where it is here, or why not.
//!
//! Those that have a counterpart can be typed into the search box of these docs. What the two make of the
//! same bytes is compared in the project's tests, answer by answer: where they differ, it is by a clause of
//! the standard.
//!
//! # `HTTPConnection`
//!
//! | Python | here |
//! |---|---|
//! | `HTTPConnection(host, port)` | [`HttpConnection::with_opener`], which connects by a race; [`HttpConnection::new`] and [`HttpConnection::owning`] over a socket that is connected. `connie-std` has one that takes a host and a port |
//! | `HTTPSConnection(host, port, context)`, `key_file`, `cert_file`, `check_hostname` | a stack that speaks TLS in place of TCP: `connie-std` brings one. The connection itself is the same |
//! | `request(method, url, body, headers)` | [`HttpConnection::request`] |
//! | `request(..., encode_chunked)`, a body that is a file or an iterable | the pieces, one after the other: [`HttpConnection::send`] after [`HttpConnection::end_headers`] with [`RequestBody::Chunked`] or [`RequestBody::Length`] |
//! | `putrequest(method, url)` | [`HttpConnection::put_request`] |
//! | `putrequest(..., skip_host)` | [`HttpConnection::put_request_for`]; `request` takes a `Host` among its fields |
//! | `putrequest(..., skip_accept_encoding)` | nothing to skip: no `Accept-Encoding` is sent unasked. Python sends `identity`, which says the same as sending none |
//! | `putheader(name, value)` | [`HttpConnection::put_header`]. `Content-Length` and `Transfer-Encoding` follow from the [`RequestBody`], so that no request is framed in two ways |
//! | `putheader(name, value, value)` | no: a folded value is obsolete, and refused (RFC 9112 section 5.2) |
//! | `endheaders(message_body)` | [`HttpConnection::end_headers`] |
//! | `send(data)` | [`HttpConnection::send`], which makes chunks where they are due, and [`HttpConnection::finish_body`] |
//! | `getresponse()` | [`HttpConnection::response`]; it may be called again |
//! | `set_tunnel(host, port, headers)` | [`HttpConnection::set_tunnel`] |
//! | `connect()` | [`HttpConnection::connect`] |
//! | `close()` | [`HttpConnection::close`] |
//! | `auto_open` | [`HttpConnection::set_auto_open`]. On, it also repeats a request that a kept connection lost, where that may be done; Python leaves it to the caller |
//! | `timeout` | [`HttpConnection::set_timeout`], and for the whole [`HttpConnection::set_deadline`] |
//! | `sock` | [`HttpConnection::take_socket`], [`HttpConnection::attach`], [`HttpConnection::is_open`] |
//! | `host`, `port`, `default_port` | [`Authority`], given to the constructor; its port is left out of the `Host` field where it is the scheme's |
//! | `source_address` | the stack's business: `connie-std` has it among its options |
//! | `blocksize` | the buffer that the caller gives |
//! | `response_class` | no: [`Response`] |
//! | `debuglevel`, `set_debuglevel(level)` | no: nothing here prints. The race's [timeline](connie_core::Timeline) tells what became of each address |
//!
//! # `HTTPResponse`
//!
//! | Python | here |
//! |---|---|
//! | `HTTPResponse(sock, method)` | [`Response`]; for bytes from elsewhere [`ResponseHead`] and [`BodyDecoder`] |
//! | `status`, `code`, `getcode()` | [`Response::status`] |
//! | `reason` | [`Response::reason`]; [`reason_phrase`] where the server sent none |
//! | `version` | [`Response::version`] |
//! | `headers`, `msg`, `info()`, `getheaders()` | [`Response::headers`], in order, duplicates included |
//! | `getheader(name, default)` | [`Response::header`]: the first. All of them: `headers().all(name)`; Python joins them by commas, which breaks `Set-Cookie` |
//! | `read()` | [`Response::read_to_end`] into a slice; [`Response::discard`] drops the rest |
//! | `read(amt)`, `read1(amt)`, `readinto(buffer)`, `readinto1(buffer)` | [`Response::read`] |
//! | `isclosed()`, `closed` | [`Response::is_closed`] |
//! | `will_close` | [`Response::will_close`] |
//! | `length` | [`Response::remaining`] |
//! | `chunked`, `chunk_left` | [`ResponseHead::framing`]; what is left of a chunk is nobody's business |
//! | trailers, which Python drops | [`Response::trailers`] |
//! | bytes after the response, which Python takes for the next one | [`Response::surplus`], and the connection is not used again |
//! | `close()` | [`Response::discard`], after which another request can follow, or [`HttpConnection::close`]. Dropping a [`Response`] loses nothing |
//! | `begin()` | part of [`HttpConnection::response`] |
//! | `peek(n)`, `readline(n)`, `readlines()`, `fp`, iteration | `std::io::BufRead`'s, over the body that `connie-std` gives as a `std::io::Read` |
//! | `fileno()`, `detach()` | [`HttpConnection::take_socket`] |
//! | `geturl()` | no: the caller has the URL; nothing is followed here |
//! | `flush()`, `readable()`, `isatty()`, `seek()`, `seekable()`, `tell()`, `truncate()`, `writable()`, `write()`, `writelines()` | no: what Python's files have in common |
//! | `debuglevel` | no |
//!
//! # Exceptions
//!
//! All are values of [`HttpError`], which says of each what is left of the connection.
//!
//! | Python | here |
//! |---|---|
//! | `HTTPException`, `error` | [`HttpError`]; there is no limit to the number of fields but the buffer: [`HttpError::HeadTooLarge`] |
//! | `NotConnected` | [`HttpError::NotConnected`] |
//! | `InvalidURL` | [`HttpError::InvalidTarget`], [`HttpError::InvalidHost`] |
//! | `ValueError` of `putheader` and `putrequest` | [`HttpError::InvalidMethod`], [`HttpError::InvalidHeaderName`], [`HttpError::InvalidHeaderValue`], [`HttpError::ReservedHeader`] |
//! | `UnknownProtocol` | [`HttpError::UnsupportedVersion`] |
//! | `UnknownTransferEncoding` | [`HttpError::UnsupportedTransferCoding`], [`HttpError::InvalidTransferEncoding`]; Python defines it and never raises it |
//! | `UnimplementedFileMode` | no: Python defines it and never raises it |
//! | `IncompleteRead(partial, expected)` | [`HttpError::IncompleteRead`]; what has come is with the caller already. A chunk that is none: [`HttpError::MalformedChunk`] |
//! | `ImproperConnectionState` | [`HttpError::is_usage`] |
//! | `CannotSendRequest` | [`HttpError::CannotSendRequest`] |
//! | `CannotSendHeader` | [`HttpError::CannotSendHeader`], [`HttpError::CannotSendBody`] |
//! | `ResponseNotReady` | [`HttpError::ResponseNotReady`] |
//! | `BadStatusLine` | [`HttpError::NotHttp`], [`HttpError::MalformedStatusLine`] |
//! | `LineTooLong` | [`HttpError::HeadTooLarge`], [`HttpError::MalformedChunk`], [`HttpError::TrailersTooLarge`]: see the [limits](super#limits) |
//! | `RemoteDisconnected` | [`HttpError::EmptyReply`]; on a kept connection found closed [`HttpError::Stale`], where nothing opens another |
//! | `ConnectionError`, `OSError` | [`HttpError::Connect`], [`HttpError::Send`], [`HttpError::Receive`] |
//! | `OSError` of a tunnel | [`HttpError::TunnelRefused`] |
//! | `TimeoutError` | [`HttpError::TimedOut`] |
//!
//! # The rest of the module
//!
//! | Python | here |
//! |---|---|
//! | `parse_headers(fp)` | [`ResponseHead::parse`] |
//! | `HTTPMessage` | [`Headers`] |
//! | `responses` | [`reason_phrase`] |
//! | `OK`, `NOT_FOUND` and the other status codes | numbers |
//! | `HTTP_PORT`, `HTTPS_PORT` | [`Authority::http`], [`Authority::https`] |

use crate::parts::*;
use crate::*;
