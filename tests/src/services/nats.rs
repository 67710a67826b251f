//! A NATS server with JetStream.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;
use super::{folder, once, run};

const MODULE: &str = "github.com/nats-io/nats-server/v2@v2.15.2";
const LISTENS: &str = "Listening for client connections on ";

/// What a server is told besides where to listen.
#[derive(Debug, Clone, Default)]
pub struct NatsSettings {
    /// Only this user with this password may connect.
    pub user: Option<(String, String)>,
    /// The certificate and its key: TLS only.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// A server on a loopback port of its own, which it keeps over restarts. Ends when dropped.
pub struct NatsServer {
    process: Option<Process>,
    executable: PathBuf,
    config: PathBuf,
    port: u16,
}

impl NatsServer {
    /// Starts a server that keeps its streams in `data`. Installs it the first time; blocks.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub fn start(data: &Path, settings: &NatsSettings) -> io::Result<Self> {
        let folder = folder("nats-2.15.2")?;
        once(&folder, "done", || {
            run(Command::new("go")
                .args(["install", MODULE])
                .env("GOBIN", &folder))
        })?;
        let mut text = format!(
            "max_payload: 32MB\njetstream {{ store_dir: {:?}, sync_interval: always }}\n",
            data.join("streams")
        );
        if let Some((user, password)) = &settings.user {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "authorization {{ user: {user:?}, password: {password:?} }}"
            );
        }
        if let Some((certificate, key)) = &settings.tls {
            let _ = writeln!(
                text,
                "tls {{ cert_file: {certificate:?}, key_file: {key:?} }}"
            );
        }
        let config = data.join("nats.conf");
        fs::write(&config, text)?;
        let mut server = Self {
            process: None,
            executable: folder.join("nats-server"),
            config,
            port: 0,
        };
        server.resume()?;
        Ok(server)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process
            .take()
            .map_or(Ok(()), |mut process| process.kill())
    }

    /// Starts it again, at the same port with the same streams.
    ///
    /// # Errors
    /// When it does not start.
    pub fn resume(&mut self) -> io::Result<()> {
        // -1 lets the server choose.
        let port = match self.port {
            0 => "-1".to_owned(),
            port => port.to_string(),
        };
        let mut command = Command::new(&self.executable);
        command
            .args(["-a", "127.0.0.1", "-p", &port, "-c"])
            .arg(&self.config);
        let (process, lines) = Process::start(&mut command, "Server is ready")?;
        self.port = lines
            .iter()
            .filter_map(|line| line.split_once(LISTENS))
            .filter_map(|(_, address)| address.rsplit_once(':')?.1.trim().parse().ok())
            .next()
            .ok_or_else(|| io::Error::other("the server did not say its port"))?;
        self.process = Some(process);
        Ok(())
    }
}
