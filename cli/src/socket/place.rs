//! Where the two processes meet: a Unix socket in the folder. Where there are none, or the path is too long for one,
//! a port on the loopback interface, which asks for a token that only the folder's owner can read.

#[cfg(unix)]
use std::os::unix::{
    fs::{OpenOptionsExt, PermissionsExt},
    net::{UnixListener, UnixStream},
};
use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

/// The socket's name in the folder.
#[cfg(unix)]
const SOCKET: &str = "socket";

/// The file with the port and the token.
const PORT: &str = "port";

/// Bytes in a socket's path: the smallest limit of the systems that have them (macOS: 104 with the end mark).
#[cfg(unix)]
const MAX_SOCKET_PATH: usize = 100;

/// A connection between the two.
pub(super) enum Line {
    #[cfg(unix)]
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Waits for connections.
pub(super) enum Listener {
    #[cfg(unix)]
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// What is shown to be let in; empty where the file system already keeps others out.
pub(super) type Token = String;

/// Connects to whoever serves the folder. Nothing if nobody does.
pub(super) fn connect(data: &Path) -> io::Result<Option<(Line, Token)>> {
    #[cfg(unix)]
    match UnixStream::connect(data.join(SOCKET)) {
        Ok(stream) => return Ok(Some((Line::Unix(stream), Token::new()))),
        Err(error) if nobody(&error) || !fits(data) => {}
        Err(error) => return Err(error),
    }
    let Ok(text) = fs::read_to_string(data.join(PORT)) else { return Ok(None) };
    let Some((port, token)) = text.trim().split_once(' ') else { return Ok(None) };
    let Ok(port) = port.parse::<u16>() else { return Ok(None) };
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
        Ok(stream) => {
            stream.set_nodelay(true)?;
            Ok(Some((Line::Tcp(stream), token.to_owned())))
        }
        Err(error) if nobody(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

#[cfg(unix)]
fn fits(data: &Path) -> bool {
    data.join(SOCKET).as_os_str().len() <= MAX_SOCKET_PATH
}

/// Listens in the folder. Whoever calls this holds the folder's store, so that what was left there is stale.
pub(super) fn listen(data: &Path) -> io::Result<(Listener, Token)> {
    remove(data);
    #[cfg(unix)]
    if fits(data) {
        // Nobody can connect before the mode is set: the socket is made in a folder of the owner alone.
        let private = tempfile::Builder::new().prefix(".").rand_bytes(4).tempdir_in(data)?;
        let path = private.path().join("s");
        let bound = if path.as_os_str().len() <= MAX_SOCKET_PATH + 8 {
            UnixListener::bind(&path)
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        };
        if let Ok(listener) = bound {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            fs::rename(&path, data.join(SOCKET))?;
            return Ok((Listener::Unix(listener), Token::new()));
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let token = blake3::Hash::from_bytes(secret).to_hex().to_string();
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    writeln!(options.open(data.join(PORT))?, "{} {token}", listener.local_addr()?.port())?;
    Ok((Listener::Tcp(listener), token))
}

/// Takes away what `listen` left in the folder.
pub(super) fn remove(data: &Path) {
    #[cfg(unix)]
    let _ = fs::remove_file(data.join(SOCKET));
    let _ = fs::remove_file(data.join(PORT));
}

impl Listener {
    pub(super) fn accept(&self) -> io::Result<Line> {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Line::Unix(stream)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Line::Tcp(stream))
            }
        }
    }
}

impl Line {
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    pub(super) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_read_timeout(timeout),
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
        }
    }

    /// Ends both directions, so that whoever reads or writes it stops.
    pub(super) fn hang_up(&self) {
        let _ = match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(std::net::Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(std::net::Shutdown::Both),
        };
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Self::Unix(stream) => stream.flush(),
            Self::Tcp(stream) => stream.flush(),
        }
    }
}
