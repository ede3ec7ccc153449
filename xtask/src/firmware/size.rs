//! How much flash and memory an image takes, from the program headers of its ELF file.
//! It reads 32-bit little-endian files alone; a length in the file is never believed.

use anyhow::{Context as _, ensure};

/// Where memory begins on the board; what lies below is flash.
const MEMORY: u32 = 0x2000_0000;
/// Most bytes of flash: code, constants, and first values of variables.
pub(super) const FLASH_BYTES_MAX: u32 = 160 * 1024;
/// Most bytes of memory that are taken before `main`.
pub(super) const MEMORY_BYTES_MAX: u32 = 48 * 1024;

const MAGIC: [u8; 6] = [0x7f, b'E', b'L', b'F', 1, 1];
const LOAD: u32 = 1;

/// Bytes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Size {
    /// In flash.
    pub(super) flash: u32,
    /// In memory, without the stack.
    pub(super) memory: u32,
}

/// Reads the size of an image.
///
/// # Errors
/// It is no such file.
pub(super) fn read(elf: &[u8]) -> anyhow::Result<Size> {
    ensure!(elf.starts_with(&MAGIC), "it is no 32-bit ELF file");
    let (start, each, count) = (word(elf, 28)?, half(elf, 42)?, half(elf, 44)?);
    let mut size = Size::default();
    for index in 0..u32::from(count) {
        let at = start.checked_add(index * u32::from(each));
        let at = at.context("its program headers lie outside of it")? as usize;
        if word(elf, at)? != LOAD {
            continue;
        }
        let (address, in_file, in_memory) =
            (word(elf, at + 8)?, word(elf, at + 16)?, word(elf, at + 20)?);
        size.flash = size.flash.saturating_add(in_file);
        if address >= MEMORY {
            size.memory = size.memory.saturating_add(in_memory);
        }
    }
    ensure!(size.flash > 0, "nothing of it is loaded");
    Ok(size)
}

/// Says what is too large.
///
/// # Errors
/// It is.
pub(super) fn judge(size: Size) -> anyhow::Result<()> {
    let Size { flash, memory } = size;
    ensure!(
        flash <= FLASH_BYTES_MAX,
        "{flash} bytes of flash, at most {FLASH_BYTES_MAX}"
    );
    ensure!(
        memory <= MEMORY_BYTES_MAX,
        "{memory} bytes of memory, at most {MEMORY_BYTES_MAX}"
    );
    Ok(())
}

fn word(elf: &[u8], at: usize) -> anyhow::Result<u32> {
    let bytes = elf.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u32::from_le_bytes(*bytes.context("it is cut")?))
}

fn half(elf: &[u8], at: usize) -> anyhow::Result<u16> {
    let bytes = elf.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u16::from_le_bytes(*bytes.context("it is cut")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these segments: address, bytes in the file, bytes in memory.
    fn elf(segments: &[[u32; 3]]) -> Vec<u8> {
        let mut elf = vec![0; 52];
        elf[..6].copy_from_slice(&MAGIC);
        elf[28..32].copy_from_slice(&52_u32.to_le_bytes());
        elf[42..44].copy_from_slice(&32_u16.to_le_bytes());
        elf[44..46].copy_from_slice(&(segments.len() as u16).to_le_bytes());
        for [address, in_file, in_memory] in segments {
            let words = [LOAD, 0, *address, *address, *in_file, *in_memory, 0, 0];
            elf.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        elf
    }

    #[test]
    fn first_values_take_flash_and_memory() {
        let image = elf(&[[0, 5000, 5000], [MEMORY, 100, 100], [MEMORY + 100, 0, 900]]);
        let size = read(&image).expect("an image");
        let expect = Size {
            flash: 5100,
            memory: 1000,
        };
        assert_eq!(size, expect);
        assert!(judge(size).is_ok());
        // Nobody asks for the flags of the last segment.
        for end in 0..image.len() - 8 {
            assert!(read(&image[..end]).is_err(), "cut at {end}");
        }
        assert!(read(&elf(&[])).is_err(), "nothing is loaded");
    }

    #[test]
    fn an_image_that_is_too_large_fails() {
        for segment in [
            [0, FLASH_BYTES_MAX + 1, 0],
            [MEMORY, 0, MEMORY_BYTES_MAX + 1],
        ] {
            let size = read(&elf(&[[0, 1, 1], segment])).expect("an image");
            assert!(judge(size).is_err(), "{size:?}");
        }
    }
}
