//! The order in which batches are delivered: a batch is sent while the next one is prepared.
//!
//! Of each batch what is known is looked up, and what is about to be sent is noted: it is prepared.
//! Then it is sent, what was refused is kept, and what was acknowledged is remembered: only then is
//! the next one sent. What is remembered of a batch is seen by whatever needs it: a batch with the
//! same document, and the end of the page, wait for that; nothing after the end of a page is begun
//! before it. From the first batch of a page to its end this instance delivers nothing else.

use futures_util::future::try_join;
use tokio::sync::mpsc::Receiver;

use super::Work;
use super::answer::{count, refusals, remember, send};
use super::page::Progress;
use super::prepare::{Prepared, prepare};
use crate::context::Context;
use crate::crash;
use crate::error::RunError;
use crate::times::Stage;

/// Writes documents and dead letters, remembers what happened, then commits.
pub(super) struct Deliver<'p> {
    context: Context<'p>,
    progress: Progress,
}

/// What comes next.
enum Next<'p> {
    /// A batch that may be sent.
    Prepared(Prepared<'p>),
    /// Something of which nothing is done yet: it waited for what was before it.
    Work(Work),
    /// Nothing.
    End,
}

impl<'p> Deliver<'p> {
    pub(super) fn new(context: Context<'p>) -> Self {
        Self {
            context,
            progress: Progress::default(),
        }
    }

    pub(super) async fn run(mut self, mut work: Receiver<Work>) -> Result<(), RunError> {
        let context = self.context;
        let mut next = receive(&mut work).await;
        let mut turn = None;
        loop {
            if turn.is_none() && !matches!(next, Next::End) {
                turn = Some(context.state.turn().await);
            }
            next = match next {
                Next::Work(Work::Mapped(batch)) => Next::Prepared(prepare(&context, batch).await?),
                Next::Prepared(batch) => {
                    let delivering = deliver(&context, &batch);
                    // An error of the next batch waits until this one is finished; an error of this
                    // one waits for nothing.
                    let preparing = async { Ok(prepare_after(&context, &batch, &mut work).await) };
                    let ((), prepared) = try_join(delivering, preparing).await?;
                    self.progress.see(&batch.batch);
                    prepared?
                }
                Next::Work(Work::PageEnd(page)) => {
                    let version = page.version;
                    let ending = self.progress.end(&context, page);
                    context.ledger.times.timed(Stage::Commit, ending).await?;
                    if let Some(mut turn) = turn.take() {
                        *turn = version;
                    }
                    receive(&mut work).await
                }
                Next::End => return Ok(()),
            };
        }
    }
}

async fn receive<'p>(work: &mut Receiver<Work>) -> Next<'p> {
    work.recv().await.map_or(Next::End, Next::Work)
}

/// Prepares what comes while this batch is being delivered, unless it has to wait for that: the end
/// of the page, or a batch with a document of this one.
async fn prepare_after<'p>(
    context: &Context<'p>,
    before: &Prepared<'p>,
    work: &mut Receiver<Work>,
) -> Result<Next<'p>, RunError> {
    match receive(work).await {
        Next::Work(Work::Mapped(batch)) if !before.shares_a_document_with(&batch) => {
            Ok(Next::Prepared(prepare(context, batch).await?))
        }
        next => Ok(next),
    }
}

/// Sends a batch; keeps what was refused of it, then remembers and counts what became of it.
async fn deliver<'p>(context: &Context<'p>, prepared: &Prepared<'p>) -> Result<(), RunError> {
    let batch = &prepared.batch;
    let times = &context.ledger.times;
    let answers = send(context, prepared).await?;
    crash::point("acknowledged");
    let (letters, refused) = refusals(context, batch, &answers);
    let keeping = context.keep(&letters);
    times.timed(Stage::Keep, keeping).await?;
    crash::point("kept");
    let remembering = remember(context, batch, &answers);
    times.timed(Stage::Remember, remembering).await?;
    crash::point("remembered");
    count(context, batch, &answers, &refused);
    Ok(())
}
