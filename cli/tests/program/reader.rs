//! A person who types what a page says.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// How long a command may take at most: it turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the shell says when it has done what was typed; no program says that.
const DONE: &str = "--- done";

/// How the line begins by which a node says that it serves.
const READY: &str = "ready";

/// Takes what is typed up to a zero byte, does it, and says so. The first command that fails ends it. What is typed is
/// not what a command reads.
const SHELL: &str = r#"set -eu -o pipefail
exec 3<&0 </dev/null
while IFS= read -r -d '' typed <&3; do
  eval "$typed" 3<&-
  printf '\n--- done\n'
done"#;

/// A reader with a shell, in a folder of its own that is also their home.
pub(crate) struct Reader {
    folder: TempDir,
    shell: Child,
    keys: ChildStdin,
    shown: Receiver<String>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_pleach")).parent().unwrap();
        let path = format!("{}:{}", program.display(), env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-c", SHELL]).env("PATH", path).env("TMPDIR", folder.path()).env("HOME", folder.path());
        for name in ["XDG_DATA_HOME", "PLEACH_DATA"] {
            command.env_remove(name);
        }
        // A group of its own, so that nothing that was started in it is left behind.
        command.current_dir(&folder).process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        let (send, shown) = channel();
        let output = BufReader::new(shell.stdout.take().unwrap());
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { folder, keys: shell.stdin.take().unwrap(), shell, shown }
    }

    /// A place in the folder where commands are typed.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Types a command that goes well, and gives what it prints. A node that is to serve is waited for, and serves at any
    /// free port, since others may test here as well.
    #[track_caller]
    pub(crate) fn types(&mut self, typed: &str) -> String {
        let typed = typed.replace(":8080", ":0").replace(":8081", ":0");
        let (typed, serves) = match typed.split_once(" & sleep 1") {
            // A person waits a moment; this one looks.
            Some((server, _)) => (format!("{server} &"), true),
            None => (typed.clone(), typed.ends_with(" &")),
        };
        self.keys.write_all(typed.as_bytes()).and_then(|()| self.keys.write_all(&[0])).unwrap();
        let printed = self.reads(&typed, DONE);
        if serves && !printed.lines().any(|line| line.starts_with(READY)) {
            self.reads(&typed, READY);
        }
        printed
    }

    /// Reads up to the line that begins like this.
    #[track_caller]
    fn reads(&self, typed: &str, end: &str) -> String {
        let mut printed = String::new();
        loop {
            let Ok(line) = self.shown.recv_timeout(PATIENCE) else {
                panic!("`{typed}` failed, or did not end, after it printed:\n{printed}")
            };
            if line.starts_with(end) {
                return printed;
            }
            printed.push_str(&line);
            printed.push('\n');
        }
    }

    /// What a variable of the shell holds; nothing if there is none of that name.
    pub(crate) fn variable(&mut self, name: &str) -> String {
        self.types(&format!("printf '%s' \"${{{name}-}}\"")).trim().to_owned()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let group = format!("-{}", self.shell.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
        let _ = self.shell.wait();
    }
}
