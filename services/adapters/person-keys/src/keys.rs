//! The port [`KeyStore`] on three tables.

use adapter_cql::scylla::statement::Consistency;
use adapter_cql::scylla::value::CqlTimestamp;
use adapter_cql::{Cql, CqlConfig, CqlError, Prepared};
use futures::FutureExt;
use jiff::Timestamp;
use persons::{Erasure, KeyStore, Lookup, PersonKey, Pseudonym, StoreError, Stored, Wrapped};
use uuid::Uuid;

use crate::SCHEMA;

/// The columns of a person, as [`Row`] reads them.
const COLUMNS: &str = "lookup, pseudonym, master, wrapped, created_at";

type Row = (Vec<u8>, Option<Uuid>, Option<String>, Option<Vec<u8>>, Option<CqlTimestamp>);
type ErasureRow = (Uuid, Option<CqlTimestamp>, Option<String>, Option<String>);

/// The keys of persons in a cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CqlKeys {
    cql: Cql,
    by_lookup: Prepared,
    lookup_of: Prepared,
    note_pseudonym: Prepared,
    drop_pseudonym: Prepared,
    insert: Prepared,
    delete: Prepared,
    update: Prepared,
    first: Prepared,
    behind: Prepared,
    note_erasure: Prepared,
    erasures: Prepared,
}

impl CqlKeys {
    /// Connects, and prepares the statements; the tables must be there.
    ///
    /// # Errors
    /// If the store does not answer, or they are not.
    pub async fn connect(config: &CqlConfig) -> Result<Self, CqlError> {
        let cql = Cql::connect(config).await?;
        cql.require(&SCHEMA, 1).await?;
        Self::open(&cql).await
    }

    /// On a connection that there is.
    ///
    /// # Errors
    /// As [`CqlKeys::connect`].
    pub async fn open(cql: &Cql) -> Result<Self, CqlError> {
        let prepare = async |text: &str| cql.prepare(text).await;
        // What a transaction has decided and not yet spread is seen too.
        let serial = async |text: &str| {
            let mut statement = cql.prepare(text).await?;
            statement.set_consistency(Consistency::LocalSerial);
            Ok::<_, CqlError>(statement)
        };
        let persons = format!("SELECT {COLUMNS} FROM {{keyspace}}.persons");
        Ok(Self {
            cql: cql.clone(),
            by_lookup: serial(&format!("{persons} WHERE lookup = ?")).await?,
            lookup_of: prepare("SELECT lookup FROM {keyspace}.person_pseudonyms WHERE pseudonym = ?").await?,
            note_pseudonym: prepare("INSERT INTO {keyspace}.person_pseudonyms (pseudonym, lookup) VALUES (?, ?)")
                .await?,
            drop_pseudonym: prepare("DELETE FROM {keyspace}.person_pseudonyms WHERE pseudonym = ?").await?,
            insert: prepare(&format!(
                "INSERT INTO {{keyspace}}.persons ({COLUMNS}) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS"
            ))
            .await?,
            delete: prepare("DELETE FROM {keyspace}.persons WHERE lookup = ? IF pseudonym = ?").await?,
            update: prepare(
                "UPDATE {keyspace}.persons SET master = ?, wrapped = ? WHERE lookup = ? IF pseudonym = ? AND wrapped = ?",
            )
            .await?,
            first: prepare(&format!("{persons} LIMIT ?")).await?,
            behind: prepare(&format!("{persons} WHERE token(lookup) > token(?) LIMIT ?")).await?,
            note_erasure: prepare(
                "INSERT INTO {keyspace}.person_erasures (pseudonym, erased_at, erased_by, reason) VALUES (?, ?, ?, ?)",
            )
            .await?,
            erasures: prepare("SELECT pseudonym, erased_at, erased_by, reason FROM {keyspace}.person_erasures")
                .await?,
        })
    }

    async fn find(&self, lookup: Lookup) -> Result<Option<PersonKey>, StoreError> {
        let row =
            self.cql.row::<Row>(&self.by_lookup, (&lookup.0[..],)).await.map_err(|error| failed(&error))?;
        row.map(person).transpose()
    }

    async fn find_pseudonym(&self, pseudonym: Pseudonym) -> Result<Option<PersonKey>, StoreError> {
        let row = self
            .cql
            .row::<(Vec<u8>,)>(&self.lookup_of, (pseudonym.0,))
            .await
            .map_err(|error| failed(&error))?;
        let Some((lookup,)) = row else { return Ok(None) };
        // Of somebody who was erased and came back the key is another pseudonym's.
        Ok(self.find(of_bytes(lookup)?).await?.filter(|person| person.pseudonym == pseudonym))
    }

    /// A statement whose effect is looked at afterwards: repeated by the driver, its own answer would say that there was none.
    async fn does(
        &self,
        statement: &Prepared,
        values: impl adapter_cql::SerializeRow,
    ) -> Result<(), StoreError> {
        self.cql.execute(statement, values).await.map_err(|error| failed(&error))
    }
}

impl KeyStore for CqlKeys {
    fn by_lookup(&self, lookup: Lookup) -> Stored<'_, Option<PersonKey>> {
        self.find(lookup).boxed()
    }

    fn by_pseudonyms<'a>(&'a self, pseudonyms: &'a [Pseudonym]) -> Stored<'a, Vec<Option<PersonKey>>> {
        futures::future::try_join_all(pseudonyms.iter().map(|it| self.find_pseudonym(*it))).boxed()
    }

    fn create<'a>(&'a self, person: &'a PersonKey) -> Stored<'a, PersonKey> {
        async move {
            let lookup = &person.lookup.0[..];
            // Before the key, so that there is no key that cannot be found.
            self.does(&self.note_pseudonym, (person.pseudonym.0, lookup)).await?;
            let Wrapped { master, bytes } = &person.wrapped;
            let created = CqlTimestamp(person.created_at.as_millisecond());
            self.does(&self.insert, (lookup, person.pseudonym.0, master, &bytes[..], created)).await?;
            let there = self.find(person.lookup).await?;
            if there.as_ref().is_none_or(|there| there.pseudonym != person.pseudonym) {
                self.does(&self.drop_pseudonym, (person.pseudonym.0,)).await?;
            }
            there.ok_or_else(|| StoreError {
                problem: "the person was erased in this moment: try again".to_owned(),
                transient: true,
            })
        }
        .boxed()
    }

    fn erase<'a>(&'a self, person: &'a PersonKey, erasure: &'a Erasure) -> Stored<'a, ()> {
        async move {
            let at = CqlTimestamp(erasure.at.as_millisecond());
            let note = (erasure.pseudonym.0, at, &erasure.by, &erasure.reason);
            self.does(&self.note_erasure, note).await?;
            let dropped = self.does(&self.delete, (&person.lookup.0[..], person.pseudonym.0)).await;
            // Whatever became of that: if it took effect all the same, nobody finds this row again.
            let forgotten = self.does(&self.drop_pseudonym, (person.pseudonym.0,)).await;
            dropped.and(forgotten)?;
            match self.find(person.lookup).await? {
                Some(there) if there.pseudonym == person.pseudonym => Err(StoreError {
                    problem: "the person's key is still there: try again".to_owned(),
                    transient: true,
                }),
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn rewrap<'a>(&'a self, person: &'a PersonKey, wrapped: &'a Wrapped) -> Stored<'a, bool> {
        async move {
            let (new, old) = (&wrapped.bytes[..], &person.wrapped.bytes[..]);
            let values = (&wrapped.master, new, &person.lookup.0[..], person.pseudonym.0, old);
            self.does(&self.update, values).await?;
            let there = self.find(person.lookup).await?;
            Ok(there.is_some_and(|it| it.pseudonym == person.pseudonym && it.wrapped == *wrapped))
        }
        .boxed()
    }

    fn page(&self, after: Option<Lookup>, limit: usize) -> Stored<'_, Vec<PersonKey>> {
        async move {
            let limit = i32::try_from(limit).unwrap_or(i32::MAX);
            let rows: Vec<Row> = match after {
                None => self.cql.rows(&self.first, (limit,)).await,
                Some(after) => self.cql.rows(&self.behind, (&after.0[..], limit)).await,
            }
            .map_err(|error| failed(&error))?;
            rows.into_iter().map(person).collect()
        }
        .boxed()
    }

    fn erasures(&self) -> Stored<'_, Vec<Erasure>> {
        async move {
            let rows: Vec<ErasureRow> =
                self.cql.rows(&self.erasures, ()).await.map_err(|error| failed(&error))?;
            let erasure = |(pseudonym, at, by, reason): ErasureRow| Erasure {
                pseudonym: Pseudonym(pseudonym),
                at: time(at),
                by: by.unwrap_or_default(),
                reason: reason.unwrap_or_default(),
            };
            Ok(rows.into_iter().map(erasure).collect())
        }
        .boxed()
    }
}

fn person((lookup, pseudonym, master, wrapped, created_at): Row) -> Result<PersonKey, StoreError> {
    let (Some(pseudonym), Some(master), Some(bytes)) = (pseudonym, master, wrapped) else {
        return Err(damaged("a column is null that never is"));
    };
    Ok(PersonKey {
        lookup: of_bytes(lookup)?,
        pseudonym: Pseudonym(pseudonym),
        wrapped: Wrapped { master, bytes },
        created_at: time(created_at),
    })
}

/// A time outside of jiff's range, which nobody writes, is read as 1970.
fn time(at: Option<CqlTimestamp>) -> Timestamp {
    at.and_then(|at| Timestamp::from_millisecond(at.0).ok()).unwrap_or_default()
}

fn of_bytes(lookup: Vec<u8>) -> Result<Lookup, StoreError> {
    lookup.try_into().map(Lookup).map_err(|_| damaged("a lookup that is no HMAC"))
}

fn damaged(what: &str) -> StoreError {
    StoreError { problem: format!("the table `persons` holds {what}"), transient: false }
}

fn failed(error: &CqlError) -> StoreError {
    // Tables may be made while services wait for them.
    StoreError { transient: error.is_transient() || error.is_missing(), problem: error.to_string() }
}
