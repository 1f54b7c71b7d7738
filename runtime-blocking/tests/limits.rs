//! What the owner of a node bounds on it, as programs say it.
#![cfg(feature = "http")]

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use pleach_blocking::{HttpTransport, Instance, Limits, Memory, Options};

#[test]
fn a_node_takes_on_no_more_than_its_owner_wants() {
    let refused = Instance::open_with(Memory::new(), Options::new().limits(Limits::new().history(3)));
    let refused = refused.unwrap_err().to_string();
    assert_eq!(refused, "history can be limited to between 16 and 65536, not 3: choose one of these");
    let most = Limits::new().connections(16).connections_of_source(2);
    let wide = most.exchanges(64).dialled(8).waits(1).held_bytes(4 << 20);
    let limits = wide.history(16).requests(8).acquaintances(16);
    limits.check().unwrap();
    let instance = Instance::open_with(Memory::new(), Options::new().limits(limits)).unwrap();
    instance.enable_sync().unwrap();
    let sync = instance.sync().unwrap();
    sync.register_transport("http", HttpTransport::builder().bind("127.0.0.1:0")).unwrap();
    let place = sync.accept_connections().unwrap().remove(0).address;
    let mut all: Vec<_> = (0..6).map(|_| TcpStream::connect(&place).unwrap()).collect();
    // Of one source the third makes the first go.
    for gone in &mut all[..4] {
        assert_eq!(gone.read(&mut [0]).unwrap_or(0), 0);
    }
    for stays in &mut all[4..] {
        stays.write_all(b"GET /api/v0/none HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert_eq!(stays.read(&mut [0]).unwrap(), 1);
    }
}
