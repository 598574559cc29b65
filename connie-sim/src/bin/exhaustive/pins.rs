//! How much each setting has to search, as it was accepted.

use std::fs;

/// The counts of one kind of setting.
#[derive(Clone, Copy)]
pub(crate) struct Pins {
    /// A line for each setting.
    accepted: &'static str,
    path: &'static str,
}

impl Pins {
    pub(crate) const RACES: Pins = Pins {
        accepted: include_str!("accepted.txt"),
        path: concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/exhaustive/accepted.txt"),
    };
    pub(crate) const NAMES: Pins = Pins {
        accepted: include_str!("accepted_names.txt"),
        path: concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/exhaustive/accepted_names.txt"),
    };

    pub(crate) const MEMORIES: Pins = Pins {
        accepted: include_str!("accepted_memories.txt"),
        path: concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/exhaustive/accepted_memories.txt"),
    };

    /// Holds what was found against what was accepted, and says what differs, line by line.
    pub(crate) fn compare(self, found: &[String]) -> bool {
        let accepted: Vec<&str> = self.accepted.lines().collect();
        let new = found.iter().filter(|line| !accepted.contains(&line.as_str()));
        let gone = accepted.iter().filter(|line| !found.iter().any(|found| found == *line));
        let gone = gone.map(|line| format!("accepted: {line}"));
        let differences: Vec<String> = gone.chain(new.map(|line| format!("searched: {line}"))).collect();
        if differences.is_empty() && accepted.len() == found.len() {
            return true;
        }
        for line in differences {
            eprintln!("{line}");
        }
        eprintln!(
            "exhaustive: {} settings were searched, {} were accepted, and the lines above differ. Fewer states may be \
             states that nobody checks any more. If it is meant, -- --accept writes them down: in a commit of its own \
             that says why",
            found.len(),
            accepted.len(),
        );
        false
    }

    /// Writes what was found in place of what was accepted.
    pub(crate) fn accept(self, found: &[String]) -> bool {
        match fs::write(self.path, found.join("\n") + "\n") {
            Ok(()) => {
                println!("wrote {}: commit it with the reason", self.path);
                true
            }
            Err(error) => {
                eprintln!("exhaustive: {}: {error}", self.path);
                false
            }
        }
    }
}
