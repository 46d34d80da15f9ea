//! P9 A read can wait for a write, and is never silently stale.

use nix::sys::signal::Signal;
use testkit::{Client, Started, System, promised};

promised! {
    a_read_with_a_token_shows_the_write_or_says_it_is_behind,
    the_answer_of_a_rejection_is_a_token_too,
}

async fn a_read_with_a_token_shows_the_write_or_says_it_is_behind<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors().await?;
    let queries = Client::new(&system.query_gateway().await?.url());

    // Each write is read back at once, by id, in a list, in the history and in a search.
    let mut token = String::new();
    for round in 0..20_u64 {
        let reply = if round == 0 {
            commands.create("waited").await?
        } else {
            commands.change_price("waited", 1_000 + round, &[]).await?
        };
        assert!(reply.status.is_success(), "{}", reply.body);
        reply.header("consistency-token").clone_into(&mut token);
        let headers = [("consistency-token", token.as_str()), ("prefer", "wait=25")];
        let product = queries.get_with("/v1/products/waited", &headers).await?;
        assert_eq!(product.status, 200, "{}", product.body);
        assert_eq!(product.body["version"].as_u64(), Some(round + 1), "{}", product.body);
        assert_eq!(product.header("preference-applied"), "wait=25");
        for path in [
            "/v1/products?category=tests/products",
            "/v1/search?q=waited",
            "/v1/products/waited/history?order=desc",
        ] {
            let found = queries.get_with(path, &headers).await?;
            assert_eq!(found.status, 200, "{path}: {}", found.body);
            let newest = format!("\"version\":{}", round + 1);
            assert!(
                found.body.to_string().contains(&newest),
                "{path} does not show {newest}: {}",
                found.body
            );
        }
    }

    // At once, it shows the write or says that it is behind, and nothing older.
    for round in 0..20_u64 {
        let reply = commands.change_price("waited", 2_000 + round, &[]).await?;
        let headers = [("consistency-token", reply.header("consistency-token")), ("prefer", "wait=0")];
        for path in ["/v1/products/waited", "/v1/products?category=tests/products", "/v1/search?q=waited"] {
            let found = queries.get_with(path, &headers).await?;
            let newest = format!("\"version\":{}", 21 + round);
            assert!(
                (found.status == 200 && found.body.to_string().contains(&newest))
                    || (found.status == 503 && found.code() == "read-model-behind"),
                "{path} is silent about {newest}: {} {}",
                found.status,
                found.body
            );
        }
        reply.header("consistency-token").clone_into(&mut token);
    }
    if S::IS_IN_PARTS {
        says_that_it_is_behind(&commands, &queries, &projectors, &token).await?;
    }
    Ok(())
}

/// Where the projectors are processes of their own they can stand still while the rest goes on; `token` is of version 40.
async fn says_that_it_is_behind(
    commands: &Client,
    queries: &Client,
    projectors: &[Started],
    token: &str,
) -> anyhow::Result<()> {
    let caught_up = [("consistency-token", token), ("prefer", "wait=25")];
    for path in ["/v1/products/waited", "/v1/products?category=tests/products", "/v1/search?q=waited"] {
        assert_eq!(queries.get_with(path, &caught_up).await?.status, 200, "{path}");
    }
    // They stand still: the read says so, and names how far it is.
    for projector in projectors {
        projector.service.signal(Signal::SIGSTOP);
    }
    let reply = commands.change_price("waited", 9_000, &[]).await?;
    let headers = [("consistency-token", reply.header("consistency-token")), ("prefer", "wait=0")];
    for path in ["/v1/products/waited", "/v1/products?category=tests/products", "/v1/search?q=waited"] {
        let behind = queries.get_with(path, &headers).await?;
        assert_eq!(
            (behind.status.as_u16(), behind.code()),
            (503, "read-model-behind"),
            "{path}: {}",
            behind.body
        );
        assert!(!behind.header("retry-after").is_empty(), "{path}");
    }
    // Without a token, or with an older one, it is answered from what is there.
    let older = [("consistency-token", token), ("prefer", "wait=0")];
    assert_eq!(queries.get_with("/v1/products/waited", &older).await?.body["version"], 40);
    assert_eq!(queries.get("/v1/products/waited").await?.body["version"], 40);

    // They go on: a waiting read gets its answer.
    let headers = [("consistency-token", reply.header("consistency-token")), ("prefer", "wait=30")];
    let waiting = queries.get_with("/v1/products/waited", &headers);
    let resume = async {
        for projector in projectors {
            projector.service.signal(Signal::SIGCONT);
        }
    };
    let (answer, ()) = tokio::join!(waiting, resume);
    let answer = answer?;
    assert_eq!((answer.status.as_u16(), answer.body["version"].as_u64()), (200, Some(41)), "{}", answer.body);
    Ok(())
}

async fn the_answer_of_a_rejection_is_a_token_too<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    system.projectors().await?;
    let queries = Client::new(&system.query_gateway().await?.url());
    assert_eq!(commands.create("rejected").await?.status, 201);
    let conflict = commands.change_price("rejected", 5_000, &[("if-match", "\"7\"")]).await?;
    assert_eq!(conflict.status, 412, "{}", conflict.body);
    let token = conflict.body["consistency_token"].as_str().unwrap_or_default();
    let headers = [("consistency-token", token), ("prefer", "wait=25")];
    let product = queries.get_with("/v1/products/rejected", &headers).await?;
    assert_eq!(product.body["version"], conflict.body["current_version"], "{}", product.body);
    Ok(())
}
