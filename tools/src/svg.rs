//! What every picture is made of: a page, lines, texts, a logarithmic axis. All figures are pixels.

use std::fmt::Write;

/// The width of a page.
pub(crate) const WIDTH: f64 = 960.0;

/// What the page, its grid and its texts look like, in light and in the dark.
const STYLE: &str = "
  text { font: 12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328; }
  text.title { font-size: 16px; font-weight: bold; }
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
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n<style>{STYLE}{}</style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n{content}</svg>\n",
        escape(title),
        escape(description),
        style.trim_start_matches('\n'),
        WIDTH - 1.0,
        height - 1.0,
    )
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
