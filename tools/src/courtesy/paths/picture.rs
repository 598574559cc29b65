//! Regret against SYNs: a point for each policy, the oracle in the corner.

use super::survey::Row;
use crate::scatter::{self, Height, Point, Scatter};

pub(super) fn picture(twelve: &[Row], few: &[Row]) -> String {
    let charts = [
        chart("Sites of twelve addresses", points(twelve)),
        chart("Sites of 1.7 addresses on average", points(few)),
    ];
    let description = "For each way to connect the mean time beyond the fastest handshake that there was, and how many SYNs it takes. \
                       The numbers are in courtesy.md.";
    scatter::page("Courtesy: regret against SYNs", description, &charts)
}

fn points(rows: &[Row]) -> Vec<Point> {
    let oracle = Point { name: "the oracle".into(), class: "best", x: 1.0, y: Height::At(0.0) };
    let policies = rows.iter().map(|(name, costs)| {
        let class = if name.starts_with("connie") { "ours" } else { "rival" };
        let later = &costs.later;
        Point { name: name.replace('`', ""), class, x: later.syns(), y: Height::At(later.regret().max(0.0)) }
    });
    std::iter::once(oracle).chain(policies).collect()
}

fn chart(title: &'static str, points: Vec<Point>) -> Scatter {
    let regret = |point: &Point| if let Height::At(regret) = point.y { regret } else { 0.0 };
    let most = points.iter().map(regret).fold(1.0, f64::max);
    let step = if most > 40.0 { 20.0 } else { 5.0 };
    let steps = (most / step).ceil() as u32;
    Scatter {
        title,
        notes: vec![
            "Simulated. Each visit but the first: mean time".into(),
            "beyond the fastest handshake there was.".into(),
        ],
        x_name: "SYNs a visit",
        x_ticks: vec![1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0],
        most: 14.0,
        y_ticks: (0..=steps).map(|tick| f64::from(tick) * step).collect(),
        unit: "ms",
        rows: Vec::new(),
        rows_name: "",
        points,
    }
}
