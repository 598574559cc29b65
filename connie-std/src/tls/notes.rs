//! What a race's timeline has no room for: what TLS had against an address, in words.

use std::net::SocketAddr;

use super::error::TlsError;
use crate::report::Note;

/// The most failures that are kept in words.
const NOTES_AT_MOST: usize = crate::MAX_DESTINATIONS;

/// What has become of attempts whose TLS failed: the last failure of each address.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Note>);

impl Notes {
    /// Keeps the words of `error` where it is one of TLS. The kinds of the others have words of their own.
    pub(crate) fn note(&mut self, address: SocketAddr, error: &TlsError) {
        if error.failure().is_none() {
            return;
        }
        self.0.retain(|note| note.address != address);
        if self.0.len() < NOTES_AT_MOST {
            self.0.push(Note { address, text: error.to_string().into() });
        }
    }

    /// Hands them over.
    pub(crate) fn take(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.0)
    }
}
