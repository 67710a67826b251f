//! `misp-ecs transform`: files in, documents out, without a server.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use pipeline::{
    Batch, Document, Mapped, Operation, Outcome, Reason, RefusalKind, Refused, Transform as _,
};
use runtime::{Mapper, Origin};
use serde::Serialize;
use serde_json::value::RawValue;
use splitter::{Record, Records, SplitError, SplitLimits};

use super::input;
use crate::args::Transform;
use crate::config::{Facts, StaticFields};
use crate::exit::{Exit, OrExit as _};
use crate::mappings::Places;

/// Attributes and bytes in one call of the mapping.
pub(super) const BATCH_ATTRIBUTES: u32 = 1_000;
pub(super) const BATCH_BYTES: usize = 4 << 20;

/// Runs the command. `Err` is unreadable input or wrong usage.
pub(crate) async fn transform(args: &Transform) -> anyhow::Result<ExitCode> {
    let mapper = start(args)?;
    let stdout = io::stdout().lock();
    let mut printer = Printer {
        out: BufWriter::with_capacity(1 << 18, stdout),
        envelope: args.envelope,
        deletes: args.deletes,
        documents: 0,
        refused: 0,
    };
    let stdin = [PathBuf::from("-")];
    let files = if args.files.is_empty() {
        &stdin[..]
    } else {
        &args.files
    };
    let mut exit = Exit::Done;
    for path in files {
        if is_of_feed(path) {
            crate::say(&format!(
                "{}: left out, it lists the events of a feed and holds none",
                path.display()
            ));
            continue;
        }
        // A file that cannot be read does not keep the others from being mapped.
        let records = match input::read(path) {
            Ok(body) => Records::from_input(body, SplitLimits::default())
                .with_context(|| format!("{} cannot be read", path.display()))?,
            Err(error) => {
                crate::say_error(&crate::explain(&error));
                exit = exit.max(Exit::of_error(&error));
                continue;
            }
        };
        map_all(records, path, &mapper, &mut printer).await?;
    }
    printer.out.flush()?;
    tracing::info!(
        files = files.len(),
        documents = printer.documents,
        refused = printer.refused,
        "input mapped"
    );
    if printer.refused > 0 {
        exit = exit.max(Exit::Differs);
        crate::say(&format!(
            "{} refused; everything else was mapped",
            crate::summary::thousands(printer.refused)
        ));
    }
    Ok(exit.into())
}

/// The files of a feed that hold no events, which a glob over its folder names as well.
fn is_of_feed(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    matches!(name, Some("manifest.json" | "hashes.csv"))
}

fn start(args: &Transform) -> anyhow::Result<Mapper> {
    let settings = input::settings(args.settings.as_deref())?;
    let static_fields = if args.no_static_fields {
        Vec::new()
    } else {
        let object = StaticFields::default().object(&Facts::default(), &[]);
        serde_json::to_vec(&object)?
    };
    let engine = crate::engine::engine(None, &crate::config::Limits::default())?;
    let mapping = crate::engine::load(&engine, &args.mapping, &Places::new(None))?;
    let origin = Origin {
        name: "transform".to_owned(),
        url: None,
        static_fields,
    };
    Mapper::start(&engine, &mapping, serde_json::to_vec(&settings)?, origin)
        .with_context(|| format!("the mapping {} did not start", args.mapping))
        .or_exit(Exit::Usage)
}

async fn map_all(
    records: Records,
    path: &Path,
    mapper: &Mapper,
    printer: &mut Printer<impl Write>,
) -> anyhow::Result<()> {
    let now_ms = pipeline::now_ms();
    let mut batch: Vec<Record> = Vec::new();
    let (mut attributes, mut bytes) = (0, 0);
    for record in records {
        match record {
            Ok(record) => {
                attributes += record.attributes.max(1);
                bytes += record.json.len();
                batch.push(record);
            }
            Err(SplitError::Io { source }) => {
                return Err(source).with_context(|| format!("{} cannot be read", path.display()));
            }
            Err(error) => {
                // In order: what came before it goes out before it.
                flush(&mut batch, now_ms, mapper, printer).await?;
                (attributes, bytes) = (0, 0);
                crate::say(&format!("{}: {error}", path.display()));
                printer.unreadable(&error)?;
            }
        }
        if attributes >= BATCH_ATTRIBUTES || bytes >= BATCH_BYTES {
            flush(&mut batch, now_ms, mapper, printer).await?;
            (attributes, bytes) = (0, 0);
        }
    }
    flush(&mut batch, now_ms, mapper, printer).await
}

async fn flush(
    batch: &mut Vec<Record>,
    now_ms: i64,
    mapper: &Mapper,
    printer: &mut Printer<impl Write>,
) -> anyhow::Result<()> {
    let records = std::mem::take(batch);
    if records.is_empty() {
        return Ok(());
    }
    let mapped = mapper.transform(Batch { records, now_ms }).await?;
    mapped.iter().try_for_each(|mapped| printer.record(mapped))
}

/// Prints results.
struct Printer<W> {
    out: W,
    envelope: bool,
    deletes: bool,
    documents: u64,
    refused: u64,
}

impl<W: Write> Printer<W> {
    fn record(&mut self, mapped: &Mapped) -> anyhow::Result<()> {
        let refused = match mapped {
            Ok(outcome) => &outcome.refused[..],
            Err(reason) => &[Refused {
                attribute: None,
                reason: reason.clone(),
            }],
        };
        self.refused += refused.len() as u64;
        self.documents += mapped
            .iter()
            .map(|outcome| outcome.documents.len() as u64)
            .sum::<u64>();
        for one in refused {
            crate::say(&format!(
                "refused {}: {}",
                one.attribute.as_deref().unwrap_or("record"),
                one.reason.text
            ));
        }
        if self.envelope {
            let empty = Outcome::default();
            return self.line(&Envelope::new(mapped.as_ref().unwrap_or(&empty), refused)?);
        }
        let documents = mapped.iter().flat_map(|outcome| &outcome.documents);
        for document in documents {
            match document.operation {
                Operation::Put => {
                    self.out.write_all(&document.body)?;
                    self.out.write_all(b"\n")?;
                }
                Operation::Delete if self.deletes => self.line(&Tombstone::of(document))?,
                Operation::Delete => {}
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, error: &SplitError) -> anyhow::Result<()> {
        self.refused += 1;
        if self.envelope {
            let refused = [Refused {
                attribute: None,
                reason: Reason {
                    kind: RefusalKind::Malformed,
                    text: error.to_string(),
                },
            }];
            self.line(&Envelope::new(&Outcome::default(), &refused)?)?;
        }
        Ok(())
    }

    fn line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")?;
        Ok(())
    }
}

/// The line of one record.
#[derive(Serialize)]
struct Envelope<'a> {
    event: &'a str,
    documents: Vec<EnvelopeDocument<'a>>,
    refused: &'a [Refused],
    tallies: &'a [pipeline::Tally],
}

#[derive(Serialize)]
struct EnvelopeDocument<'a> {
    id: &'a str,
    attribute: Option<&'a str>,
    attribute_timestamp: Option<i64>,
    operation: Operation,
    dataset: Option<&'a str>,
    timestamp_ms: i64,
    modified_ms: i64,
    expires_ms: Option<i64>,
    fingerprint: String,
    body: &'a RawValue,
    notes: &'a [pipeline::Note],
}

impl<'a> Envelope<'a> {
    fn new(outcome: &'a Outcome, refused: &'a [Refused]) -> anyhow::Result<Self> {
        let documents = outcome
            .documents
            .iter()
            .map(|document| {
                Ok(EnvelopeDocument {
                    id: &document.id,
                    attribute: document.attribute.as_deref(),
                    attribute_timestamp: document.attribute_timestamp,
                    operation: document.operation,
                    dataset: document.dataset.as_deref(),
                    timestamp_ms: document.timestamp_ms,
                    modified_ms: document.modified_ms,
                    expires_ms: document.expires_ms,
                    fingerprint: format!("{:016x}", document.fingerprint),
                    body: serde_json::from_slice(&document.body)?,
                    notes: &document.notes,
                })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            event: &outcome.event,
            documents,
            refused,
            tallies: &outcome.tallies,
        })
    }
}

/// The line of a deleted attribute: the version is the observation's, here the document's own clock.
#[derive(Serialize)]
struct Tombstone<'a> {
    misp_ecs: TombstoneFields<'a>,
}

#[derive(Serialize)]
struct TombstoneFields<'a> {
    id: &'a str,
    operation: Operation,
    version: i64,
}

impl<'a> Tombstone<'a> {
    fn of(document: &'a Document) -> Self {
        Self {
            misp_ecs: TombstoneFields {
                id: &document.id,
                operation: document.operation,
                version: document.modified_ms,
            },
        }
    }
}
