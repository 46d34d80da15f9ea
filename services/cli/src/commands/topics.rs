//! `folio topics`: the declared topics. Promises never to alter a topic that is there.

use adapter_kafka::KafkaConfig;
use adapter_kafka::{Applied, Profile, Topics};
use anyhow::bail;

use crate::say::say;

/// The declaration this build was made with.
const DECLARED: &str = include_str!("../../../../deploy/topics.yaml");

/// The declared topics, each with `prefix` before its name.
///
/// # Errors
/// If the declaration does not parse.
pub fn declared(prefix: &str) -> anyhow::Result<Topics> {
    Ok(Topics::parse(DECLARED, "deploy/topics.yaml")?.with_prefix(prefix))
}

/// Creates missing topics and compares the others; or only compares.
///
/// # Errors
/// If a topic is missing (when only comparing) or differs: every difference, and what to do.
pub async fn run(kafka: &KafkaConfig, topics: &Topics, profile: Profile, create: bool) -> anyhow::Result<()> {
    let applied =
        if create { topics.apply(kafka, profile).await? } else { topics.check(kafka, profile).await? };
    for one in &applied {
        match one {
            Applied::Created(topic) => say!("topic {topic}: created"),
            Applied::AsDeclared(topic) => say!("topic {topic}: as declared"),
            Applied::Missing(topic) => say!("topic {topic}: missing; run `folio topics apply`"),
            Applied::Differs { topic, differences } => {
                say!("topic {topic}: differs from deploy/topics.yaml");
                for difference in differences {
                    say!("  {difference}");
                }
            }
        }
    }
    let refused = applied.iter().filter(|it| !it.is_as_declared()).count();
    if refused > 0 {
        bail!(
            "{refused} of {} topics are not as declared; nothing was altered: change the topic by hand after making sure \
             that no history is lost, or the declaration",
            applied.len()
        );
    }
    Ok(())
}
