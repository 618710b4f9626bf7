//! What every method of the contract has in common: repeats, calls at once, sizes of responses, undone changes, watches, who did it, and an example.

mod administrators;
mod examples;
mod repeats;
mod simultaneous;
mod sizes;
mod undo;
mod watches;
