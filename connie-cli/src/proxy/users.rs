//! Who may log in.

use std::fs;
use std::path::Path;

use connie_proxy::Credentials;

use crate::error::Error;

/// Those of the command line, and those of a file: `NAME:PASSWORD`, a line each. Empty lines and those that
/// begin with `#` say nothing.
pub fn read(named: &[String], file: Option<&Path>) -> Result<Vec<Credentials>, Error> {
    let text = match file {
        Some(path) => fs::read_to_string(path).map_err(|error| Error::read(path, &error))?,
        None => String::new(),
    };
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let named = named.iter().map(|text| user(text, "--user"));
    let users: Vec<_> = named.chain(lines.map(|line| user(line, "--user-file"))).collect::<Result<_, _>>()?;
    match file {
        // Without one everybody could use it.
        Some(path) if users.is_empty() => {
            Err(Error::usage(format!("{} names nobody who may log in", path.display())))
        }
        _ => Ok(users),
    }
}

/// The text is not shown: it may be a password.
fn user(text: &str, option: &str) -> Result<Credentials, Error> {
    // RFC 1929 section 2: each has 255 octets at most, and the name one at least.
    let (user, password) = text
        .split_once(':')
        .filter(|(user, password)| (1..=255).contains(&user.len()) && password.len() <= 255)
        .ok_or_else(|| Error::usage(format!("{option} wants NAME:PASSWORD, each of 255 octets at most")))?;
    Ok(Credentials { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_user_has_a_name_and_a_password() {
        let read = |text: &str| super::read(&[text.to_owned()], None);
        let users = read("me:a:b").unwrap();
        assert_eq!((&*users[0].user, &*users[0].password), ("me", "a:b"));
        assert!(read("me:").is_ok());
        let long = "x".repeat(256);
        for text in ["", "me", ":x", &format!("{long}:x"), &format!("x:{long}")] {
            let error = read(text).unwrap_err();
            assert!(!error.lines[0].contains(&long), "it is not shown");
        }
        assert_eq!(super::read(&[], None), Ok(Vec::new()));
    }
}
