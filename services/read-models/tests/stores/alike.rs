//! The index in this process beside a search server: the same products written to both, and many questions asked of both.
//!
//! What scores make of the order is each engine's own; everything else has to be the same.

use std::collections::BTreeSet;

use domain::{
    Attributes, Brand, CategoryPath, Currency, Description, Money, Name, Product, ProductId, Sku, Status,
    Tags, Version,
};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use read_models::model::{Store, Writes};
use read_models::search::{
    AttributeName, AttributeValue, Facet, Filters, Queries, SearchModel, SearchRequest, SearchResponse, Sort,
    SuggestRequest, Tag,
};
use read_models::{PageRequest, ReadModel, Servers, StoredProduct};
use uuid::Uuid;

use super::embedded::InThisProcess;
use super::records::retry;
use super::{Parts, SearchParts, open};

const PRODUCTS: usize = 300;
const QUESTIONS: usize = 1_500;
const COMPLETIONS: usize = 500;

const WORDS: [&str; 48] = [
    "golden",
    "ring",
    "rings",
    "silver",
    "bracelet",
    "necklace",
    "Größe",
    "crème",
    "brûlée",
    "Łódź",
    "box",
    "boxes",
    "knife",
    "knives",
    "Wi-Fi",
    "wifi",
    "iPhone15",
    "USB-C",
    "10x20cm",
    "500ml",
    "1.5",
    "1½",
    "35,36,37",
    "SM-G991B/DS",
    "C++17",
    "SPF50+",
    "钻石戒指",
    "金",
    "💍",
    "T-shirt",
    "men's",
    "l'eau",
    "canon-eos-r6",
    "diamond",
    "diamonds",
    "premium",
    "handmade",
    "leather",
    "wallet",
    "ελληνικά",
    "серьги",
    "menu",
    "menus",
    "18K金",
    "vintage",
    "emerald",
    "sapphire",
    "ruby",
];
const CATEGORIES: [&str; 8] = [
    "rings",
    "rings/gold",
    "rings/gold/plain",
    "rings/silver",
    "ringsides",
    "watches",
    "watches/old",
    "bags",
];
const BRANDS: [&str; 6] = ["Aurum", "Argent", "Café Noir", "O'Neill", "acme", "Acme"];
const TAGS: [&str; 5] = ["gift", "new", "sale", "tag with blanks", "größe"];
const CURRENCIES: [&str; 3] = ["EUR", "USD", "JPY"];
const ATTRIBUTES: [&str; 5] = ["size", "sizes", "color", "größe", "a.b*"];
const VALUES: [&str; 9] = ["m", "l", "xl", "E", "0.23", "white gold", "größer", "42", "a\"b\\c"];
const STATUSES: [Status; 4] = Status::ALL;

struct Catalog {
    random: StdRng,
}

impl Catalog {
    fn any<T: Copy>(&mut self, all: &[T]) -> T {
        *all.choose(&mut self.random).unwrap()
    }

    fn some<T: Copy>(&mut self, all: &[T], most: usize) -> Vec<T> {
        let count = self.random.random_range(0..=most);
        (0..count).map(|_| self.any(all)).collect()
    }

    fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    fn text(&mut self, words: std::ops::RangeInclusive<usize>) -> String {
        let count = self.random.random_range(words);
        (0..count).map(|_| self.any(&WORDS)).collect::<Vec<_>>().join(" ")
    }

    fn product(&mut self, n: usize, version: u64) -> StoredProduct {
        let attributes: Vec<&str> = self.some(&ATTRIBUTES, 4);
        let attributes: BTreeSet<&str> = attributes.into_iter().collect();
        let attributes: Vec<(&str, &str)> =
            attributes.into_iter().map(|name| (name, self.any(&VALUES))).collect();
        let tags: BTreeSet<&str> = self.some(&TAGS, 3).into_iter().collect();
        let status = self.any(&[
            Status::Listed,
            Status::Listed,
            Status::Listed,
            Status::Draft,
            Status::Discontinued,
            Status::Deleted,
        ]);
        let price = self.random.random_range(1..40) * 100;
        let product = Product {
            id: ProductId::parse(&format!("p-{}", (n * 7_919) % 1_009)).unwrap(),
            sku: Sku::parse(&format!("{}-{n}", self.any(&["RING", "dia", "SM-X", "AB 12/x"]))).unwrap(),
            name: Name::parse(&self.text(1..=4)).unwrap(),
            description: Description::parse(&self.text(0..=8)).unwrap(),
            category: CategoryPath::parse(self.any(&CATEGORIES)).unwrap(),
            brand: Brand::parse(self.any(&BRANDS)).unwrap(),
            price: Money::new(price, self.any(&CURRENCIES)).unwrap(),
            attributes: Attributes::parse(attributes).unwrap(),
            tags: Tags::parse(tags).unwrap(),
            status,
            deleted_from: (status == Status::Deleted).then_some(Status::Listed),
            version: Version(version),
        };
        let updated_at =
            Timestamp::from_millisecond(1_700_000_000_000 + self.random.random_range(0..50)).unwrap();
        StoredProduct { product, event_id: Uuid::from_u128(n as u128), updated_at }
    }

    /// A text as people write it: a letter too few, too many, another, or two in the other order.
    fn written(&mut self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        for _ in 0..self.random.random_range(0..3) {
            if letters.len() < 3 {
                break;
            }
            let at = self.random.random_range(1..letters.len() - 1);
            match self.random.random_range(0..5) {
                0 => drop(letters.remove(at)),
                1 => letters.insert(at, 'x'),
                2 => letters[at] = 'q',
                3 => letters.swap(at, at + 1),
                _ => letters[at] = letters[at].to_uppercase().next().unwrap(),
            }
        }
        letters.into_iter().collect()
    }

    fn question(&mut self, products: &[StoredProduct]) -> SearchRequest {
        let product = &products.choose(&mut self.random).unwrap().product;
        let text = match self.random.random_range(0..8) {
            0 | 1 => None,
            2 => Some(product.sku.as_str().to_lowercase()),
            3 => Some(product.name.as_str().to_owned()),
            4 => Some(self.text(1..=1)),
            5 => Some(self.text(1..=3)),
            _ => {
                let word = self.any(&WORDS);
                Some(self.written(word))
            }
        };
        let attribute = |name: &str, value: &str| {
            (AttributeName::parse(name).unwrap(), AttributeValue::parse(value).unwrap())
        };
        let currency = self.chance(0.5).then(|| Currency::parse(self.any(&CURRENCIES)).unwrap());
        let bound = |it: &mut Self| {
            (currency.is_some() && it.chance(0.3)).then(|| it.random.random_range(0..40) * 100)
        };
        let (one, other) = (bound(self), bound(self));
        let (price_min, price_max) = if one > other && other.is_some() { (other, one) } else { (one, other) };
        let filters = Filters {
            category: self.chance(0.3).then(|| CategoryPath::parse(self.any(&CATEGORIES)).unwrap()),
            brands: if self.chance(0.3) { self.some(&BRANDS, 3) } else { vec![] }
                .into_iter()
                .map(|it| Brand::parse(it).unwrap())
                .collect(),
            statuses: if self.chance(0.4) { self.some(&STATUSES, 3) } else { vec![] },
            currency,
            price_min,
            price_max,
            attributes: if self.chance(0.3) { self.some(&ATTRIBUTES, 3) } else { vec![] }
                .into_iter()
                .map(|name| attribute(name, self.any(&VALUES)))
                .collect(),
            tags: if self.chance(0.2) { self.some(&TAGS, 2) } else { vec![] }
                .into_iter()
                .map(|it| Tag::parse(it).unwrap())
                .collect(),
        };
        let sorts =
            [Sort::Relevance, Sort::NameAscending, Sort::Newest, Sort::PriceAscending, Sort::PriceDescending];
        let sort = self.any(if currency.is_some() { &sorts } else { &sorts[..3] });
        let facets = (0..self.random.random_range(0..5)).map(|_| match self.random.random_range(0..8) {
            0 => Facet::Category,
            1 => Facet::Brand,
            2 => Facet::Status,
            3 => Facet::Tags,
            4 => Facet::Currency,
            5 if currency.is_some() => {
                Facet::Price { bounds: self.some(&[0, 100, 500, 501, 2_000, 4_000], 4) }
            }
            6 => Facet::AttributeNames,
            _ => Facet::Attribute { name: AttributeName::parse(self.any(&ATTRIBUTES)).unwrap() },
        });
        let facets = facets.collect();
        let facet_size = self.any(&[0, 1, 2, 1_000]);
        let page = PageRequest::new(self.any(&[3, 17, 50, 500]), None);
        SearchRequest { text, filters, sort, facets, facet_size, page }
    }
}

async fn pages(queries: &Queries, request: &SearchRequest) -> Vec<SearchResponse> {
    let mut request = request.clone();
    let mut pages = vec![queries.search(&request).await.unwrap()];
    while let Some(next) = pages.last().unwrap().next.clone() {
        request.page.token = Some(next);
        pages.push(queries.search(&request).await.unwrap());
    }
    pages
}

fn ids(page: &SearchResponse) -> Vec<&str> {
    page.hits.iter().map(|hit| hit.found.product.id.as_str()).collect()
}

fn compare(request: &SearchRequest, here: &[SearchResponse], there: &[SearchResponse]) -> Result<(), String> {
    let same = |what: &str, here: &dyn std::fmt::Debug, there: &dyn std::fmt::Debug| {
        let (here, there) = (format!("{here:?}"), format!("{there:?}"));
        if here == there { Ok(()) } else { Err(format!("{what}: {here} here, {there} there")) }
    };
    same("pages", &here.len(), &there.len())?;
    for (here, there) in here.iter().zip(there) {
        same("total", &here.total, &there.total)?;
        same("matched", &here.matched, &there.matched)?;
        same("facets", &here.facets, &there.facets)?;
        same("hits of a page", &here.hits.len(), &there.hits.len())?;
        if request.sort != Sort::Relevance {
            same("order", &ids(here), &ids(there))?;
            same("place of the next page", &here.next, &there.next)?;
            same("scores", &here.hits.iter().all(|hit| hit.score.is_none()), &true)?;
        }
    }
    let all = |pages: &[SearchResponse]| {
        let mut all: Vec<StoredProduct> =
            pages.iter().flat_map(|page| &page.hits).map(|hit| hit.found.clone()).collect();
        all.sort_by(|one, other| one.product.id.cmp(&other.product.id));
        all
    };
    same("products", &all(here), &all(there))
}

/// How many of the first hits by score are the same: told, not required.
fn first_alike(here: &[SearchResponse], there: &[SearchResponse]) -> bool {
    ids(&here[0]).first() == ids(&there[0]).first()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_in_this_process_answers_every_question_as_a_server_does() {
    let (server, process) =
        (Servers::fresh(&[ReadModel::Search]).await, InThisProcess::fresh(&[ReadModel::Search]).await);
    let (there, here) = (open::<SearchModel, _>(&server).await, open::<SearchModel, _>(&process).await);
    let (theirs, ours) = (server.search_queries().await, process.search_queries().await);
    let mut catalog = Catalog { random: StdRng::seed_from_u64(7) };
    let first: Vec<StoredProduct> = (0..PRODUCTS).map(|n| catalog.product(n, 1)).collect();
    // Some of them are others later, so that there are replaced ones in both.
    let second: Vec<StoredProduct> = (0..PRODUCTS).step_by(5).map(|n| catalog.product(n, 2)).collect();
    let older: Vec<StoredProduct> = (0..PRODUCTS).step_by(10).map(|n| catalog.product(n, 1)).collect();
    for states in [first.clone(), second, older] {
        let writes = || Writes { rows: Vec::new(), states: states.clone() };
        Store::<SearchModel>::write(&there, writes(), &retry()).await.unwrap();
        Store::<SearchModel>::write(&here, writes(), &retry()).await.unwrap();
        theirs.refresh().await.unwrap();
        ours.refresh().await.unwrap();
    }
    let (mut wrong, mut found, mut similar, mut by_score, mut alike) = (Vec::new(), 0, 0, 0, 0);
    for n in 0..QUESTIONS {
        let request = catalog.question(&first);
        let (here, there) = (pages(&ours, &request).await, pages(&theirs, &request).await);
        if let Err(difference) = compare(&request, &here, &there) {
            wrong.push(format!("question {n}: {request:?}\n  {difference}"));
        }
        found += usize::from(there[0].total > 0);
        similar += usize::from(there[0].matched == read_models::search::Matched::Similar);
        if request.sort == Sort::Relevance && request.text.is_some() {
            by_score += 1;
            alike += usize::from(first_alike(&here, &there));
        }
    }
    for n in 0..COMPLETIONS {
        let word = catalog.text(1..=2);
        let length = catalog.random.random_range(1..=word.chars().count());
        let statuses = if catalog.chance(0.3) { catalog.some(&STATUSES, 3) } else { vec![] };
        let prefix = word.chars().take(length).collect();
        let request = SuggestRequest { prefix, size: 50, statuses };
        let (here, there) = (ours.suggest(&request).await.unwrap(), theirs.suggest(&request).await.unwrap());
        let sorted = |mut all: Vec<read_models::search::Suggestion>| {
            all.sort_by(|one, other| one.product_id.cmp(&other.product_id));
            all
        };
        // Of more than can be shown, scores decide which are.
        let is_same = if there.len() < 50 {
            sorted(here.clone()) == sorted(there.clone())
        } else {
            here.len() == there.len()
        };
        if !is_same {
            wrong.push(format!("completion {n}: {request:?}\n  {here:?} here\n  {there:?} there"));
        }
    }
    eprintln!(
        "{found} of {QUESTIONS} questions find something, {similar} by typos; of {by_score} by score {alike} have the same first hit"
    );
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
    assert!(found > QUESTIONS / 3 && similar > QUESTIONS / 50, "the questions ask for what is there");
    server.end().await;
    process.end().await;
}
