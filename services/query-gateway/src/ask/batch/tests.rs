use std::cell::Cell;

use domain::{Attributes, Brand, CategoryPath, Description, Money, Name, Product, Sku, Tags};
use read_models::Version;
use read_models::page::MAX_PAGE_BYTES;

use super::*;

fn id(n: usize) -> ProductId {
    ProductId::parse(&format!("p-{n}")).unwrap()
}

fn stored(id: &ProductId, bytes: usize) -> StoredProduct {
    let pairs: Vec<(String, String)> =
        (0..bytes / 4_000).map(|n| (format!("a{n}"), "𝄞".repeat(1_000))).collect();
    let product = Product {
        id: id.clone(),
        sku: Sku::parse("S").unwrap(),
        name: Name::parse("n").unwrap(),
        description: Description::parse("").unwrap(),
        category: CategoryPath::parse("c").unwrap(),
        brand: Brand::parse("b").unwrap(),
        price: Money::new(1, "EUR").unwrap(),
        attributes: Attributes::parse(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap(),
        tags: Tags::parse([]).unwrap(),
        status: Status::Listed,
        deleted_from: None,
        version: Version(1),
    };
    StoredProduct { product, event_id: uuid::Uuid::nil(), updated_at: jiff::Timestamp::UNIX_EPOCH }
}

#[tokio::test]
async fn large_products_fill_an_answer_and_the_rest_remains_unread() {
    let ids: Vec<_> = (0..100).map(id).collect();
    let read = Cell::new(0);
    let batch = Batch::read(&ids, |chunk| {
        read.set(read.get() + chunk.len());
        async { Ok(chunk.iter().map(|id| Some(stored(id, 250_000))).collect()) }
    });
    let batch = batch.await.unwrap();
    let bytes: usize = batch.found.iter().map(Found::size).sum();
    assert!((2_500_000..=MAX_PAGE_BYTES).contains(&bytes), "{bytes}");
    assert_eq!(batch.remaining, ids[batch.found.len()..]);
    assert!(read.get() <= 16, "{} products were read", read.get());
}

#[tokio::test]
async fn small_products_are_all_there_in_the_order_asked_for() {
    let ids: Vec<_> = (0..100).map(id).collect();
    let batch = Batch::read(&ids, |chunk| async {
        Ok(chunk.iter().map(|id| (id.as_str() != "p-7").then(|| stored(id, 0))).collect())
    });
    let batch = batch.await.unwrap();
    assert!(batch.remaining.is_empty());
    for (n, found) in batch.found.iter().enumerate() {
        let found = match found {
            Found::Here(found) => &found.product.id,
            Found::Missing(id) if n == 7 => id,
            Found::Gone(id) | Found::Missing(id) => panic!("{id} is there"),
        };
        assert_eq!(*found, id(n));
    }
}
