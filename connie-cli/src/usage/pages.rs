//! Checks the commands in the pages against the options that exist.

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::parse;

/// The pages that users read; none where the crate is built outside the repository.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let Ok(docs) = fs::read_dir(root.join("docs")) else { return Vec::new() };
    let docs = docs.map(|entry| entry.expect("an entry of docs/").path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    // These show former texts and names, and mistakes.
    let pages = pages.filter(|path| !path.ends_with("errors.md") && !path.ends_with("names.md"));
    pages.chain(["README.md", "connie-cli/README.md"].map(|name| root.join(name))).collect()
}

/// The words of a shell command, up to a comment, a pipe, a redirection or the next command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for one in line.chars() {
        match quote {
            Some(mark) if one == mark => quote = None,
            None if matches!(one, '\'' | '"') => {
                quote = Some(one);
                word.get_or_insert_default();
            }
            None if one == ' ' => words.extend(word.take()),
            None if matches!(one, '|' | ';' | '>' | '<' | '&') || (one == '#' && word.is_none()) => break,
            _ => word.get_or_insert_default().push(one),
        }
    }
    words.extend(word);
    words
}

/// The commands of a page that begin with the program's name, and whether they are in a block of code rather
/// than in a span.
fn commands(page: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    for (index, part) in page.split("```").enumerate() {
        if index % 2 == 0 {
            // A span may continue on the next line.
            let spans = part
                .split('`')
                .skip(1)
                .step_by(2)
                .map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
            found.extend(spans.filter(|span| span.starts_with("connie ")).map(|span| (false, span)));
        } else if let Some((kind, code)) = part.split_once('\n') {
            let lines = code.replace("\\\n", " ");
            let prompt = if kind == "console" { "$ " } else { "" };
            let lines = lines.lines().filter_map(|line| line.trim().strip_prefix(prompt).map(str::to_owned));
            found.extend(
                lines
                    .filter(|line| matches!(kind, "sh" | "console") && line.starts_with("connie "))
                    .map(|line| (true, line)),
            );
        }
    }
    found
}

/// A span may leave arguments out; a command in a block is complete.
#[test]
fn every_command_of_a_page_is_one() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for path in pages() {
        for (whole, command) in commands(&fs::read_to_string(&path).expect("a page")) {
            seen += 1;
            let Err(error) = parse(&words(&command)) else { continue };
            let left_out =
                [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
            let printed = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
            if !printed.contains(&error.kind()) && (whole || !left_out.contains(&error.kind())) {
                let text = error.to_string();
                wrong.push(format!(
                    "{}: `{command}`: {}",
                    path.display(),
                    text.lines().next().unwrap_or_default()
                ));
            }
        }
    }
    assert!(pages().is_empty() || seen >= 40, "{seen} commands");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_command_ends_where_the_shell_has_its_own() {
    assert_eq!(words("connie get -d '{\"a\": 1}' h > f"), ["connie", "get", "-d", "{\"a\": 1}", "h"]);
    assert_eq!(words("connie race a:1   # why"), ["connie", "race", "a:1"]);
    let page =
        "`connie get\n-s` and `conni` ```x`\n```console\n$ connie race a:1 \\\n  --json\nconnie get b\n```\n";
    assert_eq!(commands("`connie get\n-s` and `conni`\n")[0], (false, "connie get -s".to_owned()));
    assert_eq!(commands(&page.replace(" ```x`", ""))[1..], [(true, "connie race a:1    --json".to_owned())]);
}
