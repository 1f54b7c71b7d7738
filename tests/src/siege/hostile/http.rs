//! What hostile peers do over HTTP, on sockets of their own.

use std::net::{SocketAddr, TcpStream};

use pleach_core::wire::{RequestHead, RequestTarget, body_hash};
use smol::{
    Async, Timer,
    io::{AsyncReadExt, AsyncWriteExt},
};
use socket2::{Domain, Socket, Type};

use super::{Hostile, Kind, Outcome, SLOW, count, wall};

const PATH: &str = "/api/v0/sync";

/// Bytes of an oversized body.
const LARGE: usize = 8 << 20;

/// One connection, until the node ends it.
pub(super) async fn once(hostile: &Hostile) -> Outcome<()> {
    let mut stream = connect(hostile).await?;
    let _open = hostile.connected();
    on(hostile, &mut stream).await
}

async fn connect(hostile: &Hostile) -> Outcome<Async<TcpStream>> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((hostile.source, 0)).into())?;
    socket.set_nonblocking(true)?;
    let place: SocketAddr = hostile.node.address.parse()?;
    // It is under way; whether it comes about shows when it can be written to.
    let _ = socket.connect(&place.into());
    let stream = Async::new(TcpStream::from(socket))?;
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        None => Ok(stream),
        Some(error) => Err(error.into()),
    }
}

async fn on(hostile: &Hostile, stream: &mut Async<TcpStream>) -> Outcome<()> {
    match hostile.kind {
        Kind::Idle => {
            stream.read(&mut [0]).await?;
            Ok(())
        }
        Kind::Slow => {
            let begun = if hostile.number.is_multiple_of(2) {
                format!("POST {PATH} HTTP/1.1\r\nhost: x\r\nslow: ")
            } else {
                head(1 << 20, "")
            };
            stream.write_all(begun.as_bytes()).await?;
            loop {
                stream.write_all(b"x").await?;
                Timer::after(SLOW).await;
            }
        }
        Kind::Oversized => loop {
            let body = vec![0xff; 64 * 1024];
            let length = if hostile.number.is_multiple_of(2) { LARGE } else { 100 * LARGE };
            stream.write_all(head(length, "").as_bytes()).await?;
            if hostile.number.is_multiple_of(2) {
                // Lawful lengths in front of what is none.
                for number in 0..LARGE / body.len() {
                    if number % 16 == 0 {
                        stream.write_all(&(1_u32 << 20).to_le_bytes()).await?;
                    }
                    stream.write_all(&body).await?;
                }
            }
            answer(hostile, stream).await?;
        },
        kind => loop {
            if kind == Kind::Requests && hostile.number.is_multiple_of(2) {
                stream.write_all(b"GET /api/v0/node HTTP/1.1\r\nhost: x\r\n\r\n").await?;
            } else {
                let mut body = Vec::new();
                for frame in hostile.messages.of(kind) {
                    body.extend(u32::try_from(frame.len())?.to_le_bytes());
                    body.extend(frame);
                }
                body.extend([0; 4]);
                let mut signed = format!("pleach-signature: {}\r\n", sign(hostile, &body)?);
                if kind == Kind::BadSignatures && hostile.number.is_multiple_of(2) {
                    // Signed for another body.
                    signed = format!("pleach-signature: {}\r\n", sign(hostile, b"")?);
                }
                stream.write_all(&[head(body.len(), &signed).as_bytes(), &body].concat()).await?;
            }
            answer(hostile, stream).await?;
        },
    }
}

fn head(length: usize, signed: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/postcard\r\n{signed}content-length: {length}\r\n\r\n"
    )
}

fn sign(hostile: &Hostile, body: &[u8]) -> Outcome<RequestHead> {
    let audience = hostile.node.key.ok_or("the address names no key")?;
    let target = RequestTarget { audience, method: "POST", path: PATH, body: body_hash(body) };
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&hostile.tally.requests.get().to_le_bytes());
    nonce[8..].copy_from_slice(&(hostile.number as u64).to_le_bytes());
    Ok(RequestHead::sign(&hostile.key, &target, wall(), nonce))
}

/// Waits for some of an answer; another request follows at once.
async fn answer(hostile: &Hostile, stream: &mut Async<TcpStream>) -> Outcome<()> {
    count(&hostile.tally.requests);
    if stream.read(&mut [0; 4096]).await? == 0 { Err("closed".into()) } else { Ok(()) }
}
