//! Options whose order among each other counts: `-o` and `-O` go with the URLs in turn, the pieces of `-d`
//! and its kin are joined.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

/// Where the body of one URL goes: `-o FILE` or `-O`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputArg {
    /// `-o FILE`; `-` is stdout.
    File(PathBuf),
    /// `-O`: a file with the name that the URL ends in.
    RemoteName,
}

/// All of `-o` and `-O`, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputArgs(pub Vec<OutputArg>);

/// How a piece of data is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// `-d`: `@FILE` without its line ends.
    Text,
    /// `--data-binary`: `@FILE` unchanged.
    Binary,
    /// `--data-raw`: `@` has no meaning.
    Raw,
    /// `--data-urlencode`.
    UrlEncode,
    /// `--json`: like `Binary`, and appended to the data before it without `&`.
    Json,
}

/// A piece of data, as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataArg {
    pub kind: DataKind,
    pub text: String,
}

/// All of `-d` and its kin, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataArgs(pub Vec<DataArg>);

const DATA: [(&str, DataKind); 5] = [
    ("data", DataKind::Text),
    ("data-binary", DataKind::Binary),
    ("data-raw", DataKind::Raw),
    ("data-urlencode", DataKind::UrlEncode),
    ("json", DataKind::Json),
];

impl Args for OutputArgs {
    fn augment_args(command: Command) -> Command {
        command
            .arg(
                Arg::new("output")
                    .short('o')
                    .long("output")
                    .value_name("FILE")
                    .help("Write to FILE instead of stdout; once for each URL")
                    .action(ArgAction::Append)
                    .value_parser(value_parser!(PathBuf)),
            )
            .arg(
                Arg::new("remote-name")
                    .short('O')
                    .long("remote-name")
                    .help("Write to a file with the name that the URL ends in; once for each URL")
                    .action(ArgAction::Append)
                    .num_args(0)
                    .default_missing_value("true"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OutputArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let files = matches.get_many::<PathBuf>("output").into_iter().flatten().cloned().map(OutputArg::File);
        let files = matches.indices_of("output").into_iter().flatten().zip(files);
        let names = matches.indices_of("remote-name").into_iter().flatten();
        let names = names.map(|index| (index, OutputArg::RemoteName));
        Ok(OutputArgs(in_order(files.chain(names))))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for DataArgs {
    fn augment_args(command: Command) -> Command {
        let option = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).value_name("DATA").help(help).action(ArgAction::Append)
        };
        command
            .arg(
                option(
                    "data",
                    "Send DATA in a POST; @FILE reads a file, @- stdin; several are joined by '&'",
                )
                .short('d')
                .visible_alias("data-ascii"),
            )
            .arg(option("data-binary", "As -d, with the line ends of a file"))
            .arg(option("data-raw", "As -d, but '@' has no meaning"))
            .arg(option(
                "data-urlencode",
                "As -d, percent-encoded: CONTENT, NAME=CONTENT, @FILE or NAME@FILE",
            ))
            .arg(option(
                "json",
                "Send DATA, or @FILE, as JSON, and ask for JSON; several are joined as they are",
            ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for DataArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let pieces = DATA.iter().flat_map(|(name, kind)| {
            let texts = matches.get_many::<String>(name).into_iter().flatten();
            let texts = texts.map(|text| DataArg { kind: *kind, text: text.clone() });
            matches.indices_of(name).into_iter().flatten().zip(texts)
        });
        Ok(DataArgs(in_order(pieces)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn in_order<T>(items: impl Iterator<Item = (usize, T)>) -> Vec<T> {
    let mut items: Vec<(usize, T)> = items.collect();
    items.sort_by_key(|(index, _)| *index);
    items.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, Get};
    use crate::usage;

    fn get(arguments: &str) -> Get {
        let words: Vec<&str> = ["connie", "get"].into_iter().chain(arguments.split_whitespace()).collect();
        match usage::parse(&words).unwrap().command {
            Command::Get(get) => *get,
            _ => unreachable!("get was asked for"),
        }
    }

    #[test]
    fn outputs_are_taken_in_turn() {
        let file = |name: &str| OutputArg::File(name.into());
        assert_eq!(get("http://h/").outputs.0, []);
        let all = get("-O a -o x b -O -o y c d");
        assert_eq!(all.outputs.0, [OutputArg::RemoteName, file("x"), OutputArg::RemoteName, file("y")]);
        assert_eq!(all.urls, ["a", "b", "c", "d"]);
        assert_eq!(get("-sOo- a b").outputs.0, [OutputArg::RemoteName, file("-")]);
    }

    #[test]
    fn pieces_of_data_keep_their_order() {
        let all =
            get("h --data-raw @1 -d 2 --data-binary @3 -d -4 --data-urlencode a=5 --data-ascii 6 --json 7");
        let pieces: Vec<_> = all.data.0.iter().map(|piece| (piece.kind, piece.text.as_str())).collect();
        use DataKind::{Binary, Json, Raw, Text, UrlEncode};
        assert_eq!(
            pieces,
            [
                (Raw, "@1"),
                (Text, "2"),
                (Binary, "@3"),
                (Text, "-4"),
                (UrlEncode, "a=5"),
                (Text, "6"),
                (Json, "7")
            ]
        );
    }
}
