//! Applying a declared schema, and checking that what is there is what was declared.
//!
//! Promises: applying twice changes nothing the second time, and tells what it created; a column that a newer release declares
//! is added, with nothing in it; applying never drops or changes anything.

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
            let absent = self.absent(&declared).await?;
            match &absent {
                Absent::Nothing => {}
                Absent::All => self.ddl(&statement).await?,
                Absent::Columns(columns) => {
                    let added: Vec<&str> = columns.iter().map(|column| column.definition.as_str()).collect();
                    self.ddl(&format!("ALTER {declared} ADD ({})", added.join(", "))).await?;
                }
            }
            let what = match &absent {
                Absent::Columns(columns) => format!("{declared}, columns {}", names(columns)),
                Absent::Nothing | Absent::All => declared.to_string(),
            };
            applied.push(Applied { what, created: absent != Absent::Nothing });
        }
        Ok(applied)
    }

    /// What `schema` declares and is missing; table columns included.
    pub async fn missing(&self, schema: &Schema, generation: u32) -> Result<Vec<String>, CqlError> {
        let mut missing = Vec::new();
        for statement in schema.statements(self.keyspace(), "", generation) {
            let declared = Declared::parse(schema.name, &statement)?;
            match self.absent(&declared).await? {
                Absent::Nothing => {}
                Absent::All => missing.push(declared.to_string()),
                Absent::Columns(columns) => {
                    missing.push(format!("columns {} of {declared}", names(&columns)));
                }
            }
        }
        Ok(missing)
    }

    /// An error, [`CqlError::is_missing`], if anything declared is missing.
    pub async fn require(&self, schema: &Schema, generation: u32) -> Result<(), CqlError> {
        let missing = self.missing(schema, generation).await?;
        if missing.is_empty() { Ok(()) } else { Err(CqlError::Missing(missing.join(", no "))) }
    }

    /// Drops the keyspace with all its tables, if it is there. For tests and rebuilds: everything in it can be built again.
    pub async fn drop_keyspace(&self) -> Result<(), CqlError> {
        self.ddl(&format!("DROP KEYSPACE IF EXISTS {}", self.keyspace())).await
    }

    /// Drops the tables that `schema` declares, where they are there; which. Everything in them can be built again.
    pub async fn drop_tables(&self, schema: &Schema, generation: u32) -> Result<Vec<String>, CqlError> {
        let mut dropped = Vec::new();
        for statement in schema.statements(self.keyspace(), "", generation) {
            let declared = Declared::parse(schema.name, &statement)?;
            let is_there = match &declared {
                Declared::Keyspace { .. } => false,
                Declared::Table { name, .. } => self.has_table(name).await?,
            };
            if is_there {
                self.ddl(&format!("DROP {}", declared.to_string().replacen("table ", "TABLE IF EXISTS ", 1)))
                    .await?;
                dropped.push(declared.to_string());
            }
        }
        Ok(dropped)
    }

    /// Whether a table of this name is there, whatever its columns are.
    pub async fn has_table(&self, name: &str) -> Result<bool, CqlError> {
        let find = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
        let find = self.prepare(find).await?;
        Ok(self.row::<(String,)>(&find, (self.keyspace(), name)).await?.is_some())
    }

    /// Whether a table of this name is there and has this column.
    pub async fn has_column(&self, table: &str, column: &str) -> Result<bool, CqlError> {
        let find = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ? AND \
                    column_name = ?";
        let find = self.prepare(find).await?;
        Ok(self.row::<(String,)>(&find, (self.keyspace(), table, column)).await?.is_some())
    }

    /// The names of all tables of the keyspace.
    pub async fn tables(&self) -> Result<Vec<String>, CqlError> {
        let list = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
        let names: Vec<(String,)> = self.rows(&self.prepare(list).await?, (self.keyspace(),)).await?;
        Ok(names.into_iter().map(|(name,)| name).collect())
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

    async fn absent(&self, declared: &Declared) -> Result<Absent, CqlError> {
        match declared {
            Declared::Keyspace { name } => {
                let find = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
                let find = self.prepare(find).await?;
                let found = self.row::<(String,)>(&find, (name,)).await?;
                Ok(if found.is_some() { Absent::Nothing } else { Absent::All })
            }
            Declared::Table { keyspace, name, columns, key } => {
                let find = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";
                let find = self.prepare(find).await?;
                let there: Vec<(String,)> = self.rows(&find, (keyspace, name)).await?;
                if there.is_empty() {
                    return Ok(Absent::All);
                }
                let is_there = |name: &str| there.iter().any(|(it,)| it == name);
                let absent: Vec<Column> = columns.iter().filter(|it| !is_there(&it.name)).cloned().collect();
                if absent.is_empty() {
                    return Ok(Absent::Nothing);
                }
                if absent.iter().all(|column| !key.contains(&column.name)) {
                    return Ok(Absent::Columns(absent));
                }
                Err(CqlError::Schema(format!(
                    "table {keyspace}.{name} has another key, without {}; it belongs to another version of Folio: use \
                     another keyspace, or drop the table and let it be built again",
                    names(&absent)
                )))
            }
        }
    }
}

/// What of a declared thing is not there.
#[derive(Debug, PartialEq, Eq)]
enum Absent {
    Nothing,
    All,
    Columns(Vec<Column>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// As it is declared, without the comma.
    pub(super) definition: String,
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// What a statement creates.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Declared {
    Keyspace { name: String },
    Table { keyspace: String, name: String, columns: Vec<Column>, key: String },
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
        let mut lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
        let columns = lines
            .by_ref()
            .take_while(|line| !line.starts_with("PRIMARY KEY"))
            .filter_map(|line| {
                let definition = line.trim_end_matches(',').trim().to_owned();
                Some(Column { name: line.split_whitespace().next()?.to_owned(), definition })
            })
            .collect();
        let key = body.lines().find_map(|line| line.trim().strip_prefix("PRIMARY KEY")).unwrap_or_default();
        Ok(Self::Table { keyspace: keyspace.to_owned(), name: name.to_owned(), columns, key: key.to_owned() })
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
