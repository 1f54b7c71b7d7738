//! Carries commands out for other processes of the same user, each on a thread of its own.

use std::{
    io::{self, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use async_channel::{Receiver, Sender};
use futures_lite::future;
use pleach_smol::{Instance, WeakInstance};

use super::{
    frame::{Frame, Request},
    place::{self, Line, Listener, Token},
};
use crate::{
    commands,
    context::{Context, Input},
    failure::Ending,
    output::{Output, Sink, Step, Stream},
};

/// Commands under way at most: each has a thread. A script that starts more waits for none of them.
const MAX_COMMANDS: usize = 64;

/// A connection says what it wants within this time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Frames of standard input that wait for the command at most.
const MAX_INPUT: usize = 8;

/// Where other processes ask. Dropping it takes it away; what is under way goes on while the process does.
pub(crate) struct Door {
    data: PathBuf,
}

impl Drop for Door {
    fn drop(&mut self) {
        place::remove(&self.data);
    }
}

/// Lets other processes of this user ask.
pub(crate) fn open(instance: &Instance, data: &Path) -> anyhow::Result<Door> {
    let (listener, token) = place::listen(data)
        .with_context(|| format!("other commands cannot be let in through {}", data.display()))?;
    let house = Arc::new(House {
        instance: instance.downgrade(),
        data: data.to_owned(),
        token,
        commands: AtomicUsize::new(0),
    });
    thread::Builder::new().name("pleach-socket".to_owned()).spawn(move || house.accept(&listener))?;
    Ok(Door { data: data.to_owned() })
}

struct House {
    instance: WeakInstance,
    data: PathBuf,
    token: Token,
    commands: AtomicUsize,
}

impl House {
    fn accept(self: Arc<Self>, listener: &Listener) {
        loop {
            let Ok(line) = listener.accept() else {
                // Out of file handles, or the like: others may end in the meantime.
                thread::yield_now();
                continue;
            };
            let house = Arc::clone(&self);
            let body = move || {
                let full = house.commands.fetch_add(1, Ordering::Relaxed) >= MAX_COMMANDS;
                // Whoever asked is gone if this fails.
                let _ = if full { refuse(line) } else { house.serve(line) };
                house.commands.fetch_sub(1, Ordering::Relaxed);
            };
            let _ = thread::Builder::new().name("pleach-command".to_owned()).spawn(body);
        }
    }

    fn serve(&self, mut line: Line) -> anyhow::Result<()> {
        line.set_read_timeout(Some(REQUEST_TIMEOUT))?;
        let Some(Frame::Request(request)) = Frame::read(&mut line)? else { bail!("no request") };
        line.set_read_timeout(None)?;
        let caller = Arc::new(Caller { line: Mutex::new(line.try_clone()?) });
        let out = Output::new(request.json, caller.clone());
        // A caller whose command met a fault of ours would otherwise wait for ever: the line has more than one holder.
        let carried = catch_unwind(AssertUnwindSafe(|| self.carry_out(*request, line, &caller, &out)));
        let ending =
            match carried.unwrap_or_else(|_| Err(anyhow!("the server met a fault of its own: report it"))) {
                Ok(ending) => ending,
                Err(error) => {
                    out.error(&error);
                    Ending::of(&error)
                }
            };
        caller.send(&Frame::Exit(ending.code()))?;
        caller.lock().hang_up();
        Ok(())
    }

    fn carry_out(
        &self,
        request: Request,
        line: Line,
        caller: &Arc<Caller>,
        out: &Output,
    ) -> anyhow::Result<Ending> {
        let Request { version, token, command, .. } = request;
        // Hashes compare in constant time.
        if blake3::hash(token.as_bytes()) != blake3::hash(self.token.as_bytes()) {
            bail!("the token in {} is another: is it from a server that has ended?", self.data.display());
        }
        if version != env!("CARGO_PKG_VERSION") {
            let own = env!("CARGO_PKG_VERSION");
            bail!(
                "this folder is served by version {own} of the program, this is {version}: use the same for both"
            );
        }
        let instance = self.instance.upgrade().context("the server is about to end")?;
        let (parts, input) = async_channel::bounded(MAX_INPUT);
        let (gone, hung_up) = async_channel::bounded::<()>(1);
        let flag = Arc::new(AtomicBool::new(false));
        let context = Context {
            instance,
            data: self.data.clone(),
            serves: true,
            out: out.clone(),
            input: Arc::new(Remote { caller: Arc::clone(caller), parts: input }),
            hung_up: Arc::clone(&flag),
        };
        let listen = move || listen(line, &parts, &flag, gone);
        thread::Builder::new().name("pleach-caller".to_owned()).spawn(listen)?;
        future::block_on(future::or(commands::run(&context, command), async {
            let _ = hung_up.recv().await;
            bail!("interrupted")
        }))
    }
}

/// Reads what the caller sends after its request, until it hangs up.
fn listen(mut line: Line, parts: &Sender<Vec<u8>>, hung_up: &AtomicBool, gone: Sender<()>) {
    while let Ok(Some(Frame::Input(part))) = Frame::read(&mut line) {
        if part.is_empty() {
            parts.close();
        } else if parts.send_blocking(part).is_err() && !parts.is_closed() {
            break;
        }
    }
    // First this: whoever finds the input at its end can tell that it was cut off.
    hung_up.store(true, Ordering::Release);
    parts.close();
    drop(gone);
}

fn refuse(mut line: Line) -> anyhow::Result<()> {
    let text = format!("{MAX_COMMANDS} commands are under way already: try again");
    Frame::Err(text).write(&mut line)?;
    Frame::Exit(Ending::Failed.code()).write(&mut line)?;
    Ok(())
}

/// The process that asked.
struct Caller {
    line: Mutex<Line>,
}

impl Caller {
    fn lock(&self) -> std::sync::MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, frame: &Frame) -> io::Result<()> {
        frame.write(&mut *self.lock())
    }
}

impl Sink for Caller {
    fn line(&self, stream: Stream, text: &str) -> io::Result<()> {
        self.send(&match stream {
            Stream::Out => Frame::Out(text.to_owned()),
            Stream::Err => Frame::Err(text.to_owned()),
        })
    }

    fn progress(&self, step: Option<&Step>) {
        // A caller that is gone is noticed by the next line.
        let _ = self.send(&Frame::Progress(step.cloned()));
    }
}

/// The standard input of the process that asked: sent when it is wanted.
struct Remote {
    caller: Arc<Caller>,
    parts: Receiver<Vec<u8>>,
}

impl Input for Remote {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.caller.send(&Frame::WantInput)?;
        Ok(Box::new(Arriving { parts: self.parts.clone(), first: Vec::new(), read: 0 }))
    }
}

/// Reads the parts as they come.
struct Arriving {
    parts: Receiver<Vec<u8>>,
    first: Vec<u8>,
    read: usize,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.first.len() {
            let Ok(part) = self.parts.recv_blocking() else { return Ok(0) };
            (self.first, self.read) = (part, 0);
        }
        let length = buffer.len().min(self.first.len() - self.read);
        buffer[..length].copy_from_slice(&self.first[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}
