//! A line of bytes, and how one is opened.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
};

use super::End;

/// A line of bytes in both directions. One thread reads while another writes.
pub trait Line: Send + Sync {
    /// Waits for bytes; 0 at the end of the line.
    fn read(&self, room: &mut [u8]) -> io::Result<usize>;

    /// Writes all bytes.
    fn write_all(&self, bytes: &[u8]) -> io::Result<()>;

    /// Ends what waits in the other two, as far as the line can.
    fn close(&self);
}

/// Opens lines by name.
pub trait Lines: Send + Sync {
    /// Opens the line at a place. `ErrorKind::AddrInUse` says that this end is taken.
    fn open(&self, place: &str, end: End) -> io::Result<Arc<dyn Line>>;
}

impl Line for TcpStream {
    fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut stream = self;
        Read::read(&mut stream, room)
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stream = self;
        Write::write_all(&mut stream, bytes)
    }

    fn close(&self) {
        // It may be closed already.
        let _ = self.shutdown(Shutdown::Both);
    }
}

#[cfg(unix)]
impl Line for std::os::unix::net::UnixStream {
    fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut stream = self;
        Read::read(&mut stream, room)
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stream = self;
        Write::write_all(&mut stream, bytes)
    }

    fn close(&self) {
        // It may be closed already.
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// A character device. Its reader ends with the next byte after a close.
struct Device(File);

impl Line for Device {
    fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut file = &self.0;
        Read::read(&mut file, room)
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = &self.0;
        Write::write_all(&mut file, bytes)
    }

    fn close(&self) {}
}

/// Opens character devices and Unix sockets by their path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Devices;

impl Lines for Devices {
    fn open(&self, place: &str, _end: End) -> io::Result<Arc<dyn Line>> {
        #[cfg(unix)]
        {
            use std::os::unix::{fs::FileTypeExt, net::UnixStream};
            if std::fs::metadata(place)?.file_type().is_socket() {
                return Ok(Arc::new(UnixStream::connect(place)?));
            }
        }
        Ok(Arc::new(Device(OpenOptions::new().read(true).write(true).open(place)?)))
    }
}
