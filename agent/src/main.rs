//! Placeholder.
pub mod infer;
pub mod tensor;
pub mod trial;
pub mod worker;
fn main() {}
