//! Output: what is shown, as tables for people and JSON for programs.

pub mod events;
pub mod json;
pub mod plan;
pub mod rules;
pub mod saved;
pub mod status;
pub mod table;
