//! Every bound on what comes from outside, in one place, each with its reason.
//!
//! Never a default for a setting: settings live with the programs. A length that is read from
//! the wire becomes an allocation only under one of these.

/// Largest MQTT payload: what every broker profile that we know carries.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;
/// Most levels of a topic (AWS IoT allows seven slashes).
pub const TOPIC_LEVELS_MAX: usize = 7;
/// Longest topic in bytes.
pub const TOPIC_BYTES_MAX: usize = 128;

/// Smallest piece of a blob: below it, hash lists outweigh the data of a small model.
pub const PIECE_BYTES_MIN: u32 = 4 * 1024;
/// Largest piece: one piece and its envelope fit one message.
pub const PIECE_BYTES_MAX: u32 = 96 * 1024;
/// Manifest, hash list, card and single metadata parts travel whole, in one message.
pub const WHOLE_BYTES_MAX: u32 = PIECE_BYTES_MAX;
/// Pieces of one hash list: what fits [`WHOLE_BYTES_MAX`] at 32 bytes each.
pub const PIECES_MAX: u32 = WHOLE_BYTES_MAX / 32;
/// Largest layer: [`PIECES_MAX`] pieces of the largest size (288 MiB).
pub const LAYER_BYTES_MAX: u64 = PIECES_MAX as u64 * PIECE_BYTES_MAX as u64;
/// Largest blob after decompression; a bound on what a small layer may expand to.
pub const BLOB_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Layers of a bundle: model, reference, golden vectors, hash list and room.
pub const LAYERS_MAX: usize = 8;
/// Largest golden document, and each tensor in it.
pub const GOLDEN_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Golden vectors of a model.
pub const GOLDEN_VECTORS_MAX: usize = 256;
/// Tensors on one side of a golden vector.
pub const GOLDEN_TENSORS_MAX: usize = 64;

/// Signed statement, assignment or key set that a small node reads, whole document.
pub const NODE_DOCUMENT_BYTES_MAX: usize = 1024;
/// Signed statement or assignment on Linux.
pub const LINUX_DOCUMENT_BYTES_MAX: usize = 4096;
/// Signatures on one document.
pub const SIGNATURES_MAX: usize = 5;
/// Keys that one role may hold.
pub const KEYS_MAX: usize = 8;
/// Models on a small node.
pub const NODE_MODELS_MAX: usize = 8;
/// Revocations in the key set of one model: what lies below its floor needs none.
pub const NODE_REVOKED_MAX: usize = 8;
/// Models on a Linux device, and entries of an assignment.
pub const MODELS_MAX: usize = 32;

/// Signed telemetry document: a window of 64 features stays far below it.
pub const DOCUMENT_BYTES_MAX: usize = 32 * 1024;
/// Documents of one stream that carry a number but no acknowledgement yet.
pub const FROZEN_MAX: usize = 16;
/// Streams of one device: receipts and windows.
pub const STREAMS_MAX: usize = 2;
/// Free text in a receipt, bytes.
pub const DETAIL_BYTES_MAX: usize = 256;

/// Features that a reference names.
pub const FEATURES_MAX: usize = 64;
/// Bins of a feature: 16 between reference quantiles and two tails.
pub const BINS_MAX: usize = 18;
/// Edges between [`BINS_MAX`] bins.
pub const EDGES_MAX: usize = BINS_MAX - 1;
/// Buckets of the latency histogram (four to each power of two of microseconds).
pub const LATENCY_BUCKETS: usize = 124;
/// Classes that a shadow is compared by: bins of a reference, or places in a list of scores, and
/// one for what is neither.
pub const SHADOW_CLASSES_MAX: usize = BINS_MAX + 1;
/// Pairs of them.
pub const SHADOW_CELLS_MAX: usize = SHADOW_CLASSES_MAX * SHADOW_CLASSES_MAX;
/// Buckets of differences between scores, see [`crate::stats::difference`].
pub const DIFFERENCE_BUCKETS: usize = 32;
/// Bins of a score.
pub const SCORE_BINS: usize = 20;
/// Edges between [`SCORE_BINS`] bins.
pub const SCORE_EDGES_MAX: usize = SCORE_BINS - 1;
/// Classes that predictions are counted by; the last one stands for all beyond the list.
pub const SCORE_CLASSES_MAX: usize = 33;
/// Scores of one row, one for each class: more are no probabilities that anybody reads.
pub const SCORES_MAX: u32 = 4096;
/// Labels below which they are held for the next window: a single one would tell of one row.
pub const WINDOW_LABELS_MIN: u64 = WINDOW_SAMPLES_MIN;
/// Kinds of errors that a window counts.
pub const ERROR_CODES_MAX: usize = 8;
/// Samples below which a window is held and merged instead of sent: a smaller one could show
/// single values.
pub const WINDOW_SAMPLES_MIN: u64 = 20;

/// Largest TUF metadata document.
pub const METADATA_BYTES_MAX: usize = 1024 * 1024;
/// Name of a metadata role, bytes.
pub const ROLE_BYTES_MAX: usize = 80;
/// Largest enrolment request or reply.
pub const ENROLMENT_BYTES_MAX: usize = 256 * 1024;
/// Days that signed online time may lie above the newest offline `issued_at`.
pub const ONLINE_TIME_LEAD_DAYS_MAX: u64 = 400;
