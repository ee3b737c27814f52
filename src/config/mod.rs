//! Settings: the shape of the file, the defaults, and the checks that make a raw configuration one that the
//! program can trust. Pure: texts come in, faults or values go out.

mod auth;
mod conninfo;
mod conninfo_text;
mod console;
mod error;
mod expect;
mod fixed;
mod raw;
mod reading;
mod rules;
mod settings;
mod shown;
mod tls;
mod upstreams;
mod values;
mod window;

pub use auth::{AuthMethod, AuthQuery, AuthRule, AuthSettings};
pub use conninfo::{Conninfo, Host, SslMode};
pub use console::{ConsoleRole, ConsoleSettings};
pub use error::{ConfigError, Fault};
pub use expect::{Expectation, Term};
pub use raw::{Overrides, RawConfig};
pub use settings::{Config, DEFAULT_HTTP, DEFAULT_LISTEN, Limits, RefusalTexts};
pub use tls::{ClientCertificate, TlsPolicy, TlsSettings, TlsVersion};
pub use upstreams::{MAIN, Route, UPSTREAMS_LIMIT, UpstreamSettings, Upstreams};
pub use values::{Address, parse_duration};
pub use window::{Hooks, Smoke, Stage, WindowSettings};
