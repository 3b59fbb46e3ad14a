"""nchan, if it is here: an nginx module in C that keeps messages in memory. On Debian: nginx-light, libnginx-mod-nchan."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.running import Running, wait_for_http
from tests.server import free_port

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

CONFIGURATION = """
load_module {module};
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/log; worker_rlimit_nofile 60000;
events {{ worker_connections 30000; }}
http {{
  access_log off; keepalive_requests 100000000; nchan_message_buffer_length 1000;
  server {{
    listen 127.0.0.1:{port} backlog=20000;
    location = /skills {{ nchan_publisher; nchan_channel_id t; }}
    location = /stream {{ nchan_subscriber eventsource; nchan_channel_id t; nchan_subscriber_first_message newest; }}
  }}
}}
"""


def program() -> str | None:
    """nginx, if it and the module are installed."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return found if MODULE.exists() else None


@contextmanager
def nchan() -> Iterator[Running]:
    """nchan under the paths that CIN has, until the end of the block."""
    nginx, port = program(), free_port()
    assert nginx is not None
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(module=MODULE, folder=folder, port=port))
        with subprocess.Popen([nginx, "-p", folder, "-c", configuration], stderr=subprocess.DEVNULL) as process:
            try:
                wait_for_http(f"http://127.0.0.1:{port}/nothing")
                yield Running("nchan", port, process.pid)
            finally:
                process.terminate()
