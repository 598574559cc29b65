//! The parts of every picture: a page, lines, text, a logarithmic axis.
//!
//! A page is narrow enough for a telephone, with text that can still be read there: 11 pixels on a screen
//! of 360. On a wide screen it is shown somewhat larger. All lengths are in pixels of the page.

use std::fmt::Write;

/// The width of a page.
pub(crate) const WIDTH: f64 = 480.0;
/// How wide a page is shown where there is room.
const SHOWN: f64 = 600.0;
/// Left of all texts.
pub(crate) const MARGIN: f64 = 16.0;
/// Where the first line of text below the title stands.
pub(crate) const NOTES: f64 = 54.0;
/// From one line of text to the next.
pub(crate) const LEADING: f64 = 19.0;

/// What the page, its grid and its texts look like, in light and in the dark.
const STYLE: &str = "
  text { font: 15px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328; }
  text.title { font-size: 17px; font-weight: bold; }
  text.soft { fill: #59636e; }
  text.end { text-anchor: end; }
  text.middle { text-anchor: middle; }
  .page { fill: #ffffff; stroke: #d0d7de; }
  .grid { stroke: #e4e8ec; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    text.soft { fill: #9198a1; }
    .page { fill: #0d1117; stroke: #3d444d; }
    .grid { stroke: #262c36; }
  }
";

/// An SVG of `height`: a page with rounded corners, and `content` on it in the `style` of its own.
pub(crate) fn page(title: &str, description: &str, height: f64, style: &str, content: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{SHOWN}\" \
         height=\"{}\" role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n<style>{STYLE}{}</style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n{content}</svg>\n",
        height * SHOWN / WIDTH,
        escape(title),
        escape(description),
        style.trim_start_matches('\n'),
        WIDTH - 1.0,
        height - 1.0,
    )
}

/// A title, and lines below it.
pub(crate) fn head<'a>(svg: &mut String, title: &str, notes: impl IntoIterator<Item = &'a str>) {
    text(svg, "title", MARGIN, 30.0, title);
    for (line, note) in notes.into_iter().enumerate() {
        text(svg, "soft", MARGIN, NOTES + LEADING * line as f64, note);
    }
}

/// Where `value` lies between `least` (0) and `most` (1) on a logarithmic scale.
pub(crate) fn portion(value: f64, least: f64, most: f64) -> f64 {
    (value / least).ln() / (most / least).ln()
}

/// A straight line of a class that styles it.
pub(crate) fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

/// A text whose baseline begins at `x`, `y`.
pub(crate) fn text(svg: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(text));
}

/// `text` as the content of an element.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
