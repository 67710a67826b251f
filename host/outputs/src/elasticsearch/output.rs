//! An Elasticsearch or OpenSearch as an [`Output`].

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use pipeline::{Backoff, Delivery, Inventory, Output, OutputError, Verdict};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::Mutex;

use super::bulk::{self, Limits};
use super::client::Client;
use super::credentials::Environment;
use super::encode::{NoStep, Step, step, steps_before};
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
    /// One batch at a time, so that no document has two writes under way; and the indices whose
    /// template is known to be there.
    turn: Mutex<BTreeSet<String>>,
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

    /// Is the template of an index there? Without it the server would make a data stream of it,
    /// or guess the fields.
    pub(super) async fn template(&self, index: &str) -> Result<(), ElasticError> {
        let path = format!("_index_template/{index}");
        match self.client.json(Method::GET, &path, None).await {
            Ok(Some(found)) if has_template(&found) => Ok(()),
            Ok(_) => Err(ElasticError::NoTemplate {
                name: index.to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    /// The same for every index of a batch that was not looked at yet.
    async fn prepare(
        &self,
        known: &mut BTreeSet<String>,
        steps: &[Step],
    ) -> Result<(), ElasticError> {
        if !self.options.require_templates {
            return Ok(());
        }
        for step in steps {
            if known.contains(&step.index) {
                continue;
            }
            match self.template(&step.index).await {
                Ok(()) => {}
                Err(ElasticError::Forbidden { .. }) => tracing::warn!(
                    index = step.index,
                    "the credentials may not look at templates: whether `misp-ecs setup \
                     elasticsearch` was run is not known"
                ),
                Err(error) => return Err(error),
            }
            known.insert(step.index.clone());
        }
        Ok(())
    }

    async fn write(
        &self,
        known: &mut BTreeSet<String>,
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
            self.prepare(known, &steps).await?;
            for (place, verdict) in bulk::send(&self.client, self.limits, &steps).await? {
                set(&mut verdicts, place, verdict);
            }
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
            self.take_away(before, &mut verdicts).await?;
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
        mut steps: Vec<Step>,
        verdicts: &mut [Option<Verdict>],
    ) -> Result<(), ElasticError> {
        let indices: BTreeSet<String> = steps.iter().map(|step| step.index.clone()).collect();
        for index in indices {
            if !self.is_there(&index).await? {
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

    /// A delete with a version would make the index, and without its template a data stream that
    /// refuses the delete.
    async fn is_there(&self, index: &str) -> Result<bool, ElasticError> {
        let path = format!("{index}/_settings?filter_path=*.settings.index.uuid");
        match self.client.json(Method::GET, &path, None).await {
            Ok(found) => Ok(found.is_some()),
            // The credentials may not look: then it is tried.
            Err(ElasticError::Forbidden { .. }) => Ok(true),
            Err(error) => Err(error),
        }
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
            Ok(core) => format!("{}{}", core.client.first(), core.names.searched),
            Err(_) => "elasticsearch".to_owned(),
        }
    }

    async fn write(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, OutputError> {
        let core = self.core().map_err(OutputError::new)?;
        let mut turn = self.turn.lock().await;
        let written = core.write(&mut turn, batch).await;
        written.map_err(|error| OutputError::new(AtWork(error)))
    }

    async fn check(&self) -> Result<(), OutputError> {
        let core = self.core().map_err(OutputError::new)?;
        core.check().await.map_err(OutputError::new)
    }

    async fn advice(&self) -> Result<Vec<String>, OutputError> {
        let core = self.core().map_err(OutputError::new)?;
        core.advice().await.map_err(OutputError::new)
    }

    fn inventory(&self) -> Option<Box<dyn Inventory + '_>> {
        let core = self.core().ok()?;
        // A data stream keeps every change: its ids are those of changes.
        let latest = core.names.mode == ElasticMode::Latest;
        latest.then(|| Box::new(Scroll::new(core)) as Box<dyn Inventory>)
    }
}
