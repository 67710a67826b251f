//! Fakes, fixtures, oracles and the suites that run whole processes.
