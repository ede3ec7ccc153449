//! End to end: the built programs as separate processes, with a real broker, real disks and real
//! models. What one program does alone is tested beside its code.

mod scenarios;
