//! The command line, read as curl reads one, and what is wrong with it in one line.

mod curls;
#[cfg(test)]
mod pages;
mod wrong;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Arg, Args, CommandFactory, FromArgMatches};

#[cfg(not(target_os = "wasi"))]
use crate::args::Bench;
#[cfg(all(feature = "doctor", not(target_os = "wasi")))]
use crate::args::Doctor;
#[cfg(all(feature = "proxy", not(target_os = "wasi")))]
use crate::args::ProxyArgs;
use crate::args::{Cli, Demo, Get, MemoryArgs, RaceArgs};
use crate::error::Error;
use crate::output::print;
use wrong::one_line;

/// The command line of this process. Where help or the version was asked for, prints that and ends the
/// process.
pub fn read() -> Result<Cli, Error> {
    let words: Vec<OsString> = std::env::args_os().collect();
    parse(&words).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp => printed(error.render()),
        ErrorKind::DisplayVersion => printed(version()),
        // On stderr.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => Error::usage(one_line(&error, &words)),
    })
}

/// Ends the process, where that could be printed.
fn printed(text: impl std::fmt::Display) -> Error {
    match print(text) {
        Ok(()) => std::process::exit(0),
        Err(error) => error,
    }
}

/// The command line that these words are, the program's name first.
pub fn parse<T: Into<OsString> + Clone>(words: &[T]) -> Result<Cli, clap::Error> {
    let mut words: Vec<OsString> = words.iter().cloned().map(Into::into).collect();
    let command = command_for(&words);
    if let Some(get) = command.find_subcommand("get").filter(|get| get.get_arguments().next().is_some()) {
        let apart = curls::with_values_apart(get, words.get(2..).unwrap_or_default());
        words.splice(2.., apart);
    }
    Cli::from_arg_matches(&command.try_get_matches_from(words)?)
}

/// The command line, where these words are to be read. `get` has its options, and more where one of the
/// words asks for that; otherwise they are built later.
fn command_for(words: &[OsString]) -> clap::Command {
    let is_get = words.get(1).is_some_and(|word| word == "get");
    if !is_get || !words.iter().any(curls::is_unusual) {
        return command();
    }
    Cli::command().mut_subcommands(|subcommand| match subcommand.get_name() {
        // It has all its options now, and there is nothing left to build later.
        "get" => curls::extended(built::<Get>(subcommand).defer(|command| command), words),
        _ => deferred(subcommand),
    })
}

/// What `-V` prints: the version, and what this program was built with, in a line of each kind.
pub fn version() -> String {
    const FEATURES: [(&str, bool); 9] = [
        ("br", cfg!(feature = "br")),
        ("dns", cfg!(feature = "dns")),
        ("doctor", cfg!(feature = "doctor")),
        ("gzip", cfg!(feature = "gzip")),
        ("idna", cfg!(feature = "idna")),
        ("progress", cfg!(feature = "progress")),
        ("proxy", cfg!(feature = "proxy")),
        ("tls", cfg!(feature = "tls")),
        ("zstd", cfg!(feature = "zstd")),
    ];
    let built = FEATURES.iter().filter(|(_, is_built)| *is_built).map(|(name, _)| *name).collect::<Vec<_>>();
    let features = if built.is_empty() { "none".to_owned() } else { built.join(" ") };
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("connie {} ({processor}, {system})\nfeatures: {features}\n", env!("CARGO_PKG_VERSION"))
}

/// The whole command line. The options of a subcommand are built when it is the one that was asked for.
pub fn command() -> clap::Command {
    Cli::command().mut_subcommands(deferred)
}

/// The options of each are built when it is the one that was asked for.
fn deferred(subcommand: clap::Command) -> clap::Command {
    match subcommand.get_name() {
        "get" => subcommand.defer(built::<Get>),
        "race" => subcommand.defer(built::<RaceArgs>),
        "demo" => subcommand.defer(built::<Demo>),
        "memory" => subcommand.defer(built::<MemoryArgs>),
        #[cfg(all(feature = "proxy", not(target_os = "wasi")))]
        "proxy" => subcommand.defer(built::<ProxyArgs>),
        #[cfg(all(feature = "doctor", not(target_os = "wasi")))]
        "doctor" => subcommand.defer(built::<Doctor>),
        #[cfg(not(target_os = "wasi"))]
        "bench" => subcommand.defer(built::<Bench>),
        _ => subcommand,
    }
}

/// A subcommand with its options.
fn built<T: Args>(subcommand: clap::Command) -> clap::Command {
    let about = subcommand.get_about().cloned().unwrap_or_default();
    as_in_curl(T::augment_args(subcommand).about(about))
}

/// As curl takes it, the word after an option that needs a value is the value, also one that begins with a
/// hyphen: in `-m -1` it is the number that is wrong, and not an option `-1`. Of an option given twice the
/// last counts, but for those that are lists.
fn as_in_curl(subcommand: clap::Command) -> clap::Command {
    subcommand.args_override_self(true).mut_args(|argument| {
        let option = !argument.is_positional() && takes_values(&argument);
        if option { argument.allow_hyphen_values(true) } else { argument }
    })
}

/// A flag with a place in the order (-O) is a list of values that takes none.
fn takes_values(argument: &Arg) -> bool {
    argument.get_action().takes_values() && argument.get_num_args().is_none_or(|count| count.takes_values())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(arguments: &str, expected: &str) {
        let words: Vec<OsString> = format!("connie {arguments}").split(' ').map(OsString::from).collect();
        let error = parse(&words).expect_err("this is no command line");
        assert_eq!(one_line(&error, &words), expected);
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_version_says_what_was_built() {
        let text = version();
        let lines: Vec<_> = text.lines().collect();
        let [first, features] = lines[..] else { panic!("{text}") };
        assert!(first.starts_with(concat!("connie ", env!("CARGO_PKG_VERSION"), " (")), "{first}");
        let built: Vec<_> = features.split(' ').skip(1).collect();
        assert_eq!(built.contains(&"tls"), cfg!(feature = "tls"), "{features}");
        assert_eq!(built.contains(&"gzip"), cfg!(feature = "gzip"), "{features}");
    }

    #[test]
    fn what_is_wrong_takes_one_line() {
        refuses("get", "missing <URL>...; see connie get --help");
        refuses("get -W h", "unknown option '-W'; see connie get --help");
        refuses("rac", "unknown command 'rac': did you mean 'race'?; see connie --help");
        refuses("http://h/", "\"http://h/\" is not a command: fetch it with connie get; see connie --help");
        let pacings = connie_core::Pacing::ALL.map(connie_core::Pacing::name).join(", ");
        let said = format!("invalid value 'fast' for '--pacing <PACING>': give one of {pacings}");
        refuses("race --pacing fast h:1", &format!("{said}; see connie race --help"));
        refuses("get -o", "'--output <FILE>' needs a value; see connie get --help");
        refuses("bench --sim h", "'--sim' cannot be used with '[URL]...'; see connie bench --help");
    }

    #[test]
    fn each_flag_of_get_has_a_form_that_takes_it_back() {
        let get = |arguments: &str| {
            let words: Vec<OsString> =
                format!("connie get h {arguments}").split(' ').map(Into::into).collect();
            match parse(&words).unwrap().command {
                crate::args::Command::Get(get) => (get.silent, get.location, get.fail, get.outputs.0.len()),
                _ => unreachable!("get was asked for"),
            }
        };
        assert_eq!(get("-s -L -f --no-silent --no-fail"), (false, true, false, 0));
        assert_eq!(get("--no-silent -s --no-location"), (true, false, false, 0));
        assert_eq!(get("-s --no-silent -s --no-silent --no-silent"), (false, false, false, 0));
        assert_eq!(get("--fail --no-fail --fail-with-body -o --no-silent -s"), (true, false, false, 1));
        assert_eq!(get("--no-keepalive --no-memory -sN"), (true, false, false, 0));
        refuses(
            "get --no-output h",
            "unknown option '--no-output': did you mean '--output'?; see connie get --help",
        );
        refuses("get --no-such h", "unknown option '--no-such'; see connie get --help");
        refuses(
            "get --no-ipv4 h",
            "unknown option '--no-ipv4': did you mean '--no-keepalive'?; see connie get --help",
        );
        assert_eq!(get("--keepalive --no-buffer --buffer -s"), (true, false, false, 0));
    }

    #[test]
    fn an_option_of_curl_says_what_to_do_instead() {
        refuses(
            "get --no-netrc h",
            "'--no-netrc' of curl is not supported: what it turns off is not done here: leave it out",
        );
        let instead = "logins are not read from files: give -u USER:PASSWORD";
        refuses("get -sn h", &format!("'-n' of curl is not supported: {instead}"));
        refuses("get h --url", "a URL is required after '--url'; see connie get --help");
        refuses("get --netrc h", &format!("'--netrc' of curl is not supported: {instead}"));
        refuses(
            "race --netrc h:1",
            "unknown option '--netrc': did you mean '--interface'?; see connie race --help",
        );
    }

    #[test]
    fn a_value_may_begin_with_a_hyphen() {
        let seconds = "give seconds, such as 10 or 0.5; see connie get --help";
        refuses("get h -m -1", &format!("invalid value '-1' for '--max-time <SECONDS>': {seconds}"));
        refuses("get h -m -s", &format!("invalid value '-s' for '--max-time <SECONDS>': {seconds}"));
        let words = "connie get -d -x -o -y -u -:z h".split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(parse(&words).is_ok());
    }

    /// Every option of every command, each with the first value of these that it takes.
    #[test]
    fn of_an_option_given_twice_the_last_counts() {
        const VALUES: [&str; 11] = [
            "json",
            "a:80:b:81",
            "12",
            "h:80:192.0.2.1",
            "192.0.2.1",
            "staggered",
            "tls",
            "connect",
            "connie",
            "192.0.2.1:1080",
            "user",
        ];
        let mut options = 0;
        let mut whole = command();
        whole.build();
        for subcommand in whole.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            let name = subcommand.get_name();
            let parse = |words: &[&str]| command().try_get_matches_from([&["connie", name], words].concat());
            let target = if matches!(name, "demo" | "proxy") { &[][..] } else { &["h:1"] };
            for argument in subcommand.get_arguments().filter(|argument| !argument.is_positional()) {
                let Some(long) = argument.get_long().filter(|long| !["help", "version"].contains(long))
                else {
                    continue;
                };
                let (flag, id) = (format!("--{long}"), argument.get_id().as_str());
                let flag = flag.as_str();
                let takes = |value: &&&str| parse(&[&[flag, **value], target].concat()).is_ok();
                let words = match takes_values(argument) {
                    true => vec![flag, VALUES.iter().find(takes).expect("one of the values fits")],
                    false => vec![flag],
                };
                let target = if long == "sim" { &[][..] } else { target };
                let matches = parse(&[&words, &words, target].concat());
                let matches = matches.unwrap_or_else(|error| panic!("{name} {flag}: {error}"));
                let matches = matches.subcommand_matches(name).expect("that command");
                let appends = matches!(argument.get_action(), clap::ArgAction::Append);
                let values = matches.get_raw(id).expect("it was given").len();
                assert_eq!(values, if appends { 2 } else { 1 }, "{name} {flag}");
                options += 1;
            }
        }
        assert!(options > 60, "{options}");
    }

    #[test]
    fn a_number_that_is_none_says_which_ones_are() {
        let refuses = |arguments: &str, reason: &str| {
            let words: Vec<_> = format!("connie {arguments}").split(' ').map(OsString::from).collect();
            let line = one_line(&parse(&words).expect_err("it is not a number"), &words);
            assert!(line.contains(reason), "{line}");
        };
        refuses(
            "race --max-in-flight 65 h:1",
            "'65' for '--max-in-flight <N>': give a whole number from 1 to 64;",
        );
        refuses("race --max-in-flight many h:1", "give a whole number from 1 to 64;");
        refuses("race --patience 1.5 h:1", "give a whole number from 10 to 600000;");
        refuses("get --retry -1 h", "give a whole number;");
        refuses("get --retry 99999999999 h", "give a whole number up to 4294967295;");
        refuses("get --max-redirs -2 h", "give a whole number, or -1 for any number;");
        refuses("bench --rounds 0 h", "give a whole number from 1;");
        refuses("demo --seed x", "give a whole number;");
    }
}
