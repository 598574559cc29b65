//! Draws regret against SYNs: a point for each policy, the oracle in the corner. The data are the tables in
//! `docs/courtesy.md`.

use crate::scatter::{self, Height, Point, Scatter};

/// The headings of the tables that are drawn, and the title of each chart.
const TABLES: [(&str, &str); 2] = [
    ("### Twelve addresses\n", "Sites of twelve addresses"),
    ("### 1.7 addresses on average\n", "Sites of 1.7 addresses on average"),
];

/// A policy whose point would cover another's.
const LEFT_OUT: &str = "connie, each delay 100 ms or more";

/// The picture of this page.
///
/// # Errors
///
/// What the page lacks.
pub fn picture(page: &str) -> Result<String, String> {
    let mut charts = Vec::new();
    for (head, title) in TABLES {
        let (_, table) = page.split_once(head).ok_or_else(|| format!("there is no {head:?}"))?;
        charts.push(chart(title, points(table)?));
    }
    let description = "For each way to connect the mean time beyond the fastest handshake that there was, and how many SYNs it takes. \
                       The numbers are in courtesy.md.";
    Ok(scatter::page("Courtesy: regret against SYNs", description, &charts))
}

fn points(table: &str) -> Result<Vec<Point>, String> {
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let mut points = vec![Point { name: "the oracle".into(), class: "best", x: 1.0, y: Height::At(0.0) }];
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let figure = |at: usize| cells.get(at).and_then(|cell| cell.parse::<f64>().ok());
        let (Some(name), Some(regret), Some(syns)) = (cells.first(), figure(1), figure(4)) else {
            return Err(format!("a policy lacks its regret or its SYNs: {row}"));
        };
        if *name != LEFT_OUT {
            let class = if name.starts_with("connie") { "ours" } else { "rival" };
            points.push(Point {
                name: name.replace('`', ""),
                class,
                x: syns,
                y: Height::At(regret.max(0.0)),
            });
        }
    }
    Ok(points)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_its_regret_and_its_syns_and_what_the_page_lacks_is_said() {
        let table =
            "\n| | mean | 95 % | 99 % | SYNs |\n|---|--:|--:|--:|--:|\n| connie | 8.3 | 4 | 1 | 1.20 |\n\n";
        let points = points(table).unwrap();
        assert_eq!((points[1].x, points[1].y, points.len()), (1.2, Height::At(8.3), 2));
        assert!(super::points(&table.replace("8.3", "soon")).is_err());
        assert_eq!(picture("").unwrap_err(), "there is no \"### Twelve addresses\\n\"");
    }
}
