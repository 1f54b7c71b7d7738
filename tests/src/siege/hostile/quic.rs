//! What hostile peers do over QUIC, each on an endpoint of its own.

use std::{future::poll_fn, sync::Arc};

use pleach_transports::{Context, Exchange, Received, Transport, quic::QuicTransport};
use smol::{Executor, Timer};

use super::{Hostile, Kind, Outcome, SLOW, count, wall};

pub(super) fn transport(hostile: &Hostile, executor: &Arc<Executor<'static>>) -> Outcome<QuicTransport> {
    let random = |bytes: &mut [u8]| bytes.fill(5);
    let context = Context::new(hostile.key.clone(), Arc::new(wall), Arc::new(random));
    let context = context.with_executor(Arc::clone(executor));
    Ok(QuicTransport::builder().dial_from(&format!("{}:0", hostile.source)).transport(context)?)
}

/// One exchange, until the node ends it.
pub(super) async fn once(hostile: &Hostile, transport: &QuicTransport) -> Outcome<()> {
    let mut exchange = transport.dial(&hostile.node)?;
    poll_fn(|task| exchange.poll_open(task)).await?;
    let _open = hostile.connected();
    // Whoever floods does not wait; who was turned away asks a new connection.
    on(hostile, &mut *exchange).await
}

async fn on(hostile: &Hostile, exchange: &mut dyn Exchange) -> Outcome<()> {
    match hostile.kind {
        Kind::Idle => {}
        Kind::Slow => {
            send(exchange, &hostile.messages.head).await?;
            loop {
                send(exchange, &hostile.messages.orphans).await?;
                Timer::after(SLOW).await;
            }
        }
        Kind::Oversized => loop {
            count(&hostile.tally.requests);
            // Two is the kind of frames with entries.
            send(exchange, &vec![2; 1 << 20]).await?;
        },
        kind => {
            for frame in hostile.messages.of(kind) {
                send(exchange, frame).await?;
            }
            count(&hostile.tally.requests);
            poll_fn(|task| exchange.poll_finish(task)).await?;
        }
    }
    while poll_fn(|task| exchange.poll_receive(task)).await? != Received::Closed {}
    Ok(())
}

async fn send(exchange: &mut dyn Exchange, frame: &[u8]) -> Outcome<()> {
    Ok(poll_fn(|task| exchange.poll_send(task, frame)).await?)
}
