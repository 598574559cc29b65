//! A time for all of something, such as a request.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use crate::alarm::Alarm;
use crate::clock::Clock;

/// The time for all of it was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not done within the time for all of it")
    }
}

impl core::error::Error for TimedOut {}

/// Runs `future` for at most `limit` of `clock`, and drops it then: for all of a request, from the lookup to
/// the last octet of the body. The deadline of the [options](crate::Options) ends with the connect, and
/// clients such as reqwless have none.
///
/// A large future is better [pinned](core::pin::pin) and given by reference.
///
/// ```
/// # use connie_async::doc_stack::{Stack, SystemClock};
/// use connie_async::{Options, PlainDns, RaceConnect, TimedOut, within};
/// use core::time::Duration;
/// # use embedded_io_async::Write;
/// # async_io::block_on(async {
/// # let (tcp, names, clock) = (Stack, PlainDns(Stack), SystemClock::default());
/// # let net = RaceConnect::new(tcp, names, &clock, Options::new());
///
/// let request = async {
///     let mut connection = net.connect(("many.test", 80), &Options::new()).await.ok()?;
///     connection.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok()
///     // and the response
/// };
/// assert_eq!(within(&clock, Duration::from_secs(20), request).await, Ok(Some(())));
/// assert_eq!(within(&clock, Duration::from_secs(20), core::future::pending::<()>()).await, Err(TimedOut));
/// # });
/// ```
///
/// # Errors
///
/// The time was over first.
pub async fn within<C: Clock, F: Future>(
    clock: &C,
    limit: Duration,
    future: F,
) -> Result<F::Output, TimedOut> {
    let until = clock.now() + limit;
    let mut future = pin!(future);
    let timer = pin!(None);
    let mut alarm = Alarm::new(timer);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if clock.now() >= until {
                return Poll::Ready(Err(TimedOut));
            }
            if alarm.poll(Some(until), |at| clock.wait_until(at), cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}
