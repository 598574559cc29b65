//! What one connection has carried, and how long its server has owed an answer.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// What one connection has carried so far.
#[derive(Debug)]
pub(crate) struct Moved {
    begun: Instant,
    /// To the server.
    sent: AtomicU64,
    /// From the server.
    received: AtomicU64,
    /// When something was last sent to the server, in milliseconds since the beginning.
    last_sent: AtomicU64,
    /// When something was last received from the server and passed on, likewise.
    last_received: AtomicU64,
    is_asked: Notify,
    has_left: Notify,
}

impl Moved {
    pub(crate) fn new() -> Self {
        let [sent, received, last_sent, last_received] = [const { AtomicU64::new(0) }; 4];
        let (is_asked, has_left) = (Notify::new(), Notify::new());
        Moved { begun: Instant::now(), sent, received, last_sent, last_received, is_asked, has_left }
    }

    /// Notes that `count` bytes went to the server.
    pub(crate) fn note_sent(&self, count: usize) {
        self.last_sent.store(self.now(), Ordering::Relaxed);
        if self.sent.fetch_add(count as u64, Ordering::Relaxed) == 0 {
            self.is_asked.notify_one();
        }
    }

    /// Notes that `count` bytes came from the server.
    pub(crate) fn note_received(&self, count: usize) {
        self.last_received.store(self.now(), Ordering::Relaxed);
        self.received.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Notes that the client has closed its direction.
    pub(crate) fn note_client_end(&self) {
        self.has_left.notify_one();
    }

    /// Ends when the client has closed its direction. Only one task may wait for that.
    pub(crate) async fn client_end(&self) {
        self.has_left.notified().await;
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// How long the connection has existed.
    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// When something from the server last went to the client.
    pub(crate) fn last_received_at(&self) -> Option<Instant> {
        let last = Duration::from_millis(self.last_received.load(Ordering::Relaxed));
        (self.received() > 0).then(|| self.begun + last)
    }

    /// How long the server has been silent since it was last sent something; `None` where it was sent
    /// nothing, or has ever said anything.
    pub(crate) fn owed_for(&self) -> Option<Duration> {
        (self.sent() > 0 && self.received() == 0).then(|| self.last_sent_at().elapsed())
    }

    /// Ends when the server has owed an answer for this long. A server that has ever sent something owes
    /// none, and the time begins anew with each byte that is sent to it: it may be waiting for more.
    pub(crate) async fn owed(&self, time: Duration) {
        while self.sent() == 0 {
            self.is_asked.notified().await;
        }
        loop {
            match self.owed_for() {
                None => return pending().await,
                Some(waited) if waited >= time => return,
                // It counts whole milliseconds.
                Some(_) => sleep_until(self.last_sent_at() + time + Duration::from_millis(1)).await,
            }
        }
    }

    /// Ends when nothing has moved for this time, and before twice that.
    pub(crate) async fn silent(&self, time: Duration) {
        loop {
            let before = self.total();
            sleep(time).await;
            if self.total() == before {
                return;
            }
        }
    }

    fn last_sent_at(&self) -> Instant {
        self.begun + Duration::from_millis(self.last_sent.load(Ordering::Relaxed))
    }

    /// In milliseconds since the beginning.
    fn now(&self) -> u64 {
        u64::try_from(self.age().as_millis()).unwrap_or(u64::MAX)
    }

    fn total(&self) -> u64 {
        self.sent().wrapping_add(self.received())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const SHORT: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn a_server_owes_an_answer_to_what_it_was_sent_last() {
        let moved = Moved::new();
        assert!(timeout(SHORT * 3, moved.owed(SHORT)).await.is_err(), "it was asked nothing");
        assert!(moved.owed_for().is_none());
        moved.note_sent(1);
        sleep(SHORT / 2).await;
        moved.note_sent(1);
        let begin = Instant::now();
        moved.owed(SHORT).await;
        // It counts whole milliseconds.
        assert!(begin.elapsed() + Duration::from_millis(1) >= SHORT, "{:?}", begin.elapsed());
        assert!(moved.owed_for().is_some_and(|time| time >= SHORT));
        moved.note_received(1);
        assert!(moved.owed_for().is_none());
        assert!(timeout(SHORT * 3, moved.owed(SHORT)).await.is_err(), "it has said something");
    }

    #[tokio::test]
    async fn silence_begins_anew_with_what_moves() {
        let moved = Moved::new();
        let moving = async {
            for _ in 0..20 {
                sleep(SHORT).await;
                moved.note_received(1);
            }
            pending().await
        };
        let begin = Instant::now();
        tokio::select! {
            () = moving => {}
            // Long beside what moves, for a machine that is busy.
            () = moved.silent(SHORT * 15) => {}
        }
        assert!(begin.elapsed() >= SHORT * 25, "{:?}", begin.elapsed());
    }
}
