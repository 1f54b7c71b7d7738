//! The suite over every transport of this crate.
#![cfg(feature = "conformance")]

mod node;

use node::context;
#[cfg(feature = "executor")]
use node::executed;
#[cfg(feature = "quic")]
use pleach_transports::Context;
#[cfg(feature = "iroh")]
use pleach_transports::Transport as _;
use pleach_transports::{
    Address,
    conformance::{Subject, check},
    memory::MemoryNetwork,
};

#[test]
fn memory_conforms() {
    let network = MemoryNetwork::new();
    let dialling = network.clone();
    check(&Subject {
        bound: Box::new(move |seed, place| {
            let place = place.map_or("place:0", |address| &address.address);
            Box::new(network.builder().bind(place).transport(context(seed)))
        }),
        unbound: Box::new(move |seed| Box::new(dialling.builder().transport(context(seed)))),
        nowhere: Address::new("memory", "nowhere"),
    });
}

#[cfg(feature = "http")]
mod http {
    use super::{Address, Subject, check, context};
    use pleach_transports::{
        Context, Transport,
        http::{HttpBuilder, HttpTransport},
    };

    type Make = fn(u8) -> Context;

    fn subject(server: Make, client: Make) -> Subject {
        subject_of(HttpTransport::builder(), server, client)
    }

    fn subject_of(builder: HttpBuilder, server: Make, client: Make) -> Subject {
        let make = move |context: Context, bind: Option<&str>| -> Box<dyn Transport> {
            let builder = builder.clone();
            let builder = bind.map_or(builder.clone(), |place| builder.bind(place));
            Box::new(builder.transport(context).expect("it can be made"))
        };
        let dial = make.clone();
        Subject {
            bound: Box::new(move |seed, place| {
                make(server(seed), Some(place.map_or("127.0.0.1:0", |address| &address.address)))
            }),
            unbound: Box::new(move |seed| dial(client(seed), None)),
            // A reserved port of the discard service, on which nothing runs.
            nowhere: Address::http("127.0.0.1:9"),
        }
    }

    #[cfg(feature = "threads")]
    #[test]
    fn http_on_threads_conforms() {
        check(&subject(context, context));
    }

    #[cfg(feature = "smol")]
    #[test]
    fn http_on_an_executor_conforms() {
        check(&subject(super::executed, super::executed));
    }

    #[cfg(feature = "threads")]
    #[test]
    fn http_in_json_on_threads_conforms() {
        check(&subject_of(HttpTransport::builder().json(), context, context));
    }

    #[cfg(feature = "smol")]
    #[test]
    fn http_in_json_on_an_executor_conforms() {
        check(&subject_of(HttpTransport::builder().json(), super::executed, super::executed));
    }

    #[cfg(all(feature = "smol", feature = "threads"))]
    #[test]
    fn a_threaded_client_and_an_executed_server_conform() {
        check(&subject(super::executed, context));
    }

    #[cfg(all(feature = "smol", feature = "threads"))]
    #[test]
    fn an_executed_client_and_a_threaded_server_conform() {
        check(&subject(context, super::executed));
    }
}

#[cfg(feature = "quic")]
fn quic(make: fn(u8) -> Context) -> Subject {
    use pleach_transports::quic::QuicTransport;
    Subject {
        bound: Box::new(move |seed, place| {
            let place = place.map_or("127.0.0.1:0", |address| &address.address);
            Box::new(QuicTransport::builder().bind(place).transport(make(seed)).expect("it can be made"))
        }),
        unbound: Box::new(move |seed| {
            Box::new(QuicTransport::builder().transport(make(seed)).expect("it can be made"))
        }),
        nowhere: Address::quic("127.0.0.1:9"),
    }
}

#[cfg(feature = "quic")]
#[test]
fn quic_on_an_executor_conforms() {
    check(&quic(executed));
}

#[cfg(feature = "quic")]
#[test]
fn quic_on_a_thread_of_its_own_conforms() {
    check(&quic(context));
}

#[cfg(feature = "iroh")]
#[test]
fn iroh_without_relays_conforms() {
    use pleach_transports::iroh::IrohTransport;
    /// Where the endpoint of an address has its socket.
    fn socket(address: &Address) -> &str {
        address.address.split_once(',').expect("its address names its socket").1
    }
    let direct = || IrohTransport::builder().relays_off();
    let nobody = direct().bind("127.0.0.1:0").transport(context(9)).expect("it can be made");
    let id = nobody.listen().expect("it listens").address();
    let id = id.address.split_once(',').expect("its address names its socket").0;
    check(&Subject {
        bound: Box::new(move |seed, place| {
            let place = place.map_or("127.0.0.1:0", socket);
            Box::new(direct().bind(place).transport(context(seed)).expect("it can be made"))
        }),
        unbound: Box::new(move |seed| Box::new(direct().transport(context(seed)).expect("it can be made"))),
        nowhere: Address::iroh(&format!("{id},127.0.0.1:9")),
    });
}
