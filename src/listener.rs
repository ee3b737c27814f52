//! Accepting: each door's loop, the limit on connections, a pause when descriptors run out, and the way to the worker
//! that is to serve it.

use crate::{
    config::{Address, Limits},
    connection::Accepted,
    fleet::Entrance,
    net::{Stream, tune, turn_away},
    wire::backend::SqlState,
};
use std::{
    fs, io,
    net::{SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream},
    os::unix::{
        fs::FileTypeExt as _,
        net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream},
    },
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream, lookup_host},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

/// Pause after an accept that failed for want of descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(100);
/// Connections on their way to one worker.
pub const HANDOVER_LIMIT: usize = 1024;
/// Clients that wait to be accepted.
const BACKLOG: u32 = 1024;
/// So many connections are served by one thread before the next one gets any: a thread that has little to do sleeps and
/// is woken between two messages, and each time costs CPU. docs/PERFORMANCE.md tells how much.
const FEW: usize = 8;
/// Connections beyond `max_connections` that are heard, as one of them may have come for the console.
const RESERVED_PLACES: usize = 16;
/// For telling a client that there are too many.
const TURN_AWAY_LIMIT: Duration = Duration::from_secs(1);

/// What a worker is to do.
#[derive(Debug)]
pub enum Errand {
    /// Serve a connection.
    Serve(Handover),
    /// Accept connections.
    Accept(Accepting),
}

/// A connection on its way to a worker.
#[derive(Debug)]
pub struct Handover {
    /// The socket.
    pub socket: Socket,
    /// Where it comes from.
    pub client: Option<SocketAddr>,
    /// By which door.
    pub entrance: Entrance,
    /// Counted as long as it lives.
    pub place: PlaceTaken,
    /// Whether its place is one that is kept free for the console.
    pub is_reserved: bool,
}

/// A socket on its way to a worker.
#[derive(Debug)]
pub enum Socket {
    /// Accepted by that worker itself.
    Own(Stream),
    /// TCP, without a runtime, so that the worker's can take it.
    Tcp(StdTcpStream),
    /// A Unix socket, as well.
    Unix(StdUnixStream),
}

impl Socket {
    /// Takes it from the runtime that accepted it.
    fn free(stream: Stream) -> io::Result<Self> {
        match stream {
            Stream::Tcp(stream) => stream.into_std().map(Self::Tcp),
            Stream::Unix(stream) => stream.into_std().map(Self::Unix),
            encrypted @ (Stream::Tls(_) | Stream::Gone) => Ok(Self::Own(encrypted)),
        }
    }
}

impl Handover {
    /// Gives the socket to the runtime that this is called in.
    ///
    /// # Errors
    /// The runtime would not take it.
    pub fn take(self) -> io::Result<(Accepted, PlaceTaken)> {
        let stream = match self.socket {
            Socket::Own(stream) => stream,
            Socket::Tcp(socket) => Stream::Tcp(TcpStream::from_std(socket)?),
            Socket::Unix(socket) => Stream::Unix(UnixStream::from_std(socket)?),
        };
        let Self { client, entrance, is_reserved, place, .. } = self;
        Ok((Accepted { stream, client, entrance, is_reserved }, place))
    }
}

/// One worker as the listeners see it.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The way to it.
    pub sender: mpsc::Sender<Errand>,
    /// Connections that it has.
    pub load: Arc<AtomicUsize>,
}

/// One connection's place among those that are allowed.
#[derive(Debug)]
pub struct PlaceTaken {
    all: Arc<AtomicUsize>,
    desk: Arc<AtomicUsize>,
}

impl Drop for PlaceTaken {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("a session failed: this is a fault of Frostgate's; the other sessions go on");
        }
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.desk.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All workers, and the limit that holds for them together.
#[derive(Debug, Clone)]
pub struct Desks {
    workers: Vec<Desk>,
    all: Arc<AtomicUsize>,
    limit: usize,
    /// Places beyond the limit, for who comes for the console.
    reserved: usize,
}

impl Desks {
    /// Workers that may have so many connections between them.
    pub fn new(desks: Vec<Desk>, limits: &Limits, has_console: bool) -> Self {
        let limit = limits.max_connections;
        let reserved = if has_console { RESERVED_PLACES } else { 0 };
        Self { workers: desks, all: Arc::default(), limit, reserved }
    }

    /// A place at the first worker that has few connections, else at the one that has the fewest.
    fn place(&self) -> Option<(usize, PlaceTaken, bool)> {
        let load = |(_, desk): &(usize, &Desk)| desk.load.load(Ordering::Relaxed);
        let few = self.workers.iter().enumerate().find(|desk| load(desk) < FEW);
        let (number, desk) = few.or_else(|| self.workers.iter().enumerate().min_by_key(load))?;
        let before = self.all.fetch_add(1, Ordering::Relaxed);
        desk.load.fetch_add(1, Ordering::Relaxed);
        let place = PlaceTaken { all: Arc::clone(&self.all), desk: Arc::clone(&desk.load) };
        let (limit, reserved) = (self.limit, self.limit.saturating_add(self.reserved));
        (before < reserved).then_some((number, place, before >= limit))
    }

    /// Gives the doors to the first worker, which lets in what comes until `closing` says otherwise. It relays what comes
    /// first: another thread would only be one more to wait for.
    ///
    /// # Errors
    /// The runtime of a door would not part with it, or the worker has ended.
    pub async fn open(
        self,
        doors: impl IntoIterator<Item = (Door, Entrance)>,
        closing: watch::Receiver<()>,
    ) -> io::Result<()> {
        for (door, entrance) in doors {
            let door = match door {
                Door::Tcp(listener) => Closed::Tcp(listener.into_std()?),
                Door::Unix(listener) => Closed::Unix(listener.into_std()?),
            };
            let (desks, closing) = (self.clone(), closing.clone());
            if let Some(first) = self.workers.first() {
                let accepting = Errand::Accept(Accepting { door, entrance, desks, closing });
                first.sender.send(accepting).await.map_err(io::Error::other)?;
            }
        }
        Ok(())
    }

    async fn hand_over(&self, stream: Stream, client: Option<SocketAddr>, entrance: Entrance) {
        let Some((number, place, is_reserved)) = self.place() else {
            drop(tokio::spawn(too_many(stream, self.limit)));
            return;
        };
        let socket = if number == 0 { Ok(Socket::Own(stream)) } else { Socket::free(stream) };
        let socket = match socket {
            Ok(socket) => socket,
            Err(error) => return tracing::warn!(%error, "a connection was lost while it was accepted"),
        };
        let handover = Handover { socket, client, entrance, place, is_reserved };
        if let Some(desk) = self.workers.get(number)
            && desk.sender.send(Errand::Serve(handover)).await.is_err()
        {
            tracing::info!("a connection came while Frostgate was stopping");
        }
    }
}

/// Nobody waits for a client that is told to go.
async fn too_many(mut stream: Stream, limit: usize) {
    tracing::warn!(limit, "a connection was turned away: max_connections is reached");
    let detail = format!("Frostgate's limits.max_connections is {limit}.");
    let told =
        turn_away(&mut stream, SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already", &detail);
    drop(timeout(TURN_AWAY_LIMIT, told).await);
}

/// An open door.
#[derive(Debug)]
pub enum Door {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Door {
    /// Listens on an address. A socket that nobody listens on any more is replaced; `mode` is the new one's. What is
    /// accepted will be asked for a sign of life after so long a silence.
    ///
    /// # Errors
    /// The address is in use, or can't be had.
    pub async fn open(address: &Address, mode: u32, keepalive: Option<Duration>) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                let mut fault = None;
                for address in lookup_host((host.as_str(), *port)).await? {
                    match listen(address, keepalive) {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => fault = Some(error),
                    }
                }
                Err(fault.unwrap_or_else(|| io::Error::other("the name has no address")))
            }
            Address::Unix(path) => Ok(Self::Unix(bind_unix(path, mode)?)),
        }
    }

    /// Where it listens, with the port that was taken.
    pub fn name(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|e| e.to_string(), |a| a.to_string()),
            Self::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|a| a.as_pathname());
                path.map_or_else(|| "a socket".to_owned(), |path| path.display().to_string())
            }
        }
    }
}

/// What is accepted inherits what its listener was told before (`tcp_create_openreq_child` of Linux): so it is told
/// before anybody can come.
fn listen(address: SocketAddr, keepalive: Option<Duration>) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    tune(&socket, keepalive)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A door on its way to a worker: a listener that no runtime has.
#[derive(Debug)]
enum Closed {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
}

/// A door that a worker is to open.
#[derive(Debug)]
pub struct Accepting {
    door: Closed,
    entrance: Entrance,
    desks: Desks,
    closing: watch::Receiver<()>,
}

impl Accepting {
    /// Accepts until the door is to be closed, on the runtime that this is called in.
    pub async fn run(self) {
        let Self { door, entrance, desks, mut closing } = self;
        let door = match door {
            Closed::Tcp(listener) => TcpListener::from_std(listener).map(Door::Tcp),
            Closed::Unix(listener) => UnixListener::from_std(listener).map(Door::Unix),
        };
        match door {
            Ok(door) => tokio::select! {
                () = accept(door, entrance, &desks) => {}
                // If whoever would say so is gone, that is the end too.
                _ = closing.changed() => {}
            },
            Err(error) => tracing::error!(%error, "nobody is let in: a door could not be opened"),
        }
    }
}

async fn accept(door: Door, entrance: Entrance, desks: &Desks) {
    loop {
        let accepted = match &door {
            Door::Tcp(listener) => {
                listener.accept().await.map(|(stream, client)| (Stream::Tcp(stream), Some(client)))
            }
            Door::Unix(listener) => listener.accept().await.map(|(stream, _)| (Stream::Unix(stream), None)),
        };
        match accepted {
            Ok((stream, client)) => desks.hand_over(stream, client, entrance).await,
            Err(error) => {
                tracing::warn!(%error, "accepting failed");
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// Binds a Unix socket whose mode is right from its first moment.
///
/// # Errors
/// Somebody listens there, or something else than a socket is there.
pub fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if let Ok(data) = fs::symlink_metadata(path) {
        if !data.file_type().is_socket() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file of that name, not a socket",
            ));
        }
        if StdUnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there already"));
        }
        fs::remove_file(path)?;
    }
    // The mask is the process's; this is called before any other thread makes files.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777 & !mode));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt;
    use std::io::{Read as _, Seek as _};
    use tokio::{runtime::LocalRuntime, task::spawn_local};

    fn desk() -> Desk {
        Desk { sender: mpsc::channel(1).0, load: Arc::default() }
    }

    #[test]
    fn a_session_that_fails_is_told_in_the_log_and_gives_its_place_back() {
        let desks = Desks { workers: vec![desk()], all: Arc::default(), limit: 1, reserved: 0 };
        let mut log = tempfile::tempfile().unwrap();
        let to_log = Arc::new(log.try_clone().unwrap());
        let subscriber = tracing_subscriber::fmt().with_writer(to_log).finish();
        let ends = |fails: bool| {
            let (_, place, is_reserved) = desks.place().expect("there is a place");
            assert!(!is_reserved);
            LocalRuntime::new().unwrap().block_on(async {
                let session = spawn_local(async move {
                    let _place = place;
                    assert!(!fails, "as a session would");
                });
                session.await
            })
        };
        let (well, failed) = tracing::subscriber::with_default(subscriber, || (ends(false), ends(true)));
        assert!(well.is_ok() && failed.unwrap_err().is_panic());
        assert!(desks.place().is_some(), "its place is free again");
        let mut told = String::new();
        log.rewind().unwrap();
        log.read_to_string(&mut told).unwrap();
        assert_eq!(told.matches("a session failed: this is a fault of Frostgate's").count(), 1, "{told}");
    }

    #[test]
    fn what_is_let_in_is_tuned_and_stays_with_the_first_worker_while_that_has_few() {
        let (sender, mut errands) = mpsc::channel(4);
        let (second, mut seconds_errands) = mpsc::channel(4);
        let workers = [sender, second].map(|sender| Desk { sender, load: Arc::default() }).into();
        let idle = Duration::from_secs(77);
        let desks = Desks { workers, all: Arc::default(), limit: 100, reserved: 0 };
        let (closer, closing) = watch::channel(());
        LocalRuntime::new().unwrap().block_on(async {
            let address = Address::Tcp { host: "127.0.0.1".into(), port: 0 };
            let door = Door::open(&address, 0, Some(idle)).await.unwrap();
            let address = door.name();
            // Whoever comes before the door is opened waits there, and is tuned too.
            let _early = TcpStream::connect(&address).await.unwrap();
            desks.open([(door, Entrance::Ordinary)], closing).await.unwrap();
            let Some(Errand::Accept(accepting)) = errands.recv().await else { panic!("a door was expected") };
            let accepting = spawn_local(accepting.run());
            let mut places = Vec::new();
            for number in 0..=FEW {
                let _client =
                    if number > 0 { Some(TcpStream::connect(&address).await.unwrap()) } else { None };
                let to = if number < FEW { &mut errands } else { &mut seconds_errands };
                let Some(Errand::Serve(handover)) = to.recv().await else {
                    panic!("a connection was expected")
                };
                assert_eq!(matches!(handover.socket, Socket::Own(_)), number < FEW);
                let (accepted, place) = handover.take().unwrap();
                let Stream::Tcp(socket) = &accepted.stream else { panic!("TCP was expected") };
                assert!(socket.nodelay().unwrap() && sockopt::socket_keepalive(socket).unwrap());
                assert_eq!(sockopt::tcp_keepidle(socket).unwrap(), idle);
                places.push(place);
            }
            closer.send_replace(());
            accepting.await.unwrap();
            assert!(TcpStream::connect(&address).await.is_err(), "the door is closed");
        });
        assert!(closer.is_closed(), "nothing is left of the door");
    }

    #[test]
    fn a_few_connections_share_a_thread_and_many_are_spread_evenly() {
        let workers = vec![desk(), desk(), desk()];
        let desks = Desks { workers, all: Arc::default(), limit: 100, reserved: 0 };
        let loads = || desks.workers.iter().map(|desk| desk.load.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let mut places = Vec::new();
        for (taken, expected) in [(8, [8, 0, 0]), (12, [8, 4, 0]), (24, [8, 8, 8]), (60, [20, 20, 20])] {
            places.extend((places.len()..taken).filter_map(|_| desks.place().map(|(_, place, _)| place)));
            assert_eq!(loads(), expected, "{taken}");
        }
        places.clear();
        assert_eq!(loads(), [0, 0, 0], "they are given back");
    }
}
