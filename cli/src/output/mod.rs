//! Everything that a command prints goes through here: for people, or as one JSON value a line.
//!
//! | file | holds |
//! |---|---|
//! | `sink` | where lines go: this process's streams, or a caller in another process |
//! | `progress` | bars for what takes over a second |
//! | `escape` | text of others, made safe for a terminal |
//! | `units` | numbers for people |

mod escape;
mod progress;
mod sink;
mod units;

use std::{fmt, io, sync::Arc};

use serde::Serialize;

pub(crate) use escape::Shown;
pub(crate) use progress::{Bar, Progress, Step};
pub(crate) use sink::{Capture, Sink, Streams};
pub(crate) use units::{Bytes, Counted, Moment, entries};

/// Where the results of one command go, and in which form.
#[derive(Clone)]
pub(crate) struct Output {
    json: bool,
    sink: Arc<dyn Sink>,
}

/// Which stream a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output: results.
    Out,
    /// Standard error: errors, and remarks for people.
    Err,
}

impl Output {
    /// Prints to `sink`.
    pub(crate) fn new(json: bool, sink: Arc<dyn Sink>) -> Self {
        Self { json, sink }
    }

    /// Whether each line is a JSON value.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one result: its fields, or how people read it (nothing if that is empty).
    pub(crate) fn put(&self, record: &(impl Serialize + fmt::Display)) -> io::Result<()> {
        let text = if self.json { escape::json(&serde_json::to_string(record)?) } else { record.to_string() };
        if text.is_empty() { Ok(()) } else { self.sink.line(Stream::Out, &text) }
    }

    /// Prints one line that is data in itself, whatever the form.
    pub(crate) fn data(&self, line: &str) -> io::Result<()> {
        self.sink.line(Stream::Out, &escape::json(line))
    }

    /// Tells people something; it is no result, so with `--json` nothing.
    pub(crate) fn remark(&self, text: impl fmt::Display) -> io::Result<()> {
        if self.json { Ok(()) } else { self.sink.line(Stream::Err, &text.to_string()) }
    }

    /// Prints an error with its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        #[derive(Serialize)]
        struct Failed {
            error: String,
        }
        let text = format!("{error:#}");
        let line = if self.json {
            escape::json(&serde_json::to_string(&Failed { error: text }).unwrap_or_default())
        } else {
            format!("error: {}", Shown(&text))
        };
        // There is nobody left to tell if this fails.
        let _ = self.sink.line(Stream::Err, &line);
    }

    /// Where lines go.
    pub(crate) fn sink(&self) -> &dyn Sink {
        &*self.sink
    }

    /// Starts to show how far something is.
    pub(crate) fn progress(&self, label: &'static str) -> Progress {
        Progress::new(label, Arc::clone(&self.sink))
    }
}

/// A style that stays only where the stream is a terminal.
pub(crate) struct Styled<T>(pub(crate) anstyle::Style, pub(crate) T);

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.render())?;
        self.1.fmt(f)?;
        write!(f, "{}", self.0.render_reset())
    }
}

/// What is read first.
pub(crate) const fn strong<T>(text: T) -> Styled<T> {
    Styled(anstyle::Style::new().bold(), text)
}

/// What is read last.
pub(crate) const fn faint<T>(text: T) -> Styled<T> {
    Styled(anstyle::Style::new().dimmed(), text)
}

/// What went well.
pub(crate) const fn good<T>(text: T) -> Styled<T> {
    Styled(anstyle::AnsiColor::Green.on_default().bold(), text)
}

/// What did not.
pub(crate) const fn bad<T>(text: T) -> Styled<T> {
    Styled(anstyle::AnsiColor::Red.on_default().bold(), text)
}
