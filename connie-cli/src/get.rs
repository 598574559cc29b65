//! `connie get`: fetches URLs over the winners, one after the other or several at a time.

use std::io::{self, Write};

use crate::args::{Get, OutputArg};
use crate::error::Error;
use crate::fetch::Fetch;
use crate::output::{Stdout, is_stdout};
use crate::parallel;
use crate::pool::{Limits, Pool};
use crate::session::Session;
use crate::transfer::TransferIo;
use crate::urls::{Wanted, count, urls};

pub fn run(args: &Get) -> Result<(), Error> {
    check(args)?;
    args.race.load_memory()?;
    let result = run_all(args);
    let saved = args.race.save_memory();
    // What went wrong with the URLs says more.
    result.and(saved).map_err(|error| error.shown_if(args.shows_errors()))
}

fn run_all(args: &Get) -> Result<(), Error> {
    let fetch = Fetch::new(args)?;
    let result = match args.parallel {
        true => match count(args)? {
            0 | 1 => in_turn(&fetch, urls(args)),
            count => parallel::run(&fetch, urls(args), count),
        },
        false => in_turn(&fetch, urls(args)),
    };
    // The last errors of the file of heads are known only now.
    result.and(fetch.finish())
}

/// Fetches one URL after the other. As curl has it, the last one gives the exit code.
fn in_turn(fetch: &Fetch<'_>, urls: impl Iterator<Item = Result<Wanted, Error>>) -> Result<(), Error> {
    let args = fetch.args;
    let pool = Pool::new(args, 1, Limits::default())?;
    let mut session = Session::new(args, &pool);
    let io = TransferIo::default();
    let mut urls = urls.peekable();
    let mut first = true;
    while let Some(wanted) = urls.next() {
        let wanted = wanted?;
        let fetched = fetch.fetch(&wanted, &mut session, &io);
        let alone = std::mem::take(&mut first) && urls.peek().is_none();
        let fetched = match alone {
            true => fetched,
            false => fetched.map_err(|error| error.of_url(&wanted.url)),
        };
        match fetched {
            Err(error) if urls.peek().is_some() && !args.fail_early && !error.is_final() => {
                error.shown_if(args.shows_errors()).report();
            }
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Refuses options that cannot go together.
fn check(args: &Get) -> Result<(), Error> {
    let to_stdout = |output: &OutputArg| matches!(output, OutputArg::File(path) if is_stdout(path));
    let outputs = &args.outputs.0;
    let all_aside = outputs.len() >= args.urls.len() || args.remote_name_all;
    if let Stdout::Of(option) = Stdout::of(&args.race.on_stdout())? {
        if !all_aside || outputs.iter().any(to_stdout) {
            return Err(Error::usage(format!(
                "{option} prints on stdout: give each body a file with -o FILE (-o /dev/null to drop it)"
            )));
        }
        let heads = args.dump_header.as_deref().is_some_and(is_stdout);
        Stdout::of(&[(true, option), (args.write_out.is_some(), "-w"), (heads, "-D -")])?;
    }
    let refused = [
        (
            !args.data.0.is_empty() && !args.upload_file.is_empty(),
            "-d and -T are two bodies: drop one of them",
        ),
        (
            args.get && !args.upload_file.is_empty(),
            "-G is for data in the URL, -T for a body: drop one of them",
        ),
        (args.continue_at.is_some() && args.range.is_some(), "-C and -r are two ranges: drop one of them"),
        (args.continue_at.is_some() && !args.upload_file.is_empty(), "-C is for downloads: drop -T"),
        (
            args.continue_at.is_some() && args.compressed(),
            "-C cannot resume a compressed body: drop -C or --compressed",
        ),
    ];
    match refused.into_iter().find(|(refused, _)| *refused) {
        Some((_, line)) => Err(Error::usage(line)),
        None => {
            warn_of_surplus(args);
            Ok(())
        }
    }
}

/// As curl has it, an option that no URL is left for does nothing.
fn warn_of_surplus(args: &Get) {
    let surplus = [
        (args.upload_file.len() > args.urls.len(), "there are more files to send with -T than URLs"),
        (args.outputs.0.len() > args.urls.len(), "there are more -o and -O than URLs"),
    ];
    for (_, line) in surplus.iter().filter(|(is_surplus, _)| *is_surplus && !args.silent) {
        // Without a stderr nobody reads warnings.
        let _ = writeln!(io::stderr().lock(), "connie: {line}: the last ones are not used");
    }
}
