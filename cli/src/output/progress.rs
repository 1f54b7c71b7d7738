//! Bars for what takes over a second.

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::Sink;

/// What takes less than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Steps are passed on at most this often: a bar needs no more.
const EVERY: Duration = Duration::from_millis(100);

/// How far something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// What it is.
    pub(crate) label: String,
    /// How much is done.
    pub(crate) done: u64,
    /// How much there is, as far as is known.
    pub(crate) total: u64,
}

/// Tells a sink how far something is, seldom enough. Dropping it ends the bar.
pub(crate) struct Progress {
    label: &'static str,
    sink: Arc<dyn Sink>,
    last: Mutex<Instant>,
    shown: std::sync::atomic::AtomicBool,
}

impl Progress {
    pub(super) fn new(label: &'static str, sink: Arc<dyn Sink>) -> Self {
        Self { label, sink, last: Mutex::new(Instant::now()), shown: false.into() }
    }

    /// So much is done.
    pub(crate) fn set(&self, done: u64, total: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = self.shown.load(std::sync::atomic::Ordering::Relaxed);
        if last.elapsed() < if shown { EVERY } else { PATIENCE } {
            return;
        }
        *last = Instant::now();
        self.shown.store(true, std::sync::atomic::Ordering::Relaxed);
        self.sink.progress(Some(&Step { label: self.label.into(), done, total }));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if *self.shown.get_mut() {
            self.sink.progress(None);
        }
    }
}

/// A bar on standard error, if that is a terminal.
#[derive(Default)]
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    /// Shows a step; nothing takes the bar away.
    pub(crate) fn show(&mut self, step: Option<&Step>) {
        let Some(step) = step else {
            if let Some(bar) = self.0.take() {
                bar.finish_and_clear();
            }
            return;
        };
        if self.0.is_none() && std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(step.total);
            if let Ok(style) =
                ProgressStyle::with_template("{msg:>12} [{bar:40}] {human_pos}/{human_len} {per_sec} {eta}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            self.0 = Some(bar);
        }
        if let Some(bar) = &self.0 {
            bar.set_message(step.label.clone());
            bar.set_length(step.total);
            bar.set_position(step.done);
        }
    }

    /// Prints while the bar is away.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}
