//! One node of the tour.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Parser;
use futures_lite::future;
use serde_json::Value;

use crate::{
    args::Cli,
    commands,
    context::{self, Context},
    failure::Ending,
    node,
    output::{Capture, Output},
    passphrase::Passphrases,
    socket, transports,
};

/// A node with its folder.
pub(super) struct Site {
    pub(super) name: &'static str,
    /// Its public key.
    pub(super) key: String,
    data: PathBuf,
    place: Place,
}

enum Place {
    /// In this process.
    Here(Box<Context>, Arc<Capture>),
    /// A process of its own, which ends when it loses this one.
    There(Process),
}

struct Process {
    child: Child,
    input: Option<ChildStdin>,
}

/// A child does not outlive the tour.
impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command printed, and how it ended.
pub(super) struct Answer {
    pub(super) ending: Ending,
    lines: Vec<Value>,
}

impl Answer {
    /// The last line, of a command that went well.
    pub(super) fn good(self) -> anyhow::Result<Value> {
        ensure!(self.ending == Ending::Done, "a command failed: {:?}", self.lines);
        self.last()
    }

    /// The last line.
    pub(super) fn last(mut self) -> anyhow::Result<Value> {
        self.lines.pop().context("a command printed nothing")
    }
}

impl Site {
    /// A node in this process, made if it is not there.
    pub(super) fn here(name: &'static str, data: &Path) -> anyhow::Result<Self> {
        let instance = future::block_on(node::open_or_make(data, false, &mut Passphrases::new(None)?))?;
        future::block_on(async {
            let sync = context::enabled(&instance).await?;
            transports::dial(&sync).await
        })?;
        let key = instance.device_id();
        let capture = Arc::new(Capture::default());
        let out = Output::new(true, Arc::clone(&capture) as _);
        let context = Context { serves: true, ..Context::new(instance, data.to_owned(), out) };
        Ok(Self { name, key, data: data.to_owned(), place: Place::Here(Box::new(context), capture) })
    }

    /// A node in a process of its own.
    pub(super) fn child(name: &'static str, data: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let command = |args: &[&str]| {
            let mut command = Command::new(&program);
            command.arg("--data").arg(data).arg("--json").args(args);
            command
        };
        let init = command(&["init"]).stdin(Stdio::null()).output()?;
        ensure!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr).trim());
        let key = serde_json::from_slice::<Value>(&init.stdout)?["public_key"].as_str().map(str::to_owned);
        let mut child =
            command(&["serve", "--until-eof"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let process = Process { child, input };
        let lines = BufReader::new(output.context("no output")?).lines();
        let is_ready =
            |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|line| line["ready"] == true);
        for line in lines {
            if is_ready(&line?) {
                let key = key.context("no public key")?;
                return Ok(Self { name, key, data: data.to_owned(), place: Place::There(process) });
            }
        }
        bail!("{name} ended before it was ready")
    }

    /// Carries out a command as a person would type it.
    pub(super) fn ask(&self, args: &[&str]) -> anyhow::Result<Answer> {
        let command = Cli::try_parse_from(["pleach"].iter().chain(args))?.command;
        let (ending, lines) = match &self.place {
            Place::Here(context, capture) => {
                (future::block_on(commands::run(context, command)), capture.take())
            }
            Place::There(_) => {
                let server = socket::find(&self.data)?.ok_or_else(|| anyhow!("{} is gone", self.name))?;
                let capture = Capture::default();
                (server.ask(command, true, &capture), capture.take())
            }
        };
        let said = || format!("{} failed at `{}`: {}", self.name, args.join(" "), lines.join(" "));
        let ending = ending.with_context(said)?;
        let lines = lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
        Ok(Answer { ending, lines })
    }

    /// One text of what a command printed last.
    pub(super) fn ask_for(&self, args: &[&str], field: &str) -> anyhow::Result<String> {
        let last = self.ask(args)?.good()?;
        let text = last[field].as_str().with_context(|| format!("`{}` said no {field}", args.join(" ")))?;
        Ok(text.to_owned())
    }

    /// Lets peers in over a transport, and says where. For a node in this process.
    pub(super) fn listen(&self, transport: &str) -> anyhow::Result<String> {
        let Place::Here(context, _) = &self.place else { bail!("{} listens by itself", self.name) };
        let sync = future::block_on(context::enabled(&context.instance))?;
        Ok(future::block_on(transports::listen(
            &sync,
            transport,
            "127.0.0.1:0",
            &transports::Choices::default(),
        ))?
        .to_string())
    }

    /// Ends the node: its store is closed.
    pub(super) fn close(self) -> anyhow::Result<()> {
        match self.place {
            Place::Here(context, _) => future::block_on(context.instance.close()),
            Place::There(mut process) => {
                drop(process.input.take());
                let status = process.child.wait()?;
                ensure!(status.success(), "{} ended with {status}", self.name);
            }
        }
        Ok(())
    }
}
