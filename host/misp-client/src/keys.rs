//! The key in use, and those that were before it.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::key::ApiKey;

/// Shared by the clones of a client: what one of them finds out the others use.
#[derive(Debug, Clone)]
pub(crate) struct Keys(Arc<RwLock<Known>>);

#[derive(Debug)]
struct Known {
    in_use: ApiKey,
    /// A server may still repeat them.
    past: Vec<ApiKey>,
}

impl Keys {
    pub(crate) fn new(in_use: ApiKey) -> Self {
        let past = Vec::new();
        Self(Arc::new(RwLock::new(Known { in_use, past })))
    }

    pub(crate) fn in_use(&self) -> ApiKey {
        self.known().in_use.clone()
    }

    /// The key to try after this one was refused: what is in its file by now, if that is another.
    pub(crate) fn after(&self, refused: &ApiKey) -> Option<ApiKey> {
        let in_use = self.in_use();
        if !in_use.is_same(refused) {
            // Another request was faster.
            return Some(in_use);
        }
        let new = refused.read_again()?;
        tracing::info!("the API key was refused, and its file holds another: that is used now");
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.in_use = new.clone();
        known.past.push(in_use);
        Some(new)
    }

    /// A text of the other side without any key in it.
    pub(crate) fn redact(&self, text: &str) -> String {
        let known = self.known();
        let mut text = known.in_use.redact(text).into_owned();
        for key in &known.past {
            if let Cow::Owned(redacted) = key.redact(&text) {
                text = redacted;
            }
        }
        text
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        // Nothing panics in between.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
