//! The subject of a message out of its template.

use pipeline::{Delivery, Operation};

/// A template that makes no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// A name in braces that stands for nothing.
    #[error(
        "`subject` holds {{{name}}}; known are {{mapping}}, {{dataset}}, {{operation}}, {{event}} and {{id}}"
    )]
    Unknown {
        /// What is between the braces.
        name: String,
    },
    /// A brace without its other.
    #[error("`subject` holds a brace without its other")]
    Brace,
    /// Not the subject of a message, whatever is put in.
    #[error(
        "`subject` is none that can be published to: it is empty, has an empty part between two dots, or holds a blank, `*`, `>` or a leading `$`"
    )]
    Invalid,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Mapping,
    Dataset,
    Operation,
    Event,
    Id,
}

/// A template, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject(Vec<Part>);

impl Subject {
    pub(super) fn parse(template: &str) -> Result<Self, SubjectError> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(SubjectError::Brace)?;
            parts.push(Part::Text(text.to_owned()));
            parts.push(match name {
                "mapping" => Part::Mapping,
                "dataset" => Part::Dataset,
                "operation" => Part::Operation,
                "event" => Part::Event,
                "id" => Part::Id,
                _ => {
                    return Err(SubjectError::Unknown {
                        name: name.to_owned(),
                    });
                }
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let subject = Self(parts);
        if subject
            .0
            .iter()
            .any(|part| matches!(part, Part::Text(text) if text.contains('}')))
        {
            return Err(SubjectError::Brace);
        }
        let example = subject.with(|_| "x".to_owned());
        let fits = !example.starts_with('$')
            && example.split('.').all(|token| {
                !token.is_empty()
                    && !token.contains(|letter: char| {
                        letter.is_whitespace() || letter.is_control() || "*>".contains(letter)
                    })
            });
        match fits {
            true => Ok(subject),
            false => Err(SubjectError::Invalid),
        }
    }

    pub(super) fn of(&self, delivery: &Delivery) -> String {
        self.with(|part| {
            let document = &delivery.document;
            token(match part {
                Part::Text(text) => text,
                Part::Mapping => &delivery.mapping.name,
                Part::Dataset => document.dataset.as_deref().unwrap_or_default(),
                Part::Operation => operation(document.operation),
                Part::Event => &delivery.event,
                Part::Id => &document.id,
            })
        })
    }

    fn with(&self, fill: impl Fn(&Part) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            part => fill(part),
        });
        parts.collect()
    }
}

pub(super) fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Put => "put",
        Operation::Delete => "delete",
    }
}

/// A value as one token: letters, digits, `-` and `_`; what else is in it becomes `_`.
fn token(value: &str) -> String {
    if value.is_empty() {
        return "_".to_owned();
    }
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let letters = value.chars();
    letters
        .map(|letter| if fits(letter) { letter } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::fixtures::{delete, put};

    #[test]
    fn a_template_is_filled() {
        let subject = Subject::parse("a.{mapping}.{operation}.{dataset}-{id}").unwrap();
        assert_eq!(
            subject.of(&put("x y.*>\u{1F600}", 1)),
            "a.ecs-1_12.put._-x_y____"
        );
        assert_eq!(subject.of(&delete("1", 1)), "a.ecs-1_12.delete._-1");
        let subject = Subject::parse("{event}").unwrap();
        assert_eq!(
            subject.of(&put("a", 1)),
            "11111111-2222-4333-8444-555555555555"
        );
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for template in [
            "", ".a", "a..b", "a.", "a b", "a.*", "a.>", "$JS.API", "{id}.\n",
        ] {
            assert_eq!(
                Subject::parse(template),
                Err(SubjectError::Invalid),
                "{template:?}"
            );
        }
        for template in ["a.{id", "a.id}", "{id}}"] {
            assert_eq!(
                Subject::parse(template),
                Err(SubjectError::Brace),
                "{template:?}"
            );
        }
        let error = Subject::parse("a.{nmae}").unwrap_err().to_string();
        assert!(
            error.contains("{nmae}") && error.contains("{mapping}"),
            "{error}"
        );
    }
}
