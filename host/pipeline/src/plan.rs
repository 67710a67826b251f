//! What is done with a document at an output: send it, leave it, withdraw it.

use crate::memory::{Act, Fate, Remembered};
use crate::record::{Delivery, Document, Operation};

/// Which documents go out again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Resend {
    /// Those whose fingerprint changed.
    #[default]
    Changed,
    /// All of them, with each poll of their event.
    All,
}

/// What is to be done with one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Send it as it is.
    Put,
    /// Send a delete.
    Delete(Fate),
    /// Send nothing.
    Nothing(Act),
}

/// Must it be written down before anything is sent? From then until the answer is written down,
/// nobody knows what the output has: were the old fate still there after a crash, a document that
/// has changed back meanwhile would be taken for what the output has. What was noted and never
/// answered is noted again when it is something else by now: the next change must not have its
/// revision, and where it may be under another mapping it must be found.
pub(crate) fn needs_note(plan: Plan, delivery: &Delivery, remembered: Option<&Remembered>) -> bool {
    let Some(known) = remembered.filter(|known| known.fate == Fate::Sent) else {
        return !matches!(plan, Plan::Nothing(_));
    };
    match plan {
        Plan::Put => {
            known.content != Some(delivery.document.fingerprint)
                || known.places.last() != Some(&delivery.mapping)
        }
        Plan::Delete(_) => known.content.is_some(),
        Plan::Nothing(_) => false,
    }
}

/// Decides, for an output of which this is remembered.
pub(crate) fn plan(
    document: &Document,
    remembered: Option<&Remembered>,
    now_ms: i64,
    resend: Resend,
) -> Plan {
    let expired = document.expires_ms.is_some_and(|at| at <= now_ms);
    if document.operation == Operation::Put && !expired {
        let same = remembered.is_some_and(|known| {
            // What was refused would be refused again.
            matches!(known.fate, Fate::Delivered | Fate::Refused)
                && known.fingerprint == Some(document.fingerprint)
        });
        let overruled =
            remembered.is_some_and(|known| known.overruled && known.fate.may_be_there());
        return if overruled || (same && resend == Resend::Changed) {
            Plan::Nothing(Act::Unchanged)
        } else {
            Plan::Put
        };
    }
    let fate = if document.operation == Operation::Delete {
        Fate::Deleted
    } else {
        Fate::Expired
    };
    let is_there = remembered.is_some_and(|known| known.fate.may_be_there());
    if is_there && !remembered.is_some_and(|known| known.others) {
        Plan::Delete(fate)
    } else {
        Plan::Nothing(Act::Absent(fate))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::record::MappingIdentity;

    fn document(operation: Operation, expires_ms: Option<i64>) -> Document {
        Document {
            id: "i".to_owned(),
            attribute: None,
            attribute_timestamp: None,
            operation,
            dataset: None,
            timestamp_ms: 0,
            modified_ms: 0,
            expires_ms,
            facts: Arc::default(),
            fingerprint: 7,
            body: Bytes::from_static(b"{}"),
            notes: Vec::new(),
        }
    }

    fn known(fate: Fate, fingerprint: u64, others: bool) -> Remembered {
        Remembered {
            places: Vec::new(),
            revision: 1,
            content: Some(fingerprint),
            fate,
            fingerprint: Some(fingerprint),
            others,
            overruled: false,
        }
    }

    fn decide(document: &Document, known: impl Into<Option<Remembered>>) -> Plan {
        plan(document, known.into().as_ref(), 100, Resend::Changed)
    }

    #[test]
    fn what_is_there_unchanged_stays_at_home() {
        let put = document(Operation::Put, Some(101));
        assert_eq!(decide(&put, None), Plan::Put);
        for fate in [Fate::Delivered, Fate::Refused] {
            let same = Some(known(fate, 7, false));
            assert_eq!(decide(&put, same.clone()), Plan::Nothing(Act::Unchanged));
            assert_eq!(plan(&put, same.as_ref(), 100, Resend::All), Plan::Put);
            assert_eq!(decide(&put, Some(known(fate, 8, false))), Plan::Put);
        }
        for fate in [Fate::Deleted, Fate::Expired] {
            assert_eq!(decide(&put, Some(known(fate, 7, false))), Plan::Put);
        }
        let to_be_sent = Remembered {
            fingerprint: None,
            ..known(Fate::Delivered, 7, true)
        };
        assert_eq!(decide(&put, Some(to_be_sent)), Plan::Put);
    }

    #[test]
    fn whatever_is_sent_is_noted_once() {
        let mapping = |name: &str| {
            Arc::new(MappingIdentity {
                name: name.to_owned(),
                version: "1".to_owned(),
                digest: name.to_owned(),
                settings: String::new(),
            })
        };
        let delivery = |by: &str| Delivery {
            event: Arc::from("e"),
            version: 1,
            mapping: mapping(by),
            before: Vec::new(),
            revision: 1,
            document: document(Operation::Put, None),
        };
        let there = known(Fate::Delivered, 7, false);
        let noted = |content| Remembered {
            content,
            places: vec![mapping("b"), mapping("a")],
            ..known(Fate::Sent, 7, false)
        };
        let (put, delete) = (Plan::Put, Plan::Delete(Fate::Deleted));
        for (plan, by, known, needed) in [
            (put, "a", None, true),
            (delete, "a", None, true),
            (put, "a", Some(there.clone()), true),
            (delete, "a", Some(there.clone()), true),
            (put, "a", Some(noted(Some(7))), false),
            (put, "a", Some(noted(Some(8))), true),
            (put, "a", Some(noted(None)), true),
            (put, "b", Some(noted(Some(7))), true),
            (delete, "a", Some(noted(None)), false),
            (delete, "a", Some(noted(Some(7))), true),
            (Plan::Nothing(Act::Unchanged), "a", Some(there), false),
        ] {
            let needs = needs_note(plan, &delivery(by), known.as_ref());
            assert_eq!(needs, needed, "{plan:?} by {by}, {known:?}");
        }
        let same = decide(&document(Operation::Put, None), Some(noted(Some(7))));
        assert_eq!(same, Plan::Put, "it may not have arrived");
    }

    #[test]
    fn only_what_is_there_and_nobody_else_wants_is_deleted() {
        let delete = document(Operation::Delete, None);
        let late = document(Operation::Put, Some(100));
        for (document, fate) in [(&delete, Fate::Deleted), (&late, Fate::Expired)] {
            let nothing = Plan::Nothing(Act::Absent(fate));
            assert_eq!(decide(document, None), nothing);
            for there in [Fate::Delivered, Fate::Refused] {
                let alone = decide(document, Some(known(there, 7, false)));
                assert_eq!(alone, Plan::Delete(fate));
                assert_eq!(decide(document, Some(known(there, 7, true))), nothing);
            }
            for gone in [Fate::Deleted, Fate::Expired] {
                assert_eq!(decide(document, Some(known(gone, 7, false))), nothing);
            }
        }
    }
}
