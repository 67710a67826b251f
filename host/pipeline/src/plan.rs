//! What is done with a document at an output: send it, leave it, withdraw it.

use crate::memory::{Act, Fate, Remembered};
use crate::record::{Document, Operation};

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
/// has changed back meanwhile would be taken for what the output has.
pub(crate) fn needs_note(plan: Plan, remembered: Option<&Remembered>) -> bool {
    !matches!(plan, Plan::Nothing(_)) && remembered.is_none_or(|known| known.fate != Fate::Sent)
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
        return if same && resend == Resend::Changed {
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
    use bytes::Bytes;

    use super::*;

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
        let there = known(Fate::Delivered, 7, false);
        let noted = known(Fate::Sent, 7, false);
        for plan in [Plan::Put, Plan::Delete(Fate::Deleted)] {
            assert!(needs_note(plan, None) && needs_note(plan, Some(&there)));
            assert!(!needs_note(plan, Some(&noted)));
        }
        assert!(!needs_note(Plan::Nothing(Act::Unchanged), Some(&there)));
        let same = decide(&document(Operation::Put, None), Some(noted));
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
