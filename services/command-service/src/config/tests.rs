use super::*;

#[test]
fn the_defaults_can_serve() {
    Config::default().check().unwrap();
}

#[test]
fn what_cannot_serve_is_named() {
    let mut config = Config::default();
    config.uploads.window = 0;
    let error = config.check().unwrap_err().to_string();
    assert!(error.contains("uploads.window") && error.contains("at least 1"), "{error}");
    let mut config = Config::default();
    config.http.stall_ms = 99;
    assert!(config.check().unwrap_err().to_string().contains("http.stall_ms"));
    let mut config = Config::default();
    config.kafka.message_timeout_ms = 300_000;
    let error = config.check().unwrap_err().to_string();
    assert!(error.contains("kafka.message_timeout_ms") && error.contains("at most 120000"), "{error}");
    for (remembered, what) in [(0, "at least 1"), (4_097, "at most 4096")] {
        let mut config = Config::default();
        config.engine.remembered_commands = remembered;
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("engine.remembered_commands") && error.contains(what), "{error}");
    }
}
