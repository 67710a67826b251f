//! Where a walk continues after a restart.

use std::collections::BTreeSet;

use pipeline::{Class, Classify, Cursor};
use serde::{Deserialize, Serialize};

/// One publication of an event: its uuid and `publish_timestamp`.
pub(super) type Publication = (String, i64);

/// Everything published before the second `w`, and of that second what is in `seen`, has been
/// handed out. `w` is never a second in which something might still be published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// UNIX seconds by MISP's clock; 1 at the start, never 0, which would be no filter at all.
    pub(super) w: i64,
    /// Publications at `w` that need not come again.
    pub(super) seen: BTreeSet<Publication>,
}

/// A [`Position`] as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The version of this form.
    v: u32,
    /// The walk that wrote it.
    walk: String,
    w: i64,
    #[serde(default)]
    seen: BTreeSet<Publication>,
}

const VERSION: u32 = 1;
const WALK: &str = "publish";

/// A stored cursor that this walk did not write.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// Not what a walk stores.
    #[error(
        "the stored cursor cannot be read ({source}): give the instance another name or remove \
         its state to start anew"
    )]
    Unreadable {
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Of another walk, or of a later version.
    #[error(
        "the stored cursor is of the walk {walk:?}, version {version}: this version continues \
         {WALK:?}, version {VERSION}, only"
    )]
    Foreign {
        /// Whose it is.
        walk: String,
        /// The version of its form.
        version: u32,
    },
}

impl Classify for CursorError {
    fn class(&self) -> Class {
        Class::Fatal
    }
}

impl Position {
    pub(super) fn at(w: i64) -> Self {
        Self {
            w: w.max(1),
            seen: BTreeSet::new(),
        }
    }

    pub(super) fn read(cursor: &Cursor) -> Result<Self, CursorError> {
        let stored: Stored =
            serde_json::from_str(&cursor.0).map_err(|source| CursorError::Unreadable { source })?;
        if stored.v != VERSION || stored.walk != WALK {
            return Err(CursorError::Foreign {
                walk: stored.walk,
                version: stored.v,
            });
        }
        Ok(Self {
            w: stored.w.max(1),
            seen: stored.seen,
        })
    }

    pub(super) fn write(&self) -> Cursor {
        let stored = Stored {
            v: VERSION,
            walk: WALK.to_owned(),
            w: self.w,
            seen: self.seen.clone(),
        };
        // Numbers and texts: cannot fail.
        Cursor(serde_json::to_string(&stored).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let position = Position {
            w: 1_777_593_600,
            seen: BTreeSet::from([("a".to_owned(), 1_777_593_600)]),
        };
        let cursor = position.write();
        assert_eq!(
            cursor.0,
            r#"{"v":1,"walk":"publish","w":1777593600,"seen":[["a",1777593600]]}"#
        );
        assert_eq!(Position::read(&cursor).unwrap(), position);
    }

    #[test]
    fn refuses_what_is_not_its_own() {
        for text in [
            "",
            "{}",
            r#"{"v":2,"walk":"publish","w":1}"#,
            r#"{"v":1,"walk":"x","w":1}"#,
        ] {
            assert!(Position::read(&Cursor(text.to_owned())).is_err(), "{text}");
        }
        let zero = Cursor(r#"{"v":1,"walk":"publish","w":0}"#.to_owned());
        assert_eq!(Position::read(&zero).unwrap().w, 1);
    }

    proptest! {
        #[test]
        fn any_position_is_read_as_it_was_written(
            w in 1_i64..i64::MAX,
            seen in prop::collection::btree_set((".*", any::<i64>()), 0..5),
        ) {
            let position = Position { w, seen };
            prop_assert_eq!(Position::read(&position.write()).unwrap(), position);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            if let Ok(position) = Position::read(&Cursor(text)) {
                prop_assert!(position.w >= 1);
            }
        }
    }
}
