//! The firmware's image: built for the board, and measured from its own headers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

/// The target of the board.
const TARGET: &str = "thumbv7m-none-eabi";

/// Where the board's RAM begins.
const RAM: u32 = 0x2000_0000;

/// An image for the board.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
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
    let (flash, ram) = sizes(&fs::read(&path).unwrap());
    Ok(Image { path, flash, ram })
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

/// Bytes in flash and in RAM, from the program headers of an ELF file of 32 bits (System V ABI, "Program Header").
fn sizes(elf: &[u8]) -> (usize, usize) {
    let word = |at: usize| u32::from_le_bytes(elf[at..at + 4].try_into().unwrap());
    let half = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
    assert_eq!(elf[..6], *b"\x7fELF\x01\x01", "32 bits, little endian");
    let (mut flash, mut ram) = (0, 0);
    for number in 0..half(44) {
        let at = word(28) as usize + number * half(42);
        let (kind, address, in_file, in_memory) = (word(at), word(at + 8), word(at + 16), word(at + 20));
        if kind == 1 {
            flash += in_file as usize;
            ram += if address >= RAM { in_memory as usize } else { 0 };
        }
    }
    (flash, ram)
}
