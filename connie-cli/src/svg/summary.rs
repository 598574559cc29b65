//! The picture that sums up a comparison: how long each took, on one scale.

use std::fmt;

use super::{CHARACTER, Escaped, Frame, MARGIN, ROW, WIDTH, close, head};

/// How much room a note behind a bar has.
const NOTE: f64 = 170.0;
/// Who takes longer than this many times the one before gets a bar that is cut short, so that the others can
/// be told apart: at this many the shorter bar is still a dozen pixels long.
const CUT: f64 = 40.0;

/// How long each of several took, on one scale.
pub struct SummaryChart {
    /// What was compared.
    pub title: String,
    /// One line about it.
    pub about: String,
    /// Each of them.
    pub entries: Vec<SummaryRow>,
}

/// One of those that are compared.
pub struct SummaryRow {
    /// What to call it.
    pub name: String,
    /// How long it took, in words.
    pub time: String,
    /// The same in any unit.
    pub length: f64,
    /// What else it took.
    pub cost: String,
    /// What stands behind its bar.
    pub note: String,
    /// Whether it is one of those that the picture is about.
    pub is_ours: bool,
}

impl SummaryChart {
    /// The height of the picture.
    pub(super) fn height(&self) -> f64 {
        head(&self.title, &self.about) + ROW * self.entries.len() as f64 + 8.0
    }

    /// Writes the picture at the top of the one that contains it.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = Frame { top: 0.0, width: WIDTH, height: self.height(), scale: 1.0 };
        frame.write(f, [&self.title, &self.title, &self.about])?;
        let widest = self.entries.iter().map(|entry| entry.cost.chars().count()).max().unwrap_or(0);
        let time = WIDTH - MARGIN - widest as f64 * CHARACTER - 12.0;
        for (index, entry) in self.entries.iter().enumerate() {
            let y = head(&self.title, &self.about) + ROW * index as f64;
            let base = y + 13.0;
            let won = if entry.is_ours { "won" } else { "" };
            let [name, took, also] = [&entry.name, &entry.time, &entry.cost].map(|text| Escaped(text));
            writeln!(f, r#"<text class="{won}" x="{MARGIN}" y="{base:.1}">{name}</text>"#)?;
            writeln!(
                f,
                r#"<text class="{won}" x="{time:.1}" y="{base:.1}" text-anchor="end">{took}</text>"#
            )?;
            let right = WIDTH - MARGIN;
            writeln!(
                f,
                r#"<text class="{won}" x="{right:.1}" y="{base:.1}" text-anchor="end">{also}</text>"#
            )?;
            self.write_bar(f, entry, y + 18.0)?;
        }
        close(f)
    }

    fn write_bar(&self, f: &mut fmt::Formatter<'_>, entry: &SummaryRow, top: f64) -> fmt::Result {
        let (longest, most) = (self.longest(), WIDTH - 2.0 * MARGIN - NOTE);
        let class = if entry.is_ours { "established" } else { "canceled" };
        // A bar that is cut is visibly longer than the longest one that is not.
        let is_cut = entry.length > longest;
        let width = if is_cut { most } else { (most - 30.0) * entry.length / longest };
        let width = width.max(2.0);
        writeln!(
            f,
            r#"<rect class="{class} bar" x="{MARGIN}" y="{top:.1}" width="{width:.1}" height="8" rx="2"/>"#
        )?;
        if is_cut {
            let (x, above, below) = (MARGIN + most - 20.0, top - 2.0, top + 10.0);
            for x in [x, x + 8.0] {
                writeln!(f, r#"<path class="cut" d="M{x:.1} {below:.1}L{:.1} {above:.1}"/>"#, x + 5.0)?;
            }
        }
        let (x, base, note) = (MARGIN + width + 8.0, top + 8.5, Escaped(&entry.note));
        writeln!(f, r#"<text class="soft" x="{x:.1}" y="{base:.1}">{note}</text>"#)
    }

    /// The longest whose bar is drawn in full.
    fn longest(&self) -> f64 {
        let mut lengths: Vec<f64> = self.entries.iter().map(|entry| entry.length).collect();
        lengths.sort_by(f64::total_cmp);
        let mut longest = lengths.first().copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
        for length in lengths {
            if length <= longest * CUT {
                longest = longest.max(length);
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest(lengths: &[f64]) -> f64 {
        let entry = |length: &f64| SummaryRow {
            name: String::new(),
            time: String::new(),
            length: *length,
            cost: String::new(),
            note: String::new(),
            is_ours: false,
        };
        let (title, about) = (String::new(), String::new());
        SummaryChart { title, about, entries: lengths.iter().map(entry).collect() }.longest()
    }

    #[test]
    fn a_bar_is_cut_that_would_make_the_others_too_short_to_tell_apart() {
        assert_eq!(longest(&[312.0, 1_224.0, 127_200.0]), 1_224.0);
        assert_eq!(longest(&[300.0, 40.0, 3_000.0]), 3_000.0);
        assert_eq!(longest(&[40.0, 40.0, 40.0]), 40.0);
        assert_eq!(longest(&[10.0, 400.1]), 10.0);
    }
}
