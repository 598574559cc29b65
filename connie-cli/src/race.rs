//! `connie race`: only the race.

use std::io;

use connie_web::parse_host_port;

use crate::args::{Limit, RaceArgs};
use crate::connect::connect;
use crate::error::Error;
use crate::output::{Stdout, print};
use crate::{terminal, verbose};

pub fn run(args: &RaceArgs) -> Result<(), Error> {
    let mut on_stdout = args.race.on_stdout();
    if args.json {
        on_stdout[0] = (true, "--json");
    }
    let stdout = Stdout::of(&on_stdout)?;
    let (host, port) = parse_host_port(&args.target)?;
    args.race.load_memory()?;
    let (raced, winner) = connect(&host, port, &args.race, args.max_time.and_then(Limit::get));
    // The winner has served its purpose: it closes here.
    let result = winner.map(drop);
    if args.verbose {
        verbose::show_race(&raced);
    }
    let shown = if args.json || args.race.report.is_some() {
        print(format_args!("{}\n", raced.json()))
    } else if args.silent || args.verbose || stdout != Stdout::Free {
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
