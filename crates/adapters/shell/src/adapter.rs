//! A record in, answers out.

use std::cell::OnceCell;
use std::ops::ControlFlow;

use bytes::Bytes;
use misp_model::redaction::is_uuid;
use misp_model::{Event, Item, Json, Object};
use splitter::{Body, Record, Records, SplitError};

use crate::answer::{self, Answer, Missing, Part, Refusal, start};
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
                self.with_settings(&rest, settings, asked, now_ms, sink);
            }
            None => self.slices(record, None, asked, now_ms, sink),
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
        self.with_settings(record, settings.to_vec(), asked, now_ms, sink);
    }

    /// Maps a record with settings that came with it, as far as the adapter's own allow.
    fn with_settings(
        &mut self,
        record: &[u8],
        settings: Vec<u8>,
        asked: Option<Layout>,
        now_ms: i64,
        sink: &mut Sink<'_>,
    ) {
        let depth = self.limits.depth;
        if !self.own(asked).record_settings {
            self.slices(record, None, asked, now_ms, sink);
        } else if field::depth(&settings, depth) > depth {
            let text = format!("the settings of the record nest deeper than {depth} levels");
            self.refuse(&Refusal::new("settings", text).of(record), now_ms, sink);
        } else {
            self.slices(record, Some(settings), asked, now_ms, sink);
        }
    }

    fn is_too_long(&self, record: &[u8], now_ms: i64, sink: &mut Sink<'_>) -> bool {
        let (length, limit) = (record.len(), self.limits.record);
        if length > limit {
            let text = format!("the record is {length} bytes long, the limit is {limit}");
            let refusal = Refusal::new("too-large", text).of_bytes(record);
            self.refuse(&refusal, now_ms, sink);
        }
        length > limit
    }

    fn slices(
        &mut self,
        record: &[u8],
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
                    limits: self.limits,
                    work: self.limits.work,
                    answers: self.limits.answers,
                    left_out: None,
                    whole: record,
                    hash: OnceCell::new(),
                    refused: 0,
                    sink,
                };
                let _ended = run.input();
            }
            Some(Err(text)) => {
                let refusal = Refusal::new("settings", text.clone()).of(record);
                self.refuse(&refusal, now_ms, sink);
            }
            None => {}
        }
        self.line = line;
    }

    /// What the adapter's own settings say of those of records.
    fn own(&mut self, asked: Option<Layout>) -> Own {
        let place = self.place_of(None, asked);
        match self.kept.get(place).map(|kept| &kept.mapper) {
            Some(Ok(mapper)) => Own {
                record_settings: mapper.record_settings,
                keeps_personal: mapper.keeps_personal,
            },
            _ => Own {
                record_settings: true,
                keeps_personal: false,
            },
        }
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
        let mapper = match &settings {
            None => Mapper::start(&self.settings, asked, true),
            Some(settings) => {
                let may_keep = self.own(asked).keeps_personal;
                Mapper::start(settings, asked, may_keep)
            }
        };
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

/// What the adapter's own settings allow those of a record.
#[derive(Debug, Clone, Copy)]
struct Own {
    record_settings: bool,
    keeps_personal: bool,
}

/// One record at work.
struct Run<'r, 's> {
    mapper: &'r Mapper,
    errors: bool,
    now_ms: i64,
    line: &'r mut Vec<u8>,
    limits: Limits,
    /// Bytes that may still be given to the mapping.
    work: usize,
    /// Bytes that may still be answered.
    answers: usize,
    /// Why the rest of the record is left out, and what is missing.
    left_out: Option<Refusal>,
    /// The record, for those who ask what was refused.
    whole: &'r [u8],
    hash: OnceCell<String>,
    /// How many refusals there were.
    refused: u64,
    sink: &'r mut Sink<'s>,
}

impl Run<'_, '_> {
    fn input(&mut self) -> ControlFlow<()> {
        let body = Body::from(Bytes::copy_from_slice(self.whole));
        let records = match Records::from_input(body, self.limits.slices()) {
            Ok(records) => records,
            Err(error) => return self.split_error(&error),
        };
        for record in records {
            match record {
                Ok(record) => self.record(&record)?,
                Err(error) => self.split_error(&error)?,
            }
        }
        match self.left_out.take() {
            Some(mut refusal) => {
                let Missing { count, attributes } = &refusal.missing;
                let uuids = attributes.len();
                refusal.text = format!(
                    "{}: {count} attributes of the record have no document, misp_ecs.missing lists the {uuids} of them that have a uuid; split the event into records of fewer attributes before the filter, or map it with the command, which has no such limit",
                    refusal.text
                );
                self.answers = usize::MAX;
                self.refused(refusal)
            }
            None => ControlFlow::Continue(()),
        }
    }

    fn record(&mut self, record: &Record) -> ControlFlow<()> {
        if self.left_out.is_some() {
            self.leave_out(record);
            return ControlFlow::Continue(());
        }
        let attributes = usize::try_from(record.attributes).unwrap_or(usize::MAX);
        if attributes.saturating_mul(record.json.len()) > REPEATED
            && let Some((first, second)) = record.halves()
        {
            self.record(&first)?;
            return self.record(&second);
        }
        let Some(left) = self.work.checked_sub(record.json.len()) else {
            self.begin_to_leave_out(
                record,
                format!(
                    "mapping the record takes more than {} bytes of work",
                    self.limits.work
                ),
            );
            self.leave_out(record);
            return ControlFlow::Continue(());
        };
        self.work = left;
        let outcome = match self.mapper.transform(&record.json, self.now_ms) {
            Ok(outcome) => outcome,
            Err(rejection) => {
                let mut refusal = Refusal::from(rejection);
                refusal.event = uuid(&record.head.uuid);
                refusal.attribute = record.attribute_uuid().and_then(|text| uuid(&text));
                refusal.start = Some(start(&record.json, self.limits.depth));
                return self.refused(refusal);
            }
        };
        for document in &outcome.documents {
            if let Some(refusal) = &mut self.left_out {
                refusal.missing.count += 1;
                refusal
                    .missing
                    .attributes
                    .extend(document.attribute.clone());
            } else if answer::write(self.line, document, self.mapper) {
                match self.answers.checked_sub(self.line.len()) {
                    Some(left) => {
                        self.answers = left;
                        (self.sink)(Answer::Document {
                            json: self.line.as_slice(),
                            timestamp_ms: document.timestamp_ms,
                        })?;
                    }
                    None => {
                        let text =
                            format!("the answer is larger than {} bytes", self.limits.answers);
                        self.begin_to_leave_out(record, text);
                        if let Some(refusal) = &mut self.left_out {
                            refusal.missing.count += 1;
                            refusal
                                .missing
                                .attributes
                                .extend(document.attribute.clone());
                        }
                    }
                }
            }
        }
        for refused in outcome.refused {
            let mut refusal = Refusal::from(refused.reason);
            refusal.event = uuid(&record.head.uuid);
            refusal.attribute = refused.attribute;
            self.refused(refusal)?;
        }
        ControlFlow::Continue(())
    }

    /// From here on nothing more is answered but what is missing.
    fn begin_to_leave_out(&mut self, record: &Record, text: String) {
        let mut refusal = Refusal::new("too-large", text);
        refusal.event = uuid(&record.head.uuid);
        self.left_out = Some(refusal);
    }

    fn leave_out(&mut self, record: &Record) {
        if let Some(refusal) = &mut self.left_out {
            refusal.missing.count += u64::from(record.attributes);
            refusal.missing.attributes.extend(uuids(&record.json));
        }
    }

    fn split_error(&mut self, error: &SplitError) -> ControlFlow<()> {
        let mut refusal = Refusal::from(error);
        let skipped = error.skipped();
        let range = usize::try_from(skipped.start)
            .ok()
            .zip(usize::try_from(skipped.end).ok());
        let part = range.and_then(|(from, to)| self.whole.get(from..to.min(self.whole.len())));
        refusal.start = part.map(|part| start(part, self.limits.depth));
        self.refused(refusal)
    }

    fn refused(&mut self, mut refusal: Refusal) -> ControlFlow<()> {
        refusal.record = Some(Part {
            hash: self
                .hash
                .get_or_init(|| mapping::id::sha1_hex(self.whole))
                .clone(),
            number: self.refused,
        });
        self.refused += 1;
        let document = self.errors.then(|| refusal.document(self.now_ms));
        let length = document.as_ref().map_or(0, Vec::len);
        match self.answers.checked_sub(length) {
            Some(left) => self.answers = left,
            None => {
                let text = format!("the answer is larger than {} bytes", self.limits.answers);
                let left_out = self
                    .left_out
                    .get_or_insert_with(|| Refusal::new("too-large", text));
                left_out.missing.count += 1;
                left_out.missing.attributes.extend(refusal.attribute);
                return ControlFlow::Continue(());
            }
        }
        (self.sink)(Answer::Refused {
            refusal: &refusal,
            json: document.as_deref(),
            timestamp_ms: self.now_ms,
        })
    }
}

/// A uuid, if it is one: what a record has in its place may be private.
fn uuid(text: &str) -> Option<String> {
    is_uuid(text).then(|| text.to_owned())
}

/// The uuids of the attributes of a record.
fn uuids(record: &[u8]) -> Vec<String> {
    let Ok(json) = Json::parse(record) else {
        return Vec::new();
    };
    let of = |attribute: &Object<'_>| uuid(&attribute.some("uuid")?.text()?);
    let mut found = Vec::new();
    for item in misp_model::items(&json).unwrap_or_default() {
        match item {
            Item::Event(event) => {
                found.extend(
                    event
                        .attributes()
                        .iter()
                        .flatten()
                        .filter_map(|one| of(one)),
                );
                for object in event.objects().into_iter().flatten() {
                    let attributes = Event::object_attributes(object);
                    found.extend(attributes.iter().flatten().filter_map(|one| of(one)));
                }
            }
            Item::Attribute { attribute, .. } => found.extend(of(attribute)),
            Item::Other => {}
        }
    }
    found
}
