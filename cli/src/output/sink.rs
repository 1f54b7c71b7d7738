//! Where lines go.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use super::{Bar, Step, Stream};

/// Takes lines and progress. Called from any thread.
pub(crate) trait Sink: Send + Sync {
    /// Takes one line, without its end.
    fn line(&self, stream: Stream, text: &str) -> io::Result<()>;

    /// Shows how far something is; nothing when it is over.
    fn progress(&self, step: Option<&Step>);
}

/// The streams of this process. Styles stay where a stream is a terminal that shows them.
#[derive(Default)]
pub(crate) struct Streams {
    bar: Mutex<Bar>,
}

impl Sink for Streams {
    fn line(&self, stream: Stream, text: &str) -> io::Result<()> {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        bar.suspend(|| match stream {
            Stream::Out => {
                let mut out = anstream::stdout().lock();
                writeln!(out, "{text}")?;
                out.flush()
            }
            Stream::Err => writeln!(anstream::stderr().lock(), "{text}"),
        })
    }

    fn progress(&self, step: Option<&Step>) {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner).show(step);
    }
}

/// Keeps the lines of standard output, for a caller in this process.
#[derive(Default)]
pub(crate) struct Capture {
    lines: Mutex<Vec<String>>,
}

impl Capture {
    /// The lines so far, which are forgotten.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Capture {
    fn line(&self, _: Stream, text: &str) -> io::Result<()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        Ok(())
    }

    fn progress(&self, _: Option<&Step>) {}
}
