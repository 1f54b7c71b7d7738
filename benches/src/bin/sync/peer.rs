//! The other end of a node's process.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{Outcome, node};

/// A node in a process of its own, which is asked one thing at a time.
pub(crate) struct Peer {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts this program again in the role of a node, whose store keeps so many bytes in memory.
    pub(crate) fn start(folder: &Path, transport: &str, seed: u8, cache: usize) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(node::ROLE)
            .arg(folder)
            .args([transport, &seed.to_string(), &cache.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = process.stdin.take().ok_or("no way to ask the node")?;
        let answers = BufReader::new(process.stdout.take().ok_or("no way to hear the node")?);
        Ok(Self { process, questions, answers })
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, question: &str) -> Outcome<String> {
        writeln!(self.questions, "{question}")?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(format!("the node ended at: {question}").into());
        }
        Ok(answer.trim_end().to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A figure was taken or an error is on its way: either way the node is of no more use.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
