//! The released host as a process: how long it took, when its first document was there, what it
//! used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// How often a running host is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// A folder that the host runs in, with its configuration.
pub(crate) struct Place {
    host: PathBuf,
    folder: tempfile::TempDir,
}

/// What one run of the host took.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) seconds: f64,
    /// Until the first document was in the file; `None`: there was none.
    pub(crate) first_document_seconds: Option<f64>,
    /// Its own, all threads.
    pub(crate) cpu_seconds: f64,
    /// Of them the thread that runs the component.
    pub(crate) mapping_seconds: f64,
    /// At its largest, bytes.
    pub(crate) memory: u64,
    /// Lines in the file.
    pub(crate) documents: u64,
    /// Milliseconds by stage, as it says itself: wall clock, stages overlap.
    pub(crate) stages: Vec<(String, f64)>,
}

impl Place {
    /// A new folder with a configuration: a MISP at `url`, and this output.
    pub(crate) fn new(host: &Path, url: &str, key: &str, output: &str) -> anyhow::Result<Self> {
        // It runs in another folder.
        let host = fs::canonicalize(host).with_context(|| host.display().to_string())?;
        let place = Self {
            host,
            folder: tempfile::tempdir()?,
        };
        place.write("key", key)?;
        place.write("elastic-key", misp_ecs_tests::ELASTIC_KEY)?;
        place.configure(url, ", interval: 1s", output)?;
        Ok(place)
    }

    /// Writes the configuration; `polling` is what follows in the instance.
    pub(crate) fn configure(&self, url: &str, polling: &str, output: &str) -> anyhow::Result<()> {
        let config = format!(
            "instances: [{{name: bench, url: '{url}', api_key_file: key{polling}}}]\noutputs: {{out: {output}}}\nstate: {{path: state}}\n"
        );
        self.write("misp-ecs.yaml", &config)
    }

    /// The same with a file as output, and the mapping compiled.
    pub(crate) fn warm(host: &Path, url: &str, key: &str) -> anyhow::Result<Self> {
        let place = Self::new(host, url, key, FILE)?;
        place.compile()?;
        Ok(place)
    }

    /// Compiles the mapping into the cache of the state, and nothing else.
    pub(crate) fn compile(&self) -> anyhow::Result<Ran> {
        self.write("nothing.json", "{}")?;
        let nothing = self.folder.path().join("other");
        fs::create_dir_all(&nothing)?;
        let command = self.command(&["transform", "nothing.json"]);
        let mut command = command;
        // `transform` has no state: its cache is put where that of the state is.
        command.env("XDG_CACHE_HOME", &nothing);
        let ran = watch(command.spawn()?, &nothing, Instant::now())?.0;
        let state = self.folder.path().join("state");
        fs::create_dir_all(&state)?;
        fs::rename(nothing.join("misp-ecs"), state.join("compiled"))?;
        Ok(ran)
    }

    /// Forgets everything but the compiled mapping.
    pub(crate) fn forget(&self) -> anyhow::Result<()> {
        for file in ["state/state.redb", "out.ndjson"] {
            let path = self.folder.path().join(file);
            if path.exists() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.folder.path().join(name), text)?)
    }

    /// One pass.
    pub(crate) fn once(&self) -> anyhow::Result<Ran> {
        let words = ["run", "--once", "--config", "misp-ecs.yaml"];
        let mut command = self.command(&words);
        let log = fs::File::create(self.folder.path().join("log"))?;
        command.env("MISP_ECS_LOG", "info,pipeline::times=debug");
        command.stderr(log);
        let started = Instant::now();
        let child = command.spawn()?;
        let (mut ran, well) = watch(child, &self.file(), started)?;
        let log = fs::read_to_string(self.folder.path().join("log"))?;
        ensure!(well, "{words:?} failed: {log}");
        ran.stages = stages(&log);
        Ok(ran)
    }

    /// Runs another command to its end; how long it took, seconds.
    pub(crate) fn runs(&self, words: &[&str]) -> anyhow::Result<f64> {
        let words = [words, &["--config", "misp-ecs.yaml"]].concat();
        let started = Instant::now();
        let status = self.command(&words).status()?;
        ensure!(status.success(), "{words:?}: {status}");
        Ok(started.elapsed().as_secs_f64())
    }

    /// Starts it as a service.
    pub(crate) fn service(&self) -> anyhow::Result<Service> {
        let mut command = self.command(&["run", "--config", "misp-ecs.yaml"]);
        Ok(Service(command.spawn()?))
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("out.ndjson")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.host);
        command
            .args(words)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// The output that most of the measurements have.
pub(crate) const FILE: &str = "{type: file, path: out.ndjson, rotate_size: 0}";

/// A host that goes on until this is dropped.
pub(crate) struct Service(Child);

impl Service {
    /// What it has used so far, seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu(&format!("/proc/{}/stat", self.0.id())).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // What it has not committed is of no interest any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Watches a host until it ends; whether it ended well.
fn watch(mut child: Child, out: &Path, started: Instant) -> anyhow::Result<(Ran, bool)> {
    let process = format!("/proc/{}", child.id());
    let mut ran = Ran::default();
    let length = || fs::metadata(out).map_or(0, |found| found.len());
    let before = length();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        ran.memory = peak(&process).unwrap_or(ran.memory);
        ran.cpu_seconds = cpu(&format!("{process}/stat")).unwrap_or(ran.cpu_seconds);
        // The thread ends before the process does.
        ran.mapping_seconds = ran.mapping_seconds.max(of_mapping(&process));
        if ran.first_document_seconds.is_none() && out.is_file() && length() > before {
            ran.first_document_seconds = Some(started.elapsed().as_secs_f64());
        }
        std::thread::sleep(LOOK);
    };
    ran.seconds = started.elapsed().as_secs_f64();
    ran.documents = lines(out)?;
    Ok((ran, status.success()))
}

/// Lines of a file that may be large.
fn lines(path: &Path) -> anyhow::Result<u64> {
    use std::io::Read as _;
    if !path.is_file() {
        return Ok(0);
    }
    let (mut file, mut lines) = (fs::File::open(path)?, 0);
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        let Some(came) = piece.get(..read).filter(|came| !came.is_empty()) else {
            return Ok(lines);
        };
        lines += came.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}

/// The last line of the log that says where the time went.
fn stages(log: &str) -> Vec<(String, f64)> {
    let last = log
        .lines()
        .rev()
        .find(|line| line.contains("where the time went"));
    let list = last.and_then(|line| line.split("ms=\"").nth(1)?.split('"').next());
    let stages = list.unwrap_or_default().split(", ");
    stages
        .filter_map(|stage| {
            let (name, ms) = stage.rsplit_once(' ')?;
            Some((name.replace(' ', "_"), ms.parse().ok()?))
        })
        .collect()
}

/// Linux: `VmHWM` of proc(5), bytes.
fn peak(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Linux: user and system time of proc(5), seconds; a tick is 10 ms.
fn cpu(stat: &str) -> Option<f64> {
    let stat = fs::read_to_string(stat).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

/// The thread named `mapping`.
fn of_mapping(process: &str) -> f64 {
    let threads = fs::read_dir(format!("{process}/task"));
    let is_it = |path: &PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "mapping")
    };
    let threads = threads.into_iter().flatten().flatten();
    let mapping = threads.map(|thread| thread.path()).filter(is_it);
    mapping
        .filter_map(|path| cpu(path.join("stat").to_str()?))
        .sum()
}
