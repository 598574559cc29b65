//! The DNS client over a fake stack in virtual time: what all drivers find, and who sends when many lookups
//! share one client.

mod dns_support;
mod virtual_support;

use std::cell::RefCell;
use std::future::Future as _;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use connie_async::connie_core::resolution::QueryError;
use connie_async::connie_core::{Family, Instant};
use connie_async::dns::{Dns, DnsConfig, Nal};
use connie_async::{AddressList, Lookup, Options, RaceConnect};
use connie_sim::name_servers::{Driver, Finding, Found, Kind, NAME, Row, Servers, rows};
use dns_support::Net;
use embassy_futures::join::join;
use virtual_support::{Behaviour, Task, World, ip};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;

type Udp<'n> = Nal<'n, &'n Net<'n>>;
type Client<'n, const NAMES: usize = 4, const SOCKETS: usize = 8, const WAITERS: usize = 8> =
    Dns<'n, Udp<'n>, &'n World, NAMES, SOCKETS, WAITERS, 3, 255, 256>;

fn addresses(count: usize) -> Vec<SocketAddr> {
    (0..count).map(Servers::address).collect()
}

fn family(kind: Kind) -> Family {
    if kind == Kind::A { Family::V4 } else { Family::V6 }
}

/// What is found of a name, and when.
async fn find(dns: &impl Lookup<Error = QueryError>, world: &World, name: &str, kind: Kind) -> Found {
    let mut found = heapless::Vec::<IpAddr, 16>::new();
    let result = dns.lookup(name, family(kind), &mut AddressList::new(family(kind), &mut found)).await;
    let finding = match result {
        Err(error) => {
            assert_eq!(dns.query_error(&error), error);
            Finding::Error(error)
        }
        Ok(()) if found.is_empty() => Finding::Nothing,
        Ok(()) => Finding::Addresses(found.to_vec()),
    };
    Found { kind, finding, millis: world.now() / MS }
}

async fn find_all(dns: &Client<'_>, world: &World, kinds: &[Kind]) -> Vec<Found> {
    match *kinds {
        [one] => vec![find(dns, world, NAME, one).await],
        [first, second] => {
            let both = join(find(dns, world, NAME, first), find(dns, world, NAME, second)).await;
            let mut found = vec![both.0, both.1];
            found.sort_by_key(|found| found.millis);
            found
        }
        _ => panic!("{kinds:?}"),
    }
}

fn run(row: &Row) -> String {
    let world = World::new();
    let net = Net::new(&world, Servers::of(row, Instant::ZERO));
    let list = addresses(row.servers.len());
    let udp = Udp::new(&net, &list);
    let how = row.settings();
    let mut settings = DnsConfig { randomise_case: how.case, ..DnsConfig::default() };
    settings.attempts = how.attempts.unwrap_or(settings.attempts);
    settings.timeout = how.timeout.unwrap_or(settings.timeout);
    let dns = Client::with_capacities(&udp, &world, settings, 0x5eed);
    let found = world.run(find_all(&dns, &world, &row.kinds()));
    assert_eq!(net.open.get(), 0, "{}: a socket is left open", row.what);
    assert!(world.is_quiet(), "{}: somebody waits", row.what);
    let found: Vec<_> = found.iter().map(Found::to_string).collect();
    format!("{} | {}", found.join("; "), net.sent())
}

/// What it can do: datagrams alone.
const CAN: Driver = Driver { tcp: false, tcp_alone: false, https: false, ..Driver::ANY };

#[test]
fn every_row_of_the_table() {
    let rows = rows(&CAN);
    let mut wrong = Vec::new();
    for row in &rows {
        let found = run(row);
        if found != row.expected {
            wrong.push(format!("{}\n  expected {}\n  found    {found}", row.what, row.expected));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert!(rows.len() >= 60, "{} rows", rows.len());
}

/// Servers that do what the scripts say, and a client of them.
macro_rules! client {
    ($world:ident, $net:ident, $udp:ident, $dns:ident: $client:ty, $scripts:expr) => {
        let $world = World::new();
        let $net = Net::new(&$world, Servers::new(&$scripts, Instant::ZERO));
        let list = addresses($scripts.len());
        let $udp = Udp::new(&$net, &list);
        let $dns = <$client>::with_capacities(&$udp, &$world, DnsConfig::default(), 0x5eed);
    };
}

/// Lookups of these names, and what they find in the order in which they do.
fn lookups<'t>(
    dns: &'t impl Lookup<Error = QueryError>,
    world: &'t World,
    names: &'t [String],
    found: &Rc<RefCell<Vec<Found>>>,
) -> Vec<Task<'t>> {
    let task = |name: &'t String| {
        let found = Rc::clone(found);
        let task: Task<'t> = Box::pin(async move {
            let one = find(dns, world, name, Kind::A).await;
            found.borrow_mut().push(one);
        });
        task
    };
    names.iter().map(task).collect()
}

#[track_caller]
fn at(found: &RefCell<Vec<Found>>, count: usize, millis: u64) {
    let found = found.borrow();
    assert_eq!(found.len(), count);
    for one in &*found {
        assert_eq!(one.to_string(), format!("A 192.0.2.1 at {millis}"));
    }
}

#[test]
fn a_name_that_several_wait_for_is_asked_once_and_all_are_woken() {
    client!(world, net, udp, dns: Client<'_>, ["ok"]);
    let (names, found) = (vec![NAME.to_owned(); 9], Rc::default());
    assert_eq!(world.run_tasks(SECOND, lookups(&dns, &world, &names, &found)).0, 9);
    at(&found, 9, 20);
    assert_eq!(net.sent(), "0@0");
    // And what is known is not asked again.
    let again = world.run(find(&dns, &world, NAME, Kind::A));
    assert_eq!((again.to_string(), net.sent().as_str()), ("A 192.0.2.1 at 20".to_owned(), "0@0"));
    assert_eq!(net.open.get(), 0);
}

/// Of whom eight are woken, and the others look by themselves.
#[test]
fn a_thousand_tasks_that_ask_for_one_name_send_one_query() {
    client!(world, net, udp, dns: Client<'_>, ["ok"]);
    let (names, found) = (vec![NAME.to_owned(); 1_000], Rc::default());
    let (ended, polls) = world.run_tasks(SECOND, lookups(&dns, &world, &names, &found));
    assert_eq!((ended, net.sent().as_str()), (1_000, "0@0"));
    assert!(found.borrow().iter().all(|found| found.millis <= 50), "{:?}", found.borrow().last());
    assert!(polls <= 6_000, "{polls} polls");
}

#[test]
fn with_room_for_one_name_the_others_come_after_it() {
    client!(world, net, udp, dns: Client<'_, 1>, ["ok"]);
    let names = ["a.test", "b.test", "c.test"].map(str::to_owned);
    let found = Rc::default();
    assert_eq!(world.run_tasks(SECOND, lookups(&dns, &world, &names, &found)).0, 3);
    let found: Vec<_> = found.borrow().iter().map(|found| found.millis).collect();
    assert_eq!(found, [20, 40, 60]);
    assert_eq!(net.sent(), "0@0 0@20 0@40");
}

/// The one that drives is dropped when its query is under way: the answer is heard by the next one, over the
/// same socket.
#[test]
fn when_the_one_that_drives_is_dropped_another_goes_on() {
    client!(world, net, udp, dns: Client<'_>, ["ok"]);
    let second = world.run(async {
        let mut first = Box::pin(find(&dns, &world, NAME, Kind::A));
        let mut second = pin!(find(&dns, &world, NAME, Kind::A));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        connie_async::Clock::wait_until(&world, Instant::from_millis(10)).await;
        assert_eq!(net.open.get(), 1);
        drop(first);
        second.await
    });
    assert_eq!(second.to_string(), "A 192.0.2.1 at 20");
    assert_eq!((net.sent().as_str(), net.open.get()), ("0@0", 0));
}

/// And it is woken to do so.
#[test]
fn who_waits_is_woken_when_the_one_that_drives_is_dropped() {
    client!(world, net, udp, dns: Client<'_>, ["ok"]);
    let found: Rc<RefCell<Vec<Found>>> = Rc::default();
    let names = vec![NAME.to_owned(); 2];
    let mut tasks = lookups(&dns, &world, &names, &found);
    // The first gives up after 10 ms.
    let mut first = tasks.remove(0);
    let impatient: Task<'_> = Box::pin(async {
        let limit = connie_async::Clock::wait_until(&world, Instant::from_millis(10));
        let _ = embassy_futures::select::select(&mut first, limit).await;
        drop(first);
    });
    tasks.insert(0, impatient);
    assert_eq!(world.run_tasks(SECOND, tasks).0, 2);
    at(&found, 1, 20);
    assert_eq!(net.sent(), "0@0");
}

/// One that drives and asks for nothing itself: whoever waits goes on when it has gone.
#[test]
fn who_waits_is_woken_when_the_one_that_serves_it_is_dropped() {
    client!(world, net, udp, dns: Client<'_>, ["ok"]);
    let found: Rc<RefCell<Vec<Found>>> = Rc::default();
    let names = vec![NAME.to_owned()];
    let mut tasks = lookups(&dns, &world, &names, &found);
    let serving: Task<'_> = Box::pin(async {
        let limit = connie_async::Clock::wait_until(&world, Instant::from_millis(10));
        let _ = embassy_futures::select::select(dns.serve(), limit).await;
    });
    tasks.insert(0, serving);
    assert_eq!(world.run_tasks(SECOND, tasks).0, 2);
    at(&found, 1, 20);
    assert_eq!(net.sent(), "0@0");
}

/// It is as well where both are in one task, which has looked at the other one before it drops the first.
#[test]
fn who_waits_in_the_task_that_drives_is_woken_as_well() {
    client!(world, net, udp, dns: Client<'_>, ["ok"]);
    let second = world.run(async {
        let mut first = Some(Box::pin(find(&dns, &world, NAME, Kind::A)));
        let mut second = pin!(find(&dns, &world, NAME, Kind::A));
        let mut limit = pin!(connie_async::Clock::wait_until(&world, Instant::from_millis(10)));
        std::future::poll_fn(|cx| {
            if let Some(first) = &mut first {
                assert!(first.as_mut().poll(cx).is_pending());
            }
            let found = second.as_mut().poll(cx);
            if first.is_some() && limit.as_mut().poll(cx).is_ready() {
                first = None;
            }
            found
        })
        .await
    });
    assert_eq!(second.to_string(), "A 192.0.2.1 at 20");
    assert_eq!((net.sent().as_str(), net.open.get()), ("0@0", 0));
}

/// A and AAAA of one connect are two lookups: the first that ends is often the one that drives.
#[test]
fn the_other_family_goes_on_when_the_first_is_there() {
    client!(world, net, udp, dns: Client<'_>, ["a ok@20; ok@40"]);
    let found = world.run(find_all(&dns, &world, &[Kind::A, Kind::Aaaa]));
    let found: Vec<_> = found.iter().map(Found::to_string).collect();
    assert_eq!(found, ["A 192.0.2.1 at 20", "AAAA 2001:db8::1 at 40"]);
    assert_eq!(net.sent(), "0@0 0@0");
}

#[test]
fn a_look_up_that_is_dropped_leaves_nothing_open() {
    client!(world, net, udp, dns: Client<'_>, ["silent", "silent"]);
    assert!(world.run_until(300 * MS, find(&dns, &world, NAME, Kind::A)).is_none());
    assert_eq!((net.sent().as_str(), net.open.get()), ("0@0 1@250", 0));
    assert!(world.is_quiet());
    assert_eq!(net.most_open.get(), 2);
}

/// One socket for two servers: the silent one's is closed for the other.
#[test]
fn with_one_socket_the_next_server_takes_it() {
    client!(world, net, udp, dns: Client<'_, 4, 1>, ["silent", "ok"]);
    let found = world.run(find(&dns, &world, NAME, Kind::A));
    assert_eq!(found.to_string(), "A 192.0.2.2 at 270");
    assert_eq!(net.most_open.get(), 1);
}

/// A query that finds no socket is lost, and sent again.
#[test]
fn want_of_sockets_is_waited_out() {
    client!(world, net, udp, dns: Client<'_, 4, 1>, ["ok"]);
    let names = ["a.test", "b.test"].map(str::to_owned);
    let found = Rc::default();
    assert_eq!(world.run_tasks(5 * SECOND, lookups(&dns, &world, &names, &found)).0, 2);
    let times: Vec<_> = found.borrow().iter().map(|found: &Found| found.millis).collect();
    assert_eq!(times, [20, 1_020]);
    // The same where it is the stack that has no more.
    client!(world, net, udp, dns: Client<'_>, ["ok"]);
    net.pool.set(1);
    let found = Rc::default();
    assert_eq!(world.run_tasks(5 * SECOND, lookups(&dns, &world, &names, &found)).0, 2);
    let times: Vec<_> = found.borrow().iter().map(|found: &Found| found.millis).collect();
    assert_eq!(times, [20, 1_020]);
}

/// A stack that opens no socket, and does not say so, has a second for it.
#[test]
fn a_stack_that_hangs_holds_nobody_up_for_long() {
    client!(world, net, udp, dns: Client<'_>, ["ok"]);
    net.hang.set(1);
    let found = world.run(find(&dns, &world, NAME, Kind::A));
    assert_eq!(found.to_string(), "A 192.0.2.1 at 1020");
}

/// Nor does it keep those waiting whose answer comes meanwhile: the one that drives is not the one that has
/// it.
#[test]
fn who_waits_has_its_answer_while_another_query_hangs() {
    client!(world, net, udp, dns: Client<'_>, ["for:x.test silent; ok@40"]);
    let names = ["x.test", "y.test"].map(str::to_owned);
    let found: Rc<RefCell<Vec<Found>>> = Rc::default();
    let mut tasks = lookups(&dns, &world, &names, &found);
    let late: Task<'_> = Box::pin(async {
        connie_async::Clock::wait_until(&world, Instant::from_millis(30)).await;
        net.hang.set(1);
        find(&dns, &world, "z.test", Kind::A).await;
    });
    tasks.push(late);
    world.run_tasks(50 * MS, tasks);
    at(&found, 1, 40);
}

/// A server that is named twice takes no other's place.
#[test]
fn a_server_named_twice_is_one() {
    let [first, second, third] = [0, 1, 2].map(Servers::address);
    let twice = [first, first, second, first, third];
    client!(world, net, udp, dns: Client<'_>, ["silent", "silent", "ok"]);
    udp.set_servers(&twice);
    let found = world.run(find(&dns, &world, NAME, Kind::A));
    assert_eq!((found.to_string(), net.sent()), ("A 192.0.2.3 at 520".into(), "0@0 1@250 2@500".into()));
}

#[test]
fn other_servers_are_asked_anew() {
    let all = addresses(2);
    client!(world, net, udp, dns: Client<'_>, ["ok", "ok"]);
    udp.set_servers(&all[..1]);
    let first = world.run(find(&dns, &world, NAME, Kind::A));
    udp.set_servers(&all[1..]);
    let second = world.run(find(&dns, &world, NAME, Kind::A));
    assert_eq!([first.to_string(), second.to_string()], ["A 192.0.2.1 at 20", "A 192.0.2.2 at 40"]);
    dns.forget();
    let third = world.run(find(&dns, &world, NAME, Kind::A));
    assert_eq!((third.to_string(), net.sent()), ("A 192.0.2.2 at 60".into(), "0@0 1@20 1@40".into()));
}

/// Also by whom has no room: the one that drives hears of it.
#[test]
fn a_question_under_way_goes_to_other_servers_at_once() {
    let all = addresses(2);
    client!(world, net, udp, dns: Client<'_, 1>, ["silent", "ok"]);
    udp.set_servers(&all[..1]);
    let found: Rc<RefCell<Vec<Found>>> = Rc::default();
    let names = ["a.test".to_owned()];
    let mut tasks = lookups(&dns, &world, &names, &found);
    tasks.push(Box::pin(async {
        connie_async::Clock::wait_until(&world, Instant::from_millis(10)).await;
        udp.set_servers(&all[1..]);
        let one = find(&dns, &world, "b.test", Kind::A).await;
        found.borrow_mut().push(one);
    }));
    assert_eq!(world.run_tasks(SECOND, tasks).0, 2);
    let times: Vec<_> = found.borrow().iter().map(|found| found.millis).collect();
    assert_eq!((times, net.sent().as_str()), (vec![30, 50], "0@0 1@10 1@30"));
}

/// A clock that is early.
#[test]
fn a_wait_that_ends_too_soon_costs_a_turn() {
    client!(world, net, udp, dns: Client<'_>, ["silent", "ok"]);
    world.early.set(3);
    let found = world.run(find(&dns, &world, NAME, Kind::A));
    assert_eq!((found.to_string(), net.sent()), ("A 192.0.2.2 at 270".into(), "0@0 1@250".into()));
}

#[test]
fn what_is_no_name_is_not_asked_for() {
    client!(world, net, udp, dns: Client<'_>, ["ok"]);
    for name in ["", "a..test", &"a".repeat(64)] {
        let found = world.run(find(&dns, &world, name, Kind::A));
        assert_eq!(found.finding, Finding::Error(QueryError::Failed), "{name:?}");
    }
    assert_eq!(net.sent(), "");
    assert!(matches!(world.run(dns.name_of(ip("192.0.2.1"), &mut [0; 9])), Err(QueryError::Failed)));
}

/// From a name to a connection, and why there is none.
#[test]
fn a_race_by_it() {
    client!(world, net, udp, dns: Client<'_>, ["silent", "for:nobody.test nx; ok"]);
    world.address("192.0.2.2", Behaviour::Accept(30 * MS));
    let racing = RaceConnect::new(&world, &dns, &world, Options::new());
    let connection = world.run(racing.connect((NAME, 80), &racing.options())).expect("a connection");
    assert_eq!(connection.destination(), SocketAddr::new(ip("192.0.2.2"), 80));
    assert_eq!(world.now(), 300 * MS);
    let error = world.run(racing.connect(("nobody.test", 80), &racing.options())).err();
    assert_eq!(error, Some(connie_async::ConnectionError::NotResolved(QueryError::NoSuchName)));
    // The silent server comes last now.
    assert_eq!(world.now(), 320 * MS);
}

/// Two connects of one name, each with both families. The first, which drives, goes with its query under way.
#[test]
fn a_race_that_goes_hands_the_driving_on() {
    client!(world, net, udp, dns: Client<'_>, ["a ok@20; ok@40"]);
    world.address("192.0.2.1", Behaviour::Accept(MS));
    let racing = RaceConnect::new(&world, &dns, &world, Options::new());
    let won = RefCell::new(None);
    let impatient: Task<'_> = Box::pin(async {
        let limit = connie_async::Clock::wait_until(&world, Instant::from_millis(10));
        let gone =
            embassy_futures::select::select(racing.connect((NAME, 80), &racing.options()), limit).await;
        assert!(matches!(gone, embassy_futures::select::Either::Second(())));
    });
    let patient: Task<'_> = Box::pin(async {
        *won.borrow_mut() =
            Some(racing.connect((NAME, 80), &racing.options()).await.expect("a connection").destination());
    });
    assert_eq!(world.run_tasks(SECOND, vec![impatient, patient]).0, 2);
    assert_eq!(*won.borrow(), Some(SocketAddr::new(ip("192.0.2.1"), 80)));
    // Each family was asked for once, at the beginning.
    assert_eq!((net.sent().as_str(), net.open.get()), ("0@0 0@0", 0));
}

/// Three wait, with room for one name. The first, which drives, goes, and the one that has no room takes its
/// turn: it waits then, and is not polled over and over.
#[test]
fn who_drives_without_room_for_its_own_name_waits() {
    client!(world, net, udp, dns: Client<'_, 1>, ["a ok@40"]);
    let names = ["a.test", "b.test", "a.test"].map(str::to_owned);
    let found: Rc<RefCell<Vec<Found>>> = Rc::default();
    let mut tasks = lookups(&dns, &world, &names, &found);
    let mut first = tasks.remove(0);
    let impatient: Task<'_> = Box::pin(async {
        let limit = connie_async::Clock::wait_until(&world, Instant::from_millis(10));
        let _ = embassy_futures::select::select(&mut first, limit).await;
        drop(first);
    });
    tasks.insert(0, impatient);
    let (ended, polls) = world.run_tasks(SECOND, tasks);
    let found: Vec<_> = found.borrow().iter().map(Found::to_string).collect();
    assert_eq!((ended, found), (3, vec!["A 192.0.2.1 at 40".to_owned(), "A 192.0.2.1 at 80".to_owned()]));
    assert!(polls <= 30, "{polls} polls");
}

/// And is woken when the one goes that has the room.
#[test]
fn who_drives_without_room_is_woken_when_there_is_some() {
    client!(world, net, udp, dns: Client<'_, 1>, ["a ok@40"]);
    let names = ["a.test", "b.test", "a.test"].map(str::to_owned);
    let found: Rc<RefCell<Vec<Found>>> = Rc::default();
    let mut tasks = lookups(&dns, &world, &names, &found);
    for (index, limit) in [(0, 10), (2, 20)] {
        let mut task = std::mem::replace(&mut tasks[index], Box::pin(async {}));
        let clock = &world;
        tasks[index] = Box::pin(async move {
            let limit = connie_async::Clock::wait_until(&clock, Instant::from_millis(limit));
            let _ = embassy_futures::select::select(&mut task, limit).await;
        });
    }
    assert_eq!(world.run_tasks(SECOND, tasks).0, 3);
    at(&found, 1, 60);
}

/// The outcome of a poll, for a lookup that is polled no more.
#[test]
fn nothing_is_found_by_a_look_up_that_nobody_polls() {
    client!(world, net, udp, dns: Client<'_>, ["ok"]);
    let mut found = pin!(find(&dns, &world, NAME, Kind::A));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(found.as_mut().poll(&mut cx), Poll::Pending));
    assert_eq!(net.open.get(), 1);
}
