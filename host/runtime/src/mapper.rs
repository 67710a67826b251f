//! A mapping at work: a thread of its own that holds the instance.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use pipeline::{Batch, Mapped, MappingIdentity, Transform, TransformError};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use crate::engine::{Engine, LoadedMapping};
use crate::error::{RuntimeError, StartError};
use crate::instance::Instance;
use crate::ladder::{Ladder, Start};
use crate::origin::Origin;

/// A running mapping. Ends when it is dropped.
#[derive(Debug)]
pub struct Mapper {
    jobs: mpsc::Sender<Job>,
    identity: Arc<MappingIdentity>,
    search_flags: Map<String, Value>,
    private_types: Arc<BTreeSet<String>>,
}

#[derive(Debug)]
struct Job {
    batch: Batch,
    reply: oneshot::Sender<Result<Vec<Mapped>, RuntimeError>>,
}

impl Mapper {
    /// Starts a thread with an instance of the mapping. `settings` is a JSON object.
    /// Blocks for the milliseconds that takes.
    ///
    /// # Errors
    /// When the settings are not accepted or the constructor faults.
    pub fn start(
        engine: &Engine,
        mapping: &LoadedMapping,
        settings: Vec<u8>,
        origin: Origin,
    ) -> Result<Self, StartError> {
        let options = Arc::clone(engine.options());
        let private_types = Arc::new(mapping.description().private_types());
        let redact = Arc::clone(&private_types);
        let start: Start = {
            let (engine, pre, options) =
                (engine.clone(), mapping.pre.clone(), Arc::clone(&options));
            Box::new(move || Instance::start(&engine, &pre, &options, &settings, &origin))
        };
        let (jobs, mut waiting) = mpsc::channel::<Job>(1);
        let (ready, started) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("mapping".to_owned())
            .spawn(move || {
                let first = start().and_then(|mut instance| {
                    let request = instance.request(&options).map_err(StartError::Fault)?;
                    Ok((instance, request))
                });
                let instance = match first {
                    Ok((instance, request)) => {
                        // Nobody listens any more only if the caller is gone.
                        let _ = ready.send(Ok(request));
                        instance
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                let mut ladder = Ladder::new((*options).clone(), redact, start, instance);
                while let Some(job) = waiting.blocking_recv() {
                    let result = ladder.map(&job.batch.records, job.batch.now_ms);
                    let _ = job.reply.send(result);
                }
            })
            .map_err(StartError::Thread)?;
        let request = started.recv().map_err(|_| StartError::Gone)??;
        let search_flags = serde_json::from_str(&request)
            .map_err(|error| StartError::Request(error.to_string()))?;
        Ok(Self {
            jobs,
            identity: Arc::new(mapping.identity().clone()),
            search_flags,
            private_types,
        })
    }

    /// Names the settings that this mapping was started with in its identity.
    #[must_use]
    pub fn with_settings(mut self, settings: String) -> Self {
        Arc::make_mut(&mut self.identity).settings = settings;
        self
    }
}

#[async_trait]
impl Transform for Mapper {
    fn identity(&self) -> Arc<MappingIdentity> {
        Arc::clone(&self.identity)
    }

    fn search_flags(&self) -> &Map<String, Value> {
        &self.search_flags
    }

    fn private_types(&self) -> Arc<BTreeSet<String>> {
        Arc::clone(&self.private_types)
    }

    async fn transform(&self, batch: Batch) -> Result<Vec<Mapped>, TransformError> {
        let gone = || TransformError::new(RuntimeError::Gone);
        let (reply, result) = oneshot::channel();
        let sent = self.jobs.send(Job { batch, reply }).await;
        sent.map_err(|_| gone())?;
        result
            .await
            .map_err(|_| gone())?
            .map_err(TransformError::new)
    }
}
