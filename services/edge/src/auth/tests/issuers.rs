use super::*;

#[tokio::test]
async fn keys_are_found_by_the_issuers_description_and_fetched_once() {
    let login = Login::start().await;
    let first = Signer::new("k1");
    login.shows(&[&first]);
    let checked = Checked::believing(&login);
    let token = first.sign(&login.claims("products:read"));
    eventually("the first keys are there", async || checked.reads(&token).await.is_ok()).await;
    assert_eq!(checked.reads(&token).await, Ok("ada".to_owned()));
    assert_eq!(checked.reads(&first.sign(&login.claims("products:write"))).await, Err(403));
    assert_eq!(login.asked(), 1, "known keys are not asked for");
}

#[tokio::test]
async fn a_new_key_counts_with_its_first_token_and_one_that_was_withdrawn_no_longer() {
    let login = Login::start().await;
    let (first, second) = (Signer::new("k1"), Signer::new("k2"));
    login.shows(&[&first]);
    let issuer = Issuer::asked_at_most_every(Duration::ZERO, &login.config()).unwrap();
    let (checked, _following) = with(&login, issuer);
    let old = first.sign(&login.claims("products:read"));
    eventually("the first keys are there", async || checked.reads(&old).await.is_ok()).await;
    login.shows(&[&second]);
    assert_eq!(checked.reads(&second.sign(&login.claims("products:read"))).await, Ok("ada".to_owned()));
    assert_eq!(checked.reads(&old).await, Err(401));
}

#[tokio::test]
async fn made_up_keys_do_not_hammer_the_issuer() {
    let login = Login::start().await;
    let (signer, thief) = (Signer::new("k1"), Signer::new("made-up"));
    login.shows(&[&signer]);
    let checked = Checked::believing(&login);
    let good = signer.sign(&login.claims("products:read"));
    eventually("the keys are there", async || checked.reads(&good).await.is_ok()).await;
    let token = thief.sign(&login.claims("products:read"));
    let many = futures::future::join_all((0..200).map(|_| checked.reads(&token)));
    let refused = tokio::time::timeout(Duration::from_secs(20), many).await.unwrap();
    assert!(refused.iter().all(|it| *it == Err(401)), "{refused:?}");
    assert!(login.asked() <= 2, "asked {} times", login.asked());
    assert!(checked.reads(&good).await.is_ok());
}

#[tokio::test]
async fn while_the_issuer_was_never_there_nobody_is_let_in_and_that_is_no_401() {
    let login = Login::start().await;
    let signer = Signer::new("k1");
    let checked = Checked::believing(&login);
    let token = signer.sign(&login.claims("products:read"));
    assert_eq!(checked.reads(&token).await, Err(503));
    eventually("it is told", async || {
        checked
            .lifecycle
            .readiness()
            .status()
            .missing()
            .iter()
            .any(|it| it.starts_with("issuer: the issuer's keys cannot"))
    })
    .await;
    assert_eq!(checked.reads(&token).await, Err(503));
    login.shows(&[&signer]);
    eventually("it goes on by itself", async || checked.reads(&token).await.is_ok()).await;
    assert!(checked.lifecycle.readiness().status().missing().is_empty());
}

#[tokio::test]
async fn while_the_issuer_is_away_its_keys_go_on_counting_for_a_bounded_time() {
    let login = Login::start().await;
    let (signer, other) = (Signer::new("k1"), Signer::new("k2"));
    login.shows(&[&signer]);
    let config = OidcConfig { max_age_ms: 6_000, refresh_ms: 100, ..login.config() };
    let issuer = Issuer::asked_at_most_every(Duration::ZERO, &config).unwrap();
    let (checked, _following) = with(&login, issuer);
    let token = signer.sign(&login.claims("products:read"));
    eventually("the keys are there", async || checked.reads(&token).await.is_ok()).await;
    let asked = login.asked();
    login.answers(None);
    eventually("it was asked in vain", async || login.asked() > asked + 1).await;
    assert!(checked.reads(&token).await.is_ok(), "what it showed last still counts");
    assert_eq!(checked.reads(&other.sign(&login.claims("products:read"))).await, Err(401));
    eventually("not for ever", async || checked.reads(&token).await == Err(503)).await;
}

#[tokio::test]
async fn what_an_issuer_must_not_answer_changes_nothing() {
    let (login, elsewhere) = (Login::start().await, Login::start().await);
    let (signer, thief) = (Signer::new("k1"), Signer::new("k2"));
    elsewhere.shows(&[&thief]);
    let huge = format!("{{\"keys\": [], \"more\": \"{}\"}}", "x".repeat(300 * 1024));
    let redirection = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}/keys\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url()
    );
    let failed = "HTTP/1.1 500 Oops\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned();
    for (answer, told) in [
        (redirection, "answers 302"),
        (failed, "answers 500"),
        (ok(&huge), "more than"),
        (ok("nonsense"), "no set of keys"),
        (ok("{\"keys\": []}"), "none of its 0 keys"),
    ] {
        login.answers(Some(answer));
        let checked = Checked::believing(&login);
        eventually(told, async || {
            let missing = checked.lifecycle.readiness().status().missing();
            missing.iter().any(|it| it.contains(told))
        })
        .await;
        assert_eq!(checked.reads(&thief.sign(&login.claims("products:read"))).await, Err(503), "{told}");
    }
    assert_eq!(elsewhere.asked(), 0);
    // One that describes itself as another.
    login.shows(&[&signer]);
    let config =
        OidcConfig { issuer: Some(format!("http://localhost:{}", login.address.port())), ..login.config() };
    let checked = Checked::open(&AuthConfig { oidc: config, ..AuthConfig::default() });
    eventually("it is another issuer", async || {
        checked.lifecycle.readiness().status().missing().iter().any(|it| it.contains("of another issuer"))
    })
    .await;
}

/// Somebody who is checked by the keys of this issuer, and what fetches them.
fn with(login: &Login, issuer: Issuer) -> (Checked, tokio::task::JoinHandle<()>) {
    let (lifecycle, telemetry) = (Lifecycle::new().without_signals(), Telemetry::detached("test").unwrap());
    let expected = Expected { issuer: login.url(), audiences: vec![AUDIENCE.to_owned()], leeway: 30 };
    let dependency = lifecycle.readiness().dependency("issuer");
    let following = tokio::spawn(issuer.clone().follow(dependency, lifecycle.drained()));
    let checks = Checks {
        tokens: Some(Tokens { expected, claims: ClaimsConfig::default(), issuer, judged: Judged::default() }),
        keys: None,
        certificates: Certificates::default(),
        roles: Roles::new(),
        has_open_metrics: false,
        refused: telemetry.meter().u64_counter(names::AUTH_REFUSED_TOTAL).build(),
    };
    let auth = Auth { checks: Some(Arc::new(checks)), ..Auth::off() };
    (Checked { auth, lifecycle, telemetry }, following)
}
