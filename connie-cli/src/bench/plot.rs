//! A picture of all trials: a row for each contender at each site, a dot for each trial, on a logarithmic
//! axis of time.

use std::fmt::{self, Display, Formatter};

use super::report::{BenchReport, Part};
use super::statistics::percentile;
use super::trial::Trial;
use crate::args::Contender;
use crate::svg::{Escaped, MARGIN, STYLE};

/// The width of the picture, in pixels like all lengths here.
const WIDTH: f64 = 960.0;
/// Where the time axis begins and ends.
const LEFT: f64 = 176.0;
const RIGHT: f64 = 786.0;
/// Where failures are drawn, to the right of all times.
const RAIL: f64 = 842.0;
const TOP: f64 = 84.0;
const ROW: f64 = 44.0;
/// The name of a site above its rows.
const HEADING: f64 = 44.0;
/// How far dots are strewn around the middle of their row, so that they do not hide each other.
const SPREAD: f64 = 12.0;

/// Colours of the contenders, beside what every picture has.
const OWN_STYLE: &str = "
  .connie { fill: #1a7f37; stroke: #1a7f37; }
  .no-memory { fill: #bc4c00; stroke: #bc4c00; }
  .happy-eyeballs { fill: #0969da; stroke: #0969da; }
  .plain { fill: #bf8700; stroke: #bf8700; }
  .random { fill: #8250df; stroke: #8250df; }
  .dot { stroke: none; fill-opacity: 0.35; }
  .box { stroke: none; fill-opacity: 0.18; }
  .median { stroke-width: 2.5; }
  .cross { fill: none; stroke-width: 1.4; stroke-opacity: 0.6; }
  text.head { font-weight: bold; }
";

/// A report that prints as SVG.
pub struct Plot<'a>(pub &'a BenchReport);

impl Display for Plot<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let rows = report.sites.len() as f64 * (HEADING + ROW * report.contenders.len() as f64);
        let height = TOP + rows + 64.0;
        let axis = Axis::of(report);
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">"#
        )?;
        writeln!(f, "<title>connie bench: {}</title>\n<style>{STYLE}{OWN_STYLE}</style>", report.measures)?;
        let (inner, tall) = (WIDTH - 1.0, height - 1.0);
        writeln!(f, r#"<rect class="page" x="0.5" y="0.5" width="{inner}" height="{tall}" rx="8"/>"#)?;
        writeln!(f, r#"<text class="title" x="{MARGIN}" y="36">connie bench: {}</text>"#, report.measures)?;
        let size = report.size();
        writeln!(
            f,
            r#"<text class="sum soft" x="{MARGIN}" y="58">{size}; a dot for each trial, a box for the middle half, a bar at the median, × for a failure</text>"#
        )?;
        axis.write(f, TOP + rows)?;
        let mut y = TOP;
        for (site, (name, about)) in report.sites.iter().enumerate() {
            let (name, about) = (Escaped(name), Escaped(about));
            writeln!(
                f,
                r#"<text class="head" x="{MARGIN}" y="{:.1}">{name} <tspan class="soft" font-weight="normal">{about}</tspan></text>"#,
                y + 28.0
            )?;
            y += HEADING;
            for &contender in &report.contenders {
                write_row(f, report, &axis, site, contender, y)?;
                y += ROW;
            }
        }
        f.write_str("</svg>\n")
    }
}

/// The logarithmic axis of time, from one power of ten to another.
struct Axis {
    /// In milliseconds.
    first: f64,
    last: f64,
}

impl Axis {
    fn of(report: &BenchReport) -> Self {
        let succeeded = report.trials.iter().filter(|trial| trial.result.is_ok());
        let millis = succeeded.map(|trial| (trial.elapsed.as_secs_f64() * 1_000.0).max(0.01));
        let (least, most) =
            millis.fold((f64::INFINITY, 0.0_f64), |(low, high), time| (low.min(time), high.max(time)));
        if most == 0.0 {
            return Axis { first: 1.0, last: 1_000.0 };
        }
        let first = floor_step(least);
        Axis { first, last: ceil_step(most).max(first * 2.0) }
    }

    fn x(&self, millis: f64) -> f64 {
        let share = (millis.max(self.first) / self.first).ln() / (self.last / self.first).ln();
        LEFT + (RIGHT - LEFT) * share.clamp(0.0, 1.0)
    }

    fn write(&self, f: &mut Formatter<'_>, bottom: f64) -> fmt::Result {
        let span = (self.last / self.first).log10();
        // Over a wide range the steps between powers of ten would crowd.
        let factors: &[f64] = if span > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let mut power = 10_f64.powf(self.first.log10().floor());
        while power <= self.last * 1.001 {
            for tick in factors.iter().map(|factor| factor * power) {
                if tick >= self.first * 0.999 && tick <= self.last * 1.001 {
                    self.write_tick(f, tick, bottom)?;
                }
            }
            power *= 10.0;
        }
        writeln!(f, r#"<path class="grid" d="M{RAIL:.1} {TOP:.1}V{:.1}"/>"#, bottom + 4.0)?;
        writeln!(
            f,
            r#"<text class="soft" x="{RAIL:.1}" y="{:.1}" text-anchor="middle">failed</text>"#,
            bottom + 22.0
        )
    }

    fn write_tick(&self, f: &mut Formatter<'_>, tick: f64, bottom: f64) -> fmt::Result {
        let x = self.x(tick);
        let name =
            if tick >= 1_000.0 { format!("{} s", tick / 1_000.0) } else { format!("{} ms", round(tick)) };
        writeln!(f, r#"<path class="grid" d="M{x:.1} {TOP:.1}V{:.1}"/>"#, bottom + 4.0)?;
        writeln!(
            f,
            r#"<text class="soft" x="{x:.1}" y="{:.1}" text-anchor="middle">{name}</text>"#,
            bottom + 22.0
        )
    }
}

fn write_row(
    f: &mut Formatter<'_>,
    report: &BenchReport,
    axis: &Axis,
    site: usize,
    contender: Contender,
    y: f64,
) -> fmt::Result {
    let class = contender.name();
    let middle = y + ROW / 2.0;
    writeln!(f, r#"<text x="{:.1}" y="{:.1}">{class}</text>"#, MARGIN + 12.0, middle + 4.0)?;
    let trials: Vec<&Trial> = report.of(site, contender, Part::All).collect();
    let mut times: Vec<u64> = trials.iter().map(|trial| trial.counted(report.limit)).collect();
    times.sort_unstable();
    // Beyond the axis, where half of the trials failed, a box would say nothing.
    let at = |percent| axis.x(percentile(&times, percent) as f64 / 1_000.0);
    let failed = trials.iter().filter(|trial| trial.result.is_err()).count();
    let (low, high) = (at(25), at(75));
    if failed * 4 < trials.len() {
        writeln!(
            f,
            r#"<rect class="{class} box" x="{low:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="3"/>"#,
            middle - SPREAD - 3.0,
            (high - low).max(2.0),
            SPREAD * 2.0 + 6.0
        )?;
    }
    for (place, trial) in trials.iter().enumerate() {
        // The golden ratio strews any number of dots evenly, and the same way each time.
        let offset = ((place as f64 * 0.618_034).fract() - 0.5) * 2.0 * SPREAD;
        write_trial(f, axis, trial, class, middle + offset)?;
    }
    if failed * 2 < trials.len() {
        let (x, top, bottom) = (at(50), middle - SPREAD - 5.0, middle + SPREAD + 5.0);
        writeln!(f, r#"<path class="{class} median" d="M{x:.1} {top:.1}V{bottom:.1}"/>"#)?;
    }
    if failed > 0 {
        writeln!(
            f,
            r#"<text class="soft" x="{:.1}" y="{:.1}">{failed} of {}</text>"#,
            RAIL + 18.0,
            middle + 4.0,
            trials.len()
        )?;
    }
    Ok(())
}

fn write_trial(f: &mut Formatter<'_>, axis: &Axis, trial: &Trial, class: &str, y: f64) -> fmt::Result {
    if trial.result.is_ok() {
        let x = axis.x(trial.elapsed.as_secs_f64() * 1_000.0);
        return writeln!(f, r#"<circle class="{class} dot" cx="{x:.1}" cy="{y:.1}" r="2.6"/>"#);
    }
    let (left, right, top, bottom) = (RAIL - 3.0, RAIL + 3.0, y - 3.0, y + 3.0);
    writeln!(
        f,
        r#"<path class="{class} cross" d="M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{right:.1} {top:.1}L{left:.1} {bottom:.1}"/>"#
    )
}

/// The greatest of 1, 2, 5, 10 ... that is not above `number`.
fn floor_step(number: f64) -> f64 {
    let power = 10_f64.powf(number.log10().floor());
    [5.0, 2.0, 1.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step <= number * 1.000_001)
        .unwrap_or(power)
}

/// The least of 1, 2, 5, 10 ... that is not below `number`.
fn ceil_step(number: f64) -> f64 {
    let power = 10_f64.powf(number.log10().floor());
    let steps = [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power);
    steps.into_iter().find(|step| *step >= number * 0.999_999).unwrap_or(power * 10.0)
}

/// The number without the noise of its last binary digits.
fn round(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_begins_and_ends_at_round_numbers() {
        assert_eq!([0.3, 1.0, 4.9, 35.0].map(|number| round(floor_step(number))), [0.2, 1.0, 2.0, 20.0]);
        assert_eq!([0.3, 1.0, 5.1, 35.0].map(|number| round(ceil_step(number))), [0.5, 1.0, 10.0, 50.0]);
    }

    #[test]
    fn equal_factors_take_equal_room() {
        let axis = Axis { first: 1.0, last: 100.0 };
        assert_eq!((axis.x(1.0), axis.x(10.0), axis.x(100.0)), (LEFT, f64::midpoint(LEFT, RIGHT), RIGHT));
        assert_eq!((axis.x(0.1), axis.x(1e9)), (LEFT, RIGHT));
    }
}
