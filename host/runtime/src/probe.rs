//! A mapping that is looked at: what each call does, faults included.

use std::sync::Arc;

use pipeline::Mapped;
use splitter::Record;

use crate::engine::{Engine, LoadedMapping};
use crate::error::{Fault, StartError};
use crate::instance::Instance;
use crate::options::RuntimeOptions;
use crate::origin::Origin;

/// One instance, called on this thread. Nothing is done about its faults: for tools that
/// tell a person what a mapping does. [`crate::Mapper`] is for work.
pub struct Probe {
    instance: Instance,
    options: Arc<RuntimeOptions>,
}

impl Probe {
    /// Starts an instance. `settings` is a JSON object.
    ///
    /// # Errors
    /// When the settings are not accepted or the constructor faults.
    pub fn start(
        engine: &Engine,
        mapping: &LoadedMapping,
        settings: &[u8],
        origin: &Origin,
    ) -> Result<Self, StartError> {
        let options = Arc::clone(engine.options());
        let instance = Instance::start(engine, &mapping.pre, &options, settings, origin)?;
        Ok(Self { instance, options })
    }

    /// The search flags of MISP that the mapping needs, a JSON object.
    ///
    /// # Errors
    /// When the call faults.
    pub fn request(&mut self) -> Result<String, Fault> {
        self.instance.request(&self.options)
    }

    /// Maps records in one call; one result a record. After an error every further call
    /// is one: start another.
    ///
    /// # Errors
    /// When the call faults, or the answer breaks the contract.
    pub fn transform(&mut self, records: &[Record], now_ms: i64) -> Result<Vec<Mapped>, Fault> {
        self.instance
            .transform(&self.options, records, now_ms, self.options.call_timeout)
    }

    /// Maps one input that need not be a record, such as a page: nobody has counted what
    /// is in it.
    ///
    /// # Errors
    /// When the call faults, or a document breaks the contract.
    pub fn transform_any(&mut self, input: &[u8], now_ms: i64) -> Result<Mapped, Fault> {
        self.instance
            .transform_uncounted(&self.options, input, now_ms)
    }

    /// The memory of the instance, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.instance.memory_bytes()
    }
}
