//! `control.sock` in the state folder: how commands reach the host that holds the state.
//!
//! One JSON line asks; JSON lines answer: pieces of text, then the exit code. The socket is its owner's alone, as the folder is.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use pipeline::Ledger;
use serde::{Deserialize, Serialize};
use state::Store;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinHandle;

use crate::commands;
use crate::config::Loaded;
use crate::exit::Exit;
use crate::instances::Instances;
use crate::replay::{Picked, Replay};
use crate::swap::Swap;

const SOCKET: &str = "control.sock";

/// The wait before the socket is asked again for whoever comes.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// The longest question that is read.
const LONGEST: u64 = 64 << 10;

/// What a command asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// `misp-ecs status`
    Status {
        /// As JSON.
        json: bool,
    },
    /// `misp-ecs state show`
    StateShow,
    /// `misp-ecs state export`
    StateExport,
    /// `misp-ecs reprocess`
    Reprocess {
        /// Only this instance.
        instance: Option<String>,
        /// Which events.
        what: What,
    },
    /// `misp-ecs sweep`
    Sweep {
        /// Only this instance.
        instance: Option<String>,
        /// Withdraw however much it is.
        confirm: bool,
    },
    /// `misp-ecs dead-letter replay`
    Replay(Picked),
    /// `misp-ecs instance rename`
    RenameInstance {
        /// The name in the state.
        old: String,
        /// The name in the configuration.
        new: String,
    },
    /// `misp-ecs instance remove`
    RemoveInstance {
        /// The name in the state.
        name: String,
    },
    /// `misp-ecs mapping use`
    Use {
        /// A kept digest, a name or an absolute path.
        mapping: String,
    },
    /// `misp-ecs mapping rollback`
    Rollback,
    /// `misp-ecs audit`
    Audit {
        /// Only this instance.
        instance: Option<String>,
        /// What an output really has, too.
        deeper: Option<commands::Deeper>,
    },
}

/// Which events `misp-ecs reprocess` means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// Those that another mapping made something of.
    Others,
    /// Every one.
    All,
    /// Those published since, UNIX seconds.
    Since(i64),
    /// This one.
    Event(String),
}

impl What {
    /// As the store knows it; `None` for [`Self::Others`].
    pub(crate) fn in_store(&self) -> Option<state::Reprocess> {
        match self {
            Self::Others => None,
            Self::All => Some(state::Reprocess::All),
            Self::Since(seconds) => Some(state::Reprocess::Since(*seconds)),
            Self::Event(uuid) => Some(state::Reprocess::Event(uuid.clone())),
        }
    }
}

/// A line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reply {
    /// A piece of what the command prints.
    Text(String),
    /// What went wrong, for stderr.
    Error(String),
    /// The end: its exit code.
    Code(u8),
}

/// Asks the host that holds the state in this folder and hands on what it says; the exit code,
/// or `None` if no host holds it.
pub(crate) async fn ask(
    folder: &Path,
    request: &Request,
    mut print: impl FnMut(&str) -> io::Result<()>,
) -> anyhow::Result<Option<u8>> {
    let path = folder.join(SOCKET);
    let mut stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        // No host, or one that was killed and left its socket behind.
        Err(error)
            if matches!(
                error.kind(),
                // The last: a folder whose path is too long for a socket has none.
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line)? {
            Reply::Text(text) => print(&text)?,
            Reply::Error(text) => crate::say_error(&text),
            Reply::Code(code) => return Ok(Some(code)),
        }
    }
    bail!("the running host did not answer to the end: look at its log")
}

/// Answers while it lives.
pub(crate) struct Control {
    server: JoinHandle<()>,
    path: PathBuf,
}

impl Control {
    /// Listens in the state folder, whose lock this process holds.
    pub(crate) fn start(host: Host) -> anyhow::Result<Self> {
        let folder = &host.folder;
        let path = folder.join(SOCKET);
        // What is there was left behind: we hold the lock.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let host = Arc::new(host);
        let server = tokio::spawn(async move {
            let mut failing = false;
            loop {
                let stream = match listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Such as too many open files: that passes.
                        if !std::mem::replace(&mut failing, true) {
                            tracing::error!(%error, "control socket cannot accept, retrying");
                        }
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                        continue;
                    }
                };
                failing = false;
                let host = Arc::clone(&host);
                tokio::spawn(async move {
                    if let Err(error) = host.serve(stream).await {
                        tracing::debug!(%error, "a command was not answered");
                    }
                });
            }
        });
        Ok(Self { server, path })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.server.abort();
        // If it stays, the next start removes it.
        let _ = fs::remove_file(&self.path);
    }
}

/// What a running host can tell.
pub(crate) struct Host {
    pub(crate) folder: PathBuf,
    pub(crate) store: Arc<Store>,
    pub(crate) loaded: Arc<Loaded>,
    /// What replaces the mapping.
    pub(crate) swap: Arc<Swap>,
    /// What renames and removes instances that are not configured.
    pub(crate) others: Instances,
    /// What asks again for what was refused.
    pub(crate) replay: Arc<Replay>,
    /// Each instance and its account.
    pub(crate) ledgers: Vec<(String, Arc<Ledger>)>,
    /// When it started.
    pub(crate) started: Instant,
    /// Where dead letters are, for people.
    pub(crate) dead_letters: String,
}

impl Host {
    async fn serve(self: &Arc<Self>, stream: UnixStream) -> anyhow::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        BufReader::new(read.take(LONGEST))
            .read_line(&mut line)
            .await?;
        let (sender, mut replies) = mpsc::channel(16);
        let host = Arc::clone(self);
        let work = tokio::spawn(async move {
            let code = match host.answer(&line, &sender).await {
                Ok(code) => code,
                Err(error) => {
                    let text = crate::explain(&error);
                    let _ = sender.send(Reply::Error(text)).await;
                    Exit::of_error(&error).code()
                }
            };
            // Whoever asked may have gone.
            let _ = sender.send(Reply::Code(code)).await;
        });
        while let Some(reply) = replies.recv().await {
            let mut line = serde_json::to_vec(&reply)?;
            line.push(b'\n');
            write.write_all(&line).await?;
        }
        work.await?;
        Ok(())
    }

    async fn answer(self: &Arc<Self>, line: &str, to: &Sender<Reply>) -> anyhow::Result<u8> {
        let request: Request = serde_json::from_str(line)
            .context("the running host does not know this question: is it another version?")?;
        match request {
            Request::Status { json } => {
                let (text, exit) = commands::status_of(self, json).await?;
                to.send(Reply::Text(text)).await?;
                Ok(exit.code())
            }
            Request::StateShow => {
                let text = commands::shown(&self.store, &self.folder)?;
                to.send(Reply::Text(text)).await?;
                Ok(0)
            }
            Request::StateExport => {
                let (host, to) = (Arc::clone(self), to.clone());
                tokio::task::spawn_blocking(move || {
                    commands::exported(&host.store, &mut |text: &str| {
                        to.blocking_send(Reply::Text(text.to_owned()))
                            .map_err(io::Error::other)
                    })
                })
                .await??;
                Ok(0)
            }
            Request::Reprocess { instance, what } => {
                let swap = Arc::clone(&self.swap);
                let text = tokio::task::spawn_blocking(move || {
                    swap.reprocess(instance.as_deref(), what.in_store().as_ref())
                });
                to.send(Reply::Text(text.await??)).await?;
                Ok(0)
            }
            Request::Sweep { instance, confirm } => {
                let say = |text: String| async { Ok(to.send(Reply::Text(text)).await?) };
                commands::sweep_in(&self.replay.wakes, instance.as_deref(), confirm, say).await
            }
            Request::Replay(picked) => {
                to.send(Reply::Text(self.replay.run(&picked).await?))
                    .await?;
                Ok(0)
            }
            Request::RenameInstance { old, new } => {
                let text = self.others.rename(&old, &new).await?;
                to.send(Reply::Text(text)).await?;
                Ok(0)
            }
            Request::RemoveInstance { name } => {
                let text = self.others.remove(&name).await?;
                to.send(Reply::Text(text)).await?;
                Ok(0)
            }
            Request::Use { mapping } => {
                to.send(Reply::Text(self.swap.to(&mapping).await?)).await?;
                Ok(0)
            }
            Request::Rollback => {
                to.send(Reply::Text(self.swap.back().await?)).await?;
                Ok(0)
            }
            Request::Audit { instance, deeper } => {
                let report = commands::audit_report(
                    &self.store,
                    &self.loaded,
                    &self.folder,
                    instance.as_deref(),
                );
                let (text, mut exit) = report.await?;
                to.send(Reply::Text(text)).await?;
                if let Some(deeper) = deeper {
                    let report = commands::inventory_report(&self.store, &self.loaded, &deeper);
                    let (text, there) = report.await?;
                    exit = exit.max(there);
                    to.send(Reply::Text(text)).await?;
                    self.replay.wake_all();
                }
                Ok(exit.code())
            }
        }
    }
}
