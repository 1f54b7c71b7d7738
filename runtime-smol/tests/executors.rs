//! The futures of this crate run on any executor.

use pleach_smol::{Database, DatabaseKey, Doc, DocStore, Instance, Memory};

async fn program() -> Result<u64, pleach_smol::Error> {
    let instance = Instance::open(Memory::new()).await?;
    instance.enable_sync().await?;
    let database = Database::create(&instance, DatabaseKey::Device, Doc::new()).await?;
    let txn = database.new_transaction()?;
    txn.get_store::<DocStore>("notes")?.set("title", "Pleaching")?;
    txn.commit().await?;
    let entries = database.stats()?.entries;
    instance.close().await;
    Ok(entries)
}

#[test]
fn on_smol() {
    assert_eq!(smol::block_on(smol::spawn(program())), Ok(2));
}

#[test]
fn on_tokio() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(async { tokio::spawn(program()).await.unwrap() }), Ok(2));
}

#[test]
fn on_a_bare_block_on() {
    assert_eq!(pleach_transports::park_on(program()), Ok(2));
}
