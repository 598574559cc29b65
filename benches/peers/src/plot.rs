//! The picture: a row for each network, a mark for each client, on a logarithmic axis of time.

use std::fmt::Write as _;

use crate::clients::{Client, Kind};
use crate::scenarios::Scenario;
use crate::trial::Trial;

/// In pixels, as all figures here.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 220.0;
const RIGHT: f64 = 850.0;
/// Where those stand that took too long.
const RAIL: f64 = 900.0;
const TOP: f64 = 132.0;
const ROW: f64 = 30.0;
/// The ends of the axis, in milliseconds.
const FIRST: f64 = 30.0;
const LAST: f64 = 10_000.0;

const STYLE: &str = "
  text { font: 12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328; }
  text.title { font-size: 16px; font-weight: bold; }
  text.soft { fill: #59636e; }
  .page { fill: #ffffff; stroke: #d0d7de; }
  .grid { stroke: #e4e8ec; }
  .oracle { stroke: #1f2328; stroke-width: 2; }
  .connie { fill: #1a7f37; }
  .peer { fill-opacity: 0.75; stroke: #ffffff; stroke-width: 0.8; }
  .c0 { fill: #0969da; } .c1 { fill: #54aeff; } .c2 { fill: #bf8700; } .c3 { fill: #8250df; }
  .c4 { fill: #cf222e; } .c5 { fill: #bc4c00; } .c6 { fill: #953800; } .c7 { fill: #6e7781; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } text.soft { fill: #9198a1; } .page { fill: #0d1117; stroke: #3d444d; } .grid { stroke: #262c36; }
    .oracle { stroke: #e6edf3; } .connie { fill: #3fb950; } .peer { stroke: #0d1117; }
  }
";

/// Below the title. Where a first SYN is lost, a second one gets through before the bar.
const ABOUT: &str = "bar: the best with one SYN to each address, which a client that sends a second one can beat; logarithmic";

pub fn draw(scenarios: &[Scenario], clients: &[Client], results: &[Vec<Trial>]) -> String {
    let height = TOP + ROW * scenarios.len() as f64 + 44.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>connie beside other clients</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        WIDTH - 1.0,
        height - 1.0
    );
    text(&mut svg, "title", 24.0, 36.0, "start", "From the first query to the request at the server");
    text(&mut svg, "soft", 24.0, 56.0, "start", ABOUT);
    let shown: Vec<usize> = (0..clients.len()).filter(|index| is_shown(&clients[*index])).collect();
    legend(&mut svg, clients, &shown);
    axis(&mut svg, height);
    for (row, (scenario, trials)) in scenarios.iter().zip(results).enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        text(&mut svg, "", 24.0, y + 4.0, "start", scenario.name);
        // Peers first, so that they do not hide the bar, and connie is on top.
        let (peers, own): (Vec<usize>, Vec<usize>) =
            shown.iter().partition(|index| clients[**index].kind.is_peer());
        let marks = |indices: &[usize], svg: &mut String| {
            for &index in indices.iter().rev() {
                let at = trials[index].time.map_or(RAIL, |time| x(time.as_secs_f64() * 1e3));
                mark(svg, clients, &shown, index, at, y);
            }
        };
        marks(&peers, &mut svg);
        if let Some(oracle) = scenario.oracle {
            let x = x(oracle.as_secs_f64() * 1e3);
            let _ = writeln!(svg, "<path class=\"oracle\" d=\"M{x:.1} {:.1}V{:.1}\"/>", y - 13.0, y + 13.0);
        }
        marks(&own, &mut svg);
    }
    svg.push_str("</svg>\n");
    svg
}

/// One connie is enough in a picture.
fn is_shown(client: &Client) -> bool {
    client.kind.is_peer() || client.kind == Kind::AllAtOnce(16)
}

fn mark(svg: &mut String, clients: &[Client], shown: &[usize], index: usize, x: f64, y: f64) {
    let client = &clients[index];
    let name = &client.name;
    if !client.kind.is_peer() {
        let (top, right, bottom, left) = (y - 8.0, x + 8.0, y + 8.0, x - 8.0);
        let _ = writeln!(
            svg,
            "<path class=\"connie\" d=\"M{x:.1} {top:.1}L{right:.1} {y:.1}L{x:.1} {bottom:.1}L{left:.1} {y:.1}Z\"><title>{name}</title></path>"
        );
        return;
    }
    let (place, colour) = colour(clients, shown, index);
    // Strewn, so that those at the same place are all seen.
    let offset = (place as f64 - 3.5) * 2.6;
    let _ = writeln!(
        svg,
        "<circle class=\"peer {colour}\" cx=\"{x:.1}\" cy=\"{:.1}\" r=\"5\"><title>{name}</title></circle>",
        y + offset
    );
}

fn colour(clients: &[Client], shown: &[usize], index: usize) -> (usize, String) {
    let place = shown.iter().filter(|other| clients[**other].kind.is_peer() && **other < index).count();
    (place, format!("c{}", place % 8))
}

fn legend(svg: &mut String, clients: &[Client], shown: &[usize]) {
    let mut at = 30.0;
    for &index in shown {
        mark(
            svg,
            clients,
            shown,
            index,
            at,
            86.0 - if clients[index].kind.is_peer() {
                (colour(clients, shown, index).0 as f64 - 3.5) * 2.6
            } else {
                0.0
            },
        );
        let name = clients[index].name.split(", 16").next().unwrap_or_default();
        text(svg, "", at + 12.0, 90.0, "start", name);
        at += 30.0 + name.len() as f64 * 7.2;
    }
}

fn axis(svg: &mut String, height: f64) {
    let bottom = height - 40.0;
    for (millis, name) in [
        (50.0, "50 ms"),
        (100.0, "100 ms"),
        (200.0, "200 ms"),
        (500.0, "500 ms"),
        (1_000.0, "1 s"),
        (2_000.0, "2 s"),
        (5_000.0, "5 s"),
        (10_000.0, "10 s"),
    ] {
        let x = x(millis);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{x:.1} {TOP:.1}V{bottom:.1}\"/>");
        text(svg, "soft", x, bottom + 18.0, "middle", name);
    }
    let _ = writeln!(svg, "<path class=\"grid\" d=\"M{RAIL:.1} {TOP:.1}V{bottom:.1}\"/>");
    text(svg, "soft", RAIL, bottom + 18.0, "middle", "longer");
}

fn x(millis: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * ((millis.max(FIRST) / FIRST).ln() / (LAST / FIRST).ln()).clamp(0.0, 1.0)
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
