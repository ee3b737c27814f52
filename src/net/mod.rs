//! Sockets: login, relay, cancel, the way to the server. Thin: an `async fn` here moves bytes or waits; what a
//! message means is decided in `session`.

mod asking;
mod cancel;
mod deriving;
mod ended;
mod error;
mod examine;
mod farewell;
mod greeting;
mod leg;
mod login;
mod meeting;
mod password;
mod relay;
mod ruling;
mod servers;
mod sift;
mod stream;
mod upstream;
mod worker;

pub use cancel::send as send_cancel;
pub use deriving::{DERIVATIONS_LIMIT, Deriver};
pub use ended::Keeper;
pub use error::{NetError, Peer};
pub use examine::{Asks, Examined, Shown, Visitor, examine};
pub use farewell::farewell;
pub use greeting::{Greeting, greet};
pub use login::{LoggedIn, LoginOutcome, LoginWay, Relayed, log_in, tell, turn_away};
pub use relay::{Ending, Ends, Gone, Relay};
pub use servers::{Server, Servers};
pub use stream::{Stream, tune};
pub use upstream::Upstream;
pub use worker::{Shared, Worker};
