//! The suite over every transport of this crate.
#![cfg(feature = "conformance")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use pleach_transports::{
    Address, Context,
    conformance::{Subject, check, key},
    memory::MemoryNetwork,
};

/// A context whose random bytes never repeat, which is all that these tests need of them.
fn context(seed: u8) -> Context {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        u64::try_from(now.as_millis()).expect("before the year 500,000,000")
    };
    let random = |bytes: &mut [u8]| {
        let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.iter_mut().zip(drawn.into_iter().cycle()).for_each(|(byte, drawn)| *byte = drawn);
    };
    Context::new(key(seed), Arc::new(clock), Arc::new(random))
}

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
    use super::{Address, Context, Subject, check, context};
    use pleach_transports::{Transport, http::HttpTransport};

    type Make = fn(u8) -> Context;

    fn subject(server: Make, client: Make) -> Subject {
        let make = move |context: Context, bind: Option<&str>| -> Box<dyn Transport> {
            let builder = HttpTransport::builder();
            let builder = bind.map_or(builder.clone(), |place| builder.bind(place));
            Box::new(builder.transport(context).expect("it can be made"))
        };
        Subject {
            bound: Box::new(move |seed, place| {
                make(server(seed), Some(place.map_or("127.0.0.1:0", |address| &address.address)))
            }),
            unbound: Box::new(move |seed| make(client(seed), None)),
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

/// A context that lends an executor, which one thread runs for all of these tests.
#[cfg(feature = "executor")]
fn executed(seed: u8) -> Context {
    use pleach_transports::Executor;
    use std::{sync::OnceLock, thread};
    static EXECUTOR: OnceLock<Executor> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(|| {
        let executor = Executor::default();
        let running = Arc::clone(&executor);
        thread::spawn(move || async_io::block_on(running.run(std::future::pending::<()>())));
        executor
    });
    context(seed).with_executor(Arc::clone(executor))
}
