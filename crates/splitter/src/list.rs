//! The lists of an event, counted while they are passed over.

use std::ops::Range;

use crate::name::Name;
use crate::scan::{Fault, Scanner};

/// What stands where an event has its attributes or objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `null` or `{}`: nothing.
    Nothing,
    /// A list.
    List,
    /// A list with gaps as PHP writes it: an object of numbers.
    Gappy,
    /// One object: another shipper has split the event already. Has it, as an
    /// object, exactly one attribute?
    Single { one_attribute: bool },
    /// A string, number or boolean.
    Scalar,
}

/// The value of an `Attribute` or `Object` key.
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) span: Range<u64>,
    pub(crate) kind: Kind,
    /// Attributes in it, as a mapping counts them: what is none is refused by it, so it counts.
    pub(crate) attributes: u64,
    /// Has it no entry?
    pub(crate) empty: bool,
}

/// Which of the two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Attributes,
    Objects,
}

impl Of {
    /// Passes over one entry and counts the attributes in it.
    pub(crate) fn entry(self, scanner: &mut Scanner) -> Result<u64, Fault> {
        match self {
            Self::Attributes => scanner.value().map(|_| 1),
            Self::Objects => object(scanner),
        }
    }

    /// Passes over the value of an `Attribute` or `Object` key.
    pub(crate) fn list(self, scanner: &mut Scanner) -> Result<List, Fault> {
        let next = scanner.peek()?;
        let start = scanner.offset();
        let (kind, attributes, empty) = match next {
            Some(b'[') => {
                let (mut attributes, mut first) = (0, true);
                scanner.enter()?;
                while scanner.element(first)? {
                    let entry = scanner.entry(None, |scanner| self.entry(scanner))?;
                    attributes += entry.unwrap_or(0);
                    first = false;
                }
                (Kind::List, attributes, first)
            }
            Some(b'{') => {
                let found = scanner.entry_or_list(
                    None,
                    |scanner| self.in_braces(scanner),
                    |(kind, ..)| *kind == Kind::Gappy,
                )?;
                found.unwrap_or((Kind::Nothing, 0, false))
            }
            Some(b'n') => {
                scanner.value()?;
                (Kind::Nothing, 0, true)
            }
            _ => {
                let span = scanner.value()?;
                let empty_text = next == Some(b'"') && span.end - span.start == 2;
                let counts = self == Self::Attributes || !empty_text;
                (Kind::Scalar, u64::from(counts), empty_text)
            }
        };
        Ok(List {
            span: start..scanner.offset(),
            kind,
            attributes,
            empty,
        })
    }

    /// Passes over an object that stands for a list.
    fn in_braces(self, scanner: &mut Scanner) -> Result<(Kind, u64, bool), Fault> {
        let (mut in_entries, mut inside, mut one_attribute) = (0, 0, false);
        let (mut first, mut gappy) = (true, true);
        scanner.enter()?;
        while let Some(member) = scanner.member(first)? {
            first = false;
            if self == Self::Objects && member.name == Name::Attribute {
                let list = Self::Attributes.list(scanner)?;
                inside += list.attributes;
                one_attribute = matches!(list.kind, Kind::Single { .. });
                gappy = false;
                continue;
            }
            if member.name == Name::Index && scanner.peek()? == Some(b'{') {
                let entry = scanner.entry(Some(member.start), |scanner| self.entry(scanner))?;
                in_entries += entry.unwrap_or(0);
            } else {
                scanner.value()?;
                gappy = false;
            }
        }
        Ok(match (first, gappy, self) {
            (true, ..) => (Kind::Nothing, 0, true),
            (_, true, _) => (Kind::Gappy, in_entries, false),
            (.., Self::Attributes) => (Kind::Single { one_attribute }, 1, false),
            (.., Self::Objects) => (Kind::Single { one_attribute }, inside, false),
        })
    }
}

/// Passes over one entry of a list of objects and counts the attributes in it. What
/// is no object is refused by a mapping, so it counts, unless it is empty.
fn object(scanner: &mut Scanner) -> Result<u64, Fault> {
    let mut first = true;
    match scanner.peek()? {
        Some(b'{') => {
            let mut attributes = 0;
            scanner.enter()?;
            while let Some(member) = scanner.member(first)? {
                first = false;
                if member.name == Name::Attribute {
                    attributes += Of::Attributes.list(scanner)?.attributes;
                } else {
                    scanner.value()?;
                }
            }
            Ok(attributes)
        }
        Some(b'[') => {
            scanner.enter()?;
            while scanner.element(first)? {
                scanner.value()?;
                first = false;
            }
            Ok(u64::from(!first))
        }
        Some(b'n') => scanner.value().map(|_| 0),
        next => {
            let span = scanner.value()?;
            let empty = next == Some(b'"') && span.end - span.start == 2;
            Ok(u64::from(!empty))
        }
    }
}
