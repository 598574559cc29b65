//! Where a race ends.

/// Where a race for a TLS connection ends.
///
/// draft-ietf-happy-happyeyeballs-v3, "Determining successful connection establishment": "When TLS is used on
/// top of TCP [...] clients SHOULD wait for the TLS handshake to successfully complete before cancelling
/// other connection attempts. This is particularly useful for networks in which a TCP-terminating proxy might
/// be causing TCP handshakes to succeed quickly, even though end-to-end connectivity with the TLS-terminating
/// server will fail."
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinishLine {
    /// At the TLS handshake, certificate included: the default. What lost the TCP handshakes is kept until
    /// then, so an address that accepts TCP and goes no further costs nothing but its socket. Each server
    /// that completes TCP in time is asked for a TLS handshake, one signature, of which all but one are
    /// thrown away.
    #[default]
    Tls,
    /// At the TCP handshake, as for plain connections. The winner alone is asked for TLS, and if that fails
    /// the connection has failed. For servers to be spared, and for networks where nobody stands between.
    Tcp,
}
