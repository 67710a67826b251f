//! `misp-ecs status`: how a running host is doing.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use pipeline::{Counts, Failure, Health, Ledger, now_ms};
use serde::Serialize;
use serde_json::json;

use crate::args::Status;
use crate::control::{self, Host, Request};
use crate::exit::Exit;
use crate::summary::{plural, summary};
use crate::why::why_nothing;
use crate::{instances, wiring};

/// The most stages and events that are listed.
const LISTED: usize = 5;

/// Runs the command: asks the host that holds the state.
pub(crate) async fn status(args: &Status) -> anyhow::Result<ExitCode> {
    let folder = wiring::folder_of(&args.configured)?;
    let request = Request::Status { json: args.json };
    if let Some(code) = control::ask(&folder, &request, crate::write_out).await? {
        return Ok(ExitCode::from(code));
    }
    Err(Exit::NotRunning.error(format!(
        "misp-ecs is not running, or still starting (state folder {}); `misp-ecs state show` lists \
         what it has stored",
        folder.display()
    )))
}

/// How an instance is, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Healthy,
    Starting,
    Behind,
    Degraded,
    Failed,
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Starting => "starting",
            Self::Behind => "behind",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }

    fn exit(self) -> Exit {
        match self {
            Self::Healthy => Exit::Done,
            Self::Starting | Self::Behind | Self::Degraded => Exit::Differs,
            Self::Failed => Exit::Failed,
        }
    }
}

/// What is known of one instance.
struct Known<'h> {
    name: &'h str,
    ledger: &'h Ledger,
    counts: Counts,
    health: Health,
    to_read_again: u64,
    unread: Vec<pipeline::WaitingEvent>,
    since_commit: Option<i64>,
    interval: Option<Duration>,
}

impl<'h> Known<'h> {
    fn of(host: &'h Host, name: &'h str, ledger: &'h Ledger) -> anyhow::Result<Self> {
        let commits = host.store.instances()?;
        let commit = commits.iter().find(|one| one.instance == name);
        let instances = &host.loaded.config.instances;
        let configured = instances.iter().find(|one| one.label() == name);
        let (_, unread) = pipeline::State::unread(&*host.store, name, LISTED)?;
        Ok(Self {
            name,
            ledger,
            counts: ledger.counts(),
            health: ledger.health(),
            to_read_again: host.store.wanted_count(name)?,
            unread,
            since_commit: commit.map(|one| seconds_since(one.updated_ms)),
            interval: configured.map(|one| one.interval.get()),
        })
    }

    /// Seconds since a poll reached its end.
    fn since_poll(&self) -> Option<i64> {
        self.ledger.polled_ms().map(seconds_since)
    }

    fn word(&self) -> Word {
        match &self.health {
            Health::Failed { .. } => Word::Failed,
            Health::Degraded { .. } => Word::Degraded,
            Health::Starting => Word::Starting,
            Health::Running
                if self.counts.sweep_held_back > 0 || self.counts.expiry_held_back > 0 =>
            {
                Word::Degraded
            }
            Health::Running if !self.counts.behind.is_empty() || self.is_overdue() => Word::Behind,
            Health::Running => Word::Healthy,
        }
    }

    /// Has no poll ended for so long that this one is late?
    fn is_overdue(&self) -> bool {
        const SLACK: Duration = Duration::from_secs(600);
        let (Some(since), Some(interval)) = (self.since_poll(), self.interval) else {
            return false;
        };
        let most = interval.saturating_mul(3).saturating_add(SLACK);
        u64::try_from(since).is_ok_and(|since| since > most.as_secs())
    }

    /// What is the matter, in a few words.
    fn what(&self) -> String {
        let stages = match &self.health {
            Health::Degraded { failing, .. } => failing.iter().map(|one| one.stage.as_str()),
            Health::Failed { error } => return error.clone(),
            _ if self.counts.sweep_held_back > 0 => return "reconciliation held back".to_owned(),
            _ if self.counts.expiry_held_back > 0 => return "expiry held back".to_owned(),
            _ if self.is_overdue() => return "its poll is late".to_owned(),
            _ => {
                let behind = self.counts.behind.keys();
                return behind
                    .map(|output| format!("output {output}"))
                    .collect::<Vec<_>>()
                    .join(", ");
            }
        };
        stages.collect::<Vec<_>>().join(", ")
    }

    fn line(&self) -> String {
        let word = self.word();
        match word {
            Word::Healthy | Word::Starting => format!("{}: {}", self.name, word.text()),
            _ => format!("{}: {} ({})", self.name, word.text(), self.what()),
        }
    }

    fn short(&self) -> String {
        match self.word() {
            Word::Starting => format!("{} has not reached its server yet", self.name),
            _ => format!("{} ({})", self.name, self.what()),
        }
    }

    /// What failed, what lags, what worked last.
    fn write(&self, out: &mut String) -> std::fmt::Result {
        match &self.health {
            Health::Degraded { failing, .. } => {
                for failure in failing.iter().take(LISTED) {
                    write_failure(out, failure)?;
                }
            }
            _ => match self.ledger.last_failure() {
                Some(failure) => write_failure(out, &failure)?,
                None => writeln!(out, "  last error    none since the start")?,
            },
        }
        for event in &self.unread {
            writeln!(
                out,
                "  not read      event {}: {} ({} attempts, next attempt {})",
                event.uuid,
                event.error,
                event.attempts,
                from_now(event.again_ms)
            )?;
        }
        let interval = self.interval.map_or_else(String::new, |interval| {
            format!(", every {}", humantime::format_duration(interval))
        });
        let poll = self.since_poll().map_or_else(
            || "no poll has ended yet".to_owned(),
            |since| format!("the last poll ended {} ago{interval}", duration(since)),
        );
        write!(
            out,
            "  lag           {poll}; {} to read again",
            plural(self.to_read_again, "event")
        )?;
        for output in self.counts.behind.keys() {
            write!(out, "; output {output} is behind")?;
        }
        writeln!(out)?;
        let commit = self.since_commit.map_or_else(
            || "nothing committed yet".to_owned(),
            |since| format!("a page was committed {} ago", duration(since)),
        );
        writeln!(
            out,
            "  last success  {commit}, {} ended since the start",
            plural(self.counts.walks, "poll")
        )
    }

    async fn json(&self, host: &Host) -> serde_json::Value {
        json!({
            "instance": self.name,
            "status": self.word(),
            "health": self.health,
            "last_error": self.ledger.last_failure(),
            "seconds_since_poll": self.since_poll(),
            "seconds_since_commit": self.since_commit,
            "to_read_again": self.to_read_again,
            "not_read": self.unread,
            "counts": self.counts,
            "why_nothing": why_nothing(&host.loaded, self.name, self.ledger, &host.folder).await,
        })
    }
}

/// What the host says of itself, and the exit code.
pub(crate) async fn status_of(host: &Host, as_json: bool) -> anyhow::Result<(String, Exit)> {
    let ledgers = host.ledgers.iter();
    let known = ledgers
        .map(|(name, ledger)| Known::of(host, name, ledger))
        .collect::<anyhow::Result<Vec<Known<'_>>>>()?;
    let worst = known.iter().map(Known::word).max();
    let unconfigured = instances::unconfigured(&host.store, &host.loaded.config)?;
    let worst = worst.max((!unconfigured.is_empty()).then_some(Word::Degraded));
    let worst = worst.unwrap_or(Word::Healthy);
    if as_json {
        let mut instances = Vec::new();
        for one in &known {
            instances.push(one.json(host).await);
        }
        let status = json!({"status": worst, "instances": instances, "unconfigured": unconfigured,
            "mapping": host.swap.at_work().as_deref(),
            "seconds_since_start": host.started.elapsed().as_secs()});
        return Ok((format!("{status:#}\n"), worst.exit()));
    }
    let mut text = String::new();
    let not_well = known.iter().filter(|one| one.word() != Word::Healthy);
    let not_configured = unconfigured
        .iter()
        .map(|name| format!("{name} is not configured"));
    let not_well: Vec<String> = not_well.map(Known::short).chain(not_configured).collect();
    match not_well.as_slice() {
        [] => writeln!(text, "healthy: {}", plural(known.len() as u64, "instance"))?,
        lines => writeln!(text, "{}: {}", worst.text(), lines.join("; "))?,
    }
    if let Some(mapping) = host.swap.at_work() {
        let digest = &mapping.digest;
        writeln!(
            text,
            "mapping {} {}, sha256:{digest}",
            mapping.name, mapping.version
        )?;
    }
    let took = host.started.elapsed();
    for one in &known {
        writeln!(text, "\n{}", one.line())?;
        one.write(&mut text)?;
        let counts = summary(one.name, &one.counts, &one.health, took, &host.dead_letters);
        // Its first line is the instance's name.
        let counts = counts.split_once('\n').map_or("", |(_, counts)| counts);
        writeln!(text, "{}", counts.trim_end())?;
        for line in why_nothing(&host.loaded, one.name, one.ledger, &host.folder).await {
            writeln!(text, "  {line}")?;
        }
    }
    for name in &unconfigured {
        writeln!(
            text,
            "\n{name}\n  NOT CONFIGURED  {}",
            instances::remedies(name)
        )?;
    }
    Ok((text, worst.exit()))
}

fn write_failure(out: &mut String, failure: &Failure) -> std::fmt::Result {
    writeln!(out, "  last error    {}: {}", failure.stage, failure.error)?;
    write!(
        out,
        "                at {} ({} ago), {}",
        at(failure.at_ms),
        duration(seconds_since(failure.at_ms)),
        plural(failure.attempts.into(), "attempt")
    )?;
    match (failure.ended_ms, failure.again_ms) {
        (Some(ended), _) => writeln!(out, ", works again since {}", at(ended)),
        (None, Some(again)) => writeln!(
            out,
            " since {}, next attempt {}",
            at(failure.since_ms),
            from_now(again)
        ),
        (None, None) => writeln!(
            out,
            " since {}, next attempt with the next poll",
            at(failure.since_ms)
        ),
    }
}

fn seconds_since(ms: i64) -> i64 {
    now_ms().saturating_sub(ms).max(0) / 1_000
}

fn duration(seconds: i64) -> String {
    let seconds = Duration::from_secs(seconds.unsigned_abs());
    humantime::format_duration(seconds).to_string()
}

fn at(ms: i64) -> String {
    let since = Duration::from_millis(ms.max(0).unsigned_abs());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

fn from_now(ms: i64) -> String {
    match ms.saturating_sub(now_ms()) / 1_000 {
        ..=0 => "now".to_owned(),
        seconds => format!("in {}", duration(seconds)),
    }
}
