//! What is said twice of one id in a batch is sent one after the other.

use std::collections::HashSet;
use std::ops::Range;

/// Cuts ids, in order, into runs in which none comes twice: what is within a run may be on its
/// way at once, the next begins when it is acknowledged.
pub(super) fn unrepeated(ids: &[&str]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut seen = HashSet::new();
    let mut start = 0;
    for (at, id) in ids.iter().enumerate() {
        if !seen.insert(*id) {
            runs.push(start..at);
            start = at;
            seen.clear();
            seen.insert(*id);
        }
    }
    if start < ids.len() {
        runs.push(start..ids.len());
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_cover_everything_and_repeat_nothing(ids in prop::collection::vec("[a-d]", 0..30)) {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let runs = unrepeated(&ids);
            let all: Vec<usize> = runs.iter().cloned().flatten().collect();
            prop_assert_eq!(all, (0..ids.len()).collect::<Vec<_>>());
            for run in &runs {
                let distinct: HashSet<&&str> = ids[run.clone()].iter().collect();
                prop_assert_eq!(distinct.len(), run.len());
            }
            for pair in runs.windows(2) {
                prop_assert!(ids[pair[0].clone()].contains(&ids[pair[1].start]));
            }
        }
    }
}
