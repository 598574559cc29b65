//! What is wrong with a command line, in one line. clap reports it as a kind and its context; the words are
//! this program's.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{command, curls};

/// The line, with the command whose `--help` has more.
pub fn one_line(error: &clap::Error, words: &[OsString]) -> String {
    let url = words.get(1).and_then(|word| word.to_str()).filter(|word| word.contains("://"));
    if let (ErrorKind::InvalidSubcommand, Some(url)) = (error.kind(), url) {
        return format!("{url:?} is not a command: fetch it with connie get; see connie --help");
    }
    let command = command();
    let subcommand = words.get(1).and_then(|word| command.find_subcommand(word));
    let name = subcommand.map_or(String::new(), |subcommand| format!(" {}", subcommand.get_name()));
    let option = get(error, ContextKind::InvalidArg);
    if let (ErrorKind::UnknownArgument, " get", Some(instead)) =
        (error.kind(), name.as_str(), curls::instead(&option))
    {
        return format!("'{option}' of curl is not supported: {instead}");
    }
    // It is taken out of the words where a URL follows.
    if option == "--url" && name == " get" {
        return "a URL is required after '--url'; see connie get --help".to_owned();
    }
    format!("{}; see connie{name} --help", what(error))
}

/// What is wrong, and what may have been meant.
fn what(error: &clap::Error) -> String {
    let argument = get(error, ContextKind::InvalidArg);
    let value = get(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let similar = get(error, ContextKind::SuggestedArg);
            let meant = if similar.is_empty() { similar } else { format!(": did you mean '{similar}'?") };
            match argument.starts_with('-') {
                true => format!("unknown option '{argument}'{meant}"),
                false => format!("unexpected argument '{argument}'{meant}"),
            }
        }
        ErrorKind::InvalidSubcommand => {
            let similar = get(error, ContextKind::SuggestedSubcommand);
            let meant = if similar.is_empty() { similar } else { format!(": did you mean '{similar}'?") };
            format!("unknown command '{}'{meant}", get(error, ContextKind::InvalidSubcommand))
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("'{argument}' needs a value"),
        ErrorKind::InvalidValue => {
            let values = get(error, ContextKind::ValidValue);
            format!("invalid value '{value}' for '{argument}': give one of {values}")
        }
        ErrorKind::ValueValidation => {
            let why = error.source().map_or_else(String::new, |why| format!(": {why}"));
            format!("invalid value '{value}' for '{argument}'{why}")
        }
        ErrorKind::ArgumentConflict => {
            format!("'{argument}' cannot be used with '{}'", get(error, ContextKind::PriorArg))
        }
        ErrorKind::MissingRequiredArgument => format!("missing {argument}"),
        ErrorKind::TooManyValues => format!("'{argument}' takes no value, but was given '{value}'"),
        ErrorKind::InvalidUtf8 => "an argument is not valid UTF-8".to_owned(),
        // No argument of this program can be wrong in another way.
        kind => kind.as_str().unwrap_or("the command line is wrong").to_owned(),
    }
}

/// What clap knows of the error under this kind, several values separated by commas; empty where it knows
/// nothing.
fn get(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(ContextValue::StyledStr(text)) => text.to_string(),
        _ => String::new(),
    }
}
