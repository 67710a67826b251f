//! Where a walk continues after a restart.

use std::collections::BTreeSet;

use pipeline::{Class, Classify, Cursor};
use serde::{Deserialize, Serialize};

/// The clock of MISP that a walk goes by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CursorKind {
    /// `publish_timestamp`: always this server's clock, set as the last act of publishing, so
    /// nothing is missed; but only what is published moves it.
    #[default]
    Publish,
    /// The event's `timestamp`: drafts and unpublished edits move it too. It misses what keeps
    /// the time of its source, as events do that are pulled from a feed or another MISP, and
    /// what moves no clock, as sightings; a sweep finds those.
    Timestamp,
}

impl CursorKind {
    /// The name of the clock, in a search and in an event.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::Publish => "publish_timestamp",
            Self::Timestamp => "timestamp",
        }
    }

    /// The name of the walk in a stored cursor.
    fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Timestamp => "timestamp",
        }
    }
}

/// One state of an event: its uuid and the second of the walk's clock.
pub(super) type Publication = (String, i64);

/// Everything published before the second `w`, and of that second what is in `seen`, has been
/// handed out. `w` is never a second in which something might still be published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// UNIX seconds by MISP's clock; 1 at the start, never 0, which would be no filter at all.
    pub(super) w: i64,
    /// Publications at `w`, or far ahead of the server's clock, that need not come again.
    pub(super) seen: BTreeSet<Publication>,
    /// Where the very first walk began: what was before it was never asked for.
    pub(super) from: i64,
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
    #[serde(default = "everything")]
    from: i64,
}

/// Cursors of old do not say where they began.
fn everything() -> i64 {
    1
}

const VERSION: u32 = 1;

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
        "the stored cursor is of the walk {walk:?}, version {version}, and not of {wanted:?}, \
         version {VERSION}: set `cursor` back, or `misp-ecs state reset --instance NAME` to start \
         anew"
    )]
    Foreign {
        /// The walk that the configuration asks for.
        wanted: &'static str,
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
            from: w.max(1),
        }
    }

    pub(super) fn read(cursor: &Cursor, kind: CursorKind) -> Result<Self, CursorError> {
        let stored: Stored =
            serde_json::from_str(&cursor.0).map_err(|source| CursorError::Unreadable { source })?;
        if stored.v != VERSION || stored.walk != kind.name() {
            return Err(CursorError::Foreign {
                wanted: kind.name(),
                walk: stored.walk,
                version: stored.v,
            });
        }
        Ok(Self {
            w: stored.w.max(1),
            seen: stored.seen,
            from: stored.from.max(1),
        })
    }

    pub(super) fn write(&self, kind: CursorKind) -> Cursor {
        let stored = Stored {
            v: VERSION,
            walk: kind.name().to_owned(),
            w: self.w,
            seen: self.seen.clone(),
            from: self.from,
        };
        // Numbers and texts: cannot fail.
        Cursor(serde_json::to_string(&stored).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIND: CursorKind = CursorKind::Publish;

    #[test]
    fn is_read_as_it_was_written() {
        let position = Position {
            w: 1_777_593_600,
            seen: BTreeSet::from([("a".to_owned(), 1_777_593_600)]),
            from: 5,
        };
        let cursor = position.write(KIND);
        assert_eq!(
            cursor.0,
            r#"{"v":1,"walk":"publish","w":1777593600,"seen":[["a",1777593600]],"from":5}"#
        );
        assert_eq!(Position::read(&cursor, KIND).unwrap(), position);
        let old = Cursor(r#"{"v":1,"walk":"publish","w":7,"seen":[]}"#.to_owned());
        assert_eq!(Position::read(&old, KIND).unwrap().from, 1);
    }

    #[test]
    fn refuses_what_is_not_its_own() {
        for text in [
            "",
            "{}",
            r#"{"v":2,"walk":"publish","w":1}"#,
            r#"{"v":1,"walk":"timestamp","w":1}"#,
        ] {
            assert!(
                Position::read(&Cursor(text.to_owned()), KIND).is_err(),
                "{text}"
            );
        }
        let zero = Cursor(r#"{"v":1,"walk":"publish","w":0}"#.to_owned());
        assert_eq!(Position::read(&zero, KIND).unwrap().w, 1);
    }

    proptest! {
        #[test]
        fn any_position_is_read_as_it_was_written(
            w in 1_i64..i64::MAX,
            from in 1_i64..i64::MAX,
            seen in prop::collection::btree_set((".*", any::<i64>()), 0..5),
        ) {
            let position = Position { w, seen, from };
            for kind in [CursorKind::Publish, CursorKind::Timestamp] {
                let read = Position::read(&position.write(kind), kind);
                prop_assert_eq!(&read.unwrap(), &position);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            if let Ok(position) = Position::read(&Cursor(text), KIND) {
                prop_assert!(position.w >= 1);
            }
        }
    }
}
