//! What is told on the way.

use std::{
    fmt, io,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde::Serialize;

use crate::output::{Bytes, Output, Shown, bad, faint, good, strong};

/// Characters of a command that are shown before what came of it.
const WIDTH: usize = 40;

/// Tells what happens.
pub(super) struct Guide<'a> {
    out: &'a Output,
    chapters: AtomicUsize,
}

#[derive(Serialize)]
struct Title<'a> {
    title: &'a str,
}

impl fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        strong(Shown(self.title)).fmt(f)
    }
}

#[derive(Serialize)]
struct Chapter<'a> {
    #[serde(skip)]
    number: usize,
    chapter: &'a str,
}

impl fmt::Display for Chapter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", strong(format_args!("{}  {}", self.number, self.chapter)))
    }
}

#[derive(Serialize)]
struct Told<'a> {
    node: &'a str,
    command: &'a str,
    result: &'a str,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = Shown(self.command).to_string();
        let pad = WIDTH.saturating_sub(command.chars().count());
        write!(f, "   {} {} {command}", strong(self.node), faint("$"))?;
        if pad == 0 {
            return write!(f, "\n     {}", Shown(self.result));
        }
        write!(f, "{:pad$}  {}", "", Shown(self.result))
    }
}

/// What one step of the tour took.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Took {
    pub(super) step: String,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) round_trips: u64,
    pub(super) seconds: f64,
}

/// How the tour ended.
#[derive(Serialize)]
pub(super) struct Verdict {
    /// Whether both nodes hold the same.
    pub(super) same: bool,
    pub(super) steps: Vec<Took>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.same {
            writeln!(f, "\n   {}: the same tips, the same content on both nodes\n", good("same"))?;
        } else {
            writeln!(f, "\n   {}: the nodes differ\n", bad("not the same"))?;
        }
        let head =
            format!("   {:<24}{:>9}{:>13}{:>13}{:>10}", "step", "entries", "bytes", "round trips", "seconds");
        write!(f, "{}", faint(head))?;
        for step in &self.steps {
            let trips = if step.round_trips == 0 { "-".to_owned() } else { step.round_trips.to_string() };
            write!(
                f,
                "\n   {:<24}{:>9}{:>13}{trips:>13}{:>10.3}",
                step.step,
                step.entries,
                Bytes(step.bytes),
                step.seconds
            )?;
        }
        Ok(())
    }
}

impl<'a> Guide<'a> {
    pub(super) fn new(out: &'a Output) -> Self {
        Self { out, chapters: AtomicUsize::new(1) }
    }

    pub(super) fn title(&self, title: &str) -> io::Result<()> {
        self.out.put(&Title { title })
    }

    pub(super) fn chapter(&self, chapter: &str) -> io::Result<()> {
        let number = self.chapters.fetch_add(1, Ordering::Relaxed);
        self.out.put(&Chapter { number, chapter })
    }

    /// What a node was told to do, and what came of it.
    pub(super) fn tell(&self, node: &str, command: &str, result: &str) -> anyhow::Result<()> {
        Ok(self.out.put(&Told { node, command, result })?)
    }

    /// More of what came of it, for people.
    pub(super) fn note(&self, note: &str) -> io::Result<()> {
        if self.out.is_json() { Ok(()) } else { self.out.data(&format!("       {note}")) }
    }

    pub(super) fn verdict(&self, verdict: &Verdict) -> io::Result<()> {
        self.out.put(verdict)
    }
}
