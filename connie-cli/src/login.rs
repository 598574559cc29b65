//! The passwords that `-u` and `-U` do not give.

use std::io::{self, IsTerminal};

use crate::args::Get;
use crate::error::Error;

/// Asks the terminal for each, without an echo, as curl does. Where there is no terminal, what is missing is
/// told when it is needed.
pub fn complete(args: &mut Get) -> Result<(), Error> {
    if !io::stdin().is_terminal() {
        return Ok(());
    }
    ask("-u", "host", args.user.as_mut())?;
    ask("-U", "proxy", args.proxy_user.as_mut())
}

fn ask(option: &str, of: &str, login: Option<&mut String>) -> Result<(), Error> {
    let Some(login) = login.filter(|login| !login.contains(':')) else { return Ok(()) };
    let password = prompt(format!("Enter {of} password for user '{login}': "));
    let password = password.map_err(|error| {
        Error::usage(format!("could not read the password for {option} from the terminal: {error}; give {option} {login}:PASSWORD"))
    })?;
    login.push(':');
    login.push_str(&password);
    Ok(())
}

#[cfg(not(target_os = "wasi"))]
fn prompt(text: String) -> io::Result<String> {
    rpassword::prompt_password(text)
}

/// WASI cannot turn a terminal's echo off.
#[cfg(target_os = "wasi")]
fn prompt(_: String) -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}
