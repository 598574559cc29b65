//! Circles among the arrows.

use super::{Arrows, Use};

/// The circles of files: each a set of files that reach each other, sorted. Empty where every arrow points
/// one way.
///
/// A parent and its child may use each other (`race/mod.rs` and `race/gate.rs`): a module may split itself
/// up. So a circle that needs such arrows counts only if it leads out of the family, which is one parent and
/// its children.
#[must_use]
pub fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for circle in sets(arrows, |_| true) {
        if is_family(&circle) {
            found.extend(sets(&within(arrows, &circle), |used| !used.kin));
        } else {
            found.push(circle);
        }
    }
    found
}

/// The sets of two files or more that reach each other by the arrows that `counts` lets pass.
fn sets(arrows: &Arrows, counts: impl Fn(&Use) -> bool + Copy) -> Vec<Vec<String>> {
    let mut sets: Vec<Vec<String>> = Vec::new();
    for file in arrows.keys() {
        if sets.iter().any(|set| set.contains(file)) {
            continue;
        }
        let onward = reached(arrows, file, counts);
        let returns = |other: &&String| reached(arrows, other, counts).contains(file);
        let set: Vec<String> = onward.iter().filter(returns).cloned().collect();
        if set.len() > 1 {
            sets.push(set);
        }
    }
    sets
}

/// All files that `file` leads to; itself too, where it lies on a circle. Sorted.
fn reached(arrows: &Arrows, file: &str, counts: impl Fn(&Use) -> bool) -> Vec<String> {
    let mut reached: Vec<String> = Vec::new();
    let mut open = vec![file.to_string()];
    while let Some(next) = open.pop() {
        for (to, _) in arrows.get(&next).into_iter().flatten().filter(|(_, used)| counts(used)) {
            if !reached.contains(to) {
                reached.push(to.clone());
                open.push(to.clone());
            }
        }
    }
    reached.sort();
    reached
}

fn within(arrows: &Arrows, files: &[String]) -> Arrows {
    let inner = arrows.iter().filter(|(file, _)| files.contains(file));
    inner
        .map(|(file, uses)| {
            let kept = uses.iter().filter(|(to, _)| files.contains(to));
            (file.clone(), kept.map(|(to, used)| (to.clone(), used.clone())).collect())
        })
        .collect()
}

/// Whether the files are one parent and some of its children, by their names.
fn is_family(files: &[String]) -> bool {
    files.iter().any(|parent| {
        let below = match parent.strip_suffix("mod.rs").or_else(|| parent.strip_suffix("lib.rs")) {
            Some(directory) => directory.to_string(),
            None => format!("{}/", parent.trim_end_matches(".rs")),
        };
        files.iter().filter(|file| *file != parent).all(|file| {
            file.strip_prefix(&below).is_some_and(|rest| !rest.trim_end_matches("/mod.rs").contains('/'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph of files; `~` marks an arrow between parent and child.
    fn graph(arrows: &[(&str, &str)]) -> Arrows {
        let mut graph = Arrows::new();
        for &(from, to) in arrows {
            let (to, kin) = to.strip_prefix('~').map_or((to, false), |to| (to, true));
            graph.entry(to.to_string()).or_default();
            let used = Use { line: 1, name: String::new(), kin };
            graph.entry(from.to_string()).or_default().insert(to.to_string(), used);
        }
        graph
    }

    #[test]
    fn a_chain_is_no_circle() {
        assert!(circles(&graph(&[("a.rs", "b.rs"), ("b.rs", "c.rs"), ("a.rs", "c.rs")])).is_empty());
    }

    #[test]
    fn two_circles_are_told_apart() {
        let arrows = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "c"), ("e", "f")];
        assert_eq!(circles(&graph(&arrows)), [vec!["a", "b"], vec!["c", "d", "e"]]);
    }

    #[test]
    fn a_parent_and_its_children_may_use_each_other() {
        let arrows = [("race/mod.rs", "~race/gate.rs"), ("race/gate.rs", "~race/mod.rs")];
        assert!(circles(&graph(&arrows)).is_empty());
    }

    #[test]
    fn two_children_may_not_though_they_have_a_parent() {
        let arrows = [
            ("race/mod.rs", "~race/gate.rs"),
            ("race/gate.rs", "~race/mod.rs"),
            ("race/gate.rs", "race/input.rs"),
            ("race/input.rs", "race/gate.rs"),
        ];
        assert_eq!(circles(&graph(&arrows)), [vec!["race/gate.rs", "race/input.rs"]]);
    }

    #[test]
    fn a_circle_through_a_parent_that_leads_out_of_the_family_counts() {
        let arrows =
            [("race/mod.rs", "~race/gate.rs"), ("race/gate.rs", "time.rs"), ("time.rs", "race/mod.rs")];
        assert_eq!(circles(&graph(&arrows)), [vec!["race/gate.rs", "race/mod.rs", "time.rs"]]);
    }
}
