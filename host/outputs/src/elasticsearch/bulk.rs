//! Sends actions in bulks: cut by bytes and count, several at once, what was turned away again.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, StreamExt as _};
use pipeline::{Backoff, Verdict};
use reqwest::Method;

use super::client::{Client, Content};
use super::encode::Step;
use super::error::ElasticError;
use super::reply::{Became, read};

/// The least that is needed to know what became of each action.
const PATH: &str = "_bulk?filter_path=errors,items.*._id,items.*.status,items.*.error";

/// How bulks are cut and sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) count: usize,
    pub(super) in_flight: usize,
    pub(super) gzip: bool,
    /// Is a put refused whose target is not an alias?
    pub(super) require_alias: bool,
    pub(super) backoff: Backoff,
}

/// What one bulk led to.
enum Sent {
    Items(Vec<Became>),
    /// Too large, or one action spoils it for all.
    Whole {
        status: u16,
        reason: String,
    },
}

/// Sends the actions; one verdict an action, with its delivery's place, in no order.
///
/// # Errors
/// When some were not settled: all may be sent again.
pub(super) async fn send(
    client: &Client,
    limits: Limits,
    steps: &[Step],
) -> Result<Vec<(usize, Verdict)>, ElasticError> {
    let parts: Vec<_> = cut(steps, limits)
        .into_iter()
        .map(|part| settle(client, limits, part))
        .collect();
    // The others end before an error is passed on: what comes again must not meet itself.
    let settled: Vec<Result<Vec<(usize, Verdict)>, ElasticError>> = stream::iter(parts)
        .buffer_unordered(limits.in_flight.max(1))
        .collect()
        .await;
    let settled: Vec<Vec<(usize, Verdict)>> = settled.into_iter().collect::<Result<_, _>>()?;
    Ok(settled.into_iter().flatten().collect())
}

/// Parts within the limits; what is larger by itself is alone.
fn cut(steps: &[Step], limits: Limits) -> Vec<Vec<&Step>> {
    let mut parts: Vec<Vec<&Step>> = Vec::new();
    let mut bytes = 0;
    for step in steps {
        match parts.last_mut() {
            Some(part) if part.len() < limits.count && bytes + step.len() <= limits.bytes => {
                part.push(step);
                bytes += step.len();
            }
            _ => {
                parts.push(vec![step]);
                bytes = step.len();
            }
        }
    }
    parts
}

/// Sends one part until each of its actions is settled.
async fn settle(
    client: &Client,
    limits: Limits,
    part: Vec<&Step>,
) -> Result<Vec<(usize, Verdict)>, ElasticError> {
    let mut verdicts = Vec::with_capacity(part.len());
    let mut parts = vec![part];
    let mut failed = 0;
    while let Some(part) = parts.pop() {
        let error = match once(client, limits, &part).await {
            Ok(Sent::Items(items)) => {
                let (again, error) = sort(&part, items, &mut verdicts);
                match error {
                    None => {
                        failed = 0;
                        continue;
                    }
                    Some(error) => {
                        parts.push(again);
                        error
                    }
                }
            }
            Ok(Sent::Whole { status, reason }) => {
                match part.as_slice() {
                    [] => {}
                    [step] => {
                        let text = format!("{status}: {reason}");
                        verdicts.push((step.place, Verdict::Rejected { text }));
                    }
                    steps => {
                        let (first, second) = steps.split_at(steps.len() / 2);
                        parts.push(second.to_vec());
                        parts.push(first.to_vec());
                    }
                }
                continue;
            }
            Err(error) if error.is_passing() => {
                parts.push(part);
                error
            }
            Err(error) => return Err(error),
        };
        failed += 1;
        // A wait that the server asked for is the pipeline's, which can be told to stop.
        let asked = matches!(&error, ElasticError::Busy { after: Some(_), .. });
        match limits.backoff.wait(failed, None) {
            Some(wait) if !asked => {
                tracing::debug!(%error, failed, "sent again in a moment");
                tokio::time::sleep(wait).await;
            }
            _ => return Err(error),
        }
    }
    Ok(verdicts)
}

/// Takes the verdicts; what is to be sent again, and why.
fn sort<'s>(
    part: &[&'s Step],
    items: Vec<Became>,
    verdicts: &mut Vec<(usize, Verdict)>,
) -> (Vec<&'s Step>, Option<ElasticError>) {
    let mut again = Vec::new();
    let mut error = None;
    for (step, item) in part.iter().zip(items) {
        match item {
            Became::Done(verdict) => verdicts.push((step.place, verdict)),
            Became::Again { status, reason } => {
                again.push(*step);
                error = Some(ElasticError::Busy {
                    status,
                    reason,
                    after: None,
                });
            }
        }
    }
    (again, error)
}

async fn once(client: &Client, limits: Limits, part: &[&Step]) -> Result<Sent, ElasticError> {
    let size = part.iter().map(|step| step.len()).sum();
    let mut bulk = Vec::with_capacity(size);
    for step in part {
        step.write(&mut bulk);
    }
    let bytes = if limits.gzip {
        pack(bulk).await?
    } else {
        bulk.into()
    };
    let content = Content {
        kind: "application/x-ndjson",
        gzip: limits.gzip,
        bytes,
    };
    let path = match limits.require_alias {
        true => format!("{PATH}&require_alias=true"),
        false => PATH.to_owned(),
    };
    let answer = client.ask(Method::POST, &path, Some(content)).await?;
    match answer.status {
        200..300 => Ok(Sent::Items(read(client, part, &answer.body)?)),
        status @ (400 | 413) => Ok(Sent::Whole {
            status,
            reason: client.reason(&answer.body),
        }),
        status => Err(ElasticError::Refused {
            status,
            reason: client.reason(&answer.body),
        }),
    }
}

/// Compresses away from the threads that must not wait.
async fn pack(bulk: Vec<u8>) -> Result<Bytes, ElasticError> {
    let packed = tokio::task::spawn_blocking(move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(bulk.len() / 8), Compression::fast());
        encoder.write_all(&bulk)?;
        encoder.finish()
    });
    let packed = packed.await.map_err(std::io::Error::other).flatten();
    packed
        .map(Bytes::from)
        .map_err(|error| ElasticError::Unreadable {
            reason: format!("nothing was sent, the bulk could not be packed: {error}"),
        })
}
