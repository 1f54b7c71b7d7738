//! `serve`: answers peers, and other commands on this folder, until interrupted.

use std::{fmt, io::Read, path::Path, thread};

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::{
    args::Serve,
    context,
    failure::{Ending, Misuse},
    node,
    output::{Output, faint, good},
    passphrase::Passphrases,
    socket,
    transports::{self, Choices},
};

#[derive(Serialize)]
struct Listening {
    address: String,
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        good("ready").fmt(f)
    }
}

/// Serves the folder.
pub(crate) async fn serve(
    data: &Path,
    out: &Output,
    serve: &Serve,
    asked: &mut Passphrases,
) -> anyhow::Result<Ending> {
    if socket::find(data)?.is_some() {
        bail!("{} is served already by another process: stop that one first", data.display());
    }
    let limits = serve.bounds.limits();
    limits.check().map_err(|error| Misuse(error.to_string()))?;
    // Before anything is open, so that no signal is missed.
    let (stop, stopped) = async_channel::bounded(1);
    let by_signal = stop.clone();
    ctrlc::set_handler(move || {
        let _ = by_signal.try_send(());
    })
    .context("signals cannot be taken")?;
    if serve.until_eof {
        thread::Builder::new().name("pleach-eof".to_owned()).spawn(move || wait_for_end(&stop))?;
    }
    let instance = node::open_within(data, limits, asked).await?;
    let sync = context::enabled(&instance).await?;
    transports::dial(&sync).await?;
    let mut addresses = Vec::new();
    let choices = Choices {
        relays: &serve.iroh_relay,
        no_relays: serve.iroh_no_relays,
        certificate: serve.tls_certificate.as_deref().zip(serve.tls_key.as_deref()),
    };
    let places = [
        ("http", &serve.http),
        ("https", &serve.https),
        ("quic", &serve.quic),
        ("iroh", &serve.iroh),
        ("serial", &serve.serial),
    ];
    for (name, place) in places {
        if let Some(place) = place {
            addresses.push(transports::listen(&sync, name, place, &choices).await?);
        }
    }
    let door = socket::open(&instance, data)?;
    for address in addresses {
        out.put(&Listening { address: address.to_string() })?;
    }
    out.put(&Ready { ready: true })?;
    // A closed channel says the same.
    let _ = stopped.recv().await;
    drop(door);
    out.remark(faint("stopped"))?;
    instance.close().await;
    Ok(Ending::Done)
}

/// Whoever started this process is gone when standard input ends.
fn wait_for_end(stop: &async_channel::Sender<()>) {
    let mut input = std::io::stdin().lock();
    while matches!(input.read(&mut [0; 64]), Ok(read) if read > 0) {}
    let _ = stop.try_send(());
}
