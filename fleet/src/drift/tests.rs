//! Drift's tests.
