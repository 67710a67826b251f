//! Compiles a component in a process of its own first, which ends when it takes too much memory or
//! time: the compiler's work can grow with the square of a hostile component. What it compiled is
//! then in the cache.

use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::engine::Engine;
use crate::error::LoadError;
use crate::options::RuntimeOptions;

/// The most memory that compiling may take, bytes. The bundled mappings take 300 MB.
const MEMORY: u64 = 2 << 30;
/// The most processor time, and the longest time. The bundled mappings take some seconds.
const TIME: Duration = Duration::from_secs(120);
/// Threads of the compiler: each has a heap of its own.
const THREADS: &str = "4";
/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// The compiler came to an end, and the bytes are no component.
const REFUSED: u8 = 10;

/// The program that compiles: it calls [`compile_stdin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Compiler {
    /// Compiles these bytes elsewhere. `Ok`: compiling them here is safe, and short if there is a
    /// cache.
    pub(crate) fn try_out(&self, bytes: &[u8], cache: Option<&Path>) -> Result<(), LoadError> {
        let mut child = match self.start(bytes, cache) {
            Ok(child) => child,
            Err(error) => {
                tracing::warn!(%error, "no process for compiling, memory and time are not limited");
                return Ok(());
            }
        };
        let ended = wait(&mut child).map_err(|error| LoadError::Compile {
            reason: error.to_string(),
        })?;
        match ended {
            Some(status) if status.success() || status.code() == Some(REFUSED.into()) => Ok(()),
            // Out of memory the process aborts, out of time it is ended.
            Some(status) if status.signal().is_some() => Err(LoadError::Compile {
                reason: format!(
                    "it took more than {} MiB of memory or {} s of processor time ({status})",
                    MEMORY >> 20,
                    TIME.as_secs()
                ),
            }),
            Some(status) => Err(LoadError::Compile {
                reason: format!("the process that compiles ended with {status}"),
            }),
            None => Err(LoadError::Compile {
                reason: format!("it was not done after {} s", TIME.as_secs()),
            }),
        }
    }

    fn start(&self, bytes: &[u8], cache: Option<&Path>) -> io::Result<Child> {
        let mut input = tempfile::tempfile()?;
        input.write_all(bytes)?;
        input.rewind()?;
        Command::new(&self.program)
            .args(&self.arguments)
            .args(cache)
            .env("RAYON_NUM_THREADS", THREADS)
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }
}

/// `None`: it took too long, and was ended.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + TIME;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

/// Lowers a limit of this process; a lower one that is set already stays.
fn restrict(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource)
        .maximum
        .map_or(most, |known| known.min(most));
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    Ok(setrlimit(resource, limit)?)
}

/// The work of the process: limits itself, compiles what comes on standard input, keeps the result
/// in the cache. Returns its exit code.
///
/// # Errors
/// When it cannot be limited or the input cannot be read.
pub fn compile_stdin(cache: Option<PathBuf>) -> io::Result<u8> {
    restrict(Resource::Data, MEMORY)?;
    restrict(Resource::Cpu, TIME.as_secs())?;
    restrict(Resource::Core, 0)?;
    // If the machine runs out of memory all the same, this is what should end.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut bytes = Vec::new();
    let most = crate::engine::LARGEST_COMPONENT as u64;
    io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    let options = RuntimeOptions {
        cache,
        ..RuntimeOptions::default()
    };
    let engine = Engine::new(&options).map_err(io::Error::other)?;
    Ok(match engine.compile(&bytes) {
        Ok(_) => 0,
        Err(_) => REFUSED,
    })
}
