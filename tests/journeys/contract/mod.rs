//! What every method of the contract has in common: repeats, sizes of responses, undone changes, watches, and who did it.

mod administrators;
mod repeats;
mod sizes;
mod undo;
mod watches;
