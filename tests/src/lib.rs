//! Fakes, fixtures, oracles and the suites that run whole processes.

pub use misp_ecs_events as events;
pub mod fake_elastic;
pub mod fake_misp;
pub mod fake_receiver;
mod serve;
pub mod services;
mod weather;

pub use fake_elastic::{ELASTIC_KEY, ElasticFault, FakeElastic};
pub use fake_misp::FakeMisp;
pub use fake_receiver::FakeReceiver;
