//! Choices taken from the bytes of an input, in order.
//!
//! Never fails: when the bytes are used up, every further choice is zero. Written out here, and
//! not taken from a library, so that the committed corpus means the same for ever.

/// What is left of an input.
pub struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    /// All of it.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// The next two bytes, most significant first.
    pub fn u16(&mut self) -> u16 {
        u16::from(self.byte()) << 8 | u16::from(self.byte())
    }

    /// A number of any size: its first byte says how many bytes follow, so that small and
    /// extreme numbers are short.
    pub fn u64(&mut self) -> u64 {
        let head = self.byte();
        match head {
            0xff => u64::MAX,
            0xfe => u64::MAX - u64::from(self.byte()),
            0xf0..=0xfd => {
                let bytes = self.take(usize::from(head & 7) + 1);
                bytes
                    .iter()
                    .fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            _ => u64::from(head),
        }
    }

    /// The next bytes, as many as the two before them say, or what is left.
    pub fn bytes(&mut self) -> &'b [u8] {
        let len = usize::from(self.u16());
        self.take(len)
    }

    /// Everything that is left.
    pub const fn rest(&mut self) -> &'b [u8] {
        let rest = self.0;
        self.0 = &[];
        rest
    }

    fn take(&mut self, len: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
