//! How we sign in: with name and password, the password as it is when a connection is made.

use async_trait::async_trait;
use scylla::authentication::{
    AuthError, AuthenticatorProvider, AuthenticatorSession, PlainTextAuthenticator,
};
use toolkit::config::Credential;

/// What the driver asks with each connection that it makes, those included that it makes again.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Option<Credential>,
}

#[async_trait]
impl AuthenticatorProvider for Login {
    async fn start_authentication_session(
        &self,
        authenticator_name: &str,
    ) -> Result<(Option<Vec<u8>>, Box<dyn AuthenticatorSession>), AuthError> {
        let password = self.password.as_ref().map(Credential::current).unwrap_or_default();
        let plain = PlainTextAuthenticator::new(self.user.clone(), password.expose().to_owned());
        plain.start_authentication_session(authenticator_name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_connection_signs_in_with_the_password_as_it_is() {
        let password = Credential::of("cql.password", Some(&"secret".into()), None).unwrap();
        let login = Login { user: "folio".to_owned(), password };
        let (first, _) = login.start_authentication_session("any").await.unwrap();
        assert_eq!(first.unwrap(), b"\0folio\0secret");
    }
}
