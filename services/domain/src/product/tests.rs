//! Every command in every state: given, when, then.

use super::given::Given::{Deleted, Discontinued, Draft, Listed, None as Nothing};
use super::given::{
    Given, after, create, creation, delete, discontinue, eur, given, id, move_to, price, reason, rename,
};
use super::*;
use crate::values::{
    Attributes, CategoryPath, InitialStatus, Money, Name, ProductId, Sku, Status, Tags, Version,
};

#[track_caller]
fn then_event(states: &[Given], when: &Command, event: &Event) {
    for state in states {
        let decision = decide(given(*state).as_ref(), when);
        assert_eq!(decision, Decision::Event(event.clone()), "given {state:?}, when {when:?}");
    }
}

#[track_caller]
fn then_no_effect(states: &[Given], when: &Command) {
    for state in states {
        assert_eq!(
            decide(given(*state).as_ref(), when),
            Decision::NoEffect,
            "given {state:?}, when {when:?}"
        );
    }
}

#[track_caller]
fn then_rejected(states: &[Given], when: &Command, code: &str) {
    for state in states {
        match decide(given(*state).as_ref(), when) {
            Decision::Rejected(rejection) => {
                assert_eq!(rejection.code(), code, "given {state:?}, when {when:?}");
                assert!(Rejection::CODES.contains(&rejection.code()));
            }
            other @ (Decision::Event(_) | Decision::NoEffect) => {
                panic!("given {state:?}, when {when:?}, then {other:?}");
            }
        }
    }
}

#[test]
fn create_product() {
    let CreateProduct { sku, name, description, category, brand, price, attributes, tags, status } =
        creation(eur(100), InitialStatus::Draft);
    let created = ProductCreated { sku, name, description, category, brand, price, attributes, tags, status };
    then_event(&[Nothing], &create(), &Event::ProductCreated(created));
    then_rejected(&[Draft, Listed, Discontinued, Deleted], &create(), "product-already-exists");
}

#[test]
fn create_product_on_sale_needs_a_price() {
    let free = |status| Command::CreateProduct(creation(eur(0), status));
    then_rejected(&[Nothing], &free(InitialStatus::Listed), "price-required");
    let product = after(&[free(InitialStatus::Draft)]).unwrap();
    assert_eq!(product.status, Status::Draft);
    let product = after(&[Command::CreateProduct(creation(eur(1), InitialStatus::Listed))]).unwrap();
    assert_eq!(product.status, Status::Listed);
}

#[test]
fn revise_details() {
    let revised = DetailsRevised { name: Some(Name::parse("Band").unwrap()), ..DetailsRevised::default() };
    then_event(&[Draft, Listed, Discontinued], &rename("Band"), &Event::DetailsRevised(revised));
    then_no_effect(&[Draft, Listed, Discontinued], &rename("Ring"));
    then_rejected(&[Nothing], &rename("Band"), "product-not-found");
    then_rejected(&[Deleted], &rename("Band"), "product-deleted");
}

#[test]
fn revise_details_says_only_what_differs() {
    let tags = Tags::parse(["silver"]).unwrap();
    let changes = DetailChanges {
        sku: Some(Sku::parse("RING-1").unwrap()),
        tags: Some(tags.clone()),
        attributes: Some(Attributes::default()),
        ..DetailChanges::default()
    };
    let revise = Command::ReviseDetails(ReviseDetails::new(changes).unwrap());
    let revised = DetailsRevised {
        tags: Some(tags),
        attributes: Some(Attributes::default()),
        ..DetailsRevised::default()
    };
    then_event(&[Draft, Listed, Discontinued], &revise, &Event::DetailsRevised(revised));
}

#[test]
fn revise_details_cannot_ask_for_nothing() {
    assert!(ReviseDetails::new(DetailChanges::default()).is_err());
}

#[test]
fn change_price() {
    let changed = Event::PriceChanged(PriceChanged { price: eur(150) });
    then_event(&[Draft, Listed, Discontinued], &price(eur(150)), &changed);
    then_no_effect(&[Draft, Listed, Discontinued], &price(eur(100)));
    then_rejected(&[Nothing], &price(eur(150)), "product-not-found");
    then_rejected(&[Deleted], &price(eur(150)), "product-deleted");
}

#[test]
fn change_price_to_zero_only_while_not_listed() {
    then_event(&[Draft, Discontinued], &price(eur(0)), &Event::PriceChanged(PriceChanged { price: eur(0) }));
    then_rejected(&[Listed], &price(eur(0)), "price-required");
}

#[test]
fn change_price_never_changes_the_currency() {
    let dollars = price(Money::new(100, "USD").unwrap());
    then_rejected(&[Draft, Listed, Discontinued], &dollars, "currency-mismatch");
    let Decision::Rejected(rejection) = decide(given(Listed).as_ref(), &dollars) else { panic!() };
    assert!(rejection.to_string().contains("priced in EUR, not in USD"), "{rejection}");
}

#[test]
fn move_to_category() {
    let category = CategoryPath::parse("jewelry/bands").unwrap();
    let moved = Event::ProductMoved(ProductMoved { category });
    then_event(&[Draft, Listed, Discontinued], &move_to("jewelry/bands"), &moved);
    then_no_effect(&[Draft, Listed, Discontinued], &move_to("jewelry/rings"));
    then_rejected(&[Nothing], &move_to("jewelry/bands"), "product-not-found");
    then_rejected(&[Deleted], &move_to("jewelry/bands"), "product-deleted");
}

#[test]
fn list_product() {
    let listed = Event::ProductListed(ProductListed {});
    then_event(&[Draft, Discontinued], &Command::ListProduct, &listed);
    then_no_effect(&[Listed], &Command::ListProduct);
    then_rejected(&[Nothing], &Command::ListProduct, "product-not-found");
    then_rejected(&[Deleted], &Command::ListProduct, "product-deleted");
}

#[test]
fn list_product_needs_a_price() {
    let free_draft = after(&[Command::CreateProduct(creation(eur(0), InitialStatus::Draft))]);
    let free_discontinued = after(&[create(), Command::ListProduct, discontinue(), price(eur(0))]);
    for state in [free_draft, free_discontinued] {
        let decision = decide(state.as_ref(), &Command::ListProduct);
        assert_eq!(decision, Decision::Rejected(Rejection::PriceRequired));
    }
}

#[test]
fn discontinue_product() {
    let discontinued = Event::ProductDiscontinued(ProductDiscontinued { reason: Some(reason()) });
    then_event(&[Listed], &discontinue(), &discontinued);
    then_no_effect(&[Discontinued], &discontinue());
    then_rejected(&[Draft], &discontinue(), "product-not-listed");
    then_rejected(&[Nothing], &discontinue(), "product-not-found");
    then_rejected(&[Deleted], &discontinue(), "product-deleted");
}

#[test]
fn delete_product() {
    let deleted = Event::ProductDeleted(ProductDeleted { reason: Some(reason()) });
    then_event(&[Draft, Listed, Discontinued], &delete(), &deleted);
    then_no_effect(&[Deleted], &delete());
    then_rejected(&[Nothing], &delete(), "product-not-found");
}

#[test]
fn restore_product() {
    then_rejected(&[Nothing], &Command::RestoreProduct, "product-not-found");
    then_rejected(&[Draft, Listed, Discontinued], &Command::RestoreProduct, "product-not-deleted");
    let restored = |status| Event::ProductRestored(ProductRestored { status });
    then_event(&[Deleted], &Command::RestoreProduct, &restored(Status::Listed));
}

#[test]
fn restore_product_gives_back_the_status_before_the_deletion() {
    for state in [Draft, Listed, Discontinued] {
        let before = given(state).unwrap();
        let fold = |product: Product, command: &Command| {
            let Decision::Event(event) = decide(Some(&product), command) else { panic!() };
            let version = product.version.next();
            evolve(Some(product), &id(), version, &event).unwrap()
        };
        let gone = fold(before.clone(), &delete());
        assert_eq!((gone.status, gone.deleted_from), (Status::Deleted, Some(before.status)));
        let back = fold(gone, &Command::RestoreProduct);
        assert_eq!(back, Product { version: Version(before.version.get() + 2), ..before });
    }
}

#[test]
fn names_and_types_are_those_of_the_lists() {
    let commands = [
        create(),
        rename("Band"),
        price(eur(1)),
        move_to("a"),
        Command::ListProduct,
        discontinue(),
        delete(),
        Command::RestoreProduct,
    ];
    assert_eq!(commands.map(|command| command.name()), Command::ALL_NAMES);
}

#[test]
fn a_fold_refuses_what_has_no_meaning() {
    let listed = Event::ProductListed(ProductListed {});
    let restored = |status| Event::ProductRestored(ProductRestored { status });
    let Decision::Event(created) = decide(None, &create()) else { panic!() };
    let fold =
        |state: Given, version: u64, event: &Event| evolve(given(state), &id(), Version(version), event);

    assert_eq!(fold(Nothing, 1, &listed), Err(FoldError::NotCreated("ProductListed")));
    assert_eq!(fold(Draft, 2, &created), Err(FoldError::CreatedTwice));
    assert_eq!(fold(Deleted, 4, &listed), Err(FoldError::Deleted("ProductListed")));
    let out_of_turn =
        |expected, actual| Err(FoldError::OutOfTurn { expected: Version(expected), actual: Version(actual) });
    assert_eq!(fold(Nothing, 2, &created), out_of_turn(1, 2));
    assert_eq!(fold(Draft, 1, &listed), out_of_turn(2, 1));
    assert_eq!(fold(Draft, 3, &listed), out_of_turn(2, 3));
    let not_restorable = |from, to| Err(FoldError::NotRestorable { from, to });
    assert_eq!(fold(Draft, 2, &restored(Status::Draft)), not_restorable(Status::Draft, Status::Draft));
    assert_eq!(
        fold(Deleted, 4, &restored(Status::Deleted)),
        not_restorable(Status::Deleted, Status::Deleted)
    );
    let other = ProductId::parse("p-2").unwrap();
    let other_product = FoldError::OtherProduct { state: id(), event: other.clone() };
    assert_eq!(evolve(given(Draft), &other, Version(2), &listed), Err(other_product));
}
