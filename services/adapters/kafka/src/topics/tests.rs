use super::*;

const DECLARED: &str = include_str!("../../../../../deploy/topics.yaml");

fn facts_as(expected: &Expectation) -> TopicFacts {
    TopicFacts {
        name: "t".to_owned(),
        cluster: "c".to_owned(),
        partitions: expected.partitions.unwrap(),
        replication: expected.replication.unwrap(),
        configs: Some(expected.configs.clone()),
    }
}

#[test]
fn the_declared_event_store_is_what_services_expect_at_start() {
    let topics = Topics::parse(DECLARED, "deploy/topics.yaml").unwrap();
    for (profile, partitions, in_sync) in [(Profile::Default, 24, "2"), (Profile::Local, 6, "1")] {
        let expectations = topics.expectations(profile);
        let (_, events) = expectations.iter().find(|(name, _)| name == "catalog.product.events.v1").unwrap();
        assert_eq!(events.partitions, Some(partitions));
        assert_eq!(events.configs["min.insync.replicas"], in_sync);
        assert_eq!(Expectation::event_log().differences(&facts_as(events)), []);
    }
}

#[test]
fn every_difference_is_named_with_both_values() {
    let expected = Expectation { partitions: Some(6), replication: Some(1), ..Expectation::event_log() };
    let mut facts = facts_as(&expected);
    facts.partitions = 8;
    facts.configs.as_mut().unwrap().insert("cleanup.policy".to_owned(), "delete".to_owned());
    let shown: Vec<_> = expected.differences(&facts).iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["partitions is 8 and has to be 6", "cleanup.policy is delete and has to be compact"]);
}

#[test]
fn an_unknown_key_in_a_declaration_is_refused() {
    let text = "topics: [{name: t, purpose: p, partitons: 3, partitions: 3, replication: 1, configs: {}}]";
    assert!(Topics::parse(text, "t.yaml").unwrap_err().to_string().contains("partitons"));
}
