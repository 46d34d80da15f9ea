//! Whether nodes were started anew: what they had acknowledged and not yet written to disk may be lost then.

use std::sync::Arc;

use futures::future::try_join_all;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::unprepared::Statement;

use super::{Cql, CqlError};

/// The generation of a node is another after each start (`gossip_generation`, which both servers keep for their peers).
const GENERATION: &str = "SELECT host_id, gossip_generation FROM system.local WHERE key = 'local'";

impl Cql {
    /// What is another after any of the nodes was started anew, or was away. `None` if the server does not tell.
    pub async fn incarnation(&self) -> Result<Option<String>, CqlError> {
        let nodes = self.session().get_cluster_state();
        let generations = nodes.get_nodes_info().iter().filter(|node| node.is_connected()).map(|node| {
            let mut statement = Statement::new(GENERATION);
            statement.set_consistency(scylla::statement::Consistency::One);
            statement.set_is_idempotent(true);
            let only = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::Node(Arc::clone(node)), None);
            statement.set_load_balancing_policy(Some(only));
            async move {
                let result = self.session().query_unpaged(statement, ()).await.map_err(|source| {
                    CqlError::Execute { statement: GENERATION.to_owned(), source: Box::new(source) }
                })?;
                // A server that has other columns does not tell.
                let row = result.into_rows_result().ok();
                let row = row.and_then(|rows| rows.first_row::<(Option<uuid::Uuid>, Option<i32>)>().ok());
                Ok::<_, CqlError>(row.unwrap_or_default())
            }
        });
        let mut generations = try_join_all(generations).await?;
        generations.sort_unstable();
        let known =
            generations.iter().map(|(host, generation)| Some(format!("{}:{}", (*host)?, (*generation)?)));
        Ok(known.collect::<Option<Vec<_>>>().filter(|all| !all.is_empty()).map(|all| all.join(" ")))
    }
}
