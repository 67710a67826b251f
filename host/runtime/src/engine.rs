//! The engine, and components that are loaded into it.

use std::collections::BTreeSet;
use std::sync::Arc;

use pipeline::MappingIdentity;
use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, CacheConfig, Config};

use crate::bindings::{MappingComponentPre, wit};
use crate::clock::Clock;
use crate::error::{EngineError, LoadError};
use crate::instance::{Host, Instance};
use crate::options::RuntimeOptions;

/// Compiles and runs components. One a process; clones share it.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    clock: Arc<Clock>,
    options: Arc<RuntimeOptions>,
}

/// Whether a field is defined by ECS or by this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldOrigin {
    /// Defined by ECS.
    Ecs,
    /// Ours.
    Custom,
}

/// One field that a mapping can write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The dotted name.
    pub name: String,
    /// The Elasticsearch type.
    pub data_type: String,
    /// Who defines it.
    pub origin: FieldOrigin,
    /// One line: where the value comes from.
    pub source: String,
}

/// What a mapping says of itself (`description` in wit/mapping.wit).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// The version of its output.
    pub version: String,
    /// The ECS version it writes.
    pub ecs_version: String,
    /// A JSON Schema of its settings.
    pub settings_schema: String,
    /// Every field it can write.
    pub fields: Vec<Field>,
    /// Key and value pairs.
    pub extra: Vec<(String, String)>,
}

impl Description {
    /// MISP attribute types whose values it wants nowhere in clear text (`redact-types`).
    pub fn private_types(&self) -> BTreeSet<String> {
        self.words("redact-types")
    }

    /// The fields of type `date` that hold seconds since the epoch (`epoch-second-fields`).
    pub fn epoch_second_fields(&self) -> BTreeSet<String> {
        self.words("epoch-second-fields")
    }

    /// A list with commas in [`Self::extra`].
    fn words(&self, key: &str) -> BTreeSet<String> {
        let lists = self.extra.iter().filter(|(known, _)| known == key);
        lists
            .flat_map(|(_, list)| list.split(','))
            .map(|word| word.trim().to_owned())
            .filter(|word| !word.is_empty())
            .collect()
    }
}

/// The export by which a component is a mapping: the contract and its version.
pub const CONTRACT: &str = "misp-ecs:mapping/mapping@0.1.0";

/// The most bytes of a component. The bundled mappings have 2 MB, one in JavaScript 13 MB.
pub const LARGEST_COMPONENT: usize = 32 << 20;

/// A component, compiled, not yet held against the contract.
#[derive(Clone)]
pub struct Compiled {
    component: Component,
    digest: String,
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Compiled {
    /// The names of what it imports.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The names of what it exports.
    pub fn exports(&self) -> &[String] {
        &self.exports
    }
}

/// A component that is a mapping: compiled, checked, described.
#[derive(Clone)]
pub struct LoadedMapping {
    pub(crate) pre: MappingComponentPre<Host>,
    description: Arc<Description>,
    identity: MappingIdentity,
}

/// SHA-256 of a component's bytes, 64 hex digits: what [`MappingIdentity::digest`] is.
pub fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Engine {
    /// Starts an engine, and the thread that ticks for its time limits while a component is at work.
    ///
    /// # Errors
    /// When the machine cannot run it.
    pub fn new(options: &RuntimeOptions) -> Result<Self, EngineError> {
        let mut config = Config::new();
        config.wasm_component_model(true).epoch_interruption(true);
        // Only handles are kept: nothing is copied, and nothing is written anywhere.
        config.coredump_on_trap(true);
        if let Some(folder) = &options.cache {
            let mut cache = CacheConfig::new();
            cache.with_directory(folder);
            match Cache::new(cache) {
                Ok(cache) => {
                    config.cache(Some(cache));
                }
                // It only saves time.
                Err(error) => tracing::warn!(%error, "no cache for compiled mappings"),
            }
        }
        let engine = wasmtime::Engine::new(&config)?;
        Ok(Self {
            clock: Clock::start(&engine).map_err(wasmtime::Error::from)?,
            engine,
            options: Arc::new(options.clone()),
        })
    }

    /// Compiles a component and asks what it is: [`Self::compile`] and [`Self::prepare`].
    ///
    /// # Errors
    /// When the bytes are no component, it imports anything, does not export the
    /// contract, or cannot describe itself.
    pub fn load(&self, bytes: &[u8]) -> Result<LoadedMapping, LoadError> {
        self.prepare(&self.compile(bytes)?)
    }

    /// Compiles a component, whatever it imports and exports.
    ///
    /// # Errors
    /// When the bytes are no component, or compiling them takes too much.
    pub fn compile(&self, bytes: &[u8]) -> Result<Compiled, LoadError> {
        if bytes.len() > LARGEST_COMPONENT {
            return Err(LoadError::TooLarge {
                bytes: bytes.len(),
                limit: LARGEST_COMPONENT,
            });
        }
        if let Some(compiler) = &self.options.compiler {
            compiler.try_out(bytes, self.options.cache.as_deref())?;
        }
        let component = Component::from_binary(&self.engine, bytes)
            .map_err(|source| LoadError::NotAComponent { source })?;
        let digest = digest(bytes);
        let shape = component.component_type();
        let imports = shape.imports(&self.engine);
        let imports = imports.map(|(name, _)| name.to_owned()).collect();
        let exports = shape.exports(&self.engine);
        let exports = exports.map(|(name, _)| name.to_owned()).collect();
        Ok(Compiled {
            component,
            digest,
            imports,
            exports,
        })
    }

    /// Holds a component against the contract and asks what it is.
    ///
    /// # Errors
    /// When it imports anything, does not export the contract, or cannot describe itself.
    pub fn prepare(&self, compiled: &Compiled) -> Result<LoadedMapping, LoadError> {
        if !compiled.imports.is_empty() {
            return Err(LoadError::Imports {
                names: compiled.imports.clone(),
            });
        }
        // An empty linker: nothing of the host can be reached.
        let pre = Linker::new(&self.engine)
            .instantiate_pre(&compiled.component)
            .and_then(MappingComponentPre::new)
            .map_err(|source| LoadError::Contract { source })?;
        let description = Instance::describe(self, &pre, &self.options)
            .map_err(|fault| LoadError::Describe { fault })?;
        let digest = compiled.digest.clone();
        Ok(LoadedMapping {
            pre,
            identity: MappingIdentity {
                name: description.name.clone(),
                version: description.version.clone(),
                digest,
                settings: String::new(),
            },
            description: Arc::new(description.into()),
        })
    }

    pub(crate) fn inner(&self) -> &wasmtime::Engine {
        &self.engine
    }

    /// What limits the time of a call.
    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// The limits of what it runs.
    pub fn options(&self) -> &Arc<RuntimeOptions> {
        &self.options
    }
}

impl LoadedMapping {
    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Its name, version and digest.
    pub fn identity(&self) -> &MappingIdentity {
        &self.identity
    }
}

impl From<wit::Description> for Description {
    fn from(description: wit::Description) -> Self {
        Self {
            name: description.name,
            version: description.version,
            ecs_version: description.ecs_version,
            settings_schema: description.settings_schema,
            fields: description
                .fields
                .into_iter()
                .map(|field| Field {
                    name: field.name,
                    data_type: field.data_type,
                    origin: match field.origin {
                        wit::FieldOrigin::Ecs => FieldOrigin::Ecs,
                        wit::FieldOrigin::Custom => FieldOrigin::Custom,
                    },
                    source: field.source,
                })
                .collect(),
            extra: description.extra,
        }
    }
}
