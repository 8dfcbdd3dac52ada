"""Goes around the filter by the 32-bit entry of the kernel. Where that does not exist, the process dies."""

import ctypes
import mmap


def attack():
    # mov eax, 2 (fork, of the 32-bit numbering); int 0x80; ret
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x02\x00\x00\x00\xcd\x80\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    answer = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    return ["fork"] if answer >= 0 else []
