//! An ELF file of 32 bits, little endian (System V ABI, "Object Files").

/// Where the board's RAM begins.
const RAM: u32 = 0x2000_0000;

/// A program header of the kind that is loaded ("Program Header": `PT_LOAD`).
const LOAD: u32 = 1;

/// A program as the linker wrote it.
pub(crate) struct Elf(Vec<u8>);

/// A part of the program: where it lies when the program runs, and what it holds from the start.
struct Segment<'a> {
    address: u32,
    bytes: &'a [u8],
    in_memory: u32,
}

impl Elf {
    pub(crate) fn read(bytes: Vec<u8>) -> Self {
        assert_eq!(bytes[..6], *b"\x7fELF\x01\x01", "32 bits, little endian");
        Self(bytes)
    }

    fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        let word = |at| word(&self.0, at).unwrap();
        let half = |at: usize| usize::from(u16::from_le_bytes(self.0[at..at + 2].try_into().unwrap()));
        (0..half(44)).map(move |number| word(28) as usize + number * half(42)).filter_map(move |at| {
            let (offset, in_file) = (word(at + 4) as usize, word(at + 16) as usize);
            let bytes = &self.0[offset..offset + in_file];
            (word(at) == LOAD).then(|| Segment { address: word(at + 8), bytes, in_memory: word(at + 20) })
        })
    }

    /// Bytes in flash and in RAM.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        self.segments().fold((0, 0), |(flash, ram), segment| {
            let in_ram = if segment.address >= RAM { segment.in_memory as usize } else { 0 };
            (flash + segment.bytes.len(), ram + in_ram)
        })
    }

    /// What lies at an address when the program starts.
    pub(crate) fn at(&self, address: u32, length: u32) -> Option<&[u8]> {
        self.segments().find_map(|segment| {
            let from = address.checked_sub(segment.address)? as usize;
            segment.bytes.get(from..from.checked_add(length as usize)?)
        })
    }

    /// So many words in a row, at each place where a constant of words may lie.
    pub(crate) fn constants<const N: usize>(&self) -> impl Iterator<Item = [u32; N]> {
        self.segments().flat_map(|segment| {
            let aligned = segment.address.wrapping_neg() as usize % 4;
            (aligned..segment.bytes.len()).step_by(4).filter_map(move |at| {
                let mut words = [0; N];
                for (number, room) in words.iter_mut().enumerate() {
                    *room = word(segment.bytes, at + 4 * number)?;
                }
                Some(words)
            })
        })
    }

    /// What the compiler says of itself in the file, as `rustc 1.90.0`.
    pub(crate) fn compiler(&self) -> String {
        const MARK: &[u8] = b"rustc version ";
        let at = self.0.windows(MARK.len()).position(|window| window == MARK).expect("the compiler's name");
        let version = self.0[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_graphic());
        format!("rustc {}", String::from_utf8(version.copied().collect()).unwrap())
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
