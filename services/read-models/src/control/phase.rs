//! What goes on with builds, for people.

use super::as_of::{AsOf, for_people};
use super::builds::{Builds, Stage, Turn};
use crate::Generation;

impl Builds {
    /// What goes on with a build, for people; `None`: it is not there.
    pub fn phase(&self, generation: Generation) -> Option<String> {
        let build = self.get(generation)?;
        let given_up = self.released.as_ref().map(|why| format!("; the last switch was given up: {why}"));
        let given_up = given_up.unwrap_or_default();
        Some(match (&build.stage, self.turn) {
            (_, Turn::Holding { to, .. }) if to == generation => {
                format!("holding: {} stands still, {to} comes as far", self.read)
            }
            (Stage::Read, Turn::Switched { .. }) => "switched: gateways follow".to_owned(),
            (Stage::Read, _) => "gateways read it".to_owned(),
            _ if build.is_paused => "paused".to_owned(),
            (Stage::Building, _) => "building".to_owned(),
            (Stage::Compared { rows, differences: 0, .. }, _) => {
                let same = if self.is_as_read(build) { "the same" } else { "there, of another format" };
                format!("ready: {rows} rows are {same}{given_up}")
            }
            (Stage::Compared { differences, .. }, _) => {
                format!("ready: {differences} products differ{given_up}")
            }
            (Stage::Previous, _) => format!("was read before, and follows{given_up}"),
            (Stage::AsOf(AsOf { name, as_of_ms, expires_ms, is_complete, .. }), _) => {
                let made = if *is_complete { "can be read" } else { "being built" };
                format!(
                    "{made} as {name}: as of {}, until {}",
                    for_people(*as_of_ms),
                    for_people(*expires_ms)
                )
            }
        })
    }
}
