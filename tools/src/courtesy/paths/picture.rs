//! Regret against SYNs: a point for each policy, the oracle in the corner.

use std::fmt::Write;

use super::survey::Row;
use crate::svg::{self, line, portion, text};

const HEIGHT: f64 = 430.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 900.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 370.0;
/// Between two texts.
const LEADING: f64 = 15.0;
/// The most SYNs there is room for.
const MOST: f64 = 14.0;

const STYLE: &str = "
  .lead { stroke: #afb8c1; }
  .connie { fill: #0969da; } text.connie { font-weight: bold; }
  .rival { fill: #59636e; } text.rival { fill: #59636e; }
  .oracle { fill: #1a7f37; } text.oracle { fill: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    .lead { stroke: #59636e; }
    .connie { fill: #4493f8; } text.connie { fill: #4493f8; }
    .rival { fill: #9198a1; } text.rival { fill: #9198a1; }
    .oracle { fill: #3fb950; } text.oracle { fill: #3fb950; }
  }
";

/// A policy's place.
struct Point {
    name: String,
    class: &'static str,
    syns: f64,
    regret: f64,
}

pub(super) fn picture(twelve: &[Row], few: &[Row]) -> String {
    let mut content = String::new();
    let titles = ["Sites of twelve addresses", "Sites of 1.7 addresses on average"];
    for (place, (title, rows)) in titles.into_iter().zip([twelve, few]).enumerate() {
        let _ = writeln!(content, "<g transform=\"translate(0 {})\">", HEIGHT * place as f64);
        chart(&mut content, title, &points(rows));
        content.push_str("</g>\n");
    }
    let description = "For each way to connect the mean time beyond the fastest handshake that there was, and how many SYNs it takes. \
                       The numbers are in courtesy.md.";
    svg::page("Courtesy: regret against SYNs", description, HEIGHT * titles.len() as f64, STYLE, &content)
}

fn points(rows: &[Row]) -> Vec<Point> {
    let mut points = vec![Point { name: "the oracle".into(), class: "oracle", syns: 1.0, regret: 0.0 }];
    for (name, costs) in rows {
        let class = if name.starts_with("connie") { "connie" } else { "rival" };
        let later = &costs.later;
        let (syns, regret) = (later.syns(), later.regret().max(0.0));
        points.push(Point { name: name.replace('`', ""), class, syns, regret });
    }
    points
}

fn chart(svg: &mut String, title: &str, points: &[Point]) {
    let most = points.iter().map(|point| point.regret).fold(1.0, f64::max);
    let step = if most > 40.0 { 20.0 } else { 5.0 };
    let top = (most / step).ceil() * step;
    text(svg, "title", 24.0, 36.0, title);
    text(
        svg,
        "soft",
        24.0,
        58.0,
        "Each visit but the first: mean ms beyond the fastest handshake there was, against SYNs a visit",
    );
    let mut regret = 0.0;
    while regret <= top {
        let y = height(regret, top);
        line(svg, "grid", (LEFT, y), (RIGHT, y));
        text(svg, "soft end", LEFT - 8.0, y + 4.0, &format!("{regret} ms"));
        regret += step;
    }
    for syns in [1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0] {
        let x = across(syns);
        line(svg, "grid", (x, TOP), (x, BOTTOM));
        text(svg, "soft middle", x, BOTTOM + 18.0, &syns.to_string());
    }
    text(svg, "soft middle", f64::midpoint(LEFT, RIGHT), BOTTOM + 40.0, "SYNs a visit");
    for (point, y) in points.iter().zip(labels(points, top)) {
        let (x, at) = (across(point.syns), height(point.regret, top));
        let (class, side) = if is_on_the_left(point) { (" end", -1.0) } else { ("", 1.0) };
        line(svg, "lead", (x, at), (x + 12.0 * side, y - 4.0));
        let _ = writeln!(svg, "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{at:.1}\" r=\"4.5\"/>", point.class);
        text(svg, &format!("{}{class}", point.class), x + 15.0 * side, y, &point.name);
    }
}

/// Where the baselines of the names are: beside their points, or as far above as it takes to be clear of
/// other names and points.
fn labels(points: &[Point], top: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    let y = |index: usize| height(points[index].regret, top) + 4.0;
    order.sort_by(|one, other| y(*other).total_cmp(&y(*one)));
    let mut placed: Vec<(usize, f64)> = Vec::new();
    // From the bottom up.
    for index in order {
        let mut at = y(index);
        while !is_clear(points, index, at, &placed, top) && at > TOP {
            at -= 1.0;
        }
        placed.push((index, at));
    }
    placed.sort_by_key(|(index, _)| *index);
    placed.into_iter().map(|(_, at)| at).collect()
}

/// Whether the name of a point can have its baseline at `at`.
fn is_clear(points: &[Point], index: usize, at: f64, placed: &[(usize, f64)], top: f64) -> bool {
    let (from, to) = extent(&points[index]);
    let of_names = placed.iter().all(|(other, its)| {
        let (begin, end) = extent(&points[*other]);
        to < begin || end < from || (at - its).abs() >= LEADING
    });
    of_names
        && points.iter().enumerate().all(|(other, point)| {
            let (x, y) = (across(point.syns), height(point.regret, top));
            other == index || x + 6.0 < from || to < x - 6.0 || (y - at + 4.0).abs() > 11.0
        })
}

/// From where to where the name of a point goes.
fn extent(point: &Point) -> (f64, f64) {
    let (x, width) = (across(point.syns), point.name.len() as f64 * 7.2);
    if is_on_the_left(point) { (x - 15.0 - width, x - 15.0) } else { (x + 15.0, x + 15.0 + width) }
}

/// Whether there is no room for its name on the right.
fn is_on_the_left(point: &Point) -> bool {
    point.syns > 5.0
}

fn across(syns: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * portion(syns, 1.0, MOST)
}

fn height(regret: f64, top: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * regret / top
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(syns: f64, regret: f64) -> Point {
        Point { name: "a policy".into(), class: "rival", syns, regret }
    }

    #[test]
    fn the_oracle_is_in_the_corner() {
        assert_eq!((across(1.0), height(0.0, 80.0)), (LEFT, BOTTOM));
        assert_eq!((across(MOST), height(80.0, 80.0)), (RIGHT, TOP));
    }

    #[test]
    fn names_do_not_overlap() {
        let points = [point(1.2, 11.0), point(1.2, 11.2), point(1.25, 12.0), point(12.0, 11.0)];
        let at = labels(&points, 80.0);
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            assert!((at[one] - at[other]).abs() >= LEADING, "{at:?}");
        }
        assert!(
            (at[3] - height(11.0, 80.0) - 4.0).abs() < 1e-9,
            "far from the others it stays beside its point"
        );
    }
}
