//! The three loops of one pass, and what goes between them.
//!
//! Joined by channels of one element: while a page is delivered the next one is fetched,
//! and no more than that is held. The deliver loop sends in order and prepares no more than the
//! next batch meanwhile, so a page is committed only when it and all before it are done.

mod answer;
mod deliver;
mod fetch;
mod map;
mod mapped;
mod page;
mod prepare;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::context::Context;
use crate::error::RunError;
use crate::ledger::Ledger;
use crate::record::{Cursor, Page, UnreadEvent, Whole};
use crate::traits::{Source, Transform};

use deliver::Deliver;
pub(crate) use fetch::Asked;
use fetch::Fetch;
use map::Map;
use mapped::MappedBatch;

/// A page with its write version and the wanted events it settles.
pub(crate) struct Fetched {
    /// `None` if nothing came of what was asked for by name.
    page: Option<Box<Page>>,
    /// The mapping it was asked for.
    transform: Arc<dyn Transform>,
    version: u64,
    no_longer_wanted: Vec<String>,
}

/// What goes to the deliver loop, in order.
pub(crate) enum Work {
    /// A mapped batch.
    Mapped(MappedBatch),
    /// Every batch of a page has been sent: its cursor may be stored after them.
    PageEnd(PageEnd),
}

/// What is done after the last batch of a page.
pub(crate) struct PageEnd {
    pub(crate) cursor: Option<Cursor>,
    pub(crate) version: u64,
    pub(crate) now_ms: i64,
    pub(crate) whole: Whole,
    pub(crate) no_longer_wanted: Vec<String>,
    pub(crate) unread: Vec<UnreadEvent>,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything that was asked for has been committed.
    Done,
    /// It was told to stop; what was fetched has been committed.
    Stopped,
}

/// Fetches, maps, delivers and commits until what was asked for is done.
/// `ever_succeeded`: has this source answered before?
pub(crate) async fn pass(
    context: Context<'_>,
    source: &mut dyn Source,
    asked: Asked,
    ever_succeeded: &mut bool,
) -> Result<Ended, RunError> {
    let (page_sender, pages) = mpsc::channel(1);
    let (work_sender, work) = mpsc::channel(1);
    let fetch = Fetch {
        context,
        source,
        asked,
        ever_succeeded,
    };
    let passed = tokio::try_join!(
        fetch.run(page_sender),
        Map(context).run(pages, work_sender),
        Deliver::new(context).run(work),
    );
    // Where one of them failed, the others were given up: nothing of theirs may be written down
    // after something that comes after this pass.
    context.state.settled().await;
    let (ended, (), ()) = passed?;
    note_times(context.ledger);
    Ok(ended)
}

/// Says where the time went, to whoever measures: `--log info,pipeline::times=debug`.
fn note_times(ledger: &Ledger) {
    if !tracing::enabled!(target: "pipeline::times", tracing::Level::DEBUG) {
        return;
    }
    let times = ledger.times();
    let ms = times
        .iter()
        .map(|(stage, time)| format!("{stage} {}", time.as_millis()));
    let ms = ms.collect::<Vec<_>>().join(", ");
    tracing::debug!(target: "pipeline::times", ms, "where the time went since the start");
}
