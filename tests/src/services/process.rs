//! A child process that is waited for by what it says, and ended by its id.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A broker that is not ready by then is broken.
const READY: Duration = Duration::from_secs(120);

pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts a process and waits until a line holds `ready`; hands back the lines up to it.
    pub(super) fn start(command: &mut Command, ready: &str) -> io::Result<(Self, Vec<String>)> {
        let mut child = command
            // Closed when this process ends, however it does.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            read(stdout, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            read(stderr, sender);
        }
        let process = Self { child };
        let mut seen = Vec::new();
        loop {
            let line = lines.recv_timeout(READY).map_err(|_| {
                io::Error::other(format!("{command:?} never said {ready:?}: {seen:#?}"))
            })?;
            let is_ready = line.contains(ready);
            seen.push(line);
            if is_ready {
                return Ok((process, seen));
            }
        }
    }

    /// Ends it at once, as a power cut would.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

/// Reads to the end, so that the process never waits for its reader; after it is ready nobody
/// listens any more.
fn read(stream: impl Read + Send + 'static, sender: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
}
