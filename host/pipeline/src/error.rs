//! How every error says what to do about it.

use std::time::Duration;

/// What can be done about an error, without reading its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same input can never succeed.
    Permanent,
    /// It may succeed later; `after` is what the other side asked to wait.
    Transient {
        /// The shortest wait the other side named.
        after: Option<Duration>,
    },
    /// Configuration or credentials: at the start stop, at run time wait loudly.
    Fatal,
}

/// An error that knows its [`Class`].
pub trait Classify {
    /// What can be done about it.
    fn class(&self) -> Class;
}

macro_rules! boundary_error {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, thiserror::Error)]
        #[error("{source}")]
        pub struct $name {
            class: Class,
            source: Box<dyn std::error::Error + Send + Sync>,
        }

        impl $name {
            /// Carries an error of the crate behind the trait over to the pipeline.
            pub fn new<E>(error: E) -> Self
            where
                E: std::error::Error + Classify + Send + Sync + 'static,
            {
                Self { class: error.class(), source: Box::new(error) }
            }
        }

        impl Classify for $name {
            fn class(&self) -> Class {
                self.class
            }
        }
    };
}

boundary_error!(
    /// A source could not give its next page.
    SourceError
);
boundary_error!(
    /// The mapping cannot go on: not one record's fault, the whole stage's.
    TransformError
);
boundary_error!(
    /// An output could not take a batch.
    OutputError
);
boundary_error!(
    /// The state could not be read or written.
    StateError
);

/// Why an instance stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source failed for good, or too often.
    #[error("the source failed: {0}")]
    Source(#[source] SourceError),
    /// The mapping failed for good, or too often.
    #[error("the mapping failed: {0}")]
    Transform(#[source] TransformError),
    /// An output failed for good, or too often.
    #[error("the output {name} failed: {error}")]
    Output {
        /// Its name.
        name: String,
        /// What it said.
        #[source]
        error: OutputError,
    },
    /// Refused input could not be kept, so its page cannot count as done.
    #[error("the dead letters could not be written: {0}")]
    DeadLetters(#[source] OutputError),
    /// The state could not be read or written.
    #[error("the state failed: {0}")]
    State(#[source] StateError),
    /// A stage answered with another number of results than it was asked for.
    #[error("{stage} answered {got} results for {asked}: a defect, nothing of the page counts")]
    Count {
        /// Which one.
        stage: String,
        /// How many it was asked for.
        asked: usize,
        /// How many came.
        got: usize,
    },
    /// A blocking step panicked or was cancelled by the runtime.
    #[error("a worker thread failed: {0}")]
    Worker(#[from] tokio::task::JoinError),
    /// Told to stop while something was waiting to be tried again.
    #[error("stopped while {stage} was failing: {error}; what was on its way comes again")]
    Stopped {
        /// What was failing.
        stage: String,
        /// The last error.
        error: String,
    },
}
