//! The process: parse the command line, build the runtime, turn the end into an exit code.

use clap::Parser as _;
use frostgate::{
    app::{self, AppError, Start},
    causes::with_causes,
    cli::{self, Caller, Cli, CliError, Command, DemoError, Exit},
};
use std::{
    env,
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

/// Thousands of sessions lie idle in a few small pieces each, some of them aligned: it wastes least of such.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Clap itself ends the process with 2 for wrong usage, and with 0 for help.
    let exit = run(Cli::parse().command).unwrap_or_else(|failure| {
        let text = with_causes(failure.error());
        // Who has closed standard error does not want to hear.
        drop(writeln!(io::stderr(), "frostgate: {text}"));
        failure.exit()
    });
    ExitCode::from(exit.code())
}

/// Why the process ends without having done what it was asked for.
enum Failure {
    Cli(CliError),
    App(AppError),
    Demo(DemoError),
}

impl Failure {
    fn error(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Cli(error) => error,
            Self::App(error) => error,
            Self::Demo(error) => error,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Cli(error) => error.exit(),
            Self::App(AppError::Tls(_) | AppError::Secrets(_)) => Exit::Usage,
            // A moment later the address or the directory may be free: a service manager shall try again.
            Self::App(AppError::Listen { .. } | AppError::State(_) | AppError::System { .. }) => {
                Exit::Failure
            }
            Self::Demo(error) => error.exit(),
        }
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        Self::Cli(error)
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        Self::Demo(error)
    }
}

fn run(command: Command) -> Result<Exit, Failure> {
    let path = |name| env::var_os(name).map(PathBuf::from);
    let state_dir = app::default_state_dir(app::is_root(), path("HOME"), path("XDG_STATE_HOME"));
    let caller = |state_dir: PathBuf| Caller {
        default_control: state_dir.join("control.sock"),
        name: ["SUDO_USER", "USER", "LOGNAME"]
            .iter()
            .find_map(|name| env::var(name).ok().filter(|user| !user.is_empty()))
            .unwrap_or_else(|| "unknown".into()),
        now: app::local_now(),
    };
    match command {
        Command::Serve(args) => {
            let start = Start { frozen: args.frozen, environment: |name| env::var_os(name) };
            let config = cli::serve_config((*args).clone(), state_dir.clone())?;
            let reread = move || {
                cli::serve_config((*args).clone(), state_dir.clone()).map_err(|error| with_causes(&error))
            };
            app::log_to_stderr();
            app::serve(config, start, Box::new(reread))?;
            Ok(Exit::Done)
        }
        Command::Explain(args) => {
            cli::explain(&args)?;
            Ok(Exit::Done)
        }
        Command::CheckConfig { file } => {
            let config = cli::check_config(&file, state_dir)?;
            writeln!(
                io::stdout(),
                "{} is fine: {} in front of {}",
                file.display(),
                list(&config.listen),
                config.upstreams
            )
            .map_err(CliError::from)?;
            Ok(Exit::Done)
        }
        Command::Man { folder } => {
            cli::man(&folder)?;
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            cli::completions(shell)?;
            Ok(Exit::Done)
        }
        Command::Doctor(args) => remote(cli::doctor(args, state_dir)),
        Command::Freeze(args) => remote(cli::freeze(args, &caller(state_dir))),
        Command::Thaw(args) => remote(cli::thaw(args, &caller(state_dir))),
        Command::Status(args) => remote(cli::status(args, &caller(state_dir))),
        Command::Verify(args) => remote(cli::verify(args, &caller(state_dir))),
        Command::Window(args) => remote(cli::window(*args, &caller(state_dir), environment())),
        Command::Preflight(args) => remote(cli::preflight(args, &caller(state_dir))),
        Command::Rehearse(args) => remote(cli::rehearse(args, &caller(state_dir))),
        Command::Smoke(args) => remote(cli::smoke(args, &caller(state_dir))),
        Command::Reopen(args) => remote(cli::reopen(args, &caller(state_dir))),
        Command::History(args) => remote(cli::history(args, &caller(state_dir))),
        Command::Report(args) => remote(cli::report(args, &caller(state_dir))),
        Command::Except(command) => remote(cli::except(command, &caller(state_dir))),
        Command::Exceptions(args) => remote(cli::exceptions(args, &caller(state_dir))),
        Command::Writers(args) => remote(cli::writers(args, &caller(state_dir))),
        Command::Refused(args) => remote(cli::refused(args, &caller(state_dir))),
        Command::Demo { keep } => remote(cli::demo(keep)),
    }
}

/// What of the environment is text.
fn environment() -> std::collections::BTreeMap<String, String> {
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn list(addresses: &[frostgate::config::Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A verb that speaks to a running proxy, or starts one.
fn remote<E: Into<Failure>>(verb: impl Future<Output = Result<Exit, E>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(CliError::from)?.block_on(verb).map_err(Into::into)
}
