//! What a race's timeline has no room for: what became of an address, in words.

use std::net::SocketAddr;

/// The most addresses of which words are kept: as many as a race considers.
#[cfg(not(target_os = "wasi"))]
const MOST: usize = 128;

/// What an error of a race has no room for.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) address: SocketAddr,
    pub(crate) text: Box<str>,
}

/// The last of each address.
#[cfg(not(target_os = "wasi"))]
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Note>);

#[cfg(not(target_os = "wasi"))]
impl Notes {
    /// These words, in one line.
    pub(crate) fn one(address: SocketAddr, text: &str) -> Note {
        Note { address, text: one_line(text).into() }
    }

    /// Keeps these words, in one line, in place of those that there were.
    pub(crate) fn keep(&mut self, address: SocketAddr, text: &str) {
        self.0.retain(|note| note.address != address);
        let text = one_line(text);
        if self.0.len() < MOST && !text.is_empty() {
            self.0.push(Note { address, text: text.into() });
        }
    }

    /// Takes them out.
    pub(crate) fn take(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(not(target_os = "wasi"))]
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(all(test, not(target_os = "wasi")))]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_each_address_are_kept_in_one_line() {
        let address = |port: usize| SocketAddr::from(([192, 0, 2, 1], u16::try_from(port).unwrap()));
        let mut notes = Notes::default();
        notes.keep(address(1), "first");
        notes.keep(address(2), " ");
        notes.keep(address(1), "not\n\n  protected\r\n");
        let kept: Vec<_> = notes.take().into_iter().map(|note| (note.address, note.text)).collect();
        assert_eq!(kept, [(address(1), "not protected".into())]);
        (0..MOST + 5).for_each(|port| notes.keep(address(port), "x"));
        assert_eq!(notes.take().len(), MOST);
    }
}
