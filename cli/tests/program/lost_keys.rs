//! The page about lost devices: every command in it runs, in order, and does what the page says.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// A reader who types what the page says.
struct Reader {
    folder: TempDir,
    variables: BTreeMap<String, String>,
    serving: Vec<Child>,
}

impl Reader {
    fn command(&self, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_pleach")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", line]).envs(&self.variables).env("PATH", path).current_dir(&self.folder);
        command.stdin(Stdio::null());
        command
    }

    /// Types one line, and gives what it prints.
    fn types(&mut self, line: &str) -> String {
        if let Some(server) = line.strip_suffix(" &") {
            // Any free port, since others may test here as well.
            let server = server.replace(":8080", ":0");
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
fn commands(page: &str) -> Vec<&str> {
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

#[cfg(unix)]
#[test]
fn whoever_follows_the_page_about_a_lost_device_gets_where_it_says() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lost-keys.md")).unwrap();
    let mut reader =
        Reader { folder: TempDir::new().unwrap(), variables: BTreeMap::new(), serving: Vec::new() };
    let commands = commands(&page);
    assert!(commands.len() > 10, "the page's commands are found");
    for line in commands {
        // The thief is faster than the owner.
        if line.contains("root import notes.key") && !reader.variables.contains_key("ENTRY") {
            let put = reader.types("pleach --data desk --json put notes main title nonsense");
            let put: serde_json::Value = serde_json::from_str(&put).unwrap();
            reader.variables.insert("ENTRY".to_owned(), put["entry"].as_str().unwrap()[..8].to_owned());
            reader.types("pleach --data laptop sync notes");
            assert!(reader.types("pleach --data laptop get notes main title || true").contains("nonsense"));
        }
        reader.types(line);
    }
    let members = reader.types("pleach --data laptop keys notes");
    let of = |name: &str| members.lines().find(|line| line.contains(&reader.variables[name]));
    assert!(of("DESK").is_none(), "{members}");
    assert!(of("LAPTOP").is_some_and(|line| line.contains("admin:0")), "{members}");
    assert!(of("PHONE").is_some_and(|line| line.contains("write:100")), "{members}");
    assert!(!reader.types("pleach --data laptop get notes main title || true").contains("nonsense"));
    // The file from before is as good as the one from after: it is the same key.
    reader.types("cmp notes.key notes-again.key");
    // Whoever has the stolen device is served no more, and what it writes is taken by nobody.
    reader.types("pleach --data desk put notes main title stolen");
    reader.types("pleach --data laptop sync notes || true");
    assert!(!reader.types("pleach --data laptop get notes main title || true").contains("stolen"));
}
