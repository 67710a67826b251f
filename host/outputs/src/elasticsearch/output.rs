//! An Elasticsearch or OpenSearch as an [`Output`].

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use pipeline::{Backoff, Delivery, Inventory, Output, OutputError, TargetIdentity, Verdict};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::Mutex;

use super::bulk::{self, Limits};
use super::client::Client;
use super::credentials::Environment;
use super::encode::{Action, NoStep, Step, step, steps_before, stored_hash};
use super::error::{AtWork, ElasticError};
use super::inventory::Scroll;
use super::names::Names;
use super::options::{ElasticMode, ElasticsearchOptions};
use crate::breaker::Breaker;

/// Tries of one bulk before the whole batch waits.
const TRIES: u32 = 5;
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// Documents in an Elasticsearch or OpenSearch. A batch is acknowledged when the server has
/// answered for each of its documents.
pub struct ElasticsearchOutput {
    name: String,
    core: Result<Core, ElasticError>,
    /// One batch at a time, so that no document has two writes under way.
    turn: Mutex<Turn>,
}

/// What is known of the targets between two batches.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The targets that can be written, each with the uuid of its index where that is known.
    ready: BTreeMap<String, Option<String>>,
    /// The targets that were written since their last refresh.
    unrefreshed: BTreeSet<String>,
}

/// What a sound configuration gives.
pub(super) struct Core {
    pub(super) client: Client,
    pub(super) names: Names,
    pub(super) options: ElasticsearchOptions,
    limits: Limits,
    breaker: Breaker,
}

impl ElasticsearchOutput {
    /// Reads the files that the options name and asks nothing yet. What is wrong with the
    /// options is said by whatever is called next.
    #[must_use]
    pub fn new(name: &str, options: &ElasticsearchOptions) -> Self {
        Self::with_environment(name, options, |variable| std::env::var(variable).ok())
    }

    /// [`ElasticsearchOutput::new`] with other variables than the process's.
    #[must_use]
    pub fn with_environment(
        name: &str,
        options: &ElasticsearchOptions,
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            core: Core::new(options, Arc::new(environment)),
            turn: Mutex::default(),
        }
    }

    /// As [`ElasticsearchOutput::new`], and fails at once if the options are wrong.
    ///
    /// # Errors
    /// What is wrong with the options.
    pub fn open(name: &str, options: &ElasticsearchOptions) -> Result<Self, OutputError> {
        let output = Self::new(name, options);
        output.core().map_err(OutputError::new)?;
        Ok(output)
    }

    pub(super) fn core(&self) -> Result<&Core, ElasticError> {
        self.core.as_ref().map_err(Clone::clone)
    }
}

impl Core {
    fn new(options: &ElasticsearchOptions, environment: Environment) -> Result<Self, ElasticError> {
        let size = usize::try_from(options.max_bulk_bytes.bytes()).unwrap_or(usize::MAX);
        Ok(Self {
            names: Names::new(options)?,
            client: Client::new(options, environment)?,
            limits: Limits {
                bytes: size,
                count: options.max_bulk_count.max(1) as usize,
                in_flight: options.in_flight.max(1) as usize,
                gzip: options.gzip,
                // An index that the server makes by itself has the wrong fields.
                require_alias: options.mode == ElasticMode::Latest && options.require_templates,
                backoff: Backoff {
                    first: options.retry_wait.get(),
                    cap: LONGEST_WAIT,
                    attempts: Some(TRIES),
                },
            },
            options: options.clone(),
            breaker: Breaker::default(),
        })
    }

    /// Is the template of a target there? Without it the server would make a data stream of it, or
    /// guess the fields.
    pub(super) async fn template(&self, name: &str, mapping: &str) -> Result<(), ElasticError> {
        let path = format!("_index_template/{name}");
        match self.client.json(Method::GET, &path, None).await {
            Ok(Some(found)) if has_template(&found) => Ok(()),
            Ok(_) => Err(ElasticError::NoTemplate {
                name: name.to_owned(),
                mapping: Some(mapping.to_owned()),
            }),
            Err(error) => Err(error),
        }
    }

    /// Makes a target ready, and notes which index it is.
    async fn prepare(
        &self,
        turn: &mut Turn,
        mapping: &str,
    ) -> Result<Option<TargetIdentity>, ElasticError> {
        let name = self.names.of_mapping(mapping)?;
        let known = turn.ready.remove(&name);
        let found = self.ready(mapping, known.as_ref()).await?;
        let index = found.as_ref().map(|target| target.index.clone());
        turn.ready.insert(name, index);
        Ok(found)
    }

    /// Makes the targets ready that are written for the first time, and leaves out the deletes where
    /// there is nothing: a delete with a version would make an index.
    async fn before_sending(
        &self,
        turn: &mut Turn,
        wave: &[(usize, &Delivery)],
        steps: &mut Vec<Step>,
        verdicts: &mut [Option<Verdict>],
    ) -> Result<(), ElasticError> {
        for step in steps.iter().filter(|step| step.action != Action::Delete) {
            let of_step = wave.iter().find(|(place, _)| *place == step.place);
            if let Some((_, delivery)) = of_step.filter(|_| !turn.ready.contains_key(&step.index)) {
                self.prepare(turn, &delivery.mapping.name).await?;
            }
        }
        let deletes = steps.iter().filter(|step| step.action == Action::Delete);
        let indices: BTreeSet<String> = deletes.map(|step| step.index.clone()).collect();
        for index in indices {
            if self.is_there(&index).await? {
                self.refresh_others(turn, &index).await;
                continue;
            }
            steps.retain(|step| {
                let stays = step.index != index || step.action != Action::Delete;
                if !stays {
                    set(verdicts, step.place, Verdict::Stored);
                }
                stays
            });
        }
        Ok(())
    }

    /// Lets searches find what was written elsewhere, before it is deleted here: each index is
    /// refreshed by a clock of its own.
    async fn refresh_others(&self, turn: &mut Turn, index: &str) {
        if self.names.mode == ElasticMode::Append {
            return;
        }
        let others: Vec<String> = turn.unrefreshed.iter().cloned().collect();
        for other in others.iter().filter(|other| *other != index) {
            let path = format!("{other}/_refresh");
            if let Err(error) = self.client.json(Method::POST, &path, None).await {
                tracing::debug!(%error, target = other, "could not refresh");
            }
            turn.unrefreshed.remove(other);
        }
    }

    async fn write(
        &self,
        turn: &mut Turn,
        batch: &[Delivery],
    ) -> Result<Vec<Verdict>, ElasticError> {
        let mut verdicts: Vec<Option<Verdict>> = vec![None; batch.len()];
        let places: Vec<(usize, &Delivery)> = batch.iter().enumerate().collect();
        for wave in waves(&places) {
            let mut steps = Vec::with_capacity(wave.len());
            for (place, delivery) in &wave {
                match step(&self.names, *place, delivery) {
                    Ok(step) => steps.push(step),
                    Err(NoStep::Name(error)) => return Err(error),
                    Err(NoStep::Body(error)) => {
                        let text = error.to_string();
                        set(&mut verdicts, *place, Verdict::Rejected { text });
                    }
                }
            }
            self.before_sending(turn, &wave, &mut steps, &mut verdicts)
                .await?;
            let sent = bulk::send(&self.client, self.limits, &steps).await;
            for (place, verdict) in sent.inspect_err(|_| turn.ready.clear())? {
                set(&mut verdicts, place, verdict);
            }
            let puts = steps
                .into_iter()
                .filter(|step| step.action == Action::Index);
            turn.unrefreshed.extend(puts.map(|step| step.index));
            // Only once the new document is there: what was refused leaves the old one.
            let mut before = Vec::new();
            for (place, delivery) in &wave {
                let verdict = verdicts.get(*place).and_then(Option::as_ref);
                if matches!(
                    verdict,
                    Some(Verdict::Stored | Verdict::Duplicate | Verdict::Stale)
                ) {
                    before.extend(steps_before(&self.names, *place, delivery)?);
                }
            }
            self.take_away(turn, before, &mut verdicts).await?;
        }
        let verdicts: Vec<Verdict> = verdicts.into_iter().flatten().collect();
        if verdicts.len() != batch.len() {
            let reason = "an action has no verdict, which is a defect of misp-ecs".to_owned();
            return Err(ElasticError::Unreadable { reason });
        }
        self.breaker(&verdicts)?;
        Ok(verdicts)
    }

    /// Deletes what the old mapping's indices have. An older version that stays would be found
    /// beside the new document, so a refusal counts for the delivery; a newer one may stay.
    async fn take_away(
        &self,
        turn: &mut Turn,
        mut steps: Vec<Step>,
        verdicts: &mut [Option<Verdict>],
    ) -> Result<(), ElasticError> {
        let indices: BTreeSet<String> = steps.iter().map(|step| step.index.clone()).collect();
        for index in indices {
            if self.is_there(&index).await? {
                self.refresh_others(turn, &index).await;
            } else {
                steps.retain(|step| step.index != index);
            }
        }
        let sent = match bulk::send(&self.client, self.limits, &steps).await {
            // Gone in between: nothing to take away.
            Err(ElasticError::NoIndex { .. }) => return Ok(()),
            sent => sent?,
        };
        for (place, verdict) in sent {
            if matches!(verdict, Verdict::Rejected { .. }) {
                set(verdicts, place, verdict);
            }
        }
        Ok(())
    }

    fn breaker(&self, verdicts: &[Verdict]) -> Result<(), ElasticError> {
        let judged = self.breaker.judge(verdicts, self.options.breaker_percent);
        judged.map_err(|too_many| ElasticError::Breaker {
            rejected: too_many.rejected,
            total: too_many.total,
            first: too_many.first,
        })
    }
}

/// A pattern that matches nothing is answered with an empty list, not with 404.
fn has_template(found: &Value) -> bool {
    let found = found.get("index_templates").and_then(Value::as_array);
    found.is_some_and(|found| !found.is_empty())
}

fn set(verdicts: &mut [Option<Verdict>], place: usize, verdict: Verdict) {
    if let Some(at) = verdicts.get_mut(place) {
        *at = Some(verdict);
    }
}

/// Each id once a wave, in order: the second write of a document waits for its first.
fn waves<'d>(batch: &[(usize, &'d Delivery)]) -> Vec<Vec<(usize, &'d Delivery)>> {
    let mut waves = Vec::new();
    let mut rest = batch.to_vec();
    while !rest.is_empty() {
        let mut seen: HashSet<&str> = HashSet::with_capacity(rest.len());
        let (wave, later): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|(_, delivery)| seen.insert(&delivery.document.id));
        waves.push(wave);
        rest = later;
    }
    waves
}

#[async_trait]
impl Output for ElasticsearchOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        match &self.core {
            // Which cluster and index it is at the moment: see `prepare`.
            Ok(core) => core.names.searched.clone(),
            Err(_) => "elasticsearch".to_owned(),
        }
    }

    async fn write(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, OutputError> {
        let core = self.core().map_err(OutputError::new)?;
        let mut turn = self.turn.lock().await;
        let written = core.write(&mut turn, batch).await;
        written.map_err(|error| OutputError::new(AtWork(error)))
    }

    async fn prepare(&self, mapping: &str) -> Result<Option<TargetIdentity>, OutputError> {
        let core = self.core().map_err(OutputError::new)?;
        let mut turn = self.turn.lock().await;
        let mut failed = 0;
        loop {
            let error = match core.prepare(&mut turn, mapping).await {
                Ok(target) => return Ok(target),
                Err(error) => error,
            };
            failed += 1;
            // As a bulk is tried again.
            match core.limits.backoff.wait(failed, None) {
                Some(wait) if error.is_passing() => tokio::time::sleep(wait).await,
                _ => return Err(OutputError::new(error)),
            }
        }
    }

    async fn check(&self) -> Result<(), OutputError> {
        let core = self.core().map_err(OutputError::new)?;
        core.check().await.map_err(OutputError::new)
    }

    async fn advice(&self) -> Result<Vec<String>, OutputError> {
        let core = self.core().map_err(OutputError::new)?;
        core.advice().await.map_err(OutputError::new)
    }

    fn stored_hash(&self, delivery: &Delivery) -> Option<u64> {
        let core = self.core.as_ref().ok()?;
        let latest = core.names.mode == ElasticMode::Latest;
        latest.then(|| stored_hash(delivery)).flatten()
    }

    fn inventory(&self) -> Option<Box<dyn Inventory + '_>> {
        let core = self.core().ok()?;
        // A data stream keeps every change: its ids are those of changes.
        let latest = core.names.mode == ElasticMode::Latest;
        latest.then(|| Box::new(Scroll::new(core)) as Box<dyn Inventory>)
    }
}
