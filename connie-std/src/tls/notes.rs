//! What TLS had against an address, in words.

use std::net::SocketAddr;

use super::error::TlsError;
use crate::note::{self, Note};

/// What has become of attempts whose TLS failed: the last failure of each address.
#[derive(Debug, Default)]
pub(crate) struct TlsNotes(note::Notes);

impl TlsNotes {
    /// Keeps the words of `error` where it is one of TLS. The kinds of the others have words of their own.
    pub(crate) fn note(&mut self, address: SocketAddr, error: &TlsError) {
        if error.failure().is_some() {
            self.0.keep(address, &error.to_string());
        }
    }

    /// Takes them out.
    pub(crate) fn take(&mut self) -> Vec<Note> {
        self.0.take()
    }
}
