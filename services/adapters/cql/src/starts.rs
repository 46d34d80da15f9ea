//! Whether nodes were started anew: what they had acknowledged and not yet written to disk may be lost then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;

use super::{Cql, CqlError};

/// The generation of a node is another after each start (`gossip_generation`, which both servers keep for their peers).
const GENERATION: &str = "SELECT host_id, gossip_generation FROM system.local WHERE key = 'local'";
/// How long a node may take to answer: one that hangs holds up no look at the others.
const PATIENCE: Duration = Duration::from_secs(1);

type Row = (Option<uuid::Uuid>, Option<i32>);

impl Cql {
    /// When each node that answers was started, by its id; `None` if the server does not tell.
    pub async fn starts(&self) -> Result<Option<BTreeMap<String, String>>, CqlError> {
        let nodes = self.session().get_cluster_state();
        let asked = nodes.get_nodes_info().iter().filter(|node| node.is_connected()).map(|node| {
            let mut statement = Statement::new(GENERATION);
            statement.set_consistency(Consistency::One);
            statement.set_is_idempotent(true);
            statement.set_request_timeout(Some(PATIENCE));
            let only = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::Node(Arc::clone(node)), None);
            statement.set_load_balancing_policy(Some(only));
            async move {
                match self.session().query_unpaged(statement, ()).await {
                    // A server that has other columns does not tell.
                    Ok(result) => {
                        let rows = result.into_rows_result().ok();
                        Ok(rows.and_then(|rows| rows.first_row::<Row>().ok()).unwrap_or_default())
                    }
                    Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(
                        DbError::Invalid,
                        _,
                    ))) => Ok(Row::default()),
                    Err(source) => {
                        Err(CqlError::Execute { statement: GENERATION.to_owned(), source: Box::new(source) })
                    }
                }
            }
        });
        let (mut answered, mut starts, mut failed) = (false, BTreeMap::new(), None);
        for answer in join_all(asked).await {
            match answer {
                Ok(row) => {
                    answered = true;
                    if let (Some(host), Some(generation)) = row {
                        starts.insert(host.to_string(), generation.to_string());
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if !answered => Err(error),
            None if !answered => Err(CqlError::NoNode),
            _ => Ok(Some(starts).filter(|starts| !starts.is_empty())),
        }
    }
}
