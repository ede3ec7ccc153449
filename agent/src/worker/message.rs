//! What supervisor and worker say to each other.
//!
//! Both are the same binary, so there is one version. Never trusts the worker: a hostile model
//! may have taken it over, so every list in a reply is bounded.

use crate::infer::{Example, Graph, LoadError, Stage};
use crate::tensor::{Signature, Tensor, decode_list, decode_tensors};
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::{Decode, Encode};

/// Most operators or metadata entries of a reply.
const ENTRIES_MAX: usize = 512;

/// Supervisor to worker.
#[derive(Debug, Encode, Decode)]
pub(super) enum Request {
    /// Load a file; once, first.
    #[n(0)]
    Load {
        #[n(0)]
        path: String,
        #[n(1)]
        graph: Graph,
        #[n(2)]
        example: Example,
    },
    /// Run the loaded model.
    #[n(1)]
    Run {
        #[n(0)]
        id: u64,
        #[cbor(n(1), decode_with = "decode_tensors")]
        inputs: Vec<Tensor>,
    },
}

/// Worker to supervisor.
#[derive(Debug, Encode, Decode)]
pub(super) enum Reply {
    /// A stage of loading or an operator of a run begins: if it is the last that was heard, the
    /// worker died there.
    #[n(0)]
    Entered {
        #[n(0)]
        stage: Stage,
        #[n(1)]
        operator: Option<String>,
    },
    #[n(1)]
    Loaded(#[n(0)] Loaded),
    #[n(2)]
    Refused(#[n(0)] LoadError),
    #[n(3)]
    Ran {
        #[n(0)]
        id: u64,
        #[cbor(n(1), decode_with = "decode_tensors")]
        outputs: Vec<Tensor>,
        #[n(2)]
        run_us: u64,
    },
    /// This request failed; the worker goes on.
    #[n(4)]
    Failed {
        #[n(0)]
        id: u64,
        #[n(1)]
        operator: Option<String>,
        #[n(2)]
        reason: String,
    },
}

/// What is known of a loaded model.
#[derive(Debug, Default, Encode, Decode)]
pub(super) struct Loaded {
    #[n(0)]
    pub(super) signature: Signature,
    #[cbor(n(1), decode_with = "decode_entries")]
    pub(super) operators: Vec<String>,
    #[cbor(n(2), decode_with = "decode_entries")]
    pub(super) metadata: Vec<(String, String)>,
    #[n(3)]
    pub(super) load_us: u64,
}

fn decode_entries<'b, C, T: Decode<'b, C>>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
) -> Result<Vec<T>, DecodeError> {
    decode_list(d, ctx, ENTRIES_MAX)
}
