//! Applying a declared schema, and checking that what is there is what was declared.
//!
//! Promise: applying twice changes nothing the second time, and tells what it created.

use std::time::Duration;

use scylla::statement::unprepared::Statement;

use super::{Cql, CqlError};

/// The text of a `.cql` file: statements separated by `;`, with `{{keyspace}}`, `{{replication}}` and `{{generation}}` in it.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The file's name, for messages.
    pub name: &'static str,
    pub text: &'static str,
}

/// What a declared thing was when it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// `keyspace folio`, `table folio.products_g1`, `index folio-search-g1`.
    pub what: String,
    /// Whether it was created now; else it was already there.
    pub created: bool,
}

/// DDL may take its time; schema agreement comes on top.
const DDL_TIMEOUT: Duration = Duration::from_secs(30);

impl Schema {
    /// The statements, with the names filled in.
    pub fn statements(&self, keyspace: &str, replication: &str, generation: u32) -> Vec<String> {
        self.text
            .lines()
            .map(|line| line.split_once("--").map_or(line, |(code, _)| code).trim_end())
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join("\n")
            .replace("{{keyspace}}", keyspace)
            .replace("{{replication}}", replication)
            .replace("{{generation}}", &generation.to_string())
            .split(';')
            .map(|statement| statement.trim().to_owned())
            .filter(|statement| !statement.is_empty())
            .collect()
    }
}

impl Cql {
    /// Creates what `schema` declares and is not there yet.
    pub async fn apply(
        &self,
        schema: &Schema,
        replication: &str,
        generation: u32,
    ) -> Result<Vec<Applied>, CqlError> {
        let mut applied = Vec::new();
        for statement in schema.statements(self.keyspace(), replication, generation) {
            let declared = Declared::parse(schema.name, &statement)?;
            let created = !self.exists(&declared).await?;
            if created {
                self.ddl(&statement).await?;
            }
            applied.push(Applied { what: declared.to_string(), created });
        }
        Ok(applied)
    }

    /// What `schema` declares and is missing; table columns included.
    pub async fn missing(&self, schema: &Schema, generation: u32) -> Result<Vec<String>, CqlError> {
        let mut missing = Vec::new();
        for statement in schema.statements(self.keyspace(), "", generation) {
            let declared = Declared::parse(schema.name, &statement)?;
            if !self.exists(&declared).await? {
                missing.push(declared.to_string());
            }
        }
        Ok(missing)
    }

    /// Drops the keyspace with all its tables, if it is there. For tests and rebuilds: everything in it can be built again.
    pub async fn drop_keyspace(&self) -> Result<(), CqlError> {
        self.ddl(&format!("DROP KEYSPACE IF EXISTS {}", self.keyspace())).await
    }

    /// Empties a table.
    pub async fn truncate(&self, table: &str) -> Result<(), CqlError> {
        self.ddl(&format!("TRUNCATE {}.{table}", self.keyspace())).await
    }

    async fn ddl(&self, text: &str) -> Result<(), CqlError> {
        let mut statement = Statement::new(text);
        statement.set_request_timeout(Some(DDL_TIMEOUT));
        self.session()
            .query_unpaged(statement, ())
            .await
            .map_err(|source| CqlError::Execute { statement: text.to_owned(), source: Box::new(source) })?;
        Ok(())
    }

    async fn exists(&self, declared: &Declared) -> Result<bool, CqlError> {
        match declared {
            Declared::Keyspace { name } => {
                let find = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
                let find = self.prepare(find).await?;
                Ok(self.row::<(String,)>(&find, (name,)).await?.is_some())
            }
            Declared::Table { keyspace, name, columns } => {
                let find = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";
                let find = self.prepare(find).await?;
                let there: Vec<(String,)> = self.rows(&find, (keyspace, name)).await?;
                let absent: Vec<&str> = columns
                    .iter()
                    .filter(|c| !there.iter().any(|(t,)| t == *c))
                    .map(String::as_str)
                    .collect();
                if there.is_empty() || absent.is_empty() {
                    return Ok(!there.is_empty());
                }
                Err(CqlError::Schema(format!(
                    "table {keyspace}.{name} is there without the declared columns {}; it belongs to another version of \
                     Folio: use another keyspace, or drop the table and let it be built again",
                    absent.join(", ")
                )))
            }
        }
    }
}

/// What a statement creates.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Declared {
    Keyspace { name: String },
    Table { keyspace: String, name: String, columns: Vec<String> },
}

impl Declared {
    pub(super) fn parse(file: &str, statement: &str) -> Result<Self, CqlError> {
        let bad = || {
            CqlError::Schema(format!(
                "{file}: only `CREATE KEYSPACE IF NOT EXISTS` and `CREATE TABLE IF NOT EXISTS <keyspace>.<table> (...)` can \
                 be applied, found `{}`",
                statement.lines().next().unwrap_or_default()
            ))
        };
        if let Some(rest) = statement.strip_prefix("CREATE KEYSPACE IF NOT EXISTS ") {
            let name = rest.split_whitespace().next().ok_or_else(bad)?;
            return Ok(Self::Keyspace { name: name.to_owned() });
        }
        let rest = statement.strip_prefix("CREATE TABLE IF NOT EXISTS ").ok_or_else(bad)?;
        let (table, body) = rest.split_once('(').ok_or_else(bad)?;
        let (keyspace, name) = table.trim().split_once('.').ok_or_else(bad)?;
        // One column per line, as our files have it.
        let columns = body
            .lines()
            .map(str::trim)
            .take_while(|line| !line.starts_with("PRIMARY KEY"))
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .collect();
        Ok(Self::Table { keyspace: keyspace.to_owned(), name: name.to_owned(), columns })
    }
}

impl std::fmt::Display for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keyspace { name } => write!(f, "keyspace {name}"),
            Self::Table { keyspace, name, .. } => write!(f, "table {keyspace}.{name}"),
        }
    }
}
