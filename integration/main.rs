//! All integration tests, in one binary so that they are linked once and overlap.

mod simulated;
mod support;
