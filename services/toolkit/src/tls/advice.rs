//! What to do about a handshake that failed. rustls and OpenSSL say what they saw, in words of their own; people need to know at
//! whose end something has to change.

/// What an error contains, in rustls' words or in OpenSSL's, and what to do then. The first that fits counts.
const ADVICE: [(&[&str], &str); 10] = [
    (
        // Alerts: what the other side says of us.
        &["certificaterequired", "certificate required", "peer did not return a certificate"],
        "the server wants to be shown a certificate: give certificate_file and key_file",
    ),
    (
        &["certificateexpired", "alert certificate expired"],
        "the server refuses our certificate because it has expired, or is not valid yet: renew certificate_file",
    ),
    (
        // Of Java servers also for one that is missing or has expired.
        &[
            "unknown ca",
            "unknownca",
            "bad certificate",
            "badcertificate",
            "certificate unknown",
            "certificateunknown",
        ],
        "the server does not accept our certificate, or wants one: give one in certificate_file that is valid and that an \
         authority of the server signed",
    ),
    (
        &["invalid peer certificate: expired", "certificate expired", "certificate has expired"],
        "the server's certificate has expired, or the clock here is wrong: renew it at the server",
    ),
    (
        &["not valid yet", "not yet valid", "notvalidyet"],
        "the server's certificate is not valid yet: see whether the clocks here and there are right",
    ),
    (
        &["not valid for name", "notvalidforname", "hostname mismatch", "ip address mismatch"],
        "the server's certificate is for another name: connect by a name that it has, or give the server a certificate for \
         this one",
    ),
    (
        &[
            "unknownissuer",
            "unable to get local issuer",
            "self-signed certificate",
            "self signed certificate",
        ],
        "no authority in ca_file signed the server's certificate: give the file of the authority that did",
    ),
    (
        // All that librdkafka tells.
        &["certificate verify failed"],
        "no authority in ca_file signed the server's certificate, or it has expired, or it is for another name than the one \
         connected to",
    ),
    (
        &["connecting to a ssl listener", "connecting to a sasl_ssl"],
        "that port speaks TLS: set kafka.security_protocol to ssl or sasl_ssl",
    ),
    (
        &[
            "invalidcontenttype",
            "wrong version number",
            "received corrupt message",
            "packet length too long",
            "plaintext broker listener",
        ],
        "that port does not speak TLS: give the port that does, or turn TLS off on this side",
    ),
];

/// An error's text, followed by what to do if it is one of TLS.
pub fn explained(problem: String) -> String {
    let lower = problem.to_lowercase();
    let advice = ADVICE.iter().find(|(signs, _)| signs.iter().any(|sign| lower.contains(sign)));
    match advice {
        Some((_, advice)) if !problem.contains(advice) => format!("{problem} ({advice})"),
        _ => problem,
    }
}
