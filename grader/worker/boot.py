"""The first file that the worker's interpreter runs: `boot.py FOLDER_OF_WORKER FOLDER_OF_MSGSPEC [CHANNEL]`.

The two folders are on the path only while the worker imports its own modules; the submission never sees them.
"""

import sys

if __name__ == "__main__":
    _folders = sys.argv[1:3]
    sys.path += _folders  # behind the standard library, which nothing in them can shadow
    for _unused in ("ssl", "typing_extensions"):  # asyncio and msgspec do without, and start sooner
        sys.modules[_unused] = None  # type: ignore[assignment]
    from worker.main import main  # type: ignore[import-not-found]

    for _unused in ("ssl", "typing_extensions"):
        del sys.modules[_unused]
    sys.path[:] = [entry for entry in sys.path if entry not in _folders]
    main(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
