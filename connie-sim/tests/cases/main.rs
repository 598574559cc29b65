//! The behaviour that every race must show, case by case, in virtual time. The numbers are those of the
//! project's list of cases; each test is named by its own.

mod deadline;
mod errors;
mod few_sockets;
mod joining;
mod pacing;
mod resolving;
mod winning;
