use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::*;
use crate::auth::principal::now;
use crate::auth::testing::{AUDIENCE, ISSUER, Signer, claims, claims_but, key_set};

fn expected() -> Expected {
    Expected {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned(), "other".to_owned()],
        leeway: 30,
    }
}

fn keys(signers: &[&Signer]) -> KeySet {
    KeySet::parse(key_set(signers).as_bytes()).unwrap()
}

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let whole =
            chunk.iter().fold(0_u32, |whole, byte| whole << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for n in 0..=chunk.len() {
            let digit = (whole >> (18 - 6 * n) & 63) as usize;
            text.push(char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[digit]));
        }
    }
    text
}

#[test]
fn a_good_token_counts_and_says_what_it_says() {
    let signer = Signer::new("k1");
    let judge = |claims: &serde_json::Value| expected().judge(&signer.sign(claims), &keys(&[&signer]), now());
    let (found, until) = judge(&claims("products:read")).unwrap();
    assert_eq!((found["sub"].as_str(), until - now() > 600), (Some("ada"), true));
    for audience in [json!("other"), json!(["elsewhere", AUDIENCE])] {
        judge(&claims_but("aud", audience)).unwrap();
    }
    // A time may be a fraction.
    judge(&claims_but("exp", json!(now() as f64 + 100.5))).unwrap();
}

#[test]
fn every_claim_that_has_to_hold_is_held() {
    let signer = Signer::new("k1");
    let judge = |name: &str, value| {
        expected().judge(&signer.sign(&claims_but(name, value)), &keys(&[&signer]), now()).unwrap_err()
    };
    let claim = |name: &str| Invalid::Claim(name.to_owned());
    let null = || serde_json::Value::Null;
    for (name, value, why) in [
        ("iss", json!("https://evil.example"), Invalid::Issuer),
        ("iss", null(), claim("iss")),
        ("iss", json!(7), claim("iss")),
        ("aud", json!("elsewhere"), Invalid::Audience),
        ("aud", json!([]), Invalid::Audience),
        ("aud", null(), claim("aud")),
        ("exp", null(), claim("exp")),
        ("exp", json!("tomorrow"), claim("exp")),
        ("exp", json!(-1), claim("exp")),
        ("exp", json!(now() - 31), Invalid::Expired),
        ("nbf", json!(now() + 60), Invalid::NotYet),
        ("nbf", json!("soon"), claim("nbf")),
    ] {
        assert_eq!(judge(name, value.clone()), why, "{name} {value}");
    }
}

#[test]
fn clocks_may_differ_a_little_and_no_more() {
    let signer = Signer::new("k1");
    let at = |name: &str, value: u64| {
        expected().judge(&signer.sign(&claims_but(name, json!(value))), &keys(&[&signer]), now()).map(|_| ())
    };
    at("exp", now() - 20).unwrap();
    at("nbf", now() + 20).unwrap();
    // The same token, later: it was good once, and is no more.
    let token = signer.sign(&claims_but("exp", json!(now() + 10)));
    let judge = |time| expected().judge(&token, &keys(&[&signer]), time).map(|_| ());
    judge(now()).unwrap();
    assert_eq!(judge(now() + 41), Err(Invalid::Expired));
}

#[test]
fn no_token_says_by_which_key_or_algorithm_it_is_judged() {
    let (signer, thief) = (Signer::new("k1"), Signer::new("k1"));
    let keys = keys(&[&signer]);
    let judge = |token: &str| expected().judge(token, &keys, now()).unwrap_err();
    let said = claims("products:write");
    // Another's key under the name of ours.
    assert_eq!(judge(&thief.sign(&said)), Invalid::Signature);
    // A key that comes along, or is to be fetched from somewhere.
    let jwk = serde_json::from_value(thief.jwk()).unwrap();
    let brought = Header { jwk: Some(jwk), ..thief.header() };
    assert_eq!(judge(&thief.sign_as(&brought, &said)), Invalid::Signature);
    let elsewhere = Header {
        jku: Some("https://evil.example/keys".to_owned()),
        x5u: Some("https://evil.example/keys".to_owned()),
        ..thief.header()
    };
    assert_eq!(judge(&thief.sign_as(&elsewhere, &said)), Invalid::Signature);
    // Names of keys that mean something to a file system or a database.
    for kid in ["../../../../dev/null", "k1' OR '1'='1", "k1\0", "", "K1", "https://evil.example/keys"] {
        let header = Header { kid: Some(kid.to_owned()), ..thief.header() };
        assert_eq!(judge(&thief.sign_as(&header, &said)), Invalid::UnknownKey, "{kid}");
    }
    // The public key as a shared secret, in all the ways that it may be written.
    let public = signer.jwk();
    let x = public["x"].as_str().unwrap().as_bytes().to_vec();
    for secret in [x, public.to_string().into_bytes(), Vec::new()] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = Header { kid: Some("k1".to_owned()), ..Header::new(algorithm) };
            let token = encode(&header, &said, &EncodingKey::from_secret(&secret)).unwrap();
            assert_eq!(judge(&token), Invalid::Algorithm);
        }
    }
    // No signature at all, however `none` is spelled, with and without what follows the last dot.
    let payload = base64url(said.to_string().as_bytes());
    let good = signer.sign(&said);
    let signature = good.rsplit('.').next().unwrap();
    for none in ["none", "None", "NONE", "nOnE", "", "ES256 "] {
        let header = base64url(json!({"alg": none, "kid": "k1", "typ": "JWT"}).to_string().as_bytes());
        for signature in ["", signature] {
            assert_eq!(judge(&format!("{header}.{payload}.{signature}")), Invalid::Malformed, "{none}");
        }
    }
    // Our own algorithm and key, without a signature, or with one of other words.
    let (header, rest) = good.split_once('.').unwrap();
    assert_eq!(judge(&format!("{header}.{payload}.")), Invalid::Signature);
    let other = base64url(claims("products:write admin:rebuild").to_string().as_bytes());
    assert_eq!(judge(&format!("{header}.{other}.{signature}")), Invalid::Signature);
    assert_eq!(judge(&format!("{header}.{rest}.{signature}")), Invalid::Malformed);
}

#[test]
fn extensions_that_are_not_known_are_refused() {
    let signer = Signer::new("k1");
    let header = Header { crit: Some(vec!["b64".to_owned()]), ..signer.header() };
    let token = signer.sign_as(&header, &claims("products:read"));
    assert_eq!(expected().judge(&token, &keys(&[&signer]), now()), Err(Invalid::Critical));
}

#[test]
fn what_is_huge_or_nonsense_is_refused_at_once() {
    let signer = Signer::new("k1");
    let keys = keys(&[&signer]);
    let judge = |token: &str| expected().judge(token, &keys, now()).unwrap_err();
    let huge = signer.sign(&claims_but("scope", json!("x".repeat(MAX_TOKEN))));
    assert_eq!(judge(&huge), Invalid::TooLong);
    let deep = base64url(format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)).as_bytes());
    for nonsense in
        ["", ".", "..", "a.b.c", &format!("{deep}.{deep}.{deep}"), "\u{e4}.\u{e4}.\u{e4}", &"a.".repeat(100)]
    {
        assert_eq!(judge(nonsense), Invalid::Malformed, "{nonsense}");
    }
}

#[test]
fn a_token_that_names_no_key_can_only_be_of_an_issuer_with_one() {
    let (first, second) = (Signer::new("k1"), Signer::new("k2"));
    let token = first.sign_as(&Header { kid: None, ..first.header() }, &claims("products:read"));
    expected().judge(&token, &keys(&[&first]), now()).unwrap();
    assert_eq!(expected().judge(&token, &keys(&[&first, &second]), now()), Err(Invalid::UnknownKey));
}

#[test]
fn of_a_set_only_public_keys_for_signatures_are_used_each_for_one_algorithm() {
    let signer = Signer::new("k1");
    let good = signer.jwk();
    let changed = |name: &str, value: serde_json::Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        json!({ "keys": [jwk] }).to_string()
    };
    let is_usable = |document: &str| KeySet::parse(document.as_bytes()).is_ok();
    assert!(is_usable(&changed("use", json!("sig"))));
    assert!(!is_usable(&changed("use", json!("enc"))));
    for algorithm in ["HS256", "RS256", "ES384", "none", "RSA-OAEP"] {
        assert!(!is_usable(&changed("alg", json!(algorithm))), "{algorithm}");
    }
    for document in [
        String::new(),
        "{}".to_owned(),
        json!({ "keys": [] }).to_string(),
        json!({ "keys": "k1" }).to_string(),
        json!({ "keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k1", "alg": "HS256"}] }).to_string(),
        json!({ "keys": [7, null, {"kty": "EC"}] }).to_string(),
        json!({ "keys": vec![good.clone(); 65] }).to_string(),
    ] {
        assert!(!is_usable(&document), "{document}");
    }
    // What is of no use beside it spoils nothing.
    assert!(is_usable(&json!({ "keys": [{"kty": "oct", "k": "c2VjcmV0"}, 7, good] }).to_string()));
}

/// The key and the signature are OpenSSL's.
#[test]
fn a_signature_by_others_holds() {
    let modulus = concat!(
        "kQ5e4_PoAWhTAo53_EiGNHok9yLUw8DgwImYuo5DAZEKK8J99dKV7NpvnZGLHyRA01frZgyYwK3MrO3vMaoycLGog-zeQoGNZN_n",
        "Zn7sT4lm9LGJH9S-69lUmxYMA2YwaoAtfChByQ8-VuQuDVuEG1OUvlBtFesUCQKRJ8D2QDAxSYMUn821tQU7yrEZNtEz8vHG4-Xb",
        "WJUlWb_lyHJ3F42TtqepfYW4lBytqqd9bSBXuyXvAFnj3F2GSMZp-SnkQTyqqgLQPCZEnddOPIF3stqstP68N4LgybfrxsxIV-vr",
        "Ia7wIkhKVqsMGUUzuBnPQEfJYIAFK3LcTHaeZg0rww",
    );
    let token = concat!(
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmFjbWUuZXhhbXBsZSIsImF1ZCI6ImZvbGl",
        "vIiwic3ViIjoiYWRhIiwiZXhwIjo0MTAyNDQ0ODAwLCJzY29wZSI6InByb2R1Y3RzOnJlYWQifQ.E2Zx6lQErkkPPuRVawkQQgdr",
        "q5ckCoGlYe3uCx5HgYFel-183XlCjUaDntauOhUK0PkAriM_eQkc3q-zTKcxVSZ9BZcc51aSkc6J8dNPy4KyiSRlbgsR-a-PJrU-",
        "IoaoRnUunluWknpw5LiMYLibEXzyRiKmxrZisFldioZ3WZRFQZ1dFE-w3l3WRzJX5E2-iJRIN3mSYBNhIsbvRQfwxLqWSI0wIHny",
        "3vmHtCZMkTxqojRBtkD74NSlaHGNx7kUNBm3AFD480QTrEJg3JlVd_GwZhIFLXFCQbI04QdINf9SnTxZgCnotk20FTrklrk5w2kb",
        "GF2q3leH43zqoMwG9g",
    );
    let set = |algorithm: &str| {
        let rsa = json!({"kty": "RSA", "e": "AQAB", "n": modulus, "alg": algorithm});
        KeySet::parse(json!({ "keys": [rsa] }).to_string().as_bytes()).unwrap()
    };
    let (found, until) = expected().judge(token, &set("RS256"), now()).unwrap();
    assert_eq!((found["sub"].as_str(), until), (Some("ada"), 4_102_444_830));
    // A key for another algorithm of the same family is not for this one.
    for other in ["RS384", "RS512", "PS256"] {
        assert_eq!(expected().judge(token, &set(other), now()), Err(Invalid::Algorithm), "{other}");
    }
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let damaged = format!("{rest}.F{}", &signature[1..]);
    assert_eq!(expected().judge(&damaged, &set("RS256"), now()), Err(Invalid::Signature));
}
