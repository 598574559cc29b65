//! Why connie is right where Python's `http.client` differs: the clauses that decide.

pub const OWS: &str = "RFC 9112 section 5: a field line is `field-name \":\" OWS field-value OWS`; the white space is \
    no part of the value";

pub const LENGTH: &str = "RFC 9112 section 6.3, rule 5: where Content-Length is invalid \"the user agent MUST close the \
    connection to the server and discard the received response\"; RFC 9110 section 8.6: \
    `Content-Length = 1*DIGIT`";

pub const LENGTHS: &str = "RFC 9112 section 6.3, rule 5: a list is valid if \"all values in the list are valid, and all \
    values in the list are the same\", and else the user agent \"MUST close the connection\"";

pub const INTEGER: &str = "RFC 9110 section 8.6: a recipient \"MUST anticipate potentially large decimal numerals and \
    prevent parsing errors due to integer conversion overflows\"";

pub const SURPLUS: &str = "RFC 9112 section 9.2: of data without an outstanding request \"the client MUST NOT consider that \
    data to be a valid response; the client SHOULD close the connection, since message delimitation \
    is now ambiguous\"";

pub const EMPTY: &str = "RFC 9112 section 6.3, rule 1: such a response \"is always terminated by the first empty line \
    after the header fields, regardless of the header fields present\"";

pub const TUNNEL: &str = "RFC 9112 section 6.3, rule 2: \"the connection will become a tunnel immediately after the empty \
    line that concludes the header fields\"";

pub const SWITCH: &str = "RFC 9110 section 7.8: a server \"MUST NOT switch to a protocol that was not indicated by the client\", and \
    what follows a 101 response is of another protocol (section 15.2.2)";

pub const BOTH: &str = "RFC 9112 section 6.3: a message with both fields \"ought to be handled as an error\"; section \
    6.1 has a server close the connection after such a request, and so does connie after such an \
    answer";

pub const FINAL: &str = "RFC 9112 section 6.3, rule 4: chunked as \"the final encoding\" delimits the body, whatever \
    comes before it";

pub const NOT_FINAL: &str = "RFC 9112 section 6.3, rules 3 and 4: \"the Transfer-Encoding overrides the Content-Length\", and \
    without chunked at its end the body is read \"until it is closed by the server\"";

pub const UNDONE: &str = "RFC 9112 section 6.1: the Transfer-Encoding names \"the sequence of transfer codings that have been (or will \
    be) applied to the content in order to form the message body\": without undoing them there is no content to give";

pub const NOT_LAST: &str = "RFC 9112 section 6.1: a sender of another coding than chunked is to \"either apply chunked as the \
    final transfer coding or terminate the message by closing the connection\"; chunks within another coding are neither";

pub const TWICE: &str = "RFC 9112 section 6.1: \"A sender MUST NOT apply the chunked transfer coding more than once to a \
    message body\"";

pub const PARAMETERS: &str = "RFC 9112 section 7.1: \"The chunked coding does not define any parameters. Their presence SHOULD \
    be treated as an error.\"";

pub const QUOTED: &str = "RFC 9112 section 7 lets a quoted string hold a comma: what two readers could take for two \
    codings is refused";

pub const OLD_CODING: &str = "RFC 9112 section 6.1: in HTTP/1.0 \"MUST treat the message as if the framing is faulty, even if \
    a Content-Length is present, and close the connection after processing the message\"";

pub const CHUNK: &str = "RFC 9112 section 7.1: `chunk-size = 1*HEXDIG`, and a chunk is `chunk-size [ chunk-ext ] CRLF \
    chunk-data CRLF`";

pub const CHUNK_LINE: &str = "RFC 9112 section 2.2 lets a bare LF end \"the start-line and fields\" alone, and section 7.1 has \
    CRLF";

pub const CHUNK_INTEGER: &str = "RFC 9112 section 7.1: \"recipients MUST anticipate potentially large hexadecimal numerals and \
    prevent parsing errors due to integer conversion overflows\"";

pub const TRAILER: &str = "RFC 9112 section 7.1.2: `trailer-section = *( field-line CRLF )`; after an answer with another line the \
    connection is not used again";

pub const ENDED: &str =
    "RFC 9112 section 9.6: the server has closed the connection, so nothing more can be sent on it";

pub const PARTIAL: &str = "RFC 9112 section 8: the message is incomplete from where it was cut; what had come before is not \
    lost";

pub const CLOSE: &str = "RFC 9112 section 9.3: the \"close\" connection option decides, an element of the list in all \
    Connection fields (RFC 9110 section 7.6.1)";

pub const KEEP_ALIVE: &str = "RFC 9112 section 9.3: in HTTP/1.0 the connection persists if \"the 'keep-alive' connection \
    option is present\", and by nothing else";

pub const CUT_HEAD: &str = "RFC 9112 section 8: where a response ends in the middle of the header section \"the client \
    cannot assume that meaning has been conveyed\"";

pub const VERSION: &str = "RFC 9112 section 2.3: `HTTP-version = HTTP-name \"/\" DIGIT \".\" DIGIT`, and HTTP/0.9 has no \
    status line";

pub const LINE: &str = "RFC 9112 section 4: `status-line = HTTP-version SP status-code SP [ reason-phrase ]`, \
    `status-code = 3DIGIT`";

pub const REASON: &str = "RFC 9112 section 4: `reason-phrase = 1*( HTAB / SP / VCHAR / obs-text )`";

pub const OBS_REASON: &str = "RFC 9112 section 4: \"A client SHOULD ignore the reason-phrase content\"; what is not ASCII \
    text is nothing that anybody could tell";

pub const INVALID_STATUS: &str = "RFC 9110 section 15: \"A client that receives a response with an invalid status code SHOULD \
    process the response as if it had a 5xx (Server Error) status code\"";

pub const BARE_CR: &str = "RFC 9112 section 2.2: \"A recipient of such a bare CR MUST consider that element to be invalid \
    or replace each bare CR with SP\"";

pub const FOLD: &str = "RFC 9112 section 5.2: a user agent \"MUST replace each received obs-fold with one or more SP \
    octets prior to interpreting the field value\"";

pub const CONTROL: &str = "RFC 9110 section 5.5: \"Field values containing CR, LF, or NUL characters are invalid and \
    dangerous\", and those with other controls \"are also invalid\": the first lose the answer, the \
    others the field, and the connection with it";

pub const NAME: &str = "RFC 9112 section 5: `field-line = field-name \":\" OWS field-value OWS`; RFC 9110 section 5.1: \
    `field-name = token`; another line is dropped alone, not with those after it, and the connection is not used again";

pub const HIDDEN: &str = "RFC 9112 section 5.1: a proxy \"MUST remove any such whitespace from a response message before \
    forwarding\", so that another recipient may heed a length or a coding in such a line. Where the body ends must \
    not depend on who reads (section 6.3: \"discard the received response\")";

pub const FIRST: &str = "RFC 9112 section 2.2: of white space before the first field a recipient \"MUST either reject the \
    message as invalid or consume each whitespace-preceded line\"; the connection is not used again";

pub const INTERIM: &str = "RFC 9110 section 15.2: \"A client MUST be able to parse one or more 1xx responses received prior \
    to a final response, even if the client does not expect one\"";

pub const INTERIM_LIMIT: &str =
    "RFC 9110 section 17.5: a recipient ought to limit what could exhaust it; MAX_INTERIM is ours";

pub const LIMIT: &str = "RFC 9110 section 5.4: no limit is defined, and \"Various ad hoc limitations on individual \
    lengths are found in practice\"; the one of connie is the buffer, as documented in connie_http";

pub const CHUNK_LIMIT: &str =
    "RFC 9112 section 7.1.1: a recipient ought to limit chunk extensions; MAX_CHUNK_LINE is ours";

pub const TRAILER_LIMIT: &str = "RFC 9112 section 7.1.2: trailers may be discarded, and RFC 9110 section 5.4 defines no limit; \
    MAX_TRAILERS is ours";
