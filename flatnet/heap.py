"""What a process has in memory, once it has come to rest."""

import ctypes
import gc


def settle() -> None:
    """Keep what is here for good, and give back what was needed till now.

    What stands for as long as the process need not be looked at each time
    that garbage is collected, and stays shared with who is forked.
    """
    gc.collect()
    gc.freeze()
    trim()


def trim() -> None:
    """Give the kernel back what the C library keeps of freed memory.

    By itself glibc does that at the end of its heap alone; others may have no
    such call, and need none.
    """
    call = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if call is not None:
        call(0)
