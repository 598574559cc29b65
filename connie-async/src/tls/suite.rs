//! `TLS_AES_128_GCM_SHA256`, without the messages that make embedded-tls 0.19 panic: after the handshake it
//! panics at every handshake message but a ticket (its `src/common/decrypted_read_handler.rs`, line 60), and
//! any server can send one.
//!
//! Nobody else sees what is in a record. So the cipher looks when it has decrypted one, and of a record after
//! the handshake it leaves nothing of a handshake: tickets become a record with nothing in it, all else an
//! error. A cipher is made anew for each record, and what it knows of its session is in the record's header,
//! where [`Records`](super::records::Records) has put a mark.

use aes_gcm::aead::{AeadCore, AeadInPlace, Error, Nonce, Result, Tag};
use aes_gcm::{Aes128Gcm, Key, KeyInit, KeySizeUser};
use embedded_tls::{Aes128GcmSha256, TlsCipherSuite};

/// In the version of a record's header, which is 3.3 (RFC 8446 section 5.2): the handshake is over. It is not
/// part of what is authenticated.
pub(super) const AFTER_HANDSHAKE: u8 = 0x80;

const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const NEW_SESSION_TICKET: u8 = 4;

/// [`Aes128GcmSha256`] by [`Cipher`].
pub(super) struct Suite;

impl TlsCipherSuite for Suite {
    const CODE_POINT: u16 = Aes128GcmSha256::CODE_POINT;
    type Cipher = Cipher;
    type KeyLen = <Aes128GcmSha256 as TlsCipherSuite>::KeyLen;
    type IvLen = <Aes128GcmSha256 as TlsCipherSuite>::IvLen;
    type Hash = <Aes128GcmSha256 as TlsCipherSuite>::Hash;
    type LabelBufferSize = <Aes128GcmSha256 as TlsCipherSuite>::LabelBufferSize;
}

pub(super) struct Cipher(Aes128Gcm);

impl KeySizeUser for Cipher {
    type KeySize = <Aes128Gcm as KeySizeUser>::KeySize;
}

impl KeyInit for Cipher {
    fn new(key: &Key<Self>) -> Self {
        Cipher(Aes128Gcm::new(key))
    }
}

impl AeadCore for Cipher {
    type NonceSize = <Aes128Gcm as AeadCore>::NonceSize;
    type TagSize = <Aes128Gcm as AeadCore>::TagSize;
    type CiphertextOverhead = <Aes128Gcm as AeadCore>::CiphertextOverhead;
}

impl AeadInPlace for Cipher {
    fn encrypt_in_place_detached(
        &self,
        nonce: &Nonce<Self>,
        header: &[u8],
        buffer: &mut [u8],
    ) -> Result<Tag<Self>> {
        self.0.encrypt_in_place_detached(nonce, header, buffer)
    }

    fn decrypt_in_place_detached(
        &self,
        nonce: &Nonce<Self>,
        header: &[u8],
        buffer: &mut [u8],
        tag: &Tag<Self>,
    ) -> Result<()> {
        let mut header: [u8; 5] = header.try_into().map_err(|_| Error)?;
        let [_, version, ..] = &mut header;
        let is_over = *version & AFTER_HANDSHAKE != 0;
        *version &= !AFTER_HANDSHAKE;
        self.0.decrypt_in_place_detached(nonce, &header, buffer, tag)?;
        if is_over { without_handshake(buffer) } else { Ok(()) }
    }
}

/// Makes nothing of tickets, which embedded-tls has no use for. RFC 8446 section 4.6: of the others that a
/// server may send then a `CertificateRequest` is for clients that have asked for it, and a `KeyUpdate`
/// embedded-tls does not know.
fn without_handshake(plain: &mut [u8]) -> Result<()> {
    // RFC 8446 section 5.2: the type is the last octet that is not zero.
    let end = plain.iter().rposition(|octet| *octet != 0).ok_or(Error)?;
    let (content, kind) = plain.split_at(end);
    if kind.first() != Some(&HANDSHAKE) {
        return Ok(());
    }
    are_tickets(content).ok_or(Error)?;
    plain.fill(0);
    *plain.first_mut().ok_or(Error)? = APPLICATION_DATA;
    Ok(())
}

/// Whether whole tickets are all that is here.
fn are_tickets(mut content: &[u8]) -> Option<()> {
    // RFC 8446 section 5.1: there is no empty one.
    loop {
        let ([kind, high, middle, low], rest) = content.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes([0, *high, *middle, *low])).ok()?;
        content = rest.get(length..).filter(|_| *kind == NEW_SESSION_TICKET)?;
        if content.is_empty() {
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    const TICKET: [u8; 6] = [NEW_SESSION_TICKET, 0, 0, 2, 9, 9];
    const FINISHED: [u8; 6] = [20, 0, 0, 2, 9, 9];

    /// What is left of a record of this content and type, after the handshake or in it.
    fn decrypted(version: u8, kind: u8, parts: &[&[u8]], padding: usize) -> Option<Vec<u8>> {
        let cipher = Cipher::new(&Key::<Cipher>::from([7; 16]));
        let nonce = Nonce::<Cipher>::from([1; 12]);
        let mut record = parts.concat();
        record.push(kind);
        record.resize(record.len() + padding, 0);
        let tag = cipher.encrypt_in_place_detached(&nonce, &[23, 3, 3, 0, 40], &mut record).unwrap();
        cipher
            .decrypt_in_place_detached(&nonce, &[23, version, 3, 0, 40], &mut record, &tag)
            .is_ok()
            .then_some(record)
    }

    #[test]
    fn after_the_handshake_tickets_become_nothing_and_no_other_message_comes() {
        let after = 3 | AFTER_HANDSHAKE;
        let cut = &TICKET[..5];
        for padding in [0, 1, 30] {
            for tickets in [&[&TICKET[..]][..], &[&TICKET, &TICKET]] {
                let left = decrypted(after, HANDSHAKE, tickets, padding).unwrap();
                assert!(left[0] == APPLICATION_DATA && left[1..].iter().all(|octet| *octet == 0), "{left:?}");
            }
            for wrong in [&[][..], &[&FINISHED[..]], &[&TICKET, &FINISHED], &[&TICKET, cut], &[cut], &[&[4]]]
            {
                assert_eq!(decrypted(after, HANDSHAKE, wrong, padding), None, "{wrong:?}");
                // In the handshake they are its own.
                assert!(decrypted(3, HANDSHAKE, wrong, padding).is_some());
            }
            let data = decrypted(after, APPLICATION_DATA, &[&FINISHED], padding).unwrap();
            assert_eq!(data[..7], [20, 0, 0, 2, 9, 9, APPLICATION_DATA]);
        }
        // No type at all.
        assert_eq!(decrypted(after, 0, &[], 3), None);
    }

    #[test]
    fn a_header_is_authenticated_but_for_the_mark() {
        assert!(decrypted(3, APPLICATION_DATA, &[b"data"], 0).is_some());
        assert_eq!(decrypted(2, APPLICATION_DATA, &[b"data"], 0), None);
        assert_eq!(decrypted(2 | AFTER_HANDSHAKE, APPLICATION_DATA, &[b"data"], 0), None);
    }
}
