//! Asks whoever serves the folder, and prints what comes back.

use std::{
    io::{self, Read},
    path::Path,
    thread,
};

use anyhow::{Context, bail};

use super::{
    frame::{Frame, INPUT, Request},
    place::{self, Line, Token},
};
use crate::{
    args::Command,
    failure::Ending,
    output::{Sink, Stream},
};

/// A process that serves the folder and answers.
pub(crate) struct Server {
    line: Line,
    token: Token,
}

/// Whoever serves the folder, if anybody does.
pub(crate) fn find(data: &Path) -> anyhow::Result<Option<Server>> {
    let found = place::connect(data)
        .with_context(|| format!("the process that serves {} cannot be asked", data.display()))?;
    Ok(found.map(|(line, token)| Server { line, token }))
}

impl Server {
    /// Has a command carried out.
    pub(crate) fn ask(mut self, command: Command, json: bool, sink: &dyn Sink) -> anyhow::Result<Ending> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let request = Request { version, token: std::mem::take(&mut self.token), json, command };
        Frame::Request(Box::new(request)).write(&mut self.line)?;
        loop {
            match Frame::read(&mut self.line).context("the process that serves this folder went away")? {
                Some(Frame::Out(line)) => sink.line(Stream::Out, &line)?,
                Some(Frame::Err(line)) => sink.line(Stream::Err, &line)?,
                Some(Frame::Progress(step)) => sink.progress(step.as_ref()),
                Some(Frame::WantInput) => send_input(self.line.try_clone()?)?,
                Some(Frame::Exit(code)) => return Ok(Ending::from_code(code)),
                Some(_) => bail!("the process that serves this folder answered something unexpected"),
                None => bail!("the process that serves this folder ended before the command did"),
            }
        }
    }
}

/// Sends standard input along, on a thread that ends with the process.
fn send_input(mut line: Line) -> io::Result<()> {
    let body = move || -> io::Result<()> {
        let mut input = io::stdin().lock();
        let mut part = vec![0; INPUT];
        loop {
            let read = input.read(&mut part)?;
            Frame::Input(part[..read].to_vec()).write(&mut line)?;
            if read == 0 {
                return Ok(());
            }
        }
    };
    thread::Builder::new().name("pleach-input".to_owned()).spawn(body).map(drop)
}
