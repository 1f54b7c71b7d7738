//! A folder of a node, and the processes that work on it.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A node in a temporary folder.
pub(crate) struct Node {
    folder: TempDir,
}

/// What a command did.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<Value>,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(output: &Output) -> Self {
        let stdout = String::from_utf8(output.stdout.clone()).unwrap();
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        Self {
            code: output.status.code(),
            lines: stdout.lines().map(parse).collect(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// The last line of a command that went well.
    #[track_caller]
    pub(crate) fn good(&self) -> &Value {
        assert_eq!(self.code, Some(0), "{}{:?}", self.stderr, self.lines);
        self.lines.last().unwrap_or(&Value::Null)
    }

    /// The error of a command that ended with this code.
    #[track_caller]
    pub(crate) fn error(&self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{:?}", self.stderr, self.lines);
        let line: Value =
            serde_json::from_str(self.stderr.trim()).unwrap_or_else(|_| panic!("{}", self.stderr));
        line["error"].as_str().unwrap().to_owned()
    }
}

/// The program.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pleach"))
}

impl Node {
    /// A folder without a node.
    pub(crate) fn empty() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A node that was made.
    pub(crate) fn new() -> Self {
        let node = Self::empty();
        node.run(&["init"]).good();
        node
    }

    /// Where it keeps everything.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    /// A place beside that.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command that was not started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command.arg("--data").arg(self.data()).arg("--json").args(args).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::new(&self.command(args).output().unwrap())
    }

    /// Runs a command that reads this.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        Ran::new(&output)
    }

    /// One text of the last line of a command that goes well.
    #[track_caller]
    pub(crate) fn text(&self, args: &[&str], field: &str) -> String {
        let ran = self.run(args);
        let value = &ran.good()[field];
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Its public key.
    pub(crate) fn key(&self) -> String {
        self.text(&["status"], "public_key")
    }

    /// Starts to serve, and waits until it is ready.
    pub(crate) fn serve(&self, args: &[&str]) -> Serving {
        self.serve_with(args, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn serve_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Serving {
        let mut all = vec!["serve", "--until-eof"];
        all.extend(args);
        let mut command = self.command(&all);
        command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut addresses = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended before it was ready");
            let line: Value = serde_json::from_str(&line).unwrap();
            match line["address"].as_str() {
                Some(address) => addresses.push(address.to_owned()),
                None => break assert_eq!(line["ready"], true),
            }
        }
        Serving { child, input, addresses, _output: output }
    }
}

/// A process that serves.
pub(crate) struct Serving {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) addresses: Vec<String>,
    _output: BufReader<ChildStdout>,
}

impl Serving {
    /// The process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end, and tells its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of the repository's test data.
pub(crate) fn history(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}
