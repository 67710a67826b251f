//! The walk against a small model of MISP's search: whatever happens between two pages, every
//! publication comes in the end.

use std::collections::BTreeSet;

use pipeline::Cursor;
use proptest::prelude::*;
use splitter::EventHead;

use super::cursor::CursorKind;
use super::cursor::Position;
use super::steps::{Answered, Ask, Steps};

/// One event: its second of publication and how often it was published.
#[derive(Debug, Clone)]
struct Event {
    uuid: String,
    published_at: i64,
    published: bool,
    version: u32,
}

#[derive(Debug, Clone, Copy)]
struct Server {
    counts: bool,
    sorts: bool,
    cap: Option<usize>,
    dates: bool,
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    Nothing,
    Publish(usize),
    Edit(usize),
    Delete(usize),
    Add,
    Wait(i64),
}

struct Model {
    events: Vec<Event>,
    now: i64,
    server: Server,
    added: usize,
    requests: usize,
}

impl Model {
    fn new(seconds: &[i64], server: Server) -> Self {
        let events = seconds
            .iter()
            .enumerate()
            .map(|(place, second)| Event {
                uuid: format!("e{place}"),
                published_at: 1_000 + second,
                published: true,
                version: 1,
            })
            .collect();
        Self {
            events,
            now: 1_100,
            server,
            added: 0,
            requests: 0,
        }
    }

    fn happen(&mut self, happening: Happening) {
        let count = self.events.len();
        match happening {
            Happening::Nothing => {}
            Happening::Wait(seconds) => self.now += seconds,
            Happening::Add => {
                self.added += 1;
                self.events.push(Event {
                    uuid: format!("n{}", self.added),
                    published_at: self.now,
                    published: true,
                    version: 1,
                });
            }
            _ if count == 0 => {}
            Happening::Publish(which) => {
                let event = &mut self.events[which % count];
                event.published_at = self.now;
                event.published = true;
                event.version += 1;
            }
            Happening::Edit(which) => self.events[which % count].published = false,
            Happening::Delete(which) => {
                self.events.remove(which % count);
            }
        }
    }

    /// The page's events and the count.
    fn answer(&mut self, ask: Ask) -> (Vec<Event>, Option<u64>) {
        self.requests += 1;
        assert!(ask.from >= 1 && ask.page >= 1 && ask.limit >= 2, "{ask:?}");
        let mut found: Vec<Event> = self
            .events
            .iter()
            .filter(|event| event.published && event.published_at >= ask.from)
            .filter(|event| !ask.one_second || event.published_at == ask.from)
            .cloned()
            .collect();
        if self.server.sorts {
            found.sort_by_key(|event| event.published_at);
        }
        let total = found.len() as u64;
        let limit = self
            .server
            .cap
            .unwrap_or(usize::MAX)
            .min(ask.limit as usize);
        let page = found
            .into_iter()
            .skip(limit * (ask.page as usize - 1))
            .take(limit)
            .collect();
        (page, self.server.counts.then_some(total))
    }
}

/// One walk to its end; `happenings` happen one before each answer. Returns where the next one
/// begins, and adds what was handed out.
fn walk(
    model: &mut Model,
    start: &Cursor,
    limit: u32,
    happenings: &mut dyn Iterator<Item = Happening>,
    handed_out: &mut BTreeSet<(String, u32)>,
) -> Cursor {
    let mut steps = Steps::new(Position::read(start, CursorKind::Publish).unwrap());
    let most = model.requests + 2_000;
    while let Some(ask) = steps.ask(limit) {
        model.happen(happenings.next().unwrap_or(Happening::Nothing));
        assert!(model.requests < most, "the walk does not end: {steps:?}");
        let (events, matched) = model.answer(ask);
        let heads: Vec<EventHead> = events
            .iter()
            .map(|event| EventHead {
                uuid: event.uuid.clone(),
                publish_timestamp: Some(event.published_at),
                ..EventHead::default()
            })
            .collect();
        let answered = Answered {
            heads: &heads,
            matched,
            settled: if model.server.dates {
                model.now - 2
            } else {
                model.now - 300
            },
            dated: model.server.dates,
        };
        let trusted = model.server.sorts || !steps.needs_order(&answered);
        if !steps.in_order(&answered) || !trusted {
            steps.fall_back();
            continue;
        }
        let keep = steps.take(&answered);
        for (event, keep) in events.into_iter().zip(keep) {
            if keep {
                handed_out.insert((event.uuid, event.version));
            }
        }
    }
    steps.durable().write(CursorKind::Publish)
}

fn first() -> Cursor {
    Position::at(1).write(CursorKind::Publish)
}

fn published(model: &Model) -> BTreeSet<(String, u32)> {
    model
        .events
        .iter()
        .filter(|event| event.published)
        .map(|event| (event.uuid.clone(), event.version))
        .collect()
}

const GOOD: Server = Server {
    counts: true,
    sorts: true,
    cap: None,
    dates: true,
};

#[test]
fn settled_events_come_once_and_the_next_walk_brings_nothing() {
    for limit in [2, 3, 7, 50] {
        let mut model = Model::new(&[1, 1, 1, 1, 1, 2, 3, 3, 3, 9], GOOD);
        let mut handed_out = BTreeSet::new();
        let cursor = walk(
            &mut model,
            &first(),
            limit,
            &mut std::iter::empty(),
            &mut handed_out,
        );
        assert_eq!(handed_out.len(), 10, "limit {limit}");
        let before = model.requests;
        let mut again = BTreeSet::new();
        let next = walk(
            &mut model,
            &cursor,
            limit,
            &mut std::iter::empty(),
            &mut again,
        );
        assert_eq!(again, BTreeSet::new());
        assert_eq!(next, cursor);
        assert_eq!(
            model.requests,
            before + 1,
            "one request when nothing is new"
        );
    }
}

#[test]
fn an_event_published_twice_in_a_second_comes_with_its_new_content() {
    let mut model = Model::new(&[1], GOOD);
    model.now = 1_001;
    let mut handed_out = BTreeSet::new();
    let cursor = walk(
        &mut model,
        &first(),
        50,
        &mut std::iter::empty(),
        &mut handed_out,
    );
    assert_eq!(handed_out.len(), 1);
    model.happen(Happening::Edit(0));
    model.happen(Happening::Publish(0));
    assert_eq!(model.events[0].published_at, 1_001, "the same second");
    model.now = 1_010;
    let cursor = walk(
        &mut model,
        &cursor,
        50,
        &mut std::iter::empty(),
        &mut handed_out,
    );
    assert!(handed_out.contains(&("e0".to_owned(), 2)));
    let mut again = BTreeSet::new();
    walk(&mut model, &cursor, 50, &mut std::iter::empty(), &mut again);
    assert_eq!(again, BTreeSet::new());
}

#[test]
fn an_event_from_the_future_hides_nothing() {
    let mut model = Model::new(&[1, 500_000], GOOD);
    let mut handed_out = BTreeSet::new();
    let cursor = walk(
        &mut model,
        &first(),
        50,
        &mut std::iter::empty(),
        &mut handed_out,
    );
    model.happen(Happening::Add);
    model.now += 10;
    walk(
        &mut model,
        &cursor,
        50,
        &mut std::iter::empty(),
        &mut handed_out,
    );
    assert_eq!(handed_out.len(), 3);
}

#[test]
fn a_clock_set_back_hides_nothing() {
    let mut model = Model::new(&[1, 90], GOOD);
    let mut handed_out = BTreeSet::new();
    let cursor = walk(
        &mut model,
        &first(),
        50,
        &mut std::iter::empty(),
        &mut handed_out,
    );
    model.now = 1_050;
    model.happen(Happening::Add);
    model.now += 5;
    walk(
        &mut model,
        &cursor,
        50,
        &mut std::iter::empty(),
        &mut handed_out,
    );
    assert_eq!(handed_out.len(), 3);
}

#[test]
fn the_durable_cursor_never_passes_an_unsettled_second() {
    let mut model = Model::new(&[1, 98, 99, 100], GOOD);
    let mut handed_out = BTreeSet::new();
    let cursor = walk(
        &mut model,
        &first(),
        2,
        &mut std::iter::empty(),
        &mut handed_out,
    );
    assert_eq!(handed_out.len(), 4, "the walk itself goes on");
    let read = Position::read(&cursor, CursorKind::Publish).unwrap();
    assert_eq!(
        read,
        Position {
            from: 1,
            ..Position::at(1_099)
        }
    );
}

fn server() -> impl Strategy<Value = Server> {
    (
        any::<bool>(),
        prop::bool::weighted(0.8),
        prop::option::weighted(0.2, 2_usize..5),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(counts, sorts, cap, dates)| Server {
            counts,
            sorts,
            cap,
            dates,
        })
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => Just(Happening::Nothing),
        2 => any::<usize>().prop_map(Happening::Publish),
        1 => any::<usize>().prop_map(Happening::Edit),
        1 => any::<usize>().prop_map(Happening::Delete),
        2 => Just(Happening::Add),
        2 => (1_i64..4).prop_map(Happening::Wait),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost(
        seconds in prop::collection::vec(0_i64..12, 0..40),
        limit in 2_u32..12,
        server in server(),
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let mut model = Model::new(&seconds, server);
        let mut handed_out = BTreeSet::new();
        let mut happenings = happenings.into_iter();
        let mut cursor = first();
        for _ in 0..3 {
            cursor = walk(&mut model, &cursor, limit, &mut happenings, &mut handed_out);
        }
        model.now += 1_000;
        cursor = walk(&mut model, &cursor, limit, &mut std::iter::empty(), &mut handed_out);
        let missing: Vec<_> = published(&model).difference(&handed_out).cloned().collect();
        prop_assert_eq!(missing, Vec::<(String, u32)>::new());
        let mut again = BTreeSet::new();
        walk(&mut model, &cursor, limit, &mut std::iter::empty(), &mut again);
        if server.sorts {
            prop_assert_eq!(again, BTreeSet::new(), "what is settled comes once");
        }
    }
}
