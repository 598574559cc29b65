//! A bar on stderr that says how much of a body has come. Quick transfers show none. Several at a time have a
//! line each, with the name of the transfer.

#[cfg(feature = "progress")]
pub use bar::{Progress, beside_bars, share_the_terminal};
#[cfg(not(feature = "progress"))]
pub use none::{Progress, beside_bars, share_the_terminal};

#[cfg(feature = "progress")]
mod bar {
    use std::io::{self, IsTerminal};
    use std::sync::OnceLock;

    use connie_core::Instant;
    use connie_std::OsClock;
    use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

    /// The bars of several transfers. There is one stderr, and so there is one of these.
    static BARS: OnceLock<MultiProgress> = OnceLock::new();

    /// How often a terminal is drawn to.
    const HERTZ: u8 = 10;

    /// Bars have the terminal together from here on.
    pub fn share_the_terminal() {
        BARS.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(HERTZ)));
    }

    /// Prints something where the bars are, which come again below it.
    pub fn beside_bars(print: impl FnOnce()) {
        match BARS.get() {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

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
        pub fn new(wanted: bool, name: Option<&str>, start: u64, total: Option<u64>) -> Self {
            Progress((wanted && io::stderr().is_terminal()).then(|| Bar::new(name, start, total)))
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
        /// How much of a name is shown: its end, which differs.
        const NAME: usize = 24;
        const KNOWN: &str = "{bytes} of {total_bytes} {wide_bar} {percent} % {binary_bytes_per_sec} {eta}";
        const UNKNOWN: &str = "{bytes} {spinner} {binary_bytes_per_sec}";

        fn new(name: Option<&str>, start: u64, total: Option<u64>) -> Self {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
            let template = if total.is_some() { Self::KNOWN } else { Self::UNKNOWN };
            let template = match name {
                Some(_) => format!("{{prefix:{}}} {template}", Self::NAME),
                None => template.to_owned(),
            };
            if let Ok(style) = ProgressStyle::with_template(&template) {
                let unicode = crate::terminal::style(&io::stderr()).unicode;
                bar.set_style(match unicode {
                    true => style.progress_chars("━╸─"),
                    false => style.progress_chars("=> ").tick_chars("|/-\\"),
                });
            }
            bar.set_prefix(name.map(shortened).unwrap_or_default());
            // What is there already says nothing about the speed.
            bar.set_position(start);
            bar.reset_eta();
            Bar { clock: OsClock::start(), shown: false, bar }
        }

        fn add(&mut self, bytes: usize) {
            self.bar.inc(bytes as u64);
            if !self.shown && self.clock.now() >= Self::FIRST {
                self.shown = true;
                match BARS.get() {
                    Some(bars) => self.bar = bars.add(self.bar.clone()),
                    None => self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(HERTZ)),
                }
            }
        }
    }

    impl Drop for Bar {
        fn drop(&mut self) {
            if self.shown {
                self.bar.finish_and_clear();
                if let Some(bars) = BARS.get() {
                    bars.remove(&self.bar);
                }
            }
        }
    }

    /// The end of a name. What a terminal would act on is shown as dots.
    fn shortened(name: &str) -> String {
        let surplus = name.chars().count().saturating_sub(Bar::NAME);
        let end = name.chars().skip(surplus).map(|c| if c.is_control() { '.' } else { c });
        if surplus == 0 { end.collect() } else { "..".chars().chain(end.skip(2)).collect() }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn of_a_long_name_the_end_is_shown() {
            assert_eq!(shortened("h/a\x1b"), "h/a.");
            assert_eq!(shortened("12345678/0123456789abcde"), "12345678/0123456789abcde");
            assert_eq!(shortened("http://12345678/0123456789abcde"), "..345678/0123456789abcde");
        }
    }
}

#[cfg(not(feature = "progress"))]
mod none {
    /// Nothing, in a program that was built without it.
    pub struct Progress;

    impl Progress {
        pub fn new(_: bool, _: Option<&str>, _: u64, _: Option<u64>) -> Self {
            Progress
        }

        pub fn add(&mut self, _: usize) {}
    }

    pub fn share_the_terminal() {}

    pub fn beside_bars(print: impl FnOnce()) {
        print();
    }
}
