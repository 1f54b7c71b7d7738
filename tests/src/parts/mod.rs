//! A program that starts itself again, once for each role of what it plays: processes, and the lines that they say.
//!
//! Whoever starts them asks for [`role`] first in every process.

pub mod system;

use std::{
    error::Error,
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Whatever goes wrong with the play itself.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The variable that names a process's role.
const ROLE: &str = "PLEACH_PART";

/// Before each line that is meant for whoever started the process: a test's own output is around it.
const MARK: &str = "part: ";

/// How the program is started again.
#[derive(Clone, Debug)]
pub struct Again {
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// A process with a role. It is killed when this is dropped.
#[derive(Debug)]
pub struct Part {
    process: Child,
    ear: ChildStdin,
    lines: BufReader<ChildStdout>,
}

/// The role of this process, if somebody gave it one.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Says a line to whoever started this process.
pub fn tell(line: &str) {
    println!("\n{MARK}{line}");
}

impl Part {
    /// Starts this program again, with a role.
    pub fn start(again: &Again, role: &str) -> Outcome<Self> {
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
    pub fn hear_on(&mut self) -> Outcome<Option<String>> {
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
    pub fn hear(&mut self) -> Outcome<String> {
        self.hear_on()?.ok_or_else(|| "the process ended early".into())
    }

    /// Says a line to it.
    pub fn say(&mut self, line: &str) -> Outcome<()> {
        Ok(writeln!(self.ear, "{line}")?)
    }

    /// Bytes that it had in memory at most.
    pub fn peak_memory(&self) -> Outcome<u64> {
        system::peak_memory(self.process.id())
    }

    /// Bytes that it has in memory now.
    pub fn memory(&self) -> Outcome<u64> {
        system::memory(self.process.id())
    }

    /// Milliseconds of processor time that it took so far.
    pub fn processor(&self) -> Outcome<u64> {
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
