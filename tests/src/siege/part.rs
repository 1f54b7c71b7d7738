//! A process with a role, and the lines that it says.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::{Outcome, ROLE, system};

/// Before each line that is meant for whoever started the process: a test's own output is around it.
const MARK: &str = "siege: ";

/// How the program is started again.
#[derive(Clone, Debug)]
pub struct Again {
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// A process with a role. It is killed when this is dropped.
pub(super) struct Part {
    process: Child,
    ear: ChildStdin,
    lines: BufReader<ChildStdout>,
}

/// Says a line to whoever started this process.
pub(super) fn tell(line: &str) {
    println!("\n{MARK}{line}");
}

impl Part {
    pub(super) fn start(again: &Again, role: &str) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(&again.arguments)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ear = process.stdin.take().ok_or("no way to speak to the process")?;
        let lines = BufReader::new(process.stdout.take().ok_or("no way to hear the process")?);
        Ok(Self { process, ear, lines })
    }

    /// The next line that it says, or nothing at its end.
    pub(super) fn hear_on(&mut self) -> Outcome<Option<String>> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            if let Some(said) = line.strip_prefix(MARK) {
                return Ok(Some(said.trim_end().to_owned()));
            }
        }
    }

    /// The next line that it says.
    pub(super) fn hear(&mut self) -> Outcome<String> {
        self.hear_on()?.ok_or_else(|| "the process ended early".into())
    }

    pub(super) fn say(&mut self, line: &str) -> Outcome<()> {
        Ok(writeln!(self.ear, "{line}")?)
    }

    /// Bytes that it had in memory at most.
    pub(super) fn peak_memory(&self) -> Outcome<u64> {
        system::peak_memory(self.process.id())
    }

    /// Milliseconds of processor time that it took so far.
    pub(super) fn processor(&self) -> Outcome<u64> {
        system::processor(self.process.id())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // What it was for is over, or has failed: either way it is of no more use.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
