//! The values of metrics' labels that come from a caller. Promises that there are few of them, whatever callers send.

/// The label of an HTTP method: anyone may invent methods, so that one which is not common is `other`.
pub fn http_method(method: &str) -> &'static str {
    const COMMON: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];
    COMMON.into_iter().find(|common| *common == method).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_somebody_invents_is_no_label() {
        for (method, label) in
            [("GET", "GET"), ("PUT", "PUT"), ("FOO", "other"), ("get", "other"), ("", "other")]
        {
            assert_eq!(http_method(method), label);
        }
    }
}
