//! What to ask next, and what an answer means. Pure: no request is made here.
//!
//! What is called `publish_timestamp` here is whatever clock the walk goes by.
//!
//! The walk goes up `publish_timestamp` and always asks for page 1 from the last second it saw,
//! inclusive (keyset), so that nothing shifts under it when an event drops out of the search. A
//! second with more events than a page is walked by `[W,W]` and page (tie). Should the server
//! ignore `order`, the whole range is walked by page (offset).
//!
//! Two positions: the walk's own goes on whatever happens. The durable one, which survives a
//! restart and begins the next walk, stays before the first second in which an event might be
//! published once more: its new content would carry the same uuid and the same second.

use std::collections::{BTreeSet, HashSet};

use splitter::EventHead;

use super::cursor::{Position, Publication};

/// Passes over one range by page before the walk gives up waiting for it to keep still.
const MOST_PASSES: u32 = 5;
/// A server's clock this much behind the cursor is one of several web servers, or was trimmed.
const SMALL_STEP: i64 = 60;
/// If it is further behind, somebody set it back: at most so long ago, unless nobody polled.
const SET_BACK_WITHIN: i64 = 86_400;

/// An event dated so much later than now has a clock that was wrong: it is handed out once, and is
/// not published again in that very second before then.
pub(super) const FAR_AHEAD: i64 = 86_400;

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    /// `publish_timestamp` from here on, inclusive; never 0.
    pub(super) from: i64,
    /// Only this one second?
    pub(super) one_second: bool,
    pub(super) page: u64,
    pub(super) limit: u32,
}

/// What came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered<'a> {
    pub(super) heads: &'a [EventHead],
    /// `X-Result-Count`.
    pub(super) matched: Option<u64>,
    /// The last second in which nothing can be published any more when this was answered.
    pub(super) settled: i64,
    /// Does `settled` come from the server's clock?
    pub(super) dated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Keyset,
    Tie,
    Offset,
    Ended,
}

/// What is known of one series of pages 1, 2, 3.. of the same question.
#[derive(Debug, Default)]
struct Pass {
    /// The `limit` of the series: with another one the pages are cut elsewhere.
    limit: u32,
    /// `X-Result-Count` of its first page.
    total: Option<u64>,
    /// Did it change since? Then an item may have slipped from a later page to an earlier one.
    moved: bool,
    /// What came in it.
    came: HashSet<Publication>,
    /// What came in the series before it, of the same question.
    previous: Option<HashSet<Publication>>,
    /// How many series of the same question there were before.
    before: u32,
    /// `settled` when the first series of this question began.
    settled: Option<i64>,
}

/// One walk.
#[derive(Debug)]
pub(super) struct Steps {
    start: Position,
    durable: Position,
    w: i64,
    /// Handed out, or known from before: all at `w` at least, or far ahead of the server.
    seen: HashSet<Publication>,
    /// The first second that was not settled when something of it, or after it, came.
    hold: Option<i64>,
    /// What is later than this is far ahead of the server's clock.
    far: i64,
    phase: Phase,
    page: u64,
    pass: Pass,
    /// The most items in one page: newer servers cap `limit` without a word.
    largest: u64,
    rewound: bool,
    given_up: bool,
}

impl Steps {
    pub(super) fn new(start: Position) -> Self {
        Self {
            w: start.w,
            seen: start.seen.iter().cloned().collect(),
            durable: start.clone(),
            start,
            hold: None,
            far: i64::MAX,
            phase: Phase::Keyset,
            page: 1,
            pass: Pass::default(),
            largest: 0,
            rewound: false,
            given_up: false,
        }
    }

    /// The next question for pages of this size; `None` at the end of the walk.
    pub(super) fn ask(&mut self, limit: u32) -> Option<Ask> {
        if self.page > 1 && self.pass.limit != limit {
            self.restart_pass();
        }
        self.pass.limit = limit;
        let (from, one_second) = match self.phase {
            Phase::Keyset => (self.w, false),
            Phase::Tie => (self.w, true),
            Phase::Offset => (self.start.w, false),
            Phase::Ended => return None,
        };
        Some(Ask {
            from,
            one_second,
            page: self.page,
            limit,
        })
    }

    /// Where the next walk, or a restart, begins.
    pub(super) fn durable(&self) -> &Position {
        &self.durable
    }

    /// May the size of a page change here without asking for pages again?
    pub(super) fn at_first_page(&self) -> bool {
        self.page == 1
    }

    /// Did this publication come before?
    pub(super) fn knows(&self, head: &EventHead) -> bool {
        self.seen.contains(&publication(head))
    }

    /// Did the walk end without having seen its range keep still?
    pub(super) fn given_up(&self) -> bool {
        self.given_up
    }

    /// Must it be known that the server sorts, before this answer can be trusted?
    pub(super) fn needs_order(&self, answered: &Answered<'_>) -> bool {
        self.phase == Phase::Keyset && !answered.heads.is_empty() && !self.is_all(answered)
    }

    /// Is this answer sorted as asked? Of an answer that holds everything it does not matter.
    pub(super) fn in_order(&self, answered: &Answered<'_>) -> bool {
        match self.phase {
            Phase::Keyset => {
                let seconds: Option<Vec<i64>> =
                    answered.heads.iter().map(|h| h.publish_timestamp).collect();
                self.is_all(answered)
                    || seconds.is_some_and(|seconds| {
                        seconds.is_sorted() && seconds.first().is_none_or(|first| *first >= self.w)
                    })
            }
            Phase::Tie => answered
                .heads
                .iter()
                .all(|head| head.publish_timestamp == Some(self.w)),
            Phase::Offset | Phase::Ended => true,
        }
    }

    /// The server does not sort: walk the whole range by page, and move the durable position
    /// only when all of it has come.
    pub(super) fn fall_back(&mut self) {
        self.phase = Phase::Offset;
        self.durable = self.start.clone();
        self.pass = Pass::default();
        self.page = 1;
    }

    /// Takes an answer in: which of its items are new.
    pub(super) fn take(&mut self, answered: &Answered<'_>) -> Vec<bool> {
        if self.rewind(answered) {
            return vec![false; answered.heads.len()];
        }
        self.far = answered.settled.saturating_add(FAR_AHEAD);
        self.largest = self.largest.max(answered.heads.len() as u64);
        let mut new_in_pass = false;
        let keep: Vec<bool> = answered
            .heads
            .iter()
            .map(|head| {
                let publication = publication(head);
                new_in_pass |= self.pass.came.insert(publication.clone());
                self.seen.insert(publication)
            })
            .collect();
        let top = answered
            .heads
            .iter()
            .filter_map(|h| h.publish_timestamp)
            .max();
        if top.is_some_and(|top| top > answered.settled) {
            let unsettled = answered.settled.saturating_add(1).max(1);
            self.hold = Some(self.hold.map_or(unsettled, |hold| hold.min(unsettled)));
        }
        if self.page == 1 {
            self.pass.total = answered.matched;
            self.pass.settled.get_or_insert(answered.settled);
        } else if self.pass.total != answered.matched {
            self.pass.moved = true;
        }
        match self.phase {
            Phase::Keyset => self.take_keyset(answered, top),
            Phase::Tie => self.take_tie(answered, new_in_pass),
            Phase::Offset => self.take_offset(answered, new_in_pass),
            Phase::Ended => {}
        }
        keep
    }

    /// The server's clock was set back below where we are: what is published now would lie
    /// before the walk. Begin again some time before the clock: repeats do no harm.
    fn rewind(&mut self, answered: &Answered<'_>) -> bool {
        let now = answered.settled.saturating_add(1);
        if self.rewound || !answered.dated || now >= self.start.w {
            return false;
        }
        tracing::warn!(
            cursor = self.start.w,
            server = now,
            "the server's clock is behind the cursor: the walk begins again before it"
        );
        let back = if self.start.w - now > SMALL_STEP {
            SET_BACK_WITHIN
        } else {
            SMALL_STEP
        };
        let from = self.start.from;
        *self = Self::new(Position {
            from,
            ..Position::at(now.saturating_sub(back))
        });
        self.rewound = true;
        true
    }

    fn take_keyset(&mut self, answered: &Answered<'_>, top: Option<i64>) {
        let first = answered
            .heads
            .first()
            .and_then(|head| head.publish_timestamp);
        match (first, top) {
            (_, top) if self.is_all(answered) => {
                self.advance_to(top.unwrap_or(self.w));
                self.phase = Phase::Ended;
            }
            (Some(first), Some(top)) => {
                self.advance_to(top);
                if first == top {
                    self.phase = Phase::Tie;
                }
                self.start_pass();
            }
            // Empty, and yet there is more: a filter that MISP applies after paging.
            _ if answered
                .matched
                .is_some_and(|matched| matched > self.reach()) =>
            {
                self.page += 1
            }
            _ => self.phase = Phase::Ended,
        }
        self.settle();
    }

    fn take_tie(&mut self, answered: &Answered<'_>, new_in_pass: bool) {
        if !self.pass_is_over(answered, new_in_pass) {
            self.page += 1;
        } else if !self.kept_still(answered) && self.pass.before < MOST_PASSES {
            self.restart_pass();
        } else {
            // If it never kept still, the second comes again with the next walk.
            if !self.kept_still(answered) {
                self.hold = Some(self.hold.map_or(self.w, |hold| hold.min(self.w)));
            }
            self.w += 1;
            let far = self.far;
            self.seen.retain(|(_, published)| *published > far);
            self.phase = Phase::Keyset;
            self.start_pass();
        }
        self.settle();
    }

    fn take_offset(&mut self, answered: &Answered<'_>, new_in_pass: bool) {
        if !self.pass_is_over(answered, new_in_pass) {
            self.page += 1;
            return;
        }
        let kept_still = self.kept_still(answered);
        if !kept_still && self.pass.before < MOST_PASSES {
            self.restart_pass();
            return;
        }
        self.phase = Phase::Ended;
        if !kept_still {
            self.given_up = true;
            return;
        }
        // What was published after the first series began may have been missed by all.
        let unsettled = self.pass.settled.unwrap_or(0).saturating_add(1);
        self.hold = Some(self.hold.map_or(unsettled, |hold| hold.min(unsettled)));
        let top = self.pass.came.iter().map(|(_, second)| *second).max();
        self.w = self.start.w.max(top.unwrap_or(0));
        self.settle();
    }

    /// Does this first page hold everything that matches?
    fn is_all(&self, answered: &Answered<'_>) -> bool {
        self.page == 1
            && answered
                .matched
                .is_some_and(|matched| matched <= answered.heads.len() as u64)
    }

    fn pass_is_over(&self, answered: &Answered<'_>, new_in_pass: bool) -> bool {
        match answered.matched {
            Some(matched) => matched <= self.reach(),
            None => !new_in_pass,
        }
    }

    /// Did every item stay on its page while this series was read? An item that leaves the search
    /// moves all behind it one place up, and one of them from an unread page to a read one.
    fn kept_still(&self, answered: &Answered<'_>) -> bool {
        if self.is_all(answered) {
            return true;
        }
        if self.phase == Phase::Tie && answered.matched.is_some() {
            // Nothing enters a second that is past: the count tells.
            return !self.pass.moved;
        }
        // What left was read in the series before and not in this one, or the other way round.
        self.pass.previous.as_ref() == Some(&self.pass.came)
    }

    /// How many items the pages of this series have gone over, at least.
    fn reach(&self) -> u64 {
        let limit = u64::from(self.pass.limit);
        let real = if self.largest == 0 {
            limit
        } else {
            limit.min(self.largest)
        };
        self.page.saturating_mul(real)
    }

    fn advance_to(&mut self, second: i64) {
        self.w = self.w.max(second);
        let (w, far) = (self.w, self.far);
        self.seen
            .retain(|(_, published)| *published >= w || *published > far);
    }

    fn start_pass(&mut self) {
        self.page = 1;
        self.pass = Pass {
            limit: self.pass.limit,
            ..Pass::default()
        };
    }

    fn restart_pass(&mut self) {
        let before = self.pass.before + 1;
        let previous = std::mem::take(&mut self.pass.came);
        let settled = self.pass.settled;
        self.start_pass();
        self.pass.settled = settled;
        self.pass.before = before;
        self.pass.previous = Some(previous);
    }

    fn settle(&mut self) {
        let from = self.start.from;
        self.durable = match self.hold {
            Some(hold) if hold <= self.w => Position {
                from,
                seen: self.seen_far_ahead(),
                ..Position::at(hold)
            },
            _ => Position {
                from,
                w: self.w,
                seen: self
                    .seen
                    .iter()
                    .filter(|(_, published)| *published == self.w || *published > self.far)
                    .cloned()
                    .collect(),
            },
        };
    }

    fn seen_far_ahead(&self) -> BTreeSet<Publication> {
        let seen = self.seen.iter();
        seen.filter(|(_, published)| *published > self.far)
            .cloned()
            .collect()
    }
}

pub(super) fn publication(head: &EventHead) -> Publication {
    let name = if head.uuid.is_empty() {
        format!("id {}", head.id)
    } else {
        head.uuid.clone()
    };
    (name, head.publish_timestamp.unwrap_or(0))
}
