//! `docs/errors.md` has every text of an error: what is said, when, and what to do. What is said is read from
//! the sources; when that is, and what to do then, a person writes into the page. A text without a row fails,
//! and so does a row without its text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use super::source::Source;
use super::{examples, implements, rust_files, without_tests, workspace};

/// Where texts are, in the files of a folder whose path ends so.
enum Texts {
    /// In how each error type is displayed.
    Errors,
    /// In the braces after this.
    After(&'static str, &'static str),
    /// In the functions that have one of these.
    Functions(&'static str, &'static [&'static str]),
    /// Anywhere.
    Whole(&'static str),
    /// From the one to the other.
    Between(&'static str, &'static str, &'static str),
    /// What Python raises.
    Raised,
}
use Texts::{After, Between, Errors, Functions, Raised, Whole};

/// A folder, and where its texts are.
type Folder = (&'static str, &'static [Texts]);

/// The page's parts: what each is about, and the folders and the places of its texts.
const PARTS: &[(&str, &[Folder])] = &[
    (
        "Addresses, names and races",
        &[
            (
                "connie-core/src",
                &[
                    Errors,
                    After("race/attempt.rs", "Display for AttemptErrorKind "),
                    After("race/attempt.rs", "fn text("),
                    Functions("verdict.rs", &["write!(", "write_str("]),
                ],
            ),
            ("connie-dns/src", &[Errors, After("record_set.rs", "Display for NameServerError ")]),
        ],
    ),
    (
        "HTTP and URLs",
        &[
            ("connie-http/src", &[Errors, After("error.rs", "fn text(")]),
            ("connie-web/src", &[Errors, Functions("url.rs", &["malformed(", "UrlError::Malformed("])]),
        ],
    ),
    (
        "The operating system, TLS and resolvers",
        &[
            (
                "connie-std/src",
                &[
                    Errors,
                    Functions("error/verdict.rs", &["Ended("]),
                    Functions("tls/error.rs", &["write!(", "write_str("]),
                    Functions("resolve/pool.rs", &["detail"]),
                    Functions("resolve/descriptor_permit.rs", &["write!("]),
                    Functions("dns/reply.rs", &["format!(", "detail"]),
                    Functions("dns/shared_name.rs", &["format!("]),
                    Functions("src/error.rs", &["format!(", "write!("]),
                    Whole("std/src/os_error.rs"),
                ],
            ),
            ("connie-hyper/src", &[Errors, Functions(".rs", &["RaceError::Uri("])]),
            ("connie-ureq/src", &[Functions(".rs", &["io::Error::new(", "Error::other("])]),
        ],
    ),
    (
        "The proxy",
        &[(
            "connie-proxy/src",
            &[
                Errors,
                After("http_request.rs", "Display for HttpFault "),
                Functions("client.rs", &["Refusal::"]),
                Functions("exchange.rs", &["Refusal::"]),
                Functions("places.rs", &["NoPlace::"]),
                Functions("status/mod.rs", &["PermissionDenied"]),
            ],
        )],
    ),
    ("Microcontrollers", &[("connie-smoltcp/src", &[Errors]), ("connie-async/src", &[Errors])]),
    (
        "WASI",
        &[(
            "connie-wasi/src",
            &[Errors, Functions("error.rs", &["ErrorCode::"]), Functions("lookup.rs", &["ErrorCode::"])],
        )],
    ),
    (
        "C",
        &[(
            "connie-c/src",
            &[
                Functions(".rs", &["CallError::", "CallError {", "ALL."]),
                Between("call_error.rs", "const ALL: ", "];"),
            ],
        )],
    ),
    ("Python", &[("connie-python/connie", &[Raised])]),
    (
        "The program",
        &[(
            "connie-cli/src",
            &[
                Whole("advice.rs"),
                Functions("src/error.rs", &["Error::", "format!("]),
                Functions("usage/wrong.rs", &["format!("]),
                Functions("args/value.rs", &["Result<"]),
                Functions("args/get.rs", &["Result<"]),
                Functions("bench/trial.rs", &["Err("]),
                Functions(".rs", &["Error::new(", "Error::usage("]),
            ],
        )],
    ),
];

/// Strings beside them that are not what is wrong.
const OTHERS: &[&str] = &[
    "connected",
    "connie: {code}{line}",
    "connie-pages: could not write into {}: {error}",
    "connie-pages: wants the folder to write into",
    "Enter {of} password for user '{login}': ",
    "{host} port {port}",
    "listening on {address}\\n",
    "status on http://{address}/\\n",
    "the interface",
];

/// One row: what is said, when, what to do.
type Row = (String, String, String);

/// The texts of a part, each once, in the order of the files.
fn texts(places: &[(&str, &[Texts])]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (folder, places) in places {
        for path in files(&workspace().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.to_str().unwrap();
            for found in places.iter().flat_map(|place| texts_of(place, name, &text)) {
                if is_said(&found) && !all.contains(&found) {
                    all.push(found);
                }
            }
        }
    }
    all
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = rust_files(folder);
    let python = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.extend(python.filter(|path| path.extension().is_some_and(|extension| extension == "py")));
    files.sort();
    files
}

fn texts_of(place: &Texts, name: &str, text: &str) -> Vec<String> {
    let source = Source::new(text);
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
    // Of these a single word may be a text, elsewhere it is a name.
    let several =
        |texts: Vec<&str>| owned(texts.into_iter().filter(|text| text.trim().contains(' ')).collect());
    match place {
        Errors => without_tests(text)
            .filter_map(implements)
            .flat_map(|error| source.texts_after(&format!("Display for {error}")).unwrap_or_default())
            .map(str::to_owned)
            .collect(),
        After(file, head) if name.ends_with(file) => match source.texts_after(head) {
            Some(texts) => owned(texts),
            None => panic!("{name} has no {head:?}: where are its texts now?"),
        },
        Functions(file, marks) if name.ends_with(file) => several(source.texts_of_functions(marks)),
        Between(file, start, end) if name.ends_with(file) => owned(source.texts_between(start, end)),
        Whole(file) if name.ends_with(file) => several(source.texts().collect()),
        Raised if name.ends_with(".py") => {
            let raised = text.lines().filter(|line| line.trim_start().starts_with("raise "));
            let said = raised.filter_map(|line| line.split_once('"')?.1.rsplit_once('"'));
            said.map(|(text, _)| text.to_owned()).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether it stands for itself: what begins with a space or a mark goes on with another text.
fn is_said(text: &str) -> bool {
    let has_words = words(text).iter().any(|piece| piece.chars().filter(|c| c.is_alphabetic()).count() > 2);
    has_words
        && text.starts_with(|c: char| c.is_alphanumeric() || "-{'".contains(c))
        && !OTHERS.contains(&text)
}

/// A text without its placeholders.
fn words(text: &str) -> Vec<&str> {
    text.split('{')
        .enumerate()
        .map(|(index, piece)| match piece.split_once('}') {
            Some((_, rest)) if index > 0 => rest,
            _ => piece,
        })
        .collect()
}

const HEAD: &str = "\
# Errors

What can be said when something is wrong, when that is, and what to do. A text in braces stands for what goes there. `{error}` is \
another text of this page, or the operating system's own words: [errno.md](errno.md) has what its numbers mean. \
The texts are read from the sources by a test, which fails where one of them has no row here.
";

fn page(parts: &[(&str, Vec<Row>)]) -> String {
    let mut page = HEAD.to_owned();
    for (title, rows) in parts {
        let _ = write!(page, "\n## {title}\n\n| says | when | what to do |\n|---|---|---|\n");
        for (says, when, todo) in rows {
            let _ = writeln!(page, "| `{says}` | {when} | {todo} |");
        }
    }
    page
}

/// When and what to do, by the part and the text.
fn written(page: &str) -> BTreeMap<(String, String), (String, String)> {
    let mut part = "";
    let mut rows = BTreeMap::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            part = title;
        }
        let Some((says, rest)) = line.strip_prefix("| `").and_then(|line| line.split_once("` | ")) else {
            continue;
        };
        let (when, todo) = rest.trim_end_matches(" |").split_once(" | ").unwrap_or((rest, ""));
        rows.insert((part.to_owned(), says.to_owned()), (when.to_owned(), todo.to_owned()));
    }
    rows
}

/// How many words two texts have in common.
fn same_words(before: &str, text: &str) -> usize {
    text.split_whitespace().filter(|word| before.split_whitespace().any(|it| it == *word)).count()
}

/// Begins what a person has to look at: nothing was written for this text yet, or it was for the text that
/// this one seems to replace.
const CHECK: &str = "CHECK ";

#[test]
fn the_page_has_every_text_of_an_error() {
    let path = workspace().join("docs/errors.md");
    let found = fs::read_to_string(&path).unwrap_or_default();
    let known = written(&found);
    let said: Vec<String> = PARTS.iter().flat_map(|(_, places)| texts(places)).collect();
    let missing = || (CHECK.to_owned(), String::new());
    let row = |part: &str, text: String| {
        let reworded = known.iter().filter(|((of, before), _)| of == part && !said.contains(before));
        let nearest = || {
            let nearest = reworded.max_by_key(|((_, before), _)| same_words(before, &text));
            nearest.map(|(_, (when, todo))| (format!("{CHECK}{when}"), todo.clone()))
        };
        let row = known.get(&(part.to_owned(), text.clone())).cloned().or_else(nearest);
        let (when, todo) = row.unwrap_or_else(missing);
        (text, when, todo)
    };
    let parts = PARTS.iter().map(|(part, places)| {
        (*part, texts(places).into_iter().map(|text| row(part, text)).collect::<Vec<_>>())
    });
    let parts: Vec<_> = parts.collect();
    assert!(parts.iter().map(|(_, rows)| rows.len()).sum::<usize>() > 200, "most texts were not found");
    let page = page(&parts);
    if std::env::var_os("CONNIE_WRITE_PAGE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let rows = parts.iter().flat_map(|(_, rows)| rows);
    let missing: Vec<_> =
        rows.filter(|row| row.1.starts_with(CHECK) || row.2.is_empty()).map(|row| &row.0).collect();
    assert!(missing.is_empty(), "say in docs/errors.md when these are said, and what to do: {missing:#?}");
    assert!(
        found == page,
        "docs/errors.md is not what the sources say: CONNIE_WRITE_PAGE=1 cargo test -p connie-tests --test error_chains"
    );
}

const OF_OTHERS: &[&str] =
    &["the modem hung up", "Connection refused (os error 111)", "unexpected end of file"];

/// What is read from the sources is what is printed.
#[test]
fn every_example_of_an_error_is_on_the_page() {
    let texts: Vec<String> = PARTS.iter().flat_map(|(_, places)| texts(places)).collect();
    let matches = |line: &str, text: &str| {
        let mut rest = Some(line);
        for piece in words(text).into_iter().filter(|piece| !piece.is_empty()) {
            rest = rest.and_then(|rest| rest.split_once(piece)).map(|(_, rest)| rest);
        }
        rest.is_some()
    };
    let mut missing = Vec::new();
    for (name, errors) in examples() {
        for error in errors {
            let line = error.to_string();
            // Of somebody else's stack, or the operating system's own words.
            if OF_OTHERS.contains(&line.as_str()) {
                continue;
            }
            if !texts.iter().any(|text| matches(&line, text)) {
                missing.push(format!("{name}: {line:?}"));
            }
        }
    }
    assert!(missing.is_empty(), "these are not on the page: {missing:#?}");
}
