//! The pipelines for Fluent Bit: their scripts always, each file as it is written where Fluent Bit
//! is installed.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::tools::{exists, root, run};

/// Runs what can be run here.
pub(crate) fn check(folder: &Path, adapters: &Path, events: &Path) -> anyhow::Result<()> {
    for tool in ["sh", "curl", "jq"] {
        if !exists(tool) {
            println!("{tool} is not installed: the pipelines are not run");
            return Ok(());
        }
    }
    let pipelines = copied(folder, adapters)?;
    split(&pipelines, events)?;
    poll(&pipelines)?;
    if !exists("fluent-bit") {
        println!("fluent-bit is not installed: the pipelines are not run in it");
        return Ok(());
    }
    for file in ["stdout.conf", "http.conf", "es.conf", "events.conf"] {
        run(fluent_bit(&pipelines, events).args(["--dry-run", "-c", file]))?;
    }
    whole_events(&pipelines, events)
}

/// The folder with the filter in it, as the README says.
fn copied(folder: &Path, adapters: &Path) -> anyhow::Result<PathBuf> {
    let pipelines = folder.join("pipelines");
    fs::create_dir_all(&pipelines)?;
    let from = root().join("crates/adapters/fluent-bit/pipelines");
    for entry in fs::read_dir(&from)? {
        let entry = entry?;
        fs::copy(entry.path(), pipelines.join(entry.file_name()))?;
    }
    let module = "misp_ecs_fluent_bit.wasm";
    fs::copy(adapters.join(module), pipelines.join(module))?;
    let _absent = fs::remove_file(pipelines.join("events.db"));
    Ok(pipelines)
}

/// No attribute is lost where an event is split, and none is in two parts.
fn split(pipelines: &Path, events: &Path) -> anyhow::Result<()> {
    let parts = Command::new("jq")
        .current_dir(pipelines)
        .args(["--compact-output", "--from-file", "split.jq"])
        .arg(events)
        .output()?;
    ensure!(parts.status.success(), "split.jq: {}", parts.status);
    let count = |text: &str| -> anyhow::Result<usize> {
        let mut count = 0;
        for line in text.lines() {
            let event: Value = serde_json::from_str(line)?;
            let list = |of: &Value, key: &str| {
                let list = of.get(key).and_then(Value::as_array);
                list.cloned().unwrap_or_default()
            };
            let event = event.get("Event").unwrap_or(&Value::Null);
            count += list(event, "Attribute").len();
            for object in list(event, "Object") {
                count += list(&object, "Attribute").len();
            }
        }
        Ok(count)
    };
    let before = count(&fs::read_to_string(events)?)?;
    let after = count(&String::from_utf8(parts.stdout)?)?;
    ensure!(before == after, "split.jq: {after} attributes of {before}");
    println!("split.jq: {after} attributes, as before");
    Ok(())
}

/// `poll.sh` gives each attribute of the answer, and fails where curl does.
fn poll(pipelines: &Path) -> anyhow::Result<()> {
    fs::write(pipelines.join("headers"), "Authorization: made-up\n")?;
    let answer = r#"{"response":{"Attribute":[{"id":"1"},{"id":"2"}]}}"#;
    for (status, succeeds) in [("200 OK", true), ("503 Service Unavailable", false)] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = thread::spawn(move || -> std::io::Result<String> {
            let (mut stream, _) = listener.accept()?;
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone()?);
            while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request)? > 0 {}
            let mut lines = request.lines().map(str::to_ascii_lowercase);
            let length = lines.find_map(|line| {
                let (name, value) = line.split_once(':')?;
                (name == "content-length").then(|| value.trim().parse().ok())?
            });
            // Closing with a part of the request unread would reset the connection.
            reader.read_exact(&mut vec![0; length.unwrap_or(0)])?;
            let length = answer.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{answer}"
            )?;
            Ok(request)
        });
        let polled = Command::new("sh")
            .current_dir(pipelines)
            .arg("poll.sh")
            .env("MISP_URL", &url)
            .env("MISP_HEADERS", "headers")
            .env("no_proxy", "127.0.0.1")
            .output()?;
        let request = server.join().ok().context("the server ended")??;
        ensure!(request.contains("made-up"), "poll.sh sends no key");
        ensure!(
            polled.status.success() == succeeds,
            "poll.sh ends with {} after {status}",
            polled.status
        );
        let lines = String::from_utf8(polled.stdout)?;
        let expected = if succeeds {
            "{\"id\":\"1\"}\n{\"id\":\"2\"}\n"
        } else {
            ""
        };
        ensure!(lines == expected, "poll.sh gives {lines:?} after {status}");
        let said = String::from_utf8(polled.stderr)?;
        ensure!(succeeds || said.contains("could not be read"), "{said}");
    }
    println!("poll.sh: attributes one per line, an error where MISP is down");
    Ok(())
}

fn fluent_bit(pipelines: &Path, events: &Path) -> Command {
    let mut command = Command::new("fluent-bit");
    command
        .current_dir(pipelines)
        .env("EVENTS", events)
        .env("ES_HOST", "127.0.0.1")
        .env("ES_USER", "made-up")
        .env("ES_PASSWORD", "made-up")
        .env("RECEIVER_HOST", "127.0.0.1");
    command
}

/// `events.conf` in Fluent Bit: a document for each attribute.
fn whole_events(pipelines: &Path, events: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(events)?;
    let expected = text.matches("\"to_ids\"").count();
    let mut child = fluent_bit(pipelines, events)
        .args(["-c", "events.conf"])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("its stdout")?;
    let lines = BufReader::new(stdout).lines();
    let documents = lines
        .map_while(Result::ok)
        .filter(|line| line.starts_with('{'))
        .take(expected)
        .count();
    child.kill()?;
    child.wait()?;
    ensure!(
        documents == expected,
        "events.conf: {documents} documents of {expected}"
    );
    println!("events.conf in Fluent Bit: {documents} documents");
    Ok(())
}
