//! One folder an output, and the dead letters.
