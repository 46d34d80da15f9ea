//! Applying a declared index with its alias, and checking that what is there is what was declared.
//!
//! Promises: applying twice changes nothing the second time, and tells what it created; a field that a newer release declares is
//! added only where nothing is missed for it; the alias for outsiders leads to one
//! generation and is moved at once; an alias that leads anywhere else is an error.

use elasticsearch::http::Method;
use serde_json::{Value, json};

use super::{Search, SearchError};

/// What the order of a publication is called in the mapping of its index.
const ORDER: &str = "folio_published_order";

/// A declared index: `<prefix>-<name>-g<generation>`, with the alias `<prefix>-<name>`.
#[derive(Debug, Clone, Copy)]
pub struct Index {
    pub name: &'static str,
    /// Settings and mappings, as the create index API takes them.
    pub text: &'static str,
    /// Whether a field that is declared later may be added to an index that is there, with nothing in it.
    pub grows: bool,
}

/// What an index is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To be read from now on.
    Read,
    /// To be filled first, which is quicker without refreshes and replicas: [`Search::ready`] ends that.
    Build,
}

/// What a declared thing was when it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// `index folio-search-g1`, `alias folio-search`.
    pub what: String,
    /// Whether it was created now; else it was already there.
    pub created: bool,
}

impl Index {
    /// The index that writers and exact readers use.
    pub fn index(&self, prefix: &str, generation: u32) -> String {
        format!("{prefix}-{}-g{generation}", self.name)
    }

    /// Leads to the generation that is read. Folio itself reads by the name of that index.
    pub fn alias(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.name)
    }

    /// The alias of a build that has a name.
    fn named(&self, prefix: &str, name: &str) -> String {
        format!("{}-named-{name}", self.alias(prefix))
    }

    /// What documents are written to. A server makes up an index that is not there, without its mapping, but never an alias.
    pub fn write_alias(&self, prefix: &str, generation: u32) -> String {
        format!("{}-write", self.index(prefix, generation))
    }

    fn body(&self) -> Result<Value, SearchError> {
        serde_json::from_str(self.text)
            .map_err(|e| SearchError::Schema(format!("declaration of index {}: {e}", self.name)))
    }
}

impl Search {
    /// Creates the index and its alias where they are not there yet.
    pub async fn apply(&self, declared: &Index, generation: u32) -> Result<Vec<Applied>, SearchError> {
        let is_first = self.generations(declared).await?.iter().all(|it| *it == generation);
        let mut applied = self.make(declared, generation, Use::Read).await?;
        let (index, alias) = (declared.index(self.prefix(), generation), declared.alias(self.prefix()));
        // What is read is nothing that comes with a further build.
        if is_first || self.alias_leads_to(&alias).await?.is_some() {
            applied.push(self.lead(declared, alias, &index).await?);
        }
        Ok(applied)
    }

    /// The same, but for the alias for outsiders: nothing is published. An index that is made is made for this use.
    pub async fn make(
        &self,
        declared: &Index,
        generation: u32,
        use_: Use,
    ) -> Result<Vec<Applied>, SearchError> {
        let index = declared.index(self.prefix(), generation);
        let mut body = declared.body()?;
        if use_ == Use::Build {
            let settings = &mut body["settings"]["index"];
            settings["refresh_interval"] = "-1".into();
            settings["auto_expand_replicas"] = "false".into();
            settings["number_of_replicas"] = 0.into();
        }
        let there = self.mapping(&index).await?;
        let (created, mut added) = (there.is_none(), String::new());
        if let Some(there) = there {
            added = self
                .add_fields(declared, &index, &body["mappings"]["properties"], &there["properties"])
                .await?;
        } else {
            let _done: Value = self.call(Method::Put, &format!("/{index}"), Some(body)).await?;
        }
        let alias = declared.write_alias(self.prefix(), generation);
        let alias = self.lead(declared, alias, &index).await?;
        let created = created || !added.is_empty();
        Ok(vec![Applied { what: format!("index {index}{added}"), created }, alias])
    }

    /// Adds the declared fields that an index lacks, with nothing in them, if it may get further ones; which.
    async fn add_fields(
        &self,
        of: &Index,
        index: &str,
        declared: &Value,
        there: &Value,
    ) -> Result<String, SearchError> {
        let absent = absent_fields(declared, there);
        if absent.is_empty() {
            return Ok(String::new());
        }
        if !of.grows || absent.iter().any(|field| !there[field].is_null()) {
            return Err(SearchError::Schema(format!(
                "index {index} is there without the declared fields {}; it belongs to another version of Folio: use another \
                 index prefix, or delete the index and let it be built again",
                absent.join(", ")
            )));
        }
        let fields = absent.iter().map(|field| (field.clone(), declared[field].clone()));
        let fields = json!({ "properties": fields.collect::<serde_json::Map<_, _>>() });
        let _done: Value = self.call(Method::Put, &format!("/{index}/_mapping"), Some(fields)).await?;
        Ok(format!(", fields {}", absent.join(", ")))
    }

    /// Lets an index that was made for building be read: replicas and refreshes as declared, and all of it is found.
    pub async fn ready(&self, declared: &Index, generation: u32) -> Result<(), SearchError> {
        let index = declared.index(self.prefix(), generation);
        let declared = declared.body()?;
        let wanted = &declared["settings"]["index"];
        let settings = json!({ "index": {
            "refresh_interval": wanted["refresh_interval"],
            "auto_expand_replicas": wanted["auto_expand_replicas"],
        } });
        let _done: Value = self.call(Method::Put, &format!("/{index}/_settings"), Some(settings)).await?;
        self.refresh(&index).await
    }

    /// Makes the alias if it is not there, and lets it lead to this index.
    async fn lead(&self, declared: &Index, alias: String, index: &str) -> Result<Applied, SearchError> {
        let created = match self.alias_leads_to(&alias).await? {
            None => {
                let actions = json!({ "actions": [{ "add": { "index": index, "alias": alias } }] });
                let _done: Value = self.call(Method::Post, "/_aliases", Some(actions)).await?;
                true
            }
            Some(indices) if self.may_lead_to(declared, &alias, &indices, index) => false,
            Some(indices) => return Err(elsewhere(&alias, &indices, index)),
        };
        Ok(Applied { what: format!("alias {alias}"), created })
    }

    /// Lets the alias for outsiders lead to a generation that is there, and to no other, in one step; whether it did not yet.
    pub async fn publish(&self, declared: &Index, generation: u32) -> Result<bool, SearchError> {
        let (index, alias) = (declared.index(self.prefix(), generation), declared.alias(self.prefix()));
        let leads_to = self.alias_leads_to(&alias).await?.unwrap_or_default();
        if leads_to == [index.as_str()] {
            return Ok(false);
        }
        if !leads_to.is_empty() && !self.may_lead_to(declared, &alias, &leads_to, &index) {
            return Err(elsewhere(&alias, &leads_to, &index));
        }
        let remove = |other: &String| json!({ "remove": { "index": other, "alias": alias } });
        let mut actions: Vec<Value> = leads_to.iter().map(remove).collect();
        actions.push(json!({ "add": { "index": index, "alias": alias } }));
        let done: Value = self.call(Method::Post, "/_aliases", Some(json!({ "actions": actions }))).await?;
        if done["acknowledged"] != true {
            let problem = "not every node has heard of it: publish again".to_owned();
            return Err(SearchError::Unreachable { request: format!("alias {alias}"), problem });
        }
        Ok(true)
    }

    /// The generation that the alias for outsiders leads to.
    pub async fn published(&self, declared: &Index) -> Result<u32, SearchError> {
        let alias = declared.alias(self.prefix());
        let indices = self.alias_leads_to(&alias).await?.unwrap_or_default();
        match &indices[..] {
            [] => {
                let problem = "no build is published; a projector does that, or `folio stores apply` for the only one there is".to_owned();
                let request = format!("alias {alias}");
                Err(SearchError::Missing { request, problem })
            }
            [index] => self
                .generation_of(declared, index)
                .ok_or_else(|| elsewhere(&alias, &indices, &format!("{alias}-g<number>"))),
            _ => Err(elsewhere(&alias, &indices, "one")),
        }
    }

    /// Says in an index with which `order` it is published.
    pub async fn tell_order(&self, declared: &Index, generation: u32, order: u64) -> Result<(), SearchError> {
        let index = declared.index(self.prefix(), generation);
        // All of it is replaced: what else it says stays.
        let mut told = json!({ "_meta": {} });
        if let Some(there @ Value::Object(_)) = self.mapping(&index).await?.map(|mut it| it["_meta"].take()) {
            told["_meta"] = there;
        }
        told["_meta"][ORDER] = order.into();
        let _done: Value = self.call(Method::Put, &format!("/{index}/_mapping"), Some(told)).await?;
        Ok(())
    }

    /// With which order an index was published last; 0 if it does not say.
    pub async fn published_order(&self, declared: &Index, generation: u32) -> Result<u64, SearchError> {
        let index = declared.index(self.prefix(), generation);
        let mapping = self.mapping(&index).await?.unwrap_or_default();
        Ok(mapping["_meta"][ORDER].as_u64().unwrap_or_default())
    }

    /// Lets an alias of this name lead to a generation that is there, and to no other, in one step.
    pub async fn name(&self, declared: &Index, generation: u32, name: &str) -> Result<(), SearchError> {
        let (index, alias) = (declared.index(self.prefix(), generation), declared.named(self.prefix(), name));
        let others = self.alias_leads_to(&alias).await?.unwrap_or_default();
        let others = others.iter().filter(|it| **it != index);
        let mut actions: Vec<Value> =
            others.map(|other| json!({ "remove": { "index": other, "alias": alias } })).collect();
        actions.push(json!({ "add": { "index": index, "alias": alias } }));
        let done: Value = self.call(Method::Post, "/_aliases", Some(json!({ "actions": actions }))).await?;
        if done["acknowledged"] != true {
            let problem = "not every node has heard of it: try again".to_owned();
            return Err(SearchError::Unreachable { request: format!("alias {alias}"), problem });
        }
        Ok(())
    }

    /// The generation of this name, if there is one.
    pub async fn named(&self, declared: &Index, name: &str) -> Result<Option<u32>, SearchError> {
        let leads_to = self.alias_leads_to(&declared.named(self.prefix(), name)).await?.unwrap_or_default();
        Ok(leads_to.first().and_then(|index| self.generation_of(declared, index)))
    }

    /// The generations that are there.
    pub async fn generations(&self, declared: &Index) -> Result<Vec<u32>, SearchError> {
        let path = format!("/{}-g*/_alias", declared.alias(self.prefix()));
        let there: serde_json::Map<String, Value> = self.call(Method::Get, &path, None).await?;
        Ok(there.keys().filter_map(|index| self.generation_of(declared, index)).collect())
    }

    fn generation_of(&self, declared: &Index, index: &str) -> Option<u32> {
        index.strip_prefix(&declared.alias(self.prefix()))?.strip_prefix("-g")?.parse().ok()
    }

    /// Whether an alias is where it may be: the one for outsiders at any generation, the one to write to at its own.
    fn may_lead_to(&self, declared: &Index, alias: &str, indices: &[String], index: &str) -> bool {
        let is_for_outsiders = alias == declared.alias(self.prefix());
        match indices {
            [one] => one == index || (is_for_outsiders && self.generation_of(declared, one).is_some()),
            _ => false,
        }
    }

    /// Whether the index itself is not there, whatever its fields.
    pub async fn is_missing(&self, declared: &Index, generation: u32) -> Result<bool, SearchError> {
        Ok(self.mapping(&declared.index(self.prefix(), generation)).await?.is_none())
    }

    /// What is declared and missing.
    pub async fn missing(&self, declared: &Index, generation: u32) -> Result<Vec<String>, SearchError> {
        let (index, alias) = (declared.index(self.prefix(), generation), declared.alias(self.prefix()));
        let mut missing = Vec::new();
        match self.mapping(&index).await? {
            None => missing.push(format!("index {index}")),
            Some(there) => missing.extend(
                absent_fields(&declared.body()?["mappings"]["properties"], &there["properties"])
                    .into_iter()
                    .map(|field| format!("field {field} of index {index}")),
            ),
        }
        for alias in [alias, declared.write_alias(self.prefix(), generation)] {
            match self.alias_leads_to(&alias).await? {
                None => missing.push(format!("alias {alias}")),
                Some(indices) if self.may_lead_to(declared, &alias, &indices, &index) => {}
                Some(indices) => return Err(elsewhere(&alias, &indices, &index)),
            }
        }
        Ok(missing)
    }

    /// An error, [`SearchError::is_missing`], if anything declared is missing.
    pub async fn require(&self, declared: &Index, generation: u32) -> Result<(), SearchError> {
        let missing = self.missing(declared, generation).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let (request, problem) =
            (format!("index {}", declared.name), format!("there is no {}", missing.join(", no ")));
        Err(SearchError::Missing { request, problem })
    }

    /// Deletes an index, if it is there. For tests and rebuilds: everything in it can be built again.
    pub async fn delete_index(&self, index: &str) -> Result<(), SearchError> {
        match self.call::<Value>(Method::Delete, &format!("/{index}"), None).await {
            Ok(_) | Err(SearchError::Missing { .. }) => Ok(()),
            Err(e) => Err(e),
        }
    }

    async fn mapping(&self, index: &str) -> Result<Option<Value>, SearchError> {
        match self.call::<Value>(Method::Get, &format!("/{index}/_mapping"), None).await {
            Ok(answer) => Ok(Some(answer[index]["mappings"].clone())),
            Err(SearchError::Missing { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The indices behind an alias; `None` if there is no such alias.
    async fn alias_leads_to(&self, alias: &str) -> Result<Option<Vec<String>>, SearchError> {
        match self
            .call::<serde_json::Map<String, Value>>(Method::Get, &format!("/_alias/{alias}"), None)
            .await
        {
            Ok(indices) => Ok(Some(indices.into_iter().map(|(index, _)| index).collect())),
            // No error type comes with it.
            Err(SearchError::Status { status: 404, .. } | SearchError::Missing { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn elsewhere(alias: &str, indices: &[String], index: &str) -> SearchError {
    SearchError::Schema(format!(
        "alias {alias} leads to {} and not to {index}: remove it there, or use another index prefix",
        indices.join(", ")
    ))
}

/// Declared fields that are not there with the declared type.
fn absent_fields(declared: &Value, there: &Value) -> Vec<String> {
    let Some(declared) = declared.as_object() else { return Vec::new() };
    declared
        .iter()
        .filter(|(name, field)| there[*name]["type"] != field["type"])
        .map(|(name, _)| name.clone())
        .collect()
}
