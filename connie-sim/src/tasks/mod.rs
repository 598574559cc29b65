//! Tasks of one program that connect to one host at one time, with one memory.

mod member;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::memory::{Finish, Memory, Network};
use connie_core::{AttemptErrorKind, AttemptId, Config, Input, Instant, Output};

use crate::host::{SimHost, SynAnswer};
use crate::label::{address, addresses, label};
use crate::rng::Rng;
use member::{Member, MemberStep, Race, Shared};

/// How long a server is busy with one SYN.
const BUSY: Duration = Duration::from_micros(5);

/// What becomes of tasks whose races lead: those that find out for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskFault {
    /// Its future is dropped so long after it began.
    Dropped(Duration),
    /// It is never polled again, and never dropped.
    Stuck,
}

/// A program of many tasks in virtual time.
///
/// ```
/// use connie_core::Config;
/// use connie_sim::{Tasks, ok};
///
/// let mut tasks = Tasks::new(&Config::all_at_once(), 1);
/// tasks.put("4a", ok(30)).put("4b", ok(60));
/// // One races, the others wait for what it finds out.
/// let came = tasks.connect(100);
/// assert_eq!((came.took.len(), came.syns), (100, 101));
/// ```
#[derive(Debug)]
pub struct Tasks {
    shared: Shared,
    config: Config,
    rng: Rng,
    now: Instant,
    servers: Vec<TaskServer>,
    /// How many connections a server has room for, since it accepts none.
    backlog: u32,
    fault: Option<(u32, TaskFault)>,
}

#[derive(Debug)]
struct TaskServer {
    address: SocketAddr,
    host: SimHost,
    syns: u32,
    /// In this crowd.
    connections: u32,
    /// When it is no longer busy with SYNs.
    free: Instant,
}

/// What came of a crowd.
#[derive(Clone, Debug, Default)]
pub struct CrowdResult {
    /// How long each task took that has a connection, the shortest first.
    pub took: Vec<Duration>,
    /// How many have none, those of a [`TaskFault`] not counted.
    pub failed: usize,
    /// The SYNs that went out, those sent again not counted.
    pub syns: u32,
    /// How many of the tasks led at some time.
    pub leads: u32,
    /// How many connections each server got, by its label.
    pub winners: BTreeMap<String, usize>,
}

impl CrowdResult {
    /// How long 99 of 100 took at most.
    ///
    /// # Panics
    ///
    /// Where none has a connection.
    #[must_use]
    pub fn most(&self) -> Duration {
        self.took[(self.took.len() * 99).div_ceil(100) - 1]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TaskEvent {
    /// It begins, a time that it has named has come, or it is woken.
    Poll,
    Answer {
        id: AttemptId,
        result: Result<(), AttemptErrorKind>,
        count: u32,
    },
    Again {
        id: AttemptId,
        server: usize,
        count: u32,
    },
    Drop,
}

/// A task under way.
struct Task {
    race: Race,
    member: Member,
    began: Instant,
    is_stuck: bool,
    has_led: bool,
    waits: bool,
}

/// A crowd under way.
struct Crowding {
    tasks: Vec<Option<Box<Task>>>,
    due: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    /// What is due, by its number.
    whats: Vec<TaskEvent>,
    came: CrowdResult,
}

impl Tasks {
    /// A program with a memory that knows nothing, of which each task races as `config` says. What is random
    /// derives from `seed`.
    #[must_use]
    pub fn new(config: &Config, seed: u64) -> Self {
        let now = Instant::from_millis(1_000);
        let config = config.clone().patience(config.patience.max(Config::MIN_DELAY));
        Tasks {
            shared: Shared::new(Memory::new(seed as u32 ^ 0x5eed, now)),
            config,
            rng: Rng::new(seed),
            now,
            servers: Vec::new(),
            backlog: 1_000,
            fault: None,
        }
    }

    /// Puts `host` behind the address named `label`, which is one of those that the host's name is answered
    /// with.
    pub fn put(&mut self, label: &str, host: SimHost) -> &mut Self {
        let address = address(label);
        match self.servers.iter_mut().find(|server| server.address == address) {
            Some(server) => server.host = host,
            None => self.servers.push(TaskServer { address, host, syns: 0, connections: 0, free: self.now }),
        }
        self
    }

    /// The same for each of these.
    pub fn put_all(&mut self, labels: &str, host: impl Fn(usize) -> SimHost) -> &mut Self {
        for (place, address) in addresses(labels).into_iter().enumerate() {
            self.put(&label(address), host(place));
        }
        self
    }

    /// How many connections a server has room for: 1,000 unless set. A SYN beyond that is lost, and sent
    /// again a second later.
    pub fn backlog(&mut self, room: u32) -> &mut Self {
        self.backlog = room;
        self
    }

    /// This becomes of the first `count` tasks that lead from now on.
    pub fn fault(&mut self, count: u32, fault: TaskFault) -> &mut Self {
        self.fault = Some((count, fault));
        self
    }

    /// The memory that they share.
    pub fn memory(&mut self) -> &mut Memory<64> {
        &mut self.shared.memory
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    /// So many tasks connect at this moment, and keep what they get until all have come. It is over when each
    /// has a connection or has failed.
    pub fn connect(&mut self, count: usize) -> CrowdResult {
        let known: Vec<SocketAddr> = self.servers.iter().map(|server| server.address).collect();
        self.servers.iter_mut().for_each(|server| server.connections = 0);
        let mut crowding = Crowding {
            tasks: Vec::with_capacity(count),
            due: BinaryHeap::new(),
            whats: Vec::new(),
            came: CrowdResult::default(),
        };
        for task in 0..count {
            let mut race = Race::new(&self.config, self.now);
            race.handle_addresses(&known, self.now);
            let visit = self.shared.memory.visit("name.test", Finish::Tcp, 0, &Network::default());
            let member = Member::new(visit, &self.config);
            let began = self.now;
            let (is_stuck, has_led, waits) = (false, false, false);
            crowding.tasks.push(Some(Box::new(Task { race, member, began, is_stuck, has_led, waits })));
            crowding.put(self.now, task, TaskEvent::Poll);
        }
        while let Some(Reverse((at, number, task))) = crowding.due.pop() {
            // What nobody waits for any more takes no time.
            if crowding.tasks[task].as_ref().is_some_and(|task| !task.is_stuck) {
                self.now = at;
                let what = crowding.whats[number as usize];
                self.happens(&mut crowding, task, what);
            }
        }
        crowding.came.took.sort_unstable();
        let unheard = crowding.tasks.iter().flatten().filter(|task| !task.is_stuck).count();
        assert_eq!(unheard, 0, "a task waits for ever");
        crowding.came
    }

    fn happens(&mut self, crowding: &mut Crowding, number: usize, what: TaskEvent) {
        let Some(task) = crowding.tasks[number].as_deref_mut() else { return };
        let mut is_sent_again = false;
        match what {
            TaskEvent::Poll => {}
            TaskEvent::Drop => return self.ends(crowding, number, false),
            TaskEvent::Answer { id, result, count } => {
                let input = match result {
                    Ok(()) => Input::AttemptSucceeded { id },
                    Err(error) => Input::AttemptFailed { id, error: error.into() },
                };
                task.race.handle_input(input, self.now);
                is_sent_again = count > 1;
            }
            TaskEvent::Again { id, server, count } => return self.syn(crowding, number, id, server, count),
        }
        self.poll(crowding, number, is_sent_again);
    }

    fn poll(&mut self, crowding: &mut Crowding, number: usize, is_sent_again: bool) {
        let Some(task) = crowding.tasks[number].as_deref_mut() else { return };
        task.waits = false;
        if let MemberStep::WaitUntil(at) = task.member.ask(&mut self.shared, &mut task.race, self.now) {
            assert!(at > self.now, "a wait is for the future");
            task.waits = true;
            return crowding.put(at, number, TaskEvent::Poll);
        }
        if task.member.leads() && !task.has_led {
            task.has_led = true;
            crowding.came.leads += 1;
            self.breaks(crowding, number);
        }
        loop {
            let Some(task) = crowding.tasks[number].as_deref_mut() else { return };
            match task.race.poll_output(self.now) {
                Output::StartAttempt { id, destination } => {
                    crowding.came.syns += 1;
                    let server = self.servers.iter().position(|server| server.address == destination);
                    self.syn(crowding, number, id, server.expect("one that is known"), 1);
                }
                Output::CancelAttempt { .. } => {}
                Output::WaitUntil(at) => return crowding.put(at, number, TaskEvent::Poll),
                Output::WaitForInput => return,
                Output::Established { destination, .. } => {
                    *crowding.came.winners.entry(label(destination)).or_default() += 1;
                    crowding.came.took.push(self.now.duration_since(task.began));
                    return self.ends(crowding, number, is_sent_again);
                }
                Output::Failed(_) => {
                    crowding.came.failed += 1;
                    return self.ends(crowding, number, false);
                }
            }
        }
    }

    /// What becomes of one that leads.
    fn breaks(&mut self, crowding: &mut Crowding, number: usize) {
        let Some((left, fault)) = self.fault.as_mut().filter(|(left, _)| *left > 0) else { return };
        *left -= 1;
        match fault {
            TaskFault::Dropped(after) => crowding.put(self.now + *after, number, TaskEvent::Drop),
            // What it has started goes on, and nobody looks.
            TaskFault::Stuck => {
                if let Some(task) = crowding.tasks[number].as_deref_mut() {
                    task.is_stuck = true;
                }
            }
        }
    }

    /// The task is over. Those that wait for it are woken.
    fn ends(&mut self, crowding: &mut Crowding, number: usize, is_sent_again: bool) {
        let Some(task) = crowding.tasks[number].take() else { return };
        if task.member.end(&mut self.shared, &task.race, is_sent_again, self.now) {
            for other in 0..crowding.tasks.len() {
                if crowding.tasks[other].as_deref().is_some_and(|task| task.waits) {
                    crowding.put(self.now, other, TaskEvent::Poll);
                }
            }
        }
    }

    /// An attempt's SYN goes out for the `count`-th time.
    fn syn(&mut self, crowding: &mut Crowding, task: usize, id: AttemptId, server: usize, count: u32) {
        let at = &mut self.servers[server];
        at.syns += 1;
        let is_full = at.host.answer == SynAnswer::Accept && at.connections >= self.backlog;
        let free = at.free.max(self.now) + BUSY;
        let answered = at.host.answers(at.syns, free, &mut self.rng).filter(|_| !is_full);
        if let Some(arrives) = answered {
            at.free = free;
            at.connections += u32::from(at.host.answer == SynAnswer::Accept);
            let result = match at.host.answer {
                SynAnswer::Accept | SynAnswer::Silence => Ok(()),
                SynAnswer::Refuse => Err(AttemptErrorKind::Refused),
                SynAnswer::Unreachable | SynAnswer::NoRoute => Err(AttemptErrorKind::Unreachable),
            };
            crowding.put(arrives, task, TaskEvent::Answer { id, result, count });
        } else if count <= 6 {
            let again = self.now + Duration::from_secs(1 << (count - 1));
            crowding.put(again, task, TaskEvent::Again { id, server, count: count + 1 });
        } else {
            let result = Err(AttemptErrorKind::TimedOut);
            crowding.put(self.now + Duration::from_secs(64), task, TaskEvent::Answer { id, result, count });
        }
    }
}

impl Crowding {
    fn put(&mut self, at: Instant, task: usize, what: TaskEvent) {
        self.due.push(Reverse((at, self.whats.len() as u64, task)));
        self.whats.push(what);
    }
}
