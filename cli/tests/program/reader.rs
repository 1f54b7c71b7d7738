//! A person who types what a page says.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// A reader who types what the page says.
pub(crate) struct Reader {
    folder: TempDir,
    pub(crate) variables: BTreeMap<String, String>,
    serving: Vec<Child>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), variables: BTreeMap::new(), serving: Vec::new() }
    }

    /// A place in the folder where commands are typed.
    pub(crate) fn place(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_pleach")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", line]).envs(&self.variables).env("PATH", path).current_dir(&self.folder);
        command.stdin(Stdio::null());
        command
    }

    /// Types one line, and gives what it prints.
    pub(crate) fn types(&mut self, line: &str) -> String {
        if let Some(server) = line.strip_suffix(" &") {
            // Any free port, since others may test here as well.
            let server = server.replace(":8080", ":0").replace(":8081", ":0");
            let mut child = self.command(&format!("exec {server}")).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            self.serving.push(child);
            assert!(lines.any(|line| line.unwrap().contains("ready")), "{line}");
            return String::new();
        }
        if let Some((name, inner)) = line.split_once("=$(") {
            let printed = self.types(inner.strip_suffix(')').unwrap());
            self.variables.insert(name.to_owned(), printed.trim().to_owned());
            return String::new();
        }
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for child in &mut self.serving {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The lines of all blocks for a shell.
pub(crate) fn commands(page: &str) -> Vec<&str> {
    let mut within = false;
    let mut commands = Vec::new();
    for line in page.lines() {
        match line {
            "```sh" => within = true,
            "```" => within = false,
            line if within => commands.push(line),
            _ => {}
        }
    }
    commands
}
