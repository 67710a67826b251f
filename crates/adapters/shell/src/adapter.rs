//! A record in, answers out.

use std::ops::ControlFlow;

use bytes::Bytes;
use splitter::{Body, Record, Records};

use crate::answer::{self, Answer, Refusal};
use crate::field;
use crate::limits::{Limits, REPEATED};
use crate::mapper::{Layout, Mapper};

/// Mappings kept with their settings; more of them are started again when they come again.
const KEPT: usize = 4;

/// Maps one record after another.
#[derive(Debug)]
pub struct Adapter {
    /// What holds where the record says nothing.
    settings: Vec<u8>,
    limits: Limits,
    /// Is what was refused a document, unless the settings say otherwise?
    errors: bool,
    kept: Vec<Kept>,
    line: Vec<u8>,
}

#[derive(Debug)]
struct Kept {
    /// `None`: the adapter's own.
    settings: Option<Vec<u8>>,
    asked: Option<Layout>,
    mapper: Result<Mapper, String>,
}

/// Who takes the answers; `Break` wants no more of this record.
type Sink<'s> = dyn FnMut(Answer<'_>) -> ControlFlow<()> + 's;

impl Adapter {
    /// One with these settings (`baked_settings::Settings` as JSON; no bytes for none).
    /// `errors`: what was refused comes as a document too, if the settings do not say.
    pub fn new(settings: &[u8], limits: Limits, errors: bool) -> Self {
        Self {
            settings: settings.to_vec(),
            limits,
            errors,
            kept: Vec::new(),
            line: Vec::new(),
        }
    }

    /// What is wrong with the settings, one sentence.
    ///
    /// # Errors
    /// When every record would be refused because of them.
    pub fn check(&mut self, asked: Option<Layout>) -> Result<(), String> {
        let place = self.place_of(None, asked);
        match self.kept.get(place).map(|kept| &kept.mapper) {
            Some(Err(text)) => Err(text.clone()),
            _ => Ok(()),
        }
    }

    /// Maps a record with the mapping asked for, or else with the one that the settings
    /// name. `now_ms` is the time of it, UNIX milliseconds.
    pub fn map(&mut self, record: &[u8], asked: Option<Layout>, now_ms: i64, sink: &mut Sink<'_>) {
        if self.is_too_long(record, now_ms, sink) {
            return;
        }
        match field::take(record) {
            Some((rest, settings)) => {
                self.slices(Bytes::from(rest), Some(settings), asked, now_ms, sink);
            }
            None => {
                let record = Bytes::copy_from_slice(record);
                self.slices(record, None, asked, now_ms, sink);
            }
        }
    }

    /// The same with these settings instead of the adapter's own; the record has none.
    pub fn map_with(
        &mut self,
        record: &[u8],
        settings: &[u8],
        asked: Option<Layout>,
        now_ms: i64,
        sink: &mut Sink<'_>,
    ) {
        if self.is_too_long(record, now_ms, sink) {
            return;
        }
        let record = Bytes::copy_from_slice(record);
        self.slices(record, Some(settings.to_vec()), asked, now_ms, sink);
    }

    fn is_too_long(&self, record: &[u8], now_ms: i64, sink: &mut Sink<'_>) -> bool {
        let (length, limit) = (record.len(), self.limits.record);
        if length > limit {
            let text = format!("the record is {length} bytes long, the limit is {limit}");
            self.refuse(&Refusal::new("too-large", text), now_ms, sink);
        }
        length > limit
    }

    fn slices(
        &mut self,
        record: Bytes,
        settings: Option<Vec<u8>>,
        asked: Option<Layout>,
        now_ms: i64,
        sink: &mut Sink<'_>,
    ) {
        let place = self.place_of(settings, asked);
        let mut line = std::mem::take(&mut self.line);
        match self.kept.get(place).map(|kept| &kept.mapper) {
            Some(Ok(mapper)) => {
                let mut run = Run {
                    mapper,
                    errors: mapper.errors.unwrap_or(self.errors),
                    now_ms,
                    line: &mut line,
                    work: self.limits.work,
                    answers: self.limits.answers,
                    sink,
                };
                let _ended = run.input(record, self.limits);
            }
            Some(Err(text)) => {
                let refusal = Refusal::new("settings", text.clone());
                self.refuse(&refusal, now_ms, sink);
            }
            None => {}
        }
        self.line = line;
    }

    /// Passes on that something was refused before there was a record to map.
    pub fn refuse(&self, refusal: &Refusal, now_ms: i64, sink: &mut Sink<'_>) {
        let document = self.errors.then(|| refusal.document(now_ms));
        let _ended = sink(Answer::Refused {
            refusal,
            json: document.as_deref(),
            timestamp_ms: now_ms,
        });
    }

    /// Where the mapping with these settings is kept; started if it is not there.
    fn place_of(&mut self, settings: Option<Vec<u8>>, asked: Option<Layout>) -> usize {
        let is_it = |kept: &Kept| kept.asked == asked && kept.settings == settings;
        if let Some(place) = self.kept.iter().position(is_it) {
            return place;
        }
        let mapper = Mapper::start(settings.as_deref().unwrap_or(&self.settings), asked);
        if self.kept.len() >= KEPT {
            self.kept.remove(0);
        }
        self.kept.push(Kept {
            settings,
            asked,
            mapper,
        });
        self.kept.len() - 1
    }
}

/// One record at work.
struct Run<'r, 's> {
    mapper: &'r Mapper,
    errors: bool,
    now_ms: i64,
    line: &'r mut Vec<u8>,
    /// Bytes that may still be given to the mapping.
    work: usize,
    /// Bytes that may still be answered.
    answers: usize,
    sink: &'r mut Sink<'s>,
}

impl Run<'_, '_> {
    fn input(&mut self, input: Bytes, limits: Limits) -> ControlFlow<()> {
        let records = match Records::from_input(Body::from(input), limits.slices()) {
            Ok(records) => records,
            Err(error) => return self.refused(&error.into()),
        };
        for record in records {
            match record {
                Ok(record) => self.record(&record)?,
                Err(error) => self.refused(&error.into())?,
            }
        }
        ControlFlow::Continue(())
    }

    fn record(&mut self, record: &Record) -> ControlFlow<()> {
        let attributes = usize::try_from(record.attributes).unwrap_or(usize::MAX);
        if attributes.saturating_mul(record.json.len()) > REPEATED
            && let Some((first, second)) = record.halves()
        {
            self.record(&first)?;
            return self.record(&second);
        }
        let Some(left) = self.work.checked_sub(record.json.len()) else {
            let text = "the record takes too much work: the rest of it is left out";
            self.refused(&Refusal::new("too-large", text))?;
            return ControlFlow::Break(());
        };
        self.work = left;
        let outcome = match self.mapper.transform(&record.json, self.now_ms) {
            Ok(outcome) => outcome,
            Err(rejection) => return self.refused(&rejection.into()),
        };
        for document in &outcome.documents {
            if answer::write(self.line, document, self.mapper) {
                let Some(left) = self.answers.checked_sub(self.line.len()) else {
                    return self.too_much();
                };
                self.answers = left;
                (self.sink)(Answer::Document {
                    json: self.line.as_slice(),
                    timestamp_ms: document.timestamp_ms,
                })?;
            }
        }
        for refused in outcome.refused {
            let mut refusal = Refusal::from(refused.reason);
            refusal.attribute = refused.attribute;
            self.refused(&refusal)?;
        }
        ControlFlow::Continue(())
    }

    /// The last answer to a record that has too many.
    fn too_much(&mut self) -> ControlFlow<()> {
        let text =
            "the answer would be too large: the rest of the record is left out, split it before";
        self.answers = usize::MAX;
        self.refused(&Refusal::new("too-large", text))?;
        ControlFlow::Break(())
    }

    fn refused(&mut self, refusal: &Refusal) -> ControlFlow<()> {
        let document = self.errors.then(|| refusal.document(self.now_ms));
        let length = document.as_ref().map_or(0, Vec::len);
        let Some(left) = self.answers.checked_sub(length) else {
            return self.too_much();
        };
        self.answers = left;
        (self.sink)(Answer::Refused {
            refusal,
            json: document.as_deref(),
            timestamp_ms: self.now_ms,
        })
    }
}
