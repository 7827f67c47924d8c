"""Start a process, wait for it, and write what it used; a small parent for a big one.

Linux gives a new process the peak memory of the one that started it, so that a benchmark that has
parsed a hundred megabytes would be taken for the memory of its next child.

Run as a script: ``launch.py FACTS OUT ERR COMMAND…``; what the command printed goes to two files.
"""

import json
import os
import subprocess
import sys
import time

facts, out, err, *argv = sys.argv[1:]
with open(out, "wb") as printed, open(err, "wb") as errors:
    begun = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=printed, stderr=errors)
    # wait4, not wait: the use of this one process and not of all children.
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
with open(facts, "w") as file:
    json.dump(
        {
            "seconds": seconds,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "rss_mb": used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024),
            "code": os.waitstatus_to_exitcode(status),
        },
        file,
    )
