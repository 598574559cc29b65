//! A bar on stderr that says how much of a body has come. Quick transfers show none.

#[cfg(feature = "progress")]
pub use bar::Progress;
#[cfg(not(feature = "progress"))]
pub use none::Progress;

#[cfg(feature = "progress")]
mod bar {
    use std::io::{self, IsTerminal};

    use connie_core::Instant;
    use connie_std::OsClock;
    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

    /// The bar, where one is wanted. It is gone when it is dropped.
    pub struct Progress(Option<Bar>);

    struct Bar {
        clock: OsClock,
        shown: bool,
        bar: ProgressBar,
    }

    impl Progress {
        /// Of a transfer of `total` bytes, of which `start` are there. `wanted` counts where stderr is a
        /// terminal.
        pub fn new(wanted: bool, start: u64, total: Option<u64>) -> Self {
            Progress((wanted && io::stderr().is_terminal()).then(|| Bar::new(start, total)))
        }

        pub fn add(&mut self, bytes: usize) {
            if let Some(bar) = &mut self.0 {
                bar.add(bytes);
            }
        }
    }

    impl Bar {
        /// What takes no longer is not worth a bar.
        const FIRST: Instant = Instant::from_millis(500);
        /// How often a terminal is drawn to.
        const HERTZ: u8 = 10;
        const KNOWN: &str = "{bytes} of {total_bytes} {wide_bar} {percent} % {binary_bytes_per_sec} {eta}";
        const UNKNOWN: &str = "{bytes} {spinner} {binary_bytes_per_sec}";

        fn new(start: u64, total: Option<u64>) -> Self {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
            let template = if total.is_some() { Self::KNOWN } else { Self::UNKNOWN };
            if let Ok(style) = ProgressStyle::with_template(template) {
                let unicode = crate::terminal::style(&io::stderr()).unicode;
                bar.set_style(match unicode {
                    true => style.progress_chars("━╸─"),
                    false => style.progress_chars("=> ").tick_chars("|/-\\"),
                });
            }
            // What is there already says nothing about the speed.
            bar.set_position(start);
            bar.reset_eta();
            Bar { clock: OsClock::start(), shown: false, bar }
        }

        fn add(&mut self, bytes: usize) {
            self.bar.inc(bytes as u64);
            if !self.shown && self.clock.now() >= Self::FIRST {
                self.shown = true;
                self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(Self::HERTZ));
            }
        }
    }

    impl Drop for Bar {
        fn drop(&mut self) {
            if self.shown {
                self.bar.finish_and_clear();
            }
        }
    }
}

#[cfg(not(feature = "progress"))]
mod none {
    /// Nothing, in a program that was built without it.
    pub struct Progress;

    impl Progress {
        pub fn new(_: bool, _: u64, _: Option<u64>) -> Self {
            Progress
        }

        pub fn add(&mut self, _: usize) {}
    }
}
