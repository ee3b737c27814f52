//! The proxy answers a server that asks who it is. Source: `pg_fe_sendauth` in `fe-auth.c`, `fe-auth-scram.c`.

use super::{
    RANDOM,
    error::AuthError,
    md5,
    scram::{Derivation, Keys, are_same, decode, encode, iterations, server_signature},
    secret::Credential,
};
use crate::wire::{
    frontend::password_message,
    sasl::{self, SCRAM, SCRAM_PLUS},
};

/// See the module's text.
#[derive(Debug)]
pub struct Answering {
    user: String,
    credential: Credential,
    /// What binds the login to the certificate that the server has shown.
    end_point: Option<Vec<u8>>,
    nonce: String,
    stands: Stands,
}

#[derive(Debug)]
enum Stands {
    Begins,
    Offered {
        header: Vec<u8>,
    },
    /// The server's first words are there, and the keys are being made.
    Derived {
        header: Vec<u8>,
        server_first: String,
    },
    Proved {
        signature: [u8; 32],
    },
    Ends,
}

/// What comes of a server's question.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It wants none.
    None,
    /// This.
    Say(Vec<u8>),
    /// Keys are needed, which [`Answering::derived`] takes. It is to be run elsewhere.
    Derive(Derivation),
}

impl Answering {
    /// For that user.
    pub fn new(
        user: String,
        credential: Credential,
        end_point: Option<Vec<u8>>,
        random: [u8; RANDOM],
    ) -> Self {
        Self { user, credential, end_point, nonce: encode(&random), stands: Stands::Begins }
    }

    /// The server's question, the body of an Authentication message; the answer, if it wants one.
    ///
    /// # Errors
    /// There is no answer, or the server does not know the secret either.
    pub fn hear(&mut self, body: &[u8]) -> Result<Answer, AuthError> {
        let Some((code, data)) = sasl::request_code(body) else { return Ok(Answer::None) };
        match (code, &self.stands) {
            (sasl::OK, Stands::Begins | Stands::Ends) => Ok(Answer::None),
            // A server that lets in whoever began SCRAM has proved nothing.
            (sasl::OK, Stands::Offered { .. } | Stands::Derived { .. } | Stands::Proved { .. }) => {
                Err(self.unproven())
            }
            (sasl::CLEARTEXT, _) => match &self.credential {
                Credential::Password(password) => Ok(Answer::Say(password_message(&[password, b"\0"]))),
                Credential::None | Credential::Md5(_) | Credential::Keys(_) => {
                    Err(self.no_answer("a password"))
                }
            },
            (sasl::MD5, _) => {
                let stored = match &self.credential {
                    Credential::Password(password) => md5::stored(self.user.as_bytes(), password),
                    Credential::Md5(hash) => hash.clone(),
                    Credential::None | Credential::Keys(_) => return Err(self.no_answer("an md5 hash")),
                };
                Ok(Answer::Say(password_message(&[md5::answer(&stored, data).as_bytes(), b"\0"])))
            }
            (sasl::SASL, _) => self.first(body),
            (sasl::CONTINUE, Stands::Offered { header }) => {
                let header = header.clone();
                self.server_first(header, data)
            }
            (sasl::FINAL, Stands::Proved { signature }) => {
                let text = std::str::from_utf8(data).ok().and_then(|text| text.strip_prefix("v="));
                let shown = text.and_then(|text| decode(text.split(',').next().unwrap_or_default()));
                if !shown.is_some_and(|shown| are_same(&shown, signature)) {
                    return Err(self.unproven());
                }
                self.stands = Stands::Ends;
                Ok(Answer::None)
            }
            _ => Err(self.no_answer("something that is not supported (GSSAPI, SSPI or a later method)")),
        }
    }

    fn unproven(&self) -> AuthError {
        AuthError::ServerUnproven { user: self.user.clone() }
    }

    fn no_answer(&self, asked: &'static str) -> AuthError {
        AuthError::NoAnswer { user: self.user.clone(), asked, secret: self.credential.kind() }
    }

    /// The keys that were to be derived; the answer.
    ///
    /// # Errors
    /// None were.
    pub fn derived(&mut self, keys: &Keys) -> Result<Vec<u8>, AuthError> {
        match std::mem::replace(&mut self.stands, Stands::Begins) {
            Stands::Derived { header, server_first } => self.proof(&header, &server_first, keys),
            Stands::Begins | Stands::Offered { .. } | Stands::Proved { .. } | Stands::Ends => {
                Err(AuthError::Malformed { problem: "keys without a question" })
            }
        }
    }

    fn first(&mut self, body: &[u8]) -> Result<Answer, AuthError> {
        if !matches!(self.credential, Credential::Password(_) | Credential::Keys(_)) {
            return Err(self.no_answer("SCRAM"));
        }
        let offered = sasl::offered(body).unwrap_or_default();
        let (mechanism, header) = match &self.end_point {
            Some(end_point) if offered.contains(&SCRAM_PLUS) => {
                (SCRAM_PLUS, [b"p=tls-server-end-point,,", end_point.as_slice()].concat())
            }
            _ if offered.contains(&SCRAM) => (SCRAM, b"n,,".to_vec()),
            _ => return Err(self.no_answer("a SASL mechanism that is not supported")),
        };
        let gs2: &[u8] = if mechanism == SCRAM { b"n,," } else { b"p=tls-server-end-point,," };
        let words = [gs2, b"n=,r=", self.nonce.as_bytes()].concat();
        let length = u32::try_from(words.len()).unwrap_or(0).to_be_bytes();
        self.stands = Stands::Offered { header };
        Ok(Answer::Say(password_message(&[mechanism, b"\0", &length, &words])))
    }

    fn server_first(&mut self, header: Vec<u8>, data: &[u8]) -> Result<Answer, AuthError> {
        let wrong = |problem| AuthError::Malformed { problem };
        let server_first = std::str::from_utf8(data).map_err(|_utf8| wrong("the server's is not UTF-8"))?;
        let (nonce, salt, count) =
            (field(server_first, "r=")?, field(server_first, "s=")?, field(server_first, "i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(wrong("the server's nonce is not ours"));
        }
        let salt = decode(salt).ok_or(wrong("the server's salt is not base64"))?;
        let count = iterations(count).ok_or(wrong("the server's number of iterations"))?;
        match &self.credential {
            Credential::Password(password) => {
                let derivation = Derivation::new(password, &salt, count);
                self.stands = Stands::Derived { header, server_first: server_first.to_owned() };
                Ok(Answer::Derive(derivation))
            }
            Credential::Keys(keys) if keys.salt == salt && keys.iterations == count => {
                let keys = keys.clone();
                self.proof(&header, server_first, &keys).map(Answer::Say)
            }
            Credential::Keys(_) => Err(AuthError::NotTheServersVerifier { user: self.user.clone() }),
            Credential::None | Credential::Md5(_) => Err(self.no_answer("SCRAM")),
        }
    }

    fn proof(&mut self, header: &[u8], server_first: &str, keys: &Keys) -> Result<Vec<u8>, AuthError> {
        let nonce = field(server_first, "r=")?;
        let without_proof = format!("c={},r={nonce}", encode(header));
        let auth_message = format!("n=,r={},{server_first},{without_proof}", self.nonce);
        let proof = encode(&keys.proof(auth_message.as_bytes()));
        let signature = server_signature(&keys.server_key, auth_message.as_bytes());
        self.stands = Stands::Proved { signature };
        Ok(password_message(&[without_proof.as_bytes(), b",p=", proof.as_bytes()]))
    }
}

/// A field of the server's first words.
fn field<'a>(server_first: &'a str, name: &str) -> Result<&'a str, AuthError> {
    let found = server_first.split(',').find_map(|word| word.strip_prefix(name));
    found.ok_or(AuthError::Malformed { problem: "the server's lacks a field" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::{Asked, Asking, Client, SALT_KEY, Secret, Verifier},
        config::AuthMethod,
    };

    /// Lets the two speak to each other; what the asking side learned.
    fn talk(
        secret: Option<Secret>,
        mut answering: Answering,
        method: AuthMethod,
        end_point: Option<Vec<u8>>,
    ) -> Result<Credential, AuthError> {
        let (mut asking, mut asked) = Asking::begin(client(method, end_point), secret, [5; RANDOM])?;
        loop {
            let (says, credential) = match asked {
                Asked::More(says) => (says, None),
                Asked::Derive(derivation) => {
                    asked = asking.derived(derivation.run())?;
                    continue;
                }
                Asked::Proven(says, credential) => (says, Some(credential)),
            };
            let answer = if says.is_empty() { Answer::None } else { answering.hear(&says[5..])? };
            if let Some(credential) = credential {
                assert_eq!(answering.hear(&[0; 4])?, Answer::None, "AuthenticationOk");
                return Ok(credential);
            }
            let answer = match answer {
                Answer::Say(answer) => answer,
                Answer::Derive(derivation) => answering.derived(&derivation.run())?,
                Answer::None => panic!("it answers every question"),
            };
            asked = asking.hear(&answer[5..])?;
        }
    }

    fn client(method: AuthMethod, end_point: Option<Vec<u8>>) -> Client {
        Client { user: "ann".into(), method, end_point, certificate_name: None, salt_key: [3; SALT_KEY] }
    }

    #[test]
    fn a_salt_is_the_same_each_time_and_does_not_tell_who_has_a_password() {
        let first_words = |secret: Option<Secret>| {
            let (mut asking, _) =
                Asking::begin(client(AuthMethod::Scram, None), secret, [5; RANDOM]).unwrap();
            match asking.hear(b"SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc").unwrap() {
                Asked::More(says) => says,
                Asked::Derive(derivation) => match asking.derived(derivation.run()).unwrap() {
                    Asked::More(says) => says,
                    other @ (Asked::Derive(_) | Asked::Proven(..)) => panic!("{other:?}"),
                },
                Asked::Proven(..) => panic!("nothing was proved"),
            }
        };
        let password = || Some(Secret::Password(b"pw".to_vec()));
        assert_eq!(first_words(password()), first_words(password()));
        assert_eq!(first_words(password()), first_words(None));
    }

    #[test]
    fn keys_that_nobody_asked_for_are_not_taken() {
        let keys = || Derivation::new(b"pw", &[7; 16], 1).run();
        let (mut asking, _) = Asking::begin(client(AuthMethod::Scram, None), None, [5; RANDOM]).unwrap();
        assert!(matches!(asking.derived(keys()), Err(AuthError::Malformed { .. })));
        assert!(matches!(answering("pw", None).derived(&keys()), Err(AuthError::Malformed { .. })));
    }

    fn answering(password: &str, end_point: Option<Vec<u8>>) -> Answering {
        Answering::new("ann".into(), Credential::Password(password.into()), end_point, [6; RANDOM])
    }

    #[test]
    fn both_sides_understand_each_other_in_every_method() {
        let verifier = Secret::Scram(Verifier::of_password(b"pw", &[7; 16]));
        let hash = Secret::Md5(md5::stored(b"ann", b"pw"));
        let plain = Secret::Password(b"pw".to_vec());
        for (secret, method) in [
            (&verifier, AuthMethod::Scram),
            (&verifier, AuthMethod::Md5),
            (&verifier, AuthMethod::Password),
            (&plain, AuthMethod::Scram),
            (&plain, AuthMethod::Md5),
            (&plain, AuthMethod::Password),
            (&hash, AuthMethod::Md5),
            (&hash, AuthMethod::Password),
        ] {
            let secret = || Some(secret.clone());
            assert!(
                talk(secret(), answering("pw", None), method, None).is_ok(),
                "{secret:?} {method:?}",
                secret = secret()
            );
            let wrong = talk(secret(), answering("wrong", None), method, None);
            assert_eq!(wrong.unwrap_err(), AuthError::Failed { user: "ann".into() });
            let nobody = talk(None, answering("pw", None), method, None);
            assert_eq!(nobody.unwrap_err(), AuthError::Failed { user: "ann".into() });
        }
    }

    #[test]
    fn the_keys_in_a_proof_log_in_to_a_server_with_the_same_verifier_and_to_no_other() {
        let verifier = || Some(Secret::Scram(Verifier::of_password(b"pw", &[7; 16])));
        let end_point = || Some(vec![1; 32]);
        let keys = talk(verifier(), answering("pw", end_point()), AuthMethod::Scram, end_point()).unwrap();
        let to_server = || Answering::new("ann".into(), keys.clone(), end_point(), [9; RANDOM]);
        assert!(talk(verifier(), to_server(), AuthMethod::Scram, end_point()).is_ok());
        let other = Some(Secret::Scram(Verifier::of_password(b"pw", &[8; 16])));
        let refused = talk(other, to_server(), AuthMethod::Scram, end_point()).unwrap_err();
        assert_eq!(refused, AuthError::NotTheServersVerifier { user: "ann".into() });
        let refused = talk(verifier(), to_server(), AuthMethod::Password, None).unwrap_err();
        assert!(matches!(refused, AuthError::NoAnswer { .. }), "{refused:?}");
    }

    #[test]
    fn a_binding_to_another_certificate_and_an_offer_that_was_taken_away_are_noticed() {
        let secret = || Some(Secret::Password(b"pw".to_vec()));
        let other = talk(secret(), answering("pw", Some(vec![2; 32])), AuthMethod::Scram, Some(vec![1; 32]));
        assert_eq!(other.unwrap_err(), AuthError::Binding);
        let bound = client(AuthMethod::Scram, Some(vec![1; 32]));
        let (mut asking, _) = Asking::begin(bound, secret(), [5; RANDOM]).unwrap();
        let body = b"SCRAM-SHA-256\0\0\0\0\x0by,,n=,r=abc";
        assert_eq!(asking.hear(body).unwrap_err(), AuthError::Downgrade);
    }

    #[test]
    fn a_server_that_does_not_prove_itself_is_not_believed() {
        let mut answering = answering("pw", None);
        answering.hear(b"\0\0\0\x0aSCRAM-SHA-256\0\0").unwrap();
        assert!(matches!(answering.hear(&[0; 4]), Err(AuthError::ServerUnproven { .. })));
    }

    #[test]
    fn nonsense_is_an_error_and_no_panic() {
        for body in [
            &b""[..],
            b"\0",
            b"SCRAM-SHA-256\0",
            b"SCRAM-SHA-256\0\0\0\0\x03n,,",
            b"X\0\0\0\0\0",
            &[0xff; 40],
        ] {
            let (mut asking, _) = Asking::begin(client(AuthMethod::Scram, None), None, [5; RANDOM]).unwrap();
            assert!(asking.hear(body).is_err(), "{body:?}");
        }
    }
}
