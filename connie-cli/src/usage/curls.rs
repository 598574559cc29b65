//! What curl accepts on a command line and clap by itself does not; and the options of curl that `connie get`
//! lacks, with what to do instead.
//!
//! Options are made when they are met, since each takes time to make.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

/// Flags that ask for what is done anyway.
const ACCEPTED: [&str; 10] = [
    "basic",
    "clobber",
    "progress-bar",
    "proxy-basic",
    "sessionid",
    "socks5-basic",
    "tcp-nodelay",
    "no-alpn",
    "no-npn",
    "no-progress-bar",
];

/// The same of one letter.
const ACCEPTED_LETTERS: [(char, &str); 2] = [('#', "the letter #"), ('1', "the letter 1")];

/// Flags that have a `--no-...` form alone in the list of options, and are taken without the `no-`, too.
const POSITIVE: [&str; 3] = ["buffer", "keepalive", "progress-meter"];

/// Options that choose one of several, which no `--no-...` takes back.
const CHOICES: [&str; 4] = ["http1.1", "ipv4", "ipv6", "tlsv1.2"];

/// Whether the options of `connie get` are not enough to read this word.
pub fn is_unusual(word: &OsString) -> bool {
    let Some(text) = word.to_str() else { return false };
    match text.strip_prefix("--") {
        Some(name) => {
            name == "url" || name.starts_with("no-") || ACCEPTED.contains(&name) || POSITIVE.contains(&name)
        }
        None => text.starts_with('-') && (text.contains('=') || letters_in(text).next().is_some()),
    }
}

fn letters_in(text: &str) -> impl Iterator<Item = (char, &'static str)> {
    ACCEPTED_LETTERS.into_iter().filter(move |(letter, _)| text.contains(*letter))
}

/// `connie get` with the options that these words ask for besides its own.
pub fn extended(get: Command, words: &[OsString]) -> Command {
    let mut texts: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.into_iter().fold(get, |get, text| match text.strip_prefix("--") {
        Some(name) => with_flag(get, name),
        None if text.starts_with('-') => letters_in(text).fold(get, |get, (letter, id)| {
            let is_known = get.get_arguments().any(|argument| argument.get_short() == Some(letter));
            if is_known { get } else { get.arg(flag(id).short(letter)) }
        }),
        None => get,
    })
}

/// The same with this flag, where it is one that is missing.
fn with_flag(get: Command, name: &str) -> Command {
    if get.get_arguments().any(|argument| has_long(argument, name)) {
        return get;
    }
    if let Some(name) = ACCEPTED.into_iter().find(|accepted| *accepted == name) {
        return get.arg(flag(name).long(name));
    }
    let takes_back = match name.strip_prefix("no-") {
        _ if POSITIVE.contains(&name) => format!("no-{name}"),
        Some(flag) if !CHOICES.contains(&flag) && !flag.starts_with("no-") => flag.to_owned(),
        _ => return get,
    };
    let is_it = |argument: &&Arg| {
        has_long(argument, &takes_back) && matches!(argument.get_action(), ArgAction::SetTrue)
    };
    let taken_back = get.get_arguments().find(is_it).map(|argument| argument.get_id().clone());
    match taken_back {
        Some(id) => {
            // clap takes names that live as long as the program. There are few, and they are made once.
            let name: &'static str = name.to_owned().leak();
            get.arg(flag(name).long(name).overrides_with(id))
        }
        None => get,
    }
}

/// A flag that is not in the help.
fn flag(id: &'static str) -> Arg {
    Arg::new(id).hide(true).action(ArgAction::SetTrue)
}

fn has_long(argument: &Arg, long: &str) -> bool {
    argument.get_long_and_visible_aliases().is_some_and(|longs| longs.contains(&long))
}

/// The words after the name of the command, without `--url`, and with the value of a letter in a word of its
/// own where it begins with `=`: for clap `-o=a` names the file `a`, for curl `=a`.
pub fn with_values_apart(command: &Command, words: &[OsString]) -> Vec<OsString> {
    let takes_value = |is_it: &dyn Fn(&Arg) -> bool| {
        command.get_arguments().find(|argument| is_it(argument)).is_some_and(super::takes_values)
    };
    let mut apart = Vec::with_capacity(words.len());
    let mut words = words.iter();
    let mut is_value = false;
    while let Some(word) = words.next() {
        // What follows is a URL like any other.
        if word == "--url" && !is_value && words.len() > 0 {
            continue;
        }
        let text = word.to_str().filter(|_| !std::mem::take(&mut is_value)).unwrap_or_default();
        let letters = text.strip_prefix('-').filter(|rest| !rest.starts_with('-')).unwrap_or_default();
        let mut letters = letters.char_indices();
        let with_value = letters.find(|(_, letter)| takes_value(&|it| it.get_short() == Some(*letter)));
        match with_value.map(|(at, letter)| text.split_at(1 + at + letter.len_utf8())) {
            Some((option, value)) if value.starts_with('=') => {
                apart.extend([OsString::from(option), OsString::from(value)]);
                continue;
            }
            Some((_, value)) => is_value = value.is_empty(),
            None if text == "--" => {
                apart.push(word.clone());
                apart.extend(words.by_ref().cloned());
                return apart;
            }
            None => {
                let long = text.strip_prefix("--");
                is_value = long.is_some_and(|long| takes_value(&|it| has_long(it, long)));
            }
        }
        apart.push(word.clone());
    }
    apart
}

/// What to do instead of an option of curl that `connie get` lacks.
pub fn instead(option: &str) -> Option<&'static str> {
    let option = option.split_once('=').map_or(option, |(option, _)| option);
    let positive = option.strip_prefix("--no-").map(|name| format!("--{name}"));
    let listed = |name: &str| OTHERS.iter().find(|(names, _)| names.split(' ').any(|it| it == name));
    match (listed(option), positive.as_deref().and_then(listed)) {
        (Some((_, what)), _) => Some(what),
        (None, Some(_)) => Some("what it turns off is not done here: leave it out"),
        (None, None) => None,
    }
}

/// Options of curl that `connie get` lacks.
const OTHERS: &[(&str, &str)] = &[
    (
        "-b --cookie -c --cookie-jar -j --junk-session-cookies",
        "cookies are curl's business; -H 'Cookie: NAME=VALUE' sends one",
    ),
    ("-K --config", "configuration files are curl's business; give the options here"),
    ("-n --netrc --netrc-file --netrc-optional", "logins are not read from files: give -u USER:PASSWORD"),
    (
        "-a --append -l --list-only -B --use-ascii -P --ftp-port -Q --quote --crlf --disable-eprt --disable-epsv \
         --ftp-account --ftp-alternative-to-user --ftp-create-dirs --ftp-method --ftp-pasv --ftp-pret \
         --ftp-skip-pasv-ip --ftp-ssl-ccc --ftp-ssl-ccc-mode --ftp-ssl-control --ftp-ssl --ftp-ssl-reqd --krb --ssl \
         --ssl-reqd",
        "FTP and mail are curl's business; for TLS, give an https URL",
    ),
    (
        "--mail-auth --mail-from --mail-rcpt --mail-rcpt-allowfails --login-options --sasl-authzid --sasl-ir",
        "mail is curl's business",
    ),
    (
        "--compressed-ssh --hostpubmd5 --hostpubsha256 --pubkey -t --telnet-option --tftp-blksize --tftp-no-options",
        "SSH, Telnet and TFTP are curl's business",
    ),
    (
        "--http2 --http2-prior-knowledge --http3 --http3-only --proxy-http2",
        "HTTP/2 and HTTP/3 are curl's business; without it HTTP/1.1 is spoken",
    ),
    (
        "-0 --http1.0 --http0.9 --proxy1.0",
        "HTTP/1.1 is what is spoken, and HTTP/1.0 is understood: leave it out",
    ),
    (
        "--anyauth --digest --negotiate --ntlm --ntlm-wb --aws-sigv4 --delegation --service-name --proxy-anyauth \
         --proxy-digest --proxy-negotiate --proxy-ntlm --proxy-service-name --socks5-gssapi --socks5-gssapi-nec \
         --socks5-gssapi-service",
        "the Basic scheme is the one way to log in: give -u or -U alone, or use curl",
    ),
    ("--oauth2-bearer", "give -H 'Authorization: Bearer TOKEN'"),
    (
        "-F --form --form-string --form-escape",
        "forms of several parts are curl's business; -d sends a plain one",
    ),
    ("-: --next", "a run has one set of options: run connie get once for each"),
    (
        "--socks4 --socks4a --preproxy",
        "there is one proxy, of kind http, https, socks5 or socks5h: give it with -x",
    ),
    ("--proxy-header", "no header is for the proxy alone; use curl"),
    (
        "--proxy-cert --proxy-cert-type --proxy-key --proxy-key-type --proxy-pass",
        "a proxy is shown no certificate; use curl",
    ),
    (
        "--ciphers --curves --tls13-ciphers --proxy-ciphers --proxy-tls13-ciphers --ssl-allow-beast \
         --proxy-ssl-allow-beast --false-start --engine --egd-file --random-file --alpn --npn",
        "TLS chooses by itself among what is safe: leave it out",
    ),
    (
        "--tlsv1.3 --tls-max --proxy-tlsv1 -2 --sslv2 -3 --sslv3",
        "the newest of TLS 1.2 and 1.3 that both sides know is spoken: leave it out",
    ),
    (
        "--no-basic --no-proxy-basic --no-socks5-basic",
        "the Basic scheme is the one way to log in: leave it out",
    ),
    ("--no-tcp-nodelay", "what is written leaves at once: leave it out"),
    ("--no-sessionid", "sessions of TLS are kept until the run ends, and no longer: leave it out"),
    (
        "--cert-status --crlfile --proxy-crlfile --ssl-no-revoke --ssl-revoke-best-effort",
        "nobody is asked whether a certificate is revoked; use curl",
    ),
    ("--ca-native --proxy-ca-native", "leave it out, or give certificates with --cacert"),
    ("--ech", "the name of the host is not hidden from the network; use curl"),
    ("--capath --proxy-capath", "give the certificates in one file, with --cacert or --proxy-cacert"),
    (
        "--cert-type --key-type --pass",
        "certificates and keys are PEM without a password: convert them with openssl",
    ),
    ("--pinnedpubkey --proxy-pinnedpubkey", "keys are not pinned; use curl"),
    (
        "--tlsauthtype --tlspassword --tlsuser --proxy-tlsauthtype --proxy-tlspassword --proxy-tlsuser",
        "TLS has no login by password here; use curl",
    ),
    ("--ssl-auto-client-cert --proxy-ssl-auto-client-cert", "give the certificate with --cert FILE"),
    (
        "--dns-interface --dns-ipv4-addr --dns-ipv6-addr --doh-url --doh-insecure --doh-cert-status",
        "names are asked for as the system does, or of --dns-server ADDR",
    ),
    (
        "-J --remote-header-name",
        "the server does not name files: give -o FILE, or -O for the name in the URL",
    ),
    ("-R --remote-time --xattr", "a file gets its content and nothing else; use curl"),
    ("--skip-existing --no-clobber", "a file that is there is replaced: give another name with -o"),
    (
        "--remove-on-error",
        "what has come of a file stays, for -C - to go on with: remove it if the exit code is not 0",
    ),
    ("--create-file-mode", "files get the mode that umask allows: set umask before"),
    ("--out-null", "give -o /dev/null"),
    ("--stderr", "let the shell do it: 2>FILE"),
    ("--trace --trace-ascii --trace-time", "-v shows the race and all heads"),
    ("--libcurl", "this program is made without libcurl; use curl"),
    ("-M --manual", "see connie get --help"),
    ("--limit-rate --rate", "nothing is slowed down; use curl"),
    ("-Y --speed-limit -y --speed-time", "give the longest time that it may take with -m SECONDS"),
    ("--max-filesize", "bodies of any size are taken; use curl"),
    ("-z --time-cond", "give -H 'If-Modified-Since: DATE'"),
    ("--etag-compare --etag-save", "give -H 'If-None-Match: ETAG'"),
    (
        "--proto --proto-redir --disallow-username-in-url",
        "http and https URLs are fetched, and no others; to refuse some of these, use curl",
    ),
    ("--proto-default", "without a scheme it is http: write https:// before the host"),
    (
        "--post301 --post302 --post303",
        "-L changes POST to GET after 301, 302 and 303, as browsers do, and keeps it after 307 and 308; use curl",
    ),
    ("--path-as-is", "dots are taken out of a path, as RFC 3986 has it; --request-target sends any"),
    ("--raw --ignore-content-length --tr-encoding", "bodies are read as HTTP/1.1 has them; use curl"),
    (
        "--unix-socket --abstract-unix-socket --haproxy-protocol --haproxy-clientip --tcp-fastopen --mptcp --ip-tos \
         --vlan-priority",
        "connections are plain TCP, as the race opens them; use curl",
    ),
    ("--parallel-max-host", "--max-in-flight bounds the sockets of all transfers"),
    ("--variable", "the shell has variables; use it or curl"),
    ("--alt-svc --hsts", "nothing but --memory is kept from one run to the next: leave it out"),
    ("--styled-output --metalink", "heads and bodies are printed as they come: leave it out"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::command_for;

    #[test]
    fn a_value_keeps_the_equals_sign_that_it_begins_with() {
        let apart = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let command = command_for(&[&[OsString::from("connie"), "get".into()], &words[..]].concat());
            let get = command.find_subcommand("get").unwrap();
            with_values_apart(get, &words).join(&OsString::from(" ")).into_string().unwrap()
        };
        assert_eq!(apart("-o=a h"), "-o =a h");
        assert_eq!(apart("-sLo=a -d=b=c h"), "-sLo =a -d =b=c h");
        assert_eq!(apart("--url h -d --url --url i"), "h -d --url i");
        for same in [
            "-oa=b h",
            "-d -o=a h",
            "-H -X=y --data -o=a h",
            "-d= -- -o=a",
            "--data=x -o=",
            "-s=x -o",
            "h -d",
        ] {
            let expected = same
                .replace("-d= ", "-d = ")
                .replace("-o=", if same.starts_with("--data=x") { "-o =" } else { "-o=" });
            assert_eq!(apart(same), expected);
        }
    }

    /// `docs/get.md`, where the sources of the whole project are. With `CONNIE_WRITE_PAGE=1` it is written.
    #[test]
    fn the_page_has_each_of_them() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/get.md");
        let Ok(page) = std::fs::read_to_string(path) else { return };
        let head = "| options of curl | instead |\n|---|---|\n";
        let (before, _) = page.split_once(head).expect("the page has a table");
        let row = |(names, what): &(&str, &str)| {
            let names: Vec<_> = names.split(' ').map(|name| format!("`{name}`")).collect();
            format!("| {} | {what} |\n", names.join(", "))
        };
        let expected = format!("{before}{head}{}", OTHERS.iter().map(row).collect::<String>());
        if std::env::var_os("CONNIE_WRITE_PAGE").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        assert!(page == expected, "CONNIE_WRITE_PAGE=1 writes docs/get.md anew");
    }

    #[test]
    fn each_option_has_one_line_and_no_other_meaning() {
        let command = command_for(&["connie".into(), "get".into(), "--no-x".into()]);
        let get = command.find_subcommand("get").unwrap();
        let mut names: Vec<&str> = OTHERS.iter().flat_map(|(names, _)| names.split(' ')).collect();
        for name in &names {
            let long = name.strip_prefix("--");
            let is_ours = |argument: &Arg| match long {
                Some(long) => has_long(argument, long),
                None => argument.get_short() == name.chars().nth(1),
            };
            assert!(!get.get_arguments().any(is_ours), "{name} is an option");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "one is listed twice");
        for (names, what) in OTHERS {
            assert!(what.len() < 110 && !what.contains('\n'), "{names}: {what}");
        }
    }
}
