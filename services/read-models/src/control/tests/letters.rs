//! What is decided about letters, and what that means for builds.

use toolkit::dead_letters::{Kind, Outline};

use super::*;

#[tokio::test]
async fn what_is_decided_about_letters_is_kept_with_who_and_why_and_says_nothing_of_builds() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    let first = Selection { product: Some("p-1".to_owned()), ..Selection::default() };
    let asked =
        Step::Redrive { which: first.clone(), per_second: Some(5), why: "a release reads it".to_owned() };
    take(&mut desk, asked).await;
    assert!(!desk.builds(MODEL).is_decided() && desk.builds(MODEL).revision == 1);
    // Where decisions were lost it can still be said which build is read.
    take(&mut desk, Step::Adopt { generation: build(3), format: 1, published: None }).await;
    let all = Step::Discard { which: Selection::default(), why: String::new() };
    take(&mut desk, all).await;
    let builds = desk.builds(MODEL);
    assert_eq!((builds.read, builds.is_decided()), (build(3), true));
    let [one, other] = builds.asked() else { panic!("{:?}", builds.asked()) };
    assert_eq!((&one.which, one.fate), (&first, Fate::Redriven { per_second: Some(5) }));
    assert_eq!((one.by.as_str(), one.why.as_str()), ("tester", "a release reads it"));
    assert!(one.order < other.order && other.fate == Fate::Discarded && other.which.is_all());
    for _ in 0..300 {
        take(&mut desk, Step::Discard { which: Selection::default(), why: String::new() }).await;
    }
    let builds = desk.builds(MODEL);
    assert_eq!(builds.asked().len(), 256, "memory is bounded");
    assert_eq!(builds.asked().last().map(|it| it.order), Some(builds.order(builds.revision)));
}

#[test]
fn a_selection_means_products_and_an_id_means_the_product_of_its_letter() {
    let first = Outline {
        partition: 2,
        offset: 7,
        subject: "p-1".to_owned(),
        kind: Kind::Gap,
        reason: String::new(),
        attempts: 1,
        first_failed_ms: 0,
        last_failed_ms: 0,
        acted: 0,
        is_discarded: false,
    };
    let has = |offset| [7, 9].contains(&offset);
    let of = |product: Option<&str>, kind, id: Option<&str>| Selection {
        product: product.map(str::to_owned),
        kind,
        id: id.map(|it| it.parse().unwrap()),
    };
    for (which, means) in [
        (of(None, None, None), true),
        (of(Some("p-1"), Some(Kind::Gap), Some("2/9")), true),
        (of(Some("p-2"), None, None), false),
        (of(None, Some(Kind::Follows), None), false),
        (of(None, None, Some("2/8")), false),
        (of(None, None, Some("3/7")), false),
    ] {
        assert_eq!(which.means(&first, has), means, "{which}");
    }
    for text in ["", "3", "3/", "/3", "-1/3", "3/-1", "3/4/5", "p/4"] {
        assert!(text.parse::<LetterId>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn what_was_compared_is_compared_again_after_a_redrive() {
    let mut desk = desk(&Arc::new(Memory::default()));
    for step in [a_build(2), equal(2)] {
        take(&mut desk, step).await;
    }
    let redrive = || Step::Redrive { which: Selection::default(), per_second: None, why: String::new() };
    take(&mut desk, redrive()).await;
    assert!(refused(&mut desk, hold(2)).await.contains("not compared"));
    for step in [equal(2), hold(2), redrive(), Step::Switch, Step::Live] {
        take(&mut desk, step).await;
    }
    assert_eq!(desk.builds(MODEL).read, build(2));
}
