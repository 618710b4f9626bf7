//! What every method of the contract has in common: repeats, sizes of responses, undone changes, watches, who did it, and an example.

mod administrators;
mod examples;
mod repeats;
mod sizes;
mod undo;
mod watches;
