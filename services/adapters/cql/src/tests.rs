use super::schema::Declared;
use super::*;

const SCHEMA: Schema = Schema {
    name: "things.cql",
    text: "-- comment; with a semicolon\nCREATE KEYSPACE IF NOT EXISTS {{keyspace}} WITH replication = {{replication}};\n\n\
           CREATE TABLE IF NOT EXISTS {{keyspace}}.things_g{{generation}} (\n    id text,  -- the key\n    version bigint,\n    \
           PRIMARY KEY (id)\n) WITH comment = 'x';\n",
};

#[test]
fn a_schema_is_split_into_statements_with_its_names_filled_in() {
    let statements = SCHEMA.statements("shop", "{'class': 'SimpleStrategy'}", 3);
    assert_eq!(statements.len(), 2, "{statements:?}");
    assert_eq!(
        statements[0],
        "CREATE KEYSPACE IF NOT EXISTS shop WITH replication = {'class': 'SimpleStrategy'}"
    );
    assert_eq!(
        Declared::parse("f", &statements[1]).unwrap(),
        Declared::Table {
            keyspace: "shop".to_owned(),
            name: "things_g3".to_owned(),
            columns: [("id", "id text"), ("version", "version bigint")]
                .map(|(name, definition)| schema::Column {
                    name: name.to_owned(),
                    definition: definition.to_owned()
                })
                .into(),
            key: " (id)".to_owned(),
        }
    );
}

#[test]
fn only_what_can_be_applied_twice_is_accepted() {
    assert!(Declared::parse("f", "DROP TABLE x.y").is_err());
    assert!(Declared::parse("f", "CREATE TABLE x.y (id text PRIMARY KEY)").is_err());
}

#[tokio::test]
async fn a_cluster_that_is_away_is_named_and_transient() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let config = CqlConfig { contact_points: vec![address.clone()], timeout_ms: 500, ..CqlConfig::default() };
    let error = Cql::connect(&config).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains(&address), "{error}");
}

#[test]
fn writes_to_one_partition_travel_together_and_no_write_is_lost() {
    let partitions = std::iter::repeat_n(Some(1), 130).chain([None, None, Some(2), Some(1)]);
    let sizes: Vec<usize> = write::grouped(partitions.enumerate(), |(_, partition)| *partition)
        .into_iter()
        .map(|group| group.len())
        .collect();
    assert_eq!(sizes, [64, 64, 3, 1, 1, 1]);
}

#[test]
fn an_error_shows_what_a_statement_does_to_which_table() {
    assert_eq!(short("SELECT a, b FROM k.t WHERE a = ?"), "SELECT .. FROM k.t ..");
    assert_eq!(short("INSERT INTO k.t (a, b) VALUES (?, ?)"), "INSERT .. INTO k.t ..");
    assert_eq!(short("UPDATE k.t USING TIMESTAMP ? SET a = ?"), "UPDATE k.t");
    assert_eq!(short("TRUNCATE k.t"), "TRUNCATE k.t");
}
