//! The mapping that is at work, and its replacement while pages are on their way.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::traits::Transform;

/// Holds the mapping that is at work; clones share it. Another may take its place at any time.
///
/// A page is mapped by the mapping that was there when it was asked for, because that one said
/// which search flags the page needs; the next page that is asked for gets the new one. So what
/// is on its way is finished on the old one, which is dropped after it.
#[derive(Clone)]
pub struct Slot(Arc<RwLock<Arc<dyn Transform>>>);

impl Slot {
    /// A slot that holds this mapping.
    pub fn new(mapping: Arc<dyn Transform>) -> Self {
        Self(Arc::new(RwLock::new(mapping)))
    }

    /// The mapping that is at work now.
    pub fn current(&self) -> Arc<dyn Transform> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in its place; hands back the old one.
    pub fn replace(&self, mapping: Arc<dyn Transform>) -> Arc<dyn Transform> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, mapping)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = self.current().identity();
        f.debug_tuple("Slot").field(&identity).finish()
    }
}
