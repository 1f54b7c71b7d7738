//! Who carries a command out: this process, or the one that serves the folder.

use std::{ffi::OsStr, io, path::Path, sync::Arc};

use anyhow::ensure;
use clap::{CommandFactory, Parser, error::ErrorKind};
use futures_lite::future;

use crate::{
    args::{Cli, Command},
    commands,
    context::Context,
    demo,
    failure::{Ending, Misuse},
    node,
    output::{Output, Streams},
    passphrase::{self, Passphrases},
    serve, socket,
};

/// Reads the command line, does what it says, and tells how that ended.
pub(crate) fn start() -> Ending {
    let sink = Arc::new(Streams::default());
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error, &sink),
    };
    let out = Output::new(cli.json, sink);
    match carry_out(cli, &out) {
        Ok(ending) => ending,
        // Whoever read our output has had enough of it.
        Err(error) if is_broken_pipe(&error) => Ending::Done,
        Err(error) => {
            out.error(&error);
            Ending::of(&error)
        }
    }
}

/// Help and version are no errors; the rest is misuse.
fn not_parsed(error: &clap::Error, sink: &Arc<Streams>) -> Ending {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !asked && std::env::args_os().any(|arg| arg == OsStr::new("--json")) {
        let text = error.render().to_string();
        let text = text.trim().trim_start_matches("error: ").to_owned();
        Output::new(true, Arc::clone(sink) as _).error(&Misuse(text).into());
        return Ending::Misused;
    }
    // Nobody is left to tell if this fails.
    let _ = error.print();
    if asked { Ending::Done } else { Ending::Misused }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn carry_out(cli: Cli, out: &Output) -> anyhow::Result<Ending> {
    let command = match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pleach", &mut script);
            io::Write::write_all(&mut io::stdout(), &script)?;
            return Ok(Ending::Done);
        }
        Command::Demo { plant } => return demo::run(out, plant),
        command => command.absolute()?,
    };
    let data = node::folder(cli.data)?;
    let mut asked = Passphrases::new(cli.passphrase_fd)?;
    match command {
        Command::Serve(serve) => future::block_on(serve::serve(&data, out, &serve, &mut asked)),
        Command::Passphrase { remove } => passphrase::carry_out(&data, remove, out, &mut asked),
        command => ask_or_do(&data, command, out, &mut asked),
    }
}

/// Has the command carried out by whoever serves the folder; does it here if nobody does.
fn ask_or_do(data: &Path, command: Command, out: &Output, asked: &mut Passphrases) -> anyhow::Result<Ending> {
    if let Some(server) = socket::find(data)? {
        ensure!(
            !matches!(command, Command::Init { passphrase: true, .. }),
            "there is a node in {} already, and it is served: stop that process, then use `pleach passphrase`",
            data.display()
        );
        return server.ask(command, out.is_json(), out.sink());
    }
    future::block_on(async {
        let opened = match &command {
            Command::Init { name, passphrase } => {
                node::make_folder(data)?;
                if let Some(name) = name {
                    node::set_name(data, name)?;
                }
                node::open_or_make(data, *passphrase, asked).await
            }
            _ => node::open(data, asked).await,
        };
        let instance = match opened {
            Ok(instance) => instance,
            // Somebody began to serve it meanwhile.
            Err(error) => match socket::find(data)? {
                Some(server) => return server.ask(command, out.is_json(), out.sink()),
                None => return Err(error),
            },
        };
        let cx = Context::new(instance, data.to_owned(), out.clone());
        let ending = commands::run(&cx, command).await;
        cx.instance.close().await;
        ending
    })
}
