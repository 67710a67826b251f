//! Asks again for what was refused: after a fix, its events are fetched, mapped and sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use outputs::{DeadLetterFile, LetterStanding, Replayed, each_letter};
use pipeline::{DeadLetter, Wake};
use serde::{Deserialize, Serialize};
use state::Store;

use crate::summary::thousands;

/// Events that are asked for in one transaction of the state.
const AT_ONCE: usize = 500;

/// Which letters are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Picked {
    pub(crate) instance: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) event: Option<String>,
    /// Refused since then, UNIX seconds.
    pub(crate) since: Option<i64>,
    /// Also those that are not open any more.
    pub(crate) all: bool,
}

impl Picked {
    /// Is it this letter?
    pub(crate) fn has(&self, letter: &DeadLetter, standing: LetterStanding) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        (self.all || standing == LetterStanding::Open)
            && is(&self.instance, Some(&letter.instance))
            && is(&self.output, letter.output.as_deref())
            && is(&self.event, letter.event.as_deref())
            && self
                .since
                .is_none_or(|since| letter.time_ms >= since.saturating_mul(1_000))
    }
}

/// What a replay works on.
pub(crate) struct Replay {
    pub(crate) store: Arc<Store>,
    pub(crate) letters: Arc<DeadLetterFile>,
    pub(crate) path: PathBuf,
    /// Each instance that runs here, and what wakes it.
    pub(crate) wakes: Vec<(String, Arc<Wake>)>,
}

impl Replay {
    /// Wants the events of the letters read again; says what is asked for and what cannot be.
    /// The events are wanted, durably, before the letters count as replayed: after a crash in
    /// between they are asked for once more.
    pub(crate) async fn run(&self, picked: &Picked) -> anyhow::Result<String> {
        let (path, picked) = (self.path.clone(), picked.clone());
        let found = tokio::task::spawn_blocking(move || find(&path, &picked)).await??;
        let mut text = String::new();
        let mut say = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        for (instance, events) in &found.events {
            let Some((_, wake)) = self.wakes.iter().find(|(name, _)| name == instance) else {
                say(format!(
                    "{instance}: not in this configuration, {} events stay refused",
                    thousands(events.len() as u64)
                ));
                continue;
            };
            let mut refused = 0;
            for some in events.chunks(AT_ONCE) {
                refused += self.some(instance, some.to_vec()).await?;
            }
            wake.wake();
            say(format!(
                "{instance}: {} events are read again, {} refused documents are sent again",
                thousands(events.len() as u64),
                thousands(refused)
            ));
        }
        if found.without_event > 0 {
            say(format!(
                "{} parts of answers name no event and cannot be asked for: `misp-ecs dead-letter \
                 show` has them as they came",
                thousands(found.without_event)
            ));
        }
        if found.events.is_empty() && found.without_event == 0 {
            say("nothing is to be replayed".to_owned());
        }
        Ok(text)
    }

    /// Lets every instance look at once whether something is to be read again.
    pub(crate) fn wake_all(&self) {
        self.wakes.iter().for_each(|(_, wake)| wake.wake());
    }

    async fn some(&self, instance: &str, events: Vec<String>) -> anyhow::Result<u64> {
        let (store, name, wanted) = (Arc::clone(&self.store), instance.to_owned(), events.clone());
        let refused = tokio::task::spawn_blocking(move || store.replay(&name, &wanted)).await??;
        let marks: Vec<Replayed> = events
            .into_iter()
            .map(|event| Replayed {
                time_ms: pipeline::now_ms(),
                instance: instance.to_owned(),
                event,
                replayed: true,
            })
            .collect();
        self.letters.replayed(&marks).await?;
        Ok(refused)
    }
}

/// What is to be asked for.
#[derive(Default)]
struct Found {
    /// Events by instance.
    events: BTreeMap<String, Vec<String>>,
    without_event: u64,
}

fn find(path: &std::path::Path, picked: &Picked) -> anyhow::Result<Found> {
    let mut events: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut without_event = 0;
    each_letter(path, &mut |letter, standing| {
        if !picked.has(letter, standing) {
            return;
        }
        match &letter.event {
            Some(event) => {
                let of_instance = events.entry(letter.instance.clone()).or_default();
                of_instance.insert(event.clone());
            }
            None => without_event += 1,
        }
    })?;
    let events = events.into_iter();
    Ok(Found {
        events: events
            .map(|(instance, events)| (instance, events.into_iter().collect()))
            .collect(),
        without_event,
    })
}
