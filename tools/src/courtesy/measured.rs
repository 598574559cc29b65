//! What a part of `docs/courtesy.md` comes to.

/// What a part has measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// For its place in the page, as Markdown.
    pub text: String,
    /// Pictures beside the page: the name of each, and what is in it.
    pub pictures: Vec<(&'static str, String)>,
}
