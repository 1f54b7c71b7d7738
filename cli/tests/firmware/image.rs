//! The firmware's image: built for the board, and read back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use crate::elf::Elf;

/// The target of the board.
const TARGET: &str = "thumbv7m-none-eabi";

/// An image for the board.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    pub(crate) elf: Arc<Elf>,
    /// Bytes that it takes in flash.
    pub(crate) flash: usize,
    /// Bytes of RAM that are taken before the stack begins.
    pub(crate) ram: usize,
}

/// Builds the firmware, once at a time; says why that cannot be done here.
pub(crate) fn build() -> Result<Image, String> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if Command::new("qemu-system-arm").arg("--version").output().is_err() {
        return Err("there is no qemu-system-arm".into());
    }
    let mut command = compiler()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/firmware");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware");
    command.args(["--quiet", "--locked", "--release", "--target", TARGET]);
    // What the environment says is meant for the host.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    let output = command.current_dir(folder).arg("--target-dir").arg(&target).output().unwrap();
    assert!(
        output.status.success(),
        "the firmware is not built: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = target.join(TARGET).join("release/pleach-firmware");
    let elf = Elf::read(fs::read(&path).unwrap());
    let (flash, ram) = elf.sizes();
    Ok(Image { path, elf: Arc::new(elf), flash, ram })
}

/// How to build for the board: by the toolchain if it has the target, else by Debian's compiler, which brings the sources
/// of `core`, and the toolchain's linker.
fn compiler() -> Result<Command, String> {
    let said = |compiler: &str, args: &[&str]| {
        let output = Command::new(compiler).args(args).output().ok()?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    let own = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let own_root = said(&own, &["--print", "sysroot"]).ok_or("there is no rustc")?;
    let own_root = Path::new(&own_root).join("lib/rustlib");
    let mut command = Command::new(env!("CARGO"));
    command.arg("build");
    if own_root.join(TARGET).exists() {
        return Ok(command);
    }
    let debian = "/usr/bin/rustc";
    let sources = said(debian, &["--print", "sysroot"])
        .map(|root| Path::new(&root).join("lib/rustlib/src/rust/library/core"));
    if !sources.is_some_and(|sources| sources.exists()) {
        return Err(format!("there is neither the target {TARGET} nor Debian's rustc-web with rust-web-src"));
    }
    let host = said(&own, &["-vV"]).unwrap_or_default();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
    command.args(["-Z", "build-std=core"]).env("RUSTC", debian).env("RUSTC_BOOTSTRAP", "1");
    command.env("CARGO_TARGET_THUMBV7M_NONE_EABI_LINKER", own_root.join(host).join("bin/rust-lld"));
    Ok(command)
}
