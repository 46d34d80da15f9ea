//! P3 A repeated command takes effect at most once, and once it did, gets that answer.

use serde_json::json;
use testkit::client::product;
use testkit::{Client, System, promised};

promised! {
    the_same_key_gets_the_first_answer_after_a_restart_and_on_the_other_instance,
    an_answer_that_wrote_nothing_leaves_no_record_and_its_retry_takes_effect_once,
    a_create_without_an_id_meets_its_own_product_wherever_it_lands,
}

async fn the_same_key_gets_the_first_answer_after_a_restart_and_on_the_other_instance<S: System>()
-> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let (one, two) = (system.command_service().await?, system.command_service().await?);
    let (first, second) = (Client::new(&one.url()), Client::new(&two.url()));
    assert_eq!(first.create("repeated").await?.status, 201);

    let key = [("idempotency-key", "change-1")];
    let original = first.change_price("repeated", 2_000, &key).await?;
    assert_eq!(original.status, 200, "{}", original.body);
    assert_eq!(original.body["replayed"], false);
    // A later command in between: the first answer stays the first answer.
    assert_eq!(first.change_price("repeated", 3_000, &[]).await?.status, 200);

    let mut replays = vec![
        first.change_price("repeated", 2_000, &key).await?,
        second.change_price("repeated", 2_000, &key).await?,
    ];
    system.kill(&one).await?;
    let one = system.again(&one).await?;
    let restarted = Client::new(&one.url());
    replays.push(restarted.change_price("repeated", 2_000, &key).await?);
    // What it writes now has ids that no record had, whichever process wrote it: the oracle sees to that.
    assert_eq!(restarted.change_price("repeated", 5_000, &[]).await?.status, 200);
    for replay in replays {
        assert_eq!(replay.status, 200, "{}", replay.body);
        assert_eq!(replay.body["replayed"], true);
        assert_eq!(replay.header("idempotency-replayed"), "true");
        for field in ["version", "event_id", "consistency_token"] {
            assert_eq!(replay.body[field], original.body[field], "{field}");
        }
    }

    let other = second.change_price("repeated", 4_000, &key).await?;
    assert_eq!((other.status.as_u16(), other.code()), (422, "idempotency-key-reused"), "{}", other.body);

    let oracle = system.oracle().await?;
    assert_eq!(
        oracle.products["repeated"].len(),
        4,
        "created and changed three times, however often it was asked"
    );
    Ok(())
}

async fn an_answer_that_wrote_nothing_leaves_no_record_and_its_retry_takes_effect_once<S: System>()
-> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let (one, two) = (system.command_service().await?, system.command_service().await?);
    let (first, second) = (Client::new(&one.url()), Client::new(&two.url()));
    assert_eq!(first.create("again").await?.status, 201);

    // No effect, for the price is that already; then somebody changes it, and the retry is decided anew.
    let idle = [("idempotency-key", "same-price")];
    let nothing = first.change_price("again", 1_000, &idle).await?;
    assert_eq!((nothing.status.as_u16(), &nothing.body["outcome"]), (200, &json!("no_effect")));
    assert_eq!((&nothing.body["replayed"], &nothing.body["event_id"]), (&json!(false), &json!(null)));
    assert_eq!(second.change_price("again", 2_000, &[]).await?.body["version"], 2);
    let retried = second.change_price("again", 1_000, &idle).await?;
    assert_eq!((&retried.body["outcome"], &retried.body["version"]), (&json!("accepted"), &json!(3)));
    assert_eq!(retried.body["replayed"], false, "it took effect now");
    // From then on it is the first answer, whatever comes between.
    assert_eq!(first.change_price("again", 4_000, &[]).await?.body["version"], 4);
    for client in [&first, &second] {
        let replay = client.change_price("again", 1_000, &idle).await?;
        assert_eq!((&replay.body["replayed"], &replay.body["version"]), (&json!(true), &json!(3)));
        assert_eq!(replay.body["event_id"], retried.body["event_id"]);
    }

    // A rejection leaves none either.
    let restore = [("idempotency-key", "restore")];
    let rejected = first.post("/v1/products/again:restore", &restore, &json!({})).await?;
    assert_eq!((rejected.status.as_u16(), rejected.code()), (409, "product-not-deleted"));
    assert_eq!(second.post("/v1/products/again:delete", &[], &json!({})).await?.body["version"], 5);
    let retried = second.post("/v1/products/again:restore", &restore, &json!({})).await?;
    assert_eq!((&retried.body["replayed"], &retried.body["version"]), (&json!(false), &json!(6)));
    let replay = first.post("/v1/products/again:restore", &restore, &json!({})).await?;
    assert_eq!((&replay.body["replayed"], &replay.body["version"]), (&json!(true), &json!(6)));
    // And a key without a record may come with another command.
    let other = [("idempotency-key", "free")];
    assert_eq!(first.change_price("again", 4_000, &other).await?.body["outcome"], "no_effect");
    assert_eq!(second.change_price("again", 5_000, &other).await?.body["version"], 7);

    // With If-Match beside the key a late retry undoes nobody's change.
    let guarded = [("idempotency-key", "guarded"), ("if-match", "\"7\"")];
    assert_eq!(first.change_price("again", 5_000, &guarded).await?.body["outcome"], "no_effect");
    assert_eq!(second.change_price("again", 6_000, &[]).await?.body["version"], 8);
    let late = first.change_price("again", 5_000, &guarded).await?;
    assert_eq!((late.status.as_u16(), late.code()), (412, "version-conflict"), "{}", late.body);

    assert_eq!(system.oracle().await?.products["again"].len(), 8);
    Ok(())
}

async fn a_create_without_an_id_meets_its_own_product_wherever_it_lands<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let (one, two) = (system.command_service().await?, system.command_service().await?);
    let (first, second) = (Client::new(&one.url()), Client::new(&two.url()));
    let key = [("idempotency-key", "create-1")];

    let without = first.post("/v1/products", &[], &product("keyless")).await?;
    assert_eq!(
        (without.status.as_u16(), without.code()),
        (400, "idempotency-key-required"),
        "{}",
        without.body
    );

    // At the same time on both: one product, one answer, whoever was first.
    let body = product("keyed");
    let (left, right) =
        tokio::join!(first.post("/v1/products", &key, &body), second.post("/v1/products", &key, &body));
    let (left, right) = (left?, right?);
    assert_eq!((left.status.as_u16(), right.status.as_u16()), (201, 201), "{} {}", left.body, right.body);
    for field in ["product_id", "version", "event_id"] {
        assert_eq!(left.body[field], right.body[field], "{field}");
    }
    let again = second.post("/v1/products", &key, &body).await?;
    assert_eq!((&again.body["event_id"], &again.body["replayed"]), (&left.body["event_id"], &json!(true)));

    let other = second.post("/v1/products", &key, &product("different")).await?;
    assert_eq!((other.status.as_u16(), other.code()), (422, "idempotency-key-reused"), "{}", other.body);
    assert_eq!(system.oracle().await?.effective(), 1);
    Ok(())
}
