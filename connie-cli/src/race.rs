//! `connie race`: only the race.

use std::io;
use std::time::Duration;

use connie_web::parse_host_port;

use crate::args::{Limit, RaceArgs};
use crate::connect::{FinishedRace, connect};
use crate::error::Error;
use crate::output::{Stdout, print};
use crate::verbose::Log;
use crate::{terminal, watch};

pub fn run(args: &mut RaceArgs) -> Result<(), Error> {
    let mut on_stdout = args.race.on_stdout();
    if args.json {
        on_stdout[0] = (true, "--json");
    }
    let stdout = Stdout::of(&on_stdout)?;
    let (host, port) = parse_host_port(&args.target)?;
    if let Some(seconds) = args.watch {
        // What one race has learnt would keep the next from trying all addresses.
        args.race.no_memory |= args.race.memory.is_none();
        args.race.load_memory()?;
        return watch::run(args, &host, port, Duration::from_secs(seconds.into()));
    }
    args.race.load_memory()?;
    let (raced, winner) = connect(&host, port, &args.race, args.max_time.and_then(Limit::get));
    // The winner has served its purpose: it closes here.
    let result = winner.map(drop);
    if args.verbose {
        Log::default().show_race(&raced);
    }
    let shown = if args.json || args.race.report.is_some() {
        print(format_args!("{}\n", raced.json()))
    } else if args.silent || args.verbose || stdout != Stdout::Free || was_not_run(&raced) {
        Ok(())
    } else {
        let picture =
            raced.timeline().waterfall(terminal::width(&io::stdout()), terminal::style(&io::stdout()));
        let notes = raced.notes().map(|line| format!("{line}\n")).collect::<String>();
        let apart = if notes.is_empty() { "" } else { "\n" };
        print(format_args!("{picture}{apart}{notes}"))
    };
    let saved = args.race.save_memory();
    // The race's own failure says more than a file that could not be written.
    result.and(raced.write_files(&args.race)).and(saved).and(shown)
}

/// Whether there is nothing to draw: the name has no address, and the error says why.
fn was_not_run(race: &FinishedRace) -> bool {
    race.timeline().destinations().len() == 0 && race.notes().next().is_none()
}
