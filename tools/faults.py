"""Seeds faults in the race, in Connect and in the memory, one at a time, and sees that the search of their states finds each, or a test of
races with a memory.

    python3 tools/faults.py            all of them
    python3 tools/faults.py hint       those with this word in their name
    python3 tools/faults.py --fits     whether each still fits the code, without building anything

Works in a copy of the tree, in a temporary directory. Ends with 1 where a fault was not found, or no longer fits the code.
What the quick search does not find, the search that CI runs has to.
"""

import os
import shutil
import subprocess
import sys
import tempfile

RACE = "connie-core/src/race/mod.rs"
TABLE = "connie-core/src/race/destinations.rs"
CONNECT = "connie-core/src/connect/mod.rs"
HOST = "connie-core/src/resolution/host.rs"
QUERY = "connie-core/src/resolution/query.rs"
NAT64 = "connie-core/src/resolution/nat64.rs"
PLAN = "connie-core/src/race/plan.rs"
MEMORY = "connie-core/src/memory/mod.rs"
ORDER = "connie-core/src/memory/order.rs"
LESSON = "connie-core/src/memory/lesson.rs"
LEARN = "connie-core/src/memory/learn.rs"
KEY = "connie-core/src/memory/key.rs"
ENTRY = "connie-core/src/memory/entry.rs"
MEMORY_TABLE = "connie-core/src/memory/table.rs"
BYTES = "connie-core/src/memory/bytes.rs"
# What is wrong there shows where names are searched.
OF_NAMES = [CONNECT, HOST, QUERY, NAT64]

# What is wrong, where, what stands there, what the fault makes of it: one text, or a list of them.
OF_RACES = [
    ("a second success wins as well", RACE,
     "        if !self.is_racing() {\n            return;\n        }\n        if let Some(attempt) = self.remove(id, AttemptOutcome::Established)",
     "        if let Some(attempt) = self.remove(id, AttemptOutcome::Established)"),
    ("one attempt too many is in flight", RACE,
     "if self.in_flight.len() >= self.max_in_flight.into() {\n            return self.evict_for(Some(place));",
     "if self.in_flight.len() > self.max_in_flight.into() {\n            return self.evict_for(Some(place));"),
    ("a stack out of sockets is asked for as many again", RACE,
     "self.lower_limit(others);", "let _ = others;"),
    ("a race that was limited uses a socket that is freed beyond its limit", RACE,
     "self.max_in_flight = usize::from(self.max_in_flight).min(sockets.max(1)) as u8;",
     "self.max_in_flight = usize::from(self.max_in_flight).min(sockets.max(self.in_flight.len()).max(1)) as u8;"),
    ("a race grows beyond what was wanted", RACE,
     "usize::from(self.configured_max).min(sockets).max(self.max_in_flight.into())", "SOCKETS.min(sockets).max(self.max_in_flight.into())"),
    ("a race that may have more sockets goes on with what it has in flight", RACE,
     "usize::from(self.configured_max).min(sockets).max(self.max_in_flight.into())",
     "usize::from(self.configured_max).min(sockets).min(self.in_flight.len()).max(self.max_in_flight.into())"),
    ("attempts within the limit are evicted for nobody", RACE,
     "self.in_flight.len() > self.max_in_flight.into() && self.destinations.waiting() == 0",
     "self.in_flight.len() >= self.max_in_flight.into() && self.destinations.waiting() == 0"),
    ("the deadline wakes nobody", RACE,
     "let mut soonest = self.deadline.unwrap_or(NEVER);", "let mut soonest = NEVER;"),
    ("the deadline is passed by one wake-up", RACE,
     "self.deadline.is_some_and(|deadline| deadline <= self.now)",
     "self.deadline.is_some_and(|deadline| deadline < self.now)"),
    ("an attempt is evicted before its patience ends", RACE,
     "if at > self.now {\n                continue;\n            }\n            let key", "let key"),
    ("a full house waits for patience and forgets the pace", RACE,
     "soonest = soonest.min(start.max(self.next_eviction()));", "soonest = soonest.min(self.next_eviction());"),
    ("the race gives up while an answer is outstanding", RACE,
     "|| self.destinations.waiting() > 0 || !self.resolution.is_complete()", "|| self.destinations.waiting() > 0"),
    ("the losers stay open", RACE,
     "self.cancel_next().unwrap_or_else(|| self.end())", "self.end()"),
    ("a hedge gets a hedge", TABLE,
     "matches!(entry.status, DestinationStatus::InFlight { hedged: false })", "matches!(entry.status, DestinationStatus::InFlight { .. })"),
    ("an address that was taken back is started again", TABLE,
     "(false, _) => DestinationStatus::Withdrawn,", "(false, _) => DestinationStatus::Fresh,"),
    ("an attempt that used up its time goes on", RACE,
     "if !self.gives_up {\n            return None;", "if self.gives_up || !self.gives_up {\n            return None;"),
    ("one attempt of two fails and takes its destination with it", RACE,
     "if self.is_in_flight(attempt.place) {\n            // Its", "if false {\n            // Its"),
    ("a hint counts after the answer", RACE,
     "if self.is_racing() && self.resolution.is_open(family) {", "if self.is_racing() {"),
    ("hints and answers go when a query fails", RACE,
     "fn unanswered(&mut self, family: Family) {\n        self.resolution.close(family);",
     "fn unanswered(&mut self, family: Family) {\n        self.answered(Families::Only(family), core::iter::empty::<SocketAddr>());"),
    ("the evicted are forgotten", RACE,
     "self.destinations.evict(attempt.place, rounds);", "let _ = &self.destinations;"),
    ("a caller's preference for IPv4 is undone by RFC 6724", CONNECT,
     "(false, Some(v6), Some(v4)) = (self.prefers_v4, v6, v4)", "(false, Some(v6), Some(v4)) = (false, v6, v4)"),
    ("a query that fails takes its family's hints back", CONNECT,
     "Query::A => self.race.handle_input(race::Input::ResolutionFailed { family: Family::V4 }, now),",
     "Query::A => self.take_in(Family::V4, &[], AddressOrder::Any(&[]), false, now),"),
    ("an A answer is told before the prefix of the NAT64 is known", CONNECT,
     "if kept_back || self.is_literal", "if (kept_back && query == Query::Aaaa) || self.is_literal"),
    ("127.0.0.1 is looked for behind the NAT64", NAT64,
     "!(is_local(ip) || private)", "!private"),
    ("a family without a route is waited for", CONNECT,
     "if !may_help && self.race.is_open(family)", "if !may_help && family == Family::V4 && self.race.is_open(family)"),
    ("a family without a route is not waited for where the other has no addresses", CONNECT,
     "self.race.is_open(family) && self.race.is_answered(family.other())", "self.race.is_open(family) && !self.race.is_open(family.other())"),
    ("hints end the wait for their family", CONNECT,
     "self.take_in(family, addresses, order, true, now);", "self.take_in(family, addresses, order, false, now);"),
    ("a query is sent after the end", CONNECT,
     "if self.race.is_over(now) {", "if self.race.is_over(now) && query == Query::Aaaa {"),
    ("an answer brings addresses of the other family", TABLE,
     "if families.allow(family) {\n                match family {", "if families.allow(family) || !v4 && !v6 {\n                match family {"),
    ("a name below invalid is asked for", HOST,
     'top if top.eq_ignore_ascii_case("invalid") || is_onion(top) => Host::Nowhere,', "top if is_onion(top) => Host::Nowhere,"),
    ("A is asked for before AAAA", QUERY,
     "= [Query::Aaaa, Query::A, Query::Nat64Prefix];", "= [Query::A, Query::Aaaa, Query::Nat64Prefix];"),
    ("the prefix is waited for where there is no IPv4 address", CONNECT,
     "&& (a.is_open() || self.translation.may_help())", "&& (a.is_open() || !self.translation.may_help() || self.translation.may_help())"),
]

# The same, where it shows in the races with a memory of the tests of connie-core and connie-sim.
OF_MEMORY = [
    ("an address that is demoted is tried before one that is not", ORDER,
     "AddressState::Demoted => turn::DEMOTED,", "AddressState::Demoted => turn::KNOWN,"),
    ("an address that is demoted is tried after those that were evicted", TABLE,
     "next.or_else(|| self.next_queued())",
     "if least >> 24 == turn::DEMOTED.into() { self.next_queued().or(next) } else { next.or_else(|| self.next_queued()) }"),
    ("those that are held back are never released", PLAN,
     "_ => self.next.min(possible.plus_micros(self.times.longest.into())),",
     "_ => self.next.max(possible.plus_micros(self.times.longest.into())),"),
    ("those that are held back are released by the steps of the plan alone", PLAN,
     "_ => self.next.min(possible.plus_micros(self.times.longest.into())),", "_ => self.next,"),
    ("those that are held back are in a list apart, and a lead is hedged when they are released", RACE,
     "            if let Some(output) = self.start_next() {\n                return output;\n            }\n",
     "            if self.guide.steps().is_some() && self.settings.hedge && self.destinations.waiting() > 0 {\n"
     "                let late = |it: &&InFlight| self.yields_at(it, 0) <= self.now && self.destinations.may_hedge(it.place);\n"
     "                if let (Some(&InFlight { place, .. }), true) = (self.in_flight.iter().find(late), self.in_flight.len() < self.max_in_flight.into()) {\n"
     "                    self.destinations.hedge(place);\n"
     "                    if let Some(output) = self.start_attempt(place, true, self.gives_up()) {\n"
     "                        return output;\n                    }\n                }\n            }\n"
     "            if let Some(output) = self.start_next() {\n                return output;\n            }\n"),
    ("an attempt is evicted for those that are held back, before they are released", RACE,
     ["soonest.min(start.max(self.next_eviction()))",
      "        if self.earliest_start()? > self.now {\n            return None;\n        }\n        let place = self.next_place()?;\n",
      "            return self.evict_for(Some(place));\n        }\n        let gives_up = self.gives_up();\n"],
     ["soonest.min(if self.next_eviction() > self.now { self.next_eviction() } else { start })",
      "        let place = self.next_place()?;\n",
      "            return self.evict_for(Some(place));\n        }\n        if self.earliest_start()? > self.now {\n            return None;\n        }\n"
      "        let gives_up = self.gives_up();\n"]),
    ("another entry is marked than the one that failed", LEARN,
     "self.table.find_or_new(&target.key) else { return false };",
     "self.table.find_or_new(&key::Key { port: target.key.port.wrapping_add(1), ..target.key }) else { return false };"),
    ("one that was canceled counts as failed", LESSON,
     "AttemptOutcome::Canceled => Lesson::Silence,", "AttemptOutcome::Canceled => Lesson::Failure,"),
    ("silence demotes nobody", LEARN,
     "_ => demote(entry, at),", "_ => {}"),
    ("a deadline that is shorter than a lead takes ends race after race", ORDER,
     "patience.min(u32::try_from(left / 4).unwrap_or(u32::MAX))", "patience"),
    ("who was demoted once stays so", MEMORY,
     "Standing::DEMOTED if age < pause(entry.marks.level(), number) => AddressState::Demoted,", "Standing::DEMOTED => AddressState::Demoted,"),
    ("nothing that was learnt grows old", MEMORY,
     "entry.estimate.is_known() && age <= self.limits.life", "entry.estimate.is_known()"),
    ("all hosts have one counter", KEY,
     "let ip = Ip { high: Key::HOST, low: self.host.into() };", "let ip = Ip { high: Key::HOST, low: 1 };"),
    ("an address is explored beside the lead with one socket", ORDER,
     "order.prospect.sockets < 2 || order.prospect.is_grouped", "order.prospect.is_grouped"),
    ("a lead's measure is taken for milliseconds", MEMORY,
     "one.due = entry.estimate.measure(age / HALF_LIFE);", "one.due = entry.estimate.measure(age / HALF_LIFE) / 1_000;"),
    ("a whole race is not paid for", LEARN,
     "        if past.times.met {\n            self.bucket.pay", "        if past.times.met && past.times.lead.is_some() {\n            self.bucket.pay"),
    ("one event counts for each race that saw it", LEARN,
     "if started > entry.counted && started >= entry.answered {", "if started >= entry.answered {"),
    ("an outage is held against all", LEARN,
     "let Some(winner) = past.winner else { return has_failed };",
     "let Some(winner) = past.winner.or(Some(attempt).filter(|_| has_failed)) else { return has_failed };"),
    ("a lead that was late starts alone again", ORDER,
     "let late = match together {", "let late = match false {"),
    ("what is learnt of one network is used on another", MEMORY,
     "one.prefix == prefix && visit.realm(one.family()) == entry.realm && one.number > 0", "one.prefix == prefix && one.number > 0"),
    ("what is learnt on one network is written down for another", ENTRY,
     "self.ip == key.ip && self.realm == key.realm && self.port == key.port", "self.ip == key.ip && self.port == key.port"),
    ("a verdict of one host is another's", MEMORY,
     "_ if entry.marks.has(Marks::VERDICT) && entry.host != host => AddressState::Live,", "_ if entry.host == 0 => AddressState::Live,"),
    ("a failure does not start the next", PLAN,
     "if is_last || self.times.explored.is_none_or(|explored| explored.place != place) {", "if is_last {"),
    ("the oldest goes, though it leads each minute", MEMORY_TABLE,
     "let of_leads = others < (N / 4).max(1);", "let of_leads = others < N;"),
    ("those that have not led have half of the table", MEMORY_TABLE,
     "let of_leads = others < (N / 4).max(1);", "let of_leads = others < (N / 2).max(1);"),
    ("nobody is explored, however many races there were", MEMORY,
     "let is_due = races >= RACES ||", "let is_due = false && races >= RACES ||"),
    ("what is not paid for does not wait longer each time", PLAN,
     "last => last.saturating_mul(2)", "last => last"),
    ("after a year the memory's clock is moved by 25 days alone", MEMORY,
     "since.saturating_sub(ticks(25 * 86_400).into());", "since.saturating_sub(ticks(25 * 86_400).into()).min(HALF.into());"),
    ("bytes that are very old were never written", BYTES,
     "(age - 1).saturating_add(elapsed).min(OLDEST)", "(age - 1).saturating_add(elapsed)"),
]

FAULTS = OF_RACES + OF_MEMORY


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if sys.argv[1:] == ["--fits"]:
        return fits(root)
    if any(word.startswith("-") for word in sys.argv[1:]):
        sys.exit("faults: give words of the faults' names, or --fits alone")
    files = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True).stdout.split("\n")
    missed = []
    faults = [fault for fault in FAULTS if all(word in fault[0] for word in sys.argv[1:])]
    with tempfile.TemporaryDirectory() as place:
        for name in filter(None, files):
            if os.path.isfile(os.path.join(root, name)):
                os.makedirs(os.path.join(place, os.path.dirname(name)), exist_ok=True)
                shutil.copy(os.path.join(root, name), os.path.join(place, name))
        if any(fault in OF_RACES for fault in faults) and verdict(place) is not None:
            sys.exit("faults: the search fails without any fault: mend that first")
        if any(fault in OF_MEMORY for fault in faults) and tests_of_memory(place) is not None:
            sys.exit("faults: the tests of races with a memory fail without any fault: mend that first")
        for fault in faults:
            what, name, right, wrong = fault
            path = os.path.join(place, name)
            with open(path, encoding="utf-8") as file:
                good = file.read()
            if any(good.count(text) != 1 for text in texts(right)):
                missed.append(what)
                print(f"no longer fits the code: {what}")
                continue
            bad = good
            for text, instead in zip(texts(right), texts(wrong), strict=True):
                bad = bad.replace(text, instead)
            with open(path, "w", encoding="utf-8") as file:
                file.write(bad)
            if fault in OF_MEMORY:
                found = tests_of_memory(place)
            else:
                found = verdict(place, ["--names"] if name in OF_NAMES else [])
            with open(path, "w", encoding="utf-8") as file:
                file.write(good)
            if found is None:
                missed.append(what)
            print(f"{'NOT FOUND' if found is None else 'found'}: {what}{f' ({found})' if found else ''}", flush=True)
    print(f"{len(faults) - len(missed)} faults found, {len(missed)} not")
    return 1 if missed else 0


def fits(root):
    """Whether what each fault changes stands in its file exactly once: one that does not fit is seeded nowhere."""
    wrong = 0
    for what, name, right, instead in FAULTS:
        try:
            with open(os.path.join(root, name), encoding="utf-8") as file:
                code = file.read()
        except OSError as error:
            sys.exit(f"faults: {name}: {error.strerror}: mend the path in tools/faults.py")
        counts = [code.count(text) for text in texts(right)]
        if any(count != 1 for count in counts) or right == instead or len(counts) != len(texts(instead)):
            wrong += 1
            times = " and ".join(map(str, counts))
            print(f"does not fit: {what}: its text must be in {name} once, and is there {times} times. Mend it in tools/faults.py")
    print(f"{len(FAULTS)} faults, {len(FAULTS) - wrong} fit the code")
    return 1 if wrong else 0


def texts(part):
    return [part] if isinstance(part, str) else part


def verdict(place, kind=()):
    """What the searches say against what is in `place`, that of one `kind` first; None where they say nothing. Whether a search has as many states as
    were accepted is not asked: a fault has to be seen as a broken law."""
    return search(place, ["--quick", *kind]) or search(place, [])


def tests_of_memory(place):
    """What the tests of races with a memory say against what is in `place`; None where they say nothing."""
    return run(place, ["cargo", "test", "-q", "--locked", "--profile", "search", "-p", "connie-core", "-p", "connie-sim",
                       "--test", "memory"])


def search(place, size):
    command = ["cargo", "run", "-q", "--locked", "--profile", "search", "-p", "connie-sim", "--bin", "exhaustive", "--",
               "--unpinned", *size]
    return run(place, command)


def run(place, command):
    environment = {**os.environ, "CARGO_TARGET_DIR": os.path.join(place, "target"), "RUST_BACKTRACE": "0"}
    result = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=900)
    if result.returncode == 0:
        return None
    lines = (result.stderr + result.stdout).split("\n")
    if any(line.startswith("error: could not compile") for line in lines):
        sys.exit(f"faults: a fault does not compile:\n{result.stderr}")
    panics = [index for index, line in enumerate(lines) if " panicked at " in line]
    return lines[panics[0] + 1] if panics else f"status {result.returncode}"


if __name__ == "__main__":
    sys.exit(main())
