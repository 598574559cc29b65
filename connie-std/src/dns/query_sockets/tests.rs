//! Two lookups of one name.

use connie_dns::{DnsConfig, Name};

use super::*;
use crate::OsClock;
use crate::dns::cache::Cache;

/// Two lookups of a name, and the server, which is asked in real time.
struct Two {
    context: LookupContext,
    server: UdpSocket,
    first: QuerySockets,
    second: QuerySockets,
}

impl Two {
    fn new() -> Self {
        let server = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        server.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        let clock = OsClock::start();
        let name = Name::parse("name.test").expect("a name");
        let address = server.local_addr().expect("an address");
        let asker = |cache: &Cache| {
            let settings = DnsConfig::default();
            let shared = cache.shared_name(&name, &[address], &settings, (clock, clock.now()));
            QuerySockets::new(shared.expect("random numbers"), Instant::ZERO)
        };
        let cache = Cache::new();
        let context = LookupContext { clock, egress: crate::egress::Egress::default(), budget: None };
        Two { context, server, first: asker(&cache), second: asker(&cache) }
    }

    fn time(&self) -> Instant {
        self.first.shared.server_set.time(self.context.clock, self.context.clock.now())
    }

    fn first_asks(&mut self, kind: RecordType) {
        self.first.ask(kind, self.time());
        self.first.poll(&self.context, self.context.clock.now());
    }

    fn second_asks(&mut self, kind: RecordType) {
        self.second.ask(kind, self.time());
        self.second.poll(&self.context, self.context.clock.now());
    }

    /// Denies that there are records of the kind that was asked for.
    fn answer(&self) {
        let mut query = [0; 512];
        let (length, from) = self.server.recv_from(&mut query).expect("a query");
        // Without the OPT record, which has 11 octets.
        let message = [&query[..2], &[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0], &query[12..length - 11]];
        self.server.send_to(&message.concat(), from).expect("sent");
    }
}

#[test]
fn who_asks_again_after_its_questions_have_ended_is_told() {
    let mut two = Two::new();
    two.first_asks(RecordType::A);
    two.answer();
    two.first.poll(&two.context, two.context.clock.now());
    assert!(two.first.end(RecordType::A).is_some_and(Result::is_ok) && !two.first.is_waiting());
    two.second_asks(RecordType::Aaaa);
    two.first_asks(RecordType::Aaaa);
    assert!(two.second.drives && !two.first.drives, "the query is the second's");
    two.answer();
    two.second.poll(&two.context, two.context.clock.now());
    let has_news = two.first.shared.lock().is_some_and(|mut state| state.has_news(two.first.id));
    assert!(has_news, "it need not look for itself");
    two.first.poll(&two.context, two.context.clock.now());
    assert!(two.first.end(RecordType::Aaaa).is_some_and(Result::is_ok));
}

/// Its sockets are not all that are open.
#[test]
fn who_drives_no_more_when_it_begins_to_wait_is_polled_again() {
    let mut two = Two::new();
    two.first_asks(RecordType::A);
    assert!(two.first.drives && !two.first.register(None, None));
    two.second_asks(RecordType::Aaaa);
    assert!(two.second.drives && !two.second.register(None, None));
    assert!(two.first.drives && two.first.register(None, None));
    two.first.poll(&two.context, two.context.clock.now());
    assert!(!two.first.drives && !two.first.register(None, None), "it waits to be told");
}

/// It would keep the place that the driver waits for, and wait for the driver.
#[test]
fn who_gets_room_uses_it_though_another_drives() {
    let mut two = Two::new();
    let budget = SocketBudget::new(1);
    let held = DescriptorPermit::at_once(Some(&budget)).expect("a place");
    two.context.budget = Some(budget);
    two.first_asks(RecordType::A);
    two.second_asks(RecordType::Aaaa);
    assert!(two.second.drives, "though its query waits behind the first's");
    drop(held);
    two.first.poll(&two.context, two.context.clock.now());
    two.answer();
    two.first.poll(&two.context, two.context.clock.now());
    assert!(two.first.end(RecordType::A).is_some_and(Result::is_ok));
    two.second.poll(&two.context, two.context.clock.now());
    two.answer();
    two.second.poll(&two.context, two.context.clock.now());
    assert!(two.second.end(RecordType::Aaaa).is_some_and(Result::is_ok));
}
