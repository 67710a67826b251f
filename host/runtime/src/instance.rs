//! One instance in its store: limits, calls, faults.

use std::sync::Arc;
use std::time::Duration;

use pipeline::Mapped;
use splitter::Record;
use wasmtime::component::ResourceAny;
use wasmtime::{ResourceLimiter, Store, Trap};

use crate::bindings::{MappingComponent, MappingComponentPre, wit};
use crate::clock::{AtWork, Clock};
use crate::convert;
use crate::engine::Engine;
use crate::error::{Fault, StartError};
use crate::inside::Inside;
use crate::options::{RuntimeOptions, TICK};
use crate::origin::Origin;

/// The most bytes that an element of a table takes in the host.
const TABLE_ELEMENT: usize = 16;
/// Core instances, tables and memories of a component: it is made of a few modules.
const MOST_INSTANCES: usize = 64;
const MOST_TABLES: usize = 16;
const MOST_MEMORIES: usize = 16;

/// What a store keeps: how much memory the instance has, its tables included.
pub(crate) struct Host {
    limit: usize,
    used: usize,
}

/// More memory than allowed; found again in the error of the call.
#[derive(Debug, thiserror::Error)]
#[error("memory limit")]
struct TooMuchMemory {
    wanted: usize,
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = (self.used - current.min(self.used)).saturating_add(desired);
        if wanted > self.limit {
            return Err(TooMuchMemory { wanted }.into());
        }
        self.used = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = |elements: usize| elements.saturating_mul(TABLE_ELEMENT);
        self.memory_growing(bytes(current), bytes(desired), maximum.map(bytes))
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn tables(&self) -> usize {
        MOST_TABLES
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES
    }
}

/// A running instance with its `mapper`.
pub(crate) struct Instance {
    store: Store<Host>,
    component: MappingComponent,
    mapper: ResourceAny,
    calls: u32,
    clock: Arc<Clock>,
}

impl Instance {
    /// Instantiates and constructs the mapper.
    pub(crate) fn start(
        engine: &Engine,
        pre: &MappingComponentPre<Host>,
        options: &RuntimeOptions,
        settings: &[u8],
        origin: &Origin,
    ) -> Result<Self, StartError> {
        let (mut store, component, _allowed) =
            instantiate(engine, pre, options).map_err(StartError::Fault)?;
        let given = wit::Origin {
            name: &origin.name,
            url: origin.url.as_deref(),
            static_fields: &origin.static_fields,
        };
        let mapper = component
            .misp_ecs_mapping_mapping()
            .mapper()
            .call_constructor(&mut store, settings, given)
            .map_err(|error| {
                StartError::Fault(fault(&error, &store, options, options.call_timeout))
            })?
            .map_err(|error| match error {
                wit::SettingsError::Malformed(text) => StartError::Malformed(text),
                wit::SettingsError::UnknownKey(text) => StartError::UnknownKey(text),
                wit::SettingsError::Invalid(text) => StartError::Invalid(text),
            })?;
        Ok(Self {
            store,
            component,
            mapper,
            calls: 0,
            clock: Arc::clone(engine.clock()),
        })
    }

    /// Asks a component what it is.
    pub(crate) fn describe(
        engine: &Engine,
        pre: &MappingComponentPre<Host>,
        options: &RuntimeOptions,
    ) -> Result<wit::Description, Fault> {
        let (mut store, component, _allowed) = instantiate(engine, pre, options)?;
        component
            .misp_ecs_mapping_mapping()
            .call_describe(&mut store)
            .map_err(|error| fault(&error, &store, options, options.call_timeout))
    }

    /// The search flags that the mapping needs.
    pub(crate) fn request(&mut self, options: &RuntimeOptions) -> Result<String, Fault> {
        let _allowed = allow(&self.clock, &mut self.store, options, options.call_timeout);
        self.component
            .misp_ecs_mapping_mapping()
            .mapper()
            .call_request(&mut self.store, self.mapper)
            .map_err(|error| fault(&error, &self.store, options, options.call_timeout))
    }

    /// Maps records and holds the answer against the contract. After an error the
    /// instance may not be used again: a trap poisons its store.
    pub(crate) fn transform(
        &mut self,
        options: &RuntimeOptions,
        records: &[Record],
        now_ms: i64,
        timeout: Duration,
    ) -> Result<Vec<Mapped>, Fault> {
        let batch: Vec<&[u8]> = records.iter().map(|record| record.json.as_ref()).collect();
        let results = self.call(options, &batch, now_ms, timeout)?;
        records
            .iter()
            .zip(results)
            .map(|(record, result)| convert::mapped(record.attributes.max(1), result))
            .collect()
    }

    /// As [`Self::transform`] for one input of which nobody has counted the attributes.
    pub(crate) fn transform_uncounted(
        &mut self,
        options: &RuntimeOptions,
        input: &[u8],
        now_ms: i64,
    ) -> Result<Mapped, Fault> {
        let results = self.call(options, &[input], now_ms, options.call_timeout)?;
        let result = results.into_iter().next().ok_or_else(|| Fault::Contract {
            text: "no result".to_owned(),
        })?;
        convert::mapped(0, result)
    }

    fn call(
        &mut self,
        options: &RuntimeOptions,
        batch: &[&[u8]],
        now_ms: i64,
        timeout: Duration,
    ) -> Result<Vec<Result<wit::Outcome, wit::Rejection>>, Fault> {
        let _allowed = allow(&self.clock, &mut self.store, options, timeout);
        self.calls += 1;
        let results = self
            .component
            .misp_ecs_mapping_mapping()
            .mapper()
            .call_transform(&mut self.store, self.mapper, batch, now_ms)
            .map_err(|error| fault(&error, &self.store, options, timeout))?;
        if results.len() != batch.len() {
            return Err(Fault::Contract {
                text: format!("{} results for {} records", results.len(), batch.len()),
            });
        }
        Ok(results)
    }

    /// Its memory, bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().used
    }

    /// Is it time for a fresh one?
    pub(crate) fn is_spent(&self, options: &RuntimeOptions) -> bool {
        self.calls >= options.reuse_calls || self.memory_bytes() >= options.retire_bytes
    }

    /// Ends it properly.
    pub(crate) fn retire(mut self, options: &RuntimeOptions) {
        let _allowed = allow(&self.clock, &mut self.store, options, options.call_timeout);
        // Its memory goes with the store, whatever its destructor says.
        if let Err(error) = self.mapper.resource_drop(&mut self.store) {
            tracing::debug!(%error, "the mapper's destructor failed");
        }
    }
}

/// A new instance, allowed to be called once.
fn instantiate<'e>(
    engine: &'e Engine,
    pre: &MappingComponentPre<Host>,
    options: &RuntimeOptions,
) -> Result<(Store<Host>, MappingComponent, AtWork<'e>), Fault> {
    let mut store = Store::new(
        engine.inner(),
        Host {
            limit: options.memory_bytes,
            used: 0,
        },
    );
    store.limiter(|host| host);
    let allowed = allow(engine.clock(), &mut store, options, options.call_timeout);
    let component = pre
        .instantiate(&mut store)
        .map_err(|error| fault(&error, &store, options, options.call_timeout))?;
    Ok((store, component, allowed))
}

/// Time and output for the next call: the time passes until what this returns is dropped. Without a
/// deadline a store traps at once.
fn allow<'c>(
    clock: &'c Clock,
    store: &mut Store<Host>,
    options: &RuntimeOptions,
    timeout: Duration,
) -> AtWork<'c> {
    let ticks = timeout.as_millis().div_ceil(TICK.as_millis()) + 1;
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX));
    store.set_hostcall_fuel(options.output_bytes);
    clock.at_work()
}

/// Which fault an error of wasmtime is.
fn fault(
    error: &wasmtime::Error,
    store: &Store<Host>,
    options: &RuntimeOptions,
    timeout: Duration,
) -> Fault {
    if let Some(TooMuchMemory { wanted }) = error.downcast_ref() {
        return Fault::Memory {
            wanted: *wanted,
            limit: options.memory_bytes,
        };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Fault::Time {
            seconds: timeout.as_secs(),
        },
        Some(trap) => Fault::Trap {
            text: trap.to_string(),
            inside: Inside::of(error, store),
        },
        None => {
            // wasmtime has no type for this one.
            let text = error.root_cause().to_string();
            if text.contains("fuel allocated for hostcalls") {
                Fault::Output {
                    limit: options.output_bytes,
                }
            } else {
                let inside = Inside::of(error, store);
                Fault::Trap { text, inside }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, Instance as CoreInstance, Module};

    use super::*;

    fn instantiate(text: &str) -> Result<usize, wasmtime::Error> {
        let engine = Engine::default();
        let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let host = Host {
            limit: 1 << 20,
            used: 0,
        };
        let mut store = Store::new(&engine, host);
        store.limiter(|host| host);
        CoreInstance::new(&mut store, &module, &[])?;
        Ok(store.data().used)
    }

    #[test]
    fn tables_count_as_memory() {
        assert_eq!(
            instantiate("(module (table 1000 funcref))").unwrap(),
            16_000
        );
        let several = "(table 20000 funcref) ".repeat(4);
        for tables in ["(table 100000 funcref)", &several] {
            let error = instantiate(&format!("(module {tables})")).unwrap_err();
            assert!(error.is::<TooMuchMemory>(), "{error:#}");
        }
        let both = "(module (memory 15) (table 10000 funcref))";
        assert!(instantiate(both).unwrap_err().is::<TooMuchMemory>());
    }

    #[test]
    fn the_number_of_tables_is_limited() {
        let module = |tables: usize| format!("(module {})", "(table 1 funcref) ".repeat(tables));
        instantiate(&module(MOST_TABLES)).unwrap();
        instantiate(&module(MOST_TABLES + 1)).unwrap_err();
    }
}
