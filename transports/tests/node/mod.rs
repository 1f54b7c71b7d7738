//! What nodes lend to their transports in these tests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use pleach_transports::{Context, conformance::key};

/// The wall time in milliseconds.
pub(crate) fn wall() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_millis()).expect("before the year 500,000,000")
}

/// A context whose random bytes never repeat, which is all that these tests need of them.
pub(crate) fn context(seed: u8) -> Context {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let random = |bytes: &mut [u8]| {
        let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.iter_mut().zip(drawn.into_iter().cycle()).for_each(|(byte, drawn)| *byte = drawn);
    };
    Context::new(key(seed), Arc::new(wall), Arc::new(random))
}

/// A context that lends an executor, which one thread runs for all tests of a file.
#[cfg(feature = "executor")]
pub(crate) fn executed(seed: u8) -> Context {
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
