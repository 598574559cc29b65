//! The project's list of cases, as a bare race can be put to them: each with what it has to come to.
//!
//! Two are not here. 28 counts descriptors and 50 is about queries: a race has neither. Of 69 and 14 it sees
//! the handshake and the reset.

use std::time::Duration;

use connie_core::{Config, Families, Family, Output, Pacing};
use connie_sim::{address, addresses, label, words};

use crate::plan::{TraceEvent, TracePlan};
use crate::play::Trace;

use connie_core::Family::{V4, V6};

/// A case.
pub(crate) struct Case {
    /// Its number, with a letter where it takes more than one race.
    pub(crate) name: &'static str,
    pub(crate) plan: TracePlan,
    /// The starts, as `6a@0 4a@250`.
    starts: &'static str,
    /// The winner, or why there is none, and when: `4a@270`.
    end: &'static str,
}

impl Case {
    /// Sees that the race came to what the case says.
    pub(crate) fn check(&self, trace: &Trace) -> Result<(), String> {
        let starts: Vec<String> =
            trace.starts.iter().map(|(to, at)| format!("{}@{}", label(*to), at / 1_000)).collect();
        let end = match trace.end {
            Some((Output::Established { destination, .. }, at)) => {
                format!("{}@{}", label(destination), at / 1_000)
            }
            Some((Output::Failed(failure), at)) => format!("{}@{}", words::failure(failure), at / 1_000),
            _ => "left waiting".to_owned(),
        };
        let starts = starts.join(" ");
        if starts != self.starts && self.starts != "any" {
            let shown: String = starts.chars().take(200).collect();
            return Err(format!("case {} starts {shown}, not {}", self.name, self.starts));
        }
        if end != self.end {
            return Err(format!("case {} comes to {end}, not {}", self.name, self.end));
        }
        Ok(())
    }
}

fn staggered() -> TracePlan {
    TracePlan::new(Config::staggered())
}

fn growing(delay: u64, growth_percent: u16) -> TracePlan {
    let delay = Duration::from_millis(delay);
    TracePlan::new(Config::staggered().pacing(Pacing::Staggered { delay, growth_percent }))
}

fn at_once(sockets: usize) -> TracePlan {
    TracePlan::new(Config::all_at_once().max_in_flight(sockets))
}

fn one_by_one() -> TracePlan {
    TracePlan::new(Config::one_by_one())
}

impl TracePlan {
    fn deadline(self, millis: u64) -> TracePlan {
        self.with(|plan| plan.config.deadline = Some(Duration::from_millis(millis)))
    }

    fn patience(self, millis: u64) -> TracePlan {
        self.with(|plan| plan.config.patience = Duration::from_millis(millis))
    }

    fn only(self, family: Family) -> TracePlan {
        self.with(|plan| plan.config.families = Families::Only(family))
    }
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name, plan, starts, end| cases.push(Case { name, plan, starts, end });
    winning(&mut case);
    pacing(&mut case);
    families(&mut case);
    resolving(&mut case);
    ending(&mut case);
    few_sockets(&mut case);
    joining(&mut case);
    cases
}

/// Takes a case's name, plan, starts and end.
type Take<'a> = dyn FnMut(&'static str, TracePlan, &'static str, &'static str) + 'a;

fn winning(case: &mut Take<'_>) {
    case("01", staggered().hosts("4a=ok123").answered(), "4a@0", "4a@123");
    case("02", staggered().hosts("4a=ok100000").answered(), "4a@0", "4a@100000");
    case("03", staggered().hosts("4a=refused123").answered(), "4a@0", "all attempts failed@123");
    case("14", staggered().hosts("4a=reset20").answered(), "4a@0", "all attempts failed@20");
    let four = at_once(4).hosts("6a=ok30 6b=ok30 4a=ok30 4b=ok30");
    case("32", four.answered(), "6a@0 4a@0 6b@0 4b@0", "6a@30");
    case("37", staggered().hosts("6a=ok260 4a=ok20").answered(), "6a@0 4a@250", "6a@260");
    case("38", staggered().hosts("6a=ok270 4a=ok10").answered(), "6a@0 4a@250", "4a@260");
    let both = staggered().hosts("6a=refused10 4a=unreachable20").answered();
    case("43", both, "6a@0 4a@10", "all attempts failed@30");
    let slow = staggered().many(3, '6', "ok400").many(3, '4', "ok400").answered();
    case("47", slow, "6a@0 4a@250", "6a@400");
    let late = at_once(4).hosts("6a=ok30 4a=ok20 4b=refused20").answered();
    let late = late.with(|plan| plan.tells_late_results = true);
    case("58", late, "6a@0 4a@0 4b@0", "4a@20");
    let fifth = at_once(4).hosts("4a=hang 4b=hang 4c=refused20 4d=refused20 4e=ok30").answered();
    case("67", fifth, "4a@0 4b@0 4c@0 4d@0 4e@20", "4e@50");
    case("68", at_once(2).hosts("4a=refused10 4b=ok50").answered(), "4a@0 4b@0", "4b@50");
    case("68b", at_once(2).hosts("4a=refused50 4b=ok50").answered(), "4a@0 4b@0", "4b@50");
    case("69", at_once(1).hosts("4a=ok20").answered(), "4a@0", "4a@20");
}

fn pacing(case: &mut Take<'_>) {
    case("04", staggered().hosts("6a=ok1000 6b=ok1000 6c=ok200").answered(), "6a@0 6b@250 6c@500", "6c@700");
    case("05", staggered().hosts("6a=ok1000 6b=ok100 6c=ok200").answered(), "6a@0 6b@250", "6b@350");
    let slower = growing(450, 100).hosts("6a=ok1000 6b=ok1000 6c=ok200").answered();
    case("06", slower, "6a@0 6b@450 6c@900", "6a@1000");
    case("22", staggered().hosts("6a=hang 4a=ok20").answered(), "6a@0 4a@250", "4a@270");
    case("23", growing(2_000, 100).hosts("6a=refused20 4a=ok30").answered(), "6a@0 4a@20", "4a@50");
    let doubles = growing(250, 200).many(4, '6', "hang").deadline(3_000).answered();
    case("59", doubles, "6a@0 6b@250 6c@750 6d@1750", "deadline exceeded@3000");
    let fails = growing(250, 200).hosts("6a=refused100").many(3, '6', "hang").deadline(3_000).answered();
    case("59b", fails, "6a@0 6b@100 6c@350 6d@850", "deadline exceeded@3000");
    let times = "4a=ok200 4b=ok180 4c=ok160 4d=ok140 4e=ok20 4f=ok40 \
                 4g=ok60 4h=ok80 4i=ok100 4j=ok120 4k=ok35 4l=ok190";
    let all = "4a@0 4b@0 4c@0 4d@0 4e@0 4f@0 4g@0 4h@0 4i@0 4j@0 4k@0 4l@0";
    case("71", at_once(12).hosts(times).answered(), all, "4e@20");
    let share = one_by_one().many(3, '4', "hang").deadline(9_000).answered();
    case("one by one", share, "4a@0 4b@3000 4c@6000", "deadline exceeded@9000");
}

fn families(case: &mut Take<'_>) {
    let lacking = staggered().hosts("6a=ok10 4a=ok20").answered();
    case("11", lacking.with(|plan| plan.stack.lacks = Some(V6)), "6a@0 4a@0", "4a@20");
    let first = || staggered().hosts("6a=ok400 4a=ok400");
    case("16", first().answer(0, V6).answer(30, V4), "6a@0 4a@250", "6a@400");
    case("16b", first().answer(0, V4).answer(30, V6), "6a@30 4a@280", "6a@430");
    let one = |family| staggered().hosts("6a=refused10 4a=refused10").only(family).answered();
    case("17", one(V6), "6a@0", "all attempts failed@10");
    case("17b", one(V4), "4a@0", "all attempts failed@10");
    let second = |plan: TracePlan| plan.deadline(1_000).answered();
    let two = staggered().many(2, '6', "hang").many(2, '4', "hang");
    case("31", second(two), "6a@0 4a@250 6b@500 4b@750", "deadline exceeded@1000");
    let three = staggered().many(3, '6', "hang").many(1, '4', "hang");
    case("31b", second(three), "6a@0 4a@250 6b@500 6c@750", "deadline exceeded@1000");
    let counted = staggered().many(3, '6', "hang").many(1, '4', "hang");
    let counted = counted.with(|plan| plan.config.first_address_family_count = 2);
    case("31c", second(counted), "6a@0 6b@250 4a@500 6c@750", "deadline exceeded@1000");
}

fn resolving(case: &mut Take<'_>) {
    case("12", staggered().answered(), "", "no destinations@0");
    let failing =
        at_once(4).at(10, TraceEvent::ResolutionFailed(V4)).at(20, TraceEvent::ResolutionFailed(V6));
    case("12b", failing, "", "no destinations@20");
    let copies = vec![address("4a"); 1_000];
    let copies = TraceEvent::Resolved(V4, copies);
    let same = at_once(4).hosts("4a=ok10").at(0, copies).answer(0, V6);
    case("25", same, "4a@0", "4a@10");
    let delayed = || staggered().hosts("6a=ok10 4a=ok10").answer(100, V4);
    case("51", delayed(), "4a@150", "4a@160");
    case("51b", delayed().answer(149, V6), "6a@149", "6a@159");
    case("51c", delayed().answer(151, V6), "4a@150", "4a@160");
    case("53", delayed().answer(150, V6), "6a@150", "6a@160");
    let twice = TraceEvent::Resolved(V4, vec!["[::ffff:192.0.2.1]:80".parse().unwrap(), address("4a")]);
    let twice = at_once(4)
        .hosts("4a=refused20")
        .at(0, twice)
        .answer(0, V6)
        .at(10, TraceEvent::Resolved(V4, addresses("4a")));
    case("54", twice, "4a@0", "all attempts failed@20");
    let literal = staggered().hosts("6a=refused20").at(0, TraceEvent::Addresses(addresses("6a")));
    case("56", literal, "6a@0", "all attempts failed@20");
    let alone = at_once(4).hosts("4a=hang 4b=ok20").answer(10, V4);
    case("78", alone, "4a@10 4b@10", "4b@30");
    case("78b", at_once(4).hosts("4a=refused20").answer(10, V4), "4a@10", "left waiting");
}

fn ending(case: &mut Take<'_>) {
    let pending = staggered().many(2, '6', "hang").many(2, '4', "hang").answered();
    case("13", pending.at(5_000, TraceEvent::Cancel), "6a@0 4a@250 6b@500 4b@750", "canceled@5000");
    let holes = staggered().hosts("6a=hang 6b=hang 4a=hang").deadline(1_000).answered();
    case("20", holes, "6a@0 4a@250 6b@500", "deadline exceeded@1000");
    // A trace goes on after its end with a cancel.
    case("29", staggered().hosts("6a=hang 4a=ok20").answered(), "6a@0 4a@250", "4a@270");
    let canceled = staggered().hosts("4a=hang").deadline(1_000).answered().at(500, TraceEvent::Cancel);
    case("30", canceled, "4a@0", "canceled@500");
    let before = at_once(4).hosts("6a=ok10").at(0, TraceEvent::Cancel).answered();
    case("49", before, "", "canceled@0");
    let gone = staggered().many(2, '6', "ok1000").many(2, '4', "ok1000").answered().at(300, TraceEvent::Gone);
    case("63", gone, "6a@0 4a@250", "stack gone@300");
    case("64", staggered().hosts("4a=hang").deadline(1_000).answered(), "4a@0", "deadline exceeded@1000");
}

fn few_sockets(case: &mut Take<'_>) {
    let runs_out = at_once(4).hosts("4a=refused20 4b=hang 4c=hang 4d=ok30").answered();
    let runs_out = runs_out.with(|plan| plan.stack.runs_out_at = Some(3));
    case("70", runs_out, "4a@0 4b@0 4c@0 4c@20 4d@250", "4d@280");
    let without = at_once(4).hosts("4a=ok10 4b=ok10").answered();
    case("70b", without.with(|plan| plan.stack.sockets = Some(0)), "4a@0 4b@0", "all attempts failed@0");
    let twelve = at_once(4).many(11, '4', "hang").hosts("4l=ok30").answered();
    let turns = "4a@0 4b@0 4c@0 4d@0 4e@250 4f@250 4g@250 4h@250 4i@500 4j@500 4k@500 4l@500";
    case("72", twelve, turns, "4l@530");
    case("73", at_once(1).many(63, '4', "hang").hosts("4bl=ok30").answered(), "any", "4bl@15780");
    let slow = at_once(2).patience(300).hosts("4a=ok900").many(8, '4', "hang").answered();
    case("74", slow, "any", "4a@6300");
    let enough = |millis: u64| at_once(1).patience(300).hosts(&format!("4a=ok{millis} 4b=hang")).answered();
    case("74b", enough(300), "4a@0", "4a@300");
    case("74c", enough(301), "4a@0 4b@300 4a@900", "4a@1201");
    let lost = at_once(8).patience(300).many(4, '4', "ok1030,ok30").answered();
    case("76", lost, "4a@0 4b@0 4c@0 4d@0 4a@300 4b@300 4c@300 4d@300", "4a@330");
    case("77", at_once(2).patience(300).hosts("4a=ok400").answered(), "4a@0 4a@300", "4a@400");
}

fn joining(case: &mut Take<'_>) {
    let all = |plan: TracePlan, millis, list| plan.at(millis, TraceEvent::Resolved(V4, addresses(list)));
    let joins = all(all(at_once(4).hosts("4a=hang 4b=ok30"), 0, "4a"), 100, "4a 4b").answer(0, V6);
    case("75", joins, "4a@0 4b@100", "4b@130");
    let leaves = all(all(staggered().hosts("4a=hang 4b=ok10 4c=ok40"), 0, "4a 4b 4c"), 200, "4a 4c");
    case("75b", leaves.answer(0, V6), "4a@0 4c@250", "4c@290");
    let goes_on = all(all(at_once(4).hosts("4a=ok100 4b=hang"), 0, "4a 4b"), 50, "4b").answer(0, V6);
    case("75c", goes_on, "4a@0 4b@0", "4a@100");
    let evicted = at_once(1).hosts("4a=ok400 4b=refused10 4c=ok700");
    let evicted = all(all(evicted, 0, "4a 4b 4c"), 100, "4b 4c").answer(0, V6);
    case("75d", evicted, "4a@0 4b@250 4c@260", "4c@960");
    let moved = at_once(4).hosts("6a=hang 4a=hang,ok30 4b=refused20,ok90").answered();
    case("79", moved.at(200, TraceEvent::SourceChanged(V4)), "6a@0 4a@0 4b@0 4a@200 4b@200", "4a@230");
    let moved = staggered().hosts("6a=hang 4a=hang,ok30 4b=ok30").answered();
    case("79b", moved.at(300, TraceEvent::SourceChanged(V4)), "6a@0 4a@250 4a@300", "4a@330");
    let late = |at| {
        at_once(4).hosts("4a=hang,hang,ok2").deadline(1_000).answered().at(at, TraceEvent::SourceChanged(V4))
    };
    case("79c", late(999), "4a@0 4a@250 4a@999", "deadline exceeded@1000");
    case("79d", late(997), "4a@0 4a@250 4a@997", "4a@999");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the project's list, less 28 and 50.
    const NUMBERS: [u32; 46] = [
        1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 16, 17, 20, 22, 23, 25, 29, 30, 31, 32, 37, 38, 43, 47, 49, 51, 53,
        54, 56, 58, 59, 63, 64, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79,
    ];

    #[test]
    fn every_case_of_the_list_has_a_trace_of_its_own() {
        let cases = cases();
        let number =
            |case: &Case| case.name.trim_end_matches(|c: char| c.is_ascii_lowercase()).parse::<u32>().ok();
        for wanted in NUMBERS {
            assert!(cases.iter().any(|case| number(case) == Some(wanted)), "case {wanted}");
        }
        let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len(), "two cases have one name");
    }
}
