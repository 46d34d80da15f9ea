//! Which builds of a read model there are, and how far each group has come with them.
//!
//! Promise: a build is there as long as the table or the index of its positions is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::control::Hold;
use crate::declared::On;
use crate::{Error, Generation, ReadModel, Servers, positions};

/// So many positions are read of one build: a thousand groups on the largest topics.
const MAX_POSITIONS: usize = 10_000;

/// What the group begins with, behind that of the build, whose positions say where the build stood still in a hold.
const HELD: &str = ".held-";

/// The group whose positions say where a build stood still in a hold.
pub fn held_group(group: &str, hold: Hold) -> String {
    format!("{group}{HELD}{hold}")
}

/// Whether a group makes a build.
fn makes(group: &str) -> bool {
    !group.contains(HELD)
}

/// A build, and of each group that wrote positions the applied one of each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub generation: Generation,
    pub groups: BTreeMap<String, BTreeMap<i32, i64>>,
}

impl Servers {
    /// The builds of a read model, by their numbers.
    pub async fn builds(&self, read_model: ReadModel) -> Result<Vec<Build>, Error> {
        let mut builds = Vec::new();
        for generation in self.generations(read_model).await? {
            let mut groups: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
            let positions = match self.all_positions(read_model, generation).await {
                // It is being made, or dropped.
                Err(error) if error.is_missing() => Vec::new(),
                positions => positions?,
            };
            for (group, partition, applied) in positions.into_iter().filter(|(group, ..)| makes(group)) {
                groups.entry(group).or_default().insert(partition, applied);
            }
            builds.push(Build { generation, groups });
        }
        builds.sort_by_key(|build| build.generation);
        Ok(builds)
    }

    /// The builds that are there, whole or in parts.
    pub(crate) async fn generations(&self, read_model: ReadModel) -> Result<Vec<Generation>, Error> {
        Ok(match &read_model.declared().on {
            On::Cql(_) => {
                let begins = positions::table(read_model.name(), Generation::FIRST);
                let begins = begins.trim_end_matches(char::is_numeric);
                let tables = self.cql().await?.tables().await?;
                tables.iter().filter_map(|name| name.strip_prefix(begins)?.parse().ok()).collect()
            }
            On::Search { index, positions, parked } => {
                let search = self.search().await?;
                // What was dropped in part is there in part.
                let mut numbers = search.generations(positions).await?;
                for part in [index, parked] {
                    numbers.extend(search.generations(part).await?);
                }
                let all: BTreeSet<u32> = numbers.into_iter().collect();
                all.into_iter().filter_map(|number| Generation::try_from(number).ok()).collect()
            }
        })
    }

    async fn all_positions(
        &self,
        read_model: ReadModel,
        generation: Generation,
    ) -> Result<Vec<(String, i32, i64)>, Error> {
        match &read_model.declared().on {
            On::Cql(_) => {
                let cql = self.cql().await?;
                let table = positions::table(read_model.name(), generation);
                let select = format!("SELECT group_id, partition_id, position FROM {{keyspace}}.{table}");
                Ok(cql.rows(&cql.prepare(&select).await?, ()).await?)
            }
            On::Search { positions, .. } => {
                let search = self.search().await?;
                let index = positions.index(search.prefix(), generation.get());
                search.refresh(&index).await?;
                let makes =
                    json!({ "bool": { "must_not": { "wildcard": { "group_id": format!("*{HELD}*") } } } });
                let question = json!({ "size": MAX_POSITIONS, "query": makes });
                let answer: Value = search.search(&index, question).await?;
                let of = |hit: &Value| {
                    let told = &hit["_source"];
                    let partition = i32::try_from(told["partition_id"].as_i64()?).ok()?;
                    Some((told["group_id"].as_str()?.to_owned(), partition, told["position"].as_i64()?))
                };
                Ok(answer["hits"]["hits"].as_array().into_iter().flatten().filter_map(of).collect())
            }
        }
    }
}
