//! An event as JSON and back: how `history` keeps it.
//!
//! Promise: what was written is read as the same event, in this and every later build.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Attributes, Brand, CategoryPath, Description, DetailsRevised, Event, InitialStatus, Money, Name, PriceChanged,
    ProductCreated, ProductDeleted, ProductDiscontinued, ProductListed, ProductMoved, ProductRestored, Reason, Sku,
    Status, Tags, ValueError,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
